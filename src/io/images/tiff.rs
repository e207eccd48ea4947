//! TIFF and BigTIFF, page by page: grey or RGB, whole numbers or floats, and packed bits below a byte.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tiff::decoder::Decoder;
use tiff::tags::{SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use super::picture::{self, Stored, Values};
use crate::error::{Error, Result};
use crate::io::file;
use crate::io::npy::Element;
use crate::io::resize::Size;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Page {
    pub(super) size: Size,
    /// 1 or 3, without alpha.
    pub(super) channels: usize,
    pub(super) element: Element,
    /// Bits of a sample in the file.
    bits: u8,
    alpha: bool,
}

impl Page {
    /// Bytes that its samples take as they lie, as floats, and without alpha.
    pub(super) fn bytes(&self) -> u64 {
        let samples = self.size.height * self.size.width * (self.channels + usize::from(self.alpha));
        let copy = if self.element == Element::U8 { 1 } else { 4 };
        let copies = usize::from(self.element != Element::U8) + usize::from(self.alpha);
        (samples * (self.element.bytes() + copy * copies)) as u64
    }
}

/// An open file. Pages are best read in order.
pub(super) struct Tiff {
    path: PathBuf,
    decoder: Decoder<BufReader<File>>,
    pages: usize,
    length: u64,
}

impl Tiff {
    /// Opens a file and counts its pages.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable = |e: std::io::Error| Error::unreadable(path, &e);
        let file = file::open(path)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut reader = BufReader::new(file);
        let pages = count(path, &mut reader, length)?;
        reader.rewind().map_err(unreadable)?;
        let decoder = Decoder::new(reader).map_err(|why| undecodable(path, &why))?;
        let mut tiff = Tiff { path: path.into(), decoder, pages, length };
        tiff.check_description()?;
        Ok(tiff)
    }

    /// Number of pages.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// What a page holds, as its directory says.
    pub(super) fn page(&mut self, number: usize) -> Result<Page> {
        let path = &self.path;
        let failed = |why: TiffError| undecodable(path, &why);
        self.decoder.seek_to_image(number).map_err(failed)?;
        let (width, height) = self.decoder.dimensions().map_err(failed)?;
        picture::believable(path, [width, height], self.length)?;
        let color = self.decoder.colortype().map_err(failed)?;
        let (channels, alpha) = match color {
            ColorType::Gray(_) => (1, false),
            ColorType::RGB(_) => (3, false),
            ColorType::RGBA(_) => (3, true),
            other => return Err(unlike(path, &format!("its pixels are {other:?}"))),
        };
        let bits = color.bit_depth();
        let format = self.decoder.image_buffer_layout().map_err(failed)?.sample_format;
        let element = match (format, bits) {
            (SampleFormat::Uint, 1 | 2 | 4) if channels == 1 => Element::U8,
            (SampleFormat::Uint, 8) => Element::U8,
            (SampleFormat::Uint, 16) => Element::U16,
            (SampleFormat::Uint, 32) => Element::U32,
            (SampleFormat::Int, 8) => Element::I8,
            (SampleFormat::Int, 16) => Element::I16,
            (SampleFormat::Int, 32) => Element::I32,
            (SampleFormat::IEEEFP, 16) => Element::F16,
            (SampleFormat::IEEEFP, 32) => Element::F32,
            (SampleFormat::IEEEFP, 64) => Element::F64,
            _ => return Err(unlike(path, &format!("its samples are {format:?} of {bits} bits"))),
        };
        if !matches!(self.tag(Tag::Orientation)?, None | Some(1)) {
            return Err(picture::turned(&self.path));
        }
        let size = Size { height: height as usize, width: width as usize };
        Ok(Page { size, channels, element, bits, alpha })
    }

    /// The pixels of a page.
    pub(super) fn read(&mut self, number: usize) -> Result<Stored> {
        let page = self.page(number)?;
        let path = &self.path;
        let failed = |why: TiffError| undecodable(path, &why);
        let layout = self.decoder.image_buffer_layout().map_err(failed)?;
        let most = picture::most_bytes(self.length);
        if layout.complete_len as u64 > most {
            return Err(undecodable(path, &TiffError::LimitsExceeded));
        }
        let mut bytes = vec![0; layout.complete_len];
        self.decoder.read_image_bytes(&mut bytes).map_err(failed)?;
        let samples = page.channels + usize::from(page.alpha);
        let mut values = match page.bits {
            8 if page.element == Element::U8 => Values::Bytes(bytes),
            1 | 2 | 4 => Values::Bytes(unpacked(&page, &bytes)),
            _ => Values::Numbers(native(page.element, &bytes)),
        };
        if layout.planes > 1 {
            values = values.interleaved(layout.planes);
        }
        if page.alpha {
            values = values.without_alpha(path, samples, page.element)?;
        }
        let said = self.tag(Tag::MaxSampleValue)?.max(self.tag(Tag::SMaxSampleValue)?).map_or(0, bits_of);
        Ok(Stored { size: page.size, channels: page.channels, element: page.element, said, values })
    }

    /// The largest number of a tag; none where there is no such tag, or no whole number.
    fn tag(&mut self, tag: Tag) -> Result<Option<u64>> {
        let found = self.decoder.find_tag(tag).map_err(|why| undecodable(&self.path, &why))?;
        Ok(found.and_then(|value| match value.into_u64_vec() {
            Ok(list) => list.into_iter().max(),
            Err(_) => None,
        }))
    }

    /// Refuses a stack whose ImageJ description differs from its pages: pages that are channels, and images
    /// that follow the first one without pages of their own.
    fn check_description(&mut self) -> Result<()> {
        let Ok(text) = self.decoder.get_tag_ascii_string(Tag::ImageDescription) else { return Ok(()) };
        if !text.starts_with("ImageJ=") {
            return Ok(());
        }
        let number = |name: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            lines.filter(|(key, _)| *key == name).find_map(|(_, value)| value.trim().parse::<usize>().ok())
        };
        let images = number("images").unwrap_or(1);
        let advice = "Save the images as one .npy of (images, height, width)";
        if images > self.pages {
            let found = format!(
                "ImageJ says of the TIFF that it holds {images} images, and it has {} pages",
                self.pages
            );
            return Err(Error::input(&self.path, found, "a page for every image", advice));
        }
        // Writers for ImageJ call the pages of a plain stack channels; ImageJ itself has seven at most.
        if let Some(channels) = number("channels").filter(|channels| (2..=7).contains(channels)) {
            let found = format!("the pages of the TIFF are {channels} channels of each image");
            return Err(Error::input(&self.path, found, "one page for every image, grey or RGB", advice));
        }
        Ok(())
    }
}

