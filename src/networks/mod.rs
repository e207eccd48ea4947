//! Networks as data: which operation follows which, under which names. Nothing here knows a GPU.
//!
//! Every entry carries two names: its `key`, the module path in torchvision (`features.11`), under which
//! weights are stored, and its `name` in the literature (`relu3_1`). Indices count entries, not torchvision's
//! modules: dropout does nothing when a trained network is run, so it takes up a number in the keys but has
//! no entry.

mod catalogue;
pub mod manifest;
pub mod nearest;
mod places;
mod shapes;
pub mod weights;

pub use places::Places;
pub use shapes::{LARGEST_SIDE, NORMALISATION, Parameter, Shape};

use crate::error::{Error, Kind, Result};

/// Channels of the images that every network takes.
pub const INPUT_CHANNELS: usize = 3;

/// The names that [`Network::named`] knows.
pub const NAMES: [&str; 12] = [
    "pixels",
    "alexnet",
    "alexnet-krizhevsky",
    "caffenet",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
];

/// A feed-forward network: its entries run one after the other, the first on an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The operations in the order in which they run. Empty for `pixels`, whose features are the image
    /// itself.
    pub entries: Vec<Entry>,
}

/// One operation of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Module path in torchvision: `features.11`, `avgpool`, `classifier.1`.
    pub key: String,
    /// Name in the literature: `conv3_1`, `bn3_1`, `relu3_1`, `pool1`, `norm1`, `fc6`.
    pub name: String,
    /// What it does.
    pub operation: Operation,
    /// The convolution that this entry normalises by the statistics of its batches: its key, where the two are
    /// one step. Then `key` and `name` are those of the normalisation.
    pub normalises: Option<String>,
}

/// What an entry does to a map of channels by height by width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Cross-correlation with zero padding, plus a bias per output channel.
    /// Weight: (`outputs`, `inputs / groups`, `kernel`, `kernel`).
    Convolution {
        /// Channels read.
        inputs: usize,
        /// Channels written.
        outputs: usize,
        /// Side of the square kernel in pixels.
        kernel: usize,
        /// Step between outputs in pixels.
        stride: usize,
        /// Zeros added on each side, in pixels.
        padding: usize,
        /// Channels are cut into this many groups; each group of outputs reads its own group of inputs only.
        groups: usize,
    },
    /// max(0, x).
    Relu,
    /// Largest value in each window. Windows that would reach over the edge are left out (torch's
    /// `ceil_mode=False`; Caffe keeps them, which is the same on the 227 x 227 images for which its AlexNets
    /// were made).
    MaxPool {
        /// Side of the square window in pixels.
        kernel: usize,
        /// Step between windows in pixels.
        stride: usize,
    },
    /// Mean over `side` x `side` windows that cover the map: output (i, j) covers rows floor(i H / side) to
    /// ceil((i + 1) H / side), and columns likewise (torch's `AdaptiveAvgPool2d`).
    AdaptiveAveragePool {
        /// Height and width of the output.
        side: usize,
    },
    /// b = a / (k + alpha / size * sum a^2)^beta, the sum over `size` neighbouring channels centred on the
    /// own one and cut off at the first and last channel. This is the definition of PyTorch and of Caffe; in
    /// Krizhevsky et al. 2012, section 3.3, alpha is not divided by `size`.
    LocalResponseNormalisation {
        /// Channels in the sum, odd.
        size: usize,
        /// Factor of the sum.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Added to the sum.
        k: f32,
    },
    /// Matrix product plus bias, over the map flattened in the order channel, row, column.
    /// Weight: (`outputs`, `inputs`). Its output is a map of `outputs` channels and 1 x 1 pixels.
    Dense {
        /// Values read: channels times height times width.
        inputs: usize,
        /// Values written.
        outputs: usize,
    },
}

impl Network {
    /// The network of that name (see [`NAMES`]; upper and lower case are the same).
    ///
    /// # Errors
    /// [`Kind::Usage`] for an unknown name, with the known names, nearest first.
    pub fn named(name: &str) -> Result<Network> {
        let wanted = name.trim().to_lowercase();
        if let Some(known) = NAMES.into_iter().find(|known| *known == wanted) {
            return Ok(Network { name: known, entries: catalogue::entries(known) });
        }
        let known = nearest::sorted(&wanted, NAMES);
        Err(Error::new(
            Kind::Usage,
            "network",
            format!("there is no network called {name:?}"),
            format!("one of {}", known.join(", ")),
            format!("Did you mean {}?", known[0]),
        ))
    }

