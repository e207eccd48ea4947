//! `striate responses`: a recording's presentations as responses, in a folder.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striate::experiment::ExperimentRequest;
use striate::gpu::Gpu;
use striate::responses::auto::Candidate;
use striate::tasks::{Dropped, ResponsesRequest, ResponsesSummary, plan_responses, responses};
use striate::{Result, experiment};

use super::common::{Adapter, Common};
use super::definition::DefinitionArgs;
use super::fit_text::explained;
use super::output::{Outcome, lines, mebibytes, merged};
use super::recording::TEST_FRACTION;
use super::source::missing;
use super::values;

const EXAMPLES: &str = "\
Examples:
  striate responses --experiment 501498760.nwb --definition sdk \\
      --out responses
  striate responses --experiment 501498760.nwb --events 501498760_events.npz \\
      --definition berget-events --out responses
  striate responses --experiment 501498760.nwb --definition custom \\
      --trace dff --window 2:12 --baseline -8:0 --out responses
  striate responses --experiment 501498760.nwb --definition auto \\
      --dff median --regress running-speed --out responses
  striate responses --experiment static26872-17-20-GrayImageNet \\
      --out responses

The folder holds responses.npy (neurons, images, repeats; NaN where a repeat
is missing), images.npy, trials.csv, neurons.csv, split.csv, reliability.csv
and record.json. Fit readouts to it: striate fit --experiment responses.";

const USAGE: &str = "striate responses --experiment PATH --out FOLDER [OPTIONS]";

/// The options of `striate responses`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct ResponsesArgs {
    /// The recording: an Allen NWB file, a Sensorium mouse or a folder of mice, a folder of arrays, or an
    /// HDF5, MATLAB or .npz file with --map.
    #[arg(long, value_name = "PATH")]
    experiment: Option<PathBuf>,
    /// The order of the axes of responses in a folder, if their lengths do not tell: for example
    /// images,neurons or repeats,images,neurons.
    #[arg(long, value_name = "AXES")]
    responses_layout: Option<String>,
    #[command(flatten)]
    definition: DefinitionArgs,
    /// Where the recording has no tiers: the fraction of images, drawn by --seed, that test [default: 0.2].
    #[arg(long, value_parser = values::fraction, value_name = "F")]
    test_fraction: Option<f64>,
    /// The folder to write; earlier responses there are replaced. For several mice it holds a folder for
    /// each, named by its data key.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Check everything and say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Runs `striate responses`.
pub fn run(args: &ResponsesArgs, common: &Common) -> Result<Outcome> {
    let path = args.experiment.as_deref().ok_or_else(|| missing("--experiment", "a recording"))?;
    let out = args.out.clone().ok_or_else(|| missing("--out", "the folder to write"))?;
    let mice = experiment::several(path)?;
    if mice == [path] {
        return one(&args.request(path, out, common)?, args.dry_run, &Adapter::new(common), common);
    }
    let each = mice.iter().map(|mouse| args.request(mouse, out.join(experiment::data_key(mouse)), common));
    let requests: Vec<ResponsesRequest> = each.collect::<Result<_>>()?;
    let adapter = Adapter::new(common);
    // A mouse that cannot be read is said before anything is written of the others.
    requests.iter().try_for_each(|request| experiment::open(&request.experiment).map(drop))?;
    let outcomes = requests.iter().map(|request| one(request, args.dry_run, &adapter, common));
    Ok(Outcome::several("experiments", outcomes.collect::<Result<_>>()?))
}

impl ResponsesArgs {
    fn request(&self, path: &Path, out: PathBuf, common: &Common) -> Result<ResponsesRequest> {
        Ok(ResponsesRequest {
            experiment: ExperimentRequest {
                layout: self.responses_layout.clone(),
                ..self.definition.experiment(path)
            },
            definition: self.definition.definition()?,
            blanks: self.definition.blanks(),
            covariates_regressed: self.definition.covariates(),
            standardise: self.definition.standardise_trials,
            split: None,
            test_fraction: self.test_fraction.unwrap_or(TEST_FRACTION),
            seed: common.seed,
            out,
        })
    }
}

/// The responses of one recording.
fn one(
    request: &ResponsesRequest,
    only_plan: bool,
    adapter: &Adapter<'_>,
    common: &Common,
) -> Result<Outcome> {
    if only_plan {
        return first(request, adapter);
    }
    let summary = made(request, adapter, common)?;
    Ok(Outcome::new(merged(json!({"dry_run": false}), &summary), table(&summary)))
}

