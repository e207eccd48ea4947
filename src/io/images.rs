//! Stimulus images: a folder of PNG, JPEG or TIFF files, one such file, the pages of a TIFF, or an array in
//! `.npy` or `.npz`.
//!
//! The order of work is fixed: decode, find the scale of the set ([`scale`]), grey to three channels, resize,
//! normalise. Bytes are resized as bytes and everything else as floats, as Pillow does.

mod folder;
mod integrity;
mod layout;
mod looking;
mod picture;
mod prepare;
pub mod scale;
mod stack;
mod tiff;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::error::{Error, Kind, Result};
use crate::io::npy::split_member;
use crate::io::resize::Resizer;
pub use crate::io::resize::{Filter, Size};
pub(crate) use layout::{Layout, SHAPES};
use picture::{Header, Picture, header, stored};
use prepare::Moments;
pub use prepare::{Normalise, Preparation};
use scale::{Scale, Seen};
pub use stack::ReadImages;
use stack::Stack;

/// Images of an array that are read at once: bounds what is held besides the result.
const AT_ONCE: usize = 64;
/// Files whose headers [`Images::describe`] reads.
const LOOKED_AT: usize = 8;

/// A source of images. Opening reads a listing or headers, no pixel.
pub struct Images {
    path: PathBuf,
    source: Source,
    /// Of whole numbers wider than a byte, where they are known.
    bits: Option<u32>,
    /// Bytes that decoding may take at once.
    memory: u64,
    scale: OnceLock<(Seen, Scale)>,
}

enum Source {
    Files(Vec<PathBuf>),
    Stack(Box<Stack>),
}

/// Prepared images, as the GPU takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Number of images.
    pub count: usize,
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// In the order image, row, column; each pixel is red, green, blue, 0 (Caffe: blue, green, red, 0).
    pub pixels: Vec<[f32; 4]>,
}

/// What a source holds, from its listing and a few headers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Description {
    /// Number of images.
    pub count: usize,
    /// Number of images whose headers were read.
    pub looked_at: usize,
    /// The different sizes among those, in the order of their first image.
    pub sizes: Vec<Size>,
    /// The different elements among those, as NumPy names them: uint8, uint16, float32.
    pub elements: Vec<String>,
    /// The different numbers of channels among those, without alpha: 1 or 3.
    pub channels: Vec<usize>,
}

impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn join<T: ToString>(items: &[T]) -> String {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        let plural = if self.count == 1 { "" } else { "s" };
        let (sizes, elements, channels) = (join(&self.sizes), join(&self.elements), join(&self.channels));
        write!(
            f,
            "{} image{plural}, {sizes} (height x width), {elements}, channels: {channels}",
            self.count
        )?;
        if self.looked_at < self.count { write!(f, " (the first {})", self.looked_at) } else { Ok(()) }
    }
}

