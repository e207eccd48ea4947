//! Predictions as the Sensorium competition of 2022 takes them: a CSV with a row a trial of a tier, its
//! columns `trial_indices`, `image_ids`, `prediction` and `neuron_ids`; the last two hold lists as Python
//! writes them.

use super::Progress;
use super::reliability::csv_table;
use super::tier::{PredictionsRequest, TierTrials};
use crate::error::{Error, Result};
use crate::experiment::{self, ExperimentRequest, Tier};
use crate::gpu::Gpu;
use crate::io::commit;
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;

/// What is handed in.
#[derive(Debug, Clone)]
pub struct SubmissionRequest {
    /// The experiment.
    pub experiment: ExperimentRequest,
    /// The predictions.
    pub predictions: PredictionsRequest,
    /// Which of its trials.
    pub tier: Tier,
    /// The CSV.
    pub out: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct SubmissionSummary {
    /// The trials.
    pub tier: &'static str,
    /// Rows of the file.
    pub n_trials: usize,
    /// Numbers in each prediction.
    pub n_neurons: usize,
    /// The file.
    pub out: PathBuf,
}

/// Writes the trials of a tier with a file of predictions, or those of a run, for which `gpu` opens an
/// adapter.
///
/// # Errors
/// Usage, if the file would replace what is read; Input, if trials or neurons have no names of their own, or
/// the predictions do not fit the experiment; as [`super::predict()`].
pub fn submission(
    gpu: &dyn Fn() -> Result<Gpu>,
    request: &SubmissionRequest,
    progress: &mut Progress<'_>,
) -> Result<SubmissionSummary> {
    request.predictions.keep(&request.out, &request.experiment.path)?;
    let tier = TierTrials::new(experiment::open(&request.experiment)?, request.tier)?;
    let place = &request.experiment.path;
    let trials: Vec<&str> = tier.trials.iter().map(|at| tier.experiment.trials[*at].id.as_str()).collect();
    let neurons: Vec<&str> = tier.experiment.neurons.iter().map(|neuron| neuron.id.as_str()).collect();
    for (what, ids) in [("trial", &trials), ("neuron", &neurons)] {
        let mut seen = HashSet::new();
        if let Some(at) = ids.iter().position(|id| id.is_empty() || !seen.insert(*id)) {
            let found = match ids[at] {
                "" => format!("{what} {at} of the tier has no id"),
                id => format!("the id '{}' is that of two {what}s", id.escape_debug()),
            };
            let wanted = format!("an id of its own for every {what}");
            return Err(Error::input(place, found, wanted, "Name the folder as the competition gives it"));
        }
    }
    let predictions = match &request.predictions {
        PredictionsRequest::File(path) => tier.read(path)?,
        PredictionsRequest::Run(run) => tier.predict(&gpu()?, run, progress)?,
    };
    let neuron_ids = list(neurons.iter().map(|id| literal(id)));
    let row = |(at, trial): (usize, &&str)| {
        let image = &tier.experiment.stimuli.ids[tier.images[at]];
        let prediction = list(predictions.column(at).iter().map(|value| shortest(*value)));
        vec![trial.to_string(), image.clone(), prediction, neuron_ids.clone()]
    };
    let header = ["trial_indices", "image_ids", "prediction", "neuron_ids"];
    commit::write(&request.out, &csv_table("submission", &header, trials.iter().enumerate().map(row))?)?;
    Ok(SubmissionSummary {
        tier: request.tier.name(),
        n_trials: trials.len(),
        n_neurons: neurons.len(),
        out: request.out.clone(),
    })
}

/// A list as Python writes it.
fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A number in as few digits as tell it from others, those of f32 where it is one.
fn shortest(value: f64) -> String {
    let short = value as f32;
    if f64::from(short) == value { format!("{short:?}") } else { format!("{value:?}") }
}

/// A name as Python writes it: a number as such, anything else as a text.
fn literal(name: &str) -> String {
    match name.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}
