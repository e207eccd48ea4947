//! Planes that were imaged in turn: a trace has one of every k frames. Such traces are processed at their own
//! rate, and the results are put back at the frames that they belong to.

use super::infer::{Fitted, Inferred};
use super::noise::Decay;
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use std::collections::BTreeMap;

/// Fewest frames from which it can be told that they are every k-th.
const FEWEST: usize = 5;

/// Every how many frames, starting from which frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub every: usize,
    pub first: usize,
}

/// The widest regular grid that holds all frames that are not missing.
fn turn(y: ArrayView1<'_, f32>) -> Turn {
    let there: Vec<usize> = y.iter().enumerate().filter(|(_, v)| !v.is_nan()).map(|(t, _)| t).collect();
    if there.len() < FEWEST {
        return Turn { every: 1, first: 0 };
    }
    let every = there.iter().fold(0, |every, t| common_divisor(t - there[0], every));
    Turn { every, first: there[0] % every }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The rows of each turn, in ascending order.
pub(super) fn turns(traces: ArrayView2<'_, f32>) -> BTreeMap<Turn, Vec<usize>> {
    let mut turns: BTreeMap<Turn, Vec<usize>> = BTreeMap::new();
    for (row, y) in traces.rows().into_iter().enumerate() {
        turns.entry(turn(y)).or_default().push(row);
    }
    turns
}

impl Turn {
    /// Frames of this turn of some rows.
    pub fn of(self, traces: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f32> {
        traces.slice(s![.., self.first..;self.every]).select(ndarray::Axis(0), rows)
    }

    /// Puts what was inferred of some rows at this turn where it belongs. Between its frames calcium decays.
    pub fn put(self, found: &Inferred, rows: &[usize], all: &mut Inferred) {
        for ((at, row), fitted) in rows.iter().enumerate().zip(&found.neurons) {
            let Decay { g1, g2 } = fitted.calcium_decay().power(1.0 / self.every as f64);
            all.neurons[*row] = Fitted { decay: [g1, g2], every: self.every, ..*fitted };
            let [slow, _] = Decay { g1, g2 }.roots();
            let missing = if found.events.row(at).iter().any(|v| v.is_nan()) { f32::NAN } else { 0.0 };
            all.events.row_mut(*row).fill(missing);
            all.calcium.row_mut(*row).fill(missing);
            let mut events = all.events.slice_mut(s![*row, self.first..;self.every]);
            events.assign(&found.events.row(at));
            for (frame, value) in all.calcium.row_mut(*row).iter_mut().enumerate().skip(self.first) {
                let since = frame - self.first;
                let before = f64::from(found.calcium[[at, since / self.every]]);
                *value = (before * slow.powi((since % self.every) as i32)) as f32;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn trace(frames: usize, there: impl Fn(usize) -> bool) -> Vec<f32> {
        (0..frames).map(|t| if there(t) { t as f32 } else { f32::NAN }).collect()
    }

    #[test]
    fn the_turn_is_what_all_frames_have_in_common() {
        let of = |y: Vec<f32>| turn(ArrayView1::from(&y));
        assert_eq!(of(trace(60, |_| true)), Turn { every: 1, first: 0 });
        assert_eq!(of(trace(60, |t| t % 3 == 2)), Turn { every: 3, first: 2 });
        // With gaps of its own, and beginning late.
        assert_eq!(of(trace(600, |t| t > 40 && t % 7 == 4 && t % 5 > 0)), Turn { every: 7, first: 4 });
        assert_eq!(of(trace(60, |t| t % 3 == 2 || t == 30)), Turn { every: 1, first: 0 });
        // Too few to say anything.
        assert_eq!(of(trace(60, |t| t % 20 == 5)), Turn { every: 1, first: 0 });
        assert_eq!(of(trace(60, |_| false)), Turn { every: 1, first: 0 });
    }
}
