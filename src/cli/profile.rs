//! `striate profile`: how well each layer of a network predicts each neuron.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use striate::gpu::Gpu;
use striate::io::resize::Size;
use striate::scores::bootstrap::DRAWS;
use striate::tasks::{Control, Input, LayerMean, ProfileJob, ProfileRequest, ProfileSummary};
use striate::{Error, Kind, Result};

use super::common::{Adapter, Common, INPUT, NETWORK, VALIDATION};
use super::features::estimate;
use super::fit::ReadoutArgs;
use super::fit_text::{FACTORISATION_NOT_KEPT, explained, few_test_images};
use super::output::{Outcome, lines, mebibytes, merged};
use super::recording::{Located, beside};
use super::source::{NetworkArgs, announce};
use super::values;

/// Fewer draws than this place the ends of a 95 % interval by a handful of values.
const LEAST_DRAWS: usize = 100;
/// More than this tell nothing more.
const MOST_DRAWS: usize = 100_000;

const EXAMPLES: &str = "\
Examples:
  striate profile --images images --responses responses.npy --net vgg19 \\
      --weights vgg19-dcbb9e9d.pth --layer relu1_1,relu2_1,relu3_1,relu4_1 \\
      --size 56 --pool 7 --split split.csv --out profile
  striate profile --images images --responses responses.npy --net alexnet \\
      --weights alexnet-owt-7be5be79.pth \\
      --layer relu1,relu2,relu3,relu4,relu5 --labels neurons.csv \\
      --sizes 64,96 --controls shuffled,random --out profile

All layers come from one pass over the images, a readout of each is fitted as
by striate fit, and scores are of the test images alone. Each neuron's best
layer is chosen on its training images. The noise ceiling of a neuron's r is
the square root of the split-half reliability of its mean over repeats;
normalised r is r over that.";

const USAGE: &str = "\
striate profile --images IMAGES --net NAME --weights FILE
                       --layer NAME,NAME,... --responses FILE --out FOLDER
                       [OPTIONS]
       striate profile --experiment PATH --net NAME --weights FILE
                       --layer NAME,NAME,... --out FOLDER [OPTIONS]";

/// The options of `striate profile`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct ProfileArgs {
    /// A table with a column neuron (name, or number from 0) and label columns; of these, area groups the
    /// scores.
    #[arg(long, value_name = "FILE.csv", help_heading = INPUT)]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Several sizes instead of --size, each a pass of its own: 48,56,64. Correlations and best layers are of
    /// the first.
    #[arg(long, value_delimiter = ',', value_parser = values::size, value_name = "PIXELS", help_heading = NETWORK)]
    pub sizes: Vec<Size>,
    /// Nulls: images shuffled against responses within training and test images, or random weights in the
    /// network.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME", help_heading = VALIDATION)]
    pub controls: Vec<ControlName>,
    /// How many bootstrap draws an interval is made of.
    #[arg(long, default_value_t = DRAWS, value_name = "N", help_heading = VALIDATION)]
    pub bootstrap: usize,
    #[command(flatten)]
    pub readout: ReadoutArgs,
}

/// A null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are those of the option")]
pub enum ControlName {
    Shuffled,
    Random,
}

