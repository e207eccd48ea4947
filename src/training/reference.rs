//! Training in f64, for the tests: the loss as its formulas stand, and gradients by central differences of
//! it.

use super::settings::*;
use super::start::Weights;
use ndarray::Array2;

pub(super) const NEURONS: usize = 3;
pub(super) const IMAGES: usize = 9;

/// Weights of one neuron or network in f64: layer by layer (inputs x units, row by row), then the biases of
/// hidden layers and the last bias.
pub(super) type Flat = Vec<f64>;

/// A configuration in f64.
pub(super) struct Reference<'a> {
    pub shape: [usize; 3],
    pub shared: &'a Shared,
    pub settings: &'a Settings,
    pub features: &'a Array2<f32>,
    pub responses: &'a Array2<f32>,
}

const TAPS: [[f64; 3]; 3] = [[0.5, 1.0, 0.5], [1.0, -6.0, 1.0], [0.5, 1.0, 0.5]];

/// Sum of the squared Laplacian of maps that lie one after the other.
fn curvature(maps: &[f64], [height, width]: [usize; 2]) -> f64 {
    let mut energy = 0.0;
    for map in maps.chunks(height * width) {
        for (row, column) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
            let mut sum = 0.0;
            for (down, taps) in TAPS.iter().enumerate() {
                for (across, tap) in taps.iter().enumerate() {
                    let (i, j) = ((row + down).wrapping_sub(1), (column + across).wrapping_sub(1));
                    if i < height && j < width {
                        sum += tap * map[i * width + j];
                    }
                }
            }
            energy += sum * sum;
        }
    }
    energy
}

