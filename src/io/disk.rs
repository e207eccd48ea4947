//! All changes to the disk, in one place, so that a test can make the Nth one fail: files, writes, flushes,
//! folders, renames. Nothing else in the library makes or writes files, except the cache of tile timings.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Changes so far, and which of them fail.
static COUNT: AtomicU64 = AtomicU64::new(0);
static FAIL: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// For tests: counts the changes that this process makes from now on, and makes those numbered in `faults`
/// fail as on a full disk; `0..0` lets all work again. Returns how many there were since the last call.
pub fn fail(faults: Range<u64>) -> u64 {
    FAIL[0].store(faults.start, Ordering::SeqCst);
    FAIL[1].store(faults.end, Ordering::SeqCst);
    COUNT.swap(0, Ordering::SeqCst)
}

fn change() -> io::Result<()> {
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let [first, end] = [0, 1].map(|at| FAIL[at].load(Ordering::SeqCst));
    if (first..end).contains(&number) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct File(fs::File);

impl File {
    /// Begins a file, in place of the one that may be there.
    pub fn create(path: &Path) -> io::Result<File> {
        change()?;
        fs::File::create(path).map(File)
    }

    /// Begins a file where there is none.
    pub fn create_new(path: &Path) -> io::Result<File> {
        change()?;
        fs::File::create_new(path).map(File)
    }

    /// Opens a file, or begins it, to write behind its first `length` bytes; the rest is cut off.
    pub fn continued(path: &Path, length: u64) -> io::Result<File> {
        change()?;
        let mut file = fs::File::options().create(true).truncate(false).write(true).open(path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(File(file))
    }

    /// Opens what is there, which may be a device.
    pub fn open(path: &Path) -> io::Result<File> {
        change()?;
        fs::File::options().write(true).open(path).map(File)
    }

    /// What has been written is on the disk when this returns.
    pub fn sync(&self) -> io::Result<()> {
        sync(&self.0)
    }

    /// The file itself, for what changes no bytes.
    pub fn into_inner(self) -> fs::File {
        self.0
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        change()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Flushes a file or folder to the disk.
pub(crate) fn sync(file: &fs::File) -> io::Result<()> {
    change()?;
    file.sync_all()
}

/// Makes a folder.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    change()?;
    fs::create_dir(path)
}

/// Makes a folder and those above it, where they are not there yet.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    change()?;
    fs::create_dir_all(path)
}

/// Moves a file or folder.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    change()?;
    fs::rename(from, to)
}