impl ProfileArgs {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    fn request(&self, located: &Located, seed: u64) -> Result<ProfileRequest> {
        let mut input = self.network.over(located.images.clone(), None).input(seed)?;
        if self.network.size.is_some() && !self.sizes.is_empty() {
            let advice = "Leave one of them out";
            return Err(Error::new(Kind::Usage, "--sizes", "--size is given too", "", advice));
        }
        if let Some(twice) = repeated(&self.sizes) {
            let found = format!("{twice} is named twice");
            return Err(Error::new(Kind::Usage, "--sizes", found, "each size once", ""));
        }
        if repeated(&self.controls).is_some() {
            return Err(Error::new(Kind::Usage, "--controls", "one is named twice", "each once", ""));
        }
        if !(LEAST_DRAWS..=MOST_DRAWS).contains(&self.bootstrap) {
            let wanted = format!("{LEAST_DRAWS} to {MOST_DRAWS}");
            let found = format!("{} draws", self.bootstrap);
            return Err(Error::new(Kind::Usage, "--bootstrap", found, wanted, "Try 1000"));
        }
        input.size = self.sizes.first().copied().or(input.size);
        let control = |name: &ControlName| match name {
            ControlName::Shuffled => Control::Shuffled,
            ControlName::Random => Control::Random,
        };
        Ok(ProfileRequest {
            fit: self.readout.request(
                Input::Network(input),
                located.recording.clone(),
                self.readout.output.out.as_ref(),
            )?,
            labels: self.labels.clone().or(located.labels.clone()),
            sizes: self.sizes.clone(),
            controls: self.controls.iter().map(control).collect(),
            draws: self.bootstrap,
        })
    }
}

/// The first that stands in the list before.
fn repeated<T: PartialEq + Copy>(list: &[T]) -> Option<T> {
    list.iter().enumerate().find(|(at, one)| list[..*at].contains(one)).map(|(_, one)| *one)
}

/// Runs `striate profile`.
pub fn run(args: &ProfileArgs, common: &Common) -> Result<Outcome> {
    let (adapter, own) = (Adapter::new(common), args.network.images.as_ref());
    let of = &args.readout.recording;
    let located = of.locate(&of.definition, own, beside(args.readout.output.out.as_ref()), common)?;
    let request = args.request(&located, common.seed)?;
    request.fit.input.check()?;
    if let Some(first) = located.make(args.readout.output.dry_run, &adapter, common)? {
        return Ok(first);
    }
    // What cannot be read is said before an adapter is looked for.
    let job = ProfileJob::read(&request)?;
    let gpu = adapter.get()?;
    if args.readout.output.dry_run {
        return dry_run(gpu, &request, &job);
    }
    announce(&request.fit.input, gpu, common)?;
    // Hundredths: no step of it counts anything else.
    let mut progress = common.progress("", 100);
    let summary = job.run(gpu, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    if let Some(few) = few_test_images(summary.n_test) {
        common.say(format_args!("warning: {few}"));
    }
    if summary.factorisation_not_kept {
        common.say(format_args!("warning: {FACTORISATION_NOT_KEPT}"));
    }
    Ok(Outcome::new(merged(json!({}), &summary), text(&summary)))
}

/// How much can be explained at all, then a table of layers and areas for every size and control.
fn text(summary: &ProfileSummary) -> String {
    let mut text = explained(&summary.reliability);
    for size in &summary.sizes {
        for control in &summary.controls {
            text.push_str(&table(summary, size, control));
        }
    }
    let best = summary.best_layers.iter().map(|best| format!("{} {}", best.layer, best.neurons));
    let seconds = summary.seconds.get("total").copied().unwrap_or(f64::NAN);
    let [train, validation, test] = [summary.n_train, summary.n_validation, summary.n_test];
    let mut rows = vec![
        ("images", format!("{train} train, {validation} validation, {test} test")),
        ("best layer of neurons", best.collect::<Vec<_>>().join(", ")),
        ("mean r with each neuron's best layer", format!("{:.3}", summary.nested_mean_r)),
        ("passes of the images", summary.passes.to_string()),
        ("seconds", format!("{seconds:.1}")),
        ("results", summary.out.display().to_string()),
    ];
    if let Some(why) = &summary.not_clustered {
        rows.insert(4, ("no clusters", why.clone()));
    }
    text + "\n" + &lines(&rows)
}

/// Layers below each other, areas beside each other: the mean of r and its interval over neurons.
fn table(summary: &ProfileSummary, size: &str, control: &str) -> String {
    let of = |measure: &'static str| {
        let here = move |m: &&LayerMean| m.size == size && m.control == control && m.measure == measure;
        summary.means.iter().filter(here)
    };
    if of("pearson_r").next().is_none() {
        return String::new();
    }
    let what = match control {
        "none" => format!("mean r at size {size} [95 % over neurons]"),
        "shuffled" => format!("the same with shuffled images, size {size}"),
        _ => format!("the same with random weights, size {size}"),
    };
    let areas: Vec<&str> = std::iter::once("all").chain(summary.areas.iter().map(String::as_str)).collect();
    let normalised = of("normalised_r").any(|m| m.score.neurons > 0);
    let mut head: Vec<String> = areas.iter().map(|area| area.escape_debug().to_string()).collect();
    if normalised {
        head.push("all, over the ceiling".into());
    }
    let mut rows = vec![(what, cells(&head))];
    for layer in &summary.layers {
        let mean = |area: &str, measure| {
            let found = of(measure).find(|m| m.area == area && m.layer == layer.layer);
            found.map_or(String::new(), shown)
        };
        let mut row: Vec<String> = areas.iter().map(|area| mean(area, "pearson_r")).collect();
        if normalised {
            row.push(mean("all", "normalised_r"));
        }
        rows.push((format!("  {}", layer.layer), cells(&row)));
    }
    format!("\n{}", lines(&rows))
}

