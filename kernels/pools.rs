//! What the kernels of AR(1) deconvolution share: the model of a trace, its pools in f64, and how far f32 may
//! be.

use super::case::Values;
use super::fit::wrong;
use crate::error::Result;
use crate::gpu::{Buffer, Matrix};
use crate::numbers::UNIT;
use ndarray::Array2;

/// Rounds of a launch. A round is at most twenty-one turns of all loops, and drivers exist that count all
/// loops of an invocation together and stop at 65,535.
pub const ROUNDS: usize = 1536;

/// What a trace is taken to be: minimise `1/2 |c - (y - baseline)|^2 + penalty sum s` over
/// `s_t = c_t - decay c_(t-1)`, each at least `smallest` or zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// What is left of the calcium after a frame: above 0, below 1.
    pub decay: f32,
    /// Of the sum of events.
    pub penalty: f32,
    /// Fluorescence without calcium.
    pub baseline: f32,
    /// Smallest event; 0 for the convex problem.
    pub smallest: f32,
}

impl Model {
    /// The four words of the kernels.
    pub fn words(&self) -> [f32; 4] {
        [self.decay, self.penalty, self.baseline, self.smallest]
    }
}

/// Frames between two events, in f64: calcium is `v / w` at the first and decays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// Sum of `g^k (y - baseline - penalty's share)` over its frames that are not missing.
    pub v: f64,
    /// Sum of `g^2k` over the same.
    pub w: f64,
    /// `g` to the power of its length.
    pub d: f64,
    /// Its first frame.
    pub first: usize,
}

impl Pool {
    /// Calcium at the first frame, as least squares have it.
    pub fn height(&self) -> f64 {
        if self.w > 0.0 { self.v / self.w } else { 0.0 }
    }

    /// The same, no event below the smallest.
    pub fn start(&self, smallest: f64) -> f64 {
        let height = self.height().max(0.0);
        if self.first > 0 && height < smallest { 0.0 } else { height }
    }

    fn joined(&self, next: &Pool) -> Pool {
        let (v, w) = (self.v + self.d * next.v, self.w + self.d * self.d * next.w);
        Pool { v, w, d: self.d * next.d, first: self.first }
    }
}

/// The pools of a trace in f64 (Friedrich, Zhou & Paninski 2017), and the frames at which two pools were
/// joined or not by less than `near`: rounding may decide otherwise.
pub fn reference(y: &[f32], model: &Model, near: f64) -> (Vec<Pool>, Vec<usize>) {
    let [g, penalty, baseline, smallest] = model.words().map(f64::from);
    let (mut pools, mut ties): (Vec<Pool>, Vec<usize>) = (Vec::new(), Vec::new());
    for (first, value) in y.iter().enumerate() {
        let share = if first + 1 == y.len() { penalty } else { penalty * (1.0 - g) };
        if value.is_nan() {
            match pools.last_mut() {
                Some(last) => last.d *= g,
                None => pools.push(Pool { v: 0.0, w: 0.0, d: g, first }),
            }
            continue;
        }
        let mut last = Pool { v: f64::from(*value) - baseline - share, w: 1.0, d: g, first };
        // A pool of missing frames alone is joined to none.
        while let Some(before) = pools.last().filter(|before| before.w > 0.0) {
            let over = before.height() * before.d + smallest - last.height();
            if over.abs() <= near {
                ties.push(last.first);
            }
            if over <= 0.0 {
                break;
            }
            last = before.joined(&last);
            pools.pop();
        }
        pools.push(last);
    }
    (pools, ties)
}

/// Calcium and events of pools over `frames` frames, in f64.
pub fn expand(pools: &[Pool], model: &Model, frames: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut calcium, mut events) = (vec![0.0; frames], vec![0.0; frames]);
    for (k, pool) in pools.iter().enumerate() {
        let end = pools.get(k + 1).map_or(frames, |next| next.first);
        let mut c = pool.start(f64::from(model.smallest));
        // Calcium of the first frame that is not missing is no event.
        if k > 0 && pools[k - 1].w > 0.0 {
            events[pool.first] = (c - f64::from(model.decay) * calcium[pool.first - 1]).max(0.0);
        }
        for value in &mut calcium[pool.first..end] {
            *value = c;
            c *= f64::from(model.decay);
        }
    }
    (calcium, events)
}

/// How far calcium of f32 pools may be from f64's, at every frame.
///
/// c_t is the largest over starts s <= t of the smallest over ends e >= t of the least-squares calcium of the
/// frames s..e at t (as in isotonic regression), and moves no more than the worst of these. Each is a sum of
/// decaying terms over a sum of decaying squares: an error of delta in every term moves it by at most (1 + g)
/// delta. A term passes at most as many additions as frames that count, which end where g^k is below the last
/// bit: after 17 / (1 - g).
pub fn bound(y: &[f32], model: &Model) -> f64 {
    let [g, penalty, baseline, smallest] = model.words().map(f64::from);
    let values = y.iter().filter(|v| !v.is_nan()).map(|v| f64::from(v.abs()));
    let largest = values.fold(0.0, f64::max) + penalty + baseline.abs() + smallest;
    let terms = (y.len() as f64).min(17.0 / (1.0 - g)).max(1.0);
    (1.0 + g) * 8.0 * terms.sqrt() * UNIT * largest
}

/// What every launch of these kernels is checked for.
pub(super) fn check(
    kernel: &str,
    y: &Matrix,
    [model, progress, pools]: [&Buffer; 3],
    rounds: usize,
) -> Result<()> {
    let words = y.rows * y.pitch();
    let fits = y.buffer.words() >= words
        && model.words() >= 4 * y.rows
        && progress.words() >= 2 * y.rows
        && pools.words() >= 4 * words;
    if !fits || y.columns == 0 || y.columns > 1 << 28 {
        return wrong(kernel, format!("{model:?}, {progress:?} or {pools:?} do not fit {y:?}"));
    }
    if rounds > ROUNDS {
        return wrong(kernel, format!("{rounds} rounds, at most {ROUNDS}"));
    }
    Ok(())
}

/// Calcium of random events in noise, for cases; every `missing`-th frame is missing, none if that is 0.
pub(super) fn traces(shape: [usize; 2], decay: f32, missing: usize, seed: u64) -> Array2<f32> {
    let mut values = Values::new(seed);
    let mut y = Array2::<f32>::zeros(shape);
    for mut row in y.rows_mut() {
        let mut c = 0.0;
        for (t, value) in row.iter_mut().enumerate() {
            c *= decay;
            if values.integers(1)[0] == 3.0 {
                c += 1.0;
            }
            *value = c + 0.3 * values.integers(1)[0] + values.wide(1)[0] / 64.0;
            if missing > 0 && (t % missing == 0 || t % 71 < missing / 2) {
                *value = f32::NAN;
            }
        }
    }
    y
}
