//! What an epoch came to: the losses of training, and those and the scores of the validation images.

use super::readout::{Scaling, sums};
use super::settings::Reduction;
use super::trainer::Trainer;
use crate::error::Result;
use crate::scores::agreement::{explained_variance, pearson_r};
use rayon::prelude::*;

/// Of all columns.
pub(super) struct EpochLosses {
    pub with_penalties: Vec<f64>,
    pub explained: Vec<f64>,
}

/// Of the neurons of one configuration.
pub(super) struct Validated {
    pub loss: Vec<f64>,
    pub explained: Vec<f64>,
    pub r: Vec<f64>,
}

impl Trainer<'_> {
    /// Losses of the epoch's steps, of every column. Penalties on hidden layers are shared by the neurons in
    /// equal parts.
    pub(super) fn training_losses(&self) -> Result<EpochLosses> {
        let images = self.data.train.len() as f64;
        let steps = self.data.train.len().div_ceil(self.shared.batch) as f64;
        let data: Vec<f64> = self.network.head.losses(self.gpu)?;
        let explained = |(column, loss): (usize, &f64)| {
            let mean_square = match self.shared.reduction {
                Reduction::Sum => loss / images,
                Reduction::Mean => loss / steps,
            };
            1.0 - mean_square / self.variances.get(column % self.columns.neurons).unwrap_or(&f64::NAN)
        };
        let explained = data.iter().enumerate().map(explained).collect();
        let mut with_penalties: Vec<f64> = data.iter().map(|loss| loss / steps).collect();
        let real = self.columns.real;
        for block in self.network.blocks() {
            let Some(totals) = block.totals(self.gpu)? else { continue };
            let other = self.network.other_magnitudes(self.gpu, block, &self.shared)?;
            let by_neuron = self.network.by_neuron(block);
            for column in 0..totals.ncols() {
                let configuration = column / block.width;
                let one = &self.settings[self.courses[configuration].configuration];
                let sums = [0, 1, 2].map(|kind| totals[[kind, column]] / steps);
                let l1_factor = other.as_ref().map_or(1.0, |all| all[column] / steps);
                let penalty = block.penalty(&self.shared, one, real, sums, l1_factor);
                if by_neuron {
                    with_penalties[column] += penalty;
                } else {
                    let first = configuration * self.columns.neurons;
                    with_penalties[first..first + real].iter_mut().for_each(|l| *l += penalty / real as f64);
                }
            }
        }
        Ok(EpochLosses { with_penalties, explained })
    }

    /// Loss and scores on the validation images, of each configuration; `None` where there are no such
    /// images.
    pub(super) fn validate(&self) -> Result<Option<Vec<Validated>>> {
        let images = self.data.validation;
        if images.is_empty() {
            return Ok(None);
        }
        let z = sums(self.gpu, &self.network, &self.memory, self.data.features, images, self.shared.batch)?;
        let bias = self.network.head.bias.weights.download(self.gpu)?;
        let neuron = |at: usize, n: usize| {
            let column = at * self.columns.neurons + n;
            let Scaling { mean, deviation } = self.scaling[n];
            let target = |image: &usize| (f64::from(self.data.responses[[n, *image]]) - mean) / deviation;
            let y: Vec<f64> = images.iter().map(target).collect();
            let sum = |row: usize| f64::from(z[[row, column]]) + f64::from(bias[[0, column]]);
            let p: Vec<f64> = (0..images.len()).map(|row| self.shared.nonlinearity.apply(sum(row))).collect();
            let loss = y.iter().zip(&p).map(|(y, p)| self.shared.loss.of(*y, *p)).sum::<f64>();
            (loss / images.len() as f64, explained_variance(&y, &p), pearson_r(&y, &p))
        };
        let one = |at: usize| {
            let all: Vec<(f64, f64, f64)> =
                (0..self.columns.real).into_par_iter().map(|n| neuron(at, n)).collect();
            Validated {
                loss: all.iter().map(|v| v.0).collect(),
                explained: all.iter().map(|v| v.1).collect(),
                r: all.iter().map(|v| v.2).collect(),
            }
        };
        Ok(Some((0..self.courses.len()).map(one).collect()))
    }
}
