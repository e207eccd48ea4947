//! Where features come from: a network over images, or an array that is there already.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use striate::io::images::Images;
use striate::io::npy;
use striate::io::resize::{Filter, Size};
use striate::io::weights::WeightFile;
use striate::networks::{self, Network, Shape};
use striate::{Error, Kind, Result};

use super::values::{self, Weights};

/// Images, and the network that runs over them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Features from a network")]
pub struct NetworkArgs {
    /// A folder of PNG, JPEG or TIFF files (in natural order), or a .npy or .npz of images.
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// The network.
    #[arg(long, value_parser = PossibleValuesParser::new(networks::NAMES), value_name = "NAME")]
    pub net: Option<String>,
    /// Its weights: a safetensors file, a PyTorch checkpoint, or random:SEED. Not for pixels.
    #[arg(long, value_name = "FILE|random:SEED")]
    pub weights: Option<Weights>,
    /// The layer, as in the literature (relu3_1) or in torchvision (features.11). Not for pixels.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub layer: Vec<String>,
    /// Resize images to this: 56, or height x width as 56x48 [default: as they are].
    #[arg(long, value_parser = values::size, value_name = "PIXELS")]
    pub size: Option<Size>,
    /// How images are resized.
    #[arg(long, value_parser = values::filter(), default_value = "bilinear", value_name = "NAME")]
    pub filter: Filter,
    /// What pixels become: torchvision's or Caffe's input, left as they are (0..255), or minus the mean and over
    /// the deviation of the training images [default: imagenet; caffe for caffenet and alexnet-krizhevsky].
    #[arg(long, value_enum, value_name = "NAME")]
    pub normalise: Option<NormaliseChoice>,
    /// Average each map of the layer to N x N.
    #[arg(long, value_parser = values::positive, value_name = "N")]
    pub pool: Option<usize>,
    /// Keep N features, drawn at random.
    #[arg(long, value_parser = values::positive, value_name = "N")]
    pub subsample: Option<usize>,
    /// The seed that draws them [default: --seed].
    #[arg(long, value_name = "N")]
    pub subsample_seed: Option<u64>,
}

/// What `--normalise` says. `data` needs the images before it becomes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of the option")]
pub enum NormaliseChoice {
    Imagenet,
    Caffe,
    None,
    Data,
}

/// A layer of a network.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// Its name in the literature; `pixels` for the image itself.
    pub name: String,
    /// Index of its entry; none for `pixels`.
    pub entry: Option<usize>,
}

/// A checked description of features: a network, its layers, and what happens before and after.
#[derive(Debug, Clone, Serialize)]
pub struct Extraction {
    /// The images.
    pub images: PathBuf,
    /// The network.
    #[serde(serialize_with = "network_name")]
    pub network: Network,
    /// Its weights; none for `pixels`.
    pub weights: Option<Weights>,
    /// The layers, at least one.
    pub layers: Vec<Layer>,
    /// Size of the network's input; `None` keeps the images' own.
    pub size: Option<Size>,
    /// How images are resized.
    pub filter: Filter,
    /// What pixels become.
    pub normalise: NormaliseChoice,
    /// Side to which each map is averaged.
    pub pool: Option<usize>,
    /// How many features are kept, and the seed that draws them.
    pub subsample: Option<(usize, u64)>,
}

fn network_name<S: serde::Serializer>(network: &Network, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(network.name)
}

/// What an [`Extraction`] will give: known before any pixel is decoded.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// Number of images.
    pub images: usize,
    /// Size of the network's input.
    pub input: Size,
    /// For each layer the map after pooling: channels, height, width.
    pub maps: Vec<[usize; 3]>,
    /// For each layer the number of features of an image.
    pub features: Vec<usize>,
}

/// Images opened, and the forecast.
pub struct Opened {
    /// The images.
    pub images: Images,
    /// What will come out.
    pub forecast: Forecast,
}

