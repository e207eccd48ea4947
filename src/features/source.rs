//! Where features come from: a network over images, or a file of features.

use super::network_source::{NetworkSource, draw};
use super::slabs::Slab;
use super::trials::Trials;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
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
}

/// Words read from a file at once.
const READ_WORDS: usize = 8 << 20;

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
        Ok(FileSource { path: path.into(), rows, images: shape[0], stored: features, shape, sample: None })
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

    fn fill(
        &mut self,
        gpu: &Gpu,
        images: Range<usize>,
        slabs: &[Slab],
        progress: &mut dyn FnMut(f64),
    ) -> Result<()> {
        let at_once = (READ_WORDS / self.stored).max(1);
        for first in images.clone().step_by(at_once) {
            let range = first..(first + at_once).min(images.end);
            let read = self.rows.read(range.clone())?;
            for (image, row) in range.clone().zip(read.axis_iter(Axis(0))) {
                let values: Vec<f32> = row.iter().copied().collect();
                if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                    let found = format!("{} at image {image}, feature {at}", values[at]);
                    let advice = "Leave out the images or features that hold it";
                    return Err(Error::input(&self.path, found, "finite numbers", advice));
                }
                let values = match &self.sample {
                    Some(sample) => sample.iter().map(|number| values[*number as usize]).collect(),
                    None => values,
                };
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
            Source::File(f) => match (&f.sample, f.shape.as_slice()) {
                (None, [_, channels, height, width]) => Some([*channels, *height, *width]),
                _ => None,
            },
            Source::Trials(t) => Some(t.shape(layer)),
        };
        maps.unwrap_or([self.features_of(layer), 1, 1])
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
