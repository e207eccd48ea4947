//! `striate sweep`: a grid of configurations, trained together and compared.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use striate::Result;
use striate::tasks::{Base, Grid, SweepJob, SweepRequest, SweepStatus, SweepSummary, TopRow, all_diverged};
use striate::training::READOUTS;

use super::common::{Adapter, Common, INPUT, OUTPUT, READOUT};
use super::config;
use super::fit_text::few_test_images;
use super::output::{Outcome, lines, merged};
use super::recording::{Located, RecordingArgs, beside};
use super::source::{NetworkArgs, announce, missing, one_layer};
use super::training::TrainingArgs;

const EXAMPLES: &str = "\
Examples:
  striate sweep --config grid.toml --out sweep
  striate sweep --config grid.toml --out sweep --resume
  striate sweep --config grid.toml --epochs 10 --out quick

grid.toml holds options of this command under their names here, then what
varies:

  responses = \"responses.npy\"
  images = \"images\"
  net = \"pixels\"
  [grid]  # all combinations
  learning-rate = [0.001, 0.01]
  l1 = { from = 1e-4, to = 10, count = 6 }  # logarithmic, or scale = \"linear\"

Instead of [grid] there may be several [[configurations]], each with values or
lists of its own, or several [[stages]]: each stage starts from the best
configuration of the one before. What may vary: the options of trained
readouts, weights, layer, size, pool, subsample, subsample-seed, seed (the
start of the weights) and order-seed (the order of the images).

The best configuration is chosen by its correlation on validation images.
--resume continues a sweep that was stopped.";

