//! A feature space as slabs of columns: all of them resident where memory allows, else a few at a time.

use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, LONGEST_LOOP, Matrix, Recording};
use crate::kernels::centre::Centre;
use crate::kernels::column_means::ColumnMeans;
use std::ops::Range;

/// Columns of the feature matrix, of all images.
#[derive(Clone, Debug)]
pub struct Slab {
    /// Which of the source's layers, counted as they were asked for; 0 where there is one.
    pub layer: usize,
    /// Which features.
    pub columns: Range<usize>,
    /// images x these features.
    pub matrix: Matrix,
    /// Means that were taken off the columns, one row; empty where they were not.
    pub means: Vec<f32>,
}

/// Columns of a slab are a multiple of this (or of another unit), so that sums over them have the same order
/// however they are cut.
pub const UNIT: usize = 512;

/// Columns of a slab at most. Predictions are summed in plain f32 over one slab and in f64 over slabs: four
/// times as many columns would cost them the fifth digit.
pub const LARGEST: usize = 4096;

/// How a feature space is cut to fit into memory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SlabPlan {
    /// Features of each slab; the last may have fewer.
    pub columns: usize,
    /// Number of slabs.
    pub slabs: usize,
    /// Slabs held at once.
    pub held: usize,
}

impl SlabPlan {
    /// Cuts `features` columns of `images` rows so that `bytes` hold as many slabs as they can, and one more
    /// of the same size to work with.
    ///
    /// # Errors
    /// Memory, if not even one slab of the smallest size fits, and the other.
    pub fn new(gpu: &Gpu, images: usize, features: usize, bytes: u64) -> Result<Self> {
        Self::in_units(gpu, images, features, UNIT, bytes)
    }

    /// The same with slabs of whole units of columns, as maps are that must not be cut.
    ///
    /// # Errors
    /// Memory, if not even one slab of one unit fits, and the other.
    pub fn in_units(gpu: &Gpu, images: usize, features: usize, unit: usize, bytes: u64) -> Result<Self> {
        if images > LONGEST_LOOP as usize {
            let wanted = format!("at most {LONGEST_LOOP}, over which a mean can be taken on every adapter");
            return Err(Error::new(Kind::Usage, "images", images, wanted, "Split them into several fits"));
        }
        let smallest = Self::least_bytes(images, features, unit);
        let column_bytes = 4 * images as u64;
        // Rows of every slab are padded to whole quads.
        let padding = if unit.is_multiple_of(4) { 0 } else { 3 * (features.div_ceil(unit) + 1) };
        let fit = ((bytes / column_bytes) as usize).saturating_sub(padding);
        let bound = (gpu.max_binding_bytes() / column_bytes) as usize / 4 * 4;
        if features.min(unit) > bound {
            return Err(unbound(gpu, images, features.min(unit)));
        }
        if smallest > bytes {
            return Err(crate::gpu::too_large("features", smallest, bytes, gpu.ledger().budget()));
        }
        let all = features.next_multiple_of(4);
        // Whatever is left beside all features is the largest slab that lets them stay; if they cannot stay,
        // small slabs waste least.
        let wanted = if 2 * all <= fit {
            all
        } else if all + unit <= fit {
            (fit - all) / unit * unit
        } else {
            (fit / 8 / unit * unit).max(unit)
        };
        let columns = match wanted.min(LARGEST.max(unit)).min(bound) {
            most if most >= features => features,
            most => most / unit * unit,
        };
        let slabs = features.div_ceil(columns);
        let held = if all + columns <= fit { slabs } else { (fit / columns - 1).clamp(1, slabs) };
        Ok(SlabPlan { columns, slabs, held })
    }

    /// The bytes that [`SlabPlan::in_units`] needs at least.
    pub fn least_bytes(images: usize, features: usize, unit: usize) -> u64 {
        let units = features.div_ceil(unit) + 1;
        let padding = if unit.is_multiple_of(4) { 0 } else { 3 * units };
        8 * (images * (features.min(unit).next_multiple_of(4) + padding)) as u64
    }

    /// Bytes of the slabs held at once, and of one more.
    pub fn bytes(&self, images: usize) -> u64 {
        4 * (images * (self.held + 1) * self.columns.next_multiple_of(4)) as u64
    }

    /// Times that all images pass through the network.
    pub fn passes(&self) -> usize {
        self.slabs.div_ceil(self.held)
    }

