//! Neurons: what each one is, and its mean count for each image.

use std::f64::consts::{PI, TAU};

use ndarray::{Array3, Axis};
use serde::Serialize;

use super::Settings;
use crate::random::Random;

/// No neuron fires more than this on average, in counts per presentation.
const HIGHEST_RATE: f64 = 30.0;
/// The fraction of tuned neurons that are simple cells.
const SIMPLE: f64 = 0.6;

/// A part of the visual system, with the sizes of its receptive fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Area {
    /// Its name.
    pub name: String,
    /// The smallest and the largest standard deviation of its receptive fields, as fractions of the image.
    pub sigma: (f64, f64),
}

impl Area {
    /// Three areas whose receptive fields grow along the hierarchy, with the names of areas where they do.
    pub fn defaults() -> Vec<Area> {
        let areas = [("V1", (0.05, 0.08)), ("LM", (0.08, 0.13)), ("V4", (0.13, 0.20))];
        areas.map(|(name, sigma)| Area { name: name.into(), sigma }).into()
    }

    pub(super) fn is_valid(&self) -> bool {
        let (smallest, largest) = self.sigma;
        smallest > 0.0 && smallest <= largest && largest < 1.0
    }
}

/// What a neuron responds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// One Gabor filter, half-wave rectified.
    Simple,
    /// Two Gabor filters a quarter period apart: the square root of the sum of their squares.
    Complex,
    /// Nothing: its mean count is the same for all images.
    Untuned,
}

impl Cell {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Simple => "simple",
            Cell::Complex => "complex",
            Cell::Untuned => "untuned",
        }
    }
}

/// A Gabor receptive field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReceptiveField {
    /// Column of the centre, in pixels from the centre of the leftmost pixel.
    pub x: f64,
    /// Row of the centre, in pixels from the centre of the topmost pixel.
    pub y: f64,
    /// Standard deviation of the round Gaussian envelope, in pixels.
    pub sigma: f64,
    /// Direction in which the luminance varies, in degrees from 0 to 180, from rightwards to downwards.
    pub orientation: f64,
    /// Spatial frequency in cycles per pixel.
    pub frequency: f64,
    /// Phase of the cosine at the centre, in radians.
    pub phase: f64,
}

impl ReceptiveField {
    fn draw(random: &mut Random, size: usize, area: &Area) -> ReceptiveField {
        let extent = (size - 1) as f64;
        let sigma = random.between(area.sigma.0, area.sigma.1) * size as f64;
        ReceptiveField {
            x: random.between(0.25, 0.75) * extent,
            y: random.between(0.25, 0.75) * extent,
            sigma,
            orientation: random.between(0.0, 180.0),
            frequency: random.between(0.18, 0.32) / sigma,
            phase: random.between(0.0, TAU),
        }
    }

    /// The filter, row by row, its phase turned by `turn` radians: without response to uniform luminance, and
    /// of unit length.
    fn filter(&self, size: usize, turn: f64) -> Vec<f64> {
        let (sine, cosine) = (self.orientation * PI / 180.0).sin_cos();
        let (mut filter, mut envelopes) = (Vec::with_capacity(size * size), Vec::with_capacity(size * size));
        for at in 0..size * size {
            let (dx, dy) = ((at % size) as f64 - self.x, (at / size) as f64 - self.y);
            let envelope = (-0.5 * (dx * dx + dy * dy) / (self.sigma * self.sigma)).exp();
            let wave = TAU * self.frequency * (cosine * dx + sine * dy) + self.phase + turn;
            envelopes.push(envelope);
            filter.push(envelope * wave.cos());
        }
        let uniform = filter.iter().sum::<f64>() / envelopes.iter().sum::<f64>();
        filter.iter_mut().zip(&envelopes).for_each(|(f, e)| *f -= uniform * e);
        let length = filter.iter().map(|f| f * f).sum::<f64>().sqrt();
        filter.iter_mut().for_each(|f| *f /= length);
        filter
    }
}

