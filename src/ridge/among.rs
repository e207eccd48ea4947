//! One fit among several feature spaces: each neuron takes the space and the penalty that predict held-out
//! images best.

use super::device::{fold_losses, refit};
use super::room;
use super::spectrum::{Space, Spectrum};
use super::targets::{Refitted, Targets, scales};
use super::{Factorisation, FactorisationTaken, Plan, cholesky, host, least_bytes, overflow};
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Bytes of one neurons x images operand at most: neurons are worked on in chunks of this size, or of an
/// eighth of what is free.
const CHUNK_BYTES: u64 = 64 << 20;

/// What the folds say of one space.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The penalties in absolute units, ascending.
    pub penalties: Vec<f64>,
    /// Mean eigenvalue of the centred kernel matrix of the fitted rows: the unit of relative penalties.
    pub unit: f64,
    /// Held-out mean squared error, averaged over folds: (penalties, neurons).
    pub losses: Array2<f64>,
    /// The same of each fold.
    pub folds: Vec<Array2<f64>>,
}

/// A readout fitted among several spaces.
#[derive(Debug, Clone)]
pub struct Among {
    /// What the folds say, for each space.
    pub grids: Vec<Grid>,
    /// The space that each neuron took.
    pub spaces: Vec<usize>,
    /// And the position of its penalty in that space's grid.
    pub chosen: Vec<usize>,
    /// Predicted response to every image: (neurons, images).
    pub predictions: Array2<f32>,
    /// Weight of every image in the readout, 0 for images that were not fitted: (neurons, images). The
    /// readout's weights are these times the (centred) features of the neuron's space.
    pub coefficients: Array2<f32>,
    /// Mean response of each neuron over the fitted images; 0 without intercept.
    pub intercepts: Array1<f64>,
    /// What solved each space's systems.
    pub factorisations: Vec<FactorisationTaken>,
}

impl Among {
    /// The penalty of each neuron in absolute units.
    pub fn penalties(&self) -> Vec<f64> {
        self.spaces.iter().zip(&self.chosen).map(|(s, c)| self.grids[*s].penalties[*c]).collect()
    }

    /// Held-out mean squared error in each fold, with the space and penalty chosen over all: (folds,
    /// neurons).
    pub fn fold_losses(&self) -> Array2<f64> {
        let folds = self.grids.first().map_or(0, |grid| grid.folds.len());
        let own = |(fold, n): (usize, usize)| self.grids[self.spaces[n]].folds[fold][[self.chosen[n], n]];
        Array2::from_shape_fn((folds, self.chosen.len()), own)
    }

    /// How many neurons took the smallest, and the largest penalty of the grid, as
    /// [`super::Fit::at_the_edges`].
    pub fn at_the_edges(&self) -> [usize; 2] {
        let own = |n: usize| (self.chosen[n], self.grids[self.spaces[n]].losses.column(n));
        at_the_edges((0..self.chosen.len()).map(own))
    }

    /// How many neurons took the first, and the last space, and would have lost by another.
    pub fn at_the_outer_spaces(&self) -> [usize; 2] {
        let least = |grid: &Grid| grid.losses.fold_axis(Axis(0), f64::INFINITY, |least, v| least.min(*v));
        let best: Vec<Array1<f64>> = self.grids.iter().map(least).collect();
        let losses = Array2::from_shape_fn((best.len(), self.spaces.len()), |(s, n)| best[s][n]);
        at_the_edges(self.spaces.iter().enumerate().map(|(n, s)| (*s, losses.column(n))))
    }
}

/// How many took the first and the last value, of those that did not find all values alike.
pub(super) fn at_the_edges<'a>(taken: impl Iterator<Item = (usize, ArrayView1<'a, f64>)>) -> [usize; 2] {
    let mut counts = [0; 2];
    for (value, losses) in taken.filter(|(_, losses)| losses.iter().any(|l| *l != losses[0])) {
        counts[0] += usize::from(value == 0);
        counts[1] += usize::from(value + 1 == losses.len());
    }
    counts
}

