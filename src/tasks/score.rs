//! Scores of predictions of trials, by the definitions of the Sensorium competition.

use super::Progress;
use super::reliability::{cell, csv_table};
use super::tier::{PredictionsRequest, TierTrials};
use crate::error::Result;
use crate::experiment::{self, ExperimentRequest, Tier};
use crate::gpu::Gpu;
use crate::io::commit;
use crate::scores::sensorium::{CompetitionScores, TrialScores, trial_scores};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What is scored.
#[derive(Debug, Clone)]
pub struct ScoreRequest {
    /// The experiment.
    pub experiment: ExperimentRequest,
    /// The predictions.
    pub predictions: PredictionsRequest,
    /// Which of its trials.
    pub tier: Tier,
    /// A table of all neurons, if one is to be written.
    pub out: Option<PathBuf>,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct ScoreSummary {
    /// The trials that were scored.
    pub tier: &'static str,
    /// How many.
    pub n_trials: usize,
    /// Images that they showed.
    pub n_images: usize,
    /// The three scores.
    #[serde(flatten)]
    pub scores: CompetitionScores,
    /// The table, if one was written.
    pub out: Option<PathBuf>,
}

/// Scores a file of predictions, or a run, for which `gpu` opens an adapter.
///
/// # Errors
/// Usage, if the table would replace what is read; Input, if the experiment has no responses of this tier, or
/// the predictions do not fit it; as [`super::predict()`].
pub fn score(
    gpu: &dyn Fn() -> Result<Gpu>,
    request: &ScoreRequest,
    progress: &mut Progress<'_>,
) -> Result<ScoreSummary> {
    if let Some(out) = &request.out {
        request.predictions.keep(out, &request.experiment.path)?;
    }
    let tier = TierTrials::new(experiment::open(&request.experiment)?, request.tier)?;
    // What is withheld is said before anything is predicted.
    let responses = tier.responses()?;
    let predictions = match &request.predictions {
        PredictionsRequest::File(path) => tier.read(path)?,
        PredictionsRequest::Run(run) => tier.predict(&gpu()?, run, progress)?,
    };
    let scores = trial_scores(responses.view(), predictions.view(), &tier.images)?;
    if let Some(out) = &request.out {
        commit::write(out, &table(&tier, &scores)?)?;
    }
    Ok(ScoreSummary {
        tier: request.tier.name(),
        n_trials: tier.trials.len(),
        n_images: tier.images.iter().collect::<BTreeSet<_>>().len(),
        scores: CompetitionScores::new(&scores),
        out: request.out.clone(),
    })
}

/// A row a neuron; empty where there is no value.
fn table(tier: &TierTrials, scores: &[TrialScores]) -> Result<Vec<u8>> {
    let header = ["neuron", "id", "single_trial_correlation", "correlation_to_average", "fev", "feve"];
    let row = |(number, one): (usize, &TrialScores)| {
        let values = [one.single_trial_correlation, one.correlation_to_average, one.fev, one.feve];
        let names = [number.to_string(), tier.experiment.neurons[number].id.clone()];
        names.into_iter().chain(values.map(|v| cell(Some(v)))).collect()
    };
    csv_table("scores", &header, scores.iter().enumerate().map(row))
}
