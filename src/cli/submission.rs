//! `striate submission`: predictions as the Sensorium competition takes them.

use std::path::PathBuf;

use clap::Args;
use striate::Result;
use striate::tasks::{SubmissionRequest, submission};

use super::common::Common;
use super::output::{Outcome, lines, merged};
use super::score::{TierArgs, TierName};
use super::source::missing;

const EXAMPLES: &str = "\
Examples:
  striate submission --experiment static26872-17-20-GrayImageNet \\
      --predictions run --tier test --out submission_file_live_test.csv
  striate submission --experiment static26872-17-20-GrayImageNet \\
      --predictions run --tier final_test \\
      --out submission_file_final_test.csv

The CSV has a row for each trial, with the columns trial_indices, image_ids,
prediction and neuron_ids; the last two are lists. Predictions are given as in
striate score.";

const USAGE: &str = "\
striate submission --experiment FOLDER --predictions FILE|RUN --tier NAME
                          --out FILE.csv [OPTIONS]";

/// The options of `striate submission`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct SubmissionArgs {
    #[command(flatten)]
    pub of: TierArgs,
    /// Which trials are submitted: test (the live test) or final_test.
    #[arg(long, value_enum, value_name = "NAME")]
    pub tier: Option<TierName>,
    /// The CSV to write.
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
}

/// Runs `striate submission`.
pub fn run(args: &SubmissionArgs, common: &Common) -> Result<Outcome> {
    let request = SubmissionRequest {
        experiment: args.of.experiment()?,
        predictions: args.of.predictions()?,
        tier: args.tier.ok_or_else(|| missing("--tier", "test or final_test"))?.tier(),
        out: args.out.clone().ok_or_else(|| missing("--out", "the CSV to write"))?,
    };
    let mut progress = common.progress("", 100);
    let summary =
        submission(&|| common.open_gpu(), &request, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    let text = lines(&[
        ("trials", format!("{}, tier {}", summary.n_trials, summary.tier)),
        ("neurons", summary.n_neurons.to_string()),
        ("written", summary.out.display().to_string()),
    ]);
    Ok(Outcome::new(merged(serde_json::json!({}), &summary), text))
}
