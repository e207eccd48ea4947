//! Where a network's weights come from: a file, or a seed.

use crate::error::{Error, Kind, Result};
use crate::io::weights::WeightFile;
use crate::networks::weights::{check, he_normal};
use crate::networks::{Entry, Network};
use ndarray::ArrayD;
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
            None => Ok(WeightSource::File(WeightFile::open(Path::new(text))?.as_torchvision())),
            Some(seed) => seed.trim().parse().map(WeightSource::Random).map_err(|_| {
                let wanted = "random:SEED with a whole number";
                Error::new(Kind::Usage, "--weights", format!("{text:?} has no seed"), wanted, "Try random:0")
            }),
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
                let weight = file.read(&format!("{}.weight", entry.key))?;
                let bias = file.read(&format!("{}.bias", entry.key))?;
                Ok((weight, bias.iter().copied().collect()))
            }
        }
    }
}