/// What is known of a simulated neuron.
#[derive(Debug, Clone, PartialEq)]
pub struct Neuron {
    /// The name of its area.
    pub area: String,
    /// What it responds to.
    pub cell: Cell,
    /// Where it looks; `None` for [`Cell::Untuned`].
    pub field: Option<ReceptiveField>,
    /// Its true fraction of explainable variance over all images: `Var(expected) / (Var(expected) +
    /// mean(expected))`, the variance (n - 1) of its mean counts over images against that plus the Poisson
    /// noise.
    pub true_fev: f64,
}

/// The area and the kind of each neuron: areas one after the other, kinds in exact shares in random order.
pub(super) fn plan(settings: &Settings) -> Vec<(Area, Cell)> {
    let count = settings.neurons;
    let tuned = (settings.tuned * count as f64).round() as usize;
    let simple = (SIMPLE * tuned as f64).round() as usize;
    let kind = |at: usize| match at {
        at if at < simple => Cell::Simple,
        at if at < tuned => Cell::Complex,
        _ => Cell::Untuned,
    };
    let mut cells: Vec<Cell> = (0..count).map(kind).collect();
    Random::stream(settings.seed, "kinds of neurons").shuffle(&mut cells);
    let areas = &settings.areas;
    cells.into_iter().enumerate().map(|(at, cell)| (areas[at * areas.len() / count].clone(), cell)).collect()
}

/// Draws neuron number `at` and computes its mean count for each image.
pub(super) fn respond(
    (area, cell): (Area, Cell),
    at: usize,
    settings: &Settings,
    images: &Array3<u8>,
) -> (Neuron, Vec<f64>) {
    let mut random = Random::stream(settings.seed, &format!("neuron {at}"));
    let field = (cell != Cell::Untuned).then(|| ReceptiveField::draw(&mut random, settings.size, &area));
    let (base, gain) = (random.between(0.5, 1.5), random.between(2.0, 5.0));
    let drive = |field: &ReceptiveField, turn: f64| filtered(images, &field.filter(settings.size, turn));
    let mut rates: Vec<f64> = match &field {
        None => vec![1.0; images.dim().0],
        // Rectified half a standard deviation below its mean, as a cell with some spontaneous activity.
        Some(field) if cell == Cell::Simple => {
            standardised(&drive(field, 0.0)).iter().map(|z| (z + 0.5).max(0.0)).collect()
        }
        Some(field) => {
            let (even, odd) = (drive(field, 0.0), drive(field, -PI / 2.0));
            let energy: Vec<f64> = even.iter().zip(&odd).map(|(a, b)| a.hypot(*b)).collect();
            let unit = deviation(&energy);
            energy.iter().map(|e| e / unit).collect()
        }
    };
    rates.iter_mut().for_each(|rate| *rate = (base + gain * *rate).min(HIGHEST_RATE));
    let (mean, variance) = (mean(&rates), deviation(&rates).powi(2));
    let true_fev = if cell == Cell::Untuned { 0.0 } else { variance / (variance + mean) };
    (Neuron { area: area.name, cell, field, true_fev }, rates)
}

/// The response of a linear filter to each image; luminance runs from -1 to 1.
fn filtered(images: &Array3<u8>, filter: &[f64]) -> Vec<f64> {
    let dot = |image: ndarray::ArrayView2<u8>| -> f64 {
        image.iter().zip(filter).map(|(&l, f)| (f64::from(l) / 127.5 - 1.0) * f).sum()
    };
    images.axis_iter(Axis(0)).map(dot).collect()
}

fn standardised(values: &[f64]) -> Vec<f64> {
    let (mean, unit) = (mean(values), deviation(values));
    values.iter().map(|v| (v - mean) / unit).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation (n - 1), never quite 0.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt().max(1e-12)
}
