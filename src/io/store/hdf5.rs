//! HDF5 files as a [`Store`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Attribute, Member, Store, Values};
use crate::error::{Error, Result};

/// The first bytes of every HDF5 file, at its beginning or after a user block of 512, 1024, 2048 ... bytes.
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Whether the file is HDF5.
pub fn recognise(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut at = 0;
    while at + 8 <= length {
        let mut first = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut first)?;
        if &first == SIGNATURE {
            return Ok(true);
        }
        at = if at == 0 { 512 } else { at.saturating_mul(2) };
    }
    Ok(false)
}

/// An HDF5 file.
pub struct Hdf5 {
    path: PathBuf,
}

impl Hdf5 {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Hdf5 { path: path.to_path_buf() })
    }

    fn not_yet<T>(&self) -> Result<T> {
        Err(Error::input(&self.path, "HDF5 is not read yet", "", ""))
    }
}

impl Store for Hdf5 {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self) -> Result<Vec<Member>> {
        self.not_yet()
    }

    fn member(&self, _name: &str) -> Result<Option<Member>> {
        self.not_yet()
    }

    fn read(&self, _name: &str, _region: &[Range<usize>]) -> Result<Values> {
        self.not_yet()
    }

    fn texts(&self, _name: &str) -> Result<Vec<String>> {
        self.not_yet()
    }

    fn attribute(&self, _name: &str, _attribute: &str) -> Result<Option<Attribute>> {
        self.not_yet()
    }
}
