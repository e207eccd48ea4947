//! `striate fit`: readouts from features to neurons, and their scores.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use striate::gpu::Gpu;
use striate::io::responses::Layout;
use striate::ridge::Penalties;
use striate::scores::LEAST_FEV;
use striate::tasks::{FeaturesInput, FitJob, FitRequest, FitSummary, Input, SplitRequest};
use striate::{Error, Kind, Result};

use super::common::Common;
use super::features::estimate;
use super::output::{Outcome, lines, mebibytes, merged};
use super::source::{NetworkArgs, missing};
use super::values;

/// The fraction of images that test where nothing else is said.
const TEST_FRACTION: f64 = 0.2;

const EXAMPLES: &str = "\
Examples:
  striate fit --images images --responses responses.npy --net vgg19 --weights vgg19-dcbb9e9d.pth \\
      --layer relu3_1 --size 56 --pool 7 --split split.csv --out run
  striate fit --images images --responses responses.npy --net pixels --size 32 --out run
  striate fit --features feats.npy --responses responses.npy --test-fraction 0.25 --out run
  striate fit --config fit.toml --layer relu4_1 --out run-relu4_1

Each neuron takes the penalty that predicts best on the validation images of the split, or on folds of its training
images where the split has none. The readout is then fitted to training and validation images together. Scores are of
the test images alone.";

/// The options of `striate fit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FitArgs {
    /// Features that are there already, images x anything, instead of images, network and weights.
    #[arg(long, value_name = "FILE.npy")]
    pub features: Option<PathBuf>,
    /// Recorded responses: .npy or .npz of (neurons, images) or (neurons, images, repeats), or a .csv table.
    #[arg(long, value_name = "FILE")]
    pub responses: Option<PathBuf>,
    /// Other orders of the axes, for example images,neurons or repeats,images,neurons.
    #[arg(long, value_name = "AXES")]
    pub responses_layout: Option<String>,
    /// A CSV with the columns image (row from 0) and tier (train, validation or test).
    #[arg(long, value_name = "FILE.csv")]
    pub split: Option<PathBuf>,
    /// Without --split: the fraction of images, drawn by --seed, that test [default: 0.2].
    #[arg(long, value_parser = values::fraction, value_name = "F")]
    pub test_fraction: Option<f64>,
    /// The kind of readout.
    #[arg(long, value_enum, default_value = "ridge", value_name = "NAME")]
    pub readout: Readout,
    /// Penalties to choose from: 15 values from 1e-5 to 1e2 as -5:2:15, or a list as 0.01,0.1,1; in units of the
    /// mean eigenvalue, or as such after absolute: (absolute:1,10,100).
    #[arg(long, default_value = "-5:2:15", allow_hyphen_values = true, value_name = "RANGE|LIST")]
    pub lambdas: Penalties,
    /// How many folds choose the penalty.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub folds: usize,
    /// Whether folds are drawn by --seed or are blocks of neighbouring images.
    #[arg(long, value_enum, default_value = "shuffled", value_name = "NAME")]
    pub fold_order: FoldOrder,
    /// Fit no constant.
    #[arg(long)]
    pub no_intercept: bool,
    /// The folder to write: readout, predictions, scores, record.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Check everything and say what would be computed.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// The kind of readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Readout {
    /// Linear, with a penalty on the squared weights.
    Ridge,
}

/// Which training images share a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FoldOrder {
    /// Drawn by the seed.
    Shuffled,
    /// Neighbours: for images that resemble those next to them.
    Contiguous,
}

impl FitArgs {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn request(&self, seed: u64) -> Result<FitRequest> {
        let input = self.input(seed)?;
        let responses =
            self.responses.clone().ok_or_else(|| missing("--responses", "a file of recorded responses"))?;
        let out = self.out.clone().ok_or_else(|| missing("--out", "the folder to write"))?;
        if self.split.is_some() && self.test_fraction.is_some() {
            let advice = "Leave one of them out";
            return Err(Error::new(Kind::Usage, "--test-fraction", "--split is given too", "", advice));
        }
        if self.folds < 2 {
            let found = format!("{} folds", self.folds);
            return Err(Error::new(Kind::Usage, "--folds", found, "at least 2", "Try 5"));
        }
        if let Some(layout) = &self.responses_layout {
            layout.parse::<Layout>()?;
        }
        let test_fraction = self.test_fraction.unwrap_or(TEST_FRACTION);
        Ok(FitRequest {
            input,
            responses,
            layout: self.responses_layout.clone(),
            split: self.split.clone().map_or(SplitRequest::Random { test_fraction }, SplitRequest::File),
            folds: self.folds,
            shuffled_folds: self.fold_order == FoldOrder::Shuffled,
            penalties: self.lambdas.clone(),
            intercept: !self.no_intercept,
            seed,
            out,
        })
    }

    fn input(&self, seed: u64) -> Result<Input> {
        match (&self.features, self.network.any()) {
            (Some(file), None) => {
                let subsample = self.network.subsample(seed)?;
                Ok(Input::Features(FeaturesInput { file: file.clone(), subsample }))
            }
            (Some(_), Some(option)) => Err(exclusive(option)),
            (None, None) => Err(missing("--images", "images and a network, or --features FILE.npy")),
            (None, Some(_)) => {
                let input = self.network.input(seed)?;
                if input.layers.len() > 1 {
                    let found = format!("{} layers", input.layers.len());
                    let advice = "Fit one layer after the other";
                    return Err(Error::new(Kind::Usage, "--layer", found, "one layer", advice));
                }
                Ok(Input::Network(input))
            }
        }
    }
}

