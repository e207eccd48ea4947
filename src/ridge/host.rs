//! Ridge of a kernel matrix on the host's cores in f64, folds and penalties side by side.
//!
//! Every sum is made by one thread in pieces of fixed size, so that its bits depend neither on how many
//! threads there are nor on memory.

use super::spectrum::centred_kernel;
use super::targets::{Refitted, Targets};
use super::tridiagonal::{Shifted, Tridiagonal, rounding};
use super::{Plan, room};
use crate::error::{Error, Result};
use crate::host::{memory_available, no_thread};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::mpsc;

/// Neurons of one product.
const NEURONS: usize = 128;

/// Words of turned responses that a fold holds at once.
const RIGHT_WORDS: usize = 32 << 20;

/// Held-out mean squared errors of one fold, (penalties, neurons).
type Losses = Array2<f64>;

/// The reduced matrix of the rows that are fitted in the end.
pub(super) struct Last {
    reduced: Tridiagonal,
    /// Images that are not fitted, and their kernel rows.
    others: Vec<usize>,
    across: Mat<f64>,
}

impl Last {
    /// `None` where a penalty is so small that it drowns in the rounding of the reduction.
    pub fn new(kernel: &Array2<f64>, plan: &Plan, penalties: &[f64]) -> Option<Self> {
        let mut is_fitted = vec![false; kernel.nrows()];
        plan.fit.iter().for_each(|i| is_fitted[*i] = true);
        let others: Vec<usize> = (0..is_fitted.len()).filter(|i| !is_fitted[*i]).collect();
        let (own, across) = centred_kernel(kernel, &plan.fit, &others, plan.intercept);
        let reduced = reduced(own, penalties)?;
        Some(Last { reduced, others, across })
    }
}

/// The reduced matrix, unless a penalty drowns in its rounding.
fn reduced(own: Mat<f64>, penalties: &[f64]) -> Option<Tridiagonal> {
    let rounding = rounding(&own);
    penalties.iter().all(|penalty| *penalty > rounding).then(|| Tridiagonal::new(own))
}

/// How many of the plan's matrices are worked on at once, by what the host's memory has left; at least one. There is
/// room for them then, which the decompositions themselves do not ask for.
fn matrices_at_once(plan: &Plan, neurons: usize, penalties: usize) -> Result<usize> {
    let penalties = penalties.min(rayon::current_num_threads());
    let words = |(train, held_out): &(Vec<usize>, Vec<usize>)| {
        let (n, held_out) = (train.len(), held_out.len());
        n * n + (3 + penalties) * n * held_out + (n + held_out) * neurons.min(neurons_at_once(n))
    };
    let all_rows = plan.fit.len().pow(2);
    let most = plan.folds.iter().map(words).max().unwrap_or(1).max(all_rows).max(1);
    // Half is left to everything else.
    let fit = memory_available().map_or(u64::MAX, |free| free / 16 / most as u64);
    let mut at_once = fit.clamp(1, plan.folds.len() as u64 + 1);
    while let Err(why) = room(most * at_once as usize) {
        if at_once == 1 {
            return Err(why);
        }
        at_once /= 2;
    }
    Ok(at_once as usize)
}

/// Held-out mean squared error of every penalty and neuron in each fold of the plan, and if asked, and if
/// memory holds it beside them, the matrix that all of the plan's rows make; `None` where a penalty is so
/// small that it drowns in the rounding of the reduction. `done` is called with the number of folds that are
/// done.
pub(super) fn search(
    kernel: &Array2<f64>,
    responses: ArrayView2<'_, f32>,
    (plan, scales): (&Plan, &[f64]),
    penalties: &[f64],
    with_last: bool,
    done: &mut dyn FnMut(usize),
) -> Result<Option<(Vec<Losses>, Option<Last>)>> {
    let at_once = matrices_at_once(plan, responses.nrows(), penalties.len())?;
    let with_last = with_last && at_once > plan.folds.len();
    let (sender, finished) = mpsc::channel();
    let folds = move || {
        let one = |sender: &mut mpsc::Sender<()>, (train, held_out): &(Vec<usize>, Vec<usize>)| {
            let targets = Targets { responses, train, scales, centred: plan.intercept, chunk_bytes: 0 };
            let losses = fold(kernel, &targets, held_out, penalties);
            // Nobody listens any more only where the fit was given up.
            let _ = sender.send(());
            losses
        };
        let mut all = Vec::with_capacity(plan.folds.len());
        for some in plan.folds.chunks(at_once) {
            all.extend(some.par_iter().map_with(sender.clone(), one).collect::<Option<Vec<_>>>()?);
        }
        // The last sender goes, so that nobody waits for more.
        drop(sender);
        Some(all)
    };
    std::thread::scope(|scope| {
        // The largest matrix first, since one core works on each.
        let all = || rayon::join(|| with_last.then(|| Last::new(kernel, plan, penalties)), folds);
        let work =
            std::thread::Builder::new().spawn_scoped(scope, all).map_err(|why| no_thread("ridge", &why))?;
        for (number, ()) in finished.iter().enumerate() {
            done(number + 1);
        }
        let (last, losses) =
            work.join().map_err(|_| Error::internal("ridge", "a fold stopped on the host"))?;
        Ok(losses.map(|losses| (losses, last.flatten())))
    })
}

