//! Predictions for every trial of a tier of an experiment: what is scored by the competition's definitions,
//! and handed in.

use super::Progress;
use super::fitted::{FittedRun, Shown};
use super::input::{Input, keep};
use crate::error::{Error, Kind, Result};
use crate::experiment::{Experiment, Recorded, Tier, TrialResponses};
use crate::features::Source;
use crate::gpu::Gpu;
use crate::io::images::{Images, Size};
use crate::io::npy;
use ndarray::{Array2, Axis, Ix2};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where predictions are.
#[derive(Debug, Clone)]
pub enum PredictionsRequest {
    /// A `.npy` of (neurons, trials of the tier), (neurons, images of the experiment) or (neurons, trials of
    /// the experiment).
    File(PathBuf),
    /// A run folder, whose readout predicts every trial of the tier.
    Run(PathBuf),
}

impl PredictionsRequest {
    /// A folder is a run.
    pub fn of(path: &Path) -> Self {
        if path.is_dir() { Self::Run(path.into()) } else { Self::File(path.into()) }
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Run(path) => path,
        }
    }

    /// Refuses a result that would replace these predictions or the experiment.
    ///
    /// # Errors
    /// Usage, naming what would be lost.
    pub(super) fn keep(&self, out: &Path, experiment: &Path) -> Result<()> {
        keep(out, &[("predictions", self.path().into()), ("experiment", experiment.into())])
    }
}

/// A tier of an experiment.
pub(super) struct TierTrials {
    pub experiment: Arc<Experiment>,
    tier: Tier,
    /// Places in the experiment's trials.
    pub trials: Vec<usize>,
    /// The image of each.
    pub images: Vec<usize>,
}

impl TierTrials {
    /// The trials of a tier.
    ///
    /// # Errors
    /// Input, if there are none, or no responses of trials in the experiment.
    pub fn new(experiment: Experiment, tier: Tier) -> Result<Self> {
        let (mut trials, mut images) = (Vec::new(), Vec::new());
        for (place, trial) in experiment.trials.iter().enumerate() {
            if let Some(image) = trial.image.filter(|_| trial.tier == Some(tier)) {
                trials.push(place);
                images.push(image);
            }
        }
        if trials.is_empty() {
            let mut tiers: Vec<&str> =
                experiment.trials.iter().filter_map(|t| t.tier).map(Tier::name).collect();
            tiers.sort_unstable();
            tiers.dedup();
            let found = format!("has no trial of the tier {}", tier.name());
            let wanted = if tiers.is_empty() { "trials with a tier".into() } else { tiers.join(", ") };
            return Err(Error::input(&experiment.path, found, wanted, "Ask for another --tier"));
        }
        Ok(TierTrials { experiment: Arc::new(experiment), tier, trials, images })
    }

    /// The responses of trials, as the experiment has them.
    fn recorded(&self) -> Result<&TrialResponses> {
        match &self.experiment.recorded {
            Recorded::Trials(responses) => Ok(responses),
            Recorded::Traces(_) => {
                let found = "holds traces, and no response of a trial yet";
                let advice = "Make a folder of responses by striate responses, and name that";
                Err(Error::input(&self.experiment.path, found, "responses of trials", advice))
            }
        }
    }

    /// The responses that are scored, (neurons, trials), each neuron's in units of its standard deviation
    /// where the recording states one, as Sensorium has them.
    ///
    /// # Errors
    /// Input, if they are withheld.
    pub fn responses(&self) -> Result<Array2<f32>> {
        let recorded = self.recorded()?;
        let mut responses = Array2::zeros((recorded.neurons(), self.trials.len()));
        let mut at = 0;
        while at < self.trials.len() {
            // Neighbouring trials are read together.
            let first = self.trials[at];
            let run = (at..self.trials.len()).take_while(|k| self.trials[*k] == first + (k - at)).count();
            let block = recorded.read(first..first + run)?;
            responses.slice_mut(ndarray::s![.., at..at + run]).assign(&block.t());
            at += run;
        }
        if recorded.hidden().contains(&self.tier) || responses.iter().all(|v| *v == 0.0) {
            let found = format!("withholds the responses of the tier {}: all are 0", self.tier.name());
            let advice = "Score another --tier, or hand predictions in by striate submission";
            return Err(Error::input(&self.experiment.path, found, "responses to score", advice));
        }
        if let Some(scale) = recorded.scale() {
            for (mut row, scale) in responses.rows_mut().into_iter().zip(scale) {
                row *= *scale;
            }
        }
        Ok(responses)
    }

