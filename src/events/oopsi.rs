//! Fast non-negative deconvolution (Vogelstein et al. 2010): the most likely events under an exponential
//! prior, by an interior point, in f64 on the host. Its objective is compared to 1e-7, of which f32 knows
//! nothing, so that neurons are shared between the host's cores; each Newton step is one pass along the
//! trace.

use crate::numbers::median;

/// What the method assumes of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Oopsi {
    /// Time constant of the decay in frames; calcium keeps `1 - 1 / time` of itself.
    pub time: f64,
    /// Expected events a frame.
    pub rate: f64,
}

/// A solution.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Calcium in the trace's units, above the baseline.
    pub calcium: Vec<f64>,
    /// Events, the largest 1.
    pub events: Vec<f64>,
    /// The baseline, in the trace's units, about the line that was taken off.
    pub baseline: f64,
    /// Standard deviation of the noise, in the trace's units.
    pub noise: f64,
    /// The objective after every Newton step, a list for each weight of the barrier.
    pub course: Vec<Vec<f64>>,
}

/// Parameters of a trace scaled to 0..1.
struct Parameters {
    decay: f64,
    baseline: f64,
    variance: f64,
    /// Price of an event.
    price: f64,
}

/// Solves a trace without missing frames.
pub fn solve(y: &[f64], options: &Oopsi) -> Solution {
    let (fluorescence, lowest, range) = scaled(y);
    let decay = 1.0 - 1.0 / options.time;
    let baseline = median(fluorescence.clone());
    let deviations: Vec<f64> = fluorescence.iter().map(|f| (f - baseline).abs()).collect();
    let spread = (1.4826 * median(deviations)).max(1e-6);
    let parameters = Parameters { decay, baseline, variance: spread * spread, price: options.rate };
    let (calcium, course) = interior_point(&fluorescence, &parameters);
    let mut events = events(&calcium, decay);
    for first in events.iter_mut().take(2) {
        *first = 1e-8;
    }
    let largest = events.iter().fold(f64::MIN_POSITIVE, |m, e| m.max(*e));
    Solution {
        calcium: calcium.iter().map(|c| c * range).collect(),
        events: events.iter().map(|e| e / largest).collect(),
        baseline: lowest + parameters.baseline * range,
        noise: parameters.variance.sqrt() * range,
        course,
    }
}

/// The trace less its least-squares line, scaled to 0..1; its lowest value and its range.
fn scaled(y: &[f64]) -> (Vec<f64>, f64, f64) {
    let n = y.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let along = |t: usize| t as f64 - middle;
    let squares = y.iter().enumerate().map(|(t, _)| along(t).powi(2)).sum::<f64>();
    let slope = y.iter().enumerate().map(|(t, v)| along(t) * v).sum::<f64>() / squares.max(1.0);
    let flat: Vec<f64> = y.iter().enumerate().map(|(t, v)| v - mean - slope * along(t)).collect();
    let lowest = flat.iter().fold(f64::INFINITY, |m, v| m.min(*v));
    let range = (flat.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v)) - lowest).max(f64::MIN_POSITIVE);
    (flat.iter().map(|v| (v - lowest) / range + 1e-16).collect(), lowest + mean, range)
}

/// `n_t = C_t - g C_(t-1)`.
fn events(calcium: &[f64], decay: f64) -> Vec<f64> {
    let before = std::iter::once(0.0).chain(calcium.iter().copied());
    calcium.iter().zip(before).map(|(c, before)| c - decay * before).collect()
}

/// `|F - C - b|^2 / (2 variance) + price sum n - barrier sum log n`.
fn objective(f: &[f64], calcium: &[f64], events: &[f64], p: &Parameters, barrier: f64) -> f64 {
    let misfit: f64 = f.iter().zip(calcium).map(|(f, c)| (f - c - p.baseline).powi(2)).sum();
    let prior: f64 = events.iter().map(|n| p.price * n - barrier * n.ln()).sum();
    misfit / (2.0 * p.variance) + prior
}

/// Newton's steps under a barrier that falls from 1 to 1e-13.
fn interior_point(f: &[f64], p: &Parameters) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut calcium = Vec::with_capacity(f.len());
    let mut before = 0.0;
    for _ in f {
        before = p.decay * before + 0.01;
        calcium.push(before);
    }
    let (mut course, mut step) = (Vec::new(), Newton::new(f.len()));
    for power in 0..=13 {
        let barrier = 10f64.powi(-power);
        let mut n = events(&calcium, p.decay);
        let mut steps = vec![objective(f, &calcium, &n, p, barrier)];
        let (mut size, mut length) = (1.0, f64::INFINITY);
        // The published rule, which never goes on for long; a bound all the same.
        for _ in 0..200 {
            if length <= 5e-2 || size <= 1e-3 {
                break;
            }
            step.direction(f, &calcium, &n, p, barrier);
            let jumps = events(&step.d, p.decay);
            let reach = n.iter().zip(&jumps).filter(|(_, j)| **j < 0.0).map(|(n, j)| -n / j);
            let reach = reach.fold(f64::INFINITY, f64::min);
            size = if reach < 1.0 { 0.99 * reach } else { 1.0 };
            let now = steps[steps.len() - 1];
            while size > 1e-20 {
                let moved: Vec<f64> = calcium.iter().zip(&step.d).map(|(c, d)| c + size * d).collect();
                let then = events(&moved, p.decay);
                let value = objective(f, &moved, &then, p, barrier);
                if value <= now + 1e-7 {
                    (calcium, n) = (moved, then);
                    steps.push(value);
                    break;
                }
                size /= 5.0;
            }
            length = step.d.iter().map(|d| d * d).sum::<f64>().sqrt();
        }
        course.push(steps);
    }
    (calcium, course)
}

/// Newton's direction, and what it is solved in.
struct Newton {
    d: Vec<f64>,
    upper: Vec<f64>,
}

impl Newton {
    fn new(frames: usize) -> Self {
        Newton { d: vec![0.0; frames], upper: vec![0.0; frames] }
    }

    /// Solves `(1 / variance + barrier M' n^-2 M) d = -gradient`, whose matrix has three diagonals, in two
    /// passes.
    fn direction(&mut self, f: &[f64], calcium: &[f64], n: &[f64], p: &Parameters, barrier: f64) {
        let (frames, g) = (f.len(), p.decay);
        let curvature = |t: usize| barrier / (n[t] * n[t]);
        let slope = |t: usize| p.price - barrier / n[t];
        let mut carried = 0.0;
        for t in 0..frames {
            let after = if t + 1 < frames { [curvature(t + 1), slope(t + 1)] } else { [0.0; 2] };
            let diagonal = 1.0 / p.variance + curvature(t) + g * g * after[0];
            let gradient = -(f[t] - calcium[t] - p.baseline) / p.variance + slope(t) - g * after[1];
            let below = -g * curvature(t);
            let (upper, d) = if t > 0 { (self.upper[t - 1], carried) } else { (0.0, 0.0) };
            let pivot = 1.0 / (diagonal - below * upper);
            self.upper[t] = -g * after[0] * pivot;
            carried = (-gradient - below * d) * pivot;
            self.d[t] = carried;
        }
        for t in (0..frames.saturating_sub(1)).rev() {
            self.d[t] -= self.upper[t] * self.d[t + 1];
        }
    }
}
