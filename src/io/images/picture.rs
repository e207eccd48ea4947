//! One picture file to pixels, however little the file can be trusted.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::integrity;
use super::scale::Scale;
use super::tiff::Tiff;
use crate::error::{Error, Result};
use crate::io::file;
use crate::io::npy::Element;
use crate::io::resize::Size;

/// Pixels that every file may claim, however short it is: a blank frame compresses to nearly nothing.
const PIXELS_OF_ANY_FILE: u64 = 1 << 20;
/// Pixels for each byte of the file. Deflate cannot pack more than 1,032 bytes into one.
const PIXELS_PER_BYTE: u64 = 1024;
/// Pixels that no file may exceed.
const PIXELS_AT_MOST: u64 = 100_000_000;
/// Bytes the decoder may take for each allowed pixel: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;

/// Samples on a known scale.
pub(super) enum Samples {
    /// 0 (black) to 255 (white).
    Bytes(Vec<u8>),
    /// 0 (black) to `white`, or on a scale of their own.
    Floats { values: Vec<f32>, white: Option<f32> },
}

/// One image, interleaved: height x width x channels, with 1 channel (grey) or 3 (red, green, blue).
pub(super) struct Picture {
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) samples: Samples,
}

/// Samples as a file holds them, interleaved.
pub(super) enum Values {
    Bytes(Vec<u8>),
    /// Of every other element.
    Numbers(Vec<f32>),
}

/// One image as its file holds it, without alpha.
pub(super) struct Stored {
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) element: Element,
    /// The fewest bits that the file says its samples have; 0 where it does not say.
    pub(super) said: u32,
    pub(super) values: Values,
}

/// What the header of a file says.
pub(super) struct Header {
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) element: Element,
    /// Images in it.
    pub(super) pages: usize,
    /// Bytes that decoding an image of it takes at once.
    pub(super) bytes: u64,
}

impl Values {
    /// Planes one after the other, pixel by pixel.
    pub(super) fn interleaved(self, planes: usize) -> Self {
        fn turned<T: Copy>(all: &[T], planes: usize) -> Vec<T> {
            let each = all.len() / planes;
            (0..each * planes).map(|at| all[at % planes * each + at / planes]).collect()
        }
        match self {
            Values::Bytes(all) => Values::Bytes(turned(&all, planes)),
            Values::Numbers(all) => Values::Numbers(turned(&all, planes)),
        }
    }

    /// Takes the last of so many samples of each pixel away, where it says that all pixels are opaque.
    pub(super) fn without_alpha(self, path: &Path, samples: usize, element: Element) -> Result<Self> {
        fn rest<T: Copy>(all: &[T], samples: usize, opaque: impl Fn(T) -> bool) -> Option<Vec<T>> {
            let mut pixels = all.chunks_exact(samples);
            let opaque = pixels.clone().all(|pixel| pixel.last().is_some_and(|alpha| opaque(*alpha)));
            opaque.then(|| pixels.by_ref().flat_map(|pixel| &pixel[..samples - 1]).copied().collect())
        }
        let opaque = match element {
            Element::U16 => 65_535.0,
            Element::U32 => u32::MAX as f32,
            _ => 1.0,
        };
        match self {
            Values::Bytes(all) => rest(&all, samples, |alpha| alpha == u8::MAX).map(Values::Bytes),
            Values::Numbers(all) => rest(&all, samples, |alpha| alpha == opaque).map(Values::Numbers),
        }
        .ok_or_else(|| {
            let found = "the image has transparent pixels, and nothing says what is behind them";
            Error::input(
                path,
                found,
                "opaque pixels",
                "Save it without alpha, on the background that was shown",
            )
        })
    }
}

impl Stored {
    /// The picture, on the scale of its set.
    pub(super) fn scaled(self, scale: &Scale) -> Picture {
        let samples = match self.values {
            Values::Bytes(bytes) => Samples::Bytes(bytes),
            Values::Numbers(values) => scale.samples(self.element, values),
        };
        Picture { size: self.size, channels: self.channels, samples }
    }
}

/// Reads the header alone.
pub(super) fn header(path: &Path) -> Result<Header> {
    let file = file::open(path)?;
    let length = file.metadata().map_err(|e| Error::unreadable(path, &e))?.len();
    let mut reader = BufReader::new(file);
    let format = format(path, &mut reader)?;
    if format == ImageFormat::Tiff {
        let mut tiff = Tiff::open(path)?;
        let (page, pages) = (tiff.page(0)?, tiff.pages());
        let bytes = length.saturating_add(page.bytes());
        return Ok(Header { size: page.size, channels: page.channels, element: page.element, pages, bytes });
    }
    let decoder = decoder(path, reader, format, length)?;
    let color = decoder.color_type();
    let wide = color.bytes_per_pixel() / color.channel_count() > 1;
    let element = if wide { Element::U16 } else { Element::U8 };
    let decoded = decoder.total_bytes();
    let copied = match (wide, color.has_alpha()) {
        (true, true) => 4 * decoded,
        (true, false) => 2 * decoded,
        (false, alpha) => u64::from(alpha) * decoded,
    };
    // The coefficients of a progressive JPEG lie beside its pixels, two bytes each.
    let held = if format == ImageFormat::Jpeg { 2 * decoded } else { 0 };
    let bytes = length.saturating_add(decoded + copied + held);
    let channels = if color.has_color() { 3 } else { 1 };
    Ok(Header { size: size(&decoder), channels, element, pages: 1, bytes })
}

