//! Responses of all neurons, one number for each trial.

use std::ops::Range;
use std::path::PathBuf;

use ndarray::{Array2, Array3, Axis, Ix1};
use rayon::prelude::*;

use super::Tier;
use crate::error::{Error, Kind, Result};
use crate::io::npy;

/// What a Sensorium recording states of its behaviour, over all trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Standard deviations of pupil size, its change, and running speed, by which behaviour is divided.
    pub behaviour: Option<[f32; 3]>,
    /// Mean and standard deviation of the pupil's centre, horizontal and vertical.
    pub pupil_centre: Option<([f32; 2], [f32; 2])>,
}

/// Responses of an experiment to its trials. Nothing long is held, except of plain arrays, which are held
/// whole.
pub struct TrialResponses {
    pub(super) neurons: usize,
    pub(super) hidden: Vec<Tier>,
    pub(super) scale: Option<Vec<f32>>,
    pub(super) statistics: Option<Statistics>,
    pub(super) source: Source,
}

/// Image and repeat, as indices into an array of responses.
pub(super) type Place = (usize, usize);

pub(super) enum Source {
    /// A `.npy` a trial, (neurons).
    Files(Vec<PathBuf>),
    /// (neurons, images, repeats), and where in it each trial is.
    Repeats(Array3<f32>, Vec<Place>),
}

impl TrialResponses {
    /// Without anything stated beside the responses.
    pub(super) fn new(neurons: usize, source: Source) -> Self {
        TrialResponses { neurons, hidden: Vec::new(), scale: None, statistics: None, source }
    }

    /// Neurons.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    fn trials(&self) -> usize {
        match &self.source {
            Source::Files(files) => files.len(),
            Source::Repeats(_, trials) => trials.len(),
        }
    }

    /// Responses to the trials `range`, in the order of [`super::Experiment::trials`]: (trials, neurons), as
    /// stored. NaN where a neuron was not recorded.
    ///
    /// # Errors
    /// A range outside the trials, data that cannot be read.
    pub fn read(&self, range: Range<usize>) -> Result<Array2<f32>> {
        if range.start > range.end || range.end > self.trials() {
            let found = format!("trials {} to {} were asked for", range.start, range.end);
            let wanted = format!("trials within 0 to {}", self.trials());
            return Err(Error::new(Kind::Usage, "responses", found, wanted, ""));
        }
        let mut values = Array2::zeros((range.len(), self.neurons));
        match &self.source {
            Source::Files(files) => {
                let mut rows: Vec<_> = values.axis_iter_mut(Axis(0)).zip(&files[range]).collect();
                let read: Vec<Result<()>> = rows
                    .par_iter_mut()
                    .map(|(row, file)| {
                        let response = npy::read(file, None)?;
                        let shape = response.shape().to_vec();
                        let fitting = response.into_dimensionality::<Ix1>().ok();
                        let Some(response) = fitting.filter(|r| r.len() == self.neurons) else {
                            let found = format!("it has the shape {shape:?}");
                            let wanted = format!("[{}], a response of each neuron", self.neurons);
                            return Err(Error::input(file, found, wanted, "Copy the recording again"));
                        };
                        row.assign(&response);
                        Ok(())
                    })
                    .collect();
                read.into_iter().collect::<Result<()>>()?;
            }
            Source::Repeats(responses, trials) => {
                for (mut row, &(image, repeat)) in values.axis_iter_mut(Axis(0)).zip(&trials[range]) {
                    row.assign(&responses.slice(ndarray::s![.., image, repeat]));
                }
            }
        }
        Ok(values)
    }

    /// What a Sensorium recording's responses are multiplied by before anything is scored: 1 / the stored
    /// standard deviation of each neuron, which is never taken below 1 % of its mean over neurons.
    pub fn scale(&self) -> Option<&[f32]> {
        self.scale.as_deref()
    }

    /// The stored statistics of behaviour.
    pub fn statistics(&self) -> Option<&Statistics> {
        self.statistics.as_ref()
    }

    /// The tiers whose responses are withheld: all of them are zero.
    pub fn hidden(&self) -> &[Tier] {
        &self.hidden
    }
}