/// The error of an option that is not there.
pub fn missing(option: &str, wanted: &str) -> Error {
    Error::new(Kind::Usage, option, "is missing", wanted, "Add it, or put it into --config FILE.toml")
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
    pub fn extraction(&self, seed: u64) -> Result<Extraction> {
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
        if !pixels && self.layer.is_empty() {
            return Err(missing("--layer", "a layer such as relu3_1"));
        }
        let mut layers: Vec<Layer> = Vec::new();
        for name in &self.layer {
            let entry = network.find(name)?;
            let name = network.entries[entry].name.clone();
            if layers.iter().any(|layer| layer.entry == Some(entry)) {
                let found = format!("{name} is named twice");
                return Err(Error::new(Kind::Usage, "--layer", found, "each layer once", ""));
            }
            layers.push(Layer { name, entry: Some(entry) });
        }
        if pixels {
            layers.push(Layer { name: "pixels".into(), entry: None });
        }
        let usual = match network.name {
            "caffenet" | "alexnet-krizhevsky" => NormaliseChoice::Caffe,
            _ => NormaliseChoice::Imagenet,
        };
        Ok(Extraction {
            images,
            network,
            weights: self.weights.clone(),
            layers,
            size: self.size,
            filter: self.filter,
            normalise: self.normalise.unwrap_or(usual),
            pool: self.pool,
            subsample: self.subsample(seed)?,
        })
    }
}

impl Extraction {
    /// Opens images and weights and computes what will come out, without a GPU and without decoding.
    ///
    /// # Errors
    /// When images or weights cannot be opened or do not fit, or a layer is too small for `--pool`.
    pub fn open(&self) -> Result<Opened> {
        let images = Images::open(&self.images)?;
        let input = match self.size {
            Some(size) => size,
            None => {
                let description = images.describe()?;
                description.sizes.first().copied().ok_or_else(|| Error::internal("images", "have no size"))?
            }
        };
        let last = self.layers.iter().filter_map(|layer| layer.entry).max();
        if let Some(Weights::File(file)) = &self.weights {
            check_weights(&self.network, last.unwrap_or(0), file)?;
        }
        let shapes = match last {
            Some(last) => self.network.shapes(input.height, input.width, last)?,
            None => Vec::new(),
        };
        let image = Shape { channels: networks::INPUT_CHANNELS, height: input.height, width: input.width };
        let maps = self
            .layers
            .iter()
            .map(|layer| self.pooled(&layer.name, layer.entry.map_or(image, |entry| shapes[entry])))
            .collect::<Result<Vec<_>>>()?;
        let count = |map: &[usize; 3]| {
            let all = map.iter().product();
            self.subsample.map_or(all, |(kept, _)| kept.min(all))
        };
        let features = maps.iter().map(count).collect();
        let forecast = Forecast { images: images.len(), input, maps, features };
        Ok(Opened { images, forecast })
    }

    fn pooled(&self, layer: &str, shape: Shape) -> Result<[usize; 3]> {
        let Shape { channels, height, width } = shape;
        match self.pool {
            Some(side) if side > height.min(width) => {
                let found =
                    format!("{layer} is {height} x {width} here and cannot be averaged to {side} x {side}");
                let wanted = format!("at most {}", height.min(width));
                Err(Error::new(Kind::Usage, "--pool", found, wanted, "Lower --pool, or raise --size"))
            }
            Some(side) => Ok([channels, side, side]),
            None => Ok([channels, height, width]),
        }
    }
}

fn check_weights(network: &Network, last: usize, file: &Path) -> Result<()> {
    let weights = WeightFile::open(file)?.as_torchvision();
    let tensors: Vec<_> = weights.tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
    networks::weights::check(network, last, file, &tensors)
}

/// Shape of an array of features: images, and features of each.
///
/// # Errors
/// When it is not one array of at least two axes with something in it.
pub fn feature_array(path: &Path) -> Result<(usize, usize)> {
    let (file, member) = npy::split_member(path);
    let arrays = npy::info(&file)?;
    let wanted = "an array of images x anything";
    let found = |what: String| Err(Error::input(path, what, wanted, "Save the features with numpy.save"));
    let mut chosen = arrays.iter().filter(|a| member.is_none() || a.name == member);
    let (Some(array), None) = (chosen.next(), chosen.next()) else {
        return found(format!("there is not exactly one such array among {}", arrays.len()));
    };
    match array.shape.split_first() {
        Some((&images, rest)) if !rest.is_empty() && images > 0 && !rest.contains(&0) => {
            Ok((images, rest.iter().product()))
        }
        _ => found(format!("the array has the shape {:?}", array.shape)),
    }
}
