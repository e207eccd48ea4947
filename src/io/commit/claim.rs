//! The right to write a place, which one process has at a time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::process::{Process, SILENCE, is_fresh};
use super::temporary::Temporary;
use super::{beside, number, parent_and_name, real, unwritable};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::io::disk;

/// How often a claim is touched.
const BEAT: Duration = Duration::from_secs(10);

/// How often, and how long each time, to wait for a claim whose holder has yet to write its name.
const NAMELESS: (u32, Duration) = (20, Duration::from_millis(25));

/// What `.NAME.claim` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    process: String,
    number: u64,
    host: String,
}

/// The name of this machine, for people.
fn machine() -> String {
    host::name().unwrap_or_else(|| "an unnamed machine".into())
}

impl Holder {
    fn process(&self) -> Option<Process> {
        self.process.parse().ok()
    }
}

/// The right to write a file or folder, from [`Claim::take`] until it is dropped.
#[derive(Debug)]
pub struct Claim {
    /// As it was named.
    path: PathBuf,
    /// What the claim holds while it is ours.
    content: String,
    file: Temporary,
    /// Its thread ends with it.
    _beat: Sender<()>,
}

impl Claim {
    /// Claims a place; folders above it are made.
    ///
    /// # Errors
    /// [`Kind::Output`] where another process has it, or the folder around it cannot be written.
    pub fn take(path: &Path) -> Result<Claim> {
        let (parent, name) = parent_and_name(&real(path))?;
        disk::create_dir_all(&parent).map_err(|why| unwritable(&parent, &why))?;
        let place = parent.join(beside(&name, "claim"));
        let failed = |why: io::Error| unwritable(path, &why);
        let own = Holder { process: Process::own().to_string(), number: number(), host: machine() };
        let content = serde_json::to_string(&own).map_err(|why| Error::internal("claim", why))?;
        let mut nameless = 0;
        loop {
            let file = Temporary::holding(place.clone(), content.clone());
            match disk::File::create_new(&place) {
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    let begun = begin(made.map_err(failed)?, &content);
                    // Half a claim is ours too, and nobody could tell.
                    let beat = begun.inspect_err(|_| drop(fs::remove_file(&place))).map_err(failed)?;
                    return Ok(Claim { path: path.into(), content, file, _beat: beat });
                }
            }
            let there = match fs::read_to_string(&place) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(failed)?,
            };
            if there.is_empty() && nameless < NAMELESS.0 {
                nameless += 1;
                std::thread::sleep(NAMELESS.1);
                continue;
            }
            let holder: Option<Holder> = serde_json::from_str(&there).ok();
            let runs = match holder.as_ref().and_then(Holder::process) {
                Some(process) => process.seems_to_run(&place),
                None => !there.is_empty() && is_fresh(&place),
            };
            if runs {
                return Err(taken(path, holder.as_ref()));
            }
            take_away(&place, &there).map_err(failed)?;
        }
    }

    /// An error if another process has taken the place over, thinking that this one had ended.
    pub(super) fn check(&self) -> Result<()> {
        let there = fs::read_to_string(self.file.path()).unwrap_or_default();
        if there == self.content {
            return Ok(());
        }
        Err(taken(&self.path, serde_json::from_str(&there).ok().as_ref()))
    }
}

/// Writes a claim and keeps touching it.
fn begin(mut made: disk::File, content: &str) -> io::Result<Sender<()>> {
    made.write_all(content.as_bytes())?;
    let (beat, ended) = channel();
    let file = made.into_inner();
    let touch = move || {
        while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
            // By its handle: what may stand in its place by then is another's.
            let _ = file.set_modified(SystemTime::now());
        }
    };
    // Where no thread can be made, other machines may think that this one has ended; `check` says so then.
    let _ = std::thread::Builder::new().name("claim".into()).spawn(touch);
    Ok(beat)
}

/// Removes a claim whose holder has ended.
fn take_away(place: &Path, ended: &str) -> io::Result<()> {
    let file = match fs::File::options().read(true).write(true).open(place) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    // Of several that try, one at a time goes on. Where files cannot be locked two may, and `check` says so to
    // whoever lost its claim.
    let _ = file.lock();
    let is_there = fs::read_to_string(place).is_ok_and(|there| there == ended);
    if is_there { fs::remove_file(place) } else { Ok(()) }
}

