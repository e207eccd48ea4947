//! Files and folders that are there only while something is being written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What this process has begun and not finished, in the order in which it was begun.
static BEGUN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    path: PathBuf,
    /// What a file must hold to be ours.
    content: Option<String>,
}

impl Entry {
    fn remove(&self) {
        let is_ours = |content| fs::read_to_string(&self.path).is_ok_and(|there| &there == content);
        if self.content.as_ref().is_some_and(|content| !is_ours(content)) {
            return;
        }
        if fs::remove_file(&self.path).is_ok() {
            return;
        }
        // Another thread may be writing into the folder while it is cleared.
        for _ in 0..20 {
            match fs::remove_dir_all(&self.path) {
                Err(why) if why.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

fn begun() -> MutexGuard<'static, Vec<Entry>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is removed with this, unless it is kept first.
#[derive(Debug)]
pub struct Temporary(Entry);

impl Temporary {
    /// Of a file or folder that is about to be made.
    pub(crate) fn new(path: PathBuf) -> Temporary {
        Temporary::of(Entry { path, content: None })
    }

    /// Of a file that is about to be made, which is left alone where it holds anything but this.
    pub(super) fn holding(path: PathBuf, content: String) -> Temporary {
        Temporary::of(Entry { path, content: Some(content) })
    }

    fn of(entry: Entry) -> Temporary {
        begun().push(entry.clone());
        Temporary(entry)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Gives it its place, by `into_place`, in one piece: [`abandon`] comes before or after that.
    pub(crate) fn keep(self, into_place: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut begun = begun();
        into_place(&self.0.path)?;
        begun.retain(|entry| *entry != self.0);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut begun = begun();
        if let Some(at) = begun.iter().position(|entry| *entry == self.0) {
            begun.remove(at).remove();
        }
    }
}

/// Removes whatever this process has begun to write and not finished, and has every thread that would begin
/// or finish something wait for ever: for a process that is about to end.
pub fn abandon() {
    let mut begun = begun();
    // What lies in a claimed place goes before the claim.
    begun.drain(..).rev().for_each(|entry| entry.remove());
    std::mem::forget(begun);
}
