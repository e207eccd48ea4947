//! Which process a temporary name belongs to, and whether it still runs.

use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// A live process never leaves its files untouched for this long: eighteen beats of a claim.
pub(super) const SILENCE: Duration = Duration::from_secs(180);

/// A process, as names and claims have it: `TABLE-PID-START-RANDOM`. The pid counts in its table of processes
/// alone, that of a boot of a machine, or of a container on it; the start tells it from a later process of
/// that pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    table: u32,
    pub pid: u32,
    start: u64,
    random: u32,
}

impl Process {
    /// This one.
    pub fn own() -> Process {
        static OWN: OnceLock<Process> = OnceLock::new();
        *OWN.get_or_init(|| {
            let random = RandomState::new().hash_one(0) as u32;
            let pid = std::process::id();
            let (table, start) = table(pid).unwrap_or((RandomState::new().hash_one(1) as u32, 0));
            Process { table, pid, start, random }
        })
    }

    /// Whether it runs; `None` where it is of another table, which cannot be looked at.
    pub fn runs(&self) -> Option<bool> {
        let own = Process::own();
        if *self == own {
            return Some(true);
        }
        (self.table == own.table).then(|| start(&format!("/proc/{}/stat", self.pid)) == Some(self.start))
    }

    /// Whether it runs, as far as can be told: of a process of another table by the time of `path`, which it
    /// touches while it does.
    pub fn seems_to_run(&self, path: &Path) -> bool {
        self.runs().unwrap_or_else(|| is_fresh(path))
    }
}

/// Whether a file or folder was touched not long ago.
pub(super) fn is_fresh(path: &Path) -> bool {
    let touched = fs::metadata(path).and_then(|m| m.modified());
    // A clock that is behind is no reason to take a file for an old one.
    touched.is_ok_and(|at| at.elapsed().map_or(true, |age| age < SILENCE))
}

/// The table of processes that this one is in, and when it started; `None` where `/proc` does not show that
/// table, or not to us.
fn table(pid: u32) -> Option<(u32, u64)> {
    let shown = fs::read_link("/proc/self").ok()?;
    if shown != Path::new(&pid.to_string()) || !Path::new("/proc/1").exists() {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let hash = Sha256::digest(format!("{boot}{}", namespace.display()));
    let table = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    Some((table, start("/proc/self/stat")?))
}

/// When a process started, in ticks since the boot; `None` where there is none, or it has ended already and
/// nobody has asked yet how.
fn start(stat: &str) -> Option<u64> {
    let stat = fs::read_to_string(stat).ok()?;
    // The name before may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.nth(18)?.parse().ok() }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}-{}-{:08x}", self.table, self.pid, self.start, self.random)
    }
}

impl FromStr for Process {
    type Err = ();

    fn from_str(text: &str) -> Result<Process, ()> {
        let parts: Vec<&str> = text.split('-').collect();
        let [table, pid, start, random] = parts[..] else { return Err(()) };
        let hexadecimal = |part| u32::from_str_radix(part, 16).map_err(drop);
        let decimal = |part: &str| part.parse::<u64>().map_err(drop);
        let pid = u32::try_from(decimal(pid)?).map_err(drop)?;
        Ok(Process { table: hexadecimal(table)?, pid, start: decimal(start)?, random: hexadecimal(random)? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_read_as_it_is_written() {
        let own = Process::own();
        assert_eq!(own.to_string().parse(), Ok(own));
        assert_eq!(own.runs(), Some(true));
        for wrong in ["", "1", "x", "1-2-3", "1-2-3-4-5", "g-1-1-1", "1--1-1", "1-99999999999-1-1"] {
            assert_eq!(wrong.parse::<Process>(), Err(()), "{wrong}");
        }
    }

    /// Of this table a process is looked up: whoever has its pid later is another.
    #[cfg(target_os = "linux")]
    #[test]
    fn processes_of_this_table_are_looked_up() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        let alive = Process { pid: child.id(), start: start(&stat).unwrap(), random: 7, ..Process::own() };
        assert_eq!(alive.runs(), Some(true));
        assert_eq!(Process { start: alive.start - 1, ..alive }.runs(), Some(false), "a later one of its pid");
        child.kill().unwrap();
        while fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {}
        assert_eq!(alive.runs(), Some(false), "it has ended, and nobody has asked how");
        child.wait().unwrap();
        assert_eq!(alive.runs(), Some(false));
    }

    #[test]
    fn processes_of_other_tables_are_told_by_what_they_touch() {
        let path = crate::io::commit::scratch("process").join("claim");
        fs::write(&path, "").unwrap();
        let elsewhere = Process { table: !Process::own().table, ..Process::own() };
        assert_eq!(elsewhere.runs(), None);
        let touched = |ago| {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - ago).unwrap();
            elsewhere.seems_to_run(&path)
        };
        assert!(
            touched(Duration::ZERO) && touched(SILENCE / 2) && !touched(SILENCE + Duration::from_secs(9))
        );
        fs::remove_file(&path).unwrap();
        assert!(!elsewhere.seems_to_run(&path));
    }
}
