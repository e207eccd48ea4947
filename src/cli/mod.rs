//! The command line: arguments in, one document out.
//!
//! Every subcommand turns its arguments into an [`Outcome`]; what is printed where is decided in [`output`]
//! alone.

mod bench;
mod bench_text;
mod cancel;
mod common;
mod config;
mod definition;
mod doctor;
mod events;
mod features;
mod fit;
mod fit_text;
mod info;
mod man;
mod output;
mod predict;
mod profile;
mod progress;
mod recording;
mod report;
mod responses;
mod score;
mod simulate;
mod source;
mod study;
mod submission;
mod sweep;
mod training;
mod values;
mod weights;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use striate::{Error, Kind, Result};

use common::Common;
use output::Outcome;

/// Columns that examples keep to.
const NARROW: usize = 80;

const EXAMPLES: &str = "\
Examples:
  striate doctor
          which GPU works here, how fast, and what is missing
  striate bench
          how fast and how accurate everything is here
  striate simulate --out experiment
          an experiment to try things on, without any data
  striate info responses.npy                  what a file or a folder holds
  striate responses --experiment session.nwb --definition sdk --out responses
                                              responses of a recording
  striate fit --images images --responses responses.npy --net vgg19 \\
      --weights vgg19-dcbb9e9d.pth --layer relu3_1 --size 56 --pool 7 \\
      --split split.csv --out run
  striate profile --images images --responses responses.npy --net vgg19 \\
      --weights vgg19-dcbb9e9d.pth --layer relu1_1,relu2_1,relu3_1 --size 56 \\
      --pool 7 --labels neurons.csv --out profile
  striate sweep --config grid.toml --out sweep
  striate predict run --images new-images --out predictions.npy
  striate report run                          the run as one page, with plots

Results go to stdout, everything else to stderr; with --json stdout is one
JSON document.

Exit codes:
  0         done
  2         an option, a configuration or a combination of them makes no sense
  3         an input file is missing, damaged, or does not fit the others
  4         a result could not be written
  5         no adapter, or none that passes its self-test
  6         the job does not fit into the memory budget, or the system refuses
            memory or threads
  7         the device failed while it worked
  70        a bug in Striate
  130       cancelled (Ctrl-C or SIGTERM); nothing half-written is left";

const COMPLETIONS: &str = "\
Example:
  striate completions bash > ~/.local/share/bash-completion/completions/striate";

/// Models of visual cortex on any GPU: network features, readouts fitted to neurons, honest scores.
#[derive(Debug, Parser)]
#[command(name = "striate", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows adapters, limits, self-tests, measured peaks, and what is missing.
    Doctor,
    /// Times kernels, network layers and whole jobs on this adapter, with the error beside the time.
    Bench(bench::BenchArgs),
    /// Says what a file or a folder holds: weights, arrays, images, responses, a split, a run.
    Info(info::InfoArgs),
    /// Turns a recording (traces, events or a competition's folder) into responses: neurons x images x
    /// repeats.
    Responses(Box<responses::ResponsesArgs>),
    /// Runs a network over images and writes the features of one layer or more.
    Features(features::FeaturesArgs),
    /// Infers events from calcium traces.
    Events(events::EventsArgs),
    /// Fits a readout from features to recorded neurons, and scores it on held-out images.
    Fit(Box<fit::FitArgs>),
    /// Trains a grid of configurations together, and compares them on held-out images.
    Sweep(Box<sweep::SweepArgs>),
    /// Profiles neurons: how well each of several layers predicts each of them, beside nulls and noise
    /// ceilings.
    Profile(Box<profile::ProfileArgs>),
    /// Predicts responses to new images with a fitted readout.
    Predict(predict::PredictArgs),
    /// Scores predictions of trials as the Sensorium competition does: single-trial correlation, correlation
    /// to average, FEVE.
    Score(score::ScoreArgs),
    /// Writes predictions of a tier's trials as the Sensorium competition takes them.
    Submission(submission::SubmissionArgs),
    /// Writes run folders as pages: what can be explained, scores, plots, the record.
    Report(report::ReportArgs),
    /// Simulates an experiment whose truth is known: images, neurons, responses, a split.
    Simulate(simulate::SimulateArgs),
    /// Lists published weights with address, size and hash; `add` checks a download and keeps it.
    Weights(weights::WeightsArgs),
    /// Prints the script that completes commands and options in a shell.
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes the pages of all commands into a folder.
    Man(man::ManArgs),
}