fn cells(row: &[String]) -> String {
    row.iter().map(|cell| format!("{cell:<24}")).collect::<String>().trim_end().to_string()
}

fn shown(mean: &LayerMean) -> String {
    let score = &mean.score;
    if score.mean.is_nan() {
        return "none".into();
    }
    format!("{:.3} [{:.3}, {:.3}]", score.mean, score.over_neurons.low, score.over_neurons.high)
}

/// What a profile would do and take.
fn dry_run(gpu: &Gpu, request: &ProfileRequest, job: &ProfileJob<'_>) -> Result<Outcome> {
    let plan = job.plan(gpu)?;
    let (neurons, images, repeats) = job.recording.responses.repeats.dim();
    let [train, validation, test] =
        [&job.recording.split.train, &job.recording.split.validation, &job.recording.split.test]
            .map(Vec::len);
    let seconds = estimate(gpu, plan.operations())?;
    let [used, budget] = [plan.gpu_bytes(), plan.gpu_budget_bytes].map(mebibytes);
    let mut rows = vec![
        ("responses".to_string(), format!("{neurons} neurons, {images} images, {repeats} repeats")),
        ("split".into(), format!("{train} train, {validation} validation, {test} test")),
    ];
    let areas = job.labels.as_ref().map_or(Vec::new(), |labels| labels.areas());
    if !areas.is_empty() {
        rows.push(("areas".into(), areas.join(", ").escape_debug().to_string()));
    }
    for run in &plan.runs {
        let weights = if run.random_weights { ", random weights" } else { "" };
        let layers = run.layers.iter().map(|layer| format!("{} {}", layer.layer, layer.n_features));
        let layers = layers.collect::<Vec<_>>().join(", ");
        let passes = match run.slabs.passes {
            1 => "one pass".to_string(),
            more => format!("{more} passes"),
        };
        rows.push((format!("size {}{weights}", run.size), format!("{layers}; {passes} of the images")));
    }
    rows.extend([
        ("GPU memory".into(), format!("{used} of a budget of {budget}")),
        ("operations".into(), format!("{:.1} GFLOP", plan.operations() / 1e9)),
        ("time".into(), format!("about {seconds:.1} s, and what reading and decomposing take")),
        ("would write".into(), request.fit.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "plan": plan, "input": request.fit.input, "areas": areas, "n_repeats": repeats,
        "split": {"train": train, "validation": validation, "test": test},
        "estimated_seconds": seconds, "adapter": gpu.describe(), "out": request.fit.out,
    });
    Ok(Outcome::new(document, lines(&rows)))
}
