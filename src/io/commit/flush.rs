//! Files to the disk, side by side: what a journalling file system is asked for at the same time, it flushes
//! together. Forty files take about as long as two.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::io::disk::{self, File};

/// Files that are flushed at the same time.
const SIDE_BY_SIDE: usize = 16;

/// Flushes files.
pub(super) fn files(paths: &[PathBuf]) -> io::Result<()> {
    let threads = paths.len().min(SIDE_BY_SIDE);
    // Windows flushes only what is open for writing.
    let flush = |path: &PathBuf| File::open(path)?.sync();
    let flush = &flush;
    if threads < 2 {
        return paths.iter().try_for_each(flush);
    }
    std::thread::scope(|scope| {
        let share = |first| move || paths.iter().skip(first).step_by(threads).try_for_each(flush);
        let mut workers = Vec::with_capacity(threads);
        for first in 0..threads {
            match std::thread::Builder::new().spawn_scoped(scope, share(first)) {
                Ok(worker) => workers.push(worker),
                // The system gives no more: this thread does the rest.
                Err(_) => share(first)()?,
            }
        }
        let ended = |worker: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread that flushes files panicked")))
        };
        workers.into_iter().try_for_each(ended)
    })
}

/// Flushes a folder with all that is in it.
pub(super) fn whole(folder: &Path) -> io::Result<()> {
    let (mut inside, mut folders) = (Vec::new(), Vec::new());
    list(folder, &mut inside, &mut folders)?;
    files(&inside)?;
    folders.iter().try_for_each(|folder| self::folder(folder))
}

/// Files, and folders, those inside others first.
fn list(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files, folders)?;
        } else {
            files.push(entry.path());
        }
    }
    folders.push(folder.into());
    Ok(())
}

/// Makes renames in `folder` durable.
pub(super) fn folder(folder: &Path) -> io::Result<()> {
    Renames::of(folder)?.flush()
}

/// A folder whose renames are to be durable. Windows has no such thing, and does not need it.
pub(super) struct Renames(Option<fs::File>);

impl Renames {
    /// Opens it.
    pub fn of(folder: &Path) -> io::Result<Renames> {
        Ok(Renames(if cfg!(unix) { Some(fs::File::open(folder)?) } else { None }))
    }

    /// The renames of before are on the disk when this returns.
    pub fn flush(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), disk::sync)
    }
}
