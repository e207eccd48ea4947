//! The images of an experiment, read when they are asked for.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, Axis, IxDyn};

use super::place;
use crate::error::{Error, Kind, Result};
use crate::io::images::{Filter, Images, Normalise, Preparation};
use crate::io::npy::{self, Element};
use crate::io::store::{ElementType, Store};

/// Values of images that are looked at together.
const AT_ONCE: usize = 1 << 22;

/// What bytes are divided by, and the grey of a blank sweep among them.
const BYTES: f32 = 255.0;
const GREY: f32 = 127.0;

const SHAPES: &str = "(images, height, width), (images, height, width, 3), (images, 1, height, width) or \
                      (images, 3, height, width)";

/// Images of one size.
pub struct Stimuli {
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// What the recording calls each image: its number there, or the name of its file.
    pub ids: Vec<String>,
    /// Mean and standard deviation of all pixels that the recording states (Sensorium), for models that want
    /// it.
    pub normalisation: Option<(f32, f32)>,
    source: Source,
}

enum Source {
    /// One array of all images.
    Stack { store: Arc<dyn Store>, name: String, bytes: bool },
    /// An array an image.
    Each { store: Arc<dyn Store>, names: Vec<String>, bytes: bool },
    /// A `.npy` an image.
    Arrays(Vec<PathBuf>),
    /// Picture files, or one `.npy`.
    Images(Images),
    /// Others at a quarter of their size, divided by a unit.
    Rescaled { full: Box<Stimuli>, unit: f32 },
}

impl Stimuli {
    /// An array of images in a file.
    pub(super) fn stack(store: &Arc<dyn Store>, name: &str) -> Result<Stimuli> {
        let array = store.array(name)?;
        let found = format!("it is an array of {} with the shape {:?}", array.dtype, array.shape);
        let wrong = |wanted: &str| Error::new(Kind::Input, place(&**store, name), &found, wanted, "");
        let ElementType::Number(element) = array.element else { return Err(wrong("numbers")) };
        let (height, width, channels) = understand(&array.shape).ok_or_else(|| wrong(SHAPES))?;
        let source = Source::Stack {
            store: Arc::clone(store),
            name: name.into(),
            bytes: matches!(element, Element::U8 | Element::Bool),
        };
        let ids = (0..array.shape[0]).map(|image| image.to_string()).collect();
        Ok(Stimuli { height, width, channels, ids, normalisation: None, source })
    }

