//! What every fit writes, whatever its readout: scores, predictions, what was measured, the split, the record.

use super::fit::{FitRequest, FitSummary};
use super::input::Input;
use super::model;
use super::plan::FitPlan;
use super::record::{AdapterRecord, InputRecord, RunRecord};
use super::reliability;
use super::scores_table::{Chosen, scores_table};
use super::trained_fit::CURVES;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Folder, RECORD};
use crate::io::npy;
use crate::io::split::Split;
use crate::report;
use crate::scores::NeuronScores;
use crate::scores::bootstrap::Interval;
use ndarray::Array2;
use serde_json::{Map, Value, json};

/// The files of a run folder.
pub(super) const FILES: [&str; 10] = [
    model::FILE,
    CURVES,
    "measured.npy",
    "predictions.npy",
    reliability::FILE,
    "scores.csv",
    "split.csv",
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
    /// (neurons, images).
    pub predictions: Array2<f32>,
    /// What each neuron took of the grids.
    pub chosen: Chosen,
    /// Neurons that took the smallest and the largest penalty.
    pub at_grid_edges: Option<[usize; 2]>,
    /// Neurons that took the smallest and the largest ratio.
    pub ratios_at_grid_edges: Option<[usize; 2]>,
    /// What the record says of the method's own options, resolved.
    pub options: Map<String, Value>,
}

/// What goes into a run folder beside the readout.
pub(super) struct Found<'a> {
    pub readout: &'a Readout,
    /// (neurons, images): averages over repeats.
    pub measured: &'a Array2<f32>,
    pub scores: &'a [NeuronScores],
    /// Of `pearson_r`, over test images.
    pub intervals: &'a [Interval],
    pub split: &'a Split,
}

/// Writes all but readout and record.
pub(super) fn write(folder: &Folder, found: &Found<'_>, names: Option<&[String]>) -> Result<()> {
    npy::write(&folder.file("predictions.npy"), found.readout.predictions.view().into_dyn())?;
    npy::write(&folder.file("measured.npy"), found.measured.view().into_dyn())?;
    let table = scores_table(names, found.scores, found.intervals, &found.readout.chosen)?;
    commit::write(&folder.file("scores.csv"), &table)?;
    found.split.write(&folder.file("split.csv"))
}

/// Writes the record: everything that is needed to repeat the fit.
pub(super) fn write_record(
    gpu: &Gpu,
    folder: &Folder,
    request: &FitRequest,
    readout: &Readout,
    plan: &FitPlan,
    summary: &FitSummary,
    inputs: Vec<InputRecord>,
) -> Result<()> {
    let failed = |e: serde_json::Error| Error::internal(RECORD, e);
    let mut options = readout.options.clone();
    options.extend([
        ("responses".to_string(), json!(request.responses)),
        ("responses_layout".into(), json!(request.layout)),
        ("split".into(), json!(request.split)),
        ("readout".into(), json!(request.readout.name())),
        ("seed".into(), json!(request.seed)),
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
    };
    commit::write(&folder.file(RECORD), &serde_json::to_vec_pretty(&record).map_err(failed)?)
}
