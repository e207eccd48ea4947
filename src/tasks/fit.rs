//! Fits readouts from features to recorded neurons, scores them on held-out images, and writes a run folder.

use super::Progress;
use super::clock::Clock;
use super::input::{Input, keep};
use super::model::{self, Vectors};
use super::plan::{FitPlan, Form};
use super::record::{AdapterRecord, InputRecord, RunRecord, hashes};
use super::scores_table::scores_table;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, Source};
use crate::gpu::Gpu;
use crate::io::commit::{self, Folder, RECORD};
use crate::io::npy;
use crate::io::responses::{Layout, Responses};
use crate::io::split::{Split, folds};
use crate::ridge::{self, Penalties, Space};
use crate::routines::Gram;
use crate::scores::{NeuronScores, Summary, score};
use ndarray::{Array2, Axis, s};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which images train and which test.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitRequest {
    /// A CSV of images and tiers.
    File(PathBuf),
    /// A random share of the images tests.
    Random {
        /// That share, between 0 and 1.
        test_fraction: f64,
    },
}

/// Everything that a fit is asked for.
#[derive(Debug, Clone)]
pub struct FitRequest {
    /// Where features come from.
    pub input: Input,
    /// File of responses.
    pub responses: PathBuf,
    /// Its axes, where they are not (neurons, images[, repeats]).
    pub layout: Option<String>,
    /// Which images train and test.
    pub split: SplitRequest,
    /// Number of folds that choose the penalty, where the split has no validation images.
    pub folds: usize,
    /// Whether folds are drawn at random or are blocks of neighbouring images.
    pub shuffled_folds: bool,
    /// The grid of penalties.
    pub penalties: Penalties,
    /// Whether features and responses are centred.
    pub intercept: bool,
    /// Seed of the split, the folds and the split halves.
    pub seed: u64,
    /// The run folder.
    pub out: PathBuf,
}

/// What a fit found.
#[derive(Debug, Clone, Serialize)]
pub struct FitSummary {
    /// `ridge`.
    pub readout: &'static str,
    /// Number of images.
    pub n_images: usize,
    /// Images of the training tier.
    pub n_train: usize,
    /// Images of the validation tier, which choose the penalties, if the split names them.
    pub n_validation: usize,
    /// Images that the readout was fitted to in the end: training and validation together.
    pub n_fitted: usize,
    /// Images scored.
    pub n_test: usize,
    /// Features of an image.
    pub n_features: usize,
    /// Neurons.
    pub n_neurons: usize,
    /// Most repeats of an image.
    pub n_repeats: usize,
    /// The adapter.
    pub adapter: String,
    /// Scores on test images.
    pub test: Summary,
    /// Neurons that took the smallest and the largest penalty of the grid.
    pub at_grid_edges: [usize; 2],
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// The run folder.
    pub out: PathBuf,
}

/// The files of a run folder.
pub(super) const FILES: [&str; 5] = [model::FILE, "predictions.npy", "scores.csv", "split.csv", RECORD];

impl FitRequest {
    /// The files and folders that go in, each with its role.
    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let mut files = self.input.files();
        files.push(("responses", self.responses.clone()));
        if let SplitRequest::File(path) = &self.split {
            files.push(("split", path.clone()));
        }
        files
    }
}

/// A fit whose files have been read and checked against each other, for which no GPU is needed. Of images,
/// weights and features only headers have been read.
pub struct FitJob<'a> {
    pub(super) source: Source,
    pub(super) ridge: ridge::Plan,
    request: &'a FitRequest,
    clock: Clock,
    /// The recording.
    pub responses: Responses,
    /// Which images train and test.
    pub split: Split,
}

impl<'a> FitJob<'a> {
    /// Reads responses and split, opens the rest.
    ///
    /// # Errors
    /// Usage or Input, if files are damaged or do not fit each other, or if the result would replace one of
    /// them.
    pub fn read(request: &'a FitRequest) -> Result<Self> {
        let mut clock = Clock::new();
        let source = request.input.open()?;
        let images = source.images();
        let layout = request.layout.as_ref().map(|text| text.parse::<Layout>()).transpose()?;
        let responses = Responses::read(&request.responses, layout, Some(images))?;
        let split = match &request.split {
            SplitRequest::File(path) => Split::read(path, images)?,
            SplitRequest::Random { test_fraction } => Split::random(images, *test_fraction, request.seed)?,
        };
        let ridge = ridge_plan(request, &split)?;
        keep(&request.out, &request.files())?;
        clock.done("reading");
        Ok(FitJob { source, ridge, request, clock, responses, split })
    }

