//! The bytes of a variable, compressed or not, from its beginning on.

use std::fs::File;
use std::io::{BufReader, Error, Read, Result, Seek, SeekFrom};
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::io::file;
use crate::io::npy::most_expanded;

/// Bytes of the file's header.
const HEADER: u64 = 128;

const COMPRESSED: u32 = 15;
pub(super) const MATRIX: u32 = 14;

/// Whether the most significant byte comes first; none where these are not the first bytes of such a file.
pub(super) fn byte_order(head: &[u8]) -> Option<bool> {
    match head.get(124..128)? {
        [0, 1, b'I', b'M'] => Some(false),
        [1, 0, b'M', b'I'] => Some(true),
        _ => None,
    }
}

pub(super) fn damaged(found: impl Into<String>) -> Error {
    Error::other(found.into())
}

/// Where a variable is in its file.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    start: u64,
    bytes: u64,
    compressed: bool,
    /// Bytes that it may have when unpacked.
    most: u64,
}

/// All variables of a file, in its order.
pub(super) fn variables(path: &Path, big_endian: bool) -> Result<Vec<Variable>> {
    let mut file = file::open(path).map_err(|why| damaged(why.to_string()))?;
    let length = file.metadata()?.len();
    let mut variables = Vec::new();
    let mut at = HEADER;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut tag = [0; 8];
        file.read_exact(&mut tag)?;
        let [kind, bytes] = halves(tag, big_endian);
        let (start, bytes) = (at + 8, u64::from(bytes));
        if bytes > length - start {
            return Err(damaged(format!("a variable at byte {at} reaches beyond the end of the file")));
        }
        match kind {
            COMPRESSED | MATRIX => {
                let compressed = kind == COMPRESSED;
                let most = if compressed { most_expanded(length) } else { bytes };
                variables.push(Variable { start, bytes, compressed, most });
            }
            other => return Err(damaged(format!("it has an element of the type {other} at byte {at}"))),
        }
        at = start + bytes;
    }
    Ok(variables)
}

fn halves(bytes: [u8; 8], big_endian: bool) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    let word = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    [word([a, b, c, d]), word([e, f, g, h])]
}

/// A tag: what follows it, and how many bytes of that.
pub(super) struct Tag {
    pub kind: u32,
    pub bytes: u64,
    /// The data of a small element stand in the tag itself.
    small: Option<[u8; 4]>,
}

/// The unpacked bytes of a variable; can only go forward.
pub(super) struct Stream {
    reader: Box<dyn Read>,
    big_endian: bool,
    /// Bytes gone through, and how many there may be.
    pub at: u64,
    most: u64,
}

impl Stream {
    pub fn open(path: &Path, variable: &Variable, big_endian: bool) -> Result<Self> {
        let mut file: File = file::open(path).map_err(|why| damaged(why.to_string()))?;
        file.seek(SeekFrom::Start(variable.start))?;
        let bytes = BufReader::new(file.take(variable.bytes));
        let mut stream = Stream { reader: Box::new(bytes), big_endian, at: 0, most: variable.most };
        if variable.compressed {
            stream.reader = Box::new(ZlibDecoder::new(stream.reader));
            let tag = stream.tag()?;
            if tag.kind != MATRIX {
                return Err(damaged("a compressed variable holds no array"));
            }
            stream.at = 0;
        }
        Ok(stream)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.at > self.most {
            let most = self.most;
            return Err(damaged(format!("a variable unpacks to more than {most} bytes: save it with -v7.3")));
        }
        Ok(())
    }

    pub fn tag(&mut self) -> Result<Tag> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        let [kind, count] = halves(bytes, self.big_endian);
        if kind >> 16 == 0 {
            return Ok(Tag { kind, bytes: u64::from(count), small: None });
        }
        let [_, _, _, _, small @ ..] = bytes;
        match kind >> 16 {
            count @ 1..=4 => Ok(Tag { kind: kind & 0xffff, bytes: u64::from(count), small: Some(small) }),
            count => Err(damaged(format!("a small element claims {count} bytes"))),
        }
    }

    /// The data of an element, and the bytes that fill it up to a multiple of eight.
    pub fn element(&mut self) -> Result<(u32, Vec<u8>)> {
        let tag = self.tag()?;
        let bytes = match tag.small {
            Some(small) => small[..tag.bytes as usize].to_vec(),
            None => {
                let bytes = self.take(tag.bytes)?;
                self.skip(tag.bytes.next_multiple_of(8) - tag.bytes)?;
                bytes
            }
        };
        Ok((tag.kind, bytes))
    }

    /// The type of the next element's data, where they begin, and how many bytes they are.
    pub fn locate(&mut self) -> Result<(u32, u64, u64)> {
        let tag = self.tag()?;
        let start = if tag.small.is_some() { self.at - 4 } else { self.at };
        Ok((tag.kind, start, tag.bytes))
    }

    pub fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        // Not reserved in advance: the count is the file's word.
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(count.min(self.most)).read_to_end(&mut bytes)?;
        self.at += read as u64;
        self.check()?;
        if (read as u64) < count {
            return Err(damaged(format!("{read} bytes follow where {count} are promised")));
        }
        Ok(bytes)
    }

    pub fn skip(&mut self, count: u64) -> Result<()> {
        let allowed = count.min(self.most.saturating_sub(self.at).saturating_add(1));
        let skipped = std::io::copy(&mut self.reader.by_ref().take(allowed), &mut std::io::sink())?;
        self.at += skipped;
        self.check()?;
        if skipped < count {
            return Err(damaged(format!("{skipped} bytes follow where {count} are promised")));
        }
        Ok(())
    }

    /// Goes to the end.
    pub fn finish(&mut self) -> Result<()> {
        let left = self.most.saturating_sub(self.at).saturating_add(1);
        self.at += std::io::copy(&mut self.reader.by_ref().take(left), &mut std::io::sink())?;
        self.check()
    }
}
