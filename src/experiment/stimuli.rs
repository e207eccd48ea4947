//! The images of an experiment, read when they are asked for.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ndarray::{ArrayD, IxDyn};

use super::place;
use crate::error::{Error, Kind, Result};
use crate::io::images::scale::{Scale, Seen};
use crate::io::images::{Filter, Images, Layout, Normalise, Preparation, SHAPES};
use crate::io::npy::{self, Element};
use crate::io::resize::Size;
use crate::io::store::{ElementType, Store};

/// Values of images that are looked at together.
const AT_ONCE: usize = 1 << 22;

/// White among levels, and the grey of a blank sweep.
const WHITE: f32 = 255.0;
const GREY: f32 = 127.0;

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
    found: OnceLock<(Seen, Scale)>,
}

enum Source {
    /// One array of all images.
    Stack { store: Arc<dyn Store>, name: String, element: Element, layout: Layout },
    /// An array an image.
    Each { store: Arc<dyn Store>, names: Vec<String>, element: Element },
    /// A `.npy` an image.
    Arrays { files: Vec<PathBuf>, element: Element, layout: Layout },
    /// Picture files, or one `.npy`.
    Images(Images),
    /// Others at a quarter of their size, divided by a unit.
    Rescaled { full: Box<Stimuli>, unit: f32 },
}

impl Stimuli {
    fn new(layout: Layout, ids: Vec<String>, source: Source) -> Stimuli {
        let Layout { size, channels, .. } = layout;
        let (height, width, normalisation) = (size.height, size.width, None);
        Stimuli { height, width, channels, ids, normalisation, source, found: OnceLock::new() }
    }

    /// An array of images in a file.
    pub(super) fn stack(store: &Arc<dyn Store>, name: &str) -> Result<Stimuli> {
        let array = store.array(name)?;
        let found = format!("it is an array of {} with the shape {:?}", array.dtype, array.shape);
        let wrong =
            |found: &str, wanted: &str| Error::new(Kind::Input, place(&**store, name), found, wanted, "");
        let ElementType::Number(element) = array.element else { return Err(wrong(&found, "numbers")) };
        let layout = Layout::of(&array.shape).map_err(|found| wrong(&found, SHAPES))?;
        let ids = (0..array.shape[0]).map(|image| image.to_string()).collect();
        let source = Source::Stack { store: Arc::clone(store), name: name.into(), element, layout };
        Ok(Stimuli::new(layout, ids, source))
    }