    /// Runs the fit and writes its folder.
    ///
    /// # Errors
    /// As [`fit()`].
    pub fn run(mut self, gpu: &Gpu, progress: &mut Progress<'_>) -> Result<FitSummary> {
        self.clock.skip();
        let plan = self.plan(gpu)?;
        let FitJob { source, ridge: ridge_plan, request, mut clock, responses, split } = self;
        let folder = Folder::create(&request.out, &FILES)?;
        let input = request.input.measured(&ridge_plan.fit)?;
        let source = if input == request.input { source } else { input.open()? };
        clock.done("reading");

        let centre = if request.intercept { ridge_plan.fit.clone() } else { Vec::new() };
        let mut space = FeatureSpace::new(source, plan.slabs.clone(), centre);
        let matrix = feature_matrix(gpu, &mut space, &plan, progress)?;
        clock.done("features");
        let average = responses.average();
        let mut report = |share| progress("ridge", share);
        let fitted = ridge::fit(gpu, &matrix, average.view(), &ridge_plan, &mut report)?;
        clock.done("ridge");

        let held_out = responses.repeats.select(Axis(1), &split.test);
        let predicted = fitted.predictions.select(Axis(1), &split.test);
        let scores = score(held_out.view(), predicted.view(), request.seed)?;
        clock.done("scores");

        let names = responses.neuron_names.as_deref();
        write_results(gpu, &folder, &mut space, &fitted, names, &scores, progress)?;
        split.write(&folder.file("split.csv"))?;
        let inputs = hashes(&request.files())?;
        clock.done("writing");

        let result = FitSummary {
            readout: "ridge",
            n_images: plan.n_images,
            n_train: split.train.len(),
            n_validation: split.validation.len(),
            n_fitted: ridge_plan.fit.len(),
            n_test: split.test.len(),
            n_features: plan.n_features,
            n_neurons: responses.n_neurons(),
            n_repeats: responses.n_repeats(),
            adapter: gpu.describe(),
            test: Summary::new(&scores),
            at_grid_edges: fitted.at_the_edges(),
            seconds: clock.finish(),
            out: request.out.clone(),
        };
        let record = record(gpu, request, input.sized()?, &plan, &result, inputs, &fitted)?;
        commit::write(&folder.file(RECORD), &record)?;
        folder.commit()?;
        Ok(result)
    }
}

/// Which rows are fitted in the end, and by which pairs of rows penalties are chosen.
fn ridge_plan(request: &FitRequest, split: &Split) -> Result<ridge::Plan> {
    let (fit, pairs) = if split.validation.is_empty() {
        let seed = request.shuffled_folds.then_some(request.seed);
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

/// Runs a fit and writes its folder.
///
/// # Errors
/// Usage or Input, if files are damaged or do not fit each other; Memory, if the job does not fit the budget;
/// Device, if the adapter fails; Output, if the folder cannot be written. Nothing is half-written.
pub fn fit(gpu: &Gpu, request: &FitRequest, progress: &mut Progress<'_>) -> Result<FitSummary> {
    FitJob::read(request)?.run(gpu, progress)
}

/// Writes readout, predictions and scores.
fn write_results(
    gpu: &Gpu,
    folder: &Folder,
    space: &mut FeatureSpace,
    fitted: &ridge::Fit,
    names: Option<&[String]>,
    scores: &[NeuronScores],
    progress: &mut Progress<'_>,
) -> Result<()> {
    let chosen: Vec<f64> = fitted.chosen.iter().map(|c| fitted.penalties[*c]).collect();
    let vectors = Vectors {
        intercepts: fitted.intercepts.iter().map(|v| *v as f32).collect(),
        penalties: chosen.iter().map(|v| *v as f32).collect(),
    };
    let image_weights = fitted.coefficients.view();
    let file = folder.file(model::FILE);
    model::write(gpu, space, image_weights, &vectors, &file, &mut |share| progress("weights", share))?;
    npy::write(&folder.file("predictions.npy"), fitted.predictions.view().into_dyn())?;
    commit::write(&folder.file("scores.csv"), &scores_table(names, scores, &chosen)?)
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

fn record(
    gpu: &Gpu,
    request: &FitRequest,
    input: Input,
    plan: &FitPlan,
    result: &FitSummary,
    inputs: Vec<InputRecord>,
    fitted: &ridge::Fit,
) -> Result<Vec<u8>> {
    let failed = |e: serde_json::Error| Error::internal("record.json", e);
    let options = serde_json::json!({
        "responses": request.responses,
        "responses_layout": request.layout,
        "split": request.split,
        "folds": request.folds,
        "shuffled_folds": request.shuffled_folds,
        "penalties": request.penalties,
        "penalties_absolute": fitted.penalties,
        "penalty_unit": fitted.unit,
        "intercept": request.intercept,
        "seed": request.seed,
        "plan": plan,
    });
    let record = RunRecord {
        striate: env!("CARGO_PKG_VERSION").into(),
        command: "fit".into(),
        input,
        options,
        inputs,
        summary: serde_json::to_value(result).map_err(failed)?,
        adapter: serde_json::to_value(AdapterRecord::of(gpu)).map_err(failed)?,
        seconds: result.seconds.clone(),
    };
    serde_json::to_vec_pretty(&record).map_err(failed)
}
