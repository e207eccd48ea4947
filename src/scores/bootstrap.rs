//! Percentile bootstrap: what a score would have been with other images, or other neurons, of the same kind.
//!
//! Items are drawn with repetition, as many as there are (Efron 1979). All neurons see the same draws of
//! images, so that what they share by the choice of images stays shared in means over neurons. The draws come
//! from ChaCha8 streams: the same seed gives the same intervals.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::agreement::{is_constant, mean, variance};
use super::repeats::Trials;
use crate::numbers::median;
use crate::random::Random;

/// Draws of an interval, where nobody asks for another number.
pub const DRAWS: usize = 1000;

/// Variance of a draw below this part of the whole's is rounding: the same value was drawn over and over.
const LEAST_VARIANCE: f64 = 1e-12;

/// The middle 95 % of the draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// No interval.
    pub const NONE: Interval = Interval { low: f64::NAN, high: f64::NAN };

    /// Of the values of all draws, between neighbouring values linearly (NumPy's `percentile`). Draws without
    /// a value (NaN) are left out; NaN where these are more than half.
    pub fn of(mut draws: Vec<f64>) -> Interval {
        let asked = draws.len();
        draws.retain(|v| !v.is_nan());
        if draws.is_empty() || 2 * draws.len() < asked {
            return Interval::NONE;
        }
        draws.sort_unstable_by(f64::total_cmp);
        Interval { low: percentile(&draws, 0.025), high: percentile(&draws, 0.975) }
    }

    /// Whether a number lies inside.
    pub fn holds(&self, number: f64) -> bool {
        self.low <= number && number <= self.high
    }
}

/// The value below which a share of sorted values lies, linear between neighbours; NaN for no values.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// Draws with repetition of `items` numbers, the same for everything they are used for.
#[derive(Debug, Clone)]
pub struct Resamples {
    items: usize,
    numbers: Vec<u32>,
}

impl Resamples {
    /// `draws` draws of as many numbers below `items`, from the stream `bootstrap NAME` of `seed`.
    pub fn new(seed: u64, name: &str, items: usize, draws: usize) -> Self {
        let mut random = Random::stream(seed, &format!("bootstrap {name}"));
        let numbers = (0..items * draws).map(|_| random.below(items) as u32).collect();
        Resamples { items, numbers }
    }

    fn draws(&self) -> impl Iterator<Item = &[u32]> {
        self.numbers.chunks_exact(self.items.max(1))
    }

    /// A statistic of sums over the drawn items: `terms` are each item's summands.
    pub fn of_sums<const K: usize>(
        &self,
        terms: &[[f64; K]],
        statistic: impl Fn(&[f64; K]) -> f64,
    ) -> Vec<f64> {
        let one = |draw: &[u32]| {
            let mut sums = [0.0; K];
            for item in draw {
                for (sum, term) in sums.iter_mut().zip(&terms[*item as usize]) {
                    *sum += term;
                }
            }
            statistic(&sums)
        };
        self.draws().map(one).collect()
    }

    /// [`super::agreement::pearson_r`] between two lists of one value an item, in every draw.
    pub fn pearson_r(&self, y: &[f64], p: &[f64]) -> Vec<f64> {
        if is_constant(y) || is_constant(p) {
            return vec![f64::NAN; self.draws().count()];
        }
        let (y, p) = (standardised(y), standardised(p));
        let terms: Vec<[f64; 5]> = y.iter().zip(&p).map(|(y, p)| [*y, *p, y * y, p * p, y * p]).collect();
        let n = self.items as f64;
        self.of_sums(&terms, |[y, p, yy, pp, yp]| {
            let (yy, pp, yp) = (yy / n - (y / n).powi(2), pp / n - (p / n).powi(2), yp / n - y / n * (p / n));
            if yy.min(pp) < LEAST_VARIANCE { f64::NAN } else { (yp / (yy * pp).sqrt()).clamp(-1.0, 1.0) }
        })
    }

    /// The mean over the items that have a value.
    pub fn mean(&self, values: &[f64]) -> Vec<f64> {
        let term = |v: &f64| if v.is_nan() { [0.0, 0.0] } else { [*v, 1.0] };
        let terms: Vec<[f64; 2]> = values.iter().map(term).collect();
        self.of_sums(&terms, |[sum, count]| sum / count)
    }

    /// The median over the items that have a value.
    pub fn median(&self, values: &[f64]) -> Vec<f64> {
        let drawn = |draw: &[u32]| draw.iter().map(|i| values[*i as usize]).filter(|v| !v.is_nan()).collect();
        self.draws().map(|draw| median(drawn(draw))).collect()
    }
}

