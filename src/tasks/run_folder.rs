//! What every fit writes, whatever its readout: scores, predictions, what was measured, the split, the
//! record.

use super::fit::{FitRequest, FitSummary};
use super::input::Input;
use super::model;
use super::plan::FitPlan;
use super::record::{AdapterRecord, InputRecord, RunRecord};
use super::recording::Recording;
use super::reliability;
use super::rows::TrialsRecord;
use super::scores_table::{Chosen, scores_table};
use super::trained_fit::CURVES;
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Claim, Folder, RECORD};
use crate::io::npy;
use crate::io::responses::Responses;
use crate::report;
use crate::scores::bootstrap::{DRAWS, Interval, pearson_intervals};
use crate::scores::{NeuronScores, Predicted, score};
use ndarray::{Array2, Array3, Axis};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Predictions of single trials, where those of an image differ: laid out as responses are, (neurons, images,
/// repeats).
const TRIAL_PREDICTIONS: &str = "trial_predictions.npy";

/// The files of a run folder.
pub(super) const FILES: [&str; 11] = [
    model::FILE,
    CURVES,
    "measured.npy",
    "predictions.npy",
    reliability::FILE,
    "scores.csv",
    "split.csv",
    TRIAL_PREDICTIONS,
    RECORD,
    report::PAGE,
    report::PLOTS,
];

/// What a method found. The readout itself is in the folder already.
pub(super) struct Readout {
    /// The input, its normalisation measured.
    pub input: Input,
    /// Images that the readout was fitted to in the end.
    pub n_fitted: usize,
    /// (neurons, rows), less the neurons' offsets.
    pub predictions: Array2<f32>,
    /// What each neuron took of the grids.
    pub chosen: Chosen,
    /// Neurons that took the smallest and the largest penalty.
    pub at_grid_edges: Option<[usize; 2]>,
    /// Neurons that took the smallest and the largest ratio.
    pub ratios_at_grid_edges: Option<[usize; 2]>,
    /// Whether systems were solved by another factorisation than was asked for.
    pub factorisation_not_kept: bool,
    /// What the record says of the method's own options, resolved.
    pub options: Map<String, Value>,
}

/// What goes into a run folder beside the readout.
pub(super) struct Found<'a> {
    readout: &'a Readout,
    recording: &'a Recording,
    /// (neurons, images): means over the trials of each.
    predictions: Array2<f32>,
    /// (neurons, images, repeats), where trials of an image differ.
    of_trials: Option<Array3<f32>>,
    pub scores: Vec<NeuronScores>,
    /// Of `pearson_r`, over test images.
    intervals: Vec<Interval>,
}

impl<'a> Found<'a> {
    /// Scores a readout's predictions of the test images.
    pub fn new(request: &FitRequest, recording: &'a Recording, readout: &'a Readout) -> Result<Self> {
        let Recording { responses, split, rows } = recording;
        let all: Vec<usize> = (0..rows.count()).collect();
        let predictions = rows.by_image(readout.predictions.view(), &all);
        let of_trials = rows.by_repeat(readout.predictions.view(), &all, responses.n_repeats());
        let place = format!("predictions of the {} readout", request.readout.name());
        check_finite(Path::new(&place), "fitted", &predictions)?;
        let held_out = responses.repeats.select(Axis(1), &split.test);
        let tested = predictions.select(Axis(1), &split.test);
        let tested_trials = of_trials.as_ref().map(|trials| trials.select(Axis(1), &split.test));
        let predicted = Predicted { images: tested.view(), trials: tested_trials.as_ref().map(|t| t.view()) };
        let seed = request.recording.seed;
        let scores = score(held_out.view(), predicted, seed)?;
        let intervals = pearson_intervals(held_out.view(), tested.view(), DRAWS, seed);
        Ok(Found { readout, recording, predictions, of_trials, scores, intervals })
    }
}

