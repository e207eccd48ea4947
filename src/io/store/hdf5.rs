//! HDF5 files as a [`Store`]. This file and its folder alone know the crate that reads them.
//!
//! The crate reads ranges of the file, never the whole, and keeps the last chunks that it unpacked. What it
//! may allocate is set here from the length of the file ([`Limits`]).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdf5_reader::error::Error as Damage;
use hdf5_reader::io::Cursor;
use hdf5_reader::{Dataset, Hdf5File, OpenOptions};

use super::{ArrayMember, Attribute, Link, Member, MemberKind, Store, Values, check_region, place};
use crate::error::{Error, Kind, Result};

mod describe;
mod grown;
mod links;
mod region;
mod texts;
mod types;

use describe::{Described, describe};
use grown::Grown;
use links::{Children, Place};

/// The first bytes of every HDF5 file, at its beginning or after a user block of 512, 1024, 2048 ... bytes.
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Longest path of a member in bytes: groups within groups with long names would be many times the file.
const LONGEST_PATH: usize = 1024;

/// Whether the file is HDF5.
pub fn recognise(file: &mut File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let mut at: u64 = 0;
    while at.saturating_add(8) <= length {
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

/// Bytes that may be allocated, by the length of the file. Together (one chunk as it was, before and after
/// its last filter, the cache and the result) they stay below 64 times the file, or a few MiB where that is
/// more.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// One unpacked chunk.
    chunk: usize,
    /// Unpacked chunks that are kept.
    cache: usize,
    /// What one call returns, with the copies that are made of it on the way.
    result: usize,
    /// All parts of the header of one object.
    header: usize,
}

impl Limits {
    fn new(length: u64) -> Self {
        let times = |factor: u64, least: u64| {
            usize::try_from(length.saturating_mul(factor).max(least)).unwrap_or(usize::MAX)
        };
        Limits {
            chunk: times(12, 1 << 20),
            cache: times(4, 1 << 20).min(256 << 20),
            result: times(32, 4 << 20),
            header: times(1, 1 << 16).min(16 << 20),
        }
    }
}

/// An open HDF5 file.
pub struct Hdf5 {
    path: PathBuf,
    length: u64,
    limits: Limits,
    file: Hdf5File,
    root: u64,
    /// The names of the groups that were looked into, by address.
    groups: Mutex<HashMap<u64, Children>>,
}

impl Hdf5 {
    /// Opens the file and reads its root.
    pub fn open(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|why| Error::unreadable(path, &why))?.len();
        let limits = Limits::new(length);
        let options = OpenOptions {
            chunk_cache_bytes: limits.cache,
            chunk_cache_slots: (limits.cache >> 11).min(1 << 14),
            max_chunk_bytes: limits.chunk,
            max_read_bytes: limits.result,
            max_object_header_bytes: limits.header,
            ..OpenOptions::default()
        };
        let whole = |why: Damage| damaged(path.display().to_string(), &why);
        let file = Hdf5File::open_with_options(path, options).map_err(whole)?;
        let block = file.superblock();
        let promised = block.eof_address;
        if promised > length && !Cursor::is_undefined_offset(promised, block.offset_size) {
            let found = format!("it is cut off: it had {promised} bytes, of which {length} are there");
            return Err(Error::input(path, found, "the whole file", "Copy or download it again"));
        }
        let root = file.root_group().map_err(whole)?.address();
        Ok(Hdf5 { path: path.to_path_buf(), length, limits, file, root, groups: Mutex::default() })
    }

    fn damaged(&self, name: &str, why: &Damage) -> Error {
        damaged(place(self, name), why)
    }

    fn refuse<T>(&self, name: &str, found: impl Into<String>, wanted: &str, advice: &str) -> Result<T> {
        Err(Error::new(Kind::Input, place(self, name), found.into(), wanted, advice))
    }

    /// The array and the crate's handle of it.
    fn dataset(&self, name: &str) -> Result<(ArrayMember, Dataset)> {
        let array = super::array(self, name)?;
        let Place::Object { address, path } = self.locate(name)? else {
            return self.refuse(name, "it is no array", "an array", "");
        };
        let dataset = self.file.dataset(&path).map_err(|why| self.damaged(name, &why))?;
        if dataset.address() != address {
            return self.refuse(
                name,
                "two members have this name",
                "an intact file",
                "Copy or save it again",
            );
        }
        Ok((array, dataset))
    }

    fn known_groups(&self) -> MutexGuard<'_, HashMap<u64, Children>> {
        // Nobody panics while holding it, and a list is inserted whole.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is at an address, whose first path is known.
    fn kind(&self, address: u64) -> MemberKind {
        match self.file.get_or_parse_header(address) {
            Ok(header) => match describe(&self.file, &header) {
                Described::Group => MemberKind::Group,
                Described::Array(array) => MemberKind::Array(array),
                Described::Other(what) => MemberKind::Other { what },
            },
            Err(why) => MemberKind::Other { what: in_words(&why) },
        }
    }
}

fn damaged(place: String, why: &Damage) -> Error {
    Error::new(
        Kind::Input,
        place,
        in_words(why),
        "an intact HDF5 file",
        "Copy it again, or open it with h5py to see",
    )
}

/// What the crate found, as the rest of a sentence about the file or the member.
fn in_words(why: &Damage) -> String {
    let mut cause = why;
    while let Damage::Context { source, .. } = cause {
        cause = source;
    }
    if let Damage::UnsupportedLayoutClass(3) = cause {
        return "it is a virtual array, all over other arrays or files, which Striate does not read".into();
    }
    let text = cause.to_string();
    let short: String = text.chars().take(300).collect::<String>().escape_debug().to_string();
    if text.starts_with("unsupported") {
        format!("it uses a part of HDF5 that Striate does not read ({short})")
    } else {
        format!("it is damaged ({short})")
    }
}

/// Whether a filter of this number can be undone.
fn knows_filter(id: u16) -> bool {
    use hdf5_reader::filters::{
        FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_NBIT, FILTER_SCALEOFFSET, FILTER_SHUFFLE,
    };
    [FILTER_DEFLATE, FILTER_SHUFFLE, FILTER_FLETCHER32, FILTER_NBIT, FILTER_SCALEOFFSET].contains(&id)
}

impl Store for Hdf5 {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self) -> Result<Vec<Member>> {
        self.walk().map(|(members, _)| members)
    }

    fn member(&self, name: &str) -> Result<Option<Member>> {
        let path = format!("/{}", name.trim_matches('/'));
        Ok(match self.locate(name)? {
            Place::Object { address, .. } => Some(Member { path, kind: self.kind(address) }),
            Place::Link(link) => Some(Member { path, kind: MemberKind::Link(link) }),
            Place::Nothing => None,
        })
    }

    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        self.read_region(name, region)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.read_texts(name)
    }

    fn references(&self, name: &str) -> Result<Vec<String>> {
        self.read_references(name)
    }

    fn attribute(&self, name: &str, attribute: &str) -> Result<Option<Attribute>> {
        self.read_attribute(name, attribute)
    }
}
