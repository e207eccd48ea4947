//! What a network makes of an image's size: shapes, parameters, work.

use super::{Entry, INPUT_CHANNELS, Network, Operation};
use crate::error::{Error, Kind, Result};

/// Images with a longer side are refused, so that no product of sizes here can overflow.
pub const LARGEST_SIDE: usize = 65_535;

/// Size of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows in pixels.
    pub height: usize,
    /// Columns in pixels.
    pub width: usize,
}

impl Shape {
    /// Values in the map.
    pub fn values(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// The weight and bias of an entry, as torch stores them under `<key>.weight` and `<key>.bias`, and those of
/// the batch normalisation in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The key of the convolution or dense layer, e.g. `features.10`.
    pub key: String,
    /// (outputs, inputs / groups, kernel, kernel) of a convolution, (outputs, inputs) of a dense layer.
    pub weight_shape: Vec<usize>,
    /// (outputs).
    pub bias_shape: Vec<usize>,
    /// The key of the batch normalisation, e.g. `features.11`: its [`NORMALISATION`] have the bias's shape.
    pub normalisation: Option<String>,
}

/// What torch stores of a batch normalisation: `y = (x - running_mean) / sqrt(running_var + 1e-5) * weight +
/// bias`, channel by channel.
pub const NORMALISATION: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

impl Parameter {
    /// Names and shapes of all its tensors, as torch stores them.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let weight = (format!("{}.weight", self.key), self.weight_shape.clone());
        let bias = (format!("{}.bias", self.key), self.bias_shape.clone());
        let of = |key| NORMALISATION.map(|part| (format!("{key}.{part}"), self.bias_shape.clone()));
        [weight, bias].into_iter().chain(self.normalisation.iter().flat_map(of)).collect()
    }
}

impl Entry {
    /// The weight and bias this entry needs, or `None` if it has none.
    pub fn parameter(&self) -> Option<Parameter> {
        let (weight_shape, outputs) = match self.operation {
            Operation::Convolution { inputs, outputs, kernel, groups, .. } => {
                (vec![outputs, inputs / groups, kernel, kernel], outputs)
            }
            Operation::Dense { inputs, outputs } => (vec![outputs, inputs], outputs),
            _ => return None,
        };
        let (key, normalisation) = match &self.normalises {
            Some(convolution) => (convolution.clone(), Some(self.key.clone())),
            None => (self.key.clone(), None),
        };
        Some(Parameter { key, weight_shape, bias_shape: vec![outputs], normalisation })
    }
}

impl Operation {
    /// The map this operation makes of a map, or `None` if it cannot take it.
    fn shape_after(&self, map: Shape) -> Option<Shape> {
        let sides = |channels, after: &dyn Fn(usize) -> Option<usize>| {
            Some(Shape { channels, height: after(map.height)?, width: after(map.width)? })
        };
        match *self {
            Operation::Relu | Operation::LocalResponseNormalisation { .. } => Some(map),
            Operation::Convolution { inputs, outputs, kernel, stride, padding, .. }
                if inputs == map.channels =>
            {
                sides(outputs, &|side| Some((side + 2 * padding).checked_sub(kernel)? / stride + 1))
            }
            Operation::MaxPool { kernel, stride } => {
                sides(map.channels, &|side| Some(side.checked_sub(kernel)? / stride + 1))
            }
            Operation::AdaptiveAveragePool { side } => sides(map.channels, &|_| Some(side)),
            Operation::Dense { inputs, outputs } if inputs == map.values() => {
                Some(Shape { channels: outputs, height: 1, width: 1 })
            }
            Operation::Convolution { .. } | Operation::Dense { .. } => None,
        }
    }

    /// Multiplications that are added up (half the FLOPs) to make a map of that shape.
    fn macs(&self, after: Shape) -> u64 {
        match *self {
            Operation::Convolution { inputs, kernel, groups, .. } => {
                after.values() as u64 * (inputs / groups * kernel * kernel) as u64
            }
            Operation::Dense { inputs, outputs } => (inputs * outputs) as u64,
            _ => 0,
        }
    }
}

impl Network {
    /// The weights and biases that the entries up to and with `index` need, in order.
    pub fn parameters_up_to(&self, index: usize) -> Vec<Parameter> {
        self.entries.iter().take(index.saturating_add(1)).filter_map(Entry::parameter).collect()
    }