/// Fits a readout to `responses` (neurons, images), whose images are the rows of every space.
///
/// `progress` is called with a number between 0 and 1.
///
/// # Errors
/// As [`super::fit`].
pub fn fit_among(
    gpu: &Gpu,
    spaces: &[Space],
    responses: ArrayView2<'_, f32>,
    plan: &Plan,
    progress: &mut dyn FnMut(f64),
) -> Result<Among> {
    fit_among_by(gpu, spaces, responses, (plan, Factorisation::Auto), progress)
}

/// As [`fit_among`], by a given factorisation.
///
/// # Errors
/// As [`super::fit`].
pub fn fit_among_by(
    gpu: &Gpu,
    spaces: &[Space],
    responses: ArrayView2<'_, f32>,
    (plan, by): (&Plan, Factorisation),
    progress: &mut dyn FnMut(f64),
) -> Result<Among> {
    let (neurons, images) = responses.dim();
    if spaces.iter().any(|space| space.images() != images) || neurons == 0 || spaces.is_empty() {
        return Err(Error::internal("ridge", format!("{images} responses for other rows")));
    }
    // Predictions and weights, of a space and of all.
    room(2 * neurons * images)?;
    let folds = spaces.len() * plan.folds.len();
    let steps = (folds + 1) as f64;
    let (mut grids, mut lasts, mut factorisations) = (Vec::new(), Vec::new(), Vec::new());
    for (number, space) in spaces.iter().enumerate() {
        let before = number * plan.folds.len();
        let mut done = |fold: usize| progress((before + fold) as f64 / steps);
        // Of several spaces some may be taken by no neuron, and all matrices together may be large.
        let (grid, last, search) = search(gpu, space, responses, (plan, by), spaces.len() == 1, &mut done)?;
        factorisations.push(FactorisationTaken { search, refit: None });
        grids.push(grid);
        lasts.push(last);
    }
    let (taken, chosen) = (0..neurons).map(|n| best(&grids, n)).unzip();
    let mut found = Among {
        grids,
        spaces: taken,
        chosen,
        predictions: Array2::zeros(responses.raw_dim()),
        coefficients: Array2::zeros(responses.raw_dim()),
        intercepts: Array1::zeros(neurons),
        factorisations,
    };
    for (number, (space, last)) in spaces.iter().zip(lasts).enumerate() {
        found.refit(gpu, (number, space, last), responses, plan)?;
        progress((folds as f64 + (number + 1) as f64 / spaces.len() as f64) / steps);
    }
    let losses = found.grids.iter().flat_map(|grid| &grid.losses);
    let values = found.predictions.iter().chain(&found.coefficients);
    if !losses.copied().all(f64::is_finite) || !values.copied().all(f32::is_finite) {
        return Err(overflow("predictions"));
    }
    Ok(found)
}

/// The unit of relative penalties in one space.
fn penalty_unit(space: &Space, plan: &Plan) -> Result<f64> {
    let unit = space.mean_eigenvalue(&plan.fit, plan.intercept);
    if !unit.is_finite() {
        return Err(overflow("products of features"));
    }
    if unit > 0.0 {
        return Ok(unit);
    }
    Err(Error::new(
        Kind::Input,
        "features",
        "every feature is the same for all training images",
        "features that differ between images",
        "Choose another layer, or check that the images differ",
    ))
}

