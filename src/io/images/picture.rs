//! One PNG, JPEG or TIFF file to pixels, however little the file can be trusted.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::integrity;
use crate::error::{Error, Result};
use crate::io::resize::Size;

/// Pixels that every file may claim, however short it is: a blank frame compresses to nearly nothing.
const PIXELS_OF_ANY_FILE: u64 = 1 << 20;
/// Pixels for each byte of the file. Deflate cannot pack more than 1,032 bytes into one.
const PIXELS_PER_BYTE: u64 = 1024;
/// Pixels that no file may exceed.
const PIXELS_AT_MOST: u64 = 100_000_000;
/// Bytes the decoder may take for each allowed pixel: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;

/// Samples as the source holds them.
pub(super) enum Samples {
    /// 0..255.
    Bytes(Vec<u8>),
    /// Whatever scale the source has.
    Floats(Vec<f32>),
}

/// One image, interleaved: height x width x channels, with 1 channel (grey) or 3 (red, green, blue).
pub(super) struct Picture {
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) samples: Samples,
}

/// What the header of a file says.
pub(super) struct Header {
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) element: &'static str,
}

/// Reads the header alone.
pub(super) fn header(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    let length = file.metadata().map_err(|e| Error::unreadable(path, &e))?.len();
    let (_, decoder) = decoder(path, BufReader::new(file), length)?;
    let color = decoder.color_type();
    let element = match color.bytes_per_pixel() / color.channel_count() {
        1 => "u8",
        2 => "u16",
        _ => "f32",
    };
    Ok(Header { size: size(&decoder), channels: if color.has_color() { 3 } else { 1 }, element })
}

/// Decodes a file: 16 bits are rounded to 8, alpha is dropped, CMYK becomes RGB, float TIFF stays float.
/// Orientation tags, gamma and colour profiles are not applied, as Pillow does not apply them either.
pub(super) fn picture(path: &Path) -> Result<Picture> {
    let data = std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
    let (format, decoder) = decoder(path, Cursor::new(&data), data.len() as u64)?;
    if format == ImageFormat::Jpeg && !integrity::jpeg_has_an_end(&data) {
        // The decoder would fill the missing part with grey and say nothing.
        return Err(Error::input(path, "the JPEG breaks off", "a whole file", "Copy it again"));
    }
    let size = size(&decoder);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| undecodable(path, &e))?;
    let (channels, samples) = match decoded {
        DynamicImage::ImageRgb32F(x) => (3, Samples::Floats(x.into_raw())),
        DynamicImage::ImageRgba32F(x) => {
            (3, Samples::Floats(x.pixels().flat_map(|p| [p[0], p[1], p[2]]).collect()))
        }
        x if !x.color().has_color() => (1, Samples::Bytes(x.into_luma8().into_raw())),
        x => (3, Samples::Bytes(x.into_rgb8().into_raw())),
    };
    Ok(Picture { size, channels, samples })
}

fn size(decoder: &impl ImageDecoder) -> Size {
    let (width, height) = decoder.dimensions();
    Size { height: height as usize, width: width as usize }
}

