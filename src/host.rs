//! The machine under the adapter: its memory, its threads, its name.

use crate::error::{Error, Kind, Result};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Allocations of at least this size are checked before they are made.
const LARGE: u64 = 1 << 20;

/// Large allocations until one fails for a test; 0 for none.
static FAULT: AtomicU64 = AtomicU64::new(0);

/// Bytes of memory that the host could still give: the smaller of what the kernel calls available and what
/// control groups leave. `None` where the kernel does not say.
pub fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let available = line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = control_groups_leave(Path::new("/sys/fs/cgroup"), &groups);
    Some(limit.map_or(available, |l| l.min(available)))
}

/// Checks that the process can get this many more bytes, which are about to be allocated by code that would
/// abort without them (arrays, decompositions). Less than a mebibyte is not checked.
///
/// # Errors
/// Memory, if the system refuses them: limits of the process, of its address space above all.
pub fn room(what: &str, bytes: u64) -> Result<()> {
    if bytes < LARGE {
        return Ok(());
    }
    let last = FAULT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1);
    let asked = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if asked && !last {
        return Ok(());
    }
    let found =
        format!("needs {:.1} MiB of the host's memory, which the system refuses", bytes as f64 / 1_048_576.0);
    let advice =
        "Close other programs, raise the limit of this process (ulimit -v), or use fewer images or features";
    Err(Error::new(Kind::Memory, what, found, "", advice))
}

/// For tests: the `nth` large allocation of this process from now on is refused, from 1; 0 takes that back.
/// Returns how many were still to come before an earlier one: 0 if it was refused.
pub fn fail_room(nth: u64) -> u64 {
    FAULT.swap(nth, Ordering::Relaxed)
}

/// Starts the threads that share work on the host, one for each core, or fewer where the system does not give
/// so many. Without this call they start at the first work that is shared, and a system that refuses them is
/// a panic.
///
/// # Errors
/// Memory, if there is not one.
pub fn start_threads() -> Result<()> {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads);
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads: usize = asked.unwrap_or_else(cores);
    // The pool of the process can be asked for once only: which size is given is tried before.
    while let Err(why) = pool(threads).build() {
        if threads == 1 {
            return Err(no_thread("shared work", &why));
        }
        threads = threads.div_ceil(2);
    }
    // It may be there already, which is as good.
    let _ = pool(threads).build_global();
    Ok(())
}

/// The error of a thread that the system does not give.
pub(crate) fn no_thread(what: &str, why: &dyn std::fmt::Display) -> Error {
    let advice = "End other programs, or raise the limits of this process (ulimit -u, ulimit -v)";
    Error::new(Kind::Memory, what, format!("the system gives no thread: {why}"), "", advice)
}

/// The machine's name in its network; `None` where the system does not say.
pub fn name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let said = files.into_iter().find_map(|file| std::fs::read_to_string(file).ok());
    let said =
        said.or_else(|| ["COMPUTERNAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok()));
    said.map(|name| name.trim().to_string()).filter(|name| !name.is_empty())
}

/// What control groups (version 2) below `root` leave to the process whose `/proc/self/cgroup` is `groups`:
/// the least on the way up from its own group. `None` without a limit.
fn control_groups_leave(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let left = |group: &Path| {
        let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
        let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
        let limit = number("memory.max")?;
        // The page cache counts as used, but is given back when memory is short.
        let statistics = read("memory.stat").unwrap_or_default();
        let cached = statistics.lines().find_map(|l| l.strip_prefix("inactive_file ")?.trim().parse().ok());
        let used = number("memory.current").unwrap_or(0).saturating_sub(cached.unwrap_or(0));
        Some(limit.saturating_sub(used))
    };
    root.join(own).ancestors().take_while(|group| group.starts_with(root)).filter_map(left).min()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_up_counts_and_the_page_cache_does_not() {
        let root = crate::io::commit::scratch("control-groups");
        let group = |path: &str, max: &str, current: &str, cached: u64| {
            let folder = root.join(path);
            std::fs::create_dir_all(&folder).unwrap();
            let statistics = format!("anon 5\nfile 70\ninactive_file {cached}\nactive_file 3\n");
            for (file, text) in [("max", max), ("current", current), ("stat", statistics.as_str())] {
                std::fs::write(folder.join(format!("memory.{file}")), text).unwrap();
            }
        };
        group("a", "1000\n", "700\n", 200);
        group("a/b", "max\n", "600\n", 200);
        group("a/b/c", "900\n", "100\n", 0);
        let leave = |groups: &str| control_groups_leave(&root, groups);
        assert_eq!(leave("4:memory:/x\n0::/a/b/c\n"), Some(500));
        group("a/b/c", "400\n", "100\n", 500);
        assert_eq!(leave("0::/a/b/c\n"), Some(400));
        assert_eq!(leave("0::/\n"), None);
        assert_eq!(leave("4:memory:/a\n"), None);
    }

    /// More than any address space: the system's own refusal.
    #[test]
    fn memory_that_no_system_has_is_an_error() {
        assert!(room("a little", 10).is_ok() && room("a bit more", 3 << 20).is_ok());
        for bytes in [1 << 60, u64::MAX] {
            let why = room("everything", bytes).unwrap_err();
            assert!(why.kind() == Kind::Memory && why.to_string().starts_with("everything: needs"), "{why}");
        }
    }
}
