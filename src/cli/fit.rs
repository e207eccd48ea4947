//! `striate fit`: readouts from features to neurons, and their scores.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use striate::ridge::{self, Penalties, Ratios};
use striate::tasks::{
    FitJob, FitRequest, Input, ReadoutRequest, RecordingRequest, RidgeRequest, SmoothRidgeRequest,
    TrainedRequest,
};
use striate::training::TrainingOptions;
use striate::{Error, Kind, Result};

use super::common::{Adapter, Common, INPUT, OUTPUT, READOUT, VALIDATION};
use super::fit_text::{dry_run, table, warnings};
use super::output::{Outcome, merged};
use super::recording::{RecordingArgs, beside};
use super::source::{NetworkArgs, announce, missing, one_layer};
use super::study;
use super::training::TrainingArgs;

const EXAMPLES: &str = "\
Examples:
  striate fit --images images --responses responses.npy --net vgg19 \\
      --weights vgg19-dcbb9e9d.pth --layer relu3_1 --size 56 --pool 7 \\
      --split split.csv --out run
  striate fit --images images --responses responses.npy --net pixels \\
      --size 32 --out run
  striate fit --features feats.npy --responses responses.npy \\
      --test-fraction 0.25 --out run
  striate fit --config fit.toml --layer relu4_1 --out run-relu4_1
  striate fit --experiment responses --net vgg19 \\
      --weights vgg19-dcbb9e9d.pth --layer relu3_1 --trials single \\
      --covariates running-speed --out run
  striate fit --config studies/berget.toml --experiment FILE.nwb \\
      --events FILE_events.npz --out berget

Each neuron takes the penalty that predicts best on the validation images of
the split, or on folds of its training images where the split has none. The
readout is then fitted to training and validation images together. Scores are
of the test images alone.

Several definitions of a response, or a grid in --config, make a study: a
folder for each definition and layer, and a page that compares them. The same
command resumes a study that was stopped. --readout ridge or smooth-ridge on
the command line overrides the file's grid and its options of trained
readouts.";

const USAGE: &str = "\
striate fit --images IMAGES --net NAME [--weights FILE --layer NAME]
                   --responses FILE --out FOLDER [OPTIONS]
       striate fit --experiment PATH --net NAME [--weights FILE --layer NAME]
                   --out FOLDER [OPTIONS]
       striate fit --features FILE --responses FILE --out FOLDER [OPTIONS]";

/// The options of `striate fit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct FitArgs {
    /// Features computed before, images x anything, instead of images, network and weights: a .npy, .npz, HDF5
    /// or MATLAB file (FILE:NAME where it holds several arrays).
    #[arg(long, value_name = "FILE", help_heading = INPUT)]
    pub features: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub readout: ReadoutArgs,
}

/// What readouts are fitted to, and how: the options of every command that fits some.
#[derive(Debug, Args)]
pub struct ReadoutArgs {
    /// The kind of readout. In closed form: ridge, or smooth-ridge, which also penalises the Laplacian of the
    /// weights over the map. Trained: simple, spatial, factored or mlp. With a grid in --config, the kind
    /// that does not vary [default: ridge; factored with a grid].
    #[arg(long, value_enum, value_name = "NAME", help_heading = READOUT)]
    pub readout: Option<Readout>,
    /// Penalties to choose from: 15 values from 1e-5 to 1e2 as -5:2:15, or a list as 0.01,0.1,1; in units of
    /// the mean eigenvalue, or as such after absolute: (absolute:1,10,100) [default: -5:2:15].
    #[arg(long, allow_hyphen_values = true, value_name = "RANGE|LIST", help_heading = READOUT)]
    pub lambdas: Option<Penalties>,
    /// For smooth-ridge: ratios of the Laplacian's penalty to that of the squared weights, to choose from
    /// [default: 0,0.01,0.1,1,10,100]. Penalties are then in units of the mean eigenvalue of each ratio.
    #[arg(long, allow_hyphen_values = true, value_name = "LIST", help_heading = READOUT)]
    pub ratios: Option<Ratios>,
    /// How the systems of equations of ridge are solved; the readout is the same but for rounding. auto goes
    /// by the number of images and the adapter, and never takes cholesky [default: auto].
    #[arg(long, value_enum, value_name = "NAME", help_heading = READOUT)]
    pub factorisation: Option<Factorisation>,
    /// How many folds choose the penalty; in a profile of trained readouts, how many readouts are trained.
    #[arg(long, default_value_t = 5, value_name = "N", help_heading = VALIDATION)]
    pub folds: usize,
    /// Whether folds are drawn by --seed or are blocks of neighbouring images.
    #[arg(long, value_enum, default_value = "shuffled", value_name = "NAME", help_heading = VALIDATION)]
    pub fold_order: FoldOrder,
    /// Fit no intercept.
    #[arg(long, help_heading = READOUT)]
    pub no_intercept: bool,
    /// For trained readouts: train once more on training and validation images together, for as many epochs
    /// as were best.
    #[arg(long, help_heading = READOUT)]
    pub refit: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub recording: RecordingArgs,
    #[command(flatten)]
    pub training: TrainingArgs,
}

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = OUTPUT)]
pub struct OutputArgs {
    /// The folder to write: scores, predictions, what was fitted, and the record.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Check everything and say what would be computed.
    #[arg(long)]
    pub dry_run: bool,
}

