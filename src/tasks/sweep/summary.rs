//! What a sweep found, and its folder.

use super::configuration::Configuration;
use super::job::{SweepJob, SweepProgress, SweepRequest, SweepStatus};
use super::journal::Journal;
use super::result::{Finished, best, quantile};
use super::tables;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Claim, Folder, RECORD};
use crate::io::file::{self, LONGEST_RECORD};
use crate::report;
use crate::tasks::fit::{FitRequest, ReadoutRequest, fit};
use crate::tasks::record::{AdapterRecord, InputRecord, RunRecord};
use crate::tasks::reliability;
use crate::tasks::run_folder::{self, reported};
use crate::tasks::trained_fit::{CURVES, TrainedRequest, curves_table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of a sweep's folder.
pub(super) const FILES: [&str; 9] = [
    "best",
    CURVES,
    "measured.npy",
    report::PAGE,
    report::PLOTS,
    reliability::FILE,
    "sweep.csv",
    "sweep_neurons.csv",
    RECORD,
];

/// How many of the best a summary names.
const TOP: usize = 10;

/// One of the best configurations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopRow {
    /// Its number.
    pub configuration: usize,
    /// Options that are not the same in all configurations.
    pub options: BTreeMap<String, String>,
    /// Mean correlation on validation images, by which it was chosen.
    pub validation_r: f64,
    /// Median correlation on test images.
    pub test_median_r: Option<f64>,
    /// Median explained variance on test images.
    pub test_median_explained_variance: Option<f64>,
}

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepSummary {
    /// The readout of the best configuration; empty if all diverged.
    pub readout: String,
    /// Number of images.
    pub n_images: usize,
    /// Presentations of them, where each was a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_trials: Option<usize>,
    /// Images that train.
    pub n_train: usize,
    /// Images that stop training, and choose between configurations.
    pub n_validation: usize,
    /// Images scored.
    pub n_test: usize,
    /// Neurons.
    pub n_neurons: usize,
    /// Most repeats of an image.
    pub n_repeats: usize,
    /// Configurations that were trained.
    pub configurations: usize,
    /// Configurations whose loss became NaN or infinite.
    pub diverged: usize,
    /// The best by validation; none if all diverged.
    pub best: Option<usize>,
    /// The best ones, by validation.
    pub top: Vec<TopRow>,
    /// The adapter.
    pub adapter: String,
    /// Seconds of each step, of the last run where the sweep was resumed.
    pub seconds: BTreeMap<String, f64>,
    /// The folder.
    pub out: PathBuf,
}

impl SweepSummary {
    /// The summary of a sweep that stands finished at `out`, if it is the same sweep.
    ///
    /// # Errors
    /// Input, if the record there cannot be read.
    pub(super) fn of_finished(out: &Path, identity: &Value) -> Result<Option<Self>> {
        let path = out.join(RECORD);
        if super::journal::partial(out).exists() || !path.exists() {
            return Ok(None);
        }
        let bytes = file::read(&path, LONGEST_RECORD)?;
        let Ok(record) = serde_json::from_slice::<RunRecord>(&bytes) else { return Ok(None) };
        // Through text, as the one on the disk: numbers compare alike.
        let same = serde_json::from_str::<Value>(&identity.to_string()).ok().as_ref()
            == record.options.get("identity");
        let summary = || serde_json::from_value(record.summary).ok();
        Ok((record.command == "sweep" && same).then(summary).flatten())
    }

    fn new(
        gpu: &Gpu,
        job: SweepJob<'_>,
        all: &[Configuration],
        finished: &BTreeMap<usize, Finished>,
    ) -> Self {
        let (chosen, rows) = (best(finished.values()), &job.recording.rows);
        let of_best = chosen.and_then(|one| all.get(one.configuration));
        SweepSummary {
            readout: of_best.map_or(String::new(), |one| one.shared.model.name().into()),
            n_images: job.recording.responses.n_images(),
            n_trials: rows.single_trials().then_some(rows.count()),
            n_train: job.train.len(),
            n_validation: job.validation.len(),
            n_test: job.recording.split.test.len(),
            n_neurons: job.recording.responses.n_neurons(),
            n_repeats: job.recording.responses.n_repeats(),
            configurations: all.len(),
            diverged: finished.values().filter(|one| one.diverged).count(),
            best: chosen.map(|one| one.configuration),
            top: top(all, finished),
            adapter: gpu.describe(),
            seconds: job.clock.finish(),
            out: job.request.out.clone(),
        }
    }
}