    /// Index of the entry called `layer`: a name of the literature (`relu3_1`) or a key of torchvision
    /// (`features.11`); upper and lower case are the same.
    ///
    /// # Errors
    /// [`Kind::Usage`] if there is no such entry, with the network's layers, nearest first.
    pub fn find(&self, layer: &str) -> Result<usize> {
        let wanted = layer.trim().to_lowercase();
        if let Some(index) = self.entries.iter().position(|entry| entry.key == wanted || entry.name == wanted)
        {
            return Ok(index);
        }
        let place = format!("layer of {}", self.name);
        let found = format!("{} has no layer called {layer:?}", self.name);
        if self.entries.is_empty() {
            let advice = "Leave the layer out: the features of this network are the image itself";
            return Err(Error::new(Kind::Usage, place, found, "no layer", advice));
        }
        // Whoever writes a dot means a key and is shown keys.
        let names = self.entries.iter().map(|e| if wanted.contains('.') { &e.key } else { &e.name });
        let known = nearest::sorted(&wanted, names.map(String::as_str));
        let advice = format!("Did you mean {}?", known[0]);
        Err(Error::new(Kind::Usage, place, found, format!("one of {}", known.join(", ")), advice))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn key_of(network: &str, layer: &str) -> String {
        let network = Network::named(network).unwrap();
        let index = network.find(layer).unwrap();
        network.entries[index].key.clone()
    }

    #[test]
    fn keys_are_the_module_paths_of_torchvision() {
        // Read off `print(torchvision.models.<name>())`.
        for (network, layer, key) in [
            ("vgg19", "pool1", "features.4"),
            ("vgg19", "relu3_1", "features.11"),
            ("vgg19", "conv5_4", "features.34"),
            ("vgg19", "pool5", "features.36"),
            ("vgg16", "relu3_3", "features.15"),
            ("vgg16", "pool5", "features.30"),
            ("vgg13", "pool5", "features.24"),
            ("vgg11", "conv3_2", "features.8"),
            ("vgg11", "pool5", "features.20"),
            ("vgg11", "fc6", "classifier.0"),
            ("vgg16", "relu7", "classifier.4"),
            ("vgg19", "fc8", "classifier.6"),
            ("vgg11_bn", "bn1_1", "features.1"),
            ("vgg11_bn", "relu1_1", "features.2"),
            ("vgg11_bn", "pool5", "features.28"),
            ("vgg13_bn", "pool1", "features.6"),
            ("vgg16_bn", "relu3_3", "features.22"),
            ("vgg16_bn", "pool5", "features.43"),
            ("vgg19_bn", "bn3_1", "features.15"),
            ("vgg19_bn", "pool5", "features.52"),
            ("vgg19_bn", "fc8", "classifier.6"),
            ("alexnet", "conv1", "features.0"),
            ("alexnet", "pool2", "features.5"),
            ("alexnet", "relu5", "features.11"),
            ("alexnet", "pool5", "features.12"),
            ("alexnet", "avgpool", "avgpool"),
            ("alexnet", "fc6", "classifier.1"),
            ("alexnet", "relu6", "classifier.2"),
            ("alexnet", "fc7", "classifier.4"),
            ("alexnet", "fc8", "classifier.6"),
            ("caffenet", "pool1", "features.2"),
            ("caffenet", "norm1", "features.3"),
            ("caffenet", "conv2", "features.4"),
            ("alexnet-krizhevsky", "norm1", "features.2"),
            ("alexnet-krizhevsky", "conv2", "features.4"),
            ("alexnet-krizhevsky", "pool5", "features.14"),
        ] {
            assert_eq!(key_of(network, layer), key, "{network} {layer}");
            assert_eq!(key_of(network, &key.to_uppercase()), key, "{network} {key}");
        }
    }

    #[test]
    fn names_and_keys_are_unique_lower_case_and_lead_back_to_their_entry() {
        for name in NAMES {
            let network = Network::named(&name.to_uppercase()).unwrap();
            assert_eq!(network.name, name);
            for (index, entry) in network.entries.iter().enumerate() {
                assert_eq!(network.find(&entry.key).unwrap(), index, "{name} {}", entry.key);
                assert_eq!(network.find(&entry.name).unwrap(), index, "{name} {}", entry.name);
            }
        }
        assert_eq!(Network::named("vgg19").unwrap().entries.len(), 37 + 1 + 5);
    }

    #[test]
    fn an_unknown_network_names_the_nearest_first() {
        let error = Network::named("vgg91").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let said = error.to_string();
        assert!(said.contains("Did you mean vgg"), "{said}");
        assert!(NAMES.iter().all(|name| said.contains(name)), "{said}");
        let said = Network::named("alex-net").unwrap_err().to_string();
        assert!(said.contains("Did you mean alexnet?"), "{said}");
    }

    #[test]
    fn an_unknown_layer_names_the_nearest_first() {
        let network = Network::named("vgg16").unwrap();
        let said = network.find("relu3_4").unwrap_err().to_string();
        assert!(said.contains("one of relu3_"), "{said}");
        let said = network.find("features.300").unwrap_err().to_string();
        assert!(said.contains("Did you mean features.30?"), "{said}");
        let said = Network::named("pixels").unwrap().find("relu1_1").unwrap_err().to_string();
        assert!(said.contains("the image itself"), "{said}");
    }
}