/// The parser. Help is never wrapped at fewer columns than examples have, so that these can be pasted.
fn command() -> clap::Command {
    let columns = terminal_size::terminal_size().map_or(NARROW, |(width, _)| usize::from(width.0));
    Cli::command().term_width(columns.clamp(NARROW, 100))
}

/// Parses, runs, prints; the exit code is that of the error's kind.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let as_json = arguments.iter().any(|a| a == "--json");
    if let Err(why) = all_text(&arguments) {
        return output::finish(Err(why), as_json);
    }
    let cli = match config::parse(&arguments) {
        Ok(cli) => cli,
        Err(refusal) => return output::refuse(refusal, as_json),
    };
    cancel::watch(cli.common.json);
    let result = run(&cli);
    output::finish(result, cli.common.json)
}

/// Refuses arguments that are not UTF-8, paths above all: records and documents are JSON, which cannot name
/// them.
fn all_text(arguments: &[OsString]) -> Result<()> {
    // The first is the program itself.
    let Some(strange) = arguments.iter().skip(1).find(|argument| argument.to_str().is_none()) else {
        return Ok(());
    };
    let advice = "Rename the file or folder, or reach it by a link with a plain name";
    Err(Error::new(Kind::Usage, strange.display(), "is not UTF-8", "names that are", advice))
}

fn run(cli: &Cli) -> Result<Outcome> {
    let common = &cli.common;
    if !matches!(cli.command, Command::Completions { .. }) {
        striate::host::start_threads()?;
    }
    match &cli.command {
        Command::Doctor => doctor::run(common),
        Command::Bench(args) => bench::run(args, common),
        Command::Info(args) => info::run(args),
        Command::Features(args) => features::run(args, common),
        Command::Events(args) => events::run(args, common),
        Command::Fit(args) => fit::run(args, common),
        Command::Profile(args) => profile::run(args, common),
        Command::Sweep(args) => sweep::run(args, common),
        Command::Predict(args) => predict::run(args, common),
        Command::Responses(args) => responses::run(args, common),
        Command::Report(args) => report::run(args, common),
        Command::Score(args) => score::run(args, common),
        Command::Submission(args) => submission::run(args, common),
        Command::Simulate(args) => simulate::run(args, common),
        Command::Weights(args) => weights::run(args),
        Command::Completions { shell } => Ok(completions(*shell)),
        Command::Man(args) => man::run(args),
    }
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "striate", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Outcome::new(serde_json::json!({"shell": shell.to_string(), "script": script}), script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_is_sound() {
        Cli::command().debug_assert();
    }

    /// A line of an example that is wrapped cannot be pasted.
    #[test]
    fn examples_are_not_wrapped() {
        let mut all = command().term_width(NARROW);
        all.build();
        let subcommands = all.get_subcommands().cloned().collect::<Vec<_>>();
        for mut one in subcommands.into_iter().chain([all]) {
            let Some(examples) = one.get_after_help().map(ToString::to_string) else { continue };
            let help = one.render_long_help().to_string();
            for line in examples.lines().filter(|line| !line.is_empty()) {
                assert!(line.chars().count() <= NARROW && help.contains(line), "{}: {line}", one.get_name());
            }
            // What goes on in the next line says so.
            let lines: Vec<&str> = examples.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[1].starts_with("      --")) {
                assert!(pair[0].ends_with(" \\"), "{}: {pair:?}", one.get_name());
            }
        }
    }
}