/// The best by validation, in order.
fn top(all: &[Configuration], finished: &BTreeMap<usize, Finished>) -> Vec<TopRow> {
    let options = tables::varying(all);
    let mut rows: Vec<(f64, &Finished)> =
        finished.values().filter_map(|one| Some((one.validation_r()?, one))).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.configuration.cmp(&b.1.configuration)));
    let row = |(validation_r, one): &(f64, &Finished)| TopRow {
        configuration: one.configuration,
        options: options
            .get(one.configuration)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect(),
        validation_r: *validation_r,
        test_median_r: quantile(one.all(|n| n.pearson_r), 0.5),
        test_median_explained_variance: quantile(one.all(|n| n.explained_variance), 0.5),
    };
    rows.iter().take(TOP).map(row).collect()
}

/// Writes the folder of a sweep that has finished, and fits the best configuration once more, by itself, for
/// the folder `best`: the same bits, for configurations that train together do not touch each other. The claim
/// of the folder is for as long as the journal is there.
pub(super) fn write(
    gpu: &Gpu,
    mut job: SweepJob<'_>,
    folder: Folder,
    all: &[Configuration],
    journal: &Journal,
    (inputs, identity): (Vec<InputRecord>, Value),
    progress: &mut SweepProgress<'_>,
) -> Result<(SweepSummary, Claim)> {
    let (request, finished) = (job.request, journal.finished());
    let chosen = best(finished.values()).map(|one| one.configuration);
    commit::write(&folder.file("sweep.csv"), &tables::sweep(all, finished, chosen)?)?;
    let responses = &job.recording.responses;
    let names = responses.neuron_names.as_deref();
    commit::write(&folder.file("sweep_neurons.csv"), &tables::neurons(finished, names)?)?;
    let curves = curves_table(finished.iter().map(|(number, one)| (*number, one.curves.as_slice())))?;
    commit::write(&folder.file(CURVES), &curves)?;
    run_folder::write_measured(&folder, responses)?;
    reliability::write(&folder, responses, None, request.recording.seed)?;
    let of_best = chosen.and_then(|number| all.get(number));
    if let Some(configuration) = of_best {
        let (done, total) = (finished.len(), finished.len());
        let best = finished.get(&configuration.number).and_then(Finished::validation_r);
        fit(gpu, &fit_request(request, configuration, folder.file("best")), &mut |_, share| {
            progress(&SweepStatus { step: "best", done, total, epoch: 0, best, share });
        })?;
        place(&folder.file("best"), &request.out.join("best"))?;
        // Again, for its record says only now where it will lie.
        report::write(&folder.file("best"))?;
    }
    job.clock.done("writing");
    let input = of_best.map_or(&request.base.input, |one| &one.input).clone();
    let summary = SweepSummary::new(gpu, job, all, finished);
    let failed = |why: serde_json::Error| Error::internal(RECORD, why);
    let record = RunRecord {
        striate: env!("CARGO_PKG_VERSION").into(),
        command: "sweep".into(),
        input,
        options: json!({
            "responses": request.recording.responses,
            "responses_layout": request.recording.layout,
            "split": request.recording.split,
            "validation_fraction": request.validation_fraction,
            "seed": request.recording.seed,
            "grid": request.grid,
            "identity": identity,
        }),
        inputs,
        summary: serde_json::to_value(&summary).map_err(failed)?,
        adapter: serde_json::to_value(AdapterRecord::of(gpu)).map_err(failed)?,
        seconds: summary.seconds.clone(),
        binding: String::new(),
    };
    commit::write(&folder.file(RECORD), &serde_json::to_vec_pretty(&record).map_err(failed)?)?;
    Ok((summary, reported(folder)?))
}

/// One configuration as a fit of its own.
fn fit_request(request: &SweepRequest, configuration: &Configuration, out: PathBuf) -> FitRequest {
    let trained = TrainedRequest {
        shared: configuration.shared.clone(),
        settings: configuration.settings.clone(),
        validation_fraction: request.validation_fraction,
        refit: false,
        folds: 5,
        shuffled_folds: true,
    };
    FitRequest {
        input: configuration.input.clone(),
        recording: request.recording.clone(),
        readout: ReadoutRequest::Trained(Box::new(trained)),
        out,
    }
}

/// Says in the record of the run at `from` that it stands at `to`, where it will when the folder around it
/// does.
fn place(from: &Path, to: &Path) -> Result<()> {
    let file = from.join(RECORD);
    let bytes = file::read(&file, LONGEST_RECORD)?;
    let failed = |why: serde_json::Error| Error::internal(RECORD, why);
    let mut record: RunRecord = serde_json::from_slice(&bytes).map_err(failed)?;
    record.summary["out"] = json!(to);
    commit::write(&file, &serde_json::to_vec_pretty(&record).map_err(failed)?)
}
