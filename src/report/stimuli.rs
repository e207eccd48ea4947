//! The images of a run as small pictures, where they are still what the run saw.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;

use super::run::Run;
use crate::io::hash::sha256_path;
use crate::io::images::{Filter, Images, Normalise, Preparation, Size};
use crate::io::npy::split_member;
use crate::networks::LARGEST_SIDE;

/// Images that take more bytes are not read again for the sake of a few pictures.
const MOST_BYTES: u64 = 2 << 30;
/// Nor are folders with more files and folders in them.
const MOST_ENTRIES: usize = 300_000;
const QUALITY: u8 = 82;

/// A sentence that says why there are no pictures.
pub(super) type Obstacle = String;

/// The images that a run saw.
pub(super) struct Stimuli {
    images: Images,
    /// As the network saw them; their own size where the record does not say.
    pub size: Size,
}

impl Stimuli {
    /// Opens the images that a fit's record names, if they have the hash that stands there.
    pub(super) fn open(fit: &Run, images: usize) -> Result<Stimuli, Obstacle> {
        let Some(network) = fit.record.input.get("network") else {
            return Err(
                "The run read features from a file, and of which images they are is not known: none is \
                        shown."
                    .into(),
            );
        };
        let recorded = fit.record.inputs.iter().find(|input| input.role == "images");
        let Some(recorded) = recorded else {
            return Err("The record names no images: none is shown.".into());
        };
        let file = split_member(&recorded.path).0;
        let gone = |why: &str| format!("No image is shown: {} {why}.", file.display());
        match bytes(&file) {
            None => return Err(gone("is not there any more, as seen from where this report was made")),
            Some(bytes) if bytes > MOST_BYTES => return Err(gone("is larger than 2 GiB")),
            Some(_) => {}
        }
        if sha256_path(&file).map_err(|why| gone(&why.to_string()))? != recorded.sha256 {
            return Err(gone("has changed since the run"));
        }
        let opened = Images::open(&recorded.path).map_err(|why| gone(&why.to_string()))?;
        if opened.len() != images {
            return Err(gone(&format!("holds {} images, the run {images}", opened.len())));
        }
        let side = |name: &str| {
            let side = network.pointer(&format!("/size/{name}")).and_then(Value::as_u64);
            side.filter(|side| *side <= LARGEST_SIDE as u64)
        };
        let asked = side("height")
            .zip(side("width"))
            .map(|(height, width)| Size { height: height as usize, width: width as usize });
        let size = opened.data_size_for(&preparation(asked)).map_err(|why| gone(&why.to_string()))?;
        Ok(Stimuli { images: opened, size })
    }

    /// `data:` addresses of these images, none of their sides longer than `side`, by their numbers. Numbers
    /// that are no bytes are stretched together, from the smallest to the largest that these images hold.
    pub(super) fn pictures(
        &self,
        wanted: impl IntoIterator<Item = usize>,
        side: usize,
    ) -> Result<BTreeMap<usize, String>, Obstacle> {
        let longest = self.size.height.max(self.size.width);
        let scaled = |length: usize| (length * side.min(longest)).div_ceil(longest).max(1);
        let size = Size { height: scaled(self.size.height), width: scaled(self.size.width) };
        let failed = |why: &dyn std::fmt::Display| format!("No image is shown: {why}.");
        let mut read = BTreeMap::new();
        for image in wanted {
            read.entry(image).or_insert_with(Vec::new);
        }
        // In ascending order, for compressed arrays are read from their beginning.
        for (image, pixels) in &mut read {
            let range = *image..*image + 1;
            let batch = self.images.batch(range, &preparation(Some(size))).map_err(|why| failed(&why))?;
            *pixels = batch.pixels.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        }
        let (low, high) = limits(read.values().flatten().copied());
        let byte = |v: &f32| (255.0 * (v - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
        let mut pictures = BTreeMap::new();
        for (image, pixels) in read {
            let bytes: Vec<u8> = pixels.iter().map(byte).collect();
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
                .encode(&bytes, size.width as u32, size.height as u32, Rgb8)
                .map_err(|why| failed(&why))?;
            pictures.insert(image, format!("data:image/jpeg;base64,{}", STANDARD.encode(&jpeg)));
        }
        Ok(pictures)
    }
}

/// Resized, and otherwise as they are.
fn preparation(size: Option<Size>) -> Preparation {
    Preparation { size, filter: Filter::Bilinear, normalise: Normalise::None }
}

/// What is black and what is white: of bytes 0 and 255, of shares 0 and 1.
fn limits(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
    match (low, high) {
        (low, high) if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        (low, high) if low >= 0.0 && high <= 255.0 => (0.0, 255.0),
        (low, high) if low < high => (low, high),
        (low, _) => (low, low + 1.0),
    }
}

/// Bytes of a file, or of all files in a folder; none where there is neither. A record may name anything, so
/// what is no regular file is not looked at, and a folder is looked through no further than is needed.
fn bytes(path: &Path) -> Option<u64> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_dir() {
        return about.is_file().then_some(about.len());
    }
    let (mut sum, mut entries, mut folders) = (0u64, 0, vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            entries += 1;
            if entries > MOST_ENTRIES || sum > MOST_BYTES {
                return Some(u64::MAX);
            }
            if entry.file_type().ok()?.is_dir() {
                folders.push(entry.path());
            } else {
                sum = sum.saturating_add(std::fs::metadata(entry.path()).map_or(0, |about| about.len()));
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_are_those_of_bytes_shares_or_the_images() {
        assert_eq!(limits([0.1, 0.9].into_iter()), (0.0, 1.0));
        assert_eq!(limits([0.0, 90.0].into_iter()), (0.0, 255.0));
        assert_eq!(
            (limits([-2.0, 90.0].into_iter()), limits([-3.0].into_iter())),
            ((-2.0, 90.0), (-3.0, -2.0))
        );
    }
}