impl Images {
    /// Opens a folder (PNG, JPEG and TIFF files in natural order; hidden and other files are passed over),
    /// one such file, whose pages are images if it is a TIFF of several, or a `.npy` or `.npz` of numbers with
    /// shape (images, height, width), (images, height, width, 1 or 3) or (images, 1 or 3, height, width).
    ///
    /// # Errors
    /// [`Kind::Input`] when there is nothing at `path`, no image in the folder, or the array is not one of
    /// images.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, member) = split_member(path);
        let metadata = std::fs::metadata(&file).map_err(|e| Error::unreadable(path, &e))?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let source = if metadata.is_dir() {
            Source::Files(folder::list(path)?)
        } else if member.is_some() || ["npy", "npz", "h5", "hdf5", "mat"].contains(&&extension[..]) {
            Source::Stack(Box::new(Stack::open(path)?))
        } else if folder::is_image(path) {
            match header(path) {
                Ok(Header { pages: 2.., .. }) => Source::Stack(Box::new(Stack::pages(path)?)),
                // What cannot be read is said when it is read.
                _ => Source::Files(vec![path.to_path_buf()]),
            }
        } else {
            let wanted = "a folder of images, or a file ending in .png, .jpg, .jpeg, .tif, .tiff, .npy, .npz, .h5 or .mat";
            return Err(Error::input(path, "not a source of images", wanted, ""));
        };
        Ok(Images::of(path, source))
    }

    fn of(path: &Path, source: Source) -> Self {
        Images { path: path.into(), source, bits: None, memory: u64::MAX, scale: OnceLock::new() }
    }

    /// The same images, whose whole numbers wider than a byte have so many bits; `None` finds them.
    pub fn with_bits(self, bits: Option<u32>) -> Self {
        Images { bits, scale: OnceLock::new(), ..self }
    }

    /// The same images, for whose decoding so many bytes may be taken at once.
    pub fn within(mut self, memory: u64) -> Self {
        self.limit(memory);
        self
    }

    /// Allows so many bytes to be taken at once for decoding.
    pub fn limit(&mut self, memory: u64) {
        self.memory = memory;
    }

    /// So many images of 1 or 3 channels and one size that `read` gives, as `path` holds them, on a scale that
    /// is one of the constants of [`Scale`].
    pub fn read_by(
        path: &Path,
        [count, channels]: [usize; 2],
        size: Size,
        scale: Scale,
        read: Box<ReadImages>,
    ) -> Self {
        let stack = Stack::read_by(path, [count, channels], size, scale, read);
        Images::of(path, Source::Stack(Box::new(stack)))
    }

    /// Number of images; never 0.
    #[allow(clippy::len_without_is_empty, reason = "a source without images does not open")]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Files(files) => files.len(),
            Source::Stack(stack) => stack.count,
        }
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether each image is a file of its own.
    pub(super) fn are_files(&self) -> bool {
        matches!(self.source, Source::Files(_))
    }

    /// Whether the name of a picture ends so, in any case.
    pub(super) fn is_ending(ending: &str) -> bool {
        folder::is_ending(ending)
    }

    /// File names without folders, or the indices 0, 1, ... of an array.
    pub fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Files(files) => files.iter().map(|file| folder::name(file)).collect(),
            Source::Stack(stack) => (0..stack.count).map(|i| i.to_string()).collect(),
        }
    }

    /// Count, sizes, element and channels, from the headers of the first 8 files or of the array.
    ///
    /// # Errors
    /// [`Kind::Input`] when one of these files cannot be read.
    pub fn describe(&self) -> Result<Description> {
        fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
            if !list.contains(&item) {
                list.push(item);
            }
        }
        let count = self.len();
        let files = match &self.source {
            Source::Files(files) => files,
            Source::Stack(stack) => {
                let elements = vec![stack.element.name().to_string()];
                let (sizes, channels) = (vec![stack.size()], vec![stack.channels()]);
                return Ok(Description { count, looked_at: count, sizes, elements, channels });
            }
        };
        let looked_at = count.min(LOOKED_AT);
        let (mut sizes, mut elements, mut channels) = (Vec::new(), Vec::new(), Vec::new());
        for file in &files[..looked_at] {
            let header = header(file)?;
            add(&mut sizes, header.size);
            add(&mut elements, header.element.name().to_string());
            add(&mut channels, header.channels);
        }
        Ok(Description { count, looked_at, sizes, elements, channels })
    }

    /// The size that images have after `preparation`: the one it asks for, or that of the first image.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the size asked for has no pixel; [`Kind::Input`] when the first file cannot be
    /// read.
    pub fn data_size_for(&self, preparation: &Preparation) -> Result<Size> {
        match preparation.size {
            Some(size) if size.height == 0 || size.width == 0 => {
                Err(Error::new(Kind::Usage, "--size", size, "at least one pixel each way", ""))
            }
            Some(size) => Ok(size),
            None => self.first_size(),
        }
    }

    fn first_size(&self) -> Result<Size> {
        match &self.source {
            Source::Files(files) => Ok(header(&files[0])?.size),
            Source::Stack(stack) => Ok(stack.size()),
        }
    }

    /// Decodes and prepares the images `range`, in parallel.
    ///
    /// # Errors
    /// [`Kind::Input`] for an image that cannot be read, has another size than the first when no size is
    /// asked for, holds NaN or infinity, or lies on another scale than the normalisation wants: the first
    /// such image of the range is named. [`Kind::Usage`] for an impossible size or normalisation,
    /// [`Kind::Memory`] when the result does not fit, [`Kind::Internal`] when `range` reaches beyond the last
    /// image.
    pub fn batch(&self, range: Range<usize>, preparation: &Preparation) -> Result<Batch> {
        let Preparation { filter, normalise, .. } = *preparation;
        normalise.check()?;
        let size = self.data_size_for(preparation)?;
        let usual = Resizer::new(self.first_size()?, size, filter)?;
        let rows: Vec<usize> = range.collect();
        let pixels_each = size.height.saturating_mul(size.width);
        let mut pixels = zeros(pixels_each.saturating_mul(rows.len()), rows.len(), size)?;
        let mut outputs: Vec<&mut [[f32; 4]]> = pixels.chunks_exact_mut(pixels_each).collect();
        self.each(&rows, &mut outputs, |output, picture, row| {
            if preparation.size.is_none() && picture.size != size {
                return Err(self.sizes_differ(size, picture.size, row));
            }
            picture.check(normalise, &self.place(row))?;
            picture.resized(size, filter, &usual)?.write(normalise, output);
            Ok(())
        })?;
        Ok(Batch { count: rows.len(), height: size.height, width: size.width, pixels })
    }

    /// Mean and standard deviation (divided by the number of samples) of red, green and blue over all pixels
    /// of the images `rows`, after resizing to `size` (`None`: as they are). Bytes count as 0..1, floats as
    /// they are, so the result fits [`Normalise::Channels`]. One image per thread is held at a time, of
    /// arrays 64.
    ///
    /// # Errors
    /// As [`Images::batch`]; also [`Kind::Usage`] when `rows` is empty.
    pub fn channel_statistics(
        &self,
        rows: &[usize],
        size: Option<Size>,
        filter: Filter,
    ) -> Result<([f32; 3], [f32; 3])> {
        if rows.is_empty() {
            return Err(Error::new(Kind::Usage, "channel statistics", "no images", "at least one image", ""));
        }
        let normalise = Normalise::None;
        let size = match size {
            Some(_) => Some(self.data_size_for(&Preparation { size, filter, normalise })?),
            None => None,
        };
        let first = self.first_size()?;
        let usual = Resizer::new(first, size.unwrap_or(first), filter)?;
        let mut rows = rows.to_vec();
        // Neighbours are read together, and the result does not depend on the order given.
        rows.sort_unstable();
        let mut each = vec![Moments::default(); rows.len()];
        self.each(&rows, &mut each, |moments, picture, row| {
            picture.check(normalise, &self.place(row))?;
            let to = size.unwrap_or(picture.size);
            *moments = picture.resized(to, filter, &usual)?.moments();
            Ok(())
        })?;
        Ok(each.iter().fold(Moments::default(), Moments::join).mean_and_deviation())
    }

    /// Gives each of the images `rows` to `work`, in parallel, with the target at the same position. Of
    /// several errors the one of the first image is returned, whichever thread came first.
    fn each<T: Send>(
        &self,
        rows: &[usize],
        targets: &mut [T],
        work: impl Fn(&mut T, Picture, usize) -> Result<()> + Sync,
    ) -> Result<()> {
        if let Some(row) = rows.iter().find(|row| **row >= self.len()) {
            return Err(Error::internal(
                self.path.display(),
                format!("image {row} of {} was asked for", self.len()),
            ));
        }
        let (_, scale) = self.scale()?;
        let (mut rows, mut targets) = (rows, targets);
        while let Some(first) = rows.first().copied() {
            let run = match &self.source {
                Source::Files(files) => self.fitting(files, rows)?,
                Source::Stack(stack) => {
                    let near = rows.iter().take(self.at_once(stack)?).zip(first..);
                    near.take_while(|(row, next)| *row == next).count()
                }
            };
            let (now, later) = targets.split_at_mut(run);
            let pairs = rows[..run].par_iter().zip(now);
            let results: Vec<Result<()>> = match &self.source {
                Source::Files(files) => {
                    pairs.map(|(row, to)| work(to, stored(&files[*row])?.scaled(scale), *row)).collect()
                }
                Source::Stack(stack) => {
                    let read = stack.read(first..first + run)?;
                    pairs.map(|(row, to)| work(to, stack.picture(&read, row - first, scale), *row)).collect()
                }
            };
            results.into_iter().collect::<Result<()>>()?;
            (rows, targets) = (&rows[run..], later);
        }
        Ok(())
    }

    /// Names one image in messages.
    fn place(&self, row: usize) -> String {
        match &self.source {
            Source::Files(files) => files[row].display().to_string(),
            Source::Stack(_) => format!("{}, image {row}", self.path.display()),
        }
    }

    fn sizes_differ(&self, first: Size, other: Size, row: usize) -> Error {
        Error::input(
            Path::new(&self.place(row)),
            format!("the image is {other} (height x width), but {} is {first}", self.place(0)),
            "images of one size",
            "Pass --size to resize them all",
        )
    }
}

fn zeros(pixels: usize, count: usize, size: Size) -> Result<Vec<[f32; 4]>> {
    let mut all = Vec::new();
    all.try_reserve_exact(pixels).map_err(|_| {
        let found = format!("no memory for {count} images of {size}");
        Error::new(Kind::Memory, "images", found, "", "Use smaller batches or a smaller --size")
    })?;
    all.resize(pixels, [0.0; 4]);
    Ok(all)
}

#[cfg(test)]
mod tests;