/// The one error of whoever comes second.
pub(super) fn taken(path: &Path, holder: Option<&Holder>) -> Error {
    let process = holder.and_then(Holder::process);
    let who = match (holder, process) {
        (Some(holder), Some(process)) => format!("process {} on {}", process.pid, holder.host),
        _ => "another process".into(),
    };
    let advice = format!(
        "Wait for it, or choose another place. What a process left that was killed elsewhere is free after {} minutes",
        SILENCE.as_secs() / 60
    );
    let found = format!("is being written by {who}");
    Error::new(Kind::Output, path.display(), found, "one process at a time", advice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A claim as another process would write it.
    fn claimed(place: &Path, process: &str, ago: Duration) {
        let holder = Holder { process: process.into(), number: 0, host: "node7".into() };
        fs::write(place, serde_json::to_string(&holder).unwrap()).unwrap();
        let file = fs::File::options().write(true).open(place).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    #[test]
    fn a_place_is_claimed_once_at_a_time() {
        let folder = scratch("claim-once");
        let run = folder.join("deep/run");
        let claim = Claim::take(&run).unwrap();
        let why = Claim::take(&run).unwrap_err();
        let said = format!("run: is being written by process {} on {}", std::process::id(), machine());
        assert!(why.kind() == Kind::Output && why.to_string().contains(&said), "{why}");
        assert_eq!(names(&folder.join("deep")), [".run.claim"]);
        claim.check().unwrap();
        drop(claim);
        assert_eq!(names(&folder.join("deep")), Vec::<String>::new());
        Claim::take(&run).unwrap();
    }

    #[test]
    fn what_ended_is_taken_over_and_what_runs_elsewhere_is_not() {
        let folder = scratch("claim-ended");
        let (run, place) = (folder.join("run"), folder.join(".run.claim"));
        let own = Process::own().to_string();
        let (table, _) = own.split_once('-').unwrap();
        // Of this table no process has a number this large; another table cannot be looked at.
        let (ended, elsewhere) = (format!("{table}-4294967295-5-1"), "00c0ffee-1-5-1".to_string());
        let long = SILENCE + Duration::from_secs(5);
        if cfg!(target_os = "linux") {
            claimed(&place, &ended, Duration::ZERO);
            drop(Claim::take(&run).unwrap());
        }
        claimed(&place, &elsewhere, Duration::ZERO);
        let why = Claim::take(&run).unwrap_err().to_string();
        assert!(why.contains("process 1 on node7"), "{why}");
        assert!(place.exists(), "it is left alone");
        claimed(&place, &elsewhere, long);
        Claim::take(&run).unwrap();
        // A process that was killed before it wrote its name; a file that is no claim.
        fs::write(&place, "").unwrap();
        Claim::take(&run).unwrap();
        fs::write(&place, "mine").unwrap();
        assert!(Claim::take(&run).unwrap_err().to_string().contains("another process"));
        fs::remove_file(&place).unwrap();
        assert_eq!(names(&folder), Vec::<String>::new());
    }

    /// Whoever was away for so long that another took the place over hears of it, and takes nothing away.
    #[test]
    fn a_claim_that_was_taken_over_is_noticed() {
        let folder = scratch("claim-lost");
        let (run, place) = (folder.join("run"), folder.join(".run.claim"));
        let claim = Claim::take(&run).unwrap();
        claimed(&place, "00c0ffee-1-5-1", Duration::ZERO);
        let why = claim.check().unwrap_err().to_string();
        assert!(why.contains("is being written by process 1 on node7"), "{why}");
        drop(claim);
        assert!(place.exists());
    }

    /// Sixteen threads that find an ended claim at the same time: one at a time has it, and each in the end.
    #[test]
    fn those_that_take_over_together_take_turns() {
        let folder = scratch("claim-race");
        let (run, place) = (folder.join("run"), folder.join(".run.claim"));
        for _ in 0..20 {
            claimed(&place, "00c0ffee-1-5-1", 2 * SILENCE);
            let (inside, won) = (AtomicU32::new(0), AtomicU32::new(0));
            std::thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        let Ok(claim) = Claim::take(&run) else { return };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                        won.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    });
                }
            });
            assert!(won.load(Ordering::SeqCst) > 0);
            assert_eq!(names(&folder), Vec::<String>::new());
        }
    }
}