fn fold(
    kernel: &Array2<f64>,
    targets: &Targets<'_>,
    held_out: &[usize],
    penalties: &[f64],
) -> Option<Losses> {
    let (own, across) = centred_kernel(kernel, targets.train, held_out, targets.centred);
    let reduced = reduced(own, penalties)?;
    let shifted = factored(&reduced, penalties)?;
    // Kernel rows of held-out images in the coordinates of T, (held out, rows of T).
    let mut left = across.transpose().to_owned();
    reduced.turn(left.as_mut());
    let left = left.transpose().to_owned();
    let neurons = targets.responses.nrows();
    let mut losses = Array2::zeros((penalties.len(), neurons));
    for first in (0..neurons).step_by(neurons_at_once(reduced.size())) {
        let blocks = blocks(first, neurons_at_once(reduced.size()), neurons);
        let operands = blocks.par_iter().map(|block| {
            let mut right = targets.columns(block.clone(), targets.train);
            reduced.turn(right.as_mut());
            (right, targets.columns(block.clone(), held_out))
        });
        let operands: Vec<_> = operands.collect();
        let rows = shifted.par_iter().map(|shifted| one_penalty(shifted, &left, &operands));
        for (l, row) in rows.collect::<Vec<_>>().into_iter().enumerate() {
            for (n, sum) in (first..).zip(row) {
                losses[[l, n]] = sum * targets.scales[n].powi(2) / held_out.len() as f64;
            }
        }
    }
    Some(losses)
}

/// `T + penalty` for every penalty.
fn factored(reduced: &Tridiagonal, penalties: &[f64]) -> Option<Vec<Shifted>> {
    penalties.iter().map(|penalty| reduced.shifted(*penalty)).collect()
}

/// Held-out squared errors of one penalty, summed over images, neuron by neuron.
fn one_penalty(shifted: &Shifted, left: &Mat<f64>, operands: &[(Mat<f64>, Mat<f64>)]) -> Vec<f64> {
    let (images, depth) = left.shape();
    let mut rows: Vec<f64> = (0..depth).flat_map(|k| left.col_as_slice(k)).copied().collect();
    shifted.solve_rows(&mut rows);
    let rows = MatRef::from_column_major_slice(&rows, images, depth);
    let mut predicted = Mat::zeros(images, NEURONS);
    let mut sums = Vec::new();
    for (right, held_out) in operands {
        let mut predicted = predicted.as_mut().subcols_mut(0, right.ncols());
        matmul(predicted.as_mut(), Accum::Replace, rows, right, 1.0, Par::Seq);
        for n in 0..right.ncols() {
            let pairs = held_out.col_as_slice(n).iter().zip(predicted.as_ref().col(n).iter());
            sums.push(pairs.map(|(y, p)| (y - p) * (y - p)).sum());
        }
    }
    sums
}

/// Predictions of all images and the images' weights, each neuron with its own penalty: both (neurons,
/// images). `None` as [`search`].
pub(super) fn refit(
    last: &Last,
    targets: &Targets<'_>,
    chosen: &[usize],
    penalties: &[f64],
) -> Option<Refitted> {
    let Last { reduced, others, across } = last;
    let shifted = factored(reduced, penalties)?;
    let neurons = targets.responses.nrows();
    let mut found = Refitted::zeros(targets);
    for first in (0..neurons).step_by(neurons_at_once(reduced.size())) {
        let blocks = blocks(first, neurons_at_once(reduced.size()), neurons);
        let fits = blocks.into_par_iter().map(|block| {
            let responses = targets.columns(block.clone(), targets.train);
            let mut weights = responses.clone();
            reduced.turn(weights.as_mut());
            for (column, n) in block.clone().enumerate() {
                shifted[chosen[n]].solve(weights.col_as_slice_mut(column));
            }
            reduced.turn_back(weights.as_mut());
            let mut elsewhere = Mat::zeros(others.len(), block.len());
            matmul(elsewhere.as_mut(), Accum::Replace, across, &weights, 1.0, Par::Seq);
            (block, responses, weights, elsewhere)
        });
        for (block, responses, weights, elsewhere) in fits.collect::<Vec<_>>() {
            for (column, n) in block.enumerate() {
                let (responses, weights) = (responses.col_as_slice(column), weights.col_as_slice(column));
                // What the fit leaves of a fitted response is its weight times the penalty.
                let fit = responses.iter().zip(weights).map(|(y, w)| y - penalties[chosen[n]] * w);
                let fitted = targets.train.iter().copied().zip(fit);
                let others = others.iter().copied().zip(elsewhere.col_as_slice(column).iter().copied());
                found.put(targets, n, fitted.chain(others), weights.iter().copied());
            }
        }
    }
    Some(found)
}

/// Neurons whose turned responses are held at once.
fn neurons_at_once(size: usize) -> usize {
    (RIGHT_WORDS / size.max(1) / NEURONS * NEURONS).max(NEURONS)
}

/// Neurons `first..first + count` in blocks.
fn blocks(first: usize, count: usize, neurons: usize) -> Vec<Range<usize>> {
    let last = neurons.min(first + count);
    (first..last).step_by(NEURONS).map(|start| start..last.min(start + NEURONS)).collect()
}
