//! Fits of readouts that are trained by gradient descent.

use super::Progress;
use super::fit::Work;
use super::host_features::HostFeatures;
use super::recording::Recording;
use super::rows::Rows;
use super::run_folder::Readout;
use super::scores_table::Chosen;
use super::trained_model;
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use crate::io::commit;
use crate::training::{CurvePoint, Data, Outcome, Resident, Settings, Shared, Standardise, Trainer};
use ndarray::ArrayView2;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What is trained, and how.
#[derive(Debug, Clone, Serialize)]
pub struct TrainedRequest {
    /// The readout, the loss, the optimiser.
    pub shared: Shared,
    /// Rates, penalties, start.
    pub settings: Settings,
    /// The share of the training images that says when to stop, where the split has no validation images.
    pub validation_fraction: f64,
    /// Whether the readout is trained once more, on training and validation images together, for as many
    /// epochs as were best.
    pub refit: bool,
    /// Folds of a profile: a readout is trained for each, stopped by the images that it holds out.
    pub folds: usize,
    /// Whether these are drawn at random or are blocks of neighbouring images.
    pub shuffled_folds: bool,
}

/// A trained fit whose rows are divided, those of an image together.
pub(super) struct TrainedJob {
    request: TrainedRequest,
    train: Vec<usize>,
    validation: Vec<usize>,
}

/// Table of the course of training in a run folder.
pub(super) const CURVES: &str = "curves.csv";

impl TrainedJob {
    pub fn new(request: &TrainedRequest, recording: &Recording, seed: u64) -> Result<Self> {
        request.shared.check()?;
        request.settings.check(&request.shared)?;
        if request.refit && request.shared.drops > 0 {
            let found = "--drops too, and without validation images nothing says when the rate drops";
            return Err(Error::new(Kind::Usage, "--refit", found, "one of them", "Leave --drops out"));
        }
        let Recording { split, rows, .. } = recording;
        let (train, validation) = split.stopped_by(request.validation_fraction, seed)?;
        let (train, validation) = (rows.of(&train), rows.of(&validation));
        Ok(TrainedJob { request: request.clone(), train, validation })
    }

    /// What is trained.
    pub fn shared(&self) -> &Shared {
        &self.request.shared
    }

    /// Training and validation rows together.
    fn fitted(&self) -> Vec<usize> {
        let mut all = [self.train.as_slice(), &self.validation].concat();
        all.sort_unstable();
        all
    }

    /// Rows that weights are fitted to, and most epochs over them: what is computed.
    pub fn images_trained(&self) -> f64 {
        let passes = self.request.shared.epochs as f64;
        let again = if self.request.refit { self.fitted().len() } else { 0 };
        passes * (self.train.len() + again) as f64
    }

    /// Trains, and writes readout and curves into the folder.
    pub fn run(&self, work: Work<'_>, progress: &mut Progress<'_>) -> Result<Readout> {
        let gpu = work.gpu;
        let Recording { responses: recorded, rows, .. } = work.recording;
        let standardised = self.request.shared.standardise != Standardise::None;
        let (input, train) = (&work.request.input, &self.train);
        let features = HostFeatures::compute(gpu, input, rows, train, standardised, progress)?;
        work.clock.done("features");
        let responses = rows.responses.view();
        let rounds = if self.request.refit { 2.0 } else { 1.0 };
        let stopped = self.train(gpu, &features, responses, Round::Stopped, &mut |share| {
            progress("training", share / rounds);
        })?;
        let curves = curves_table([(0, stopped.0.curves.as_slice())])?;
        commit::write(&work.folder.file(CURVES), &curves)?;
        let best_epoch = stopped.0.best_epoch;
        let (outcome, resident) = if self.request.refit {
            self.train(gpu, &features, responses, Round::Refit(best_epoch.max(1)), &mut |share| {
                progress("training", (1.0 + share) / rounds);
            })?
        } else {
            stopped
        };
        work.clock.done("training");
        let all: Vec<usize> = (0..resident.images).collect();
        let predictions = outcome.readout.predict(gpu, &resident, &all)?;
        let offsets = [features.offsets.as_slice(), &recorded.offsets];
        trained_model::write(&work.folder.file(super::model::FILE), &outcome.readout, offsets)?;
        work.clock.done("writing");
        let fitted = if self.request.refit { self.fitted() } else { self.train.clone() };
        Ok(Readout {
            input: features.input,
            n_fitted: rows.images_of(&fitted).len(),
            predictions,
            chosen: Chosen { penalties: Vec::new(), ratios: Vec::new() },
            at_grid_edges: None,
            ratios_at_grid_edges: None,
            factorisation_not_kept: false,
            options: self.options(rows, best_epoch),
        })
    }