/// Held-out losses of every penalty in one space, and what found them.
fn search(
    gpu: &Gpu,
    space: &Space,
    responses: ArrayView2<'_, f32>,
    (plan, by): (&Plan, Factorisation),
    with_last: bool,
    done: &mut dyn FnMut(usize),
) -> Result<(Grid, Option<host::Last>, Factorisation)> {
    let unit = penalty_unit(space, plan)?;
    let penalties = plan.penalties.absolute(unit);
    let scales = scales(responses, &plan.fit);
    let targets = |train| Targets {
        responses,
        train,
        scales: &scales,
        centred: plan.intercept,
        chunk_bytes: chunk_bytes(gpu, space, plan),
    };
    let (mut folds, mut last) = (Vec::with_capacity(plan.folds.len()), None);
    let mut taken = by.choose(gpu, space, plan, responses.nrows());
    match (space, taken) {
        (Space::Kernel(k), Factorisation::Tridiagonal) => {
            let found = host::search(k, responses, (plan, &scales), &penalties, with_last, done)?;
            (folds, last) = found.unwrap_or_default();
        }
        (Space::Kernel(k), Factorisation::Cholesky) => {
            for (number, (train, held_out)) in plan.folds.iter().enumerate() {
                match cholesky::fold_losses(gpu, k, &targets(train), held_out, &penalties)? {
                    Some(losses) => folds.push(losses),
                    None => break,
                }
                done(number + 1);
            }
        }
        _ => {}
    }
    // What no other factorisation can solve is decomposed, all folds alike.
    if folds.len() < plan.folds.len() {
        (taken, last) = (Factorisation::Eigen, None);
        folds.clear();
        for (number, (train, held_out)) in plan.folds.iter().enumerate() {
            let spectrum = Spectrum::new(space, train, held_out, plan.intercept)?;
            folds.push(fold_losses(gpu, &spectrum, &targets(train), held_out, &penalties)?);
            done(number + 1);
        }
    }
    let mut losses = Array2::<f64>::zeros((penalties.len(), responses.nrows()));
    for fold in &folds {
        losses += &(fold / plan.folds.len() as f64);
    }
    Ok((Grid { penalties, unit, losses, folds }, last, taken))
}

fn chunk_bytes(gpu: &Gpu, space: &Space, plan: &Plan) -> usize {
    let least = least_bytes(space.images(), space.rank(), plan.penalties.count());
    CHUNK_BYTES.min(gpu.ledger().free().saturating_sub(least) / 8) as usize
}

/// The space and penalty of a neuron's smallest loss; the earlier space and the smaller penalty where two are
/// equal.
fn best(grids: &[Grid], neuron: usize) -> (usize, usize) {
    let (mut taken, mut smallest) = ((0, 0), f64::INFINITY);
    for (space, grid) in grids.iter().enumerate() {
        for (penalty, loss) in grid.losses.column(neuron).iter().enumerate() {
            if *loss < smallest {
                (taken, smallest) = ((space, penalty), *loss);
            }
        }
    }
    taken
}

impl Among {
    /// Fits the neurons that took a space to all rows of the plan.
    fn refit(
        &mut self,
        gpu: &Gpu,
        (number, space, last): (usize, &Space, Option<host::Last>),
        responses: ArrayView2<'_, f32>,
        plan: &Plan,
    ) -> Result<()> {
        let members: Vec<usize> = (0..self.spaces.len()).filter(|n| self.spaces[*n] == number).collect();
        if members.is_empty() {
            return Ok(());
        }
        let own = responses.select(Axis(0), &members);
        let targets = Targets {
            responses: own.view(),
            train: &plan.fit,
            scales: &scales(own.view(), &plan.fit),
            centred: plan.intercept,
            chunk_bytes: chunk_bytes(gpu, space, plan),
        };
        let chosen: Vec<usize> = members.iter().map(|n| self.chosen[*n]).collect();
        let penalties = &self.grids[number].penalties;
        // What the search gave up is not tried again.
        let mut taken = self.factorisations[number].search;
        let found = match (space, taken) {
            (Space::Kernel(k), Factorisation::Tridiagonal) => {
                let last = match last {
                    Some(last) => Some(last),
                    None => {
                        room(k.nrows() * plan.fit.len())?;
                        host::Last::new(k, plan, penalties)
                    }
                };
                last.and_then(|last| host::refit(&last, &targets, &chosen, penalties))
            }
            (Space::Kernel(k), Factorisation::Cholesky) => {
                cholesky::refit(gpu, k, (plan, &targets), &chosen, penalties)?
            }
            _ => None,
        };
        let Refitted { predictions, weights } = match found {
            Some(found) => found,
            None => {
                taken = Factorisation::Eigen;
                let all: Vec<usize> = (0..responses.ncols()).collect();
                let spectrum = Spectrum::new(space, &plan.fit, &all, plan.intercept)?;
                refit(gpu, &spectrum, &targets, &chosen, penalties)?
            }
        };
        self.factorisations[number].refit = Some(taken);
        for (row, neuron) in members.into_iter().enumerate() {
            self.predictions.row_mut(neuron).assign(&predictions.row(row));
            self.coefficients.row_mut(neuron).assign(&weights.row(row));
            self.intercepts[neuron] = targets.mean(row);
        }
        Ok(())
    }
}
