//! What is particular to readouts fitted in closed form: which penalties are chosen how, and their weights.

use super::Progress;
use super::fit::Work;
use super::input::Input;
use super::model::{self, Vectors};
use super::plan::{FitPlan, Form};
use super::recording::Recording;
use super::rows::Rows;
use super::run_folder::Readout;
use super::scores_table::Chosen;
use super::smooth::{Frequencies, Smooth};
use crate::error::{Error, Kind, Result};
use crate::features::FeatureSpace;
use crate::gpu::{Gpu, Matrix};
use crate::host::room;
use crate::io::split::folds;
use crate::ridge::{self, Factorisation, FactorisationTaken, Penalties, Ratios, Space};
use crate::routines::Gram;
use ndarray::{Array2, s};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::ops::Range;

/// How the penalty of each neuron is chosen.
#[derive(Debug, Clone, Serialize)]
pub struct RidgeRequest {
    /// The grid of penalties.
    pub penalties: Penalties,
    /// Number of folds that choose the penalty, where the split has no validation images.
    pub folds: usize,
    /// Whether folds are drawn at random or are blocks of neighbouring images.
    pub shuffled_folds: bool,
    /// Whether features and responses are centred.
    pub intercept: bool,
    /// How the systems of equations are solved.
    pub factorisation: Factorisation,
}

impl Default for RidgeRequest {
    /// 15 penalties, chosen on 5 folds drawn at random, with intercept.
    fn default() -> Self {
        RidgeRequest {
            penalties: Penalties::default(),
            folds: 5,
            shuffled_folds: true,
            intercept: true,
            factorisation: Factorisation::Auto,
        }
    }
}

/// How penalty and smoothness of each neuron are chosen.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SmoothRidgeRequest {
    /// The penalties of the squared weights. Relative ones are in units of the mean eigenvalue that each
    /// ratio's own kernel matrix has.
    pub ridge: RidgeRequest,
    /// Ratios of the penalty of the Laplacian to that of the squared weights.
    pub ratios: Ratios,
}

/// A fit in closed form, as far as it is known before features are.
pub(super) struct RidgeJob {
    request: RidgeRequest,
    /// Rows and penalties.
    pub plan: ridge::Plan,
    /// Ratios and maps, where weights are to be smooth.
    pub smooth: Option<Smooth>,
}

impl RidgeJob {
    pub fn new(
        request: &RidgeRequest,
        smooth: Option<Smooth>,
        recording: &Recording,
        seed: u64,
    ) -> Result<Self> {
        let plan = ridge_plan(request, recording, seed)?;
        Ok(RidgeJob { request: request.clone(), plan, smooth })
    }

    /// Feature spaces among which each neuron chooses: one for each ratio.
    pub fn spaces(&self) -> usize {
        self.smooth.as_ref().map_or(1, |smooth| smooth.ratios.values().len())
    }

    /// Fits, and writes the readout into the folder.
    pub fn run(&self, mut work: Work<'_>, plan: &FitPlan, progress: &mut Progress<'_>) -> Result<Readout> {
        let gpu = work.gpu;
        let input = work.measured(&self.plan.fit)?;
        let centre = if self.plan.intercept { self.plan.fit.clone() } else { Vec::new() };
        if !self.plan.intercept {
            work.source.keep_raw();
        }
        let mut space = FeatureSpace::new(work.source, plan.slabs.clone(), centre);
        let frequencies = self.smooth.as_ref().map(|smooth| Frequencies::new(gpu, smooth)).transpose()?;
        if let Some(frequencies) = &frequencies {
            space = space.prepared_by(frequencies.preparation());
        }
        let mut report = |share| progress("features", share);
        let spaces = match (&frequencies, plan.form) {
            (None, Form::Dual) => vec![kernel(gpu, &mut space, plan, &mut report)?],
            (None, _) => vec![Space::Features(all(gpu, &mut space, plan, &mut report)?)],
            (Some(f), Form::Dual) => f.kernels(gpu, &mut space, plan, &mut report)?,
            (Some(f), _) => f.weighted(&all(gpu, &mut space, plan, &mut report)?),
        };
        work.clock.done("features");
        let mut report = |share| progress("ridge", share);
        let how = (&self.plan, self.request.factorisation);
        let Recording { responses, rows, .. } = work.recording;
        let fitted = ridge::fit_among_by(gpu, &spaces, rows.responses.view(), how, &mut report)?;
        work.clock.done("ridge");

        let vectors = Vectors {
            intercepts: responses.with_offsets(fitted.intercepts.view()).to_vec(),
            penalties: fitted.penalties().iter().map(|v| *v as f32).collect(),
        };
        let finish = |gpu: &Gpu, weights: Matrix, neurons: Range<usize>| match &frequencies {
            Some(f) => f.back(gpu, &weights, &fitted.spaces[neurons]),
            None => Ok(weights),
        };
        let (image_weights, file) = (fitted.coefficients.view(), work.folder.file(model::FILE));
        let mut report = |share| progress("weights", share);
        model::write(gpu, &mut space, image_weights, &vectors, &finish, &file, &mut report)?;
        work.clock.done("writing");
        Ok(self.readout((input, rows), fitted))
    }