    /// Features of a slab.
    fn range(&self, slab: usize, features: usize) -> Range<usize> {
        slab * self.columns..((slab + 1) * self.columns).min(features)
    }
}

/// A source of features, cut by a plan, with the columns centred by the mean over some images.
pub struct FeatureSpace {
    source: Source,
    plan: SlabPlan,
    centre: Vec<usize>,
    prepare: Option<Box<Prepare>>,
    kept: Vec<Slab>,
}

/// Changes the columns of a slab in place, with a matrix of the same shape to spare.
pub type Prepare = dyn Fn(&Gpu, &Matrix, &Matrix) -> Result<()>;

impl FeatureSpace {
    /// Features of `source`; if `centre` names images, the mean over these is taken off every column.
    pub fn new(source: Source, plan: SlabPlan, centre: Vec<usize>) -> Self {
        FeatureSpace { source, plan, centre, prepare: None, kept: Vec::new() }
    }

    /// The same, with something done to every slab once it is centred.
    pub fn prepared_by(self, prepare: Box<Prepare>) -> Self {
        FeatureSpace { prepare: Some(prepare), ..self }
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Calls `each` with every slab in order. Slabs that all fit stay on the device for the next visit;
    /// others are computed again. `progress` gets the share done.
    ///
    /// # Errors
    /// As [`Source::fill`], and those of `each`.
    pub fn visit(
        &mut self,
        gpu: &Gpu,
        progress: &mut dyn FnMut(f64),
        each: &mut dyn FnMut(&Slab) -> Result<()>,
    ) -> Result<()> {
        let passes = self.plan.passes();
        for pass in 0..passes {
            let slabs = if self.kept.is_empty() {
                self.pass(gpu, pass, &mut |share| progress((pass as f64 + share) / passes as f64))?
            } else {
                self.kept.clone()
            };
            for slab in &slabs {
                each(slab)?;
            }
            if passes == 1 {
                self.kept = slabs;
            }
        }
        Ok(())
    }

    fn pass(&mut self, gpu: &Gpu, pass: usize, progress: &mut dyn FnMut(f64)) -> Result<Vec<Slab>> {
        let (images, features) = (self.source.images(), self.source.features());
        let mut slabs = Vec::new();
        for number in (pass * self.plan.held..self.plan.slabs).take(self.plan.held) {
            let columns = self.plan.range(number, features);
            let matrix = Matrix::zeros(gpu, "features", images, columns.len())?;
            slabs.push(Slab { layer: 0, columns, matrix, means: Vec::new() });
        }
        self.source.fill(gpu, 0..images, &slabs, progress)?;
        if !self.centre.is_empty() {
            for slab in &mut slabs {
                slab.means = centre(gpu, &slab.matrix, &self.centre)?;
            }
        }
        if let Some(prepare) = &self.prepare {
            for Slab { matrix, .. } in &slabs {
                prepare(gpu, matrix, &Matrix::zeros(gpu, "features to spare", matrix.rows, matrix.columns)?)?;
            }
        }
        Ok(slabs)
    }
}

/// The error of columns that must stay together and are more than the adapter binds at once.
fn unbound(gpu: &Gpu, images: usize, columns: usize) -> Error {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let bytes = mebibytes(4 * (images * columns) as u64);
    Error::new(
        Kind::Memory,
        "features",
        format!("{columns} values of each of {images} images that cannot be cut apart take {bytes:.1} MiB"),
        format!("at most {:.1} MiB, which this adapter binds at once", mebibytes(gpu.max_binding_bytes())),
        "Use a smaller --size or --pool, fewer images, or --readout ridge",
    )
}

/// Takes the mean over some rows off every column, in place. Returns the means.
pub(super) fn centre(gpu: &Gpu, matrix: &Matrix, rows: &[usize]) -> Result<Vec<f32>> {
    let mut include = vec![0f32; matrix.rows];
    for row in rows {
        include[*row] = 1.0;
    }
    let include = gpu.upload("rows of the mean", &include)?;
    let means = Matrix::zeros(gpu, "feature means", 1, matrix.columns)?;
    let mut recording = Recording::new();
    recording.add(ColumnMeans { m: matrix, include: &include, count: rows.len(), means: &means }.launch()?);
    recording.add(Centre { m: matrix, means: &means }.launch()?);
    gpu.start(&recording)?;
    Ok(means.download(gpu)?.iter().copied().collect())
}
