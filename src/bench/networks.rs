//! The networks that are timed, with random images.

use super::features::Problem;
use super::selection::NETWORKS;
use super::{Bench, Effort};
use crate::error::Result;
use crate::features::WeightSource;
use crate::io::images::scale::Scale;
use crate::io::images::{Filter, Images, Normalise, Preparation};
use crate::io::resize::Size;
use crate::networks::{INPUT_CHANNELS, Network};
use crate::random::Random;
use ndarray::{Array4, s};
use std::ops::Range;
use std::path::Path;

/// A network, the size of its images, and the layer it is run to.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub network: &'static str,
    pub height: usize,
    pub width: usize,
    pub layer: &'static str,
}

impl Timed {
    /// How rows name it: `vgg19 36x64`, height before width.
    pub fn name(&self) -> String {
        format!("{} {}x{}", self.network, self.height, self.width)
    }

    /// Operations of the direct sums for one image.
    pub fn operations(&self) -> Result<f64> {
        let network = Network::named(self.network)?;
        let macs = network.macs(self.height, self.width, network.find(self.layer)?)?;
        Ok(2.0 * macs.iter().sum::<u64>() as f64)
    }

    /// Features of so many random images, with random weights.
    pub fn features(&self, bench: &Bench<'_>, images: usize) -> Result<Problem> {
        let seed = bench.request.seed;
        let (images, weights) = (self.images(images, seed), WeightSource::Random(seed));
        Problem::new(bench.gpu, images, [self.network, self.layer], weights, bench.request.convolution)
    }

    /// Standard normal numbers, as normalisation makes of pictures; in memory.
    pub fn images(&self, count: usize, seed: u64) -> Images {
        let mut random = Random::stream(seed, "bench images");
        let size = Size { height: self.height, width: self.width };
        let shape = (count, size.height, size.width, INPUT_CHANNELS);
        let all = Array4::from_shape_simple_fn(shape, || random.normal() as f32);
        let read = move |range: Range<usize>| Ok(all.slice(s![range, .., .., ..]).to_owned().into_dyn());
        let shape = [count, INPUT_CHANNELS];
        Images::read_by(Path::new("simulated images"), shape, size, Scale::OWN, Box::new(read))
    }
}

/// Images as they are.
pub(super) fn unprepared() -> Preparation {
    Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None }
}

/// The networks that were asked for.
pub(super) fn wanted(bench: &Bench<'_>) -> Vec<Timed> {
    let wants = |one: &Timed| bench.request.selection.wants_network(one.network);
    listed(bench.request.effort).into_iter().filter(wants).collect()
}

/// The networks at the sizes of the published comparisons.
fn listed(effort: Effort) -> Vec<Timed> {
    let [alexnet, vgg19] = NETWORKS;
    let timed = |network, height, width, layer| Timed { network, height, width, layer };
    let mut all = vec![timed(alexnet, 224, 224, "pool5"), timed(vgg19, 48, 48, "pool5")];
    if effort != Effort::Quick {
        // The last pooling of AlexNet has no whole window in what such small images leave.
        all.extend([timed(alexnet, 48, 48, "relu5"), timed(alexnet, 36, 64, "relu5")]);
        all.extend([timed(vgg19, 36, 64, "pool5"), timed(vgg19, 224, 224, "pool5")]);
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn both_networks_reach_their_layers_at_all_three_sizes() {
        let listed = listed(Effort::Usual);
        for network in NETWORKS {
            for size in [[224, 224], [48, 48], [36, 64]] {
                let own = |one: &&Timed| one.network == network && [one.height, one.width] == size;
                let timed = listed.iter().find(own).unwrap_or_else(|| panic!("no {network} at {size:?}"));
                assert!(timed.operations().unwrap() > 1e6, "{}", timed.name());
            }
        }
    }
}
