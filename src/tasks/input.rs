//! What a readout reads: a layer of a network over images, or a file of features.

use super::record::InputRecord;
use crate::error::{Error, Kind, Result};
use crate::features::{FileSource, LayerRequest, NetworkSource, Source, WeightSource};
use crate::io::hash::sha256_path;
use crate::io::images::{Filter, Images, Normalise, Preparation, Size};
use crate::networks::Network;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What features are computed from. Kept in the record of a run, so that `predict` does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// A file of features.
    Features(FeaturesInput),
    /// Images through a network.
    Network(NetworkInput),
}

/// A file of features, images x anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeaturesInput {
    /// `.npy` or `.npz`.
    pub file: PathBuf,
    /// Number of features kept, and the seed that draws them.
    pub subsample: Option<(usize, u64)>,
}

/// Images, and what happens to them until they are features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkInput {
    /// A folder of images, or an array of them.
    pub images: PathBuf,
    /// The network's name.
    pub network: String,
    /// `FILE` or `random:SEED`; `None` for `pixels`.
    pub weights: Option<String>,
    /// Names of layers; none for `pixels`, one for a readout.
    pub layers: Vec<String>,
    /// Size that images are resized to.
    pub size: Option<Size>,
    /// How they are resized.
    pub filter: Filter,
    /// How they are normalised.
    pub normalise: NormaliseRequest,
    /// Side that maps are pooled to.
    pub pool: Option<usize>,
    /// Number of features kept, and the seed that draws them.
    pub subsample: Option<(usize, u64)>,
}

/// Normalisation, which may have to be measured first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormaliseRequest {
    /// Known numbers.
    As(Normalise),
    /// Mean and standard deviation of each channel over the training images.
    Data,
}

impl NetworkInput {
    /// Opens the images; reads headers only.
    ///
    /// # Errors
    /// Input, if there are no images.
    pub fn open_images(&self) -> Result<Images> {
        Images::open(&self.images)
    }

    /// The same input with its normalisation measured over the given images, if it has to be.
    ///
    /// # Errors
    /// Input, if an image cannot be used.
    pub fn measured(&self, train: &[usize]) -> Result<Self> {
        let mut input = self.clone();
        if input.normalise == NormaliseRequest::Data {
            let (mean, std) = self.open_images()?.channel_statistics(train, self.size, self.filter)?;
            input.normalise = NormaliseRequest::As(Normalise::Channels { mean, std });
        }
        Ok(input)
    }

    fn preparation(&self) -> Preparation {
        // Statistics that are not measured yet do not matter to shapes, which is all that is asked before.
        let normalise = match self.normalise {
            NormaliseRequest::As(known) => known,
            NormaliseRequest::Data => Normalise::None,
        };
        Preparation { size: self.size, filter: self.filter, normalise }
    }

    /// Opens images and weights and checks that they fit each other.
    ///
    /// # Errors
    /// Usage or Input, naming what does not fit.
    pub fn open(&self) -> Result<NetworkSource> {
        let network = Network::named(&self.network)?;
        let requests = if self.layers.is_empty() {
            vec![LayerRequest::new(&network, None, self.pool)?]
        } else {
            let request = |name: &String| LayerRequest::new(&network, Some(name), self.pool);
            self.layers.iter().map(request).collect::<Result<_>>()?
        };
        let weights = WeightSource::parse(self.weights.as_deref().unwrap_or("random:0"))?;
        let images = self.open_images()?;
        let mut source = NetworkSource::new(images, self.preparation(), network, weights, requests)?;
        if let Some((count, seed)) = self.subsample {
            source.subsample(count, seed)?;
        }
        Ok(source)
    }
}

impl Input {
    /// Opens what is there and checks that it fits together; reads headers only.
    ///
    /// # Errors
    /// As [`NetworkInput::open`].
    pub fn open(&self) -> Result<Source> {
        Ok(match self {
            Input::Features(features) => {
                let mut source = FileSource::open(&features.file)?;
                if let Some((count, seed)) = features.subsample {
                    source.subsample(count, seed)?;
                }
                Source::File(Box::new(source))
            }
            Input::Network(network) => Source::Network(Box::new(network.open()?)),
        })
    }

    /// The same input with its normalisation measured over the given images.
    ///
    /// # Errors
    /// As [`NetworkInput::measured`].
    pub fn measured(&self, train: &[usize]) -> Result<Self> {
        Ok(match self {
            Input::Features(features) => Input::Features(features.clone()),
            Input::Network(network) => Input::Network(network.measured(train)?),
        })
    }

    /// Refuses to write a result over the file behind it.
    ///
    /// # Errors
    /// Usage, if `out` is that file.
    pub fn keep(&self, out: &Path) -> Result<()> {
        let file = match self {
            Input::Features(features) => &features.file,
            Input::Network(network) => &network.images,
        };
        match (file.canonicalize(), out.canonicalize()) {
            (Ok(file), Ok(there)) if file == there => {
                let found = format!("{} is what features are computed from", out.display());
                Err(Error::new(Kind::Usage, "--out", found, "another file", "Choose another name"))
            }
            _ => Ok(()),
        }
    }

    /// The files behind it, with their hashes.
    ///
    /// # Errors
    /// Input, if one cannot be read.
    pub fn hashes(&self) -> Result<Vec<InputRecord>> {
        let file = |role: &str, path: &PathBuf| -> Result<InputRecord> {
            let (plain, _) = crate::io::npy::split_member(path);
            Ok(InputRecord { role: role.into(), path: path.clone(), sha256: sha256_path(&plain)? })
        };
        match self {
            Input::Features(features) => Ok(vec![file("features", &features.file)?]),
            Input::Network(network) => {
                let mut all = vec![file("images", &network.images)?];
                if let Some(weights) = network.weights.as_ref().filter(|w| !w.starts_with("random:")) {
                    all.push(file("weights", &PathBuf::from(weights))?);
                }
                Ok(all)
            }
        }
    }
}