    /// Trains one round to its end.
    fn train(
        &self,
        gpu: &Gpu,
        features: &HostFeatures,
        responses: ArrayView2<'_, f32>,
        round: Round,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Outcome, Resident)> {
        let fitted = self.fitted();
        let (train, validation, epochs) = match round {
            Round::Stopped => (&self.train, self.validation.as_slice(), self.request.shared.epochs),
            Round::Refit(epochs) => (&fitted, &[][..], epochs),
        };
        let shared = Shared { epochs, ..self.request.shared.clone() };
        let resident = features.resident(gpu, train, &shared)?;
        let data = Data { features: &resident, responses, train, validation };
        let mut trainer = Trainer::new(gpu, data, &shared, std::slice::from_ref(&self.request.settings))?;
        let mut outcome = None;
        while !trainer.done() {
            outcome = trainer.epoch()?.pop();
            progress(trainer.epochs() as f64 / epochs as f64);
        }
        drop(trainer);
        let outcome = outcome.ok_or_else(|| Error::internal("training", "no configuration ended"))?;
        if outcome.diverged {
            return Err(diverged(&outcome, &self.request.settings));
        }
        Ok((outcome, resident))
    }

    fn options(&self, rows: &Rows, best_epoch: usize) -> Map<String, Value> {
        Map::from_iter([
            ("shared".to_string(), json!(self.request.shared)),
            ("settings".into(), json!(self.request.settings)),
            ("validation_fraction".into(), json!(self.request.validation_fraction)),
            ("stopped_by".into(), json!(rows.images_of(&self.validation))),
            ("best_epoch".into(), json!(best_epoch)),
            ("refit".into(), json!(self.request.refit)),
        ])
    }
}

/// Which images a round of training uses.
enum Round {
    /// The training images, stopped by the validation images.
    Stopped,
    /// Both, for so many epochs.
    Refit(usize),
}

/// The error of a readout whose training got out of hand.
pub(super) fn diverged(outcome: &Outcome, settings: &Settings) -> Error {
    let found = format!("the loss was infinite or no number after epoch {}", outcome.epochs);
    let advice = format!("Lower --learning-rate, which is {}", settings.learning_rate);
    Error::new(Kind::Usage, "training", found, "a loss that falls", advice)
}

/// `curves.csv`: the course of each configuration; empty where there is no number.
pub(super) fn curves_table<'a>(
    configurations: impl IntoIterator<Item = (usize, &'a [CurvePoint])>,
) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |e: &dyn std::fmt::Display| Error::internal(CURVES, e);
    let header = ["configuration", "epoch", "tier", "measure", "mean", "low", "median", "high"];
    table.write_record(header).map_err(|e| failed(&e))?;
    for (configuration, points) in configurations {
        for point in points {
            let number = |v: f64| if v.is_finite() { format!("{v:.6}") } else { String::new() };
            let name = |value: Value| value.as_str().unwrap_or_default().to_string();
            let numbers = [point.mean, point.low, point.median, point.high].map(number);
            let row = [
                configuration.to_string(),
                point.epoch.to_string(),
                name(json!(point.tier)),
                name(json!(point.measure)),
            ];
            table.write_record(row.iter().chain(&numbers)).map_err(|e| failed(&e))?;
        }
    }
    table.into_inner().map_err(|e| failed(&e))
}
