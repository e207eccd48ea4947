//! Fits readouts from features to recorded neurons, scores them on held-out images, and writes a run folder.

use super::Progress;
use super::clock::Clock;
use super::input::{Input, keep};
use super::plan::{self, FitPlan};
use super::recording::{Recording, RecordingRequest};
use super::reliability;
use super::ridge_fit::{RidgeJob, RidgeRequest, SmoothRidgeRequest};
use super::run_folder::{self, FILES, Found};
use super::smooth::Smooth;
use super::trained_fit::{TrainedJob, TrainedRequest};
use crate::error::Result;
use crate::features::Source;
use crate::gpu::Gpu;
use crate::io::commit::Folder;
use crate::scores::Summary;
use crate::scores::reliability::ReliabilitySummary;
use crate::training::Model;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which readout is fitted, and how.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadoutRequest {
    /// Linear, with a penalty on the squared weights.
    Ridge(RidgeRequest),
    /// Linear, with a penalty on the squared weights and one on their Laplacian over the map.
    SmoothRidge(SmoothRidgeRequest),
    /// Trained by gradient descent.
    Trained(Box<TrainedRequest>),
}

impl ReadoutRequest {
    /// Its name, as options, records and summaries have it.
    pub fn name(&self) -> &'static str {
        match self {
            ReadoutRequest::Ridge(_) => "ridge",
            ReadoutRequest::SmoothRidge(_) => "smooth-ridge",
            ReadoutRequest::Trained(asked) => asked.shared.model.name(),
        }
    }

    /// Whether it is the same readout with any number added to a neuron's responses, but for its intercept.
    pub(super) fn centres_responses(&self) -> bool {
        match self {
            ReadoutRequest::Ridge(asked) => asked.intercept,
            ReadoutRequest::SmoothRidge(asked) => asked.ridge.intercept,
            ReadoutRequest::Trained(asked) => asked.shared.standardise_responses,
        }
    }
}

/// Everything that a fit is asked for.
#[derive(Debug, Clone)]
pub struct FitRequest {
    /// Where features come from.
    pub input: Input,
    /// What readouts are fitted to.
    pub recording: RecordingRequest,
    /// Which readout is fitted.
    pub readout: ReadoutRequest,
    /// The run folder.
    pub out: PathBuf,
}

/// What a fit found.
#[derive(Debug, Clone, Serialize)]
pub struct FitSummary {
    /// [`ReadoutRequest::name`].
    pub readout: &'static str,
    /// Number of images.
    pub n_images: usize,
    /// Presentations of them, where each was a row of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_trials: Option<usize>,
    /// Responses of single neurons that were missing in such a row; their means over the image's other trials
    /// stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_filled: Option<usize>,
    /// Images of the training tier.
    pub n_train: usize,
    /// Images of the validation tier, if the split names them.
    pub n_validation: usize,
    /// Images that the readout was fitted to in the end: in closed form, training and validation together.
    pub n_fitted: usize,
    /// Images scored.
    pub n_test: usize,
    /// Features of an image.
    pub n_features: usize,
    /// Channels, height and width of an image's features; `[n_features, 1, 1]` where they are no maps.
    pub feature_shape: [usize; 3],
    /// Neurons.
    pub n_neurons: usize,
    /// Most repeats of an image.
    pub n_repeats: usize,
    /// The adapter.
    pub adapter: String,
    /// How much can be explained at all, by the repeats of all images.
    pub reliability: ReliabilitySummary,
    /// Scores on test images.
    pub test: Summary,
    /// Neurons that took the smallest and the largest penalty of the grid, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_grid_edges: Option<[usize; 2]>,
    /// Neurons that took the smallest and the largest ratio of the grid, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratios_at_grid_edges: Option<[usize; 2]>,
    /// Whether systems were solved by another factorisation than was asked for; the record has which.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub factorisation_not_kept: bool,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// The run folder.
    pub out: PathBuf,
}

impl FitRequest {
    /// The files and folders that go in, each with its role.
    pub(super) fn files(&self) -> Vec<(&'static str, PathBuf)> {
        [self.input.files(), self.recording.files()].concat()
    }
}

/// A readout as it will be fitted: what was asked for, and what follows from the split.
enum Method {
    /// In closed form.
    Ridge(RidgeJob),
    /// By gradient descent.
    Trained(TrainedJob),
}

/// A fit whose files have been read and checked against each other, for which no GPU is needed. Of images,
/// weights and features only headers have been read.
pub struct FitJob<'a> {
    source: Source,
    method: Method,
    request: &'a FitRequest,
    clock: Clock,
    /// The recording.
    pub recording: Recording,
}

/// What a method works with: opened files, and the folder that the readout is written into.
pub(super) struct Work<'a> {
    pub gpu: &'a Gpu,
    pub request: &'a FitRequest,
    pub source: Source,
    pub recording: &'a Recording,
    pub folder: &'a Folder,
    pub clock: &'a mut Clock,
}

