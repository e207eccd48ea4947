//! The members of an `.npz` archive, with the limits that keep a zip bomb out.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Kind, Result};
use crate::io::file;

/// Where the data of one array lies in its archive.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Without the ending `.npy`, as NumPy names it.
    pub name: String,
    pub index: usize,
    /// Offset of its (compressed) data in the archive.
    pub start: u64,
    pub compressed: u64,
    /// Bytes when expanded, as claimed; within the limit.
    pub size: u64,
    pub stored: bool,
}

/// An open archive and its arrays, in the archive's order.
pub(super) struct Archive {
    pub zip: ZipArchive<BufReader<File>>,
    pub members: Vec<Member>,
}

/// Expanded bytes allowed from a file of this length: real responses and images compress far less than 64
/// times.
pub(in crate::io) fn limit(length: u64) -> u64 {
    length.saturating_mul(64).max(64 << 20)
}

impl Archive {
    /// Lists the arrays of an archive of `length` bytes.
    pub fn open(path: &Path, file: File, length: u64) -> Result<Self> {
        let damaged = |found: String| {
            Error::input(path, found, "an .npz archive of NumPy arrays", "Save it again with numpy.savez")
        };
        let broken = |why: zip::result::ZipError| damaged(format!("the archive is damaged ({why})"));
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
        let mut members = Vec::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(broken)?;
            let full = entry.name().map_err(broken)?.into_owned();
            let Some(name) = full.strip_suffix(".npy") else { continue };
            let stored = entry.compression() == CompressionMethod::Stored;
            if entry.encrypted() || !(stored || entry.compression() == CompressionMethod::Deflated) {
                return Err(damaged(format!(
                    "'{}' is encrypted or compressed in an unusual way",
                    shown(name)
                )));
            }
            let (start, compressed, size) = (entry.data_start(), entry.compressed_size(), entry.size());
            let start = start.filter(|s| s.checked_add(compressed).is_some_and(|end| end <= length));
            let Some(start) = start.filter(|_| !stored || compressed == size) else {
                return Err(damaged(format!("'{}' reaches beyond the end of the archive", shown(name))));
            };
            if size > limit(length) {
                let found = format!("'{}' claims to expand to {size} bytes from {length}", shown(name));
                let advice = "If the array is genuine, save it uncompressed with numpy.save or numpy.savez";
                return Err(Error::input(path, found, format!("at most {}", limit(length)), advice));
            }
            members.push(Member { name: name.to_string(), index, start, compressed, size, stored });
        }
        if members.is_empty() {
            return Err(damaged("the archive holds no array".into()));
        }
        Ok(Archive { zip, members })
    }

    /// The member with this name, or the only one.
    pub fn choose(&self, path: &Path, wanted: Option<&str>) -> Result<Member> {
        let wanted = wanted.map(|name| name.strip_suffix(".npy").unwrap_or(name));
        let found = match wanted {
            None if self.members.len() == 1 => return Ok(self.members[0].clone()),
            None => format!("the archive holds {} arrays", self.members.len()),
            Some(name) => match self.members.iter().find(|m| m.name == name) {
                Some(member) => return Ok(member.clone()),
                None => format!("the archive holds no array '{name}'"),
            },
        };
        let mut names: Vec<String> = self.members.iter().take(20).map(|m| shown(&m.name)).collect();
        if self.members.len() > names.len() {
            names.push("...".into());
        }
        let advice = format!("Write {}:NAME", path.display());
        Err(Error::new(Kind::Input, path.display(), found, format!("one of {}", names.join(", ")), advice))
    }
}

/// A name of the archive, fit to be shown.
fn shown(name: &str) -> String {
    name.chars().take(80).collect::<String>().escape_debug().to_string()
}

/// The bytes of a compressed member from its beginning; can only go forward.
pub(super) struct Inflate {
    path: PathBuf,
    start: u64,
    compressed: u64,
    stream: DeflateDecoder<BufReader<std::io::Take<File>>>,
    /// Expanded bytes already read.
    at: u64,
}

impl Inflate {
    pub fn open(path: &Path, member: &Member) -> Result<Self> {
        let stream = Self::begin(path, member.start, member.compressed)?;
        Ok(Inflate { path: path.into(), start: member.start, compressed: member.compressed, stream, at: 0 })
    }

    fn begin(
        path: &Path,
        start: u64,
        compressed: u64,
    ) -> Result<DeflateDecoder<BufReader<std::io::Take<File>>>> {
        let unreadable = |why| Error::unreadable(path, &why);
        let mut file = file::open(path)?;
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        Ok(DeflateDecoder::new(BufReader::new(file.take(compressed))))
    }

    /// Moves to an expanded byte: forward by skipping, back by beginning anew.
    pub fn seek(&mut self, to: u64) -> Result<()> {
        if to < self.at {
            self.stream = Self::begin(&self.path, self.start, self.compressed)?;
            self.at = 0;
        }
        let ahead = to - self.at;
        let skipped = std::io::copy(&mut self.by_ref().take(ahead), &mut std::io::sink())
            .map_err(|why| Error::unreadable(&self.path, &why))?;
        if skipped < ahead {
            let found = format!("a compressed array ends at byte {} of at least {to}", self.at);
            return Err(Error::input(
                &self.path,
                found,
                "the whole array",
                "The archive is damaged: save it again",
            ));
        }
        Ok(())
    }
}

impl Read for Inflate {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}