/// Values minus their mean, over their standard deviation, so that sums of squares lose no digits.
fn standardised(values: &[f64]) -> Vec<f64> {
    let (mean, deviation) = (mean(values), variance(values, 0.0).sqrt());
    values.iter().map(|v| (v - mean) / deviation).collect()
}

/// For each neuron the interval of `pearson_r` between the mean over repeats and the prediction, over images:
/// `repeats` (neurons, images, repeats; NaN where missing), `predictions` (neurons, images).
pub fn pearson_intervals(
    repeats: ArrayView3<f32>,
    predictions: ArrayView2<f32>,
    draws: usize,
    seed: u64,
) -> Vec<Interval> {
    let (neurons, images, _) = repeats.dim();
    let resamples = Resamples::new(seed, "images", images, draws);
    let one = |neuron: usize| {
        let measured = Trials::new(repeats.index_axis(Axis(0), neuron).outer_iter()).averages();
        let predicted: Vec<f64> = predictions.row(neuron).iter().map(|&p| f64::from(p)).collect();
        Interval::of(resamples.pearson_r(&measured, &predicted))
    };
    (0..neurons).into_par_iter().map(one).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::agreement::pearson_r;
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile([1, 2, 4, 8, 16], [2.5, 50, 97.5]) of NumPy 2.
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        let found = [0.025, 0.5, 0.975].map(|share| percentile(&sorted, share));
        for (found, wanted) in found.iter().zip([1.1, 4.0, 15.2]) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        let interval = Interval::of(vec![8.0, f64::NAN, 1.0, 16.0, 2.0, 4.0]);
        assert!((interval.low - 1.1).abs() < 1e-12 && interval.holds(4.0) && !interval.holds(1.0));
        assert!(
            Interval::of(vec![1.0, f64::NAN, f64::NAN]).low.is_nan() && Interval::of(vec![]).high.is_nan()
        );
    }

    #[test]
    fn every_draw_is_the_score_of_the_drawn_images() {
        let mut random = Random::stream(4, "test");
        let y: Vec<f64> = (0..20).map(|_| 1e3 + random.normal()).collect();
        let p: Vec<f64> = y.iter().map(|y| 7.0 * y + random.normal()).collect();
        let resamples = Resamples::new(1, "images", 20, 50);
        let (r, means) = (resamples.pearson_r(&y, &p), resamples.mean(&y));
        for (draw, (r, m)) in resamples.draws().zip(r.iter().zip(means)) {
            let of = |v: &[f64]| draw.iter().map(|i| v[*i as usize]).collect::<Vec<_>>();
            assert!((r - pearson_r(&of(&y), &of(&p))).abs() < 1e-9);
            assert!((m - mean(&of(&y))).abs() < 1e-9);
        }
        assert_eq!(r, Resamples::new(1, "images", 20, 50).pearson_r(&y, &p));
        assert_ne!(r, Resamples::new(2, "images", 20, 50).pearson_r(&y, &p));
        assert_eq!(
            Resamples::new(1, "x", 2, 200).median(&[1.0, f64::NAN]).iter().filter(|v| **v == 1.0).count(),
            Resamples::new(1, "x", 2, 200).draws().filter(|d| d.contains(&0)).count()
        );
    }

    /// The interval of r covers the truth about as often as it says: percentile intervals of 60 images are a
    /// little short.
    #[test]
    fn intervals_cover_the_truth() {
        let (neurons, images, truth) = (400, 60, 0.6f64);
        let mut random = Random::stream(9, "test");
        let p = Array2::from_shape_fn((neurons, images), |_| random.normal() as f32);
        let y = Array3::from_shape_fn((neurons, images, 1), |(n, i, _)| {
            (truth * f64::from(p[[n, i]]) + (1.0 - truth * truth).sqrt() * random.normal()) as f32
        });
        let intervals = pearson_intervals(y.view(), p.view(), 500, 3);
        let covered = intervals.iter().filter(|i| i.holds(truth)).count() as f64 / neurons as f64;
        assert!((0.90..=0.98).contains(&covered), "{covered}");
    }

    #[test]
    fn constants_and_single_images_have_no_interval() {
        let resamples = Resamples::new(0, "images", 3, 100);
        assert!(Interval::of(resamples.pearson_r(&[1.0; 3], &[1.0, 2.0, 3.0])).low.is_nan());
        let one = Resamples::new(0, "images", 1, 100);
        assert!(Interval::of(one.pearson_r(&[1.0], &[2.0])).low.is_nan());
        assert!(Interval::of(Resamples::new(0, "images", 0, 10).mean(&[])).low.is_nan());
    }
}