    /// The map after each entry up to and with `up_to`, for images of `height` x `width` pixels and three
    /// channels. Element i is the map after entry i; there is none for `pixels`.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the image is too small or too large for an entry; says which side would do.
    pub fn shapes(&self, height: usize, width: usize, up_to: usize) -> Result<Vec<Shape>> {
        if height.min(width) == 0 || height.max(width) > LARGEST_SIDE {
            return Err(Error::new(
                Kind::Usage,
                "image size",
                format!("images of {height} x {width} pixels cannot be shown to a network"),
                format!("sides of 1 to {LARGEST_SIDE} pixels"),
                "Check the size",
            ));
        }
        self.propagate(height, width, up_to).map_err(|(entry, before)| {
            let Shape { channels, height: rows, width: columns } = before;
            let fits = |side: usize| self.propagate(side, side, up_to).is_ok();
            let wanted = match (1..=LARGEST_SIDE).find(|&side| fits(side)) {
                Some(side) if fits(LARGEST_SIDE) => format!("at least {side} pixels on each side"),
                Some(side) => format!("{side} x {side} pixels, the size its dense layers are made for"),
                None => String::new(),
            };
            Error::new(
                Kind::Usage,
                format!("{} of {}", entry.name, self.name),
                format!(
                    "images of {height} x {width} pixels do not fit: {rows} x {columns} pixels of {channels} \
                     channels are left of them here"
                ),
                wanted,
                "Resize the images or choose an earlier layer",
            )
        })
    }

    /// Multiply-adds per image of each entry up to and with `up_to` (twice that is FLOPs): those of
    /// convolutions and dense layers; biases, pooling and the like count nothing.
    ///
    /// # Errors
    /// Those of [`Network::shapes`].
    pub fn macs(&self, height: usize, width: usize, up_to: usize) -> Result<Vec<u64>> {
        let shapes = self.shapes(height, width, up_to)?;
        Ok(self.entries.iter().zip(shapes).map(|(entry, after)| entry.operation.macs(after)).collect())
    }