    /// Arrays of a file, each one an image, all of one size and type.
    pub(super) fn each(store: &Arc<dyn Store>, names: Vec<String>) -> Result<Stimuli> {
        let mut first: Option<(Vec<usize>, Element)> = None;
        for name in &names {
            let array = store.array(name)?;
            let found = format!("it is an array of {} with the shape {:?}", array.dtype, array.shape);
            let wrong = |wanted: &str| Error::new(Kind::Input, place(&**store, name), &found, wanted, "");
            let ElementType::Number(element) = array.element else { return Err(wrong("numbers")) };
            let picture = matches!(array.shape[..], [_, _] | [_, _, 3]);
            if !picture || array.is_empty() {
                return Err(wrong("one picture: (height, width) or (height, width, 3)"));
            }
            let (shape, same) = first.get_or_insert_with(|| (array.shape.clone(), element));
            if *shape != array.shape || *same != element {
                let wanted = format!("images of one size and type, those of {}: {}", names[0], same.name());
                return Err(wrong(&format!("{wanted} {shape:?}")));
            }
        }
        let Some((shape, element)) = first else {
            return Err(Error::internal(store.path().display(), "no images were named"));
        };
        let ids = names.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_string()).collect();
        let size = Size { height: shape[0], width: shape[1] };
        let layout = Layout::plain(size, shape.get(2).copied().unwrap_or(1));
        Ok(Stimuli::new(layout, ids, Source::Each { store: Arc::clone(store), names, element }))
    }

    /// `.npy` files of one shape, (1, height, width) or (3, height, width) each, or without a first axis.
    pub(super) fn arrays(files: Vec<PathBuf>, ids: Vec<String>) -> Result<Stimuli> {
        let mut first: Option<(Vec<usize>, Element)> = None;
        for file in &files {
            let info = npy::info(file)?.swap_remove(0);
            let (shape, element) = first.get_or_insert_with(|| (info.shape.clone(), info.element));
            if *shape != info.shape || *element != info.element {
                let wanted =
                    format!("images of one size and type, those of {}: {shape:?}", files[0].display());
                let found = format!("it has the shape {:?} of {}", info.shape, info.element.name());
                return Err(Error::input(file, found, wanted, ""));
            }
        }
        let (shape, element) = first.unwrap_or((Vec::new(), Element::U8));
        let whole = [&[1], &shape[..]].concat();
        let layout = Layout::of(&whole).ok().filter(|_| shape.len() < 4).ok_or_else(|| {
            let place = files.first().map_or(Path::new("images"), PathBuf::as_path);
            let wanted = "one image: (1, height, width), (3, height, width) or (height, width)";
            Error::input(place, format!("it has the shape {shape:?}"), wanted, "")
        })?;
        Ok(Stimuli::new(layout, ids, Source::Arrays { files, element, layout }))
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
        Ok(Stimuli::new(Layout::plain(size, channels), ids, Source::Images(images)))
    }

    /// How many images.
    #[allow(clippy::len_without_is_empty, reason = "an experiment without images does not open")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The images `range`: (images, height, width), and (images, height, width, 3) in colour; whole numbers
    /// from 0 (black) to 255 (white), floats as they are.
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
        match &self.source {
            Source::Rescaled { full, unit } => Ok(middles(&full.read(range)?) / *unit),
            Source::Images(images) => {
                let as_they_are =
                    Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
                let batch = images.batch(range, &as_they_are)?;
                let values = batch.pixels.iter().flat_map(|pixel| &pixel[..self.channels]);
                self.shaped(count, values.copied().collect())
            }
            _ => {
                let (_, scale) = self.found()?;
                let (mut values, element) = self.stored(range)?;
                scale.levels(element, &mut values);
                self.shaped(count, values)
            }
        }
    }

    /// Images as the file holds them, pixel by pixel.
    fn stored(&self, range: Range<usize>) -> Result<(Vec<f32>, Element)> {
        match &self.source {
            Source::Stack { store, name, element, layout } => {
                let shape = store.array(name)?.shape;
                let rest = shape.iter().skip(1).map(|&length| 0..length);
                let region: Vec<Range<usize>> = std::iter::once(range).chain(rest).collect();
                Ok((layout.interleaved(store.floats(name, &region)?.view()), *element))
            }
            Source::Each { store, names, element } => {
                let mut all = Vec::new();
                for name in &names[range] {
                    let region = store.array(name)?.all();
                    all.extend(store.floats(name, &region)?);
                }
                Ok((all, *element))
            }
            Source::Arrays { files, element, layout } => {
                let mut all = Vec::new();
                for file in &files[range] {
                    let image = npy::read(file, None)?;
                    let shape = [&[1], image.shape()].concat();
                    let image = image.into_shape_with_order(shape);
                    let image = image.map_err(|why| Error::internal(file.display(), why))?;
                    all.extend(layout.interleaved(image.view()));
                }
                Ok((all, *element))
            }
            // Read by themselves.
            Source::Images(_) | Source::Rescaled { .. } => Err(Error::internal("stimuli", "already read")),
        }
    }

    /// What the numbers of an array mean. Looks at all images where the file's type does not say.
    fn found(&self) -> Result<&(Seen, Scale)> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let place = match &self.source {
            Source::Stack { store, name, .. } => PathBuf::from(place(&**store, name)),
            Source::Each { store, .. } => store.path().to_path_buf(),
            Source::Arrays { files, .. } => files[0].clone(),
            Source::Images(images) => images.path().to_path_buf(),
            Source::Rescaled { .. } => PathBuf::new(),
        };
        let mut seen = Seen::default();
        let step = (AT_ONCE / (self.height * self.width * self.channels)).max(1);
        for first in (0..self.len()).step_by(step) {
            let (values, element) = self.stored(first..(first + step).min(self.len()))?;
            seen.look(element, &values, &place)?;
            if seen.is_settled(element) {
                break;
            }
        }
        let scale = seen.scale(None, &place)?;
        Ok(self.found.get_or_init(|| (seen, scale)))
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
        let unit = if matches!(self.scale()?, Scale::BYTES | Scale::LEVELS) { WHITE } else { 1.0 };
        Ok(Stimuli {
            height: height / 4,
            width: width / 4,
            channels: self.channels,
            ids: self.ids.clone(),
            normalisation: self.normalisation.map(|(mean, std)| (mean / unit, std / unit)),
            source: Source::Rescaled { full: Box::new(self), unit },
            found: OnceLock::new(),
        })
    }

    /// The grey of a blank sweep, as the Allen Institute's monitors show it: 127 of 255, in the unit of the
    /// images; none where these have a scale of their own.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn grey(&self) -> Result<Option<f32>> {
        Ok(match self.scale()? {
            Scale::BYTES | Scale::LEVELS => Some(GREY),
            Scale::UNIT => Some(GREY / WHITE),
            _ => None,
        })
    }

    /// What the numbers mean that [`Stimuli::read`] gives: one of the constants of [`Scale`]. Looks at all
    /// images where the file's type does not say.
    ///
    /// # Errors
    /// Data that cannot be read, or that no image has.
    pub fn scale(&self) -> Result<Scale> {
        match &self.source {
            Source::Rescaled { unit, .. } if *unit == WHITE => Ok(Scale::UNIT),
            Source::Rescaled { full, .. } => full.scale(),
            Source::Images(images) => images.scale_read(),
            _ => self.found().map(|(seen, scale)| seen.read(scale)),
        }
    }

    /// What a person should know of how numbers were read.
    ///
    /// # Errors
    /// As [`Stimuli::scale`].
    pub fn notes(&self) -> Result<Vec<String>> {
        match &self.source {
            Source::Rescaled { full, .. } => full.notes(),
            Source::Images(images) => Ok(images.reading()?.1),
            _ => self.found().map(|(seen, scale)| seen.notes(scale, false)),
        }
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
