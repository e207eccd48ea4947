//! Noise of a trace from its spectrum, and how its calcium decays from its autocovariance; in f64 on the
//! host, which takes microseconds a trace.

use std::f64::consts::TAU;

/// Frames of a segment of Welch's method.
const SEGMENT: usize = 256;

/// Cosines and sines of one length of segments, and its window: what [`Welch::noise`] needs of every trace.
#[derive(Debug)]
pub struct Welch {
    window: Vec<f64>,
    /// Frequencies strictly between a quarter and a half of the sampling rate, `[frequency][frame up to the
    /// middle]`.
    tables: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Welch {
    /// For traces of `frames` frames.
    pub fn new(frames: usize) -> Self {
        let length = frames.min(SEGMENT);
        let turn = |k: usize, t: usize| TAU * ((k * t) % length.max(1)) as f64 / length as f64;
        let window = (0..length).map(|t| 0.5 - 0.5 * turn(1, t).cos()).collect();
        let band = (0..=length / 2).filter(|k| 4 * k > length && 2 * k < length);
        let half = 0..length / 2 + 1;
        let table = |k| {
            (
                half.clone().map(|t| turn(k, t).cos()).collect(),
                half.clone().map(|t| turn(k, t).sin()).collect(),
            )
        };
        Welch { window, tables: band.map(table).collect() }
    }

    /// Standard deviation of white noise by the mean power above a quarter of the sampling rate
    /// (Pnevmatikakis et al. 2016): segments of 256 frames that overlap by half, less their mean, under a
    /// Hann window. Missing frames are left out. NaN where there are too few frames for a frequency in the
    /// band.
    pub fn noise(&self, y: &[f32]) -> f64 {
        let there: Vec<f64> = y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
        let length = self.window.len();
        if there.len() < length {
            return if there.len() < 5 { f64::NAN } else { Welch::new(there.len()).noise_of(&there) };
        }
        self.noise_of(&there)
    }

    fn noise_of(&self, y: &[f64]) -> f64 {
        let length = self.window.len();
        let (mut power, mut segments) = (0.0, 0.0);
        // Real frames, folded about the middle: cosines see their sums, sines their differences.
        let middle = length / 2;
        let (mut even, mut odd) = (vec![0.0; middle + 1], vec![0.0; middle + 1]);
        for start in (0..=y.len() - length).step_by((length / 2).max(1)) {
            let segment = &y[start..start + length];
            let mean = segment.iter().sum::<f64>() / length as f64;
            let at = |t: usize| self.window[t] * (segment[t] - mean);
            for t in 0..=middle {
                let alone = t == 0 || 2 * t == length;
                (even[t], odd[t]) = match length - t {
                    _ if alone => (at(t), 0.0),
                    other if other > t => (at(t) + at(other), at(t) - at(other)),
                    _ => (0.0, 0.0),
                };
            }
            for (cosines, sines) in &self.tables {
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                power += dot(cosines, &even).powi(2) + dot(sines, &odd).powi(2);
            }
            segments += 1.0;
        }
        let energy = self.window.iter().map(|w| w * w).sum::<f64>();
        (power / (segments * self.tables.len() as f64 * energy)).sqrt()
    }
}

/// How calcium decays: `c_t = g1 c_(t-1) + g2 c_(t-2)` between events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay {
    /// Of the frame before.
    pub g1: f64,
    /// Of the frame before that; 0 for AR(1).
    pub g2: f64,
}

impl Decay {
    /// From time constants of decay and rise, in frames; no rise is AR(1).
    pub fn of_times(decay: f64, rise: Option<f64>) -> Self {
        let d = (-1.0 / decay).exp();
        match rise.map(|rise| (-1.0 / rise).exp()) {
            Some(r) => Decay { g1: d + r, g2: -d * r },
            None => Decay { g1: d, g2: 0.0 },
        }
    }

    /// The slower and the faster root of `z^2 - g1 z - g2`; real parts where they are complex.
    pub fn roots(&self) -> [f64; 2] {
        let middle = self.g1 / 2.0;
        let apart = (middle * middle + self.g2).max(0.0).sqrt();
        [middle + apart, middle - apart]
    }
}

/// Lags beyond the order that [`decay_of`] fits.
const LAGS: usize = 10;

/// What estimated roots are multiplied by: autocovariances of events of any size make them too large.
const FUDGE: f64 = 0.98;

/// The decay of a trace by least squares of its autocovariance at lags up to 10 + order, noise taken off the
/// diagonal (Pnevmatikakis et al. 2016, as OASIS has it); order 1 or 2. Roots above one become .95, below
/// zero .15, and all are shrunk by a fiftieth. Products with a missing
/// frame are left out.
pub fn decay_of(y: &[f32], noise: f64, order: usize) -> Decay {
    let there = || y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v));
    let mean = there().sum::<f64>() / there().count().max(1) as f64;
    let centred: Vec<f64> = y.iter().map(|v| if v.is_nan() { 0.0 } else { f64::from(*v) - mean }).collect();
    let lags = LAGS + order;
    let covariance = |lag: usize| {
        let sum = centred.iter().zip(centred.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>();
        let there = y.iter().zip(y.iter().skip(lag)).filter(|(a, b)| !a.is_nan() && !b.is_nan()).count();
        // As many as there are frames, where none is missing.
        sum / (there + lag).max(1) as f64
    };
    let covariances: Vec<f64> = (0..=lags).map(covariance).collect();
    let entry = |row: usize, column: usize| {
        covariances[row.abs_diff(column)] - if row == column { noise * noise } else { 0.0 }
    };
    // Normal equations of one or two unknowns.
    let product = |a: usize, b: usize| (0..lags).map(|r| entry(r, a) * entry(r, b)).sum::<f64>();
    let right = |a: usize| (0..lags).map(|r| entry(r, a) * covariances[r + 1]).sum::<f64>();
    let raw = if order == 1 {
        Decay { g1: right(0) / product(0, 0), g2: 0.0 }
    } else {
        let determinant = product(0, 0) * product(1, 1) - product(0, 1).powi(2);
        Decay {
            g1: (right(0) * product(1, 1) - right(1) * product(0, 1)) / determinant,
            g2: (right(1) * product(0, 0) - right(0) * product(0, 1)) / determinant,
        }
    };
    let tame = |root: f64| match root {
        r if r > 1.0 => 0.95 * FUDGE,
        r if r < 0.0 || r.is_nan() => 0.15 * FUDGE,
        r => r * FUDGE,
    };
    let [d, r] = raw.roots().map(tame);
    if order == 1 { Decay { g1: tame(raw.g1), g2: 0.0 } } else { Decay { g1: d + r, g2: -d * r } }
}
