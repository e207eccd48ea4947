//! Epochs of factored readouts as the peers are timed.

use crate::error::Result;
use crate::gpu::Gpu;
use crate::random::Random;
use crate::training::{
    Data, Measure, Optimiser, Penalties, Resident, Settings, Shared, Standardise, Tier, Trainer,
};
use ndarray::Array2;

/// Channels, height and width of the peers' features: as many as the last convolutions of AlexNet give
/// at 224.
pub const SHAPE: [usize; 3] = [256, 13, 13];

/// The peers' model, loss and optimiser: batches of 64 in order, Adam at 1e-3, nothing standardised.
pub fn shared(epochs: usize) -> Shared {
    Shared {
        optimiser: Optimiser::Adam,
        batch: 64,
        epochs,
        decay: 1.0,
        standardise: Standardise::None,
        standardise_responses: false,
        shuffle: false,
        ..Shared::default()
    }
}

/// A configuration of the peers' grid.
pub fn settings(l1: f64, laplace: f64) -> Settings {
    let l2 = 1e-4;
    Settings {
        learning_rate: 1e-3,
        penalties: Penalties { l1, l2, laplace },
        feature_penalties: Penalties { l1, l2, laplace: 0.0 },
        ..Settings::default()
    }
}

/// Operations of an epoch: both products, forward and backward.
pub fn operations(images: usize, columns: usize) -> f64 {
    let [channels, height, width] = SHAPE;
    4.0 * (images * channels * height * width * columns) as f64
}

/// Features on the device and responses, of normal numbers from a seed.
pub struct Problem {
    features: Resident,
    responses: Array2<f32>,
    all: Vec<usize>,
}

impl Problem {
    /// Of so many images and neurons.
    ///
    /// # Errors
    /// Those of [`Resident::new`].
    pub fn simulated(gpu: &Gpu, images: usize, neurons: usize, seed: u64) -> Result<Self> {
        let mut random = Random::stream(seed, "bench readout");
        let mut normal =
            |rows, columns| Array2::from_shape_simple_fn((rows, columns), || random.normal() as f32);
        let features = normal(images, SHAPE.iter().product());
        let responses = normal(neurons, images);
        let all: Vec<usize> = (0..images).collect();
        Ok(Problem {
            features: Resident::new(gpu, features.view(), SHAPE, &all, &shared(1))?,
            responses,
            all,
        })
    }

    /// A trainer of some configurations, ready for so many epochs.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn trainer<'a>(&'a self, gpu: &'a Gpu, epochs: usize, settings: &[Settings]) -> Result<Trainer<'a>> {
        let responses = self.responses.view();
        let data = Data { features: &self.features, responses, train: &self.all, validation: &[] };
        Trainer::new(gpu, data, &shared(epochs), settings)
    }
}

/// The mean training loss of each epoch of an outcome's curves.
pub fn losses(outcome: &crate::training::Outcome) -> Vec<f64> {
    let train = outcome.curves.iter().filter(|p| p.tier == Tier::Train && p.measure == Measure::Loss);
    train.map(|point| point.mean).collect()
}
