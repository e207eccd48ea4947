//! Files and run folders that appear whole or not at all, and of one process at a time.
//!
//! Whoever writes `NAME` for longer than a moment (a run folder, a sweep, a study, a file of events) first
//! claims it: `.NAME.claim` is created where there is none, and says which process has it. Meanwhile others
//! are refused. The claim is touched every ten seconds. A process of the same table (boot and container, on
//! Linux) has ended when the table says so, any other when its claim was not touched for three minutes; then
//! the next one takes the claim away, under a lock of that file. What is written lies beside its place,
//! as `.NAME.partial-PROCESS-NUMBER`, whose process is as in the claim, with a random part; so no two are
//! called alike, and the next to write `NAME` removes what ended ones left. A folder moves into its place
//! only while its claim is still there; what it replaces is `.NAME.replaced-PROCESS-NUMBER` in between.

mod claim;
mod flush;
mod folder;
mod process;
mod temporary;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk;
use crate::error::{Error, Kind, Result};
pub use claim::Claim;
pub use folder::{Folder, replaceable};
use process::Process;
pub use temporary::{Temporary, abandon};

/// The file that marks a folder as one that Striate wrote, and may therefore replace.
pub const RECORD: &str = "record.json";

/// Writes a file whole: a temporary file in the same folder, flushed to the disk, then renamed over `path`.
///
/// # Errors
/// [`Kind::Output`] when the folder does not exist, may not be written, or the disk is full; what stood at
/// `path` before is then untouched.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |to| to.write_all(bytes))
}

/// Whether a file can be written there later, tried with an empty one that is removed again. What stands
/// there is not touched, and what is neither file nor folder is not opened.
///
/// # Errors
/// As [`write()`].
pub fn writable(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => Ok(()),
        _ => Draft::new(path, |_| Ok(())).map(drop),
    }
}

/// Like [`write()`], with the bytes written piece by piece by `fill`.
///
/// # Errors
/// As [`write()`], and whatever error `fill` gives.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    publish(Draft::new(path, fill)?)
}

/// Writes several files, each of them whole, in less time than one after the other.
///
/// # Errors
/// As [`write()`]; files before the one that failed may have been written, in no particular order.
pub fn write_all(files: &[(PathBuf, &[u8])]) -> Result<()> {
    let mut drafts = Vec::new();
    for (path, bytes) in files {
        drafts.extend(Draft::new(path, |to| to.write_all(bytes))?);
    }
    publish(drafts)
}

/// A file that has been written beside the place that it is meant for; removed unless it is published.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    temporary: Temporary,
    target: PathBuf,
    parent: PathBuf,
}

impl Draft {
    /// Writes it, or writes through what is neither file nor folder.
    ///
    /// # Errors
    /// As [`write_with`].
    pub fn new(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Option<Self>> {
        // A link is followed, so that the file it points to is replaced and not the link.
        let target = real(path);
        let failed = |why: io::Error| unwritable(path, &why);
        if let Ok(there) = fs::metadata(&target) {
            if there.is_dir() {
                let advice = "Name a file inside it";
                return Err(Error::new(Kind::Output, path.display(), "is a folder", "a file", advice));
            }
            if !there.is_file() {
                // A device or a pipe is written through: renaming over it would replace it.
                let mut to = disk::File::open(&target).map_err(failed)?;
                return fill(&mut to).and_then(|()| to.flush()).map(|()| None).map_err(failed);
            }
        }
        let (parent, _) = parent_and_name(&target)?;
        let (temporary, file) = spare(&target)?;
        let mut to = BufWriter::new(file);
        fill(&mut to).and_then(|()| to.flush()).map_err(failed)?;
        Ok(Some(Draft { path: path.to_path_buf(), temporary, target, parent }))
    }
}

/// A file beside `path`, for as long as the first of both lasts. What processes that have ended left there is
/// removed.
pub(crate) fn spare(path: &Path) -> Result<(Temporary, disk::File)> {
    let (parent, name) = parent_and_name(path)?;
    if !is_being_written(&parent) {
        left(&parent, &beside(&name, "partial-"), |path, process| !process.seems_to_run(path));
    }
    let temporary = Temporary::new(parent.join(beside(&name, &format!("partial-{}", token()))));
    let file = disk::File::create_new(temporary.path()).map_err(|why| unwritable(path, &why))?;
    Ok((temporary, file))
}

/// Flushes drafts to the disk and moves them to their places. Where that fails for one, those that replaced
/// nothing are removed again.
///
/// # Errors
/// As [`write()`].
pub fn publish(drafts: impl IntoIterator<Item = Draft>) -> Result<()> {
    let drafts: Vec<Draft> = drafts.into_iter().collect();
    let Some(first) = drafts.first().map(|draft| draft.path.clone()) else { return Ok(()) };
    // What lies in a run folder that is being written is flushed as a whole, when the folder is committed.
    let loose = drafts.iter().filter(|draft| !is_being_written(&draft.parent));
    let (files, mut parents): (Vec<PathBuf>, Vec<PathBuf>) =
        loose.map(|draft| (draft.temporary.path().to_path_buf(), draft.parent.clone())).unzip();
    flush::files(&files).map_err(|why| unwritable(&first, &why))?;
    parents.dedup();
    let mut new: Vec<PathBuf> = Vec::new();
    let mut place = |draft: Draft| {
        let is_new = !draft.target.exists();
        let placed = draft.temporary.keep(|from| disk::rename(from, &draft.target));
        placed.map_err(|why| unwritable(&draft.path, &why))?;
        new.extend(is_new.then_some(draft.target));
        Ok(())
    };
    let placed = drafts.into_iter().try_for_each(&mut place);
    let flushed = || parents.iter().try_for_each(|parent| flush::folder(parent));
    let placed = placed.and_then(|()| flushed().map_err(|why| unwritable(&first, &why)));
    placed.inspect_err(|_| new.iter().for_each(|path| drop(fs::remove_file(path))))
}

/// Whether a folder is one that [`Folder::commit`] will flush, or in one: a name says so.
fn is_being_written(folder: &Path) -> bool {
    let own = format!(".partial-{}-", Process::own());
    folder.iter().any(|name| name.to_string_lossy().contains(&own))
}

/// Whether a name is one of those that files and folders have only while something is being written.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let marks = [".partial-", ".replaced-"];
    name.starts_with('.') && (marks.iter().any(|mark| name.contains(mark)) || name.ends_with(".claim"))
}

