//! Responses in the units of training.

use super::readout::Scaling;
use super::settings::{Loss, Shared};
use super::trainer::Data;
use crate::error::{Error, Kind, Result};
use ndarray::Array2;

/// Mean and deviation of each neuron over the training images, where responses are standardised by them.
pub(super) fn scaling(data: &Data<'_>, shared: &Shared) -> Result<Vec<Scaling>> {
    let one = |(neuron, row): (usize, ndarray::ArrayView1<'_, f32>)| {
        if let Some(image) = row.iter().position(|v| !v.is_finite()) {
            let found = format!("the response of neuron {neuron} to image {image} is {}", row[image]);
            return Err(Error::new(
                Kind::Input,
                "responses",
                found,
                "finite numbers",
                "Leave that image out",
            ));
        }
        if shared.loss == Loss::Poisson
            && let Some(image) = row.iter().position(|v| *v < 0.0)
        {
            let found = format!("the response of neuron {neuron} to image {image} is {}", row[image]);
            let advice = "Take --loss squared, or counts";
            return Err(Error::new(Kind::Input, "responses", found, "counts for the Poisson loss", advice));
        }
        if !shared.standardise_responses {
            return Ok(Scaling { mean: 0.0, deviation: 1.0 });
        }
        let values = || data.train.iter().map(|image| f64::from(row[*image]));
        let mean = values().sum::<f64>() / data.train.len() as f64;
        let deviation = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / data.train.len() as f64).sqrt();
        Ok(Scaling { mean, deviation: if deviation > 0.0 { deviation } else { 1.0 } })
    };
    data.responses.rows().into_iter().enumerate().map(one).collect()
}

/// Variance of each neuron's responses over the training images, in the units of training.
pub(super) fn variances(data: &Data<'_>, scaling: &[Scaling]) -> Vec<f64> {
    let one = |(row, scaling): (ndarray::ArrayView1<'_, f32>, &Scaling)| {
        let values = || data.train.iter().map(|image| f64::from(row[*image]));
        let (count, mean) = (data.train.len() as f64, values().sum::<f64>() / data.train.len() as f64);
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / count / scaling.deviation.powi(2);
        if variance > 0.0 { variance } else { f64::NAN }
    };
    data.responses.rows().into_iter().zip(scaling).map(one).collect()
}

/// What is trained to: (images, `padded` neurons), those that pad being 0.
pub(super) fn targets(data: &Data<'_>, scaling: &[Scaling], padded: usize) -> Array2<f32> {
    let mut targets = Array2::<f32>::zeros((data.responses.ncols(), padded));
    for ((neuron, image), response) in data.responses.indexed_iter() {
        let Scaling { mean, deviation } = scaling[neuron];
        targets[[image, neuron]] = ((f64::from(*response) - mean) / deviation) as f32;
    }
    targets
}
