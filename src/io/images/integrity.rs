//! What the decoders let pass or do not tell: a JPEG that breaks off or is CMYK, a PNG's significant bits.

use std::io::{Read, Seek};

/// The markers of a JPEG before its first scan, each with its segment (ITU T.81, B.1).
fn jpeg_segments(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = data.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let [0xFF, marker, tail @ ..] = rest else { return None };
            match (*marker, tail) {
                (0xFF, _) => rest = &rest[1..],
                (0x01 | 0xD0..=0xD7, _) => rest = tail,
                (0xDA | 0xD9, _) => {
                    rest = &[];
                    return Some((*marker, tail));
                }
                (marker, [high, low, ..]) => {
                    let (segment, after) = tail
                        .split_at_checked(u16::from_be_bytes([*high, *low]).into())
                        .unwrap_or((tail, &[]));
                    rest = after;
                    return Some((marker, segment));
                }
                _ => return None,
            }
        }
    })
}

/// Whether an end-of-image marker follows the start of the first scan. Within a scan these two bytes mean
/// nothing else (ITU T.81, B.1.1.5); the segments before it are skipped, because thumbnails in them have
/// their own.
pub(super) fn jpeg_has_an_end(data: &[u8]) -> bool {
    match jpeg_segments(data).last() {
        Some((0xD9, _)) => true,
        Some((0xDA, scan)) => scan.windows(2).any(|pair| pair == [0xFF, 0xD9]),
        _ => false,
    }
}

/// Channels that a JPEG's frame header counts.
pub(super) fn jpeg_channels(data: &[u8]) -> Option<u8> {
    let is_frame = |marker: u8| matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
    let frame = jpeg_segments(data).find(|(marker, _)| is_frame(*marker));
    frame.and_then(|(_, segment)| segment.get(7).copied())
}

/// The most bits of a channel that a PNG says were significant before they were spread (its sBIT chunk).
pub(super) fn png_significant_bits(data: &[u8]) -> Option<u32> {
    let mut rest = data.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    loop {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (name, tail) = tail.split_first_chunk::<4>()?;
        let (chunk, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        match name {
            b"sBIT" => return chunk.iter().copied().max().map(u32::from),
            b"IDAT" => return None,
            // Its checksum follows.
            _ => rest = tail.get(4..)?,
        }
    }
}

/// Whether a file begins like a BigTIFF, at whose start the reader stands.
pub(super) fn is_big_tiff(reader: &mut (impl Read + Seek)) -> bool {
    let mut first = [0; 4];
    let read = reader.read_exact(&mut first).is_ok() && reader.rewind().is_ok();
    read && (&first == b"II\x2B\0" || &first == b"MM\0\x2B")
}
