//! Predicted responses to new images, from a run folder.

use super::Progress;
use super::fitted::{FittedRun, Shown};
use super::input::{FeaturesInput, Input, keep};
use super::record::RunRecord;
use super::run_folder::FILES;
use crate::error::{Error, Kind, Result};
use crate::features::Source;
use crate::gpu::Gpu;
use crate::io::hash::sha256_file;
use crate::io::npy;
use crate::io::trials::Covariate;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to predict from, and with which readout.
#[derive(Debug, Clone)]
pub struct PredictRequest {
    /// The folder that a fit wrote.
    pub run: PathBuf,
    /// New images, through the run's network; or
    pub images: Option<PathBuf>,
    /// new features, images x anything.
    pub features: Option<PathBuf>,
    /// Weights, if they have moved since the fit.
    pub weights: Option<String>,
    /// The `.npy` to write: (neurons, images).
    pub out: PathBuf,
}

/// What was predicted.
#[derive(Debug, Clone, Serialize)]
pub struct PredictSummary {
    /// Number of images.
    pub n_images: usize,
    /// Number of neurons.
    pub n_neurons: usize,
    /// Features of an image.
    pub n_features: usize,
    /// What a person should know of how images and weights were read.
    pub notes: Vec<String>,
    /// Further inputs of the readout, which are held at their means over training trials.
    pub covariates_at_mean: Vec<Covariate>,
    /// The adapter.
    pub adapter: String,
    /// The file written.
    pub out: PathBuf,
}

/// A run, opened with its new input.
struct Parts {
    run: FittedRun,
    input: Input,
    source: Source,
}

/// The run's input, with the new images or features in place of the fitted ones.
fn new_input(request: &PredictRequest, fitted: Input) -> Result<Input> {
    let usage = |found: &str, wanted: &str, advice: &str| {
        Err(Error::new(Kind::Usage, "predict", found, wanted, advice))
    };
    match (fitted, &request.images, &request.features) {
        (_, Some(_), Some(_)) => usage("--images and --features together", "one of them", "Leave one out"),
        (_, None, None) => usage("neither --images nor --features", "one of them", "Add --images FOLDER"),
        (Input::Features(fitted), None, Some(file)) => {
            Ok(Input::Features(FeaturesInput { file: file.clone(), ..fitted }))
        }
        (Input::Network(_), None, Some(file)) => {
            Ok(Input::Features(FeaturesInput { file: file.clone(), subsample: None }))
        }
        (Input::Features(_), Some(_), None) => usage(
            "--images for a run that was fitted from features",
            "--features FILE.npy",
            "Compute them the same way",
        ),
        (Input::Network(mut network), Some(images), None) => {
            network.images = images.clone();
            if request.weights.is_some() {
                network.weights = request.weights.clone();
            }
            Ok(Input::Network(network))
        }
    }
}

/// Refuses other weights than those that the readout was fitted with: their features mean something else.
fn check_weights(record: &RunRecord, input: &Input) -> Result<()> {
    let (Input::Network(fitted), Input::Network(new)) = (&record.input, input) else { return Ok(()) };
    let Some(weights) = &new.weights else { return Ok(()) };
    let hash = record.inputs.iter().find(|i| i.role == "weights").map(|i| i.sha256.as_str());
    let same = match hash {
        Some(hash) if !weights.starts_with("random:") => sha256_file(Path::new(weights))? == hash,
        Some(_) => false,
        None => new.weights == fitted.weights,
    };
    if same {
        return Ok(());
    }
    let wanted = match (hash, &fitted.weights) {
        (Some(hash), Some(file)) => format!("the file that was {file}, of SHA-256 {hash}"),
        (_, known) => known.clone().unwrap_or_default(),
    };
    let found = "is not what the readout was fitted with";
    Err(Error::new(Kind::Input, weights, found, wanted, "Find those weights, or run `striate fit` again"))
}

impl PredictRequest {
    /// Opens run and input, and checks that they fit each other; reads headers and vectors only.
    ///
    /// # Errors
    /// Input or Usage, if they do not.
    pub fn open(&self) -> Result<Source> {
        Ok(self.parts()?.source)
    }

    fn parts(&self) -> Result<Parts> {
        let run = FittedRun::open(&self.run)?;
        let input = new_input(self, run.record.input.clone())?;
        let own = FILES.map(|name| ("run", self.run.join(name)));
        keep(&self.out, &[input.files(), own.to_vec()].concat())?;
        let source = run.source(input.open()?, Shown::Images)?;
        Ok(Parts { run, input, source })
    }
}

/// Predicts and writes. Where the readout has covariates as inputs, these are held at their means over
/// training trials.
///
/// # Errors
/// Input, if the run, the images or the features cannot be used together; as [`super::fit()`].
pub fn predict(gpu: &Gpu, request: &PredictRequest, progress: &mut Progress<'_>) -> Result<PredictSummary> {
    let Parts { run, input, source } = request.parts()?;
    check_weights(&run.record, &input)?;
    let notes = input.looked_at(gpu.ledger().budget())?.notes().to_vec();
    let n_features = source.features();
    let predictions = run.predict(gpu, (source, input), progress)?;
    npy::write_f64(&request.out, predictions.view().into_dyn())?;
    Ok(PredictSummary {
        n_images: predictions.ncols(),
        n_neurons: predictions.nrows(),
        n_features,
        notes,
        covariates_at_mean: run.trials.covariates.iter().map(|scaled| scaled.covariate).collect(),
        adapter: gpu.describe(),
        out: request.out.clone(),
    })
}
