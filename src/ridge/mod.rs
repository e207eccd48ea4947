//! Batched ridge regression: one spectrum a fold, every penalty and neuron from it, a penalty for each neuron.
//!
//! The model is `y = ȳ + (x - x̄) W`, minimising `Σ (y - ŷ)² + λ |W|²` over the training images, with x̄ and ȳ their
//! means (without intercept both are 0). With K the kernel matrix of the centred training features, K = U S Uᵀ, the
//! prediction for other images is `K_other U (S + λ)⁻¹ Uᵀ y` (dual ridge; the eigendecomposition serves all λ). The
//! decomposition is done by faer in f64, because f32 loses the small eigenvalues that small penalties rest on; all
//! that grows with the number of neurons or penalties runs on the GPU.

mod penalties;
mod spectrum;

pub use penalties::Penalties;
pub use spectrum::Space;

use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::ridge_losses::{self, RidgeLosses};
use crate::kernels::shrink::{Choice, Shrink};
use crate::routines::{PIECE_ROWS, multiply_rows, upload_rows};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use spectrum::Spectrum;

/// Bytes of one neurons x images operand at most: neurons are worked on in chunks of this size, or of an eighth of what
/// is free.
const CHUNK_BYTES: u64 = 64 << 20;

/// GPU memory in bytes that a fit needs besides its chunks of neurons, where `rank` is the smaller of the numbers of
/// images and features: held-out rows in eigenvectors, shrinkage, and a right operand in pieces.
pub fn least_bytes(images: usize, rank: usize, penalties: usize) -> u64 {
    let (images, rank) = (images.next_multiple_of(4) as u64, rank.next_multiple_of(4) as u64);
    let piece = (images.min(PIECE_ROWS as u64) * rank).max(rank.min(PIECE_ROWS as u64) * images);
    4 * (images * rank + penalties as u64 * rank + piece)
}

/// What to fit on which images.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rows that the readout is fitted to in the end.
    pub fit: Vec<usize>,
    /// Pairs of training and held-out rows, by which each neuron's penalty is chosen.
    pub folds: Vec<(Vec<usize>, Vec<usize>)>,
    /// The grid of penalties.
    pub penalties: Penalties,
    /// Whether features and responses are centred by the means of the training rows.
    pub intercept: bool,
}

/// A fitted ridge readout.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The grid in absolute units, ascending.
    pub penalties: Vec<f64>,
    /// Mean eigenvalue of the centred kernel matrix of the fitted rows: the unit of relative penalties.
    pub unit: f64,
    /// Position in the grid for each neuron.
    pub chosen: Vec<usize>,
    /// Held-out mean squared error, averaged over folds: (penalties, neurons).
    pub losses: Array2<f64>,
    /// Predicted response to every image: (neurons, images).
    pub predictions: Array2<f32>,
    /// Weight of every image in the readout, 0 for images that were not fitted: (neurons, images). The readout's
    /// weights are these times the (centred) features.
    pub coefficients: Array2<f32>,
    /// Mean response of each neuron over the fitted images; 0 without intercept.
    pub intercepts: Array1<f64>,
}

impl Fit {
    /// How many neurons took the smallest, and the largest penalty of the grid: many mean that the grid is too short.
    /// Neurons that all penalties serve alike, as constant ones, had no choice.
    pub fn at_the_edges(&self) -> [usize; 2] {
        let last = self.penalties.len() - 1;
        let chose = |neuron: usize| self.losses.column(neuron).iter().any(|l| *l != self.losses[[0, neuron]]);
        let count = |edge| (0..self.chosen.len()).filter(|n| self.chosen[*n] == edge && chose(*n)).count();
        [count(0), count(last)]
    }
}