/// The options of `striate sweep`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "striate sweep --config GRID.toml --out FOLDER [OPTIONS]")]
pub struct SweepArgs {
    /// Features computed before, images x anything, instead of images, network and weights: a .npy, .npz, HDF5
    /// or MATLAB file (FILE:NAME where it holds several arrays).
    #[arg(long, value_name = "FILE.npy", help_heading = INPUT)]
    pub features: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The kind of readout, where it does not vary [default: factored].
    #[arg(long, value_parser = PossibleValuesParser::new(READOUTS), value_name = "NAME", help_heading = READOUT)]
    pub readout: Option<String>,
    /// The folder to write: tables of all configurations, and the best one as a fit. While the sweep runs,
    /// FOLDER.partial stands beside it.
    #[arg(long, value_name = "FOLDER", help_heading = OUTPUT)]
    pub out: Option<PathBuf>,
    /// Resume a sweep that was stopped, or start it if there is none.
    #[arg(long, help_heading = OUTPUT)]
    pub resume: bool,
    /// How often training in progress is saved to disk.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", help_heading = OUTPUT)]
    pub checkpoint_every: u64,
    /// Check everything and say what would be trained.
    #[arg(long, help_heading = OUTPUT)]
    pub dry_run: bool,
    #[command(flatten)]
    pub recording: RecordingArgs,
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl SweepArgs {
    /// Checks the options against each other, and reads the grid.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous, or what is wrong with the grid.
    fn request(&self, located: &Located, common: &Common) -> Result<SweepRequest> {
        let file =
            common.config.as_deref().ok_or_else(|| missing("--config", "a file that says what varies"))?;
        let place = file.display().to_string();
        let grid = Grid::parse(&config::read(file)?, &place)?;
        let network = self.network.over(located.images.clone(), self.features.as_ref());
        let out = self.out.clone().ok_or_else(|| missing("--out", "the folder to write"))?;
        let advice = "Put layer = [...] under [grid] to compare them";
        let layers = NetworkArgs::input_of_any_layer;
        let input = one_layer(self.features.as_ref(), &network, common.seed, layers, advice)?;
        let options = self.training.options(self.readout.as_deref(), common.seed)?;
        Ok(SweepRequest {
            base: Base { input, options },
            grid,
            place,
            recording: located.recording.clone(),
            validation_fraction: self.training.validation_fraction(),
            out,
            resume: self.resume,
            checkpoint: Duration::from_secs(self.checkpoint_every),
        })
    }
}

/// Runs `striate sweep`.
pub fn run(args: &SweepArgs, common: &Common) -> Result<Outcome> {
    let (adapter, own) = (Adapter::new(common), args.network.images.as_ref());
    let located =
        args.recording.locate(&args.recording.definition, own, beside(args.out.as_ref()), common)?;
    let request = args.request(&located, common)?;
    request.base.input.check()?;
    if let Some(first) = located.make(args.dry_run, &adapter, common)? {
        return Ok(first);
    }
    // What cannot be read is said before an adapter is looked for.
    let job = SweepJob::read(&request)?;
    if args.dry_run {
        return dry_run(&request, &job);
    }
    let gpu = adapter.get()?;
    announce(&request.base.input, gpu, common)?;
    let progress = common.shares();
    let summary = job.run(gpu, &mut |status| progress.tell(status_line(status), status.share))?;
    drop(progress);
    if let Some(few) = few_test_images(summary.n_test) {
        common.say(format_args!("warning: {few}"));
    }
    let failure = all_diverged(&summary);
    let outcome = Outcome::new(merged(json!({}), &summary), table(&summary));
    Ok(match failure {
        Some(why) => outcome.failed(why),
        None => outcome,
    })
}

/// What the progress bar says.
pub fn status_line(status: &SweepStatus) -> String {
    let best = status.best.map_or(String::new(), |r| format!(", best validation r {r:.3}"));
    let epoch = if status.epoch > 0 { format!(", epoch {}", status.epoch) } else { String::new() };
    format!("{}: {} of {} done{epoch}{best}", status.step, status.done, status.total)
}

fn number(value: Option<f64>) -> String {
    value.map_or("none".into(), |v| format!("{v:.3}"))
}

/// The best configurations, and what to make of them.
fn table(summary: &SweepSummary) -> String {
    let seconds = summary.seconds.get("total").copied().unwrap_or(f64::NAN);
    let mut text = lines(&[
        (
            "images",
            format!(
                "{} train, {} validation, {} test",
                summary.n_train, summary.n_validation, summary.n_test
            ),
        ),
        ("neurons", summary.n_neurons.to_string()),
        ("configurations", format!("{}, of which {} diverged", summary.configurations, summary.diverged)),
        ("seconds", format!("{seconds:.1}")),
        ("results", summary.out.display().to_string()),
    ]);
    if summary.top.is_empty() {
        return text;
    }
    let options = |row: &TopRow| {
        let all: Vec<String> = row.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.join(" ")
    };
    text.push_str("\nBest by validation:\n  number  validation r  test median r  test median EV  options\n");
    for row in &summary.top {
        text.push_str(&format!(
            "  {:>6}  {:>12}  {:>13}  {:>14}  {}\n",
            row.configuration,
            number(Some(row.validation_r)),
            number(row.test_median_r),
            number(row.test_median_explained_variance),
            options(row)
        ));
    }
    text.push_str(
        "\nThe first is in best/. It was chosen by validation images alone: the largest of many test scores is large\n\
         by chance too, and would promise more than new images keep.\n",
    );
    text
}

/// What a sweep would do.
fn dry_run(request: &SweepRequest, job: &SweepJob<'_>) -> Result<Outcome> {
    let plan = job.plan()?;
    let (neurons, images, repeats) = job.recording.responses.repeats.dim();
    let tiers = [job.train.len(), job.validation.len(), job.recording.split.test.len()];
    let [train, validation, test] = tiers;
    let stages: Vec<String> = plan.configurations.iter().map(usize::to_string).collect();
    let total: usize = plan.configurations.iter().sum();
    let text = lines(&[
        ("responses", format!("{neurons} neurons, {images} images, {repeats} repeats")),
        ("split", format!("{train} train, {validation} validation, {test} test")),
        ("configurations", format!("{total} ({} in each stage)", stages.join(", "))),
        ("together", format!("{} groups over {} inputs in the first stage", plan.groups, plan.inputs)),
        ("features", format!("{} of each image in the first configuration", plan.n_features)),
        ("would write", request.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "plan": plan, "n_neurons": neurons, "n_images": images, "n_repeats": repeats,
        "split": {"train": train, "validation": validation, "test": test}, "out": request.out,
    });
    Ok(Outcome::new(document, text))
}
