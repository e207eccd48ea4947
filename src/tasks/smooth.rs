//! Features as spatial frequencies, weighted by what each ratio of penalties makes of them (`ridge::Ratios`).

use super::plan::FitPlan;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, Prepare};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::scale_columns::ScaleColumns;
use crate::kernels::shrink::Choice;
use crate::ridge::{Ratios, Space, frequency_penalties};
use crate::routines::{Gram, SineRotation};
use ndarray::Array2;
use std::ops::Range;

/// Columns whose frequencies are weighted at once: as many whole panels of a Gram matrix.
const PIECE: usize = 2048;

/// Ratios, and the shape of the maps that weights are smooth on.
pub(super) struct Smooth {
    pub ratios: Ratios,
    map: [usize; 2],
}

impl Smooth {
    /// For features of `[channels, height, width]`.
    ///
    /// # Errors
    /// Usage, if these are no maps.
    pub fn new(ratios: Ratios, [channels, height, width]: [usize; 3]) -> Result<Self> {
        if height * width == 1 {
            return Err(Error::new(
                Kind::Usage,
                "--readout smooth-ridge",
                format!("{channels} features that lie on no map"),
                "a layer with rows and columns, without --subsample, or a file of (images, channels, height, width)",
                "Take --readout ridge, or another layer",
            ));
        }
        Ok(Smooth { ratios, map: [height, width] })
    }

    fn area(&self) -> usize {
        self.map[0] * self.map[1]
    }

    /// Columns of the whole maps that are never cut apart, neither by slabs nor by panels of a Gram matrix,
    /// so that the bits of a fit do not depend on how a layer is cut.
    pub fn unit(&self) -> usize {
        self.area() * (PIECE / self.area()).max(1)
    }

    /// GPU memory in bytes of bases and factors.
    pub fn bytes(&self) -> u64 {
        let factors = 8 * self.ratios.values().len() * self.area().next_multiple_of(4);
        SineRotation::bytes(self.map) + factors as u64
    }

    /// Operations of rotating the features of some rows.
    pub fn operations(&self, rows: usize, features: usize) -> f64 {
        SineRotation::operations(rows as f64 * features as f64, self.map)
    }

    /// One factor for each ratio and frequency: `(1 + ratio μ²)^power`.
    fn factors(&self, power: f64) -> Array2<f64> {
        let mut factors = Array2::zeros((self.ratios.values().len(), self.area()));
        for (mut row, ratio) in factors.rows_mut().into_iter().zip(self.ratios.values()) {
            for (factor, penalty) in row.iter_mut().zip(frequency_penalties(self.map, *ratio)) {
                *factor = penalty.powf(power);
            }
        }
        factors
    }

    /// The pieces of a slab's columns, which begin anew with every unit.
    fn pieces(&self, columns: usize) -> Vec<Range<usize>> {
        let units = (0..columns).step_by(self.unit()).map(|u| u..(u + self.unit()).min(columns));
        units.flat_map(|u| u.clone().step_by(PIECE).map(move |p| p..(p + PIECE).min(u.end))).collect()
    }
}

/// The rotation and the factors on the device.
pub(super) struct Frequencies<'a> {
    smooth: &'a Smooth,
    rotation: SineRotation,
    /// `1 / sqrt(1 + ratio μ²)`, (ratios, frequencies): features times these make an ordinary ridge.
    features: Matrix,
    /// Their squares: what brings the images' weights back to weights of frequencies.
    weights: Matrix,
}

impl<'a> Frequencies<'a> {
    pub fn new(gpu: &Gpu, smooth: &'a Smooth) -> Result<Self> {
        let upload = |what, power| Matrix::upload(gpu, what, smooth.factors(power).mapv(|v| v as f32).view());
        Ok(Frequencies {
            smooth,
            rotation: SineRotation::new(gpu, smooth.map)?,
            features: upload("factors of frequencies", -0.5)?,
            weights: upload("factors of weights", -1.0)?,
        })
    }