impl Reference<'_> {
    /// Rows and columns of each set of weights: of factored readouts masks and feature weights.
    fn sets(&self) -> Vec<[usize; 2]> {
        let [channels, height, width] = self.shape;
        match &self.shared.model {
            Model::Factored => vec![[height * width, NEURONS], [channels, NEURONS]],
            Model::Mlp { widths, .. } => {
                let units: Vec<usize> =
                    [channels * height * width].iter().chain(widths).chain(&[NEURONS]).copied().collect();
                units.windows(2).map(|pair| [pair[0], pair[1]]).collect()
            }
            _ => vec![[channels * height * width, NEURONS]],
        }
    }

    /// Weights of the trainer, in this order.
    pub fn flat(&self, weights: &Weights, mask_outside: bool) -> Flat {
        let mut layers: Vec<_> = weights.layers.iter().collect();
        if self.shared.model == Model::Factored && !mask_outside {
            layers.reverse();
        }
        let mut flat = Vec::new();
        for (layer, [rows, columns]) in layers.iter().zip(self.sets()) {
            flat.extend((0..rows * columns).map(|at| f64::from(layer.weights[[at / columns, at % columns]])));
        }
        for (layer, [_, columns]) in layers.iter().zip(self.sets()) {
            flat.extend(
                layer.bias.iter().flat_map(|bias| (0..columns).map(|unit| f64::from(bias[[0, unit]]))),
            );
        }
        flat.extend((0..NEURONS).map(|n| f64::from(weights.bias[[0, n]])));
        flat
    }

    /// Linear sums of all neurons for one image.
    fn sums(&self, flat: &[f64], image: usize) -> Vec<f64> {
        let x: Vec<f64> = self.features.row(image).iter().map(|v| f64::from(*v)).collect();
        let sets = self.sets();
        let (mut weights, mut after) = (Vec::new(), 0);
        for [rows, columns] in &sets {
            weights.push(&flat[after..after + rows * columns]);
            after += rows * columns;
        }
        let last = &flat[flat.len() - NEURONS..];
        if self.shared.model == Model::Factored {
            let positions = sets[0][0];
            let sum = |n: usize| {
                let term = |f: usize| {
                    weights[0][f % positions * NEURONS + n] * weights[1][f / positions * NEURONS + n] * x[f]
                };
                (0..x.len()).map(term).sum::<f64>() + last[n]
            };
            return (0..NEURONS).map(sum).collect();
        }
        let mut values = x;
        for (depth, [_, units]) in sets.iter().enumerate() {
            let hidden = depth + 1 < sets.len();
            let own = if hidden { &flat[after..after + units] } else { last };
            after += units;
            let unit = |u: usize| {
                let sum =
                    values.iter().enumerate().map(|(i, v)| v * weights[depth][i * units + u]).sum::<f64>()
                        + own[u];
                match &self.shared.model {
                    Model::Mlp { activation: Activation::Relu, .. } if hidden => sum.max(0.0),
                    Model::Mlp { activation: Activation::Tanh, .. } if hidden => sum.tanh(),
                    _ => sum,
                }
            };
            values = (0..*units).map(unit).collect();
        }
        values
    }

    /// The loss as the formulas of [`Shared`] and [`Settings`] say it; without l1 where that is a proximal
    /// step.
    fn loss(&self, flat: &[f64], images: &[usize]) -> f64 {
        let mut data = 0.0;
        for image in images {
            for (n, sum) in self.sums(flat, *image).iter().enumerate() {
                data += self
                    .shared
                    .loss
                    .of(f64::from(self.responses[[n, *image]]), self.shared.nonlinearity.apply(*sum));
            }
        }
        if self.shared.reduction == Reduction::Mean {
            data /= images.len() as f64;
        }
        data + self.penalty(flat)
    }

    fn penalty(&self, flat: &[f64]) -> f64 {
        let (mut total, mut after, mut magnitudes) = (0.0, 0, Vec::new());
        for (set, [rows, columns]) in self.sets().into_iter().enumerate() {
            let weights = &flat[after..after + rows * columns];
            after += rows * columns;
            let p = if set == 1 && self.shared.model == Model::Factored {
                self.settings.feature_penalties
            } else {
                self.settings.penalties
            };
            for unit in 0..columns {
                let own: Vec<f64> = (0..rows).map(|row| weights[row * columns + unit]).collect();
                let magnitude: f64 = own.iter().map(|w| w.abs()).sum();
                let square: f64 = own.iter().map(|w| w * w).sum();
                let energy =
                    if p.laplace > 0.0 { curvature(&own, [self.shape[1], self.shape[2]]) } else { 0.0 };
                let l1 = if self.shared.proximal || self.shared.factor_norm == FactorNorm::Product {
                    0.0
                } else {
                    p.l1
                };
                total += match self.shared.penalty_scale {
                    PenaltyScale::Sum => l1 * magnitude + p.l2 * square + p.laplace * energy,
                    PenaltyScale::MeanPerNeuron => {
                        (l1 * magnitude + p.l2 * square + p.laplace * energy) / NEURONS as f64
                    }
                    PenaltyScale::Normalised => {
                        (l1 * magnitude + p.l2 * square) / rows as f64 + p.laplace * energy / square
                    }
                };
                magnitudes.push(magnitude);
            }
        }
        if self.shared.factor_norm == FactorNorm::Product {
            total += (0..NEURONS)
                .map(|n| self.settings.penalties.l1 * magnitudes[n] * magnitudes[NEURONS + n])
                .sum::<f64>();
        }
        total
    }

    fn gradient(&self, flat: &[f64], images: &[usize]) -> Flat {
        let step = 1e-5;
        let slope = |at: usize| {
            let moved = |by: f64| {
                let mut other = flat.to_vec();
                other[at] += by;
                self.loss(&other, images)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        (0..flat.len()).map(slope).collect()
    }

    /// Weights after some epochs over the images in order.
    pub fn trained(&self, start: &[f64], epochs: usize) -> Flat {
        let mut flat = start.to_vec();
        let (mut first, mut second) = (vec![0.0; flat.len()], vec![0.0; flat.len()]);
        let biases = flat.len() - self.sets().iter().map(|[rows, columns]| rows * columns).sum::<usize>();
        let penalised = flat.len() - biases;
        let mut steps = 0;
        let all: Vec<usize> = (0..IMAGES).collect();
        for epoch in 0..epochs {
            for images in all.chunks(self.shared.batch) {
                steps += 1;
                let gradient = self.gradient(&flat, images);
                for at in 0..flat.len() {
                    let g = gradient[at];
                    let factored = self.shared.model == Model::Factored;
                    let features = factored && at >= self.sets()[0][0] * NEURONS;
                    let own = if features { self.settings.feature_learning_rate } else { None };
                    let rate =
                        own.unwrap_or(self.settings.learning_rate) * self.shared.decay.powi(epoch as i32);
                    let pace;
                    match self.shared.optimiser {
                        Optimiser::Adam => {
                            first[at] = 0.9 * first[at] + 0.1 * g;
                            second[at] = 0.999 * second[at] + 0.001 * g * g;
                            let spread = second[at] / (1.0 - 0.999f64.powi(steps));
                            pace = rate / (spread.sqrt() + 1e-8);
                            flat[at] -= pace * first[at] / (1.0 - 0.9f64.powi(steps));
                        }
                        Optimiser::Sgd => {
                            first[at] = self.settings.momentum * first[at] + g;
                            pace = rate;
                            flat[at] -= rate * first[at];
                        }
                    }
                    if at < penalised {
                        if self.shared.proximal {
                            let p = if features {
                                self.settings.feature_penalties
                            } else {
                                self.settings.penalties
                            };
                            flat[at] = flat[at].signum() * (flat[at].abs() - pace * p.l1).max(0.0);
                        }
                        if self.shared.non_negative && flat[at] < 0.0 {
                            flat[at] = -flat[at];
                            first[at] = -first[at];
                        }
                    }
                }
            }
        }
        flat
    }
}
