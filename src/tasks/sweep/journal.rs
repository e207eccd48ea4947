//! What a sweep has found so far, on disk: a sweep that is killed goes on from here.
//!
//! `OUT.partial/` holds `journal.json` (what the sweep is), `results.jsonl` (a line for each configuration
//! that has finished, flushed to the disk before anything is said about it), and `checkpoint` (the training that
//! is under way). It is of the process that has claimed `OUT`.

use super::result::Finished;
use crate::error::{Error, Kind, Result};
use crate::io::commit::{self, Temporary, is_temporary, unwritable};
use crate::io::disk;
use crate::io::file::{self, LONGEST_RECORD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const JOURNAL: &str = "journal.json";
const RESULTS: &str = "results.jsonl";
const CHECKPOINT: &str = "checkpoint";

/// The journal of a sweep that is under way.
#[derive(Debug)]
pub(super) struct Journal {
    // First, for on Windows an open file cannot be deleted.
    results: disk::File,
    folder: PathBuf,
    finished: BTreeMap<usize, Finished>,
    /// The folder, as long as it holds nothing to go on from.
    empty: Option<Temporary>,
}

/// A training that was under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The configurations that train together, in the order that they were given to the trainer.
    pub configurations: Vec<usize>,
    /// Seconds that each has taken so far.
    pub seconds: Vec<f64>,
    /// What the trainer goes on from.
    #[serde(skip)]
    pub state: Vec<u8>,
}

/// The folder of the journal of a sweep whose results will stand at `out`.
pub(super) fn partial(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    out.with_file_name(name)
}

/// An error of writing, with the way on.
pub(super) fn resumable(why: Error) -> Error {
    if why.kind() != Kind::Output {
        return why;
    }
    let [place, found, wanted, advice] = why.parts().map(|(_, text)| text.to_string());
    let advice = format!("{advice}; then go on with --resume, nothing that was reported is lost");
    Error::new(Kind::Output, place, found, wanted, advice)
}

impl Journal {
    /// Opens the journal of `out`, or begins it. `identity` is all that the results depend on.
    ///
    /// # Errors
    /// Usage, if there is one already and `resume` was not asked for, or if it is of another sweep; Input, if it is damaged; Output, if it cannot be written.
    pub fn open(out: &Path, identity: &Value, resume: bool) -> Result<Self> {
        let folder = partial(out);
        let file = folder.join(JOURNAL);
        let begun = if file.exists() {
            refuse(&folder, identity, resume)?;
            clear(&folder);
            None
        } else {
            Some(begin(&folder, identity).map_err(resumable)?)
        };
        let (results, finished) = read_results(&folder.join(RESULTS))?;
        let is_empty = finished.is_empty() && !folder.join(CHECKPOINT).exists();
        let empty = is_empty.then(|| begun.unwrap_or_else(|| Temporary::new(folder.clone())));
        Ok(Journal { results, folder, finished, empty })
    }

    /// What has finished, by number.
    pub fn finished(&self) -> &BTreeMap<usize, Finished> {
        &self.finished
    }

    /// Keeps a result; on the disk when this returns.
    ///
    /// # Errors
    /// Output, if it cannot be written.
    pub fn add(&mut self, finished: Finished) -> Result<()> {
        let failed = |why: &std::io::Error| resumable(unwritable(&self.folder.join(RESULTS), why));
        let mut line = serde_json::to_vec(&finished).map_err(|why| Error::internal(RESULTS, why))?;
        line.push(b'\n');
        self.results.write_all(&line).and_then(|()| self.results.sync()).map_err(|why| failed(&why))?;
        self.hold();
        // What is worked with is what a resumed run would read: numbers are the same to the last bit.
        let again = serde_json::from_slice(&line).map_err(|why| Error::internal(RESULTS, why))?;
        self.finished.insert(finished.configuration, again);
        Ok(())
    }

    /// Keeps the training that is under way, in place of the one before.
    ///
    /// # Errors
    /// Output, if it cannot be written; the earlier one is then still there.
    pub fn keep(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let header = serde_json::to_vec(checkpoint).map_err(|why| Error::internal(CHECKPOINT, why))?;
        let written = commit::write_with(&self.folder.join(CHECKPOINT), |to| {
            to.write_all(&(header.len() as u64).to_le_bytes())?;
            to.write_all(&header)?;
            to.write_all(&checkpoint.state)
        });
        written.map_err(resumable)?;
        self.hold();
        Ok(())
    }