    /// Predictions of a file for the trials: (neurons, trials).
    ///
    /// # Errors
    /// Input, if its shape is none of those of [`PredictionsRequest::File`], or means two things, or a value
    /// is no number.
    pub fn read(&self, path: &Path) -> Result<Array2<f64>> {
        let array = npy::read_f64(path, None)?;
        let shape = array.shape().to_vec();
        let neurons = self.experiment.neurons.len();
        let counts = [self.trials.len(), self.experiment.stimuli.len(), self.experiment.trials.len()];
        let wanted = format!(
            "{neurons} neurons x {} trials of the tier, {} images or {} trials of the experiment",
            counts[0], counts[1], counts[2]
        );
        let wrong = |found: String, advice: &str| Error::input(path, found, &wanted, advice);
        let array = array.into_dimensionality::<Ix2>().ok().filter(|array| array.nrows() == neurons);
        let shown = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let Some(array) = array else {
            let turned = shape.len() == 2 && shape[1] == neurons;
            let advice = if turned { "Transpose it" } else { "Give predictions for this experiment" };
            return Err(wrong(format!("is {shown}"), advice));
        };
        let each: Vec<usize> = (0..self.trials.len()).collect();
        let columns = [&each, &self.images, &self.trials];
        let fitting: Vec<&Vec<usize>> =
            (0..3).filter(|n| counts[*n] == shape[1]).map(|n| columns[n]).collect();
        let places = match fitting.as_slice() {
            [] => return Err(wrong(format!("is {shown}"), "Give predictions for this experiment")),
            [first, others @ ..] if others.iter().all(|other| other == first) => *first,
            _ => {
                let found = format!("is {shown}, which means more than one of these here");
                let advice = "Leave images without trials out of the experiment, or name a run folder";
                return Err(wrong(found, advice));
            }
        };
        let predictions = array.select(Axis(1), places);
        check(path, &predictions)?;
        Ok(predictions)
    }

    /// Predictions of a run's readout for the trials: (neurons, trials).
    ///
    /// # Errors
    /// Input, if the run does not fit the experiment; as [`super::predict()`].
    pub fn predict(&self, gpu: &Gpu, run: &Path, progress: &mut Progress<'_>) -> Result<Array2<f64>> {
        let fitted = FittedRun::open(run)?;
        let Input::Network(network) = fitted.record.input.clone() else {
            let found = "was fitted from a file of features, and cannot see the images of the experiment";
            let advice = "Give its predictions of the images as a .npy instead";
            return Err(Error::input(run, found, "a run of a network", advice));
        };
        let place = |image: usize, all: &[usize]| all.partition_point(|one| *one < image);
        let mut distinct = self.images.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let shown = |(trial, image): (&usize, &usize)| {
            let trial = &self.experiment.trials[*trial];
            (place(*image, &distinct), [trial.running_speed, trial.pupil])
        };
        let trials: Vec<(usize, [f32; 2])> = self.trials.iter().zip(&self.images).map(shown).collect();
        let images = self.seen(distinct)?;
        let source = Source::Network(Box::new(network.over(images)?));
        let source = fitted.source(source, Shown::Trials(&trials))?;
        let predictions = fitted.predict(gpu, (source, Input::Network(network)), progress)?;
        let neurons = self.experiment.neurons.len();
        if predictions.nrows() != neurons {
            let found = format!("predicts {} neurons", predictions.nrows());
            let wanted = format!("the {neurons} of {}", self.experiment.path.display());
            return Err(Error::input(run, found, wanted, "Name a run that was fitted to this experiment"));
        }
        check(run, &predictions)?;
        Ok(predictions)
    }

    /// Some images of the experiment, which are read as they are asked for.
    fn seen(&self, images: Vec<usize>) -> Result<Images> {
        let stimuli = &self.experiment.stimuli;
        let size = Size { height: stimuli.height, width: stimuli.width };
        let (shape, scale) = ([images.len(), stimuli.channels], stimuli.scale()?);
        let experiment = Arc::clone(&self.experiment);
        let read = move |range: std::ops::Range<usize>| {
            let each = |image: &usize| experiment.stimuli.read(*image..image + 1);
            let parts = images[range].iter().map(each).collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            ndarray::concatenate(Axis(0), &views).map_err(|why| Error::internal("images of a tier", why))
        };
        Ok(Images::read_by(&self.experiment.path, shape, size, scale, Box::new(read)))
    }
}

/// Refuses predictions that are no numbers.
fn check(place: &Path, predictions: &Array2<f64>) -> Result<()> {
    let Some(((neuron, trial), value)) = predictions.indexed_iter().find(|(_, v)| !v.is_finite()) else {
        return Ok(());
    };
    let found = format!("the prediction for neuron {neuron} in trial {trial} of the tier is {value}");
    Err(Error::new(Kind::Input, place.display(), found, "a finite number", "Look at that prediction"))
}