impl Work<'_> {
    /// The input with its normalisation measured over the images of the rows that are fitted, and its source.
    pub fn measured(&mut self, fitted: &[usize]) -> Result<Input> {
        let input = self
            .request
            .input
            .measured(&self.recording.rows.images_of(fitted), self.gpu.ledger().budget())?;
        if input != self.request.input {
            self.source = self.recording.rows.source(input.open()?)?;
        }
        self.clock.done("reading");
        Ok(input)
    }
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
        let centred = request.readout.centres_responses();
        let recording = request.recording.read(&source.image_names(), centred)?;
        let source = match &request.readout {
            ReadoutRequest::Trained(_) => recording.rows.stored(source)?.0,
            _ => recording.rows.source(source)?,
        };
        let ridge = |asked, smooth| RidgeJob::new(asked, smooth, &recording, request.recording.seed);
        let method = match &request.readout {
            ReadoutRequest::Ridge(asked) => Method::Ridge(ridge(asked, None)?),
            ReadoutRequest::SmoothRidge(asked) => {
                let smooth = Smooth::new(asked.ratios.clone(), source.shape())?;
                Method::Ridge(ridge(&asked.ridge, Some(smooth))?)
            }
            ReadoutRequest::Trained(asked) => {
                Method::Trained(TrainedJob::new(asked, &recording, request.recording.seed)?)
            }
        };
        keep(&request.out, &request.files())?;
        clock.done("reading");
        Ok(FitJob { source, method, request, clock, recording })
    }

    /// What the fit will take.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn plan(&self, gpu: &Gpu) -> Result<FitPlan> {
        let neurons = self.recording.responses.n_neurons();
        match &self.method {
            Method::Ridge(job) => plan::of_ridge(gpu, &self.source, neurons, job),
            Method::Trained(job) => {
                plan::of_training(gpu, &self.source, (self.recording.rows.count(), neurons), job)
            }
        }
    }

    /// Runs the fit and writes its folder.
    ///
    /// # Errors
    /// As [`fit()`].
    pub fn run(mut self, gpu: &Gpu, progress: &mut Progress<'_>) -> Result<FitSummary> {
        self.clock.skip();
        let plan = self.plan(gpu)?;
        let FitJob { source, method, request, mut clock, recording } = self;
        let folder = Folder::create(&request.out, &FILES)?;
        let shape = source.shape();
        let work = Work { gpu, request, source, recording: &recording, folder: &folder, clock: &mut clock };
        let readout = match method {
            Method::Ridge(job) => job.run(work, &plan, progress)?,
            Method::Trained(job) => job.run(work, progress)?,
        };

        let found = Found::new(request, &recording, &readout)?;
        // A factored readout has far fewer weights than features, and no count that compares with images.
        let counted = match &request.readout {
            ReadoutRequest::Trained(asked) => asked.shared.model != Model::Factored,
            _ => true,
        };
        let fitted = counted.then_some([readout.n_fitted, plan.n_features]);
        let seed = request.recording.seed;
        let reliability = reliability::write(&folder, &recording.responses, fitted, seed)?;
        clock.done("scores");
        run_folder::write(&folder, &found)?;
        let inputs = super::record::hashes(&request.files())?;
        clock.done("writing");

        let Recording { responses, split, rows } = &recording;
        let summary = FitSummary {
            readout: request.readout.name(),
            n_images: responses.n_images(),
            n_trials: rows.single_trials().then_some(rows.count()),
            n_filled: Some(rows.filled).filter(|count| *count > 0),
            n_train: split.train.len(),
            n_validation: split.validation.len(),
            n_fitted: readout.n_fitted,
            n_test: split.test.len(),
            n_features: plan.n_features,
            feature_shape: shape,
            n_neurons: responses.n_neurons(),
            n_repeats: responses.n_repeats(),
            adapter: gpu.describe(),
            reliability,
            test: Summary::new(&found.scores),
            at_grid_edges: readout.at_grid_edges,
            ratios_at_grid_edges: readout.ratios_at_grid_edges,
            factorisation_not_kept: readout.factorisation_not_kept,
            seconds: clock.finish(),
            out: request.out.clone(),
        };
        let trials = rows.record();
        run_folder::write_record(gpu, &folder, (request, &trials), &readout, &plan, &summary, inputs)?;
        run_folder::reported(folder)?;
        Ok(summary)
    }
}

/// Runs a fit and writes its folder.
///
/// # Errors
/// Usage or Input, if files are damaged or do not fit each other; Memory, if the job does not fit the budget;
/// Device, if the adapter fails; Output, if the folder cannot be written. Nothing is half-written.
pub fn fit(gpu: &Gpu, request: &FitRequest, progress: &mut Progress<'_>) -> Result<FitSummary> {
    FitJob::read(request)?.run(gpu, progress)
}
