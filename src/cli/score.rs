//! `striate score`: predictions of trials, scored as the Sensorium competition does.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use striate::Result;
use striate::experiment::{self, ExperimentRequest};
use striate::scores::LEAST_FEV;
use striate::tasks::{PredictionsRequest, ScoreRequest, score};

use super::common::Common;
use super::output::{Outcome, lines, merged};
use super::source::missing;

const EXAMPLES: &str = "\
Examples:
  striate score --experiment static23964-4-22-GrayImageNet --predictions run
  striate score --experiment responses --predictions predictions.npy \\
      --tier validation --out scores.csv

A file of predictions is a .npy of (neurons, trials of the tier), in order of
presentation, of (neurons, images of the experiment), or of (neurons, trials
of the experiment). A run folder predicts every trial itself, with the trial's
covariates where its readout has some. Responses are in units of each neuron's
standard deviation where the recording states one, as in the competition.

As in the competition, 1e-8 is added to each standard deviation of a
correlation, so that a constant neuron scores 0. FEVE takes variances over
n - 1, and only neurons with a fraction of explainable variance of at least
0.15.";

const USAGE: &str = "striate score --experiment FOLDER --predictions FILE|RUN [OPTIONS]";

/// The options of `striate score`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct ScoreArgs {
    #[command(flatten)]
    pub of: TierArgs,
    /// Which trials are scored.
    #[arg(long, value_enum, default_value = "test", value_name = "NAME")]
    pub tier: TierName,
    /// A table of the scores of every neuron.
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
}

/// An experiment, and predictions of its trials.
#[derive(Debug, Args)]
pub struct TierArgs {
    /// A mouse of Sensorium, or a folder of responses.
    #[arg(long, value_name = "FOLDER")]
    pub experiment: Option<PathBuf>,
    /// An array of predictions (.npy, or FILE:NAME), or a folder that striate fit wrote.
    #[arg(long, value_name = "FILE|RUN")]
    pub predictions: Option<PathBuf>,
    /// The run was fitted with --rescale: images at a quarter of their height and width.
    #[arg(long)]
    pub rescale: bool,
}

impl TierArgs {
    /// How the experiment is opened.
    pub fn experiment(&self) -> Result<ExperimentRequest> {
        let wanted = "a mouse of Sensorium, or a folder of responses";
        let path = self.experiment.clone().ok_or_else(|| missing("--experiment", wanted))?;
        Ok(ExperimentRequest { path, rescale: self.rescale, ..ExperimentRequest::default() })
    }

    /// Where the predictions are.
    pub fn predictions(&self) -> Result<PredictionsRequest> {
        let path = self.predictions.as_ref();
        let path = path.ok_or_else(|| missing("--predictions", "a .npy, or the folder of a fit"))?;
        Ok(PredictionsRequest::of(path))
    }
}

/// What trials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the option")]
pub enum TierName {
    Train,
    Validation,
    Test,
    FinalTest,
}

impl TierName {
    /// As the library has it.
    pub fn tier(self) -> experiment::Tier {
        match self {
            TierName::Train => experiment::Tier::Train,
            TierName::Validation => experiment::Tier::Validation,
            TierName::Test => experiment::Tier::Test,
            TierName::FinalTest => experiment::Tier::FinalTest,
        }
    }
}

/// Runs `striate score`.
pub fn run(args: &ScoreArgs, common: &Common) -> Result<Outcome> {
    let request = ScoreRequest {
        experiment: args.of.experiment()?,
        predictions: args.of.predictions()?,
        tier: args.tier.tier(),
        out: args.out.clone(),
    };
    let mut progress = common.progress("", 100);
    let summary = score(&|| common.open_gpu(), &request, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    let number = |v: f64| if v.is_nan() { "none".to_string() } else { format!("{v:.4}") };
    let scores = &summary.scores;
    let mut rows = vec![
        ("trials", format!("{} of {} images, tier {}", summary.n_trials, summary.n_images, summary.tier)),
        (
            "neurons",
            match scores.neurons_without_responses {
                0 => scores.neurons.to_string(),
                none => format!("{}; left out: {none} without responses", scores.neurons),
            },
        ),
        ("single-trial correlation", number(scores.single_trial_correlation)),
        ("correlation to average", number(scores.correlation_to_average)),
        (
            "FEVE",
            format!(
                "{} over {} neurons with FEV of at least {LEAST_FEV}",
                number(scores.feve),
                scores.feve_neurons
            ),
        ),
    ];
    if let Some(out) = &summary.out {
        rows.push(("neurons' scores", out.display().to_string()));
    }
    Ok(Outcome::new(merged(serde_json::json!({}), &summary), lines(&rows)))
}
