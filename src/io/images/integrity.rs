//! What the decoders let pass: a JPEG that breaks off, a TIFF with more pages or with endless entries.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

/// Whether an end-of-image marker follows the start of the first scan. Within a scan these two bytes mean
/// nothing else (ITU T.81, B.1.1.5); the segments before it are skipped, because thumbnails in them have
/// their own.
pub(super) fn jpeg_has_an_end(data: &[u8]) -> bool {
    let mut rest = data.get(2..).unwrap_or_default();
    while let [0xFF, marker, tail @ ..] = rest {
        rest = match (marker, tail) {
            (0xDA, _) => break,
            (0xD9, _) => return true,
            (0xFF, _) => &rest[1..],
            (0x01 | 0xD0..=0xD7, _) => tail,
            (_, [high, low, ..]) => {
                tail.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default()
            }
            _ => &[],
        };
    }
    rest.windows(2).any(|pair| pair == [0xFF, 0xD9])
}

/// The first directory of a TIFF (TIFF 6.0, section 2; BigTIFF has wider fields).
struct Directory {
    /// Whether another directory follows.
    has_next: bool,
    /// Whether some entry claims more bytes of values than the file has.
    is_endless: bool,
}

/// Refuses what the decoder would get wrong. A directory that cannot be followed is left to the decoder to
/// refuse.
pub(super) fn check_tiff(path: &Path, reader: &mut (impl Read + Seek), length: u64) -> Result<()> {
    match directory(reader, length) {
        Some(Directory { is_endless: true, .. }) => {
            // The decoder reserves memory for them all before it reads the first.
            let found = "the TIFF claims more values than the file has bytes";
            Err(Error::input(path, found, "an undamaged image", "Copy it again"))
        }
        Some(Directory { has_next: true, .. }) => Err(Error::input(
            path,
            "the TIFF holds more than one page",
            "one image per file",
            "Save each page as a file of its own, or all of them as one .npy of (images, height, width)",
        )),
        _ => Ok(()),
    }
}

fn directory(reader: &mut (impl Read + Seek), length: u64) -> Option<Directory> {
    let mut little = true;
    let mut number = |at: u64, bytes: usize, little: bool| -> Option<u64> {
        let mut field = [0; 8];
        let field = field.get_mut(..bytes)?;
        reader.seek(SeekFrom::Start(at)).ok()?;
        reader.read_exact(field).ok()?;
        let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
    };
    if number(0, 1, little)? == u64::from(b'M') {
        little = false;
    }
    // Widths of the number of entries and of a count or offset.
    let (start, many, wide) = match number(2, 2, little)? {
        42 => (number(4, 4, little)?, 2, 4),
        _ => (number(8, 8, little)?, 8, 8),
    };
    let entries = number(start, many, little)?;
    let entry_bytes = 4 + 2 * wide as u64;
    let first = start.checked_add(many as u64)?;
    let end = first.checked_add(entries.checked_mul(entry_bytes)?).filter(|end| *end <= length)?;
    let mut is_endless = false;
    for at in (first..end).step_by(usize::try_from(entry_bytes).ok()?) {
        let bytes_each = match number(at + 2, 2, little)? {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        is_endless |= number(at + 4, wide, little)?.saturating_mul(bytes_each) > length;
    }
    Some(Directory { has_next: number(end, wide, little)? != 0, is_endless })
}
