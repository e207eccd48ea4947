//! Recordings to responses: presentations to one number for each neuron, arranged by image and repeat, as a
//! folder.

mod folder;
mod gather;
mod reading;
mod reuse;
mod trials;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Progress;
use super::clock::Clock;
use super::recording::SplitRequest;
use crate::error::Result;
use crate::experiment::{self, ExperimentRequest, Trace};
use crate::gpu::Gpu;
use crate::io::commit::Folder;
use crate::io::trials::Covariate;
use crate::responses::auto::Candidate;
use crate::responses::{Definition, Dff, Regressed, Statistic};
use crate::scores::reliability::{Recording, ReliabilitySummary, reliability};

pub use gather::{Gathered, gather, plan as plan_responses};
pub use reading::ResponsesPlan;
pub use reuse::{FolderFiles, are_there, learnt_from_split, responses_folder};
pub use trials::{Dropped, KeptTrial};

/// What a response is to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DefinitionRequest {
    /// This.
    As(Definition),
    /// The mean (or largest, or sum) of that window after the start of presentations which is the most
    /// reliable on training images.
    Auto {
        /// Of which trace.
        trace: Trace,
        /// How dF/F is made of it first.
        dff: Option<Dff>,
        /// What is made of the window.
        statistic: Statistic,
    },
}

impl DefinitionRequest {
    /// The trace, and how dF/F is made of it.
    fn source(&self) -> (Trace, Option<Dff>) {
        match self {
            DefinitionRequest::As(definition) => (definition.trace, definition.dff),
            DefinitionRequest::Auto { trace, dff, .. } => (*trace, *dff),
        }
    }
}

/// What happens to presentations of no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blanks {
    /// They are left out.
    Drop,
    /// They are presentations of a grey image, the last.
    Keep,
}

/// Everything that responses are asked for.
#[derive(Debug, Clone)]
pub struct ResponsesRequest {
    /// The recording.
    pub experiment: ExperimentRequest,
    /// What a response is; none where the recording has responses and no traces.
    pub definition: Option<DefinitionRequest>,
    /// Presentations of no image.
    pub blanks: Blanks,
    /// What is regressed out of the responses.
    pub covariates_regressed: Vec<Covariate>,
    /// Whether each neuron's responses are standardised by its trials of training images.
    pub standardise: bool,
    /// Which images train and test, by their rows in the folder; where none is asked for, as the recording
    /// says.
    pub split: Option<SplitRequest>,
    /// The share of the images that test, where neither says which.
    pub test_fraction: f64,
    /// Seed of the split, and of the halves by which reliability is measured.
    pub seed: u64,
    /// The folder to write.
    pub out: PathBuf,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct ResponsesSummary {
    /// [`experiment::Format::name`].
    pub format: &'static str,
    /// Neurons.
    pub n_neurons: usize,
    /// Images that were shown.
    pub n_images: usize,
    /// Fewest and most repeats of an image.
    pub n_repeats: [usize; 2],
    /// Presentations that became responses.
    pub n_trials: usize,
    /// Presentations that did not, and why.
    pub dropped: Dropped,
    /// What is odd about the recording, and what was made of it.
    pub warnings: Vec<String>,
    /// Responses that are missing in presentations that are kept: a frame that is NaN, a baseline of zero.
    pub n_missing: usize,
    /// Pairs of a neuron and an image without any response, which no readout can be fitted to.
    pub n_without_response: usize,
    /// Images of the training, validation and test tiers.
    pub n_tiers: [usize; 3],
    /// Whether images that the recording keeps for validation test here, because responses to all test images
    /// are withheld.
    pub validation_tests: bool,
    /// What a response is; none where the recording has responses itself.
    pub definition: Option<Definition>,
    /// In which unit.
    pub unit: &'static str,
    /// All windows that were compared, where one was chosen.
    pub candidates: Vec<Candidate>,
    /// What regressing covariates out did.
    pub regressed: Option<Regressed>,
    /// Neurons that are constant on training images, which are centred only; where responses are
    /// standardised.
    pub n_constant: Option<usize>,
    /// How much of the responses can be explained at all.
    pub reliability: ReliabilitySummary,
    /// The adapter.
    pub adapter: String,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// The folder.
    pub out: PathBuf,
}

/// Makes responses and writes their folder: `responses.npy`, `images.npy`, `trials.csv`, `neurons.csv`,
/// `split.csv`, `reliability.csv`, `record.json`.
///
/// # Errors
/// Usage, if a definition does not fit the recording; Input, if files are damaged; Memory, if the job does
/// not fit; Device; Output, if the folder cannot be written. Nothing is half-written.
pub fn responses(
    gpu: &Gpu,
    request: &ResponsesRequest,
    progress: &mut Progress<'_>,
) -> Result<ResponsesSummary> {
    let mut clock = Clock::new();
    let experiment = experiment::open(&request.experiment)?;
    clock.done("opening");
    let folder = Folder::create(&request.out, &folder::FILES)?;
    let gathered = gather(gpu, &experiment, request, progress)?;
    clock.done("responses");
    let neurons = reliability(gathered.responses.view(), request.seed);
    let names: Vec<String> = folder::names(&experiment.neurons);
    let recording = Recording::of(gathered.responses.view(), None);
    let reliability = ReliabilitySummary::new(&neurons, recording, Some(&names), request.seed);
    clock.done("reliability");
    progress("writing", 0.0);
    folder::write(&folder, &experiment, &gathered, &names, &neurons)?;
    let inputs = super::record::hashes(&folder::inputs(request))?;
    clock.done("writing");
    let summary = summary(gpu, request, &experiment, gathered, reliability, clock);
    folder::write_record(gpu, &folder, request, &experiment, &summary, inputs)?;
    folder.commit()?;
    Ok(summary)
}

fn summary(
    gpu: &Gpu,
    request: &ResponsesRequest,
    experiment: &experiment::Experiment,
    gathered: Gathered,
    reliability: ReliabilitySummary,
    clock: Clock,
) -> ResponsesSummary {
    let (n_neurons, n_images, most) = gathered.responses.dim();
    let split = &gathered.split;
    ResponsesSummary {
        format: experiment.format.name(),
        n_neurons,
        n_images,
        n_repeats: [gathered.arrangement.fewest(), most],
        n_trials: gathered.trials.len(),
        dropped: gathered.dropped,
        warnings: gathered.warnings.clone(),
        n_missing: gathered.n_missing,
        n_without_response: gathered.without_response(),
        n_tiers: [split.train.len(), split.validation.len(), split.test.len()],
        validation_tests: gathered.validation_tests,
        unit: if request.standardise { "standard deviations" } else { gathered.unit() },
        definition: gathered.definition,
        candidates: gathered.candidates,
        regressed: gathered.regressed,
        n_constant: gathered.n_constant,
        reliability,
        adapter: gpu.describe(),
        seconds: clock.finish(),
        out: request.out.clone(),
    }
}
