//! A run folder, opened to predict with its readout.

use super::Progress;
use super::host_features::HostFeatures;
use super::input::Input;
use super::model::{FILE, Model};
use super::plan::working_bytes;
use super::record::RunRecord;
use super::rows::TrialsRecord;
use super::run_folder::check_finite;
use super::trained_model;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, SlabPlan, Source, Trials, UNIT};
use crate::gpu::Gpu;
use crate::io::commit;
use crate::io::file::{self, LONGEST_RECORD};
use crate::io::hash::sha256_file;
use crate::training::{self, Resident, Shared};
use ndarray::Array2;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A fitted run.
pub(super) struct FittedRun {
    folder: PathBuf,
    pub record: RunRecord,
    /// Which trials it was fitted to, and its inputs beside features.
    pub trials: TrialsRecord,
    /// How a trained readout predicts.
    shared: Option<Shared>,
    /// `None` for one with hidden layers.
    model: Option<Model>,
}

/// What a prediction is asked for.
pub(super) enum Shown<'a> {
    /// Each image once, with covariates at their means.
    Images,
    /// Trials: the image of each, and its covariates in the order of [`crate::io::trials::Covariate::ALL`].
    Trials(&'a [(usize, [f32; 2])]),
}

/// The record of a run folder.
///
/// # Errors
/// Input, if the folder holds none, or one that cannot be understood.
fn read_record(run: &Path) -> Result<RunRecord> {
    let path = run.join(commit::RECORD);
    let bytes = file::read(&path, LONGEST_RECORD)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let found = format!("is not the record of a fit: {e}");
        Error::input(&path, found, "a folder that `striate fit` wrote", "Check the path")
    })
}

/// Refuses a record that was written for another model, or was changed since.
fn check_binding(folder: &Path, record: &RunRecord) -> Result<()> {
    let wrong = |found: &str| {
        let wanted = format!("the record and the {FILE} that one `striate fit` wrote");
        Err(Error::input(&folder.join(commit::RECORD), found, wanted, "Run `striate fit` again"))
    };
    if record.binding.is_empty() {
        return wrong("does not say which model it belongs to, as records before version 0.1.0 did not");
    }
    if record.command != "fit" || record.bound_to(&sha256_file(&folder.join(FILE))?)? != record.binding {
        return wrong("belongs to another model, or one of the two was changed since");
    }
    Ok(())
}

/// One of the record's options, if it is there.
fn option<T: DeserializeOwned>(record: &RunRecord, name: &str) -> Result<Option<T>> {
    let Some(value) = record.options.get(name) else { return Ok(None) };
    serde_json::from_value(value.clone()).map(Some).map_err(|why| {
        let found = format!("options.{name}: {why}");
        let advice = "Run `striate fit` again";
        Error::new(Kind::Input, commit::RECORD, found, "what `striate fit` wrote", advice)
    })
}

impl FittedRun {
    /// Opens a run folder; reads no weights.
    ///
    /// # Errors
    /// Input, if it is damaged, or none of a fit.
    pub fn open(folder: &Path) -> Result<Self> {
        let record = read_record(folder)?;
        let shared: Option<Shared> = option(&record, "shared")?;
        let trials = option(&record, "trials")?.unwrap_or_default();
        let layers =
            shared.as_ref().is_some_and(|shared| matches!(shared.model, training::Model::Mlp { .. }));
        let model = if layers { None } else { Some(Model::open(&folder.join(FILE))?) };
        check_binding(folder, &record)?;
        Ok(FittedRun { folder: folder.into(), record, trials, shared, model })
    }

    /// What the readout reads, from the features of images.
    ///
    /// # Errors
    /// Input, if these are not the features that it was fitted to.
    pub fn source(&self, images: Source, shown: Shown<'_>) -> Result<Source> {
        let inputs = &self.trials.covariates;
        let source = match shown {
            Shown::Images if inputs.is_empty() => images,
            Shown::Images => {
                let each: Vec<usize> = (0..images.images()).collect();
                // Scaled covariates have a mean of 0.
                let means = Array2::zeros((each.len(), inputs.len()));
                Source::Trials(Box::new(Trials::new(images, each, means)?))
            }
            Shown::Trials(trials) => {
                let values = Array2::from_shape_fn((trials.len(), inputs.len()), |(row, column)| {
                    inputs[column].of(trials[row].1)
                });
                let of_each = trials.iter().map(|(image, _)| *image).collect();
                Source::Trials(Box::new(Trials::new(images, of_each, values)?))
            }
        };
        if let Some(model) = self.model.as_ref().filter(|model| source.features() != model.features) {
            return Err(Error::new(
                Kind::Input,
                self.folder.display(),
                format!("{} features an image for a readout of {}", source.features(), model.features),
                "the features that the readout was fitted to",
                "Give images of the same kind, or features computed the same way",
            ));
        }
        Ok(source)
    }

