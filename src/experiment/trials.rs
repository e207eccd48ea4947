//! Responses of all neurons, one number for each trial.

use std::ops::Range;

use ndarray::Array2;

use super::Tier;
use crate::error::{Error, Result};

/// What a Sensorium recording states of its behaviour, over all trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Standard deviations of pupil size, its change, and running speed, by which behaviour is divided.
    pub behaviour: Option<[f32; 3]>,
    /// Mean and standard deviation of the pupil's centre, horizontal and vertical.
    pub pupil_centre: Option<([f32; 2], [f32; 2])>,
}

/// Responses of an experiment to its trials. Nothing long is held.
pub struct TrialResponses {
    neurons: usize,
    hidden: Vec<Tier>,
    scale: Option<Vec<f32>>,
    statistics: Option<Statistics>,
}

impl TrialResponses {
    /// Neurons.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    /// Responses to the trials `range`, in the order of [`super::Experiment::trials`]: (trials, neurons), as stored. NaN
    /// where a neuron was not recorded.
    ///
    /// # Errors
    /// A range outside the trials, data that cannot be read.
    pub fn read(&self, range: Range<usize>) -> Result<Array2<f32>> {
        Err(Error::internal("responses", format!("trials {range:?} are not read yet")))
    }

    /// What a Sensorium recording's responses are multiplied by before anything is scored: 1 / the stored standard
    /// deviation of each neuron, which is never taken below 1 % of its mean over neurons.
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
