//! Files and run folders that appear whole or not at all.

mod flush;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Kind, Result};

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
    if let Some(draft) = Draft::new(path, fill)? {
        publish(vec![draft])?;
    }
    Ok(())
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
struct Draft {
    path: PathBuf,
    temporary: PathBuf,
    target: PathBuf,
    parent: PathBuf,
}

impl Draft {
    /// Writes it, or writes through what is neither file nor folder.
    fn new(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Option<Self>> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // A link is followed, so that the file it points to is replaced and not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let failed = |why: io::Error| unwritable(path, &why);
        if let Ok(there) = fs::metadata(&target) {
            if there.is_dir() {
                let advice = "Name a file inside it";
                return Err(Error::new(Kind::Output, path.display(), "is a folder", "a file", advice));
            }
            if !there.is_file() {
                // A device or a pipe is written through: renaming over it would replace it.
                let mut to = File::options().write(true).open(&target).map_err(failed)?;
                return fill(&mut to).and_then(|()| to.flush()).map(|()| None).map_err(failed);
            }
        }
        let (parent, name) = parent_and_name(&target)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = parent.join(hidden(&name, &format!("partial-{}-{count}", std::process::id())));
        let draft = Draft { path: path.to_path_buf(), temporary, target, parent };
        draft.fill(fill).map_err(failed)?;
        Ok(Some(draft))
    }

    fn fill(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut to = BufWriter::new(File::create_new(&self.temporary)?);
        fill(&mut to)?;
        to.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is there once it has been renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Flushes drafts to the disk and moves them to their places.
fn publish(drafts: Vec<Draft>) -> Result<()> {
    let Some(first) = drafts.first() else { return Ok(()) };
    // What lies in a run folder that is being written is flushed as a whole, when the folder is committed.
    let loose = drafts.iter().filter(|draft| !is_being_written(&draft.parent));
    let (files, mut parents): (Vec<PathBuf>, Vec<&Path>) =
        loose.map(|draft| (draft.temporary.clone(), draft.parent.as_path())).unzip();
    flush::files(&files).map_err(|why| unwritable(&first.path, &why))?;
    for draft in &drafts {
        fs::rename(&draft.temporary, &draft.target).map_err(|why| unwritable(&draft.path, &why))?;
    }
    parents.dedup();
    parents.iter().try_for_each(|parent| flush::folder(parent)).map_err(|why| unwritable(&first.path, &why))
}

/// Whether a folder is one that [`Folder::commit`] will flush: its name says so.
fn is_being_written(folder: &Path) -> bool {
    let ending = format!(".partial-{}", std::process::id());
    folder.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending))
}

/// A run folder that is written as a whole: until [`Folder::commit`] everything lies in a hidden folder
/// `.<name>.partial-<pid>` beside the final place, which is removed when the run ends early.
#[derive(Debug)]
pub struct Folder {
    /// As it was named.
    path: PathBuf,
    /// The files that it will hold.
    files: Vec<OsString>,
    target: PathBuf,
    temporary: PathBuf,
    committed: bool,
}

