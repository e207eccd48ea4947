//! Damaged images: 2,000 deterministic mutations of each format must give an image or an error, never a
//! panic, soon, and without taking memory that the file does not justify.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use striate::io::images::{Filter, Images, Normalise, Preparation, Size};

mod counting;

use counting::{IN_USE, PEAK};

/// xorshift64: the same mutations for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

fn mutate(data: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=random.below(4) {
        // Half of the changes hit the first bytes, where the sizes and offsets are.
        let reach = if random.below(2) == 0 { data.len().min(64) } else { data.len() };
        let at = random.below(reach);
        match random.below(6) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.below(256) as u8,
            2 => data[at] = [0, 255, 127, 128][random.below(4)],
            3 => data.truncate(at.max(1)),
            4 => {
                let from = random.below(data.len());
                let piece = data[from..(from + 1 + random.below(16)).min(data.len())].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let end = (at + 4).min(data.len());
                data[at..end].fill(random.below(256) as u8);
            }
        }
    }
    data
}

/// Makes the checksums of a PNG's chunks right again: otherwise no mutation gets past them.
fn repair_png(data: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = data.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(body) = data.get(at + 4..at + 8 + length) else { return };
        let mut crc = u32::MAX;
        for byte in body {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        match data.get_mut(at + 8 + length..at + 12 + length) {
            Some(sum) => sum.copy_from_slice(&(!crc).to_be_bytes()),
            None => return,
        }
        at += 12 + length;
    }
}

#[test]
fn damaged_images_are_refused_quickly_and_cheaply() {
    let folder = std::env::temp_dir().join(format!("striate-fuzz-images-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let preparation = Preparation {
        size: Some(Size { height: 8, width: 8 }),
        filter: Filter::Bicubic,
        normalise: Normalise::Imagenet,
    };
    let drawing =
        image::RgbImage::from_fn(24, 17, |x, y| image::Rgb([(x * 11) as u8, (y * 13) as u8, (x * y) as u8]));
    let start = Instant::now();
    for (format, extension) in [
        (image::ImageFormat::Png, "png"),
        (image::ImageFormat::Jpeg, "jpg"),
        (image::ImageFormat::Tiff, "tif"),
    ] {
        let mut original = std::io::Cursor::new(Vec::new());
        drawing.write_to(&mut original, format).unwrap();
        let original = original.into_inner();
        let path = folder.join(format!("x.{extension}"));
        let mut random = Random(0x5eed_0000 + u64::from(extension.as_bytes()[0]));
        let (mut read, mut slowest, mut largest) = (0, Duration::ZERO, 0);
        for i in 0..2000 {
            let mut data = if i == 0 { original.clone() } else { mutate(&original, &mut random) };
            if extension == "png" && i % 4 != 1 {
                repair_png(&mut data);
            }
            std::fs::write(&path, &data).unwrap();
            let before = IN_USE.load(Relaxed);
            PEAK.store(before, Relaxed);
            let one = Instant::now();
            let result = Images::open(&path).and_then(|images| {
                let _ = images.describe();
                images.batch(0..1, &preparation)
            });
            slowest = slowest.max(one.elapsed());
            largest = largest.max(PEAK.load(Relaxed).saturating_sub(before));
            match result {
                Ok(batch) => {
                    assert!(batch.pixels.iter().flatten().all(|x| x.is_finite()), "{extension} mutation {i}");
                    read += 1;
                }
                Err(error) => assert!(error.to_string().contains("x."), "{error}"),
            }
        }
        eprintln!(
            "{extension}: {read} of 2000 read, slowest {slowest:?}, most memory {} KiB",
            largest / 1024
        );
        // Not all refused and not all accepted: the mutations get past the header, and they matter.
        assert!((20..1990).contains(&read), "{extension}: {read} of 2000 were read");
        assert!(slowest < Duration::from_secs(2), "{extension}: {slowest:?}");
        // Any file may claim 1 Mi pixels: 8 bytes of each as they lie, four channels as floats, and three of these.
        assert!(largest < 40 << 20, "{extension}: {largest} bytes");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}
