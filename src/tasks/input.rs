//! What a readout reads: a layer of a network over images, or a file of features.

use crate::error::{Error, Kind, Result};
use crate::features::{Convolution, FileSource, LayerRequest, NetworkSource, Source, WeightSource};
use crate::io::images::{Filter, Images, Normalise, Preparation, Size};
use crate::io::npy::split_member;
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
    /// Size that images are resized to; in the record of a run never `None`.
    pub size: Option<Size>,
    /// How they are resized.
    pub filter: Filter,
    /// How they are normalised.
    pub normalise: NormaliseRequest,
    /// Side that maps are pooled to.
    pub pool: Option<usize>,
    /// Number of features kept, and the seed that draws them.
    pub subsample: Option<(usize, u64)>,
    /// How convolutions are computed.
    #[serde(default = "Convolution::direct")]
    pub convolution: Convolution,
    /// Bits of the images' whole numbers that are wider than a byte; in the record of a run those that were
    /// found, so that new images are read on the same scale.
    #[serde(default)]
    pub bits: Option<u32>,
    /// What a person should know of how images and weights were read.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Normalisation, which may have to be measured first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormaliseRequest {
    /// Known numbers.
    As(Normalise),
    /// Mean and standard deviation of each channel over the images that are fitted; of features, over all.
    Data,
}

impl NetworkInput {
    /// Opens the images; reads headers only.
    ///
    /// # Errors
    /// Input, if there are no images.
    pub fn open_images(&self) -> Result<Images> {
        Ok(Images::open(&self.images)?.with_bits(self.bits))
    }

    /// The same input with the bits of its images, and with what a person should know of how they and the
    /// weights were read. Decoding takes at most `memory` bytes at once.
    ///
    /// # Errors
    /// Input, if an image cannot be used.
    pub fn looked_at(&self, memory: u64) -> Result<Self> {
        let (bits, mut notes) = self.open_images()?.within(memory).reading()?;
        notes.extend(self.weight_source()?.notes());
        Ok(NetworkInput { bits: bits.or(self.bits), notes, ..self.clone() })
    }

    /// The same input looked at, with its normalisation measured over the given images, if it has to be.
    /// Decoding takes at most `memory` bytes at once.
    ///
    /// # Errors
    /// Input, if an image cannot be used.
    pub fn measured(&self, train: &[usize], memory: u64) -> Result<Self> {
        let mut input = self.looked_at(memory)?;
        if input.normalise == NormaliseRequest::Data {
            let images = input.open_images()?.within(memory);
            let (mean, std) = images.channel_statistics(train, self.size, self.filter)?;
            input.normalise = NormaliseRequest::As(Normalise::Channels { mean, std });
        }
        Ok(input)
    }

    /// The size that images have when they enter the network.
    ///
    /// # Errors
    /// Input, if the first image cannot be read.
    pub fn image_size(&self) -> Result<Size> {
        self.open_images()?.data_size_for(&self.preparation())
    }

    fn weight_source(&self) -> Result<WeightSource> {
        WeightSource::parse(self.weights.as_deref().unwrap_or("random:0"))
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
        self.over(self.open_images()?)
    }

    /// Checks what can be checked without images: the network, its layers and the file of weights.
    ///
    /// # Errors
    /// Usage or Input, naming what is not there or does not fit.
    pub fn check(&self) -> Result<()> {
        let network = Network::named(&self.network)?;
        let entries = self.layers.iter().map(|name| network.find(name)).collect::<Result<Vec<_>>>()?;
        let weights = self.weight_source()?;
        entries.into_iter().max().map_or(Ok(()), |last| weights.check(&network, last))
    }

    /// The same over other images.
    ///
    /// # Errors
    /// As [`NetworkInput::open`].
    pub fn over(&self, images: Images) -> Result<NetworkSource> {
        let network = Network::named(&self.network)?;
        let requests = if self.layers.is_empty() {
            vec![LayerRequest::new(&network, None, self.pool)?]
        } else {
            let request = |name: &String| LayerRequest::new(&network, Some(name), self.pool);
            self.layers.iter().map(request).collect::<Result<_>>()?
        };
        let weights = self.weight_source()?;
        let mut source = NetworkSource::new(images, self.preparation(), network, weights, requests)?;
        source.convolve_by(self.convolution);
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

    /// Checks what can be checked without images.
    ///
    /// # Errors
    /// As [`NetworkInput::check`]; Input, if a file of features cannot be read.
    pub fn check(&self) -> Result<()> {
        match self {
            Input::Features(_) => self.open().map(drop),
            Input::Network(network) => network.check(),
        }
    }

    /// The same input looked at.
    ///
    /// # Errors
    /// As [`NetworkInput::looked_at`].
    pub fn looked_at(&self, memory: u64) -> Result<Self> {
        Ok(match self {
            Input::Features(features) => Input::Features(features.clone()),
            Input::Network(network) => Input::Network(network.looked_at(memory)?),
        })
    }

    /// The same input with its normalisation measured over the given images.
    ///
    /// # Errors
    /// As [`NetworkInput::measured`].
    pub fn measured(&self, train: &[usize], memory: u64) -> Result<Self> {
        Ok(match self {
            Input::Features(features) => Input::Features(features.clone()),
            Input::Network(network) => Input::Network(network.measured(train, memory)?),
        })
    }

    /// What a person should know of how images and weights were read.
    pub fn notes(&self) -> &[String] {
        match self {
            Input::Features(_) => &[],
            Input::Network(network) => &network.notes,
        }
    }

    /// The same input with the size that its images have where none was asked for, so that other images are
    /// resized to it. Not for the fit itself, which refuses images of different sizes rather than resize them
    /// unasked.
    ///
    /// # Errors
    /// Input, if the first image cannot be read.
    pub fn sized(&self) -> Result<Self> {
        let Input::Network(network) = self else { return Ok(self.clone()) };
        let size = Some(network.image_size()?);
        Ok(Input::Network(NetworkInput { size, ..network.clone() }))
    }

    /// The files and folders behind it, each with its role.
    pub(super) fn files(&self) -> Vec<(&'static str, PathBuf)> {
        match self {
            Input::Features(features) => vec![("features", features.file.clone())],
            Input::Network(network) => {
                let weights = network.weights.iter().filter(|w| !w.starts_with("random:"));
                let weights = weights.map(|w| ("weights", PathBuf::from(w)));
                std::iter::once(("images", network.images.clone())).chain(weights).collect()
            }
        }
    }
}

/// Refuses a result that would replace something that is read: a file, a folder around it, or a file in a
/// folder.
///
/// # Errors
/// Usage, naming what would be lost.
pub(super) fn keep(out: &Path, inputs: &[(&str, PathBuf)]) -> Result<()> {
    let Ok(there) = out.canonicalize() else { return Ok(()) };
    for (role, path) in inputs {
        let Ok(input) = split_member(path).0.canonicalize() else { continue };
        if input.starts_with(&there) || (there.is_file() && there.parent() == Some(&input)) {
            let found = format!("{} would replace {} ({role})", out.display(), path.display());
            return Err(Error::new(Kind::Usage, "--out", found, "another place", "Choose another name"));
        }
    }
    Ok(())
}