/// The kind of readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Readout {
    /// Linear, with a penalty on the squared weights.
    Ridge,
    /// Linear, with a penalty on the squared weights and one on their Laplacian over the map.
    SmoothRidge,
    /// One weight a feature, trained.
    Simple,
    /// The same with a penalty on the Laplacian over the map.
    Spatial,
    /// A mask over positions times weights of channels.
    Factored,
    /// Dense layers.
    Mlp,
}

impl Readout {
    /// What the library calls it, if it is trained.
    fn trained(self) -> Option<&'static str> {
        match self {
            Readout::Ridge | Readout::SmoothRidge => None,
            Readout::Simple => Some("simple"),
            Readout::Spatial => Some("spatial"),
            Readout::Factored => Some("factored"),
            Readout::Mlp => Some("mlp"),
        }
    }
}

/// How the systems of equations of ridge are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Factorisation {
    /// By the number of images and the adapter.
    Auto,
    /// By a reduction to tridiagonal form, on the host's cores in double precision.
    Tridiagonal,
    /// By eigenvalues on the host in double precision, with products on the device.
    Eigen,
    /// By a factorisation for each penalty, on the device in single precision. Not yet measured on GPUs; for
    /// matrices that the adapter binds (128 MiB, about 5,000 rows, on small adapters) and that single
    /// precision solves to 1e-4 with the smallest penalty, or else eigenvalues are taken, with a warning.
    Cholesky,
}

impl From<Factorisation> for ridge::Factorisation {
    fn from(name: Factorisation) -> Self {
        match name {
            Factorisation::Auto => Self::Auto,
            Factorisation::Tridiagonal => Self::Tridiagonal,
            Factorisation::Eigen => Self::Eigen,
            Factorisation::Cholesky => Self::Cholesky,
        }
    }
}

/// Which training images share a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FoldOrder {
    /// Drawn by the seed.
    Shuffled,
    /// Neighbours: for images that resemble those next to them.
    Contiguous,
}

