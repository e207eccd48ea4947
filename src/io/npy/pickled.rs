//! One number of a dictionary that `numpy.save` pickled. The pickle is scanned code by code and
//! nothing of it is built: a name and the number that follows it are recognised by their codes.

use std::path::Path;

use super::{Opened, header, open};
use crate::error::{Error, Result};
use crate::io::file;

/// Bytes of the longest file that is read.
const LONGEST: u64 = 1 << 30;

/// The number under a name in a pickled dictionary (an `.npy` of Python objects); none where the name does
/// not stand before a plain number.
///
/// # Errors
/// A file that is missing, no `.npy`, or longer than 1 GiB.
pub fn pickled_number(path: &Path, name: &str) -> Result<Option<f64>> {
    let Opened { mut file, length, archive } = open(path)?;
    if archive {
        return Err(Error::input(path, "it is an archive (.npz)", "an .npy of a dictionary", ""));
    }
    let preamble = header::preamble(path, &mut file, length)?;
    let bytes = file::read(path, LONGEST)?;
    let start = usize::try_from(preamble.start).unwrap_or(usize::MAX);
    Ok(bytes.get(start..).and_then(|pickle| Codes { rest: pickle }.number(name)))
}

struct Codes<'a> {
    rest: &'a [u8],
}

/// What of a code matters here.
enum Code<'a> {
    Text(&'a [u8]),
    Number(f64),
    /// Gives the last value a number, and changes nothing else.
    Memory,
    Other,
}

impl<'a> Codes<'a> {
    fn number(mut self, name: &str) -> Option<f64> {
        let mut named = false;
        loop {
            match self.next()? {
                Code::Text(text) => named = text == name.as_bytes(),
                Code::Number(number) if named => return Some(number),
                Code::Memory => {}
                Code::Number(_) | Code::Other => named = false,
            }
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Bytes whose number is a little-endian integer of `width` bytes before them.
    fn counted(&mut self, width: usize) -> Option<&'a [u8]> {
        let count = self.take(width)?.iter().rev().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        self.take(usize::try_from(count).ok()?)
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        self.take(end + 1)
    }

    /// The next code, as in CPython's `pickletools`; none at the end, and where a code is unknown.
    fn next(&mut self) -> Option<Code<'a>> {
        let whole = |bytes: &[u8]| bytes.iter().rev().fold(0_i64, |all, &byte| all << 8 | i64::from(byte));
        Some(match self.take(1)?[0] {
            b'G' => Code::Number(f64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            b'K' => Code::Number(whole(self.take(1)?) as f64),
            b'M' => Code::Number(whole(self.take(2)?) as f64),
            b'J' => Code::Number(f64::from(i32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            b'U' | 0x8c => Code::Text(self.counted(1)?),
            b'X' | b'T' => Code::Text(self.counted(4)?),
            0x8d => Code::Text(self.counted(8)?),
            b'q' => self.take(1).map(|_| Code::Memory)?,
            b'r' => self.take(4).map(|_| Code::Memory)?,
            b'p' => self.line().map(|_| Code::Memory)?,
            0x94 => Code::Memory,
            b'h' | 0x80 | 0x82 => self.take(1).map(|_| Code::Other)?,
            0x83 => self.take(2).map(|_| Code::Other)?,
            b'j' | 0x84 => self.take(4).map(|_| Code::Other)?,
            // The frames of protocol 4 may begin between a name and its number.
            0x95 => self.take(8).map(|_| Code::Memory)?,
            b'C' | 0x8a => self.counted(1).map(|_| Code::Other)?,
            b'B' | 0x8b => self.counted(4).map(|_| Code::Other)?,
            0x8e | 0x96 => self.counted(8).map(|_| Code::Other)?,
            b'I' | b'L' | b'F' | b'S' | b'V' | b'g' | b'P' => self.line().map(|_| Code::Other)?,
            b'c' | b'i' => self.line().and_then(|_| self.line()).map(|_| Code::Other)?,
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b')'
            | b']'
            | b'}'
            | b'a'
            | b'b'
            | b'd'
            | b'e'
            | b'l'
            | b'o'
            | b's'
            | b't'
            | b'u'
            | b'R'
            | b'N'
            | b'Q'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x93
            | 0x97
            | 0x98 => Code::Other,
            _ => return None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// As Python 3.11 writes them: protocols 2, 3 and 4.
    #[test]
    fn a_number_is_found_behind_its_name_and_nowhere_else() {
        let number = |pickle: &[u8], name: &str| Codes { rest: pickle }.number(name);
        // pickle.dumps({'tau': 'fs', 'fs': 29.5, 'n': 3}, protocol)
        let two = b"\x80\x02}q\x00(X\x03\x00\x00\x00tauq\x01X\x02\x00\x00\x00fsq\x02h\x02G@=\x80\x00\x00\x00\x00\x00X\x01\x00\x00\x00nq\x03K\x03u.";
        assert_eq!(number(two, "n"), Some(3.0));
        // The key is recalled, so that it is not told: a rate is asked for instead.
        assert_eq!(number(two, "fs"), None);
        // pickle.dumps({'x': [1, 'fs'], 'fs2': 7, 'fs': 29.5}, 4)
        let four = b"\x80\x04\x95,\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01x\x94]\x94(K\x01\x8c\x02fs\x94e\x8c\x03fs2\x94K\x07h\x03G@=\x80\x00\x00\x00\x00\x00u.";
        assert_eq!(number(four, "fs2"), Some(7.0));
        // pickle.dumps({'a': b'fs', 'fs': 29.5, 'ok': True}, 4)
        let plain = b"\x80\x04\x95(\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94C\x02fs\x94\x8c\x02fs\x94G@=\x80\x00\x00\x00\x00\x00\x8c\x02ok\x94\x88u.";
        assert_eq!(number(plain, "fs"), Some(29.5));
        assert_eq!(number(plain, "ok"), None);
        for length in 0..plain.len() {
            let _ = number(&plain[..length], "ok");
        }
    }
}
