//! Where features come from: a network over images, or a file of features.

use super::network_source::{NetworkSource, draw};
use super::slabs::Slab;
use super::trials::Trials;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::io::image_names::ImageNames;
use crate::io::npy::{Rows, split_member};
use crate::routines::Scratch;
use ndarray::Axis;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Rows of features: one an image, or one a presentation of an image.
pub enum Source {
    /// Layers of a network over images.
    Network(Box<NetworkSource>),
    /// `--features FILE`.
    File(Box<FileSource>),
    /// Presentations of the images of one of these.
    Trials(Box<Trials>),
}

/// A file of features, images x anything.
pub struct FileSource {
    path: PathBuf,
    rows: Rows,
    images: usize,
    stored: usize,
    shape: Vec<usize>,
    sample: Option<Vec<u32>>,
    offsets: Offsets,
}

/// What is taken off features in f64 before they become f32, which has no digits for what varies beside a
/// large mean.
enum Offsets {
    /// Nothing.
    Raw,
    /// The mean of each channel, yet to be measured.
    Means,
    /// One of each feature.
    Known(Vec<f64>),
}

/// Words read from a file at once.
const READ_WORDS: usize = 4 << 20;

impl FileSource {
    /// Opens `.npy` or `.npz`; reads the header only.
    ///
    /// # Errors
    /// Input, if it is no array with at least two axes and one value.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, member) = split_member(path);
        let rows = Rows::open(&file, member.as_deref())?;
        let shape = rows.info().shape.clone();
        let features = shape.iter().skip(1).product();
        if shape.len() < 2 || shape[0] == 0 || features == 0 {
            let found = format!("an array of shape {shape:?}");
            return Err(Error::input(path, found, "images x features", "Save one row an image"));
        }
        let offsets = if rows.info().element.is_wide() { Offsets::Means } else { Offsets::Raw };
        let (path, images) = (path.into(), shape[0]);
        Ok(FileSource { path, rows, images, stored: features, shape, sample: None, offsets })
    }

    /// Keeps only `count` features, drawn at random without repetition (`--subsample`).
    ///
    /// # Errors
    /// Usage, if there are not so many.
    pub fn subsample(&mut self, count: usize, seed: u64) -> Result<()> {
        self.sample = Some(draw(self.stored, count, seed)?);
        Ok(())
    }

    fn features(&self) -> usize {
        self.sample.as_ref().map_or(self.stored, Vec::len)
    }

    /// Channels, height and width of the features where they are maps.
    fn maps(&self) -> Option<[usize; 3]> {
        match (&self.sample, self.shape.as_slice()) {
            (None, [_, channels, height, width]) => Some([*channels, *height, *width]),
            _ => None,
        }
    }

    /// Features of some images, (images, features).
    fn read(&mut self, images: Range<usize>) -> Result<Vec<Vec<f64>>> {
        let mut rows = Vec::with_capacity(images.len());
        for (image, row) in images.clone().zip(self.rows.read_f64(images)?.axis_iter(Axis(0))) {
            let values: Vec<f64> = row.iter().copied().collect();
            if let Some(at) = values.iter().position(|v| !(*v as f32).is_finite()) {
                let found = format!("{} at image {image}, feature {at}", values[at]);
                let advice = "Leave out the images or features that hold it";
                return Err(Error::input(&self.path, found, "finite numbers", advice));
            }
            rows.push(match &self.sample {
                Some(sample) => sample.iter().map(|number| values[*number as usize]).collect(),
                None => values,
            });
        }
        Ok(rows)
    }

    fn at_once(&self) -> usize {
        (READ_WORDS / self.stored).max(1)
    }

    /// The mean over all images of every feature, where it has to be known; of maps over their channels, as
    /// these are standardised.
    fn measure(&mut self) -> Result<()> {
        if !matches!(self.offsets, Offsets::Means) {
            return Ok(());
        }
        let mut means = vec![0.0; self.features()];
        for first in (0..self.images).step_by(self.at_once()) {
            for row in self.read(first..(first + self.at_once()).min(self.images))? {
                means.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        means.iter_mut().for_each(|sum| *sum /= self.images as f64);
        if let Some([_, height, width]) = self.maps() {
            for channel in means.chunks_exact_mut(height * width) {
                let mean = channel.iter().sum::<f64>() / channel.len() as f64;
                channel.fill(mean);
            }
        }
        self.offsets = Offsets::Known(means);
        Ok(())
    }

    fn fill(
        &mut self,
        gpu: &Gpu,
        images: Range<usize>,
        slabs: &[Slab],
        progress: &mut dyn FnMut(f64),
    ) -> Result<()> {
        self.measure()?;
        let at_once = self.at_once();
        for first in images.clone().step_by(at_once) {
            let range = first..(first + at_once).min(images.end);
            for (image, mut values) in range.clone().zip(self.read(range.clone())?) {
                if let Offsets::Known(offsets) = &self.offsets {
                    values.iter_mut().zip(offsets).for_each(|(value, offset)| *value -= offset);
                }
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                for slab in slabs {
                    let words = &values[slab.columns.clone()];
                    gpu.write(&slab.matrix.buffer, (image - images.start) * slab.matrix.pitch(), words)?;
                }
            }
            progress((range.end - images.start) as f64 / images.len() as f64);
        }
        Ok(())
    }
}

impl Source {
    /// Number of rows: images, or presentations of images.
    pub fn images(&self) -> usize {
        match self {
            Source::Network(n) => n.images(),
            Source::File(f) => f.images,
            Source::Trials(t) => t.rows(),
        }
    }

    /// The images, for tables that name them.
    pub fn image_names(&self) -> ImageNames {
        match self {
            Source::Network(n) => n.image_names(),
            Source::File(f) => ImageNames::counted(f.images),
            Source::Trials(t) => t.images().image_names(),
        }
    }

    /// Number of layers asked for; a file has one.
    pub fn layers(&self) -> usize {
        match self {
            Source::Network(n) => n.layers(),
            Source::File(_) => 1,
            Source::Trials(t) => t.images().layers(),
        }
    }

    /// Number of features of one row in the first layer.
    pub fn features(&self) -> usize {
        self.features_of(0)
    }

    /// The same of any layer, counted as they were asked for.
    pub fn features_of(&self, layer: usize) -> usize {
        match self {
            Source::Network(n) => n.features(layer),
            Source::File(f) => f.features(),
            Source::Trials(t) => t.features(layer),
        }
    }

    /// Channels, height and width of one row's features in the first layer, as [`Source::shape_of`].
    pub fn shape(&self) -> [usize; 3] {
        self.shape_of(0)
    }

    /// Channels, height and width of one row's features, which lie in this order, the last fastest;
    /// `[features, 1, 1]` where they are no maps: in a file that has not four axes, or in a sample of
    /// features.
    pub fn shape_of(&self, layer: usize) -> [usize; 3] {
        let maps = match self {
            Source::Network(n) => n.maps(layer).map(|s| [s.channels, s.height, s.width]),
            Source::File(f) => f.maps(),
            Source::Trials(t) => Some(t.shape(layer)),
        };
        maps.unwrap_or([self.features_of(layer), 1, 1])
    }

    /// Lets features of a file be as they are, without anything taken off before they become f32.
    pub fn keep_raw(&mut self) {
        match self {
            Source::Network(_) => {}
            Source::File(f) => f.offsets = Offsets::Raw,
            Source::Trials(t) => t.images_mut().keep_raw(),
        }
    }

    /// What is taken off the first features in f64, once they have been read; empty where nothing is.
    pub fn offsets(&self) -> &[f64] {
        match self {
            Source::Network(_) => &[],
            Source::File(f) => match &f.offsets {
                Offsets::Known(offsets) => offsets,
                _ => &[],
            },
            Source::Trials(t) => t.images().offsets(),
        }
    }

    /// Takes `means` off the features of a file in f64, those of the first features; says how many these are: of
    /// a network none.
    pub fn take_off(&mut self, means: &[f64]) -> usize {
        match self {
            Source::Network(_) => 0,
            Source::File(f) => {
                let own = means.get(..f.features()).unwrap_or(means);
                f.offsets = Offsets::Known(own.to_vec());
                own.len()
            }
            Source::Trials(t) => t.images_mut().take_off(means),
        }
    }

    /// Operations that computing all features takes.
    ///
    /// # Errors
    /// As [`NetworkSource::estimate`].
    pub fn operations(&self, gpu: &Gpu) -> Result<f64> {
        Ok(match self {
            Source::Network(n) => n.estimate(gpu)?.operations * n.images() as f64,
            Source::File(_) => 0.0,
            Source::Trials(t) => t.images().operations(gpu)?,
        })
    }

    /// Times that a job of so many passes over the rows computes all features: those of images that are shown
    /// in trials are kept.
    pub fn computed(&self, passes: usize) -> usize {
        if matches!(self, Source::Trials(_)) { passes.min(1) } else { passes }
    }

    /// GPU memory besides the features themselves, in bytes.
    ///
    /// # Errors
    /// As [`NetworkSource::estimate`].
    pub fn overhead(&self, gpu: &Gpu) -> Result<u64> {
        match self {
            Source::File(_) => Ok(0),
            Source::Network(n) => n.overhead(gpu),
            Source::Trials(t) => t.overhead(gpu),
        }
    }

    /// The error of a job with these features that needs so many bytes of GPU memory. Where the transforms of
    /// convolutions alone are too much, it says what goes without them.
    pub(crate) fn too_large(&self, gpu: &Gpu, what: &str, needed: u64) -> Error {
        let budget = gpu.ledger().budget();
        let error = crate::gpu::too_large(what, needed, budget, budget);
        if self.fits_by_direct_sums(gpu, needed) { error.with_memory_advice(Scratch::ADVICE) } else { error }
    }

    /// Whether a job that needs so many bytes of GPU memory has too few only for the transforms of
    /// convolutions.
    pub(crate) fn fits_by_direct_sums(&self, gpu: &Gpu, needed: u64) -> bool {
        let budget = gpu.ledger().budget();
        let fits = |bytes: u64| bytes > 0 && needed.saturating_sub(bytes) <= budget;
        self.transform_bytes(gpu).is_ok_and(fits)
    }

    /// As [`NetworkSource::transform_bytes`].
    fn transform_bytes(&self, gpu: &Gpu) -> Result<u64> {
        match self {
            Source::Network(n) => n.transform_bytes(gpu),
            Source::File(_) => Ok(0),
            Source::Trials(t) => t.images().transform_bytes(gpu),
        }
    }

    /// Memory of the host that features take beside what is computed of them, and images on their way, in
    /// bytes.
    pub fn host_bytes(&self) -> u64 {
        match self {
            Source::File(_) => 0,
            Source::Network(n) => n.host_bytes(),
            Source::Trials(t) => t.host_bytes(),
        }
    }

    /// Writes the features of a range of rows into slabs.
    ///
    /// # Errors
    /// Input, if a file or image cannot be used; as [`Gpu::run`].
    pub fn fill(
        &mut self,
        gpu: &Gpu,
        rows: Range<usize>,
        slabs: &[Slab],
        progress: &mut dyn FnMut(f64),
    ) -> Result<()> {
        match self {
            Source::Network(n) => n.fill(gpu, rows, slabs, progress),
            Source::File(f) => f.fill(gpu, rows, slabs, progress),
            Source::Trials(t) => t.fill(gpu, rows, slabs, progress),
        }
    }
}