/// A decoder that has read the header and found its claims believable for a file of `length` bytes.
fn decoder<'a, R: BufRead + Seek + 'a>(
    path: &Path,
    reader: R,
    length: u64,
) -> Result<(ImageFormat, impl ImageDecoder + 'a)> {
    let reader = ImageReader::new(reader).with_guessed_format().map_err(|e| Error::unreadable(path, &e))?;
    let format = match reader.format() {
        Some(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff)) => format,
        _ => {
            let advice = "Save it as one of these; renaming is not enough";
            return Err(Error::input(path, "another kind of file", "a PNG, JPEG or TIFF image", advice));
        }
    };
    let mut inner = reader.into_inner();
    if format == ImageFormat::Tiff {
        integrity::check_tiff(path, &mut inner, length)?;
        inner.rewind().map_err(|e| Error::unreadable(path, &e))?;
    }
    let mut reader = ImageReader::with_format(inner, format);
    let pixels = length.saturating_mul(PIXELS_PER_BYTE).clamp(PIXELS_OF_ANY_FILE, PIXELS_AT_MOST);
    let mut limits = Limits::default();
    limits.max_alloc = Some(pixels * BYTES_PER_PIXEL);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| undecodable(path, &e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::input(path, format!("the image is {height}x{width}"), "at least one pixel", ""));
    }
    if u64::from(width) * u64::from(height) > pixels || decoder.total_bytes() > pixels * BYTES_PER_PIXEL {
        return Err(Error::input(
            path,
            format!("a file of {length} bytes claims an image of {height}x{width} (height x width)"),
            format!("at most {pixels} pixels for a file of this length"),
            "It is damaged, or too large for a stimulus: save it again, smaller",
        ));
    }
    Ok((format, decoder))
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
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn save(name: &str, image: impl Into<DynamicImage>) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("striate-picture-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        image.into().save(&path).unwrap();
        path
    }

    fn bytes(path: &Path) -> (usize, Vec<u8>) {
        match picture(path).unwrap() {
            Picture { channels, samples: Samples::Bytes(x), .. } => (channels, x),
            _ => panic!("floats"),
        }
    }

    #[test]
    fn every_pixel_layout_becomes_grey_or_rgb_bytes() {
        let grey = save("grey.png", image::GrayImage::from_raw(2, 1, vec![7, 200]).unwrap());
        assert_eq!(bytes(&grey), (1, vec![7, 200]));
        let alpha =
            save("alpha.png", image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 4, 5, 6, 128]).unwrap());
        assert_eq!(bytes(&alpha), (3, vec![1, 2, 3, 4, 5, 6]));
        let wide: Vec<u16> = vec![0, 128, 129, 257, 32768, 65535];
        let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(2, 1, wide.clone()).unwrap();
        let rounded = wide.iter().map(|x| ((u32::from(*x) + 128) / 257) as u8).collect::<Vec<_>>();
        for name in ["deep.png", "deep.tif"] {
            assert_eq!(bytes(&save(name, deep.clone())), (3, rounded.clone()), "{name}");
        }
        let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(6, 1, wide).unwrap();
        assert_eq!(bytes(&save("deep-grey.png", deep)), (1, rounded));
        let real = image::Rgb32FImage::from_raw(1, 1, vec![-3.0, 0.5, 400.0]).unwrap();
        let Samples::Floats(x) = picture(&save("real.tiff", real)).unwrap().samples else { panic!("bytes") };
        assert_eq!(x, [-3.0, 0.5, 400.0]);
    }

    #[test]
    fn a_header_says_size_and_kind() {
        let found = header(&save("header.jpeg", image::RgbImage::new(9, 4))).unwrap();
        assert_eq!((found.size, found.channels, found.element), (Size { height: 4, width: 9 }, 3, "u8"));
    }

    #[test]
    fn a_small_file_cannot_claim_a_huge_image() {
        let path = save("huge.png", image::GrayImage::new(3, 3));
        let mut data = std::fs::read(&path).unwrap();
        data[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        data[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        // The sum over the changed header, so that the claim itself is what is refused.
        let mut crc = u32::MAX;
        for byte in &data[12..29] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        data[29..33].copy_from_slice(&(!crc).to_be_bytes());
        std::fs::write(&path, &data).unwrap();
        for error in [header(&path).err().unwrap(), picture(&path).err().unwrap()] {
            assert!(error.to_string().contains("claims an image of 60000x60000"), "{error}");
        }
    }

    #[test]
    fn a_large_blank_image_is_accepted() {
        let path = save("blank.png", image::GrayImage::new(3840, 2160));
        assert_eq!(bytes(&path).1.len(), 3840 * 2160);
    }

    #[test]
    fn broken_off_files_are_errors_that_name_the_file() {
        let image = image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
        for name in ["cut.png", "cut.jpg", "cut.tif"] {
            let path = save(name, image.clone());
            let data = std::fs::read(&path).unwrap();
            std::fs::write(&path, &data[..data.len() * 2 / 3]).unwrap();
            let error = picture(&path).err().unwrap_or_else(|| panic!("{name} was read"));
            assert!(error.to_string().contains(name), "{error}");
        }
        let path = save("other.png", image);
        std::fs::write(&path, "no image at all").unwrap();
        assert!(picture(&path).err().unwrap().to_string().contains("wanted a PNG, JPEG or TIFF"));
    }

    #[test]
    fn a_second_page_or_an_endless_entry_is_an_error() {
        let path = save("pages.tif", image::GrayImage::new(2, 2));
        let data = std::fs::read(&path).unwrap();
        let directory = u32::from_le_bytes(data[4..8].try_into().unwrap()) as usize;
        let entries = usize::from(u16::from_le_bytes(data[directory..directory + 2].try_into().unwrap()));
        let refusal = |at: usize, value: u8| {
            let mut data = data.clone();
            data[at] = value;
            std::fs::write(&path, &data).unwrap();
            picture(&path).err().unwrap().to_string()
        };
        assert!(refusal(directory + 2 + 12 * entries, 8).contains("more than one page"));
        assert!(refusal(directory + 2 + 12 + 6, 1).contains("more values than"));
    }
}
