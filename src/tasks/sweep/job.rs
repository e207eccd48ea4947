//! A sweep from files to files.

use super::configuration::{Base, Configuration, all_stages, configurations};
use super::grid::Grid;
use super::journal::{Journal, resumable};
use super::result::{Finished, best};
use super::summary::{FILES, SweepSummary, write};
use super::train::Group;
use super::work::Work;
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Claim, Folder};
use crate::tasks::clock::Clock;
use crate::tasks::input::{Input, keep};
use crate::tasks::record::{InputRecord, hashes};
use crate::tasks::recording::{Recording, RecordingRequest};
use crate::tasks::rows::TrialsRecord;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a sweep is asked for.
#[derive(Debug, Clone)]
pub struct SweepRequest {
    /// What all configurations start from.
    pub base: Base,
    /// What varies.
    pub grid: Grid,
    /// Where the grid was written, for errors.
    pub place: String,
    /// What readouts are fitted to.
    pub recording: RecordingRequest,
    /// Share of the training images that choose, where the split has no validation images.
    pub validation_fraction: f64,
    /// The folder of results.
    pub out: PathBuf,
    /// Whether to go on with a sweep that was begun there.
    pub resume: bool,
    /// Time between checkpoints of the training that is under way.
    pub checkpoint: Duration,
}

/// How far a sweep is.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepStatus {
    /// `features`, `training` or `best`: the best configuration is fitted once more, by itself.
    pub step: &'static str,
    /// Configurations that have finished.
    pub done: usize,
    /// Configurations of all stages.
    pub total: usize,
    /// Epochs of those that train now.
    pub epoch: usize,
    /// Best mean correlation on validation images so far.
    pub best: Option<f64>,
    /// Share of all epochs that is done, from 0 to 1; one that stops early counts as whole.
    pub share: f64,
}

/// Told of the progress of a sweep.
pub type SweepProgress<'a> = dyn FnMut(&SweepStatus) + 'a;

/// What a sweep would do.
#[derive(Debug, Clone, Serialize)]
pub struct SweepPlan {
    /// Configurations of each stage.
    pub configurations: Vec<usize>,
    /// Inputs whose features are computed in the first stage.
    pub inputs: usize,
    /// Groups that train together in the first stage, where memory suffices.
    pub groups: usize,
    /// Features of an image, under the first configuration.
    pub n_features: usize,
}

/// A sweep whose files have been read and checked against each other, for which no GPU is needed.
pub struct SweepJob<'a> {
    pub(super) request: &'a SweepRequest,
    pub(super) files: Vec<(&'static str, PathBuf)>,
    pub(super) clock: Clock,
    /// Images that choose: the validation images of the split, or some of its training images.
    pub validation: Vec<usize>,
    /// Images that train.
    pub train: Vec<usize>,
    /// The recording.
    pub recording: Recording,
}

