//! Where features come from: a network over images, or an array that is there already.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use striate::gpu::Gpu;
use striate::io::images::Normalise;
use striate::io::resize::{Filter, Size};
use striate::networks::{self, Network};
use striate::tasks::{Convolution, FeaturesInput, Input, NetworkInput, NormaliseRequest, published};
use striate::{Error, Kind, Result};

use super::common::{Common, INPUT, NETWORK};
use super::values;

/// Images, and the network that runs over them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = NETWORK)]
pub struct NetworkArgs {
    /// A folder of PNG, JPEG or TIFF files (in natural order), a TIFF of several pages, or an array of images
    /// in a .npy, .npz, HDF5 or MATLAB file (FILE:NAME where it holds several).
    #[arg(long, value_name = "FOLDER|FILE", help_heading = INPUT)]
    pub images: Option<PathBuf>,
    /// The network.
    #[arg(long, value_parser = PossibleValuesParser::new(networks::NAMES), value_name = "NAME")]
    pub net: Option<String>,
    /// Its weights: a safetensors file, a PyTorch checkpoint, a published file by its name (see striate
    /// weights), or random:SEED. Not for pixels.
    #[arg(long, value_parser = values::weights, value_name = "FILE|random:SEED")]
    pub weights: Option<String>,
    /// The layer, as in the literature (relu3_1) or in torchvision (features.11). Not for pixels.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub layer: Vec<String>,
    /// Resize images to this: 56, or height x width as 56x48 [default: as they are].
    #[arg(long, value_parser = values::size, value_name = "PIXELS")]
    pub size: Option<Size>,
    /// How images are resized.
    #[arg(long, value_parser = values::filter(), default_value = "bilinear", value_name = "NAME")]
    pub filter: Filter,
    /// What pixels become: torchvision's or Caffe's input, left as they are (0..255), or (data) less the
    /// mean and over the deviation of the images: in fit those that the readout is fitted to, in features all
    /// [default: imagenet; caffe for caffenet and alexnet-krizhevsky].
    #[arg(long, value_enum, value_name = "NAME")]
    pub normalise: Option<NormaliseChoice>,
    /// Bit depth of images stored in whole numbers wider than a byte: with 12, white is 4095 [default: the
    /// fewest of 8, 10, 12, 14 and 16 that hold the largest value of all images].
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=16), value_name = "N")]
    pub bits: Option<u32>,
    /// Average each map of the layer to N x N.
    #[arg(long, value_parser = values::positive, value_name = "N")]
    pub pool: Option<usize>,
    /// Keep N features, drawn at random.
    #[arg(long, value_parser = values::positive, value_name = "N")]
    pub subsample: Option<usize>,
    /// The seed that draws them [default: --seed].
    #[arg(long, value_name = "N")]
    pub subsample_seed: Option<u64>,
    /// How convolutions are computed: auto takes the faster of direct sums and Winograd's products layer by
    /// layer; winograd6 cuts maps into larger tiles, with ten times the rounding.
    #[arg(long, value_parser = values::convolution(), default_value = "auto", value_name = "METHOD")]
    pub convolution: Convolution,
}

/// What `--normalise` says. `data` needs the images before it becomes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are those of the option")]
pub enum NormaliseChoice {
    Imagenet,
    Caffe,
    None,
    Data,
}

/// The error of an option that is not there.
pub fn missing(option: &str, wanted: &str) -> Error {
    Error::new(Kind::Usage, option, "is missing", wanted, "Add it, or put it into --config FILE.toml")
}

/// What one readout reads: a file of features, or one layer of a network. `network` gives the network's
/// input, and `advice` says what to do with several layers.
///
/// # Errors
/// [`Kind::Usage`], naming the option that is missing or superfluous.
pub fn one_layer(
    features: Option<&PathBuf>,
    arguments: &NetworkArgs,
    seed: u64,
    network: impl FnOnce(&NetworkArgs, u64) -> Result<NetworkInput>,
    advice: &str,
) -> Result<Input> {
    match (features, arguments.any()) {
        (Some(file), None) => {
            let subsample = arguments.subsample(seed)?;
            Ok(Input::Features(FeaturesInput { file: file.clone(), subsample }))
        }
        (Some(_), Some(option)) => Err(exclusive(option)),
        (None, None) => Err(missing("--images", "images and a network, or --features FILE.npy")),
        (None, Some(_)) => {
            let input = network(arguments, seed)?;
            if input.layers.len() > 1 {
                let found = format!("{} layers", input.layers.len());
                return Err(Error::new(Kind::Usage, "--layer", found, "one layer", advice));
            }
            Ok(Input::Network(input))
        }
    }
}

