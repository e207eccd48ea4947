//! Batched ridge regression: one spectrum a fold, every penalty and neuron from it, a penalty for each
//! neuron.
//!
//! The model is `y = ȳ + (x - x̄) W`, minimising `Σ (y - ŷ)² + λ |W|²` over the training images, with x̄ and
//! ȳ their means (without intercept both are 0). With K the kernel matrix of the centred training features,
//! the prediction for other images is `K_other (K + λ)⁻¹ y` (dual ridge). A [`Factorisation`] says how these
//! systems are solved: one reduction or eigendecomposition in f64 serves all λ, because f32 loses the small
//! eigenvalues that small penalties rest on; if asked, each λ has its own factorisation on the GPU in f32,
//! and what f32 cannot solve is decomposed after all. Where features are fewer than images, their own matrix
//! is decomposed (primal ridge).

mod among;
mod cholesky;
mod device;
mod factorisation;
mod host;
mod penalties;
mod smooth;
mod spectrum;
mod targets;
mod tridiagonal;

pub use among::{Among, Grid, fit_among, fit_among_by};
pub use factorisation::{Factorisation, FactorisationTaken};
pub use penalties::Penalties;
pub use smooth::{Ratios, frequency_penalties};
pub use spectrum::Space;

use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use crate::host::room as host_room;
use crate::routines::PIECE_ROWS;
use ndarray::{Array1, Array2, ArrayView2};

/// GPU memory in bytes that a fit needs besides its chunks of neurons, where `rank` is the smaller of the
/// numbers of images and features: held-out rows in eigenvectors, shrinkage, and a right operand in pieces.
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
    /// Weight of every image in the readout, 0 for images that were not fitted: (neurons, images). The
    /// readout's weights are these times the (centred) features.
    pub coefficients: Array2<f32>,
    /// Mean response of each neuron over the fitted images; 0 without intercept.
    pub intercepts: Array1<f64>,
}

impl Fit {
    /// How many neurons took the smallest, and the largest penalty of the grid: many mean that the grid is
    /// too short. Neurons that all penalties serve alike, as constant ones, had no choice.
    pub fn at_the_edges(&self) -> [usize; 2] {
        among::at_the_edges(self.chosen.iter().enumerate().map(|(n, c)| (*c, self.losses.column(n))))
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
    let Among { mut grids, chosen, predictions, coefficients, intercepts, .. } =
        fit_among(gpu, std::slice::from_ref(space), responses, plan, progress)?;
    let Some(Grid { penalties, unit, losses, .. }) = grids.pop() else {
        return Err(Error::internal("ridge", "a space without a grid"));
    };
    Ok(Fit { penalties, unit, chosen, losses, predictions, coefficients, intercepts })
}

/// Whether the host has room for so many words of f64 and for what products take beside them: faer's have 64 MiB
/// for each thread, which they keep, and abort without.
fn room(words: usize) -> Result<()> {
    const PACKED: u64 = 64 << 20;
    host_room("ridge", 8 * words as u64 + PACKED * (rayon::current_num_threads() as u64 + 1))
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
