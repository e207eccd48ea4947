//! Noise of a trace from its spectrum, and how its calcium decays from its autocovariance; in f64 on the
//! host, which takes microseconds a trace.

use std::f64::consts::TAU;
use std::ops::Range;

/// Frames of a segment of Welch's method.
const SEGMENT: usize = 256;

/// Segments of which the edge of a spectrum is told, at most.
const SEGMENTS: usize = 32;

/// Lowest frequency that may be an edge, in steps of the spectrum: below, too few say what is usual.
const LOWEST_EDGE: usize = 8;

/// How many times less power lies at every frequency above an edge than on average in the octave below it.
/// Calcium that rises and decays falls by less than 16 an octave, and noise not at all.
const FALL: f64 = 20.0;

/// Cosines and sines of one length of segments, and its window: what [`Welch::noise`] needs of every trace.
#[derive(Debug)]
pub struct Welch {
    window: Vec<f64>,
    /// Of every frequency up to half the sampling rate, `[frequency][frame up to the middle]`.
    tables: Vec<(Vec<f64>, Vec<f64>)>,
    /// Frequencies strictly between a quarter and a half of the sampling rate.
    band: Range<usize>,
}

impl Welch {
    /// For traces of `frames` frames.
    pub fn new(frames: usize) -> Self {
        let length = frames.min(SEGMENT);
        let turn = |k: usize, t: usize| TAU * ((k * t) % length.max(1)) as f64 / length as f64;
        let window = (0..length).map(|t| 0.5 - 0.5 * turn(1, t).cos()).collect();
        let half = 0..length / 2 + 1;
        let table = |k| {
            (
                half.clone().map(|t| turn(k, t).cos()).collect(),
                half.clone().map(|t| turn(k, t).sin()).collect(),
            )
        };
        let band = length / 4 + 1..length.div_ceil(2).max(length / 4 + 1);
        Welch { window, tables: (0..=length / 2).map(table).collect(), band }
    }

    /// Standard deviation of white noise by the mean power above a quarter of the sampling rate
    /// (Pnevmatikakis et al. 2016): segments of 256 frames that overlap by half, less their mean, under a
    /// Hann window. Missing frames are left out. NaN where there are too few frames for a frequency in the
    /// band.
    pub fn noise(&self, y: &[f32]) -> f64 {
        let there: Vec<f64> = y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
        if there.len() < self.window.len() {
            return if there.len() < 5 { f64::NAN } else { Welch::new(there.len()).noise_of(&there) };
        }
        self.noise_of(&there)
    }

    fn noise_of(&self, y: &[f64]) -> f64 {
        let (powers, segments) = self.powers(y, self.band.clone(), usize::MAX);
        let energy = self.window.iter().map(|w| w * w).sum::<f64>();
        (powers.iter().sum::<f64>() / (segments * powers.len() as f64 * energy)).sqrt()
    }

    /// The frequency, as a share of the sampling rate, above which a trace holds nothing, not even noise: it
    /// was resampled from a lower rate, or made smooth. None where it holds something everywhere, as
    /// recordings do, and where it is too short to tell.
    pub fn edge(&self, y: &[f32]) -> Option<f64> {
        let there: Vec<f64> = y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
        let length = self.window.len();
        if there.len() < length {
            return None;
        }
        let (powers, _) = self.powers(&there, 0..self.tables.len(), SEGMENTS);
        // Up to, and without, half the sampling rate.
        let end = length.div_ceil(2);
        let edge = (LOWEST_EDGE..end.saturating_sub(LOWEST_EDGE)).find(|k| {
            let below = &powers[k.div_ceil(2)..k + 1];
            let above = powers[k + 1..end].iter().fold(0.0f64, |most, power| most.max(*power));
            above * FALL < below.iter().sum::<f64>() / below.len() as f64
        });
        edge.map(|k| k as f64 / length as f64)
    }

    /// Power at some frequencies, summed over segments, of which at most so many are taken, evenly spread; and
    /// their number.
    fn powers(&self, y: &[f64], frequencies: Range<usize>, most: usize) -> (Vec<f64>, f64) {
        let length = self.window.len();
        let mut powers = vec![0.0; frequencies.len()];
        // Real frames, folded about the middle: cosines see their sums, sines their differences.
        let middle = length / 2;
        let (mut even, mut odd) = (vec![0.0; middle + 1], vec![0.0; middle + 1]);
        let step = (length / 2).max(1);
        let all = (y.len() - length) / step + 1;
        let taken = all.min(most);
        for number in 0..taken {
            let start = number * all / taken * step;
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
            for (power, (cosines, sines)) in powers.iter_mut().zip(&self.tables[frequencies.clone()]) {
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                *power += dot(cosines, &even).powi(2) + dot(sines, &odd).powi(2);
            }
        }
        (powers, taken as f64)
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

    /// What decays as much in one frame as this does in so many; roots below 0 are taken for 0.
    pub fn power(self, frames: f64) -> Self {
        if frames == 1.0 {
            return self;
        }
        let [slow, fast] = self.roots().map(|root| root.max(0.0).powf(frames));
        Decay { g1: slow + fast, g2: -slow * fast }
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
/// zero .15, and all are shrunk by a fiftieth. Products with a missing frame are left out.
pub fn decay_of(y: &[f32], noise: f64, order: usize) -> Decay {
    let there = || y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v));
    let mean = there().sum::<f64>() / there().count().max(1) as f64;
    let centred: Vec<f64> = y.iter().map(|v| if v.is_nan() { 0.0 } else { f64::from(*v) - mean }).collect();
    let lags = LAGS + order;
    let covariance = |lag: usize| {
        let sum = centred.iter().zip(centred.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>();
        let there = y.iter().zip(y.iter().skip(lag)).filter(|(a, b)| !a.is_nan() && !b.is_nan()).count();
        // As many as there are frames, where none is missing.
        (there > 0).then(|| sum / (there + lag) as f64)
    };
    let covariances: Vec<Option<f64>> = (0..=lags).map(covariance).collect();
    let entry = |row: usize, column: usize| {
        let noise = if row == column { noise * noise } else { 0.0 };
        covariances[row.abs_diff(column)].map(|covariance| covariance - noise)
    };
    // Equations of lags that no two frames are apart are left out.
    let equation = |row: usize| -> Option<([f64; 2], f64)> {
        let second = if order == 2 { entry(row, 1)? } else { 0.0 };
        Some(([entry(row, 0)?, second], covariances[row + 1]?))
    };
    let equations: Vec<([f64; 2], f64)> = (0..lags).filter_map(equation).collect();
    // Normal equations of one or two unknowns.
    let product = |a: usize, b: usize| equations.iter().map(|(left, _)| left[a] * left[b]).sum::<f64>();
    let right = |a: usize| equations.iter().map(|(left, right)| left[a] * right).sum::<f64>();
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