    /// What is done to every slab of features.
    pub fn preparation(&self) -> Box<Prepare> {
        let rotation = self.rotation.clone();
        Box::new(move |gpu, maps, spare| rotation.rotate(gpu, maps, spare))
    }

    /// The images' kernel matrix for every ratio, from rotated features, all in one visit.
    pub fn kernels(
        &self,
        gpu: &Gpu,
        space: &mut FeatureSpace,
        plan: &FitPlan,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<Space>> {
        let kernels = Kernels::new(gpu, self.smooth, plan.n_rows)?;
        space.visit(gpu, progress, &mut |slab| kernels.add(gpu, self, &slab.matrix))?;
        kernels.finish(gpu)
    }

    /// Rotates the frequencies of a slab's maps, in place.
    pub fn rotate(&self, gpu: &Gpu, maps: &Matrix) -> Result<()> {
        let spare = Matrix::zeros(gpu, "features to spare", maps.rows, maps.columns)?;
        self.rotation.rotate(gpu, maps, &spare)
    }

    /// Rotated features, (images, features), weighted for every ratio.
    pub fn weighted(&self, rotated: &Array2<f64>) -> Vec<Space> {
        let area = self.smooth.area();
        let weigh = |factors: ndarray::ArrayView1<'_, f64>| {
            let mut features = rotated.clone();
            for (column, mut values) in features.columns_mut().into_iter().enumerate() {
                values *= factors[column % area];
            }
            Space::Features(features)
        };
        self.smooth.factors(-0.5).rows().into_iter().map(weigh).collect()
    }

    /// Weights of pixels from the images' weights times rotated features, each neuron with its own ratio.
    pub fn back(&self, gpu: &Gpu, product: &Matrix, ratios: &[usize]) -> Result<Matrix> {
        let numbers: Vec<u32> = ratios.iter().map(|r| *r as u32).collect();
        let choice = Choice::upload(gpu, &numbers)?;
        let weights = Matrix::zeros(gpu, "smooth weights", product.rows, product.columns)?;
        self.scale(gpu, [product, &weights], 0, &self.weights, &choice)?;
        self.rotation.rotate(gpu, &weights, product)?;
        Ok(weights)
    }

    fn scale(
        &self,
        gpu: &Gpu,
        [x, y]: [&Matrix; 2],
        first: usize,
        factors: &Matrix,
        choice: &Choice,
    ) -> Result<()> {
        let mut recording = Recording::new();
        recording.add(ScaleColumns { x, first, factors, choice, y }.launch()?);
        gpu.start(&recording)
    }
}

/// The images' kernel matrix for every ratio, under way.
pub(super) struct Kernels {
    grams: Vec<Gram>,
    /// The same ratio for every image, for each ratio.
    choices: Vec<Choice>,
}

impl Kernels {
    pub fn new(gpu: &Gpu, smooth: &Smooth, images: usize) -> Result<Self> {
        let ratios = smooth.ratios.values().len();
        let mut grams = vec![Gram::new(gpu, images)?];
        for _ in 1..ratios {
            grams.push(grams[0].another(gpu)?);
        }
        let choice = |number| Choice::upload(gpu, &vec![number as u32; images]);
        Ok(Kernels { grams, choices: (0..ratios).map(choice).collect::<Result<_>>()? })
    }

    /// Adds a slab of rotated features.
    pub fn add(&self, gpu: &Gpu, frequencies: &Frequencies<'_>, rotated: &Matrix) -> Result<()> {
        for piece in frequencies.smooth.pieces(rotated.columns) {
            let weighted = Matrix::zeros(gpu, "weighted frequencies", rotated.rows, piece.len())?;
            for (gram, choice) in self.grams.iter().zip(&self.choices) {
                frequencies.scale(gpu, [rotated, &weighted], piece.start, &frequencies.features, choice)?;
                gram.add(gpu, &weighted)?;
            }
        }
        Ok(())
    }

    pub fn finish(&self, gpu: &Gpu) -> Result<Vec<Space>> {
        self.grams.iter().map(|gram| Ok(Space::Kernel(gram.finish(gpu)?))).collect()
    }
}
