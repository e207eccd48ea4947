//! `striate fit`: readouts from features to neurons, and their scores.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use striate::io::responses::{Layout, Responses};
use striate::io::split::Split;
use striate::{Error, Kind, Result};

use super::common::Common;
use super::output::{Outcome, lines};
use super::source::{Extraction, NetworkArgs, Opened, feature_array, missing};
use super::values::{self, Penalties};

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
images where the split has none. Scores are of the test images alone.";

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// Linear, with a penalty on the squared weights.
    Ridge,
}

/// Which training images share a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoldOrder {
    /// Drawn by the seed.
    Shuffled,
    /// Neighbours: for images that resemble those next to them.
    Contiguous,
}

/// Where the features come from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An array of images x anything.
    Features(PathBuf),
    /// A network over images; one layer.
    Network(Box<Extraction>),
}

/// The options, checked against each other.
#[derive(Debug, Clone, Serialize)]
pub struct FitPlan {
    /// Features.
    pub source: Source,
    /// How many of given features are kept, and the seed that draws them; of a network the extraction says it.
    pub subsample: Option<(usize, u64)>,
    /// The file of responses.
    pub responses: PathBuf,
    /// The order of its axes, as written and as understood.
    pub responses_layout: Option<String>,
    #[serde(skip)]
    pub layout: Option<Layout>,
    /// The file of the split; `None` draws one.
    pub split: Option<PathBuf>,
    /// The fraction of images that test where one is drawn.
    pub test_fraction: f64,
    /// The kind of readout.
    pub readout: Readout,
    /// Penalties to choose from.
    pub lambdas: Penalties,
    /// How many folds.
    pub folds: usize,
    /// Which images share a fold.
    pub fold_order: FoldOrder,
    /// Whether a constant is fitted.
    pub intercept: bool,
    /// `--seed`: draws splits and folds.
    pub seed: u64,
    /// The folder to write.
    pub out: PathBuf,
}

/// The files of a plan, read and found to fit each other; images are opened, not decoded.
pub struct Inputs {
    /// Images, where the features come from a network.
    pub opened: Option<Opened>,
    /// Number of features of an image.
    pub features: usize,
    /// Responses to these images.
    pub responses: Responses,
    /// The split.
    pub split: Split,
}

impl FitArgs {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn plan(&self, seed: u64) -> Result<FitPlan> {
        let source = self.source(seed)?;
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
        let subsample = match source {
            Source::Features(_) => self.network.subsample(seed)?,
            Source::Network(_) => None,
        };
        Ok(FitPlan {
            source,
            subsample,
            responses,
            responses_layout: self.responses_layout.clone(),
            layout: self.responses_layout.as_deref().map(str::parse).transpose()?,
            split: self.split.clone(),
            test_fraction: self.test_fraction.unwrap_or(TEST_FRACTION),
            readout: self.readout,
            lambdas: self.lambdas.clone(),
            folds: self.folds,
            fold_order: self.fold_order,
            intercept: !self.no_intercept,
            seed,
            out,
        })
    }

    fn source(&self, seed: u64) -> Result<Source> {
        match (&self.features, self.network.any()) {
            (Some(file), None) => Ok(Source::Features(file.clone())),
            (Some(_), Some(option)) => Err(exclusive(option)),
            (None, None) => Err(missing("--images", "images and a network, or --features FILE.npy")),
            (None, Some(_)) => {
                let extraction = self.network.extraction(seed)?;
                if extraction.layers.len() > 1 {
                    let found = format!("{} layers", extraction.layers.len());
                    let advice = "Fit one layer after the other";
                    return Err(Error::new(Kind::Usage, "--layer", found, "one layer", advice));
                }
                Ok(Source::Network(Box::new(extraction)))
            }
        }
    }
}

/// The error of an option that stands beside `--features`.
pub fn exclusive(option: &str) -> Error {
    let advice = format!("Leave {option} or --features out");
    Error::new(Kind::Usage, option, "--features is given too, and takes its place", "", advice)
}

impl FitPlan {
    /// Opens the images, reads responses and split.
    ///
    /// # Errors
    /// [`Kind::Input`] when a file cannot be read or does not fit the others.
    pub fn read(&self) -> Result<Inputs> {
        let (opened, images, features) = match &self.source {
            Source::Features(file) => {
                let (images, all) = feature_array(file)?;
                (None, images, self.subsample.map_or(all, |(kept, _)| kept.min(all)))
            }
            Source::Network(extraction) => {
                let opened = extraction.open()?;
                let Opened { forecast, .. } = &opened;
                let (images, features) = (forecast.images, forecast.features.iter().sum());
                (Some(opened), images, features)
            }
        };
        let responses = Responses::read(&self.responses, self.layout.clone(), Some(images))?;
        let split = match &self.split {
            Some(file) => Split::read(file, images)?,
            None => Split::random(images, self.test_fraction, self.seed)?,
        };
        Ok(Inputs { opened, features, responses, split })
    }
}

/// Runs `striate fit`.
pub fn run(args: &FitArgs, common: &Common) -> Result<Outcome> {
    let plan = args.plan(common.seed)?;
    let inputs = plan.read()?;
    if args.dry_run {
        return Ok(dry_run(&plan, &inputs));
    }
    let gpu = common.open_gpu()?;
    let progress = common.progress("images", inputs.responses.n_images());
    // CONNECT: features by `plan.source`, the readout by `plan` and `inputs`, then the folder `plan.out`.
    progress.at(0);
    Err(Error::internal("striate fit", format!("not connected yet to {}", gpu.report().name)))
}

fn dry_run(plan: &FitPlan, inputs: &Inputs) -> Outcome {
    let Inputs { opened, features, responses, split } = inputs;
    let (neurons, images, repeats) = responses.repeats.dim();
    let tiers = [&split.train, &split.validation, &split.test].map(Vec::len);
    let from = match &plan.source {
        Source::Features(file) => file.display().to_string(),
        Source::Network(extraction) => {
            format!("{} {}", extraction.network.name, extraction.layers[0].name)
        }
    };
    let chosen = match split.validation.is_empty() {
        true => format!("{} folds of the training images", plan.folds),
        false => "the validation images".to_string(),
    };
    let text = lines(&[
        ("responses", format!("{neurons} neurons, {images} images, {repeats} repeats")),
        ("features", format!("{features} of each image, from {from}")),
        (
            "split",
            format!(
                "{} train, {} validation, {} test, {} unused",
                tiers[0], tiers[1], tiers[2], split.unused
            ),
        ),
        ("penalties", format!("{}, chosen on {chosen}", plan.lambdas.values.len())),
        ("would write", plan.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "plan": plan, "forecast": opened.as_ref().map(|o| &o.forecast),
        "neurons": neurons, "images": images, "repeats": repeats, "features": features,
        "split": {"train": tiers[0], "validation": tiers[1], "test": tiers[2], "unused": split.unused},
    });
    Outcome::new(document, text)
}
