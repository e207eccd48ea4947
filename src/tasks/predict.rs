//! Predicted responses to new images, from a run folder.

use super::Progress;
use super::host_features::HostFeatures;
use super::input::{FeaturesInput, Input, keep};
use super::model::{FILE, Model};
use super::plan::working_bytes;
use super::record::RunRecord;
use super::run_folder::FILES;
use super::trained_model;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, SlabPlan, Source, UNIT};
use crate::gpu::Gpu;
use crate::io::hash::sha256_file;
use crate::io::{commit, npy};
use crate::training::{self, Resident, Shared};
use ndarray::Array2;
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
    /// The adapter.
    pub adapter: String,
    /// The file written.
    pub out: PathBuf,
}

/// A run, opened with its new input.
struct Parts {
    record: RunRecord,
    input: Input,
    source: Source,
    /// `None` for one with hidden layers.
    model: Option<Model>,
}

/// The record of a run folder.
///
/// # Errors
/// Input, if the folder holds none, or one that cannot be understood.
pub(super) fn read_record(run: &Path) -> Result<RunRecord> {
    let path = run.join(commit::RECORD);
    let bytes = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e).at(path.display()))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let found = format!("is not the record of a fit: {e}");
        Error::input(&path, found, "a folder that `striate fit` wrote", "Check the path")
    })
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
        let record = read_record(&self.run)?;
        let input = new_input(self, record.input.clone())?;
        let own = FILES.map(|name| ("run", self.run.join(name)));
        keep(&self.out, &[input.files(), own.to_vec()].concat())?;
        let layers =
            trained(&record)?.is_some_and(|shared| matches!(shared.model, training::Model::Mlp { .. }));
        let model = if layers { None } else { Some(Model::open(&self.run.join(FILE))?) };
        let source = input.open()?;
        if let Some(model) = model.as_ref().filter(|model| source.features() != model.features) {
            return Err(Error::new(
                Kind::Input,
                self.run.display(),
                format!("{} features an image for a readout of {}", source.features(), model.features),
                "the features that the readout was fitted to",
                "Give images of the same kind, or features computed the same way",
            ));
        }
        Ok(Parts { record, input, source, model })
    }
}

/// How a run's readout predicts: as one sum, with a nonlinearity behind it, or layer by layer.
fn trained(record: &RunRecord) -> Result<Option<Shared>> {
    let Some(shared) = record.options.get("shared") else { return Ok(None) };
    let read = serde_json::from_value(shared.clone());
    let wrong = |e| {
        let advice = "Run `striate fit` again";
        Error::new(
            Kind::Input,
            commit::RECORD,
            format!("options.shared: {e}"),
            "what `striate fit` wrote",
            advice,
        )
    };
    read.map(Some).map_err(wrong)
}

/// Predictions of an `mlp`: (neurons, images).
fn predict_by_layers(
    gpu: &Gpu,
    (run, record): (&Path, &RunRecord),
    shared: &Shared,
    input: &Input,
    progress: &mut Progress<'_>,
) -> Result<Array2<f32>> {
    let features = HostFeatures::compute(gpu, input, &[], progress)?;
    let fitted = record.summary.get("feature_shape").cloned().unwrap_or_default();
    if fitted != serde_json::json!(features.shape) {
        let found = format!("features of the shape {:?}", features.shape);
        let wanted = format!("{fitted}, as they were fitted");
        return Err(Error::new(Kind::Input, run.display(), found, wanted, "Compute them the same way"));
    }
    let readout = trained_model::read(&run.join(FILE), shared, features.shape)?;
    let values = features.values.view();
    let resident = Resident::with(gpu, values, features.shape, readout.standardisation(), shared)?;
    let all: Vec<usize> = (0..resident.images).collect();
    readout.predict(gpu, &resident, &all)
}

/// Predicts and writes.
///
/// # Errors
/// Input, if the run, the images or the features cannot be used together; as [`super::fit()`].
pub fn predict(gpu: &Gpu, request: &PredictRequest, progress: &mut Progress<'_>) -> Result<PredictSummary> {
    let Parts { record, input, source, model } = request.parts()?;
    check_weights(&record, &input)?;
    let shared = trained(&record)?;
    let features = source.features();
    let predictions = match (&shared, model) {
        (Some(shared), None) => predict_by_layers(gpu, (&request.run, &record), shared, &input, progress)?,
        (None, None) => return Err(Error::internal("predict", "a readout without a model")),
        (shared, Some(model)) => {
            let mut predictions = predict_as_sum(gpu, source, &model, progress)?;
            if let Some(shared) = shared {
                predictions.mapv_inplace(|sum| shared.nonlinearity.apply(f64::from(sum)) as f32);
            }
            predictions
        }
    };
    npy::write(&request.out, predictions.view().into_dyn())?;
    Ok(PredictSummary {
        n_images: predictions.ncols(),
        n_neurons: predictions.nrows(),
        n_features: features,
        adapter: gpu.describe(),
        out: request.out.clone(),
    })
}

/// Predictions of a readout without hidden layers, without its nonlinearity: (neurons, images).
fn predict_as_sum(
    gpu: &Gpu,
    source: Source,
    model: &Model,
    progress: &mut Progress<'_>,
) -> Result<Array2<f32>> {
    let (images, features) = (source.images(), source.features());
    let (budget, taken) = (gpu.ledger().budget(), source.overhead(gpu)? + working_bytes(gpu));
    let plan = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken)).map_err(|_| {
        let needed = taken + SlabPlan::least_bytes(images, features, UNIT);
        crate::gpu::too_large("predict", needed, budget, budget)
    })?;
    let mut space = FeatureSpace::new(source, plan, Vec::new());
    model.predict(gpu, &mut space, &mut |share| progress("features", share))
}