/// Fits a readout to `responses` (neurons, images), whose images are the rows of `space`.
///
/// `progress` is called with a number between 0 and 1.
///
/// # Errors
/// Input, if all features are the same for all images, or numbers are too large for f32; Memory and Device as
/// [`Gpu::run`]; Internal, if the shapes do not fit each other.
pub fn fit(
    gpu: &Gpu,
    space: &Space,
    responses: ArrayView2<'_, f32>,
    plan: &Plan,
    progress: &mut dyn FnMut(f64),
) -> Result<Fit> {
    let (neurons, images) = responses.dim();
    if images != space.images() || neurons == 0 {
        return Err(Error::internal("ridge", format!("{images} responses for {} rows", space.images())));
    }
    let unit = space.mean_eigenvalue(&plan.fit, plan.intercept);
    if !unit.is_finite() {
        return Err(overflow("products of features"));
    }
    if unit <= 0.0 {
        return Err(Error::new(
            Kind::Input,
            "features",
            "every feature is the same for all training images",
            "features that differ between images",
            "Choose another layer, or check that the images differ",
        ));
    }
    let penalties = plan.penalties.absolute(unit);
    let least = least_bytes(images, space.rank(), penalties.len());
    let chunk_bytes = CHUNK_BYTES.min(gpu.ledger().free().saturating_sub(least) / 8) as usize;
    let scales = scales(responses, &plan.fit);
    let targets = |train| Targets { responses, train, scales: &scales, centred: plan.intercept, chunk_bytes };
    let steps = (plan.folds.len() + 1) as f64;
    let mut losses = Array2::<f64>::zeros((penalties.len(), neurons));
    for (done, (train, held_out)) in plan.folds.iter().enumerate() {
        let spectrum = Spectrum::new(space, train, held_out, plan.intercept)?;
        let folded = fold_losses(gpu, &spectrum, &targets(train.as_slice()), held_out, &penalties)?;
        losses += &(folded / plan.folds.len() as f64);
        progress((done + 1) as f64 / steps);
    }
    let chosen = choose(&losses);
    let all: Vec<usize> = (0..images).collect();
    let spectrum = Spectrum::new(space, &plan.fit, &all, plan.intercept)?;
    let targets = targets(plan.fit.as_slice());
    let (predictions, coefficients) = refit(gpu, &spectrum, &targets, &chosen, &penalties)?;
    let finite = losses.iter().all(|v| v.is_finite());
    if !finite || !predictions.iter().chain(&coefficients).all(|v| v.is_finite()) {
        return Err(overflow("predictions"));
    }
    progress(1.0);
    let intercepts = (0..neurons).map(|n| targets.mean(n)).collect();
    Ok(Fit { penalties, unit, chosen, losses, predictions, coefficients, intercepts })
}

/// The error of numbers that f32 cannot hold.
fn overflow(what: &str) -> Error {
    Error::new(
        Kind::Input,
        "ridge",
        format!("{what} are beyond what single precision holds"),
        "features, responses and penalties of ordinary size",
        "Scale features or responses, for example to a standard deviation of 1, or take larger --lambdas",
    )
}

/// The smallest loss of each neuron; the smaller penalty where two are equal.
fn choose(losses: &Array2<f64>) -> Vec<usize> {
    let smallest = |column: ndarray::ArrayView1<'_, f64>| {
        column
            .iter()
            .enumerate()
            .fold((0, f64::INFINITY), |best, (i, v)| if *v < best.1 { (i, *v) } else { best })
            .0
    };
    losses.axis_iter(Axis(1)).map(smallest).collect()
}

/// Standard deviation of each neuron's responses over some images; 1 where it is 0. Responses are divided by it on the
/// device, where squares of large or small ones would not be numbers.
fn scales(responses: ArrayView2<'_, f32>, images: &[usize]) -> Vec<f64> {
    let deviation = |row: ndarray::ArrayView1<'_, f32>| {
        let values: Array1<f64> = images.iter().map(|i| f64::from(row[*i])).collect();
        values.std(0.0)
    };
    let scale = |row| Some(deviation(row)).filter(|s| *s > 0.0 && s.is_finite()).unwrap_or(1.0);
    responses.rows().into_iter().map(scale).collect()
}

/// Responses, centred by the mean of some rows and divided by each neuron's scale.
struct Targets<'a> {
    responses: ArrayView2<'a, f32>,
    train: &'a [usize],
    scales: &'a [f64],
    centred: bool,
    chunk_bytes: usize,
}

impl Targets<'_> {
    fn mean(&self, neuron: usize) -> f64 {
        if !self.centred {
            return 0.0;
        }
        let row = self.responses.row(neuron);
        self.train.iter().map(|i| f64::from(row[*i])).sum::<f64>() / self.train.len() as f64
    }

    /// (neurons, images) for a range of neurons and a list of images.
    fn take(&self, neurons: std::ops::Range<usize>, images: &[usize]) -> Array2<f32> {
        let mut out = Array2::zeros((neurons.len(), images.len()));
        for (n, mut row) in neurons.zip(out.rows_mut()) {
            let mean = self.mean(n);
            for (value, image) in row.iter_mut().zip(images) {
                *value = ((f64::from(self.responses[[n, *image]]) - mean) / self.scales[n]) as f32;
            }
        }
        out
    }

    /// Neurons from `first` on whose operands of `images` columns stay within `chunk_bytes`, and at most `most`.
    fn chunk(&self, first: usize, images: usize, most: usize) -> std::ops::Range<usize> {
        let fit = self.chunk_bytes / 4 / images.next_multiple_of(4);
        first..(first + fit.min(most).max(1)).min(self.responses.nrows())
    }
}

