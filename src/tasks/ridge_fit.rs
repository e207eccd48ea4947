//! What is particular to readouts fitted in closed form: which penalties are chosen how, and their weights.

use super::Progress;
use super::fit::Work;
use super::model::{self, Vectors};
use super::plan::{FitPlan, Form};
use super::run_folder::Readout;
use super::scores_table::Chosen;
use crate::error::{Error, Kind, Result};
use crate::features::FeatureSpace;
use crate::gpu::Gpu;
use crate::io::split::{Split, folds};
use crate::ridge::{self, Penalties, Space};
use crate::routines::Gram;
use ndarray::{Array2, s};
use serde_json::{Map, json};

/// How the penalty of each neuron is chosen.
#[derive(Debug, Clone)]
pub struct RidgeRequest {
    /// The grid of penalties.
    pub penalties: Penalties,
    /// Number of folds that choose the penalty, where the split has no validation images.
    pub folds: usize,
    /// Whether folds are drawn at random or are blocks of neighbouring images.
    pub shuffled_folds: bool,
    /// Whether features and responses are centred.
    pub intercept: bool,
}

impl Default for RidgeRequest {
    /// 15 penalties, chosen on 5 folds drawn at random, with intercept.
    fn default() -> Self {
        RidgeRequest { penalties: Penalties::default(), folds: 5, shuffled_folds: true, intercept: true }
    }
}

/// A fit in closed form, as far as it is known before features are.
pub(super) struct RidgeJob {
    request: RidgeRequest,
    /// Rows and penalties.
    pub plan: ridge::Plan,
}

impl RidgeJob {
    pub fn new(request: &RidgeRequest, split: &Split, seed: u64) -> Result<Self> {
        Ok(RidgeJob { request: request.clone(), plan: ridge_plan(request, split, seed)? })
    }

    /// Fits, and writes the readout into the folder.
    pub fn run(&self, mut work: Work<'_>, plan: &FitPlan, progress: &mut Progress<'_>) -> Result<Readout> {
        let gpu = work.gpu;
        let input = work.measured(&self.plan.fit)?;
        let centre = if self.plan.intercept { self.plan.fit.clone() } else { Vec::new() };
        let mut space = FeatureSpace::new(work.source, plan.slabs.clone(), centre);
        let matrix = feature_matrix(gpu, &mut space, plan, progress)?;
        work.clock.done("features");
        let mut report = |share| progress("ridge", share);
        let fitted = ridge::fit(gpu, &matrix, work.responses.view(), &self.plan, &mut report)?;
        work.clock.done("ridge");

        let penalties: Vec<f64> = fitted.chosen.iter().map(|c| fitted.penalties[*c]).collect();
        let vectors = Vectors {
            intercepts: fitted.intercepts.iter().map(|v| *v as f32).collect(),
            penalties: penalties.iter().map(|v| *v as f32).collect(),
        };
        let (image_weights, file) = (fitted.coefficients.view(), work.folder.file(model::FILE));
        let mut report = |share| progress("weights", share);
        model::write(gpu, &mut space, image_weights, &vectors, &file, &mut report)?;
        work.clock.done("writing");
        Ok(Readout {
            input,
            n_fitted: self.plan.fit.len(),
            chosen: Chosen { penalties, ratios: Vec::new() },
            at_grid_edges: Some(fitted.at_the_edges()),
            ratios_at_grid_edges: None,
            options: self.options(&fitted),
            predictions: fitted.predictions,
        })
    }

    fn options(&self, fitted: &ridge::Fit) -> Map<String, serde_json::Value> {
        let asked = &self.request;
        Map::from_iter([
            ("folds".to_string(), json!(asked.folds)),
            ("shuffled_folds".into(), json!(asked.shuffled_folds)),
            ("penalties".into(), json!(asked.penalties)),
            ("penalties_absolute".into(), json!(fitted.penalties)),
            ("penalty_unit".into(), json!(fitted.unit)),
            ("intercept".into(), json!(asked.intercept)),
        ])
    }
}

/// Which rows are fitted in the end, and by which pairs of rows penalties are chosen.
fn ridge_plan(request: &RidgeRequest, split: &Split, seed: u64) -> Result<ridge::Plan> {
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
    Ok(ridge::Plan { fit, folds: pairs, penalties: request.penalties.clone(), intercept: request.intercept })
}

/// The smaller matrix of the feature space: products of images where there are more features than images.
fn feature_matrix(
    gpu: &Gpu,
    space: &mut FeatureSpace,
    plan: &FitPlan,
    progress: &mut Progress<'_>,
) -> Result<Space> {
    let mut report = |share| progress("features", share);
    if plan.form == Form::Dual {
        let gram = Gram::new(gpu, plan.n_images)?;
        space.visit(gpu, &mut report, &mut |slab| gram.add(gpu, &slab.matrix))?;
        return Ok(Space::Kernel(gram.finish(gpu)?));
    }
    let mut features = Array2::<f64>::zeros((plan.n_images, plan.n_features));
    space.visit(gpu, &mut report, &mut |slab| {
        let values = slab.matrix.download(gpu)?.mapv(f64::from);
        features.slice_mut(s![.., slab.columns.clone()]).assign(&values);
        Ok(())
    })?;
    Ok(Space::Features(features))
}