    /// Arrays of a file, each one an image, all of one size.
    pub(super) fn each(store: &Arc<dyn Store>, names: Vec<String>) -> Result<Stimuli> {
        let mut first: Option<Vec<usize>> = None;
        let mut bytes = true;
        for name in &names {
            let array = store.array(name)?;
            let found = format!("it is an array of {} with the shape {:?}", array.dtype, array.shape);
            let wrong = |wanted: &str| Error::new(Kind::Input, place(&**store, name), &found, wanted, "");
            let ElementType::Number(element) = array.element else { return Err(wrong("numbers")) };
            bytes &= matches!(element, Element::U8 | Element::Bool);
            let picture = matches!(array.shape[..], [_, _] | [_, _, 3]);
            if !picture || array.is_empty() {
                return Err(wrong("one picture: (height, width) or (height, width, 3)"));
            }
            let first = first.get_or_insert_with(|| array.shape.clone());
            if *first != array.shape {
                return Err(wrong(&format!("images of one size, that of {}: {first:?}", names[0])));
            }
        }
        let Some(shape) = first else {
            return Err(Error::internal(store.path().display(), "no images were named"));
        };
        let ids = names.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_string()).collect();
        let channels = shape.get(2).copied().unwrap_or(1);
        let (height, width) = (shape[0], shape[1]);
        let source = Source::Each { store: Arc::clone(store), names, bytes };
        Ok(Stimuli { height, width, channels, ids, normalisation: None, source })
    }

    /// `.npy` files of one shape, (1, height, width) or (3, height, width) each, or without a first axis.
    pub(super) fn arrays(files: Vec<PathBuf>, ids: Vec<String>) -> Result<Stimuli> {
        let mut first: Option<Vec<usize>> = None;
        for file in &files {
            let shape = npy::info(file)?.swap_remove(0).shape;
            let first = first.get_or_insert_with(|| shape.clone());
            if *first != shape {
                let wanted = format!("images of one size, that of {}: {first:?}", files[0].display());
                return Err(Error::input(file, format!("it has the shape {shape:?}"), wanted, ""));
            }
        }
        let shape = first.unwrap_or_default();
        let whole = [&[1], &shape[..]].concat();
        let Some((height, width, channels)) = understand(&whole).filter(|_| shape.len() < 4) else {
            let place = files.first().map_or(Path::new("images"), PathBuf::as_path);
            let wanted = "one image: (1, height, width), (3, height, width) or (height, width)";
            return Err(Error::input(place, format!("it has the shape {shape:?}"), wanted, ""));
        };
        let source = Source::Arrays(files);
        Ok(Stimuli { height, width, channels, ids, normalisation: None, source })
    }

    /// Picture files or an array, as every command takes them.
    pub(super) fn images(path: &Path) -> Result<Stimuli> {
        let images = Images::open(path)?;
        let described = images.describe()?;
        let [size] = described.sizes[..] else {
            let sizes: Vec<String> = described.sizes.iter().map(ToString::to_string).collect();
            let found = format!("its images have the sizes {}", sizes.join(", "));
            return Err(Error::input(path, found, "images of one size", "Resize them first"));
        };
        let channels = described.channels.iter().copied().max().unwrap_or(1);
        let ids = images.names();
        let source = Source::Images(images);
        Ok(Stimuli { height: size.height, width: size.width, channels, ids, normalisation: None, source })
    }

    /// How many images.
    #[allow(clippy::len_without_is_empty, reason = "an experiment without images does not open")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The images `range`: (images, height, width), and (images, height, width, 3) in colour; bytes as 0 to
    /// 255.
    ///
    /// # Errors
    /// A range outside the images; data that cannot be read; files of another size than the first.
    pub fn read(&self, range: Range<usize>) -> Result<ArrayD<f32>> {
        if range.start > range.end || range.end > self.len() {
            let found = format!("images {} to {} were asked for", range.start, range.end);
            let wanted = format!("images within 0 to {}", self.len());
            return Err(Error::new(Kind::Usage, "stimuli", found, wanted, ""));
        }
        let count = range.len();
        let values = match &self.source {
            Source::Stack { store, name, .. } => {
                let shape = store.array(name)?.shape;
                let rest = shape.iter().skip(1).map(|&length| 0..length);
                let region: Vec<Range<usize>> = std::iter::once(range).chain(rest).collect();
                self.channels_last(store.floats(name, &region)?)
            }
            Source::Each { store, names, .. } => {
                let mut all = Vec::new();
                for name in &names[range] {
                    let region = store.array(name)?.all();
                    all.extend(store.floats(name, &region)?);
                }
                self.shaped(count, all)?
            }
            Source::Arrays(files) => {
                let mut all = Vec::new();
                for file in &files[range] {
                    let image = npy::read(file, None)?;
                    let shape = [&[1], image.shape()].concat();
                    let image = image.into_shape_with_order(shape);
                    let image = image.map_err(|why| Error::internal(file.display(), why))?;
                    all.extend(self.channels_last(image));
                }
                self.shaped(count, all)?
            }
            Source::Rescaled { full, unit } => middles(&full.read(range)?) / *unit,
            Source::Images(images) => {
                let as_they_are =
                    Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
                let batch = images.batch(range, &as_they_are)?;
                let values = batch.pixels.iter().flat_map(|pixel| &pixel[..self.channels]);
                self.shaped(count, values.copied().collect())?
            }
        };
        Ok(values)
    }

    /// Moves channels to the end, and drops an axis of one channel.
    fn channels_last(&self, values: ArrayD<f32>) -> ArrayD<f32> {
        let first = values.ndim() == 4 && matches!(values.shape()[1], 1 | 3) && values.shape()[3] != 3;
        match (first, self.channels) {
            (true, 1) => values.index_axis_move(Axis(1), 0),
            (true, _) => values.permuted_axes(IxDyn(&[0, 2, 3, 1])).as_standard_layout().into_owned(),
            (false, _) => values,
        }
    }

    fn shaped(&self, count: usize, values: Vec<f32>) -> Result<ArrayD<f32>> {
        let mut shape = vec![count, self.height, self.width];
        if self.channels == 3 {
            shape.push(3);
        }
        let found = format!("{} values for {shape:?}", values.len());
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| Error::internal("stimuli", found))
    }

    /// The same images at a quarter of their height and width, as the models of Sensorium see them: bilinear
    /// interpolation at 4i + 1.5 without antialiasing, which is the mean of the middle 2 x 2 of every 4 x 4
    /// pixels (scikit-image's `rescale(.25, anti_aliasing=False)`). 144 x 256 become 36 x 64. Means are not
    /// rounded; those of bytes are from 0 to 1, as bytes count elsewhere.
    ///
    /// # Errors
    /// Data that cannot be read; sides that are no multiples of 4.
    pub(super) fn rescaled(self) -> Result<Stimuli> {
        let (height, width) = (self.height, self.width);
        if !height.is_multiple_of(4) || !width.is_multiple_of(4) {
            let found = format!("the images are {height}x{width}");
            let (wanted, advice) = ("sides that are multiples of 4", "Leave it out");
            return Err(Error::new(Kind::Usage, "--rescale", found, wanted, advice));
        }
        let unit = if self.is_bytes()? { BYTES } else { 1.0 };
        Ok(Stimuli {
            height: height / 4,
            width: width / 4,
            channels: self.channels,
            ids: self.ids.clone(),
            normalisation: self.normalisation.map(|(mean, std)| (mean / unit, std / unit)),
            source: Source::Rescaled { full: Box::new(self), unit },
        })
    }

    /// The grey of a blank sweep, as the Allen Institute's monitors show it: 127 of 255, in the unit of the
    /// images; none where these are no bytes and were none.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn grey(&self) -> Result<Option<f32>> {
        Ok(match self.source {
            Source::Rescaled { unit, .. } => (unit == BYTES).then_some(GREY / BYTES),
            _ => self.is_bytes()?.then_some(GREY),
        })
    }

    /// Whether every pixel is a whole number from 0 to 255. Looks at all images where the file's type does
    /// not say.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn is_bytes(&self) -> Result<bool> {
        match self.source {
            Source::Stack { bytes: true, .. } | Source::Each { bytes: true, .. } => return Ok(true),
            Source::Rescaled { .. } => return Ok(false),
            _ => {}
        }
        let step = (AT_ONCE / (self.height * self.width * self.channels)).max(1);
        for first in (0..self.len()).step_by(step) {
            let values = self.read(first..(first + step).min(self.len()))?;
            if values.iter().any(|v| !(0.0..=255.0).contains(v) || v.fract() != 0.0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The mean of the middle 2 x 2 of every 4 x 4 pixels of images.
fn middles(images: &ArrayD<f32>) -> ArrayD<f32> {
    let middle = |row: isize, column: isize| {
        images.slice_each_axis(|axis| match axis.axis.index() {
            1 => ndarray::Slice::new(row, None, 4),
            2 => ndarray::Slice::new(column, None, 4),
            _ => ndarray::Slice::from(..),
        })
    };
    (&middle(1, 1) + &middle(1, 2) + middle(2, 1) + middle(2, 2)) / 4.0
}

/// Height, width and channels of an array of images that has at least one pixel.
fn understand(shape: &[usize]) -> Option<(usize, usize, usize)> {
    let found = match *shape {
        [_, height, width] => (height, width, 1),
        [_, height, width, 3] if !matches!(height, 1 | 3) => (height, width, 3),
        [_, channels @ (1 | 3), height, width] if width != 3 => (height, width, channels),
        _ => return None,
    };
    (!shape.contains(&0)).then_some(found)
}
