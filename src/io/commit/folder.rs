//! Run folders.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::claim::Claim;
use super::process::Process;
use super::temporary::Temporary;
use super::{
    RECORD, begun_there, beside, flush, is_temporary, left, parent_and_name, real, token, unwritable,
};
use crate::error::{Error, Kind, Result};
use crate::io::disk;

/// A run folder that is written as a whole: until [`Folder::commit`] everything lies in a hidden folder beside
/// the final place, which is removed when the run ends early.
#[derive(Debug)]
pub struct Folder {
    /// As it was named.
    path: PathBuf,
    /// The files that it will hold.
    files: Vec<OsString>,
    target: PathBuf,
    temporary: Temporary,
    /// Last, so that the place is free only when nothing is there any more.
    claim: Claim,
}

impl Folder {
    /// Claims `path` and starts the folder that will stand there and hold `files`. Folders above it are made.
    /// What processes that have ended left beside it is cleared away first, and a folder that one of them had
    /// moved aside is put back.
    ///
    /// # Errors
    /// [`Kind::Output`] when another process writes it, `path` is a file, a folder with anything else in it
    /// than an earlier run's `files` (`record.json` among them), or cannot be written.
    pub fn create(path: &Path, files: &[&str]) -> Result<Folder> {
        Folder::claimed(Claim::take(path)?, path, files)
    }

    /// The same of a place that is claimed already.
    ///
    /// # Errors
    /// As [`Folder::create`].
    pub fn claimed(claim: Claim, path: &Path, files: &[&str]) -> Result<Folder> {
        replaceable(path, files)?;
        let target = real(path);
        let (parent, name) = parent_and_name(&target)?;
        let temporary = Temporary::new(parent.join(beside(&name, &format!("partial-{}", token()))));
        disk::create_dir(temporary.path()).map_err(|why| unwritable(path, &why))?;
        let files = files.iter().map(OsString::from).collect();
        Ok(Folder { path: path.to_path_buf(), files, target, temporary, claim })
    }

    /// Where to write the file `name` until the folder is committed.
    pub fn file(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Where all its files are until it is committed.
    pub fn here(&self) -> &Path {
        self.temporary.path()
    }

    /// The name that it will have.
    pub fn name(&self) -> &str {
        self.target.file_name().and_then(|name| name.to_str()).unwrap_or("run")
    }

    /// Flushes everything to the disk and moves the folder to its place. An earlier run folder there is moved
    /// aside first and deleted last; should the machine stop in between, the next [`Folder::create`] puts it
    /// back. The claim lasts as long as what is returned.
    ///
    /// # Errors
    /// [`Kind::Output`] as for [`Folder::create`]; the earlier folder is then still in place.
    pub fn commit(self) -> Result<Claim> {
        // In this order the place is free only when nothing is there any more.
        let Folder { claim, path, files, target, temporary } = self;
        let failed = |why: io::Error| unwritable(&path, &why);
        refuse_foreign(&path, &target, &files)?;
        flush::whole(temporary.path()).map_err(failed)?;
        let (parent, name) = parent_and_name(&target)?;
        // Whatever takes a file handle comes before the folder has its name.
        let around = flush::Renames::of(&parent).map_err(failed)?;
        let aside = parent.join(beside(&name, &format!("replaced-{}", token())));
        claim.check()?;
        temporary
            .keep(|whole| {
                let replaces = target.is_dir();
                if replaces {
                    disk::rename(&target, &aside)?;
                }
                let placed = disk::rename(whole, &target).and_then(|()| {
                    // A folder whose name might not last is no result.
                    around.flush().inspect_err(|_| drop(fs::rename(&target, whole)))
                });
                placed.inspect_err(|_| {
                    if replaces {
                        let _ = fs::rename(&aside, &target);
                    }
                })
            })
            .map_err(failed)?;
        // The result stands; an old folder that cannot be deleted now is cleared away by the next run.
        let _ = fs::remove_dir_all(&aside);
        Ok(claim)
    }
}

/// Clears away what processes that have ended left beside `path`, which must be claimed, and puts back what
/// one had moved aside; then says whether a folder of `files` may take its place.
///
/// # Errors
/// As [`Folder::create`].
pub fn replaceable(path: &Path, files: &[&str]) -> Result<()> {
    let target = real(path);
    let (parent, name) = parent_and_name(&target)?;
    // Whoever has no claim any more has ended, or hears of it at the end; one that can be seen is left alone.
    let has_ended = |process: &Process| process.runs() != Some(true);
    left(&parent, &beside(&name, "partial-"), |_, process| has_ended(process));
    let replaced = beside(&name, "replaced-");
    let aside = begun_there(&parent, &replaced).into_iter().find(|(_, process)| has_ended(process));
    if let Some((aside, _)) = aside.filter(|_| !target.exists()) {
        disk::rename(&aside, &target).map_err(|why| unwritable(path, &why))?;
    }
    left(&parent, &replaced, |_, process| has_ended(process));
    let files: Vec<OsString> = files.iter().map(OsString::from).collect();
    refuse_foreign(path, &target, &files)
}

/// An error unless `target` is free, an empty folder, or an earlier run folder that holds nothing but `files`
/// and what a killed process left of them.
fn refuse_foreign(path: &Path, target: &Path, files: &[OsString]) -> Result<()> {
    let place = path.display();
    let Ok(there) = fs::symlink_metadata(target) else { return Ok(()) };
    if !there.is_dir() {
        let advice = "Choose another name for the run folder";
        return Err(Error::new(Kind::Output, place, "is a file", "a folder", advice));
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(target).and_then(Iterator::collect);
    let entries = entries.map_err(|why| unwritable(path, &why))?;
    let mut names = entries.iter().map(fs::DirEntry::file_name).filter(|name| !is_temporary(name)).peekable();
    if names.peek().is_none() {
        return Ok(());
    }
    let found = match names.find(|name| !files.contains(name)) {
        _ if !target.join(RECORD).is_file() => {
            format!("holds files that are not a Striate run (no {RECORD})")
        }
        Some(name) => format!("holds {}, which would be lost", name.display()),
        None => return Ok(()),
    };
    let wanted = "a new or empty folder, or an earlier run of the same kind";
    Err(Error::new(Kind::Output, place, found, wanted, "Choose another folder, or empty this one yourself"))
}
