//! Experiments whose truth is known: images, simulated neurons, Poisson counts, and what a model can reach at
//! best.

mod folder;
mod neurons;
mod stimuli;

use ndarray::{Array2, Array3, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::io::split::Split;
use crate::random::Random;

pub use folder::write;
pub use neurons::{Area, Cell, Neuron, ReceptiveField};

/// The fraction of images that test.
const TEST_FRACTION: f64 = 0.2;
/// How likely an area misses some of the repeats of an image.
const RAGGED: f64 = 0.15;
/// More values than this in one array are refused.
const MOST_VALUES: u128 = 1 << 30;

/// What to simulate.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// How many images; at least 10.
    pub images: usize,
    /// Height and width of the images in pixels; at least 16.
    pub size: usize,
    /// How many neurons; they fill the areas one after the other.
    pub neurons: usize,
    /// How often each image is shown; with 1 there are no ragged repeats.
    pub repeats: usize,
    /// The areas that the neurons lie in.
    pub areas: Vec<Area>,
    /// The fraction of neurons that respond to images at all; the others have a constant mean rate.
    pub tuned: f64,
    /// The same seed gives the same experiment.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            images: 320,
            size: 64,
            neurons: 60,
            repeats: 10,
            areas: Area::defaults(),
            tuned: 0.9,
            seed: 1,
        }
    }
}

/// A simulated experiment, and the truth behind it.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The settings that gave it.
    pub settings: Settings,
    /// (images, height, width): luminance.
    pub images: Array3<u8>,
    /// (neurons, images, repeats): spike counts; NaN for repeats that were not recorded.
    pub responses: Array3<f32>,
    /// Which images train and which test.
    pub split: Split,
    /// (neurons, images): mean counts, which no model can improve on.
    pub expected: Array2<f32>,
    /// What each neuron is.
    pub neurons: Vec<Neuron>,
}

/// Simulates an experiment.
///
/// Images are 1/f textures, scenes of flat shapes, and gratings in patches. Neurons are rectified linear
/// Gabor cells, phase-blind Gabor pairs, and cells with a constant rate. Counts are Poisson, so that a
/// neuron's true fraction of explainable variance is `Var(expected) / (Var(expected) + mean(expected))`.
///
/// # Errors
/// [`Kind::Usage`] when a setting is too small, too large, or no number.
pub fn simulate(settings: &Settings) -> Result<Experiment> {
    check(settings)?;
    let Settings { images: n_images, size, neurons: n_neurons, repeats, seed, .. } = *settings;
    let drawn: Vec<Vec<u8>> =
        (0..n_images).into_par_iter().map(|image| stimuli::draw(seed, image, size)).collect();
    let images = Array3::from_shape_vec((n_images, size, size), drawn.concat())
        .map_err(|why| Error::internal("simulated images", why))?;
    let simulated: Vec<(Neuron, Vec<f64>)> = neurons::plan(settings)
        .into_par_iter()
        .enumerate()
        .map(|(at, plan)| neurons::respond(plan, at, settings, &images))
        .collect();
    let mut expected = Array2::zeros((n_neurons, n_images));
    let mut responses = Array3::zeros((n_neurons, n_images, repeats));
    for (at, (_, rates)) in simulated.iter().enumerate() {
        let mut random = Random::stream(seed, &format!("counts of neuron {at}"));
        for (image, &rate) in rates.iter().enumerate() {
            expected[[at, image]] = rate as f32;
            for repeat in 0..repeats {
                responses[[at, image, repeat]] = random.poisson(rate) as f32;
            }
        }
    }
    let neurons: Vec<Neuron> = simulated.into_iter().map(|(neuron, _)| neuron).collect();
    lose_repeats(&mut responses, &neurons, settings);
    let split = Split::random(n_images, TEST_FRACTION, seed)?;
    Ok(Experiment { settings: settings.clone(), images, responses, split, expected, neurons })
}

/// Takes away the last repeats of some images, as when a session ends early: up to half of them, of all
/// neurons of an area together.
fn lose_repeats(responses: &mut Array3<f32>, neurons: &[Neuron], settings: &Settings) {
    let (_, n_images, repeats) = responses.dim();
    if repeats < 2 {
        return;
    }
    for (at, area) in settings.areas.iter().enumerate() {
        let mut random = Random::stream(settings.seed, &format!("lost repeats of area {at}"));
        for image in 0..n_images {
            let lost = 1 + random.below(repeats / 2);
            if random.uniform() >= RAGGED {
                continue;
            }
            for (mut counts, neuron) in responses.axis_iter_mut(Axis(0)).zip(neurons) {
                if neuron.area == area.name {
                    counts.slice_mut(s![image, repeats - lost..]).fill(f32::NAN);
                }
            }
        }
    }
}

fn check(settings: &Settings) -> Result<()> {
    let wrong = |found: String, wanted: &str| {
        Err(Error::new(Kind::Usage, "simulation", found, wanted, "Change that setting"))
    };
    let Settings { images, size, neurons, repeats, tuned, .. } = *settings;
    if images < 10 || size < 16 || neurons == 0 || repeats == 0 || settings.areas.is_empty() {
        let found = format!(
            "{images} images of {size} x {size} pixels, {neurons} neurons in {} areas, {repeats} repeats",
            settings.areas.len()
        );
        return wrong(found, "at least 10 images of 16 x 16, and one each of the others");
    }
    if !(0.0..=1.0).contains(&tuned) {
        return wrong(format!("a fraction {tuned} of tuned neurons"), "a number from 0 to 1");
    }
    if let Some(area) = settings.areas.iter().find(|area| !area.is_valid()) {
        let found = format!("area {} with receptive fields of {:?} of the image", area.name, area.sigma);
        return wrong(found, "a smaller and a larger fraction between 0 and 1");
    }
    let product = |sizes: [usize; 3]| sizes.iter().fold(1u128, |p, &n| p.saturating_mul(n as u128));
    if product([images, size, size]).max(product([neurons, images, repeats])) > MOST_VALUES {
        return wrong(
            "the experiment is too large to simulate".into(),
            "at most 2^30 pixels and 2^30 responses",
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
