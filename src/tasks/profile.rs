//! Profiles: how well each layer of a network predicts each neuron, from one pass over the images, beside its
//! nulls.

mod clusters;
mod fits;
mod plan;
mod scored;
mod tables;
mod write;

use super::Progress;
use super::clock::Clock;
use super::fit::{FitRequest, ReadoutRequest};
use super::input::{Input, NetworkInput, keep};
use super::recording::Recording;
use super::ridge_fit::{RidgeRequest, ridge_plan};
use super::rows::Rows;
use super::smooth::Smooth;
use super::trained_fit::TrainedRequest;
use crate::error::{Error, Kind, Result};
use crate::features::Source;
use crate::gpu::Gpu;
use crate::io::image_names::ImageNames;
use crate::io::images::Size;
use crate::io::labels::Labels;
use crate::ridge::{self, Ratios};
use crate::scores::reliability::ReliabilitySummary;
pub use plan::{PlannedRun, ProfilePlan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A null that a profile is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// The images change places among the training and among the test images; the responses stay. So do
    /// covariates, which stay with the responses of their rows: with them the null is what they and shuffled
    /// images predict.
    Shuffled,
    /// The same network with random weights.
    Random,
}

impl Control {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Control::Shuffled => "shuffled",
            Control::Random => "random",
        }
    }
}

/// Everything that a profile is asked for.
#[derive(Debug, Clone)]
pub struct ProfileRequest {
    /// What a fit would be asked for, but of several layers.
    pub fit: FitRequest,
    /// A CSV of labels of the neurons.
    pub labels: Option<PathBuf>,
    /// Sizes that images are resized to, one after the other; the first is that of the input and the main
    /// one.
    pub sizes: Vec<Size>,
    /// The nulls.
    pub controls: Vec<Control>,
    /// Draws of the bootstrap intervals.
    pub draws: usize,
}

/// One layer as it was profiled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfiledLayer {
    /// Its name; `pixels` for the image itself.
    pub layer: String,
    /// Features of an image.
    pub n_features: usize,
    /// Channels, rows and columns after pooling.
    pub shape: [usize; 3],
}

/// A row of `layers.csv`: a mean over the neurons of an area.
#[derive(Debug, Clone, Serialize)]
pub struct LayerMean {
    /// Size of the images.
    pub size: String,
    /// `none`, `shuffled` or `random`.
    pub control: &'static str,
    /// `all`, or an area.
    pub area: String,
    /// The layer.
    pub layer: String,
    /// `pearson_r`, `normalised_r` or `feve`.
    pub measure: &'static str,
    /// The mean and its intervals.
    #[serde(flatten)]
    pub score: crate::scores::held_out::MeanScore,
}

/// How many neurons a layer predicts best.
#[derive(Debug, Clone, Serialize)]
pub struct BestLayer {
    /// The layer.
    pub layer: String,
    /// Neurons that chose it on training images.
    pub neurons: usize,
}

/// What a profile found.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileSummary {
    /// [`ReadoutRequest::name`].
    pub readout: &'static str,
    /// Number of images.
    pub n_images: usize,
    /// Images of the training tier.
    pub n_train: usize,
    /// Images of the validation tier.
    pub n_validation: usize,
    /// Images that readouts were fitted to in the end.
    pub n_fitted: usize,
    /// Images scored.
    pub n_test: usize,
    /// Neurons.
    pub n_neurons: usize,
    /// Most repeats of an image.
    pub n_repeats: usize,
    /// The layers, at the main size.
    pub layers: Vec<ProfiledLayer>,
    /// Sizes of images; the first is the main one.
    pub sizes: Vec<String>,
    /// `none`, and the nulls.
    pub controls: Vec<&'static str>,
    /// Areas of the labels.
    pub areas: Vec<String>,
    /// Draws of the intervals.
    pub bootstrap: usize,
    /// How much can be explained at all, by the repeats of all images.
    pub reliability: ReliabilitySummary,
    /// Means over neurons by size, control, area, layer and measure.
    pub means: Vec<LayerMean>,
    /// How many neurons chose each layer on training images.
    pub best_layers: Vec<BestLayer>,
    /// Mean over neurons of r on test images with each neuron's own best layer.
    pub nested_mean_r: f64,
    /// Why profiles were not correlated and clustered, if they were not.
    pub not_clustered: Option<String>,
    /// Whether systems were solved by another factorisation than was asked for; the record has which.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub factorisation_not_kept: bool,
    /// Passes of all images through a network.
    pub passes: usize,
    /// The adapter.
    pub adapter: String,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// The folder.
    pub out: PathBuf,
}