impl Folder {
    /// Starts the folder that will stand at `path` and hold `files`. Folders above it are made. What runs
    /// that were killed left beside it is cleared away first: temporary folders of processes that no longer
    /// run (on Linux), or that are older than a day (elsewhere).
    ///
    /// # Errors
    /// [`Kind::Output`] when `path` is a file, a folder with anything else in it than an earlier run's
    /// `files` (`record.json` among them), or cannot be written.
    pub fn create(path: &Path, files: &[&str]) -> Result<Folder> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let (parent, name) = parent_and_name(&target)?;
        fs::create_dir_all(&parent).map_err(|why| unwritable(&parent, &why))?;
        sweep(&parent, &name, &target).map_err(|why| unwritable(&parent, &why))?;
        let files: Vec<OsString> = files.iter().map(OsString::from).collect();
        refuse_foreign(path, &target, &files)?;
        let temporary = parent.join(hidden(&name, &format!("partial-{}", std::process::id())));
        fs::create_dir(&temporary).map_err(|why| unwritable(path, &why))?;
        Ok(Folder { path: path.to_path_buf(), files, target, temporary, committed: false })
    }

    /// Where to write the file `name` until the folder is committed.
    pub fn file(&self, name: &str) -> PathBuf {
        self.temporary.join(name)
    }

    /// Flushes everything to the disk and moves the folder to its place. An earlier run folder there is moved
    /// aside first and deleted last; should the machine stop in between, the next [`Folder::create`] puts it
    /// back.
    ///
    /// # Errors
    /// [`Kind::Output`] as for [`Folder::create`]; the earlier folder is then still in place.
    pub fn commit(mut self) -> Result<()> {
        refuse_foreign(&self.path, &self.target, &self.files)?;
        let failed = |why: io::Error| unwritable(&self.path, &why);
        flush::whole(&self.temporary).map_err(failed)?;
        let (parent, name) = parent_and_name(&self.target)?;
        let aside = parent.join(hidden(&name, &format!("replaced-{}", std::process::id())));
        let replaces = self.target.is_dir();
        if replaces {
            fs::rename(&self.target, &aside).map_err(failed)?;
        }
        if let Err(why) = fs::rename(&self.temporary, &self.target) {
            if replaces {
                let _ = fs::rename(&aside, &self.target);
            }
            return Err(failed(why));
        }
        self.committed = true;
        let synced = flush::folder(&parent);
        if replaces {
            // The result stands; an old folder that cannot be deleted now is swept by the next run.
            let _ = fs::remove_dir_all(&aside);
        }
        synced.map_err(|why| unwritable(&self.path, &why))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// An error unless `target` is free, an empty folder, or an earlier run folder that holds nothing but
/// `files`.
fn refuse_foreign(path: &Path, target: &Path, files: &[OsString]) -> Result<()> {
    let place = path.display();
    let Ok(there) = fs::symlink_metadata(target) else { return Ok(()) };
    if !there.is_dir() {
        let advice = "Choose another name for the run folder";
        return Err(Error::new(Kind::Output, place, "is a file", "a folder", advice));
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(target).and_then(Iterator::collect);
    let entries = entries.map_err(|why| unwritable(path, &why))?;
    let found = match entries.iter().map(fs::DirEntry::file_name).find(|name| !files.contains(name)) {
        _ if entries.is_empty() => return Ok(()),
        _ if !target.join(RECORD).is_file() => {
            format!("holds files that are not a Striate run (no {RECORD})")
        }
        Some(name) => format!("holds {}, which would be lost", name.display()),
        None => return Ok(()),
    };
    let wanted = "a new or empty folder, or an earlier run of the same kind";
    Err(Error::new(Kind::Output, place, found, wanted, "Choose another folder, or empty this one yourself"))
}

/// Clears what killed runs left beside `target`, and puts back a folder that one had moved aside.
fn sweep(parent: &Path, name: &OsString, target: &Path) -> io::Result<()> {
    let starts = [hidden(name, "partial-"), hidden(name, "replaced-")];
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let sibling = entry.file_name().to_string_lossy().into_owned();
        for (start, replaced) in starts.iter().zip([false, true]) {
            let Some(pid) = sibling.strip_prefix(&*start.to_string_lossy()) else { continue };
            let Ok(pid) = pid.parse::<u32>() else { continue };
            if !entry.file_type()?.is_dir() || !is_stale(&entry.path(), pid) {
                continue;
            }
            if replaced && !target.exists() {
                fs::rename(entry.path(), target)?;
            } else {
                // Another run may be sweeping the same folder.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    Ok(())
}

pub(crate) fn is_stale(folder: &Path, pid: u32) -> bool {
    // In a container every run may have the same pid: what has ours was left by an earlier one.
    if pid == std::process::id() {
        return true;
    }
    if cfg!(target_os = "linux") && Path::new("/proc/self").exists() {
        return !Path::new("/proc").join(pid.to_string()).exists();
    }
    let age = fs::metadata(folder).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
    age.is_some_and(|age| age > Duration::from_secs(24 * 60 * 60))
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

fn hidden(name: &OsString, ending: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    hidden
}

/// The error of a file or folder that cannot be written, with advice that fits the reason.
pub(crate) fn unwritable(path: &Path, why: &io::Error) -> Error {
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
    Error::new(Kind::Output, path.display(), format!("cannot be written: {why}"), "", advice)
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
