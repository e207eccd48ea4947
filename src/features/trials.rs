//! Rows that are not images but presentations of images: each image's features stand once for each time that
//! it was shown, beside what was known of the animal then.

use super::host::affordable;
use super::layers::{LayerColumns, LayersPlan, visit_layers};
use super::slabs::{Slab, UNIT};
use super::source::Source;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::host::room;
use ndarray::{Array2, s};
use std::ops::Range;

/// Presentations of the images of another source, and covariates, which are further features: a channel of
/// the same value at every position each, after the channels of the layer.
pub struct Trials {
    images: Source,
    shown: Vec<usize>,
    /// (presentations, covariates).
    covariates: Array2<f32>,
    /// Features of each image, a matrix for each layer; empty until they are asked for.
    held: Vec<Array2<f32>>,
}

/// Words that are written before the device is waited for.
const WRITTEN_WORDS: usize = 8 << 20;

impl Trials {
    /// Rows that show the images `shown` of `images`, each with a row of `covariates`.
    ///
    /// # Errors
    /// Internal, if numbers do not fit each other.
    pub fn new(images: Source, shown: Vec<usize>, covariates: Array2<f32>) -> Result<Self> {
        if covariates.nrows() != shown.len() || shown.iter().any(|image| *image >= images.images()) {
            let found = format!("{} rows of {} images", shown.len(), images.images());
            return Err(Error::internal("trials", format!("{found}, covariates {:?}", covariates.dim())));
        }
        Ok(Trials { images, shown, covariates, held: Vec::new() })
    }

    /// The source of the images.
    pub(super) fn images(&self) -> &Source {
        &self.images
    }

    pub(super) fn images_mut(&mut self) -> &mut Source {
        &mut self.images
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.shown.len()
    }

    /// Features of a row.
    pub(super) fn features(&self, layer: usize) -> usize {
        let [_, height, width] = self.images.shape_of(layer);
        self.images.features_of(layer) + self.covariates.ncols() * height * width
    }

    /// As [`Source::shape_of`].
    pub(super) fn shape(&self, layer: usize) -> [usize; 3] {
        let [channels, height, width] = self.images.shape_of(layer);
        [channels + self.covariates.ncols(), height, width]
    }

    fn columns(&self) -> Vec<LayerColumns> {
        let one = |layer| LayerColumns { features: self.images.features_of(layer), unit: UNIT };
        (0..self.images.layers()).map(one).collect()
    }

    /// GPU memory that the features of the images pass through: all of them, but an eighth of the budget at
    /// most.
    fn passing(&self, gpu: &Gpu) -> u64 {
        let (images, columns) = (self.images.images(), self.columns());
        let padded = |layer: &LayerColumns| (layer.features + 3 * layer.features.div_ceil(UNIT)) as u64;
        let all = 4 * images as u64 * columns.iter().map(padded).sum::<u64>();
        all.min(gpu.ledger().budget() / 8).max(LayersPlan::least_bytes(images, &columns))
    }

    /// GPU memory besides the features of the rows, in bytes.
    pub(super) fn overhead(&self, gpu: &Gpu) -> Result<u64> {
        Ok(self.images.overhead(gpu)? + self.passing(gpu))
    }

    /// Host memory of the features of the images, and of what these take, in bytes.
    pub(super) fn host_bytes(&self) -> u64 {
        let features: usize = self.columns().iter().map(|layer| layer.features).sum();
        self.images.host_bytes() + 4 * self.images.images() as u64 * features as u64
    }

    /// Computes the features of the images, once.
    fn hold(&mut self, gpu: &Gpu, progress: &mut dyn FnMut(f64)) -> Result<()> {
        if !self.held.is_empty() {
            return Ok(());
        }
        let (images, columns) = (self.images.images(), self.columns());
        affordable(images, self.host_bytes())?;
        let plan = LayersPlan::new(gpu, images, columns.clone(), self.passing(gpu))?;
        room("features", columns.iter().map(|layer| 4 * (images * layer.features) as u64).sum())?;
        let mut held: Vec<Array2<f32>> =
            columns.iter().map(|layer| Array2::zeros((images, layer.features))).collect();
        visit_layers(gpu, &mut self.images, &plan, &[], progress, &mut |slab| {
            let values = slab.matrix.download(gpu)?;
            held[slab.layer].slice_mut(s![.., slab.columns.clone()]).assign(&values);
            Ok(())
        })?;
        self.held = held;
        Ok(())
    }

    /// As [`Source::fill`].
    pub(super) fn fill(
        &mut self,
        gpu: &Gpu,
        rows: Range<usize>,
        slabs: &[Slab],
        progress: &mut dyn FnMut(f64),
    ) -> Result<()> {
        self.hold(gpu, &mut |share| progress(0.9 * share))?;
        let words: usize = slabs.iter().map(|slab| slab.columns.len()).sum();
        let at_once = (WRITTEN_WORDS / words.max(1)).max(1);
        for first in rows.clone().step_by(at_once) {
            let end = (first + at_once).min(rows.end);
            for row in first..end {
                for slab in slabs {
                    let values = self.values(row, slab);
                    gpu.write(&slab.matrix.buffer, (row - rows.start) * slab.matrix.pitch(), &values)?;
                }
            }
            progress(0.9 + 0.1 * (end - rows.start) as f64 / rows.len() as f64);
        }
        Ok(())
    }

    /// The columns of a slab in one row.
    fn values(&self, row: usize, slab: &Slab) -> Vec<f32> {
        let features = self.held[slab.layer].row(self.shown[row]);
        let [_, height, width] = self.images.shape_of(slab.layer);
        let own = slab.columns.start.min(features.len())..slab.columns.end.min(features.len());
        let further = slab.columns.start.max(features.len())..slab.columns.end.max(features.len());
        let covariates = self.covariates.row(row);
        let constant = further.map(|column| covariates[(column - features.len()) / (height * width)]);
        features.slice(s![own]).iter().copied().chain(constant).collect()
    }
}
