//! The trainer against the same in f64, whose gradients are central differences of the loss as its formula stands.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::columns::Columns;
use super::features::{Layout, Resident};
use super::settings::*;
use super::start::{Weights, bias};
use super::trainer::{Data, Trainer};
use crate::gpu::{Gpu, Options};
use crate::random::Random;
use ndarray::Array2;

const NEURONS: usize = 3;
const IMAGES: usize = 9;

/// Weights of one neuron or network in f64: layer by layer (inputs x units, row by row), then the biases of hidden layers
/// and the last bias.
type Flat = Vec<f64>;

/// A configuration in f64.
struct Reference<'a> {
    shape: [usize; 3],
    shared: &'a Shared,
    settings: &'a Settings,
    features: &'a Array2<f32>,
    responses: &'a Array2<f32>,
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
    fn flat(&self, weights: &Weights, mask_outside: bool) -> Flat {
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

    /// The loss as the formulas of [`Shared`] and [`Settings`] say it; without l1 where that is a proximal step.
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
    fn trained(&self, start: &[f64], epochs: usize) -> Flat {
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

/// Features and responses of an experiment that is small enough for central differences.
fn experiment(shape: [usize; 3], counts: bool) -> (Array2<f32>, Array2<f32>) {
    let mut random = Random::stream(3, "training test");
    let features = Array2::from_shape_fn((IMAGES, shape.iter().product()), |_| random.normal() as f32);
    let responses = Array2::from_shape_fn((NEURONS, IMAGES), |_| match counts {
        true => random.poisson(2.0) as f32,
        false => random.normal() as f32,
    });
    (features, responses)
}

/// Trains two configurations side by side and compares weights and first loss with the same in f64.
fn agrees(gpu: &Gpu, label: &str, shape: [usize; 3], shared: &Shared, settings: &Settings) {
    let shared = Shared {
        standardise: Standardise::None,
        standardise_responses: false,
        shuffle: false,
        batch: 4,
        ..shared.clone()
    };
    let other = Settings { learning_rate: 0.7 * settings.learning_rate, seed: 5, ..settings.clone() };
    let (features, responses) = experiment(shape, shared.loss == Loss::Poisson);
    let all: Vec<usize> = (0..IMAGES).collect();
    let resident = Resident::new(gpu, features.view(), shape, &all, &shared).unwrap();
    let data = Data { features: &resident, responses: responses.view(), train: &all, validation: &[] };
    let both = [other, settings.clone()];
    let mut trainer = Trainer::new(gpu, data, &shared, &both).unwrap();
    let mut outcomes = Vec::new();
    while !trainer.done() {
        outcomes.extend(trainer.epoch().unwrap());
    }
    for outcome in outcomes {
        let settings = &both[outcome.configuration];
        let reference =
            Reference { shape, shared: &shared, settings, features: &features, responses: &responses };
        let (layout, columns) = (Layout::new(&shared.model, shape), Columns::new(NEURONS, 1));
        let mean = |n: usize| responses.row(n).iter().map(|v| f64::from(*v)).sum::<f64>() / IMAGES as f64;
        let biases: Vec<f32> = (0..NEURONS).map(|n| bias(shared.nonlinearity, mean(n)) as f32).collect();
        let start = Weights::start(layout, columns, &shared, settings, &biases);
        let start = reference.flat(&start, layout.mask_outside);
        let want = reference.trained(&start, shared.epochs);
        let got = reference.flat(&outcome.readout.weights, layout.mask_outside);
        let moved = want.iter().zip(&start).map(|(w, s)| (w - s).abs()).fold(0.0, f64::max);
        let mut off: Vec<f64> = want.iter().zip(&got).map(|(w, g)| (w - g).abs()).collect();
        off.sort_unstable_by(f64::total_cmp);
        // Where a gradient passes through 0, Adam divides rounding by rounding: one weight in twenty may differ.
        let spared = if shared.optimiser == Optimiser::Adam { off.len() / 20 } else { 0 };
        let worst = off[off.len() - 1 - spared];
        // Roundoff of f32 through a dozen steps, and of central differences; ten times that in quotients of gradients.
        let share = if shared.optimiser == Optimiser::Adam { 2e-3 } else { 2e-4 };
        assert!(worst < share * moved, "{label}: off by {worst:.1e} of {moved:.1e}");
        assert!(moved > 1e-3, "{label}: nothing moved");
    }
}

fn gpu() -> Gpu {
    Gpu::open(&Options::default()).unwrap()
}

/// Weights away from 0, where the slope of l1 jumps.
fn start() -> Settings {
    let penalties = Penalties { l1: 0.02, l2: 0.03, laplace: 0.0 };
    Settings {
        learning_rate: 0.002,
        momentum: 0.5,
        penalties,
        initialisation: Initialisation::Xavier,
        seed: 9,
        ..Settings::default()
    }
}

#[test]
fn factored_readouts_train_as_in_f64() {
    let gpu = gpu();
    let base = Shared { epochs: 3, optimiser: Optimiser::Sgd, ..Shared::default() };
    let bent = Settings {
        penalties: Penalties { laplace: 0.01, ..start().penalties },
        feature_penalties: Penalties { l1: 0.05, l2: 0.01, laplace: 0.0 },
        feature_learning_rate: Some(0.004),
        ..start()
    };
    let product = Shared { factor_norm: FactorNorm::Product, ..base.clone() };
    let poisson = Shared { loss: Loss::Poisson, nonlinearity: Nonlinearity::Softplus, ..base.clone() };
    let normalised = Shared { penalty_scale: PenaltyScale::Normalised, ..base.clone() };
    // More channels than positions, and fewer.
    for shape in [[7, 2, 3], [2, 3, 5]] {
        agrees(&gpu, "sgd", shape, &base, &bent);
        agrees(&gpu, "sum over images", shape, &Shared { reduction: Reduction::Sum, ..base.clone() }, &bent);
        agrees(
            &gpu,
            "product",
            shape,
            &product,
            &Settings { feature_penalties: Penalties::default(), ..bent.clone() },
        );
        agrees(&gpu, "poisson", shape, &poisson, &bent);
        agrees(&gpu, "normalised", shape, &normalised, &bent);
        agrees(&gpu, "adam", shape, &Shared { optimiser: Optimiser::Adam, ..base.clone() }, &bent);
        agrees(&gpu, "proximal", shape, &Shared { proximal: true, ..base.clone() }, &bent);
        agrees(
            &gpu,
            "non-negative",
            shape,
            &Shared { non_negative: true, decay: 1.0, ..base.clone() },
            &Settings { initialisation: Initialisation::Flat, feature_learning_rate: None, ..bent.clone() },
        );
    }
}

#[test]
fn linear_readouts_train_as_in_f64() {
    let gpu = gpu();
    for model in [Model::Simple, Model::Spatial] {
        let laplace = if model == Model::Spatial { 0.01 } else { 0.0 };
        let base = Shared { epochs: 3, model, optimiser: Optimiser::Sgd, ..Shared::default() };
        let bent = Settings { penalties: Penalties { laplace, ..start().penalties }, ..start() };
        for shape in [[3, 2, 3], [1, 1, 7]] {
            agrees(&gpu, "sgd", shape, &base, &bent);
            agrees(&gpu, "adam", shape, &Shared { optimiser: Optimiser::Adam, ..base.clone() }, &bent);
            agrees(
                &gpu,
                "mean per neuron",
                shape,
                &Shared { penalty_scale: PenaltyScale::MeanPerNeuron, ..base.clone() },
                &bent,
            );
            agrees(
                &gpu,
                "normalised",
                shape,
                &Shared { penalty_scale: PenaltyScale::Normalised, ..base.clone() },
                &bent,
            );
            for nonlinearity in [Nonlinearity::Softplus, Nonlinearity::Elu, Nonlinearity::Exp] {
                let poisson = Shared { loss: Loss::Poisson, nonlinearity, ..base.clone() };
                agrees(&gpu, "poisson", shape, &poisson, &bent);
            }
        }
    }
}

#[test]
fn multilayer_readouts_train_as_in_f64() {
    let gpu = gpu();
    for (widths, activation) in
        [(vec![5], Activation::Tanh), (vec![6, 3], Activation::Relu), (vec![9, 4, 7], Activation::Tanh)]
    {
        let model = Model::Mlp { widths, activation };
        let base = Shared { epochs: 3, model, optimiser: Optimiser::Sgd, ..Shared::default() };
        for initialisation in [Initialisation::He, Initialisation::Xavier, Initialisation::Plain] {
            // Of many weights some cross 0, where central differences see both slopes of l1.
            let penalties = Penalties { l1: 0.0, ..start().penalties };
            let settings = Settings { initialisation, penalties, ..start() };
            agrees(&gpu, "sgd", [2, 3, 2], &base, &settings);
            for nonlinearity in [Nonlinearity::Softplus, Nonlinearity::Elu, Nonlinearity::Exp] {
                let poisson = Shared { loss: Loss::Poisson, nonlinearity, ..base.clone() };
                agrees(&gpu, "poisson", [2, 3, 2], &poisson, &settings);
            }
            agrees(
                &gpu,
                "adam",
                [2, 3, 2],
                &Shared { optimiser: Optimiser::Adam, ..base.clone() },
                &settings,
            );
        }
    }
}
