//! Ridge with cross-validation as the peers are timed: from arrays in memory to the R2 of rows held out; data
//! from a seed; and the same in f64.

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Matrix};
use crate::io::split::folds;
use crate::random::Random;
use crate::ridge::{Penalties, Plan, Space, fit};
use crate::routines::Gram;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, Par, Side};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Penalties of the peers.
pub const PENALTIES: usize = 20;
/// Folds, contiguous.
const FOLDS: usize = 5;
/// Columns that are uploaded together.
const SLAB: usize = 16_384;
/// Sources that features and responses share.
const SOURCES: usize = 24;

/// Features (rows, features) and responses (targets, rows), the first rows of which are fitted to.
pub struct Problem {
    /// Features of all rows.
    pub features: Array2<f32>,
    /// Responses of all targets.
    pub responses: Array2<f32>,
    /// Rows that are fitted to; those after them are held out.
    pub train: usize,
    /// Number of penalties, from 1e-2 to 1e7 as they stand.
    pub penalties: usize,
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// R2 of the rows held out, of each target.
    pub r2: Vec<f64>,
    /// Mean of the logarithms of the targets' penalties, to base 10.
    pub mean_log_penalty: f64,
}

impl Found {
    /// R2 averaged over targets; NaN of none.
    pub fn mean_r2(&self) -> f64 {
        mean(&self.r2)
    }

