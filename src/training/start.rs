//! Weights on the host: where a configuration starts, and where it ends.

use super::columns::Columns;
use super::dense;
use super::features::Layout;
use super::settings::{Initialisation, Model, Nonlinearity, Settings, Shared};
use crate::random::Random;
use ndarray::{Array2, Axis, concatenate};

/// A layer: weights (inputs, units), and the bias before an activation (1, units). Of a factored readout the
/// layers are the outer factor and the inner one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerWeights {
    pub weights: Array2<f32>,
    pub bias: Option<Array2<f32>>,
}

/// All weights of one configuration, or of several side by side. Units are padded to a multiple of four with
/// zeros.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub layers: Vec<LayerWeights>,
    /// The last bias, (1, neurons).
    pub bias: Array2<f32>,
}

impl Weights {
    /// The weights that a configuration starts from; `bias` is that of each neuron.
    pub fn start(
        layout: Layout,
        columns: Columns,
        shared: &Shared,
        settings: &Settings,
        bias: &[f32],
    ) -> Self {
        let draw = Draw { settings, units: columns.real };
        let layers = match &shared.model {
            Model::Factored => {
                let [channels, height, width] = layout.shape;
                let mask = draw.weights("mask", height * width, [height * width, columns.neurons], true);
                let features = draw.weights("features", channels, [channels, columns.neurons], false);
                let [outer, inner] = if layout.mask_outside { [mask, features] } else { [features, mask] };
                [outer, inner].map(|weights| LayerWeights { weights, bias: None }).into()
            }
            model => {
                let widths: &[usize] = if let Model::Mlp { widths, .. } = model { widths } else { &[] };
                let sizes = dense::sizes(layout.columns, widths, columns.real);
                let inputs = [layout.columns].iter().chain(widths).copied().collect::<Vec<_>>();
                let layer = |(depth, size): (usize, &[usize; 2])| {
                    let units = widths.get(depth).copied().unwrap_or(columns.real);
                    let name = format!("layer {depth}");
                    let weights = Draw { settings, units }.weights(&name, inputs[depth], *size, false);
                    LayerWeights {
                        weights,
                        bias: (depth < widths.len()).then(|| Array2::zeros((1, size[1]))),
                    }
                };
                sizes.iter().enumerate().map(layer).collect()
            }
        };
        let padded = |(_, unit): (usize, usize)| bias.get(unit).copied().unwrap_or(0.0);
        Weights { layers, bias: Array2::from_shape_fn((1, columns.neurons), padded) }
    }

    /// Whether all weights are finite numbers.
    pub fn is_finite(&self) -> bool {
        let finite = |all: &Array2<f32>| all.iter().all(|v| v.is_finite());
        let layer = |layer: &LayerWeights| finite(&layer.weights) && layer.bias.as_ref().is_none_or(finite);
        finite(&self.bias) && self.layers.iter().all(layer)
    }

    /// Configurations next to each other, as columns.
    pub fn side_by_side(all: &[Weights]) -> Self {
        let join = |of: &dyn Fn(&Weights) -> Array2<f32>| {
            let parts: Vec<Array2<f32>> = all.iter().map(of).collect();
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            // Of configurations that have the same shapes, which is what makes a group.
            concatenate(Axis(1), &views).unwrap_or_default()
        };
        let layer = |depth: usize| LayerWeights {
            weights: join(&|one| one.layers[depth].weights.clone()),
            bias: all[0].layers[depth]
                .bias
                .is_some()
                .then(|| join(&|one| one.layers[depth].bias.clone().unwrap_or_default())),
        };
        let layers = (0..all.first().map_or(0, |one| one.layers.len())).map(layer).collect();
        Weights { layers, bias: join(&|one| one.bias.clone()) }
    }
}

/// How the weights of one configuration are drawn, of so many units that are no padding.
struct Draw<'a> {
    settings: &'a Settings,
    units: usize,
}

impl Draw<'_> {
    /// (inputs, units), unit by unit from the stream `initialisation NAME`, in a matrix of the size `padded`.
    fn weights(&self, name: &str, inputs: usize, padded: [usize; 2], mask: bool) -> Array2<f32> {
        let mut random = Random::stream(self.settings.seed, &format!("initialisation {name}"));
        let (fan_in, fan_out) = (inputs as f64, self.units as f64);
        let mut weights = Array2::zeros(padded);
        for mut unit in weights.columns_mut().into_iter().take(self.units) {
            for weight in unit.iter_mut().take(inputs) {
                let drawn = match self.settings.initialisation {
                    Initialisation::Flat if mask => 1.0 / fan_in.sqrt(),
                    Initialisation::Flat => 0.0,
                    Initialisation::He => random.normal() * (2.0 / fan_in).sqrt(),
                    Initialisation::Xavier => random.normal() * (2.0 / (fan_in + fan_out)).sqrt(),
                    Initialisation::Plain => random.between(-1.0, 1.0) / fan_in.sqrt(),
                    Initialisation::Small if mask => (0.02 * random.normal()).abs(),
                    Initialisation::Small => 0.02 * random.normal(),
                };
                *weight = drawn as f32;
            }
        }
        weights
    }
}

/// The bias at which a readout whose weights are 0 predicts the mean response.
pub(super) fn bias(nonlinearity: Nonlinearity, mean: f64) -> f64 {
    // A neuron that is silent on all training images still needs a finite bias.
    let positive = mean.max(1e-3);
    match nonlinearity {
        Nonlinearity::Identity => mean,
        Nonlinearity::Relu => positive,
        Nonlinearity::Softplus => positive + (-(-positive).exp_m1()).ln(),
        Nonlinearity::Elu if positive > 1.0 => positive - 1.0,
        Nonlinearity::Elu | Nonlinearity::Exp => positive.ln(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_bias_predicts_the_mean() {
        let all = [
            Nonlinearity::Identity,
            Nonlinearity::Relu,
            Nonlinearity::Softplus,
            Nonlinearity::Elu,
            Nonlinearity::Exp,
        ];
        for nonlinearity in all {
            for mean in [0.01, 0.7, 1.0, 5.0, 40.0] {
                let predicted = nonlinearity.apply(bias(nonlinearity, mean));
                assert!(
                    (predicted - mean).abs() < 1e-12 * (1.0 + mean),
                    "{nonlinearity:?} {mean} {predicted}"
                );
            }
        }
    }
}