/// Neurons of a workgroup of the kernel: fewer are no faster.
const LEAST_NEURONS: usize = 64;

/// Held-out mean squared error of every penalty and neuron.
fn fold_losses(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    held_out: &[usize],
    penalties: &[f64],
) -> Result<Array2<f64>> {
    let left = upload_rows(gpu, "held-out kernel rows", spectrum.left.as_ref())?;
    let shrinkage = Matrix::upload(gpu, "shrinkage", spectrum.shrinkage(penalties).view())?;
    let mut all = Array2::zeros((penalties.len(), targets.responses.nrows()));
    let cost = 2.0 * (held_out.len() * spectrum.left.ncols() * penalties.len()) as f64;
    let mut first = 0;
    while first < targets.responses.nrows() {
        // One launch makes all penalties of a chunk, and a launch cannot be cut.
        let affordable = (gpu.affordable(&ridge_losses::KERNEL) / cost) as usize;
        let images = targets.train.len().max(held_out.len());
        let neurons = targets.chunk(first, images, affordable.max(LEAST_NEURONS));
        first = neurons.end;
        let right = coefficients(gpu, spectrum, targets, neurons.clone())?;
        let held = Matrix::upload(gpu, "held-out responses", targets.take(neurons.clone(), held_out).view())?;
        let losses = Matrix::zeros(gpu, "held-out losses", penalties.len(), neurons.len())?;
        let launch = RidgeLosses {
            left: &left,
            shrinkage: &shrinkage,
            right: &right,
            targets: &held,
            losses: &losses,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        gpu.run(&recording)?;
        let sums = losses.download(gpu)?;
        for (n, column) in neurons.zip(sums.columns()) {
            let unit = targets.scales[n].powi(2) / held_out.len() as f64;
            all.column_mut(n).assign(&column.mapv(|v| f64::from(v) * unit));
        }
    }
    Ok(all)
}

/// Training responses in the eigenvectors' coordinates: (neurons, eigenvalues).
fn coefficients(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    neurons: std::ops::Range<usize>,
) -> Result<Matrix> {
    let y = Matrix::upload(gpu, "training responses", targets.take(neurons, targets.train).view())?;
    multiply_rows(gpu, "responses in eigenvectors", &y, spectrum.vectors.transpose())
}

/// Predictions of all images, and the images' weights, with each neuron's own penalty.
fn refit(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    chosen: &[usize],
    penalties: &[f64],
) -> Result<(Array2<f32>, Array2<f32>)> {
    let shape = targets.responses.raw_dim();
    let (mut predictions, mut weights) = (Array2::zeros(shape), Array2::zeros(shape));
    let shrinkage = Matrix::upload(gpu, "shrinkage", spectrum.shrinkage(penalties).view())?;
    let mut first = 0;
    while first < targets.responses.nrows() {
        let neurons = targets.chunk(first, targets.responses.ncols(), usize::MAX);
        first = neurons.end;
        let right = coefficients(gpu, spectrum, targets, neurons.clone())?;
        let shrunk = Matrix::zeros(gpu, "shrunk coefficients", right.rows, right.columns)?;
        let choice: Vec<u32> = chosen[neurons.clone()].iter().map(|c| *c as u32).collect();
        let choice = Choice::upload(gpu, &choice)?;
        let mut recording = Recording::new();
        recording.add(Shrink { x: &right, shrinkage: &shrinkage, choice: &choice, y: &shrunk }.launch()?);
        gpu.run(&recording)?;
        let predicted = multiply_rows(gpu, "predictions", &shrunk, spectrum.left.as_ref())?.download(gpu)?;
        let dual = multiply_rows(gpu, "image weights", &shrunk, spectrum.vectors.as_ref())?.download(gpu)?;
        for (row, n) in neurons.enumerate() {
            let (mean, scale) = (targets.mean(n), targets.scales[n]);
            let sum = predicted.row(row).mapv(|v| (f64::from(v) * scale + mean) as f32);
            predictions.row_mut(n).assign(&sum);
            for (column, image) in targets.train.iter().enumerate() {
                weights[[n, *image]] = (f64::from(dual[[row, column]]) * scale) as f32;
            }
        }
    }
    Ok((predictions, weights))
}