    /// How far the mean R2 is from that of `exact`, over the targets that both have, the first ones.
    pub fn distance(&self, exact: &Found) -> f64 {
        let both = self.r2.len().min(exact.r2.len());
        (mean(&self.r2[..both]) - mean(&exact.r2[..both])).abs()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Problem {
    /// A problem from a seed: features and responses mix the same few sources, and have noise of their own.
    pub fn simulated(train: usize, held_out: usize, features: usize, targets: usize, seed: u64) -> Self {
        let rows = train + held_out;
        let draw = |name: &str, shape| {
            let mut random = Random::stream(seed, name);
            Array2::from_shape_simple_fn(shape, || random.normal() as f32)
        };
        let sources = draw("bench sources", (rows, SOURCES));
        let mut x = sources.dot(&draw("bench mixing", (SOURCES, features)));
        let mut all: Vec<_> = x.outer_iter_mut().collect();
        all.par_iter_mut().enumerate().for_each(|(row, values)| {
            let mut random = Random::stream(seed, &format!("bench noise {row}"));
            values.iter_mut().for_each(|v| *v += 6.0 * (random.uniform() as f32 - 0.5));
        });
        let mut y = draw("bench readout", (targets, SOURCES)).dot(&sources.t());
        y.scaled_add(4.0, &draw("bench noise of responses", (targets, rows)));
        Problem { features: x, responses: y, train, penalties: PENALTIES }
    }

    fn plan(&self) -> Result<Plan> {
        let rows: Vec<usize> = (0..self.train).collect();
        let folds = folds(&rows, FOLDS, None)?;
        let penalties = format!("absolute:-2:7:{}", self.penalties).parse::<Penalties>()?;
        Ok(Plan { fit: rows, folds, penalties, intercept: false })
    }

    fn scored(&self, predictions: ArrayView2<'_, f32>, penalties: impl Iterator<Item = f64>) -> Found {
        let (y, predicted) =
            (self.responses.slice(s![.., self.train..]), predictions.slice(s![.., self.train..]));
        let pairs = y.outer_iter().zip(predicted.outer_iter());
        Found {
            r2: pairs.map(|(y, p)| r2(y, p)).collect(),
            mean_log_penalty: penalties.map(f64::log10).sum::<f64>() / predictions.nrows() as f64,
        }
    }

    /// Fits, predicts and scores on the adapter.
    ///
    /// # Errors
    /// Those of [`fit`].
    pub fn solve(&self, gpu: &Gpu) -> Result<Found> {
        let gram = Gram::new(gpu, self.features.nrows())?;
        for slab in self.features.axis_chunks_iter(Axis(1), SLAB) {
            gram.add(gpu, &Matrix::upload(gpu, "features", slab)?)?;
        }
        let space = Space::Kernel(gram.finish(gpu)?);
        let fitted = fit(gpu, &space, self.responses.view(), &self.plan()?, &mut |_| ())?;
        Ok(self.scored(fitted.predictions.view(), fitted.chosen.iter().map(|c| fitted.penalties[*c])))
    }

    /// The same of the first `targets` by normal equations of the kernel matrix in f64, a Cholesky
    /// factorisation for each fold and penalty.
    ///
    /// # Errors
    /// Internal, if a matrix is not positive.
    pub fn solve_in_f64(&self, targets: usize) -> Result<Found> {
        let plan = self.plan()?;
        let kernel = self.kernel_in_f64();
        let penalties = plan.penalties.absolute(1.0);
        let mut losses = Array2::<f64>::zeros((penalties.len(), targets));
        for (train, test) in &plan.folds {
            for (penalty, mut losses) in penalties.iter().zip(losses.rows_mut()) {
                let predicted = self.predicted(&kernel, (train, test), *penalty, targets)?;
                for target in 0..targets {
                    let off =
                        |at: usize| f64::from(self.responses[[target, test[at]]]) - predicted[(at, target)];
                    losses[target] +=
                        (0..test.len()).map(|at| off(at).powi(2)).sum::<f64>() / test.len() as f64;
                }
            }
        }
        let best = |target: usize| {
            let column = losses.column(target);
            (0..penalties.len()).min_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap_or(0)
        };
        let chosen: Vec<usize> = (0..targets).map(best).collect();
        let all: Vec<usize> = (0..self.features.nrows()).collect();
        let mut predictions = Array2::<f32>::zeros((targets, all.len()));
        for (number, penalty) in penalties.iter().enumerate().filter(|(number, _)| chosen.contains(number)) {
            let predicted = self.predicted(&kernel, (&plan.fit, &all), *penalty, targets)?;
            for target in (0..targets).filter(|target| chosen[*target] == number) {
                for row in 0..all.len() {
                    predictions[[target, row]] = predicted[(row, target)] as f32;
                }
            }
        }
        Ok(self.scored(predictions.view(), chosen.iter().map(|c| penalties[*c])))
    }

    /// Products of all pairs of rows; only those below the diagonal and on it.
    fn kernel_in_f64(&self) -> Mat<f64> {
        let rows = self.features.nrows();
        let mut kernel = Mat::<f64>::zeros(rows, rows);
        for slab in self.features.axis_chunks_iter(Axis(1), SLAB) {
            let x = Mat::<f64>::from_fn(slab.ncols(), rows, |column, row| f64::from(slab[[row, column]]));
            matmul(
                kernel.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                x.transpose(),
                BlockStructure::Rectangular,
                x.as_ref(),
                BlockStructure::Rectangular,
                1.0,
                Par::rayon(0),
            );
        }
        kernel
    }

    /// Predictions (rows of `test`, first `targets`) of one penalty, fitted to the rows of `train`.
    fn predicted(
        &self,
        kernel: &Mat<f64>,
        (train, test): (&[usize], &[usize]),
        penalty: f64,
        targets: usize,
    ) -> Result<Mat<f64>> {
        let at = |i: usize, j: usize| kernel[(i.max(j), i.min(j))];
        let n = train.len();
        let shifted = Mat::from_fn(n, n, |i, j| at(train[i], train[j]) + if i == j { penalty } else { 0.0 });
        let y = Mat::from_fn(n, targets, |i, t| f64::from(self.responses[[t, train[i]]]));
        let factor =
            shifted.llt(Side::Lower).map_err(|why| Error::internal("ridge in f64", format!("{why:?}")))?;
        Ok(Mat::from_fn(test.len(), n, |i, j| at(test[i], train[j])) * factor.solve(&y))
    }
}

/// 1 - squared errors over squared distances from the mean.
fn r2(y: ArrayView1<'_, f32>, predicted: ArrayView1<'_, f32>) -> f64 {
    let mean = y.iter().map(|v| f64::from(*v)).sum::<f64>() / y.len() as f64;
    let off = y.iter().zip(predicted).map(|(y, p)| (f64::from(*y) - f64::from(*p)).powi(2)).sum::<f64>();
    1.0 - off / y.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::{AdapterChoice, Options};

    #[test]
    fn the_adapter_and_f64_agree_and_find_something() {
        let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
        let gpu = Gpu::open(&Options { adapter, ..Options::default() }).unwrap();
        let problem = Problem::simulated(60, 20, 300, 9, 0);
        let (ours, exact) = (problem.solve(&gpu).unwrap(), problem.solve_in_f64(9).unwrap());
        assert!(ours.distance(&exact) < 1e-5, "{ours:?} {exact:?}");
        assert!(exact.mean_r2() > 0.2 && exact.mean_r2() < 0.9, "{exact:?}");
        // Targets are fitted each by itself.
        let few = problem.solve_in_f64(4).unwrap();
        assert!(few.r2.len() == 4 && few.r2.iter().zip(&exact.r2).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!((ours.distance(&few) - (mean(&ours.r2[..4]) - mean(&exact.r2[..4])).abs()).abs() < 1e-9);
    }
}
