#![allow(clippy::unwrap_used, reason = "a test may panic")]

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
    match stored(path).unwrap() {
        Stored { channels, values: Values::Bytes(x), .. } => (channels, x),
        _ => panic!("numbers"),
    }
}

fn numbers(path: &Path) -> (usize, Element, Vec<f32>) {
    match stored(path).unwrap() {
        Stored { channels, element, values: Values::Numbers(x), .. } => (channels, element, x),
        _ => panic!("bytes"),
    }
}

#[test]
fn every_pixel_layout_becomes_grey_or_rgb_bytes() {
    let grey = save("grey.png", image::GrayImage::from_raw(2, 1, vec![7, 200]).unwrap());
    assert_eq!(bytes(&grey), (1, vec![7, 200]));
    let opaque = image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 255]).unwrap();
    for name in ["alpha.png", "alpha.tif"] {
        assert_eq!(bytes(&save(name, opaque.clone())), (3, vec![1, 2, 3, 4, 5, 6]), "{name}");
    }
    let mut clear = opaque;
    clear.get_pixel_mut(1, 0)[3] = 254;
    for name in ["clear.png", "clear.tif"] {
        let said = stored(&save(name, clear.clone())).err().unwrap().to_string();
        assert!(said.contains("transparent"), "{said}");
    }
    let wide: Vec<u16> = vec![0, 128, 129, 257, 32768, 65535];
    let same: Vec<f32> = wide.iter().map(|x| f32::from(*x)).collect();
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(2, 1, wide.clone()).unwrap();
    for name in ["deep.png", "deep.tif"] {
        assert_eq!(numbers(&save(name, deep.clone())), (3, Element::U16, same.clone()), "{name}");
    }
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(6, 1, wide).unwrap();
    assert_eq!(numbers(&save("deep-grey.png", deep)), (1, Element::U16, same));
    let real = image::Rgb32FImage::from_raw(1, 1, vec![-3.0, 0.5, 400.0]).unwrap();
    assert_eq!(numbers(&save("real.tiff", real)), (3, Element::F32, vec![-3.0, 0.5, 400.0]));
}

/// A PNG with a chunk more behind its header.
fn with_chunk(path: &Path, name: &[u8; 4], body: &[u8]) {
    let mut data = std::fs::read(path).unwrap();
    let mut crc = u32::MAX;
    for byte in name.iter().chain(body) {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 });
    }
    let chunk = [&(body.len() as u32).to_be_bytes()[..], name, body, &(!crc).to_be_bytes()].concat();
    data.splice(33..33, chunk);
    std::fs::write(path, data).unwrap();
}

#[test]
fn a_png_says_its_significant_bits() {
    let said = |name: &str, value: u16| {
        let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(1, 1, vec![value]).unwrap();
        let path = save(name, image);
        with_chunk(&path, b"sBIT", &[12]);
        stored(&path).unwrap().said
    };
    assert_eq!(said("twelve.png", 700), 12);
    // Spread over all sixteen bits, as the standard wants.
    assert_eq!(said("spread.png", 4096), 16);
    assert_eq!(stored(&save("silent.png", image::GrayImage::new(1, 1))).unwrap().said, 0);
}

#[test]
fn what_is_turned_or_cmyk_is_refused() {
    let path = save("turned.jpg", image::RgbImage::new(8, 8));
    let mut data = std::fs::read(&path).unwrap();
    // Exif: a TIFF whose one entry says orientation 6.
    let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    data.splice(2..2, exif.iter().copied());
    std::fs::write(&path, &data).unwrap();
    let said = stored(&path).err().unwrap().to_string();
    assert!(said.contains("orientation"), "{said}");
    data[2 + 4 + 6 + 8 + 2 + 8] = 1;
    std::fs::write(&path, &data).unwrap();
    assert!(stored(&path).is_ok());
    let path = save("cmyk.jpg", image::RgbImage::new(8, 8));
    let mut data = std::fs::read(&path).unwrap();
    let frame = data.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    data[frame + 9] = 4;
    std::fs::write(&path, &data).unwrap();
    assert!(stored(&path).err().unwrap().to_string().contains("CMYK"));
}

#[test]
fn a_header_says_size_and_kind() {
    let found = header(&save("header.jpeg", image::RgbImage::new(9, 4))).unwrap();
    assert_eq!((found.size, found.channels, found.element), (Size { height: 4, width: 9 }, 3, Element::U8));
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
    for error in [header(&path).err().unwrap(), stored(&path).err().unwrap()] {
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
        let error = stored(&path).err().unwrap_or_else(|| panic!("{name} was read"));
        assert!(error.to_string().contains(name), "{error}");
    }
    let path = save("other.png", image);
    std::fs::write(&path, "no image at all").unwrap();
    assert!(stored(&path).err().unwrap().to_string().contains("wanted a PNG, JPEG or TIFF"));
}

#[test]
fn a_tiff_that_leads_in_circles_or_claims_too_much_is_an_error() {
    let path = save("pages.tif", image::GrayImage::new(2, 2));
    let data = std::fs::read(&path).unwrap();
    let directory = u32::from_le_bytes(data[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(data[directory..directory + 2].try_into().unwrap()));
    let refusal = |at: usize, value: u8| {
        let mut data = data.clone();
        data[at] = value;
        std::fs::write(&path, &data).unwrap();
        stored(&path).err().unwrap().to_string()
    };
    assert!(refusal(directory + 2 + 12 * entries, directory as u8).contains("lead back"));
    assert!(refusal(directory + 2 + 12 + 6, 1).contains("more values than"));
}