impl<'a> SweepJob<'a> {
    /// Reads responses and split, opens the inputs of all configurations.
    ///
    /// # Errors
    /// Usage or Input, if a configuration makes no sense, if files are damaged or do not fit each other, or
    /// if the result would replace one of them.
    pub fn read(request: &'a SweepRequest) -> Result<Self> {
        let clock = Clock::new();
        let all = all_stages(&request.grid, &request.base, &request.place)?;
        let inputs = distinct(&all);
        let mut images = None;
        for input in &inputs {
            images = Some(input.open()?.image_names());
        }
        let Some(images) = images else {
            return Err(Error::internal("sweep", "a grid without configurations"));
        };
        let centred = all.iter().all(|one| one.shared.standardise_responses);
        let recording = request.recording.read(&images, centred)?;
        let seed = request.recording.seed;
        let (train, validation) = recording.split.stopped_by(request.validation_fraction, seed)?;
        let mut files: Vec<(&'static str, PathBuf)> = Vec::new();
        for file in inputs.iter().flat_map(|input| input.files()).chain(request.recording.files()) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        keep(&request.out, &files)?;
        Ok(SweepJob { request, files, clock, validation, train, recording })
    }

    /// What the sweep would do.
    ///
    /// # Errors
    /// As [`SweepJob::read`].
    pub fn plan(&self) -> Result<SweepPlan> {
        let grid = &self.request.grid;
        let members = configurations(grid, 0, &self.request.base, 0, &self.request.place)?;
        let inputs = distinct(&members);
        let groups =
            inputs.iter().map(|input| Group::of(members.iter().filter(|c| c.input == **input)).len()).sum();
        let first = inputs.first().map(|input| self.recording.rows.source(input.open()?)).transpose()?;
        let n_features = first.map_or(0, |source| source.features());
        let configurations = (0..grid.stages()).map(|stage| grid.points(stage).len()).collect();
        Ok(SweepPlan { configurations, inputs: inputs.len(), groups, n_features })
    }

    /// Runs the sweep, or goes on with it, and writes its folder.
    ///
    /// # Errors
    /// Usage, if the folder holds another sweep, or an unfinished one that was not to be gone on with;
    /// Memory, if a single configuration does not fit; Device, if the adapter fails; Output, if another
    /// process works on it or results cannot be written: what had finished is then kept, and `resume` goes on from there.
    pub fn run(mut self, gpu: &Gpu, progress: &mut SweepProgress<'_>) -> Result<SweepSummary> {
        let inputs = hashes(&self.files)?;
        let identity = self.identity(gpu, &inputs);
        if self.request.resume
            && let Some(summary) = SweepSummary::of_finished(&self.request.out, &identity)?
        {
            return Ok(summary);
        }
        let claim = Claim::take(&self.request.out)?;
        // What stands there and must not be lost is said now, and not when all is trained.
        commit::replaceable(&self.request.out, &FILES)?;
        let mut journal = Journal::open(&self.request.out, &identity, self.request.resume)?;
        self.clock.done("reading");
        let all = self.train_all(gpu, &mut journal, progress)?;
        let folder = Folder::claimed(claim, &self.request.out, &FILES)?;
        let written = write(gpu, self, folder, &all, &journal, (inputs, identity), progress);
        let (summary, _claim) = written.map_err(resumable)?;
        journal.end()?;
        Ok(summary)
    }

    /// All that the results depend on.
    fn identity(&self, gpu: &Gpu, inputs: &[InputRecord]) -> serde_json::Value {
        let hashes: Vec<[&str; 2]> = inputs.iter().map(|i| [i.role.as_str(), i.sha256.as_str()]).collect();
        serde_json::json!({
            "striate": env!("CARGO_PKG_VERSION"),
            "adapter": gpu.describe(),
            "grid": self.request.grid,
            "options": self.request.base.options,
            "features": self.request.base.input,
            "files": hashes,
            "layout": self.request.recording.layout,
            "header": self.request.recording.headers,
            "trials": TrialsRecord { table: None, ..self.recording.rows.record() },
            "images": {"train": self.train, "validation": self.validation, "test": self.recording.split.test},
            "seed": self.request.recording.seed,
        })
    }

    /// Trains all stages; gives their configurations.
    fn train_all(
        &mut self,
        gpu: &Gpu,
        journal: &mut Journal,
        progress: &mut SweepProgress<'_>,
    ) -> Result<Vec<Configuration>> {
        let request = self.request;
        let (mut base, mut all) = (request.base.clone(), Vec::new());
        for stage in 0..request.grid.stages() {
            let first = all.len();
            let members = configurations(&request.grid, stage, &base, first, &request.place)?;
            let mut work = Work::new(gpu, self, journal, progress);
            work.train(&members)?;
            all.extend(members);
            let of_stage = |one: &&Finished| (first..all.len()).contains(&one.configuration);
            let Some(chosen) = best(journal.finished().values().filter(of_stage)) else {
                // Nothing to go on from: the results say so.
                break;
            };
            let points = request.grid.points(stage);
            let point = points.get(chosen.configuration - first);
            let point = point.ok_or_else(|| Error::internal("sweep", "a result of no configuration"))?;
            base = base.with(point)?;
        }
        self.clock.done("training");
        Ok(all)
    }
}

/// The inputs of some configurations, each once, in their order.
pub(super) fn distinct(configurations: &[Configuration]) -> Vec<&Input> {
    let mut inputs: Vec<&Input> = Vec::new();
    for configuration in configurations {
        // Neighbours mostly have the same.
        if inputs.last() != Some(&&configuration.input) && !inputs.contains(&&configuration.input) {
            inputs.push(&configuration.input);
        }
    }
    inputs
}

/// Runs a sweep and writes its folder.
///
/// # Errors
/// As [`SweepJob::read`] and [`SweepJob::run`].
pub fn sweep(gpu: &Gpu, request: &SweepRequest, progress: &mut SweepProgress<'_>) -> Result<SweepSummary> {
    SweepJob::read(request)?.run(gpu, progress)
}

/// The error of a sweep in which nothing could be trained.
pub fn all_diverged(summary: &SweepSummary) -> Option<Error> {
    (summary.diverged == summary.configurations).then(|| {
        let found = format!("all {} configurations diverged", summary.configurations);
        let advice = "Lower learning-rate, or take --reduction mean";
        Error::new(Kind::Usage, summary.out.display(), found, "a loss that stays finite", advice)
    })
}
