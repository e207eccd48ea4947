//! Where a network's weights come from: a file, or a seed.

use crate::error::{Error, Kind, Result};
use crate::io::weights::WeightFile;
use crate::networks::weights::{check, he_normal};
use crate::networks::{Entry, NORMALISATION, Network, Parameter};
use ndarray::{ArrayD, Axis};
use std::path::Path;

/// `--weights FILE` or `--weights random:SEED`.
pub enum WeightSource {
    /// A safetensors or torch file with torchvision's keys.
    File(WeightFile),
    /// He-normal weights, for tests and controls.
    Random(u64),
}

impl WeightSource {
    /// Opens a file (headers only), or reads the seed after `random:`.
    ///
    /// # Errors
    /// Usage, if the seed is no number; Input, if the file cannot be used.
    pub fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix("random:") {
            None => Ok(WeightSource::File(WeightFile::open(Path::new(text))?.as_torchvision()?)),
            Some(seed) => seed.trim().parse().map(WeightSource::Random).map_err(|_| {
                let wanted = "random:SEED with a whole number";
                Error::new(Kind::Usage, "--weights", format!("{text:?} has no seed"), wanted, "Try random:0")
            }),
        }
    }

    /// What a person should know of how the file was read.
    pub fn notes(&self) -> Vec<String> {
        match self {
            WeightSource::Random(_) => Vec::new(),
            WeightSource::File(file) => file.notes(),
        }
    }

    /// Checks that all weights up to and with an entry are there, by name and shape, without reading them.
    ///
    /// # Errors
    /// Input, naming the first weight that is missing or of another shape.
    pub fn check(&self, network: &Network, up_to: usize) -> Result<()> {
        match self {
            WeightSource::Random(_) => Ok(()),
            WeightSource::File(file) => {
                let tensors: Vec<_> =
                    file.tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
                check(network, up_to, file.path(), &tensors)
            }
        }
    }

    /// Weight and bias of an entry.
    ///
    /// # Errors
    /// Input, if the file cannot be read or holds NaN or infinities.
    pub fn parameters(&self, network: &Network, entry: &Entry) -> Result<(ArrayD<f32>, Vec<f32>)> {
        match self {
            WeightSource::Random(seed) => he_normal(network, *seed, &entry.key),
            WeightSource::File(file) => {
                let Some(parameter) = entry.parameter() else {
                    return Err(Error::internal("weights", format!("{} has none", entry.key)));
                };
                let weight = file.read(&format!("{}.weight", parameter.key))?;
                let bias = file.read(&format!("{}.bias", parameter.key))?.iter().copied().collect();
                normalised(file, &parameter, weight, bias)
            }
        }
    }
}

/// What torch adds to a variance before its root.
const EPSILON: f64 = 1e-5;

/// Weight and bias with the batch normalisation that follows folded into them, in f64.
fn normalised(
    file: &WeightFile,
    parameter: &Parameter,
    mut weight: ArrayD<f32>,
    mut bias: Vec<f32>,
) -> Result<(ArrayD<f32>, Vec<f32>)> {
    let Some(key) = &parameter.normalisation else { return Ok((weight, bias)) };
    let mut parts = Vec::new();
    for part in NORMALISATION {
        parts.push(file.read(&format!("{key}.{part}"))?.mapv(f64::from));
    }
    let [scale, shift, mean, variance] = &parts[..] else {
        return Err(Error::internal("batch normalisation", "it has four parts"));
    };
    for (channel, (mut filter, bias)) in weight.axis_iter_mut(Axis(0)).zip(&mut bias).enumerate() {
        if variance[[channel]] < 0.0 {
            let found = format!("{key}.running_var holds {} at index {channel}", variance[[channel]]);
            let advice = "The file is damaged: get it again";
            return Err(Error::input(file.path(), found, "variances of at least 0", advice));
        }
        let factor = scale[[channel]] / (variance[[channel]] + EPSILON).sqrt();
        filter.mapv_inplace(|value| (f64::from(value) * factor) as f32);
        *bias = ((f64::from(*bias) - mean[[channel]]) * factor + shift[[channel]]) as f32;
    }
    Ok((weight, bias))
}
