//! The window whose responses are the most reliable, by trial and not by error: over many windows, on
//! training images.

use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::{Frames, Statistic};
use crate::error::Result;
use crate::numbers::median;
use crate::scores::repeats::Trials;

/// Starts of windows in seconds after that of a presentation, up to this one.
const LATEST: f64 = 0.5;

/// Between starts, at least a frame.
const STEP: f64 = 1.0 / 15.0;

/// Lengths of windows in seconds; each at least a frame longer than the one before.
const LENGTHS: [f64; 7] = [0.034, 0.1, 0.167, 0.234, 0.334, 0.467, 0.7];

/// Neurons that candidates are judged by, at most: spread evenly over all.
pub const NEURONS: usize = 150;

/// A window and how reliable it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// First frame after the start of a presentation.
    pub start: i64,
    /// The frame after the last one.
    pub stop: i64,
    /// Split-half reliability (Spearman and Brown's) over training images, median over neurons; NaN where
    /// none has one.
    pub reliability: f64,
}

/// The windows that are compared in a recording of `rate` frames a second (30 where unknown): starts from 0
/// to 0.5 s, lengths from a frame to 0.7 s.
///
/// # Errors
/// Usage, if the longest of them has more frames than a kernel goes through.
pub fn candidates(rate: f64, statistic: Statistic) -> Result<Vec<Frames>> {
    let rate = if rate.is_nan() { 30.0 } else { rate };
    let frames = |seconds: f64| (seconds * rate).round().max(1.0) as i64;
    let mut lengths: Vec<i64> = LENGTHS.map(frames).to_vec();
    lengths.dedup();
    let starts = (0..=frames(LATEST)).step_by(frames(STEP) as usize);
    let window = |start: i64, length: i64| {
        let window = start..start.saturating_add(length);
        Frames { window, baseline: None, statistic, percent: false }
    };
    window(0, lengths.iter().copied().max().unwrap_or(1)).short_enough()?;
    Ok(starts.flat_map(|start| lengths.iter().map(move |length| window(start, *length))).collect())
}

/// The neurons that judge, of so many.
pub fn judges(neurons: usize) -> Vec<usize> {
    let count = neurons.min(NEURONS);
    (0..count).map(|at| at * neurons / count).collect()
}

/// How reliable responses (neurons, images, repeats) are: the median over neurons of [`Trials::split_half`]
/// on images that train; NaN where no neuron has repeats.
pub fn reliability(responses: &Array3<f32>, trains: &[bool], seed: u64) -> f64 {
    let one = |neuron: usize| {
        let images = responses.index_axis(Axis(0), neuron);
        let training = (0..trains.len()).filter(|image| trains[*image]);
        Trials::new(training.map(|image| images.index_axis(Axis(0), image))).split_half(seed)
    };
    let all: Vec<f64> = (0..responses.dim().0).into_par_iter().map(one).collect();
    median(all.into_iter().filter(|r| !r.is_nan()).collect())
}

/// The most reliable; of equals the first, which is the earliest and shortest. `None` where none is known.
pub fn best(candidates: &[Candidate]) -> Option<&Candidate> {
    let known = candidates.iter().filter(|c| !c.reliability.is_nan());
    known.reduce(|best, c| if c.reliability > best.reliability { c } else { best })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn candidates_follow_the_rate() {
        let windows: Vec<_> =
            candidates(30.0, Statistic::Mean).unwrap().into_iter().map(|f| f.window).collect();
        assert_eq!((windows.len(), windows[0].clone(), windows[55].clone()), (56, 0..1, 14..35));
        let slow = candidates(3.0, Statistic::Mean).unwrap();
        assert!(candidates(1e30, Statistic::Mean).is_err());
        assert_eq!(slow.iter().map(|f| f.window.end).max(), Some(4));
        assert_eq!(judges(5), [0, 1, 2, 3, 4]);
        assert_eq!((judges(301)[1], judges(301).len()), (2, NEURONS));
    }

    #[test]
    fn the_most_reliable_wins_and_the_first_of_equals() {
        let of = |start, reliability| Candidate { start, stop: 9, reliability };
        let all = [of(0, f64::NAN), of(1, 0.4), of(2, 0.6), of(3, 0.6)];
        assert_eq!(best(&all).map(|c| c.start), Some(2));
        assert_eq!(best(&all[..1]), None);
    }
}
