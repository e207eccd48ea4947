//! Which method makes a network's convolutions, layer by layer.

use crate::kernels::conv2d::Geometry;
use crate::kernels::winograd::Tiling;
use crate::networks::{Entry, Network, Operation, Shape};
use crate::routines::{Channels, Reach, tiling};
use serde::{Deserialize, Serialize};

/// How convolutions are computed. All methods give the same features up to rounding; each gives the same bits
/// whatever the batch, the memory and the other layers that are asked for. Winograd's products mix the pixels
/// of a tile: one that is NaN or infinite spoils all results of its tiles, where direct sums spoil only those
/// whose filter covers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convolution {
    /// The cheaper of direct sums and Winograd's products of up to four results along an axis, layer by
    /// layer. Rounding stays within three times that of direct sums.
    #[default]
    Auto,
    /// Direct sums throughout.
    Direct,
    /// Winograd's products of up to four results along an axis wherever there are some.
    Winograd,
    /// The same of up to six: less work on large maps, and about ten times the rounding of direct sums.
    Winograd6,
}

impl Convolution {
    /// Every method, with the name that the command gives it.
    pub const ALL: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("direct", Self::Direct),
        ("winograd", Self::Winograd),
        ("winograd6", Self::Winograd6),
    ];

    /// What records of runs say that were made before there was a choice.
    pub fn direct() -> Self {
        Self::Direct
    }

    /// The tiling of an entry over maps of a shape; `None` for direct sums, and for what is no convolution.
    fn tiling(self, entry: &Entry, before: Shape) -> Option<Tiling> {
        let reach = match self {
            Self::Direct => return None,
            Self::Auto | Self::Winograd => Reach::Four,
            Self::Winograd6 => Reach::Six,
        };
        let Operation::Convolution { inputs, outputs, kernel, stride, padding, groups } = entry.operation
        else {
            return None;
        };
        let geometry = Geometry { stride, padding, groups, relu: false };
        let channels = Channels { inputs, outputs };
        let (tiling, pays) =
            tiling([before.height, before.width], channels, [kernel, kernel], geometry, reach)?;
        (pays || self != Self::Auto).then_some(tiling)
    }
}

/// A step of a network: an entry, and what of those after it is done in the same pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Planned {
    /// The entry that comes first.
    pub entry: usize,
    /// The entry whose output the step makes.
    pub last: usize,
    /// Whether a ReLU is done in the same pass.
    pub relu: bool,
    /// How a convolution is cut, if it is not summed directly.
    pub tiling: Option<Tiling>,
}

/// The steps up to the last wanted entry. What is wanted is never skipped, and changes no other choice.
/// `shapes` has the maps after each entry.
pub(super) fn plan(
    network: &Network,
    convolution: Convolution,
    wanted: &[usize],
    input: Shape,
    shapes: &[Shape],
) -> Vec<Planned> {
    let end = wanted.iter().max().map_or(0, |l| l + 1);
    let operation = |at: usize| network.entries.get(at).filter(|_| at < end).map(|e| e.operation);
    let mut steps = Vec::new();
    let mut at = 0;
    while at < end {
        let entry = &network.entries[at];
        let before = if at == 0 { input } else { shapes[at - 1] };
        let tiling = convolution.tiling(entry, before);
        let mut last = at;
        if entry.parameter().is_some() && operation(at + 1) == Some(Operation::Relu) && !wanted.contains(&at)
        {
            last = at + 1;
        }
        let relu = last > at;
        let pools = operation(last + 1) == Some(Operation::MaxPool { kernel: 2, stride: 2 });
        let even = |t: Tiling| t.rows.results.is_multiple_of(2) && t.columns.results.is_multiple_of(2);
        if pools && relu && tiling.is_some_and(even) && !wanted.contains(&last) {
            last += 1;
        }
        steps.push(Planned { entry: at, last, relu, tiling });
        at = last + 1;
    }
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn planned(network: &str, wanted: &[&str], side: usize, convolution: Convolution) -> Vec<(String, bool)> {
        let network = Network::named(network).unwrap();
        let wanted: Vec<usize> = wanted.iter().map(|name| network.find(name).unwrap()).collect();
        let shapes = network.shapes(side, side, *wanted.iter().max().unwrap()).unwrap();
        let input = Shape { channels: 3, height: side, width: side };
        let steps = plan(&network, convolution, &wanted, input, &shapes);
        let names = |s: &Planned| network.entries[s.entry..=s.last].iter().map(|e| e.name.as_str());
        steps.iter().map(|s| (names(s).collect::<Vec<_>>().join("+"), s.tiling.is_some())).collect()
    }

    #[test]
    fn what_is_wanted_is_made_and_changes_no_method() {
        let step = |name: &str, tiled| (name.to_owned(), tiled);
        assert_eq!(
            planned("vgg19", &["pool1"], 48, Convolution::Auto),
            [step("conv1_1+relu1_1", false), step("conv1_2+relu1_2+pool1", true)]
        );
        assert_eq!(
            planned("vgg19", &["pool1", "relu1_2"], 48, Convolution::Auto),
            [step("conv1_1+relu1_1", false), step("conv1_2+relu1_2", true), step("pool1", false)]
        );
        assert_eq!(
            planned("vgg19", &["conv1_2", "pool1"], 48, Convolution::Direct),
            [
                step("conv1_1+relu1_1", false),
                step("conv1_2", false),
                step("relu1_2", false),
                step("pool1", false)
            ]
        );
    }
}