    /// The map after each entry; or else the first entry that cannot take its map, and that map.
    fn propagate(
        &self,
        height: usize,
        width: usize,
        up_to: usize,
    ) -> std::result::Result<Vec<Shape>, (&Entry, Shape)> {
        let mut map = Shape { channels: INPUT_CHANNELS, height, width };
        let mut shapes = Vec::new();
        for entry in self.entries.iter().take(up_to.saturating_add(1)) {
            map = entry.operation.shape_after(map).ok_or((entry, map))?;
            shapes.push(map);
        }
        Ok(shapes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::NAMES;
    use super::*;

    fn map(network: &str, side: usize, layer: &str) -> [usize; 3] {
        let network = Network::named(network).unwrap();
        let shapes = network.shapes(side, side, network.find(layer).unwrap()).unwrap();
        let last = shapes.last().unwrap();
        [last.channels, last.height, last.width]
    }

    #[test]
    fn shapes_of_the_papers() {
        assert_eq!(map("vgg19", 224, "relu3_1"), [256, 56, 56]);
        assert_eq!(map("vgg19", 112, "pool1"), [64, 56, 56]);
        assert_eq!(map("vgg16", 224, "pool5"), [512, 7, 7]);
        assert_eq!(map("vgg11", 40, "fc8"), [1000, 1, 1]);
        assert_eq!(map("alexnet", 224, "relu1"), [64, 55, 55]);
        assert_eq!(map("alexnet", 224, "pool5"), [256, 6, 6]);
        assert_eq!(map("alexnet-krizhevsky", 227, "norm1"), [96, 55, 55]);
        assert_eq!(map("caffenet", 227, "norm1"), [96, 27, 27]);
        assert_eq!(map("caffenet", 227, "relu2"), [256, 27, 27]);
        assert_eq!(map("caffenet", 227, "fc8"), [1000, 1, 1]);
    }

    #[test]
    fn work_agrees_with_figures_derived_elsewhere() {
        // MFLOP of all convolutions, to a tenth.
        for (name, side, layer, wanted) in [
            ("vgg19", 224, "pool5", 39016.9),
            ("vgg19", 48, "pool5", 1791.6),
            ("vgg16", 224, "pool5", 30693.3),
            ("alexnet", 224, "pool5", 1311.1),
            ("alexnet-krizhevsky", 227, "pool5", 1331.6),
            ("caffenet", 227, "pool5", 1331.6),
        ] {
            let network = Network::named(name).unwrap();
            let macs = network.macs(side, side, network.find(layer).unwrap()).unwrap();
            let mflop = 2e-6 * macs.iter().sum::<u64>() as f64;
            assert!((mflop - wanted).abs() <= 0.051, "{name} at {side}: {mflop} MFLOP, not {wanted}");
        }
        let network = Network::named("vgg19").unwrap();
        let macs = network.macs(36, 64, network.find("pool5").unwrap()).unwrap();
        assert!((2e-6 * macs.iter().sum::<u64>() as f64 - 1706.7).abs() <= 0.051);
        let fc6 = network.find("fc6").unwrap();
        assert_eq!(network.macs(36, 64, fc6).unwrap()[fc6], 25_088 * 4096);
    }

    #[test]
    fn parameters_count_as_published() {
        // Parameter counts as torchvision states them for its models.
        for (name, wanted) in [
            ("alexnet", 61_100_840),
            ("vgg11", 132_863_336),
            ("vgg13", 133_047_848),
            ("vgg16", 138_357_544),
            ("vgg19", 143_667_240),
            ("caffenet", 60_965_224),
            ("vgg11_bn", 132_868_840),
            ("vgg13_bn", 133_053_736),
            ("vgg16_bn", 138_365_992),
            ("vgg19_bn", 143_678_248),
        ] {
            let parameters = Network::named(name).unwrap().parameters_up_to(usize::MAX);
            // Running statistics are no parameters.
            let learnt = |(name, _): &(String, _)| !name.contains("running");
            let tensors = parameters.iter().flat_map(Parameter::tensors).filter(learnt);
            let total: usize = tensors.map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(total, wanted, "{name}");
        }
    }

    #[test]
    fn parameters_stop_at_the_layer() {
        let network = Network::named("caffenet").unwrap();
        let found = network.parameters_up_to(network.find("relu2").unwrap());
        let shapes: Vec<_> = found.iter().map(|p| (p.key.as_str(), p.weight_shape.as_slice())).collect();
        assert_eq!(shapes, [("features.0", &[96, 3, 11, 11][..]), ("features.4", &[256, 48, 5, 5][..])]);
        assert!(Network::named("pixels").unwrap().parameters_up_to(0).is_empty());
    }

    #[test]
    fn a_small_image_is_told_the_smallest_side_and_that_side_works() {
        for (name, layer, entry, side) in [
            ("vgg19", "pool5", "pool5", 32),
            ("vgg19", "relu4_1", "pool3", 8),
            ("alexnet", "pool5", "pool5", 63),
            ("alexnet", "conv1", "conv1", 7),
            ("alexnet-krizhevsky", "conv1", "conv1", 11),
        ] {
            let network = Network::named(name).unwrap();
            let layer = network.find(layer).unwrap();
            let said = network.shapes(side - 1, 500, layer).unwrap_err().to_string();
            assert!(said.contains(&format!("{entry} of {name}")), "{said}");
            assert!(said.contains(&format!("at least {side} pixels")), "{said}");
            assert!(network.shapes(side, side, layer).is_ok(), "{name} at {side}");
        }
    }

    #[test]
    fn dense_layers_without_average_pooling_ask_for_their_size() {
        let network = Network::named("caffenet").unwrap();
        for side in [50, 200, 300] {
            let said = network.shapes(side, side, network.find("fc6").unwrap()).unwrap_err().to_string();
            assert!(said.contains("wanted 227 x 227 pixels"), "{said}");
        }
    }

    #[test]
    fn no_size_panics_and_channels_fit_throughout() {
        for name in NAMES {
            let network = Network::named(name).unwrap();
            for side in [0, 1, 2, 7, 100, LARGEST_SIDE, LARGEST_SIDE + 1, usize::MAX] {
                let macs = network.macs(side, side, usize::MAX);
                assert_eq!(macs.is_err(), network.shapes(side, side, usize::MAX).is_err());
            }
            assert_eq!(network.shapes(227, 227, usize::MAX).unwrap().len(), network.entries.len());
        }
    }
}
