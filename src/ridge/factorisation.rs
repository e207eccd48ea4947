//! How ridge solves its systems of equations: what a user may ask for, and what is taken where nobody asks.

use super::{Plan, Space};
use crate::gpu::Gpu;

/// How the systems of a kernel matrix and its penalties are solved. The readout is the same, but for
/// rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Factorisation {
    /// By size and adapter.
    #[default]
    Auto,
    /// A reduction to tridiagonal form, shared by all penalties, and products in f64, all on the host's
    /// cores.
    Tridiagonal,
    /// An eigendecomposition on the host in f64, shared by all penalties; products on the device.
    Eigen,
    /// A factorisation of each penalty's matrix in f32, all on the device, only where asked for: not yet
    /// measured on GPUs.
    Cholesky,
}

/// Operations that the host makes in the time of a few submissions (about 10 ms on one core).
const FEW_OPERATIONS: f64 = 1e9;

/// What solved the systems of one space, which may be another than was asked for: never
/// [`Factorisation::Auto`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct FactorisationTaken {
    /// The systems of the folds.
    pub search: Factorisation,
    /// Those of the last fit; none where no neuron took the space.
    pub refit: Option<Factorisation>,
}

impl FactorisationTaken {
    /// Whether it is what was asked for.
    pub fn keeps(&self, asked: Factorisation) -> bool {
        let kept = |taken| asked == Factorisation::Auto || asked == taken;
        kept(self.search) && self.refit.is_none_or(kept)
    }
}

impl Factorisation {
    /// What to do for one space; never [`Factorisation::Auto`]. Features, where they are fewer than images,
    /// are always decomposed.
    pub(super) fn choose(self, gpu: &Gpu, space: &Space, plan: &Plan, neurons: usize) -> Self {
        let Space::Kernel(_) = space else { return Factorisation::Eigen };
        if self != Factorisation::Auto {
            return self;
        }
        let fold = |(train, held_out): &(Vec<usize>, Vec<usize>)| {
            let n = train.len() as f64;
            let products = (plan.penalties.count() * held_out.len() * neurons) as f64;
            n * n * n + 2.0 * n * (n * neurons as f64 + products)
        };
        // On a processor the device's cores are the host's, whose f64 has twice the rate of the kernels' f32
        // there.
        if gpu.is_cpu() || plan.folds.iter().map(fold).sum::<f64>() < FEW_OPERATIONS {
            return Factorisation::Tridiagonal;
        }
        Factorisation::Eigen
    }
}