impl ReadoutArgs {
    /// Checks the options against each other; `input`, `recording` and `out` come from options of the
    /// command's own.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn request(
        &self,
        input: Input,
        recording: RecordingRequest,
        out: Option<&PathBuf>,
    ) -> Result<FitRequest> {
        let out = out.cloned().ok_or_else(|| missing("--out", "the folder to write"))?;
        if self.folds < 2 {
            let found = format!("{} folds", self.folds);
            return Err(Error::new(Kind::Usage, "--folds", found, "at least 2", "Try 5"));
        }
        let readout = self.readout(recording.seed)?;
        Ok(FitRequest { input, recording, readout, out })
    }

    fn readout(&self, seed: u64) -> Result<ReadoutRequest> {
        let kind = self.readout.unwrap_or(Readout::Ridge);
        if let Some(name) = kind.trained() {
            return self.trained(name, seed);
        }
        if let Some(option) = self.training.given().or(self.refit.then_some("refit".into())) {
            let advice = "Leave it out, or take --readout factored";
            let found = "is for readouts that are trained";
            return Err(Error::new(Kind::Usage, format!("--{option}"), found, "", advice));
        }
        let ridge = RidgeRequest {
            penalties: self.lambdas.clone().unwrap_or_default(),
            folds: self.folds,
            shuffled_folds: self.fold_order == FoldOrder::Shuffled,
            intercept: !self.no_intercept,
            factorisation: self.factorisation.map(ridge::Factorisation::from).unwrap_or_default(),
        };
        match (kind, &self.ratios) {
            (Readout::SmoothRidge, ratios) => {
                let ratios = ratios.clone().unwrap_or_default();
                Ok(ReadoutRequest::SmoothRidge(SmoothRidgeRequest { ridge, ratios }))
            }
            (_, Some(_)) => {
                let advice = "Add --readout smooth-ridge, or leave --ratios out";
                Err(Error::new(Kind::Usage, "--ratios", "is for --readout smooth-ridge", "", advice))
            }
            (_, None) => Ok(ReadoutRequest::Ridge(ridge)),
        }
    }

    /// Whether readouts are trained, or a grid says of which kind they are.
    pub fn is_trained(&self) -> bool {
        self.readout.is_none_or(|kind| kind.trained().is_some())
    }

    /// What is the same in all configurations of a grid.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming an option that is none of theirs.
    pub fn swept(&self, seed: u64) -> Result<TrainingOptions> {
        let name = self.readout.and_then(Readout::trained);
        self.refuse_closed(name.unwrap_or("factored"))?;
        if self.refit {
            let found = "is not for grids, whose configurations are compared by their validation images";
            return Err(Error::new(Kind::Usage, "--refit", found, "", "Leave it out"));
        }
        self.training.options(name, seed)
    }

    /// Refuses options of readouts in closed form.
    fn refuse_closed(&self, name: &str) -> Result<()> {
        let closed = [
            ("--lambdas", self.lambdas.is_some(), "Write --l2 instead"),
            ("--ratios", self.ratios.is_some(), "Write --laplace instead"),
            ("--no-intercept", self.no_intercept, "Leave it out"),
            ("--factorisation", self.factorisation.is_some(), "Leave it out"),
        ];
        if let Some((option, _, advice)) = closed.into_iter().find(|(_, given, _)| *given) {
            let found = format!("is not for --readout {name}, which is trained");
            return Err(Error::new(Kind::Usage, option, found, "", advice));
        }
        Ok(())
    }

    fn trained(&self, name: &str, seed: u64) -> Result<ReadoutRequest> {
        self.refuse_closed(name)?;
        let (shared, settings) = self.training.options(Some(name), seed)?.finish()?;
        let validation_fraction = self.training.validation_fraction();
        let request = TrainedRequest {
            shared,
            settings,
            validation_fraction,
            refit: self.refit,
            folds: self.folds,
            shuffled_folds: self.fold_order == FoldOrder::Shuffled,
        };
        Ok(ReadoutRequest::Trained(Box::new(request)))
    }
}

/// Runs `striate fit`.
pub fn run(args: &FitArgs, common: &Common) -> Result<Outcome> {
    let grid = study::grid(common)?;
    if grid.is_some() || args.readout.recording.definition.definition.len() > 1 {
        return study::run(args, grid, common);
    }
    let advice = "Fit one layer after the other, or compare them by striate profile";
    let layer = |network: &NetworkArgs| {
        one_layer(args.features.as_ref(), network, common.seed, NetworkArgs::input, advice)
    };
    let (adapter, own) = (Adapter::new(common), args.network.images.as_ref());
    if args.readout.recording.experiment.is_none() {
        // What features are is said before what is fitted to them.
        layer(&args.network)?;
    }
    let of = &args.readout.recording;
    let located = of.locate(&of.definition, own, beside(args.readout.output.out.as_ref()), common)?;
    let network = args.network.over(located.images.clone(), args.features.as_ref());
    let input = layer(&network)?;
    let request = args.readout.request(input, located.recording.clone(), args.readout.output.out.as_ref())?;
    request.input.check()?;
    if let Some(first) = located.make(args.readout.output.dry_run, &adapter, common)? {
        return Ok(first);
    }
    // What cannot be read is said before an adapter is looked for.
    let job = FitJob::read(&request)?;
    let gpu = adapter.get()?;
    if args.readout.output.dry_run {
        return dry_run(gpu, &request, &job);
    }
    announce(&request.input, gpu, common)?;
    let mut progress = common.progress("", job.recording.rows.count());
    let summary = job.run(gpu, &mut |step, share| progress.share(step, share))?;
    drop(progress);
    for warning in warnings(&summary) {
        common.say(format_args!("warning: {warning}"));
    }
    let text = table(&summary);
    Ok(Outcome::new(merged(json!({}), &summary), text))
}
