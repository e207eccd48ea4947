//! Images: 1/f textures, scenes of flat shapes, gratings in patches.

use std::f64::consts::{PI, TAU};

use crate::random::Random;

/// Draws one image of `size` x `size` pixels, row by row. Each image has a random stream of its own, so that
/// asking for more images does not change the first ones.
pub(super) fn draw(seed: u64, image: usize, size: usize) -> Vec<u8> {
    let mut random = Random::stream(seed, &format!("image {image}"));
    let mut luminance = vec![0.0; size * size];
    match random.below(10) {
        0..4 => texture(&mut random, size, &mut luminance),
        4..7 => {
            scene(&mut random, size, &mut luminance);
            // A little texture, so that no region is perfectly flat.
            let mut grain = vec![0.0; size * size];
            texture(&mut random, size, &mut grain);
            luminance.iter_mut().zip(grain).for_each(|(l, g)| *l += 0.1 * g);
        }
        _ => gratings(&mut random, size, &mut luminance),
    }
    let contrast = random.between(35.0, 55.0);
    let count = luminance.len() as f64;
    let mean = luminance.iter().sum::<f64>() / count;
    let deviation = (luminance.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-6);
    // The conversion clips to 0..=255.
    luminance.iter().map(|l| (127.5 + contrast * (l - mean) / deviation).round() as u8).collect()
}

/// Adds noise with the same variance in every octave of spatial frequency, as an amplitude spectrum of 1/f
/// has: grids of 2, 4, 8, ... random cells across the image, interpolated smoothly.
fn texture(random: &mut Random, size: usize, luminance: &mut [f64]) {
    let mut cells = 2;
    while cells <= size / 2 {
        let width = cells + 2;
        let grid: Vec<f64> = (0..width * width).map(|_| random.normal()).collect();
        let (left, top) = (random.uniform(), random.uniform());
        for (at, l) in luminance.iter_mut().enumerate() {
            let x = (at % size) as f64 * cells as f64 / size as f64 + left;
            let y = (at / size) as f64 * cells as f64 / size as f64 + top;
            let (column, row) = (x as usize, y as usize);
            let (u, v) = (smooth(x.fract()), smooth(y.fract()));
            let corner = row * width + column;
            let upper = grid[corner] * (1.0 - u) + grid[corner + 1] * u;
            let lower = grid[corner + width] * (1.0 - u) + grid[corner + width + 1] * u;
            *l += upper * (1.0 - v) + lower * v;
        }
        cells *= 2;
    }
}

fn smooth(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}

/// Flat ellipses and rectangles in front of each other.
fn scene(random: &mut Random, size: usize, luminance: &mut [f64]) {
    let extent = size as f64;
    for _ in 0..3 + random.below(5) {
        let (x, y) = (random.uniform() * extent, random.uniform() * extent);
        let (a, b) = (random.between(0.08, 0.4) * extent, random.between(0.08, 0.4) * extent);
        let (sine, cosine) = (random.uniform() * PI).sin_cos();
        let (level, round) = (random.normal(), random.below(2) == 0);
        for (at, l) in luminance.iter_mut().enumerate() {
            let (dx, dy) = ((at % size) as f64 - x, (at / size) as f64 - y);
            let (u, v) = ((cosine * dx + sine * dy) / a, (cosine * dy - sine * dx) / b);
            if if round { u * u + v * v < 1.0 } else { u.abs() < 1.0 && v.abs() < 1.0 } {
                *l = level;
            }
        }
    }
}

/// Sinusoidal gratings under Gaussian windows.
fn gratings(random: &mut Random, size: usize, luminance: &mut [f64]) {
    let extent = size as f64;
    for _ in 0..2 + random.below(4) {
        let (x, y) = (random.uniform() * extent, random.uniform() * extent);
        let window = random.between(0.1, 0.35) * extent;
        let (sine, cosine) = (random.uniform() * PI).sin_cos();
        // 1.5 to 10 cycles per image, evenly over octaves.
        let frequency = random.between(1.5f64.ln(), 10f64.ln()).exp() / extent;
        let (phase, amplitude) = (random.uniform() * TAU, random.between(0.4, 1.0));
        for (at, l) in luminance.iter_mut().enumerate() {
            let (dx, dy) = ((at % size) as f64 - x, (at / size) as f64 - y);
            let envelope = (-0.5 * (dx * dx + dy * dy) / (window * window)).exp();
            *l += amplitude * envelope * (TAU * frequency * (cosine * dx + sine * dy) + phase).cos();
        }
    }
}
