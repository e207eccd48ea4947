//! The penalty of each AR(1) trace by its noise, and its baseline: what is left over has the noise's
//! variance.

use super::oasis::{Model, Oasis, Sums};
use crate::error::Result;

/// Solutions until every trace has its noise, at most; what has not by then keeps its last penalty.
const LONGEST: usize = 30;

/// How near the residual's sum of squares has to come to the noise's.
const NEAR: f64 = 1e-4;

/// What a trace is fitted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Decay of a frame.
    pub decay: f32,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// Smallest event.
    pub smallest: f32,
    /// The baseline, or where to start looking for it.
    pub baseline: f64,
    /// The penalty, where it is not to be found by the noise.
    pub penalty: Option<f64>,
}

/// The search for one trace.
///
/// Calcium depends on baseline b and penalty p through one number, `shift = b + p (1 - g)`, but for the last
/// frame. For a free baseline b is the mean of what calcium leaves, so that the shift alone is to be found.
struct Search {
    wanted: Wanted,
    shift: f64,
    /// Shifts that leave too little and too much.
    between: [f64; 2],
    baseline: f64,
    done: bool,
}

impl Search {
    fn penalty(&self) -> f64 {
        ((self.shift - self.baseline) / (1.0 - f64::from(self.wanted.decay))).max(0.0)
    }

    fn model(&self) -> Model {
        Model {
            decay: self.wanted.decay,
            penalty: self.penalty() as f32,
            baseline: self.baseline as f32,
            smallest: self.wanted.smallest,
        }
    }

    /// Takes the sums of the solution at the present shift, and moves on. `free`: the baseline is looked for.
    fn step(&mut self, sums: &Sums, free: bool) {
        let [rr, qq, rq, r, q, c] = sums.values;
        let (n, noise) = (sums.frames.max(1.0), self.wanted.noise);
        let target = noise * noise * n;
        let mean = if free { r / n } else { 0.0 };
        // Sums about the mean: a free baseline takes it.
        let (rr, qq, rq) = if free { (rr - r * mean, qq - q * q / n, rq - r * q / n) } else { (rr, qq, rq) };
        let before = self.baseline;
        self.baseline += mean;
        let missing = rr - target;
        let small = |x: f64| x.abs() <= NEAR * noise;
        if let Some(penalty) = self.wanted.penalty {
            self.shift = self.baseline + penalty * (1.0 - f64::from(self.wanted.decay));
            self.done = !free || small(mean);
            return;
        }
        if missing.abs() <= NEAR * target || (missing < 0.0 && c <= 0.0) {
            self.done = true;
            return;
        }
        if self.shift <= before && missing > 0.0 {
            // No penalty, and yet more is left than the noise: the baseline alone is still to settle.
            self.shift = self.baseline;
            self.done = !free || small(mean);
            self.between = [f64::NEG_INFINITY, f64::INFINITY];
            return;
        }
        self.between[usize::from(missing > 0.0)] = self.shift;
        let root = (rq * rq - qq * missing).max(0.0).sqrt();
        let step = if qq > 0.0 { (root - rq) / qq } else { f64::NAN };
        let next = self.shift + step * (1.0 - f64::from(self.wanted.decay));
        let [low, high] = self.between;
        self.shift = if next > low && next < high {
            next
        } else if low.is_finite() && high.is_finite() {
            (low + high) / 2.0
        } else {
            self.shift + (1.0f64).copysign(-missing) * noise
        };
        // A penalty is never negative.
        self.shift = self.shift.max(self.baseline);
    }
}

/// Finds the model of each trace: the penalty at which `sum (y - b - c)^2` is the noise's variance times the
/// frames, as nearly as 1e-4; with a free baseline also the baseline. Leaves all traces solved for their
/// models. A trace whose noise is larger than itself gets a penalty that leaves nothing of it; one that is
/// left more than the noise without any penalty gets none.
///
/// # Errors
/// As [`crate::gpu::Gpu::run`].
pub fn constrain(oasis: &Oasis<'_>, wanted: &[Wanted], free: bool) -> Result<Vec<Model>> {
    let open = [f64::NEG_INFINITY, f64::INFINITY];
    let start = |w: &Wanted| {
        let shift = w.baseline + w.penalty.unwrap_or(0.0) * (1.0 - f64::from(w.decay));
        Search { wanted: *w, shift, between: open, baseline: w.baseline, done: false }
    };
    let mut searches: Vec<Search> = wanted.iter().map(start).collect();
    let mut which: Vec<usize> = (0..searches.len()).collect();
    for _ in 0..LONGEST {
        let models: Vec<Model> = which.iter().map(|trace| searches[*trace].model()).collect();
        oasis.solve(&which, &models)?;
        for (trace, sums) in which.iter().zip(oasis.sums(&which)?) {
            searches[*trace].step(&sums, free);
        }
        which.retain(|trace| !searches[*trace].done);
        if which.is_empty() {
            break;
        }
    }
    let models: Vec<Model> = searches.iter().map(Search::model).collect();
    oasis.solve(&(0..models.len()).collect::<Vec<_>>(), &models)?;
    Ok(models)
}