    fn readout(&self, (input, rows): (Input, &Rows), fitted: ridge::Among) -> Readout {
        let ratios = self.smooth.as_ref().map(|smooth| smooth.ratios.values());
        let own = |ratios: &[f64]| fitted.spaces.iter().map(|s| ratios[*s]).collect();
        let edges = ratios.map(|ratios| match fitted.at_the_outer_spaces() {
            // There is nothing below 0.
            [_, largest] if ratios[0] == 0.0 => [0, largest],
            both => both,
        });
        Readout {
            input,
            n_fitted: rows.images_of(&self.plan.fit).len(),
            chosen: Chosen { penalties: fitted.penalties(), ratios: ratios.map_or(Vec::new(), own) },
            at_grid_edges: Some(fitted.at_the_edges()),
            ratios_at_grid_edges: edges,
            options: self.options(&fitted),
            factorisation_not_kept: not_kept(self.request.factorisation, &fitted.factorisations),
            predictions: fitted.predictions,
        }
    }

    /// Units and absolute penalties are lists over ratios where there are ratios.
    fn options(&self, fitted: &ridge::Among) -> Map<String, Value> {
        let (asked, grids) = (&self.request, &fitted.grids);
        let mut absolute: Vec<Value> = grids.iter().map(|grid| json!(grid.penalties)).collect();
        let mut units: Vec<Value> = grids.iter().map(|grid| json!(grid.unit)).collect();
        let mut options = Map::from_iter([
            ("folds".to_string(), json!(asked.folds)),
            ("shuffled_folds".into(), json!(asked.shuffled_folds)),
            ("penalties".into(), json!(asked.penalties)),
            ("intercept".into(), json!(asked.intercept)),
            ("factorisation".into(), json!(asked.factorisation)),
            ("factorisation_taken".into(), json!(fitted.factorisations)),
        ]);
        let (absolute, unit) = match &self.smooth {
            None => (absolute.swap_remove(0), units.swap_remove(0)),
            Some(smooth) => {
                options.insert("ratios".into(), json!(smooth.ratios));
                (json!(absolute), json!(units))
            }
        };
        options.insert("penalties_absolute".into(), absolute);
        options.insert("penalty_unit".into(), unit);
        options
    }
}

/// Whether any system of equations was solved otherwise than asked.
pub(super) fn not_kept<'a>(
    asked: Factorisation,
    taken: impl IntoIterator<Item = &'a FactorisationTaken>,
) -> bool {
    taken.into_iter().any(|taken| !taken.keeps(asked))
}

/// Which rows are fitted in the end, and by which pairs of rows penalties are chosen. Folds are of images: no
/// image has trials in two of them.
pub(super) fn ridge_plan(request: &RidgeRequest, recording: &Recording, seed: u64) -> Result<ridge::Plan> {
    let Recording { split, rows, .. } = recording;
    let (fit, pairs) = if split.validation.is_empty() {
        let seed = request.shuffled_folds.then_some(seed);
        (split.train.clone(), folds(&split.train, request.folds, seed)?)
    } else {
        let mut both = [split.train.as_slice(), split.validation.as_slice()].concat();
        both.sort_unstable();
        (both, vec![(split.train.clone(), split.validation.clone())])
    };
    if fit.len() < 3 {
        let advice = "Put more images into the training tier";
        let found = format!("{} training images", fit.len());
        return Err(Error::new(Kind::Input, "split", found, "at least 3", advice));
    }
    let folds = pairs.iter().map(|(train, held_out)| (rows.of(train), rows.of(held_out))).collect();
    let (penalties, intercept) = (request.penalties.clone(), request.intercept);
    Ok(ridge::Plan { fit: rows.of(&fit), folds, penalties, intercept })
}

/// Products of all pairs of images, as the features are.
fn kernel(
    gpu: &Gpu,
    space: &mut FeatureSpace,
    plan: &FitPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Space> {
    let gram = Gram::new(gpu, plan.n_rows)?;
    space.visit(gpu, progress, &mut |slab| gram.add(gpu, &slab.matrix))?;
    Ok(Space::Kernel(gram.finish(gpu)?))
}

/// All features on the host, of which there are fewer than images: (images, features).
fn all(
    gpu: &Gpu,
    space: &mut FeatureSpace,
    plan: &FitPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Array2<f64>> {
    // And a slab, which may be all of them, as it comes and in f64.
    room("features", 20 * (plan.n_rows * plan.n_features) as u64)?;
    let mut features = Array2::<f64>::zeros((plan.n_rows, plan.n_features));
    space.visit(gpu, progress, &mut |slab| {
        let values = slab.matrix.download(gpu)?.mapv(f64::from);
        features.slice_mut(s![.., slab.columns.clone()]).assign(&values);
        Ok(())
    })?;
    Ok(features)
}