/// The error of an option that stands beside `--features`.
pub fn exclusive(option: &str) -> Error {
    let advice = format!("Leave {option} or --features out");
    Error::new(Kind::Usage, option, "--features is given too, and takes its place", "", advice)
}

/// Runs `striate fit`.
pub fn run(args: &FitArgs, common: &Common) -> Result<Outcome> {
    let request = args.request(common.seed)?;
    // What cannot be read is said before an adapter is looked for.
    let job = FitJob::read(&request)?;
    let gpu = common.open_gpu()?;
    if args.dry_run {
        return dry_run(&gpu, &request, &job);
    }
    let mut progress = common.progress("", job.responses.n_images());
    let summary = job.run(&gpu, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    for warning in warnings(&summary) {
        common.say(format_args!("warning: {warning}"));
    }
    let text = table(&summary);
    Ok(Outcome::new(merged(json!({}), &summary), text))
}

/// What a reader of the scores should know.
fn warnings(summary: &FitSummary) -> Vec<String> {
    let mut warnings = Vec::new();
    let constant = summary.test.constant_neurons;
    if constant > 0 {
        warnings.push(format!(
            "{constant} of {} neurons have constant responses or predictions and no correlation",
            summary.n_neurons
        ));
    }
    for (count, (edge, end)) in
        summary.at_grid_edges.iter().zip([("smallest", "lower"), ("largest", "higher")])
    {
        if 4 * count > summary.n_neurons {
            warnings.push(format!(
                "{count} of {} neurons took the {edge} penalty: --lambdas should reach {end}",
                summary.n_neurons
            ));
        }
    }
    warnings
}

/// The scores as a table: how much can be explained at all stands next to what was.
fn table(summary: &FitSummary) -> String {
    let test = &summary.test;
    let number = |v: f64| if v.is_nan() { "none".to_string() } else { format!("{v:.3}") };
    let mut rows = vec![
        (
            "images".to_string(),
            format!(
                "{} train, {} validation, {} test",
                summary.n_train, summary.n_validation, summary.n_test
            ),
        ),
        ("features".into(), summary.n_features.to_string()),
        ("neurons".into(), format!("{} ({} constant)", summary.n_neurons, test.constant_neurons)),
        ("median r".into(), number(test.median_r)),
        ("mean r".into(), number(test.mean_r)),
        ("median R2".into(), number(test.median_r2)),
        ("median explained variance".into(), number(test.median_explained_variance)),
    ];
    if summary.n_repeats > 1 {
        rows.extend([
            ("explainable fraction (FEV), median".to_string(), number(test.median_fev)),
            (
                "explained of that (FEVE), median".into(),
                format!(
                    "{} over {} neurons with FEV of at least {LEAST_FEV}",
                    number(test.median_feve),
                    test.feve_neurons
                ),
            ),
            ("single-trial r, median".into(), number(test.median_single_trial_correlation)),
            ("jackknife oracle r, median".into(), number(test.median_oracle_jackknife)),
            ("split-half reliability, median".into(), number(test.median_split_half)),
        ]);
    }
    let seconds = summary.seconds.get("total").copied().unwrap_or(f64::NAN);
    rows.push(("seconds".into(), format!("{seconds:.1}")));
    rows.push(("results".into(), summary.out.display().to_string()));
    lines(&rows)
}

/// What a fit would do and take.
fn dry_run(gpu: &Gpu, request: &FitRequest, job: &FitJob<'_>) -> Result<Outcome> {
    let plan = job.plan(gpu)?;
    let (neurons, images, repeats) = job.responses.repeats.dim();
    let tiers = [&job.split.train, &job.split.validation, &job.split.test].map(Vec::len);
    let [train, validation, test] = tiers;
    let unused = job.split.unused;
    let seconds = estimate(gpu, plan.operations.total())?;
    let chosen = match validation {
        0 => format!("{} folds of the training images", request.folds),
        _ => "the validation images".to_string(),
    };
    let form = format!("{:?}", plan.form).to_lowercase();
    let [used, budget] = [plan.gpu_bytes, plan.gpu_budget_bytes].map(mebibytes);
    let steps = plan.operations;
    let steps = [
        ("network", steps.network),
        ("kernel matrix", steps.kernel_matrix),
        ("losses", steps.readout_losses),
        ("weights", steps.weights),
    ];
    let steps = steps.map(|(step, operations)| format!("{step} {:.1}", operations / 1e9)).join(", ");
    let text = lines(&[
        ("responses", format!("{neurons} neurons, {images} images, {repeats} repeats")),
        ("features", format!("{} of each image, in {} slabs", plan.n_features, plan.slabs.slabs)),
        ("split", format!("{train} train, {validation} validation, {test} test, {unused} unused")),
        ("penalties", format!("{}, chosen on {chosen}", request.penalties.count())),
        ("form", format!("{form}, {} passes of the images", plan.passes)),
        ("GPU memory", format!("{used} of a budget of {budget}")),
        ("GFLOP", steps),
        ("time", format!("about {seconds:.1} s, and what reading and decomposing take")),
        ("readout on disk", mebibytes(plan.model_bytes)),
        ("would write", request.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "plan": plan, "input": request.input, "penalties": request.penalties,
        "intercept": request.intercept, "n_neurons": neurons, "n_repeats": repeats,
        "split": {"train": train, "validation": validation, "test": test, "unused": unused},
        "estimated_seconds": seconds, "adapter": gpu.describe(), "out": request.out,
    });
    Ok(Outcome::new(document, text))
}