/// Refuses predictions that are not finite; `what` says which.
///
/// # Errors
/// Input, naming the first one.
pub(super) fn check_finite<T>(place: &Path, what: &str, predictions: &Array2<T>) -> Result<()>
where
    T: Copy + Into<f64>,
{
    let mut values = predictions.indexed_iter().map(|(at, &value)| (at, value.into()));
    let Some(((neuron, image), value)) = values.find(|(_, value): &(_, f64)| !value.is_finite()) else {
        return Ok(());
    };
    let found = format!("the {what} prediction for neuron {neuron} and image {image} is {value}");
    let advice = "Look at the weights, features and responses for numbers beyond 1e30";
    Err(Error::input(place, found, "finite numbers", advice))
}

/// Writes all but readout and record.
pub(super) fn write(folder: &Folder, found: &Found<'_>) -> Result<()> {
    let Recording { responses, split, .. } = found.recording;
    // In f64: of a large mean f32 would lose what varies.
    let predictions = responses.with_offsets(found.predictions.view());
    npy::write_f64(&folder.file("predictions.npy"), predictions.view().into_dyn())?;
    if let Some(trials) = &found.of_trials {
        let trials = responses.with_offsets(trials.view());
        npy::write_f64(&folder.file(TRIAL_PREDICTIONS), trials.view().into_dyn())?;
    }
    write_measured(folder, responses)?;
    let names = responses.neuron_names.as_deref();
    let table = scores_table(names, &found.scores, &found.intervals, &found.readout.chosen)?;
    commit::write(&folder.file("scores.csv"), &table)?;
    split.write(&folder.file("split.csv"))
}

/// Writes the report of a run into its folder, and commits it: a folder that has its name has its report. Only
/// where the report cannot be drawn the results come without it, and then the error.
pub(super) fn reported(folder: Folder) -> Result<Claim> {
    match report::write_named(folder.here(), folder.name()) {
        Err(why) if why.kind() == Kind::Output => Err(why),
        drawn => folder.commit().and_then(|claim| drawn.map(|_| claim)),
    }
}

/// Writes what was measured: means over repeats, (neurons, images).
pub(super) fn write_measured(folder: &Folder, responses: &Responses) -> Result<()> {
    let measured = responses.with_offsets(responses.average().view());
    npy::write_f64(&folder.file("measured.npy"), measured.view().into_dyn())
}

/// Writes the record: everything that is needed to repeat the fit.
pub(super) fn write_record(
    gpu: &Gpu,
    folder: &Folder,
    (request, trials): (&FitRequest, &TrialsRecord),
    readout: &Readout,
    plan: &FitPlan,
    summary: &FitSummary,
    inputs: Vec<InputRecord>,
) -> Result<()> {
    let failed = |e: serde_json::Error| Error::internal(RECORD, e);
    let mut options = readout.options.clone();
    options.extend([
        ("responses".to_string(), json!(request.recording.responses)),
        ("responses_layout".into(), json!(request.recording.layout)),
        ("responses_header".into(), json!(request.recording.headers)),
        ("split".into(), json!(request.recording.split)),
        ("trials".into(), json!(trials)),
        ("readout".into(), json!(request.readout.name())),
        ("seed".into(), json!(request.recording.seed)),
        ("plan".into(), json!(plan)),
    ]);
    let record = RunRecord {
        striate: env!("CARGO_PKG_VERSION").into(),
        command: "fit".into(),
        // Other images are resized to the size that these had.
        input: readout.input.sized()?,
        options: Value::Object(options),
        inputs,
        summary: serde_json::to_value(summary).map_err(failed)?,
        adapter: serde_json::to_value(AdapterRecord::of(gpu)).map_err(failed)?,
        seconds: summary.seconds.clone(),
        binding: String::new(),
    };
    commit::write(&folder.file(RECORD), &record.bound_bytes(&folder.file(model::FILE))?)
}