    /// Keeps the folder: there is something in it now.
    fn hold(&mut self) {
        // Nothing is moved that could fail.
        let _ = self.empty.take().map(|folder| folder.keep(|_| Ok(())));
    }

    /// The training that was under way, if there was one.
    ///
    /// # Errors
    /// Input, if it is damaged.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let path = self.folder.join(CHECKPOINT);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = file::read(&path, u64::MAX)?;
        let parsed = || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let (header, state) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
            let header: Checkpoint = serde_json::from_slice(header).ok()?;
            (header.seconds.len() == header.configurations.len())
                .then(|| Checkpoint { state: state.to_vec(), ..header })
        };
        let damaged = || {
            let advice = "Delete this file; the training that it held begins again";
            Error::input(&path, "is damaged", "a checkpoint", advice)
        };
        parsed().map(Some).ok_or_else(damaged)
    }

    /// Forgets the training that was under way: all of it has finished.
    ///
    /// # Errors
    /// Output, if the file cannot be deleted.
    pub fn forget(&self) -> Result<()> {
        let path = self.folder.join(CHECKPOINT);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(unwritable(&path, &why)),
            _ => Ok(()),
        }
    }

    /// Ends the sweep: its results stand elsewhere.
    ///
    /// # Errors
    /// Output, if the folder cannot be deleted.
    pub fn end(self) -> Result<()> {
        let folder = self.folder.clone();
        drop(self);
        fs::remove_dir_all(&folder).map_err(|why| unwritable(&folder, &why))
    }
}

/// Begins a journal in a folder that is new, or that a killed run had only just made.
fn begin(folder: &Path, identity: &Value) -> Result<Temporary> {
    clear(folder);
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let found = "holds files that are not a sweep";
        let advice = "Choose another --out";
        return Err(Error::new(Kind::Output, folder.display(), found, "a new folder", advice));
    }
    let begun = Temporary::new(folder.into());
    disk::create_dir_all(folder).map_err(|why| unwritable(folder, &why))?;
    let bytes = serde_json::to_vec_pretty(identity).map_err(|why| Error::internal(JOURNAL, why))?;
    commit::write(&folder.join(JOURNAL), &bytes).map(|()| begun)
}