/// A network over images of one size.
struct Run {
    size: Size,
    random: bool,
    input: NetworkInput,
    source: Source,
    /// The image that each row shows, where the source's are images.
    shown: Option<Vec<u32>>,
    /// Ratios and maps of each layer, where weights are to be smooth.
    smooth: Vec<Option<Smooth>>,
}

/// The features of the rows of a recording; readouts that are trained may do with those of images, as in a
/// fit.
fn source(input: &NetworkInput, rows: &Rows, trained: bool) -> Result<(Source, Option<Vec<u32>>)> {
    let images = Source::Network(Box::new(input.open()?));
    if trained { rows.stored(images) } else { Ok((rows.source(images)?, None)) }
}

impl Run {
    fn open(
        random: bool,
        input: NetworkInput,
        (ratios, trained): (Option<&Ratios>, bool),
        rows: &Rows,
    ) -> Result<Self> {
        let ((source, shown), size) = (source(&input, rows, trained)?, input.image_size()?);
        let smooth = |layer| {
            let shape = source.shape_of(layer);
            ratios.map(|ratios| Smooth::new(ratios.clone(), shape)).transpose()
        };
        let smooth = (0..source.layers()).map(smooth).collect::<Result<_>>()?;
        Ok(Run { size, random, input, source, shown, smooth })
    }
}

/// A profile whose files have been read and checked against each other, for which no GPU is needed.
pub struct ProfileJob<'a> {
    request: &'a ProfileRequest,
    runs: Vec<Run>,
    ridge: ridge::Plan,
    clock: Clock,
    /// The recording.
    pub recording: Recording,
    /// Labels of the neurons.
    pub labels: Option<Labels>,
}

impl ProfileRequest {
    /// The files and folders that go in, each with its role.
    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let mut files = self.fit.files();
        files.extend(self.labels.iter().map(|path| ("labels", path.clone())));
        files
    }

    /// What is asked of a readout in closed form, and the ratios where its weights are to be smooth. Of one
    /// that is trained, the folds.
    fn ridge(&self) -> (RidgeRequest, Option<&Ratios>) {
        match &self.fit.readout {
            ReadoutRequest::Ridge(asked) => (asked.clone(), None),
            ReadoutRequest::SmoothRidge(asked) => (asked.ridge.clone(), Some(&asked.ratios)),
            ReadoutRequest::Trained(asked) => {
                let (folds, shuffled_folds) = (asked.folds, asked.shuffled_folds);
                (RidgeRequest { folds, shuffled_folds, ..RidgeRequest::default() }, None)
            }
        }
    }

    /// What is trained, where readouts are not fitted in closed form.
    fn trained(&self) -> Option<&TrainedRequest> {
        match &self.fit.readout {
            ReadoutRequest::Trained(asked) => Some(asked),
            _ => None,
        }
    }

    fn has(&self, control: Control) -> bool {
        self.controls.contains(&control)
    }

    /// The input of every pass, as it was asked for: all sizes, each with given and with random weights.
    fn inputs(&self) -> Result<Vec<(bool, NetworkInput)>> {
        let Input::Network(network) = &self.fit.input else {
            let (found, advice) =
                ("features of one layer", "Give --images, --net and several names to --layer");
            return Err(Error::new(Kind::Usage, "profile", found, "layers of a network", advice));
        };
        if self.has(Control::Random) && network.weights.is_none() {
            let found = format!("{} has no weights that could be random", network.network);
            return Err(Error::new(Kind::Usage, "--controls", found, "", "Leave random out"));
        }
        let sizes = match self.sizes.is_empty() {
            true => vec![network.size],
            false => self.sizes.iter().copied().map(Some).collect(),
        };
        let own = format!("random:{}", self.fit.recording.seed);
        // Random weights are a control of random ones only if they are others.
        let random = match network.weights.as_ref() == Some(&own) {
            true => format!("random:{}", self.fit.recording.seed.wrapping_add(1)),
            false => own,
        };
        let kinds: &[bool] = if self.has(Control::Random) { &[false, true] } else { &[false] };
        let mut inputs = Vec::new();
        for size in sizes {
            for &is_random in kinds {
                let weights = if is_random { Some(random.clone()) } else { network.weights.clone() };
                inputs.push((is_random, NetworkInput { size, weights, ..network.clone() }));
            }
        }
        Ok(inputs)
    }
}