/// Removes what lies in `parent` under names that begin with `start` and go on with a process, where that
/// `has_ended`.
fn left(parent: &Path, start: &OsStr, has_ended: impl Fn(&Path, &Process) -> bool) {
    for (path, process) in begun_there(parent, start) {
        if has_ended(&path, &process) {
            // Another process may be at it as well; what cannot be removed takes space, and is not read.
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}

/// Paths in `parent` whose names begin with `start` and go on with a process.
fn begun_there(parent: &Path, start: &OsStr) -> Vec<(PathBuf, Process)> {
    let start = start.to_string_lossy();
    let of = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let (process, _) = name.strip_prefix(&*start)?.rsplit_once('-')?;
        Some((entry.path(), process.parse().ok()?))
    };
    fs::read_dir(parent).into_iter().flatten().flatten().filter_map(of).collect()
}

/// A number that this process has not given yet.
fn number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// An ending for a name that no other process has, and this one has not used yet.
fn token() -> String {
    format!("{}-{}", Process::own(), number())
}

/// The path behind links, where something is there already.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn parent_and_name(target: &Path) -> Result<(PathBuf, OsString)> {
    let Some(name) = target.file_name() else {
        let advice = "Give it a name of its own";
        return Err(Error::new(Kind::Output, target.display(), "does not end in a name", "a path", advice));
    };
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((parent, name.to_os_string()))
}

/// The hidden name beside `name` with this ending.
fn beside(name: &OsStr, ending: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    hidden
}

/// A path as it will be, once the folder that is being written around it has its name.
fn named(path: &Path) -> PathBuf {
    let own = format!(".partial-{}-", Process::own());
    let name = |part: &OsStr| match part.to_string_lossy().split_once(&own) {
        Some((hidden, _)) => OsString::from(hidden.strip_prefix(".").unwrap_or(hidden)),
        None => part.to_os_string(),
    };
    path.iter().map(name).collect()
}

/// The error of a file or folder that cannot be written, with advice that fits the reason.
pub(crate) fn unwritable(path: &Path, why: &io::Error) -> Error {
    if why.kind() == io::ErrorKind::NotFound && is_being_written(path) {
        // Nobody else clears a folder of a live process away.
        return claim::taken(&named(path), None);
    }
    let advice = match why.kind() {
        io::ErrorKind::NotFound => "Make the folder first, or choose another",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Choose a folder that you may write to"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Free some space, or choose another disk"
        }
        _ => "Check the disk, or choose another folder",
    };
    let found = format!("cannot be written: {why}");
    Error::new(Kind::Output, named(path).display(), found, "", advice)
}

/// A fresh folder for one test, whose name must be its own.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("striate-test-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[cfg(test)]
mod tests;
