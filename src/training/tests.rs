//! The trainer against the same in f64, whose gradients are central differences of the loss as its formula
//! stands.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::columns::Columns;
use super::features::{Layout, Resident};
use super::reference::{IMAGES, NEURONS, Reference};
use super::settings::*;
use super::start::{Weights, bias};
use super::trainer::{Data, Trainer};
use crate::gpu::{Gpu, Options};
use crate::random::Random;
use ndarray::Array2;

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
        // Where a gradient passes through 0, Adam divides rounding by rounding: one weight in twenty may
        // differ.
        let spared = if shared.optimiser == Optimiser::Adam { off.len() / 20 } else { 0 };
        let worst = off[off.len() - 1 - spared];
        // Roundoff of f32 through a dozen steps, and of central differences; ten times that in quotients of
        // gradients.
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