/// Deletes what was being written when a run was killed.
fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_temporary(&entry.file_name()) {
            // What cannot be deleted takes space, and is not read.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// An error unless the journal that is there may be gone on with.
fn refuse(folder: &Path, identity: &Value, resume: bool) -> Result<()> {
    let wrong = |found: String, wanted: &str, advice: &str| {
        Err(Error::new(Kind::Usage, folder.display(), found, wanted, advice))
    };
    if !resume {
        let advice = "Add --resume to go on with it, delete it, or choose another --out";
        return wrong("holds an unfinished sweep".into(), "", advice);
    }
    let file = folder.join(JOURNAL);
    let bytes = file::read(&file, LONGEST_RECORD)?;
    let there: Value = serde_json::from_slice(&bytes).map_err(|why| {
        Error::input(&file, format!("is damaged: {why}"), "a journal", "Delete the folder, and begin again")
    })?;
    // Through text, as the one on the disk: numbers compare alike.
    let text = identity.to_string();
    let here: Value = serde_json::from_str(&text).map_err(|why| Error::internal(JOURNAL, why))?;
    let keys = here.as_object().into_iter().flat_map(|fields| fields.keys());
    let different: Vec<&str> = keys.filter(|key| here[*key] != there[*key]).map(String::as_str).collect();
    if different.is_empty() {
        return Ok(());
    }
    let found = format!("is of a sweep that differs in: {}", different.join(", "));
    let advice = "Go on with the same files and options, or choose another --out";
    wrong(found, "the sweep that was begun there", advice)
}

/// The results that are whole; a line that was being written when the run ended is cut off.
fn read_results(path: &Path) -> Result<(disk::File, BTreeMap<usize, Finished>)> {
    let bytes = if path.exists() { file::read(path, u64::MAX)? } else { Vec::new() };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut finished = BTreeMap::new();
    for (number, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let one: Finished = serde_json::from_slice(line).map_err(|why| {
            let found = format!("line {} is damaged: {why}", number + 1);
            Error::input(path, found, "a result", "Delete that line; its configuration trains again")
        })?;
        finished.insert(one.configuration, one);
    }
    let file = disk::File::continued(path, whole as u64).map_err(|why| unwritable(path, &why))?;
    Ok((file, finished))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;
    use serde_json::json;

    fn finished(configuration: usize) -> Finished {
        Finished { configuration, seconds: 0.1 + 0.2, ..Finished::default() }
    }

    fn open(out: &Path, resume: bool) -> Result<Journal> {
        Journal::open(out, &json!({"grid": [0.1, 1e-5], "images": "abc"}), resume)
    }

    #[test]
    fn what_was_added_is_there_again() {
        let out = scratch("journal").join("run");
        let mut journal = open(&out, false).unwrap();
        for number in [3, 1] {
            journal.add(finished(number)).unwrap();
        }
        let seconds = journal.finished()[&3].seconds;
        drop(journal);
        assert!(open(&out, false).unwrap_err().to_string().contains("--resume"));
        fs::write(partial(&out).join(".checkpoint.partial-1-0"), "torn").unwrap();
        let journal = open(&out, true).unwrap();
        assert_eq!(journal.finished().keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(journal.finished()[&3].seconds.to_bits(), seconds.to_bits());
        assert!(!partial(&out).join(".checkpoint.partial-1-0").exists());
        journal.end().unwrap();
        assert!(!partial(&out).exists());
    }

    #[test]
    fn what_holds_nothing_to_go_on_from_goes() {
        let out = scratch("journal-empty").join("run");
        drop(open(&out, false).unwrap());
        assert!(!partial(&out).exists());
        // As a killed run leaves it.
        fs::create_dir_all(partial(&out)).unwrap();
        fs::write(partial(&out).join(".journal.json.partial-1-0"), "{").unwrap();
        let journal = open(&out, false).unwrap();
        let copy = fs::read(partial(&out).join(JOURNAL)).unwrap();
        drop(journal);
        fs::create_dir_all(partial(&out)).unwrap();
        fs::write(partial(&out).join(JOURNAL), copy).unwrap();
        open(&out, true).unwrap().add(finished(0)).unwrap();
        assert!(partial(&out).exists());
    }

    #[test]
    fn a_torn_line_is_cut_off_and_a_damaged_one_refused() {
        let out = scratch("journal-torn").join("run");
        let mut journal = open(&out, false).unwrap();
        journal.add(finished(0)).unwrap();
        drop(journal);
        let file = partial(&out).join(RESULTS);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        let mut journal = open(&out, true).unwrap();
        assert_eq!(journal.finished().len(), 1);
        journal.add(finished(1)).unwrap();
        drop(journal);
        assert_eq!(open(&out, true).unwrap().finished().len(), 2);
        fs::write(&file, [b"{}\n", &whole[..]].concat()).unwrap();
        assert!(open(&out, true).unwrap_err().to_string().contains("line 1 is damaged"));
    }

    #[test]
    fn another_sweep_is_refused() {
        let out = scratch("journal-other").join("run");
        open(&out, false).unwrap().add(finished(0)).unwrap();
        let other = Journal::open(&out, &json!({"grid": [0.1], "images": "abc"}), true).unwrap_err();
        assert!(other.to_string().contains("differs in: grid"), "{other}");
        fs::write(partial(&out).join(JOURNAL), "{").unwrap();
        assert_eq!(open(&out, true).unwrap_err().kind(), Kind::Input);
        fs::create_dir_all(partial(&out.with_file_name("foreign")).join("photos")).unwrap();
        let foreign = Journal::open(&out.with_file_name("foreign"), &json!({}), false).unwrap_err();
        assert!(foreign.to_string().contains("not a sweep"), "{foreign}");
    }

    #[test]
    fn checkpoints_come_back_whole() {
        let out = scratch("journal-checkpoint").join("run");
        let mut journal = open(&out, false).unwrap();
        assert!(journal.checkpoint().unwrap().is_none());
        let state = vec![0, 255, b'\n'];
        journal.keep(&Checkpoint { configurations: vec![4, 2], seconds: vec![0.5, 1.0], state }).unwrap();
        let found = journal.checkpoint().unwrap().unwrap();
        assert_eq!((found.configurations, found.state), (vec![4, 2], vec![0, 255, b'\n']));
        fs::write(partial(&out).join(CHECKPOINT), [9; 20]).unwrap();
        assert!(journal.checkpoint().unwrap_err().to_string().contains("is damaged"));
        journal.forget().unwrap();
        journal.forget().unwrap();
        assert!(journal.checkpoint().unwrap().is_none());
    }
}