/// Makes responses, with progress, and says what a reader of them should know.
fn made(request: &ResponsesRequest, adapter: &Adapter<'_>, common: &Common) -> Result<ResponsesSummary> {
    // What cannot be read is said before an adapter is looked for.
    drop(experiment::open(&request.experiment)?);
    let gpu = adapter.get()?;
    let mut progress = common.progress("", 1000);
    let summary = responses(gpu, request, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    for warning in warnings(&summary) {
        common.say(format_args!("warning: {warning}"));
    }
    Ok(summary)
}

/// Makes the responses that another command works on.
pub fn make(request: &ResponsesRequest, adapter: &Adapter<'_>, common: &Common) -> Result<()> {
    let summary = made(request, adapter, common)?;
    common.say(format_args!("responses: {}, {}", request.out.display(), definition(&summary)));
    Ok(())
}

/// What making responses first would take, for a command that works on them.
pub fn first(request: &ResponsesRequest, adapter: &Adapter<'_>) -> Result<Outcome> {
    let experiment = experiment::open(&request.experiment)?;
    dry_run(adapter.get()?, &experiment, request)
}

/// Checks that responses can be made.
pub fn check(request: &ResponsesRequest, adapter: &Adapter<'_>) -> Result<()> {
    let experiment = experiment::open(&request.experiment)?;
    plan_responses(adapter.get()?, &experiment, request).map(drop)
}

/// What making responses would take.
fn dry_run(gpu: &Gpu, experiment: &experiment::Experiment, request: &ResponsesRequest) -> Result<Outcome> {
    let plan = plan_responses(gpu, experiment, request)?;
    let text = lines(&[
        ("recording", experiment.format.name().to_string()),
        (
            "responses",
            format!("{} neurons, {} images, up to {} repeats", plan.n_neurons, plan.n_images, plan.n_repeats),
        ),
        ("presentations", presentations(plan.n_trials, &plan.dropped)),
        ("traces read", mebibytes(plan.bytes_read)),
        ("memory", format!("at most {}", mebibytes(plan.bytes))),
        ("would write", request.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "format": experiment.format.name(), "adapter": gpu.describe(), "out": request.out,
    });
    Ok(Outcome::new(merged(document, &plan), text))
}

/// How many presentations are kept, and why others are not.
fn presentations(kept: usize, dropped: &Dropped) -> String {
    let reasons = [
        (dropped.blanks, "blank"),
        (dropped.too_early, "too early for the window"),
        (dropped.cut_off, "cut off by the end"),
        (dropped.in_pause, "in a pause of the frames"),
        (dropped.without_start, "without a start"),
        (dropped.hidden, "withheld"),
    ];
    let reasons: Vec<String> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    match reasons.is_empty() {
        true => format!("{kept}"),
        false => format!("{kept}; left out: {}", reasons.join(", ")),
    }
}

/// What a reader of the responses should know.
fn warnings(summary: &ResponsesSummary) -> Vec<String> {
    let mut warnings = summary.warnings.clone();
    if summary.validation_tests {
        warnings.push("the responses to all test images are withheld: the validation tier tests".into());
    }
    if summary.n_without_response > 0 {
        warnings.push(format!(
            "{} of {} pairs of a neuron and an image have no response at all: readouts cannot be fitted to them",
            summary.n_without_response,
            summary.n_neurons * summary.n_images
        ));
    }
    if let Some(count) = summary.n_constant.filter(|count| *count > 0) {
        warnings.push(format!("{count} neurons are constant on training images and were only centred"));
    }
    if let Some(regressed) = summary.regressed.filter(|r| r.missing > 0) {
        warnings
            .push(format!("{} presentations lack a covariate; its mean is used for them", regressed.missing));
    }
    warnings
}

fn table(summary: &ResponsesSummary) -> String {
    let number = |v: f64| if v.is_nan() { "none".to_string() } else { format!("{v:.3}") };
    let [fewest, most] = summary.n_repeats;
    let repeats = if fewest == most { format!("{most}") } else { format!("{fewest} to {most}") };
    let [train, validation, test] = summary.n_tiers;
    let reliability = &summary.reliability;
    let mut rows = vec![
        ("recording".to_string(), summary.format.to_string()),
        ("definition".into(), definition(summary)),
        ("neurons".into(), summary.n_neurons.to_string()),
        (
            "images".into(),
            format!("{} ({train} train, {validation} validation, {test} test)", summary.n_images),
        ),
        ("repeats of an image".into(), repeats),
        ("presentations".into(), presentations(summary.n_trials, &summary.dropped)),
        ("missing responses".into(), summary.n_missing.to_string()),
        ("explainable fraction (FEV) of all images, median".into(), number(reliability.median_fev)),
        ("split-half reliability of all images, median".into(), number(reliability.median_split_half)),
        ("seconds".into(), format!("{:.1}", summary.seconds.get("total").copied().unwrap_or(f64::NAN))),
        ("written".into(), summary.out.display().to_string()),
    ];
    if summary.n_missing == 0 {
        rows.retain(|(name, _)| name != "missing responses");
    }
    format!("{}{}\n{}", compared(&summary.candidates), explained(reliability), lines(&rows))
}

fn definition(summary: &ResponsesSummary) -> String {
    let Some(definition) = &summary.definition else {
        return format!("responses, {}", summary.unit);
    };
    let dff = definition.dff.map_or(String::new(), |dff| format!(" as dF/F ({dff})"));
    let window = match definition.window {
        striate::responses::Span::Frames(start, stop) => format!("frames {start}:{stop}"),
        striate::responses::Span::Seconds(start, stop) => format!("{start}:{stop} s"),
    };
    format!(
        "{}: {} of {}{dff}, {window}, in {}",
        definition.name,
        definition.statistic.name(),
        definition.trace.name(),
        summary.unit
    )
}

/// Split-half reliability of all windows that were compared: a row for each start, a column for each length.
fn compared(candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return String::new();
    }
    let mut starts: Vec<i64> = candidates.iter().map(|c| c.start).collect();
    let mut lengths: Vec<i64> = candidates.iter().map(|c| c.stop - c.start).collect();
    for list in [&mut starts, &mut lengths] {
        list.sort_unstable();
        list.dedup();
    }
    let cell = |start: i64, length: i64| {
        let found = candidates.iter().find(|c| (c.start, c.stop - c.start) == (start, length));
        let value = found.map_or(f64::NAN, |c| c.reliability);
        if value.is_nan() { format!("{:>7}", "none") } else { format!("{value:7.3}") }
    };
    let header: String = lengths.iter().map(|length| format!("{length:>7}")).collect();
    let row = |start: &i64| {
        let cells: String = lengths.iter().map(|length| cell(*start, *length)).collect();
        format!("{start:>12}{cells}\n")
    };
    let rows: String = starts.iter().map(row).collect();
    format!(
        "Split-half reliability (median over neurons, training images) by first frame and number of frames:\n\
         {:>12}{header}\n{rows}\n",
        ""
    )
}