/// Bits that hold a number.
fn bits_of(largest: u64) -> u32 {
    64 - largest.leading_zeros()
}

/// Rows of packed bits, the first in the highest bits of a byte, spread over bytes.
fn unpacked(page: &Page, packed: &[u8]) -> Vec<u8> {
    let (bits, each) = (usize::from(page.bits), 8 / usize::from(page.bits));
    let white = (1_u16 << bits) - 1;
    let value = |row: &[u8], x: usize| u16::from(row[x / each]) >> (8 - bits - x % each * bits) & white;
    let rows = packed.chunks_exact(page.size.width.div_ceil(each));
    rows.flat_map(|row| (0..page.size.width).map(move |x| (value(row, x) * 255 / white) as u8)).collect()
}

/// Samples in the order of this machine to numbers.
fn native(element: Element, bytes: &[u8]) -> Vec<f32> {
    macro_rules! each {
        ($number:ty, $convert:expr) => {
            bytes
                .as_chunks::<{ size_of::<$number>() }>()
                .0
                .iter()
                .map(|b| $convert(<$number>::from_ne_bytes(*b)))
                .collect()
        };
    }
    match element {
        Element::I8 => each!(i8, f32::from),
        Element::U16 => each!(u16, f32::from),
        Element::I16 => each!(i16, f32::from),
        Element::U32 => each!(u32, |v| v as f32),
        Element::I32 => each!(i32, |v| v as f32),
        Element::F16 => each!(half::f16, half::f16::to_f32),
        Element::F64 => each!(f64, |v| v as f32),
        _ => each!(f32, |v| v),
    }
}