/// Says what a person should know of how images and weights are read.
///
/// # Errors
/// As [`Input::looked_at`].
pub fn announce(input: &Input, gpu: &Gpu, common: &Common) -> Result<()> {
    for note in input.looked_at(gpu.ledger().budget())?.notes() {
        common.say(format_args!("warning: {note}"));
    }
    Ok(())
}

/// The error of an option that stands beside `--features`.
pub fn exclusive(option: &str) -> Error {
    let advice = format!("Leave {option} or --features out");
    Error::new(Kind::Usage, option, "--features is given too, and takes its place", "", advice)
}

impl NetworkArgs {
    /// The first of these options that was given, for an error.
    pub fn any(&self) -> Option<&'static str> {
        let given = [
            ("--images", self.images.is_some()),
            ("--net", self.net.is_some()),
            ("--weights", self.weights.is_some()),
            ("--layer", !self.layer.is_empty()),
            ("--size", self.size.is_some()),
            ("--normalise", self.normalise.is_some()),
            ("--pool", self.pool.is_some()),
        ];
        given.iter().find(|(_, given)| *given).map(|(name, _)| *name)
    }

    /// The same over the images of a recording, unless a file of features takes their place.
    pub fn over(&self, images: Option<PathBuf>, features: Option<&PathBuf>) -> Self {
        let images = if features.is_some() { self.images.clone() } else { images };
        NetworkArgs { images, ..self.clone() }
    }

    /// How many features to keep, and the seed that draws them.
    pub fn subsample(&self, seed: u64) -> Result<Option<(usize, u64)>> {
        match (self.subsample, self.subsample_seed) {
            (None, Some(_)) => Err(missing("--subsample", "a number of features beside --subsample-seed")),
            (count, own) => Ok(count.map(|count| (count, own.unwrap_or(seed)))),
        }
    }

    /// Checks the options against each other. `seed` is that of `--seed`.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing, unknown or superfluous.
    pub fn input(&self, seed: u64) -> Result<NetworkInput> {
        let input = self.input_of_any_layer(seed)?;
        if input.layers.is_empty() && input.weights.is_some() {
            return Err(missing("--layer", "a layer such as relu3_1"));
        }
        Ok(input)
    }

    /// The same, where the layer may be named elsewhere.
    ///
    /// # Errors
    /// As [`NetworkArgs::input`].
    pub fn input_of_any_layer(&self, seed: u64) -> Result<NetworkInput> {
        let images =
            self.images.clone().ok_or_else(|| missing("--images", "a folder or an array of images"))?;
        let net = self.net.as_deref().ok_or_else(|| missing("--net", &networks::NAMES.join(", ")))?;
        let network = Network::named(net)?;
        let pixels = network.entries.is_empty();
        if pixels && (self.weights.is_some() || !self.layer.is_empty()) {
            let option = if self.weights.is_some() { "--weights" } else { "--layer" };
            let advice = format!("Leave {option} out, or choose another --net");
            return Err(Error::new(Kind::Usage, option, "pixels has no layers and no weights", "", advice));
        }
        if !pixels && self.weights.is_none() {
            return Err(missing("--weights", "a file of weights, or random:0 for random ones"));
        }
        let usual = match network.name {
            "caffenet" | "alexnet-krizhevsky" => NormaliseChoice::Caffe,
            _ => NormaliseChoice::Imagenet,
        };
        Ok(NetworkInput {
            images,
            layers: self.layers(&network)?,
            network: network.name.into(),
            weights: self.weights.as_deref().map(published::locate).transpose()?,
            size: self.size,
            filter: self.filter,
            normalise: match self.normalise.unwrap_or(usual) {
                NormaliseChoice::Imagenet => NormaliseRequest::As(Normalise::Imagenet),
                NormaliseChoice::Caffe => NormaliseRequest::As(Normalise::Caffe),
                NormaliseChoice::None => NormaliseRequest::As(Normalise::None),
                NormaliseChoice::Data => NormaliseRequest::Data,
            },
            pool: self.pool,
            subsample: self.subsample(seed)?,
            convolution: self.convolution,
            bits: self.bits,
            notes: Vec::new(),
        })
    }

    /// The layers by their names in the literature, each once.
    fn layers(&self, network: &Network) -> Result<Vec<String>> {
        let mut layers: Vec<String> = Vec::new();
        for name in &self.layer {
            let name = network.entries[network.find(name)?].name.clone();
            if layers.contains(&name) {
                let found = format!("{name} is named twice");
                return Err(Error::new(Kind::Usage, "--layer", found, "each layer once", ""));
            }
            layers.push(name);
        }
        Ok(layers)
    }
}