/// Decodes a file of one image. Gamma and colour profiles are not applied, as Pillow does not apply them
/// either; what would have to be turned, or lies on a background, is refused.
pub(super) fn stored(path: &Path) -> Result<Stored> {
    let file = file::open(path)?;
    let format = format(path, &mut BufReader::new(file))?;
    if format == ImageFormat::Tiff {
        let mut tiff = Tiff::open(path)?;
        if tiff.pages() > 1 {
            let advice = "Name the file itself, or save each page as a file of its own";
            let found = format!("the TIFF holds {} pages", tiff.pages());
            return Err(Error::input(path, found, "one image per file of a folder", advice));
        }
        return tiff.read(0);
    }
    let data = file::read(path, u64::MAX)?;
    if format == ImageFormat::Jpeg {
        if !integrity::jpeg_has_an_end(&data) {
            // The decoder would fill the missing part with grey and say nothing.
            return Err(Error::input(path, "the JPEG breaks off", "a whole file", "Copy it again"));
        }
        if integrity::jpeg_channels(&data) == Some(4) {
            let (wanted, advice) = ("grey or RGB", "Convert it to RGB with the program that wrote it");
            return Err(Error::input(path, "the JPEG is CMYK, which has no RGB of its own", wanted, advice));
        }
    }
    let mut decoder = decoder(path, Cursor::new(&data), format, data.len() as u64)?;
    if !matches!(decoder.orientation(), Ok(Orientation::NoTransforms) | Err(_)) {
        return Err(turned(path));
    }
    let size = size(&decoder);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| undecodable(path, &e))?;
    let color = decoded.color();
    let channels = if color.has_color() { 3 } else { 1 };
    let (element, mut values) = match decoded {
        DynamicImage::ImageLuma16(x) => (Element::U16, wide(x.as_raw())),
        DynamicImage::ImageLumaA16(x) => (Element::U16, wide(x.as_raw())),
        DynamicImage::ImageRgb16(x) => (Element::U16, wide(x.as_raw())),
        DynamicImage::ImageRgba16(x) => (Element::U16, wide(x.as_raw())),
        x => (Element::U8, Values::Bytes(x.into_bytes())),
    };
    if color.has_alpha() {
        values = values.without_alpha(path, channels + 1, element)?;
    }
    let said = match (&values, integrity::png_significant_bits(&data)) {
        // By the standard, samples of fewer bits are spread over all sixteen.
        (Values::Numbers(x), Some(bits)) if x.iter().any(|x| *x >= (1_u32 << bits.min(16)) as f32) => 16,
        (_, bits) => bits.unwrap_or(0),
    };
    Ok(Stored { size, channels, element, said, values })
}

fn wide(samples: &[u16]) -> Values {
    Values::Numbers(samples.iter().map(|sample| f32::from(*sample)).collect())
}

fn size(decoder: &impl ImageDecoder) -> Size {
    let (width, height) = decoder.dimensions();
    Size { height: height as usize, width: width as usize }
}

fn format(path: &Path, reader: &mut (impl BufRead + Seek)) -> Result<ImageFormat> {
    let guessed = ImageReader::new(&mut *reader).with_guessed_format();
    let format = guessed.map_err(|e| Error::unreadable(path, &e))?.format();
    reader.rewind().map_err(|e| Error::unreadable(path, &e))?;
    match format {
        Some(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff)) => Ok(format),
        // BigTIFF, which the crate's guess leaves out.
        None if integrity::is_big_tiff(reader) => Ok(ImageFormat::Tiff),
        _ => {
            let advice = "Save it as one of these; renaming is not enough";
            Err(Error::input(path, "another kind of file", "a PNG, JPEG or TIFF image", advice))
        }
    }
}

/// Bytes that decoding a file of `length` bytes may take.
pub(super) fn most_bytes(length: u64) -> u64 {
    most_pixels(length) * BYTES_PER_PIXEL
}

fn most_pixels(length: u64) -> u64 {
    length.saturating_mul(PIXELS_PER_BYTE).clamp(PIXELS_OF_ANY_FILE, PIXELS_AT_MOST)
}

/// Refuses an image of no pixel, or of more than a file of `length` bytes can hold.
pub(super) fn believable(path: &Path, [width, height]: [u32; 2], length: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::input(path, format!("the image is {height}x{width}"), "at least one pixel", ""));
    }
    let pixels = most_pixels(length);
    if u64::from(width) * u64::from(height) <= pixels {
        return Ok(());
    }
    Err(Error::input(
        path,
        format!("a file of {length} bytes claims an image of {height}x{width} (height x width)"),
        format!("at most {pixels} pixels for a file of this length"),
        "It is damaged, or too large for a stimulus: save it again, smaller",
    ))
}

/// The error of an image that its file says is to be turned.
pub(super) fn turned(path: &Path) -> Error {
    let found = "its orientation tag asks for it to be turned, which some programs do and others do not";
    Error::input(
        path,
        found,
        "an image that is stored upright",
        "Save it the way it was shown, without the tag",
    )
}

/// A decoder of a PNG or JPEG that has read the header and found its claims believable for a file of `length`
/// bytes.
fn decoder<'a, R: BufRead + Seek + 'a>(
    path: &Path,
    reader: R,
    format: ImageFormat,
    length: u64,
) -> Result<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::with_format(reader, format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(most_bytes(length));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| undecodable(path, &e))?;
    let (width, height) = decoder.dimensions();
    believable(path, [width, height], length)?;
    Ok(decoder)
}

fn undecodable(path: &Path, why: &ImageError) -> Error {
    match why {
        ImageError::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => Error::unreadable(path, e),
        ImageError::Unsupported(_) => Error::input(
            path,
            format!("cannot be decoded: {why}"),
            "grey or RGB with 8 or 16 bits",
            "Save it as an 8-bit PNG",
        ),
        _ => Error::input(path, format!("cannot be decoded: {why}"), "an undamaged image", "Copy it again"),
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