fn unlike(path: &Path, found: &str) -> Error {
    let wanted = "grey or RGB, with 8 or 16 bits or floats of 32";
    Error::input(path, format!("cannot be decoded: {found}"), wanted, "Save it as an 8-bit PNG")
}

fn undecodable(path: &Path, why: &TiffError) -> Error {
    match why {
        TiffError::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => Error::unreadable(path, e),
        TiffError::UnsupportedError(_) => unlike(path, &why.to_string()),
        _ => Error::input(path, format!("cannot be decoded: {why}"), "an undamaged image", "Copy it again"),
    }
}

/// Counts the pages, following the directories (TIFF 6.0, section 2; BigTIFF has wider fields). What cannot
/// be followed is left to the decoder to refuse.
fn count(path: &Path, reader: &mut (impl Read + Seek), length: u64) -> Result<usize> {
    let mut fields = Fields { reader, little: true };
    let damaged = |found: &str| Err(Error::input(path, found, "an undamaged image", "Copy it again"));
    let Some((mut at, wide)) = fields.first() else { return Ok(1) };
    let mut seen = HashSet::new();
    while at != 0 {
        if !seen.insert(at) {
            return damaged("the pages of the TIFF lead back to one before");
        }
        let Some(directory) = fields.directory(at, wide, length) else { break };
        if directory.is_endless {
            // The decoder reserves memory for them all before it reads the first.
            return damaged("the TIFF claims more values than the file has bytes");
        }
        at = directory.next;
    }
    Ok(seen.len().max(1))
}

struct Directory {
    /// Where the next one begins; 0 after the last.
    next: u64,
    /// Whether some entry claims more bytes of values than the file has.
    is_endless: bool,
}

/// Numbers in a file.
struct Fields<R> {
    reader: R,
    little: bool,
}

impl<R: Read + Seek> Fields<R> {
    fn number(&mut self, at: u64, bytes: usize) -> Option<u64> {
        let mut field = [0; 8];
        let field = field.get_mut(..bytes)?;
        self.reader.seek(SeekFrom::Start(at)).ok()?;
        self.reader.read_exact(field).ok()?;
        let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
    }

    /// Where the first directory begins, and whether fields are wide.
    fn first(&mut self) -> Option<(u64, bool)> {
        self.little = self.number(0, 1)? != u64::from(b'M');
        match self.number(2, 2)? {
            42 => Some((self.number(4, 4)?, false)),
            _ => Some((self.number(8, 8)?, true)),
        }
    }

    fn directory(&mut self, start: u64, wide: bool, length: u64) -> Option<Directory> {
        // Widths of the number of entries and of a count or offset.
        let (many, width) = if wide { (8, 8) } else { (2, 4) };
        let entries = self.number(start, many)?;
        let entry_bytes = 4 + 2 * width as u64;
        let first = start.checked_add(many as u64)?;
        let end = first.checked_add(entries.checked_mul(entry_bytes)?).filter(|end| *end <= length)?;
        let mut is_endless = false;
        for at in (first..end).step_by(usize::try_from(entry_bytes).ok()?) {
            let bytes_each = match self.number(at + 2, 2)? {
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16..=18 => 8,
                _ => 1,
            };
            is_endless |= self.number(at + 4, width)?.saturating_mul(bytes_each) > length;
        }
        Some(Directory { next: self.number(end, width)?, is_endless })
    }
}