impl<'a> ProfileJob<'a> {
    /// Reads responses, split and labels, opens the rest.
    ///
    /// # Errors
    /// Usage or Input, if files are damaged or do not fit each other, or if the result would replace one of
    /// them.
    pub fn read(request: &'a ProfileRequest) -> Result<Self> {
        let mut clock = Clock::new();
        let (asked, ratios) = request.ridge();
        if let Some(trained) = request.trained() {
            trained.shared.check()?;
            trained.settings.check(&trained.shared)?;
            if trained.refit {
                let found = "is not for profiles, whose readouts are means over folds";
                return Err(Error::new(Kind::Usage, "--refit", found, "", "Leave it out"));
            }
        }
        let inputs = request.inputs()?;
        let images = inputs.first().map(|(_, input)| input.open()).transpose()?;
        let images = images.map_or(ImageNames::counted(0), |source| source.image_names());
        let recording = request.fit.recording.read(&images, request.fit.readout.centres_responses())?;
        let mut runs = Vec::new();
        for (random, input) in inputs {
            let readout = (ratios, request.trained().is_some());
            runs.push(Run::open(random, input, readout, &recording.rows)?);
        }
        let responses = &recording.responses;
        let names = responses.neuron_names.as_deref();
        let read = |path: &PathBuf| Labels::read(path, names, responses.n_neurons());
        let labels = request.labels.as_ref().map(read).transpose()?;
        let ridge = ridge_plan(&asked, &recording, request.fit.recording.seed)?;
        keep(&request.fit.out, &request.files())?;
        clock.done("reading");
        Ok(ProfileJob { request, runs, ridge, clock, recording, labels })
    }

    /// What the profile will take.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn plan(&self, gpu: &Gpu) -> Result<ProfilePlan> {
        let stacked = if self.request.has(Control::Shuffled) { 2 } else { 1 };
        let neurons = self.recording.responses.n_neurons() * stacked;
        let plans = self
            .runs
            .iter()
            .map(|run| plan::of_run(gpu, run, neurons, (&self.ridge, self.request.trained())));
        Ok(ProfilePlan {
            n_images: self.recording.responses.n_images(),
            n_neurons: self.recording.responses.n_neurons(),
            runs: plans.collect::<Result<_>>()?,
            gpu_budget_bytes: gpu.ledger().budget(),
        })
    }

    /// Runs the profile and writes its folder.
    ///
    /// # Errors
    /// As [`profile()`].
    pub fn run(self, gpu: &Gpu, progress: &mut Progress<'_>) -> Result<ProfileSummary> {
        write::run(self, gpu, progress)
    }
}

/// Profiles and writes a folder.
///
/// # Errors
/// Usage or Input, if files are damaged or do not fit each other; Memory, if the job does not fit the budget;
/// Device, if the adapter fails; Output, if the folder cannot be written. Nothing is half-written.
pub fn profile(gpu: &Gpu, request: &ProfileRequest, progress: &mut Progress<'_>) -> Result<ProfileSummary> {
    ProfileJob::read(request)?.run(gpu, progress)
}
