//! `striate report`: run folders as pages.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striate::Result;
use striate::report::{self, ReportSummary};

use super::common::Common;
use super::output::Outcome;

const EXAMPLES: &str = "\
Examples:
  striate report run
          run/report.html, and its plots in run/plots
  striate report run-l2 run-laplace             a report for each
  striate report run-* --out comparison.html
          and one page that compares them
  striate report run --json
          which figures there are, and where

A report is one HTML file that needs no network and no script except to sort
its tables. It shows how much can be explained, scores, every neuron, what a
sweep or a profile found, predictions, images, weights and the record. Each
plot is also written as SVG, its numbers as CSV. Images are shown if they are
still where the run found them, unchanged. The page that compares runs also
compares the run with the highest mean r with each of the others, neuron by
neuron.";

/// The options of `striate report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Folders that striate fit, sweep or profile wrote.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// A further page that compares all runs; .html is added to its name if missing.
    #[arg(long, value_name = "FILE[.html]")]
    out: Option<PathBuf>,
}

/// The page that was asked for, which browsers know by its ending.
fn page(mut out: PathBuf) -> PathBuf {
    let is_page =
        |ending: &std::ffi::OsStr| ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm");
    if !out.extension().is_some_and(is_page) {
        out.as_mut_os_string().push(".html");
    }
    out
}

/// Runs `striate report`.
pub fn run(args: &ReportArgs, common: &Common) -> Result<Outcome> {
    let mut reports: Vec<ReportSummary> = Vec::new();
    let progress = common.progress("reports", args.runs.len());
    for (done, folder) in args.runs.iter().enumerate() {
        reports.push(report::write(folder)?);
        progress.at(done + 1);
    }
    drop(progress);
    let comparison = args.out.clone().map(|out| report::compare(&args.runs, &page(out))).transpose()?;
    let mut text = String::new();
    for report in reports.iter().chain(&comparison) {
        text.push_str(&format!("{}: {} figures\n", report.page.display(), report.figures.len()));
    }
    Ok(Outcome::new(json!({"reports": reports, "comparison": comparison}), text))
}