    /// Predictions for every row of what [`FittedRun::source`] gave, which `input` opened: (neurons, rows).
    ///
    /// # Errors
    /// As [`super::predict()`].
    pub fn predict(
        &self,
        gpu: &Gpu,
        (source, input): (Source, Input),
        progress: &mut Progress<'_>,
    ) -> Result<Array2<f64>> {
        check_memory(gpu, &source)?;
        let predictions = self.unchecked(gpu, (source, input), progress)?;
        check_finite(&self.folder, "new", &predictions)?;
        Ok(predictions)
    }

    fn unchecked(
        &self,
        gpu: &Gpu,
        (source, input): (Source, Input),
        progress: &mut Progress<'_>,
    ) -> Result<Array2<f64>> {
        match (&self.shared, &self.model) {
            (Some(shared), None) => self.by_layers(gpu, shared, (source, input), progress),
            (None, None) => Err(Error::internal("predict", "a readout without a model")),
            (shared, Some(model)) => {
                let mut predictions = as_sum(gpu, source, model, progress)?;
                if let Some(shared) = shared {
                    predictions.mapv_inplace(|sum| shared.nonlinearity.apply(sum));
                }
                Ok(predictions)
            }
        }
    }

    /// Predictions of an `mlp`: (neurons, rows).
    fn by_layers(
        &self,
        gpu: &Gpu,
        shared: &Shared,
        (mut source, input): (Source, Input),
        progress: &mut Progress<'_>,
    ) -> Result<Array2<f64>> {
        let file = self.folder.join(FILE);
        let taken = source.take_off(&trained_model::feature_means(&file)?);
        let features = HostFeatures::of(gpu, source, input, progress)?;
        let fitted = self.record.summary.get("feature_shape").cloned().unwrap_or_default();
        if fitted != serde_json::json!(features.shape) {
            let found = format!("features of the shape {:?}", features.shape);
            let wanted = format!("{fitted}, as they were fitted");
            let advice = "Compute them the same way";
            return Err(Error::new(Kind::Input, self.folder.display(), found, wanted, advice));
        }
        let (readout, means) = trained_model::read(&file, shared, features.shape, taken)?;
        let values = features.values.view();
        let resident = Resident::with(gpu, values, features.shape, readout.standardisation(), shared)?;
        let all: Vec<usize> = (0..resident.images).collect();
        let mut predictions = readout.predict(gpu, &resident, &all)?.mapv(f64::from);
        predictions.rows_mut().into_iter().zip(means).for_each(|(mut row, mean)| row += mean);
        Ok(predictions)
    }
}

/// Refuses features that do not pass through the memory. How images are prepared and convolved comes from the
/// fit, so nothing of that is advised.
fn check_memory(gpu: &Gpu, source: &Source) -> Result<()> {
    let least = SlabPlan::least_bytes(source.images(), source.features(), UNIT);
    let needed = source.overhead(gpu)? + working_bytes(gpu) + least;
    let budget = gpu.ledger().budget();
    if needed <= budget {
        return Ok(());
    }
    let advice = if source.fits_by_direct_sums(gpu, needed) {
        "Raise --max-memory, or fit again with --convolution direct"
    } else {
        "Raise --max-memory"
    };
    Err(crate::gpu::too_large("predict", needed, budget, budget).with_memory_advice(advice))
}

/// Predictions of a readout without hidden layers, without its nonlinearity: (neurons, rows).
fn as_sum(gpu: &Gpu, mut source: Source, model: &Model, progress: &mut Progress<'_>) -> Result<Array2<f64>> {
    let means_off = source.take_off(&model.means);
    let (images, features) = (source.images(), source.features());
    let (budget, taken) = (gpu.ledger().budget(), source.overhead(gpu)? + working_bytes(gpu));
    let plan = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken))?;
    let mut space = FeatureSpace::new(source, plan, Vec::new());
    model.predict(gpu, &mut space, means_off, &mut |share| progress("features", share))
}
