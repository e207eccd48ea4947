//! The few statistics that plots and sentences need. All of them leave out what is not finite.

pub(super) use crate::scores::bootstrap::percentile as quantile;

use std::f64::consts::PI;

/// The values that are there and finite, in ascending order.
pub(super) fn sorted(values: impl IntoIterator<Item = Option<f64>>) -> Vec<f64> {
    let mut there: Vec<f64> = values.into_iter().flatten().filter(|v| v.is_finite()).collect();
    there.sort_unstable_by(f64::total_cmp);
    there
}

/// The median of sorted values; NaN for none.
pub(super) fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

/// The mean; NaN for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Counts of values in bins of equal width.
pub(super) struct Histogram {
    /// Lower edge of the first bin.
    pub low: f64,
    /// Width of a bin.
    pub width: f64,
    /// Values in each bin; the first and the last also hold what lies beyond them.
    pub counts: Vec<usize>,
    /// Values that lie below the first bin.
    pub below: usize,
}

impl Histogram {
    /// Counts values between `low` and `high`.
    pub(super) fn new(values: &[f64], low: f64, high: f64, bins: usize) -> Histogram {
        let width = (high - low) / bins as f64;
        let mut counts = vec![0; bins];
        for value in values {
            // A cast saturates: what lies below goes to the first bin.
            counts[(((value - low) / width) as usize).min(bins - 1)] += 1;
        }
        Histogram { low, width, counts, below: values.iter().filter(|v| **v < low).count() }
    }

    /// Edges and count of each bin.
    pub(super) fn bins(&self) -> impl Iterator<Item = (f64, f64, usize)> {
        let edge = |bin: usize| self.low + bin as f64 * self.width;
        self.counts.iter().enumerate().map(move |(bin, count)| (edge(bin), edge(bin + 1), *count))
    }
}

/// A Gaussian kernel density of sorted values at `points` places from `low` to `high`, with Silverman's
/// bandwidth `0.9 min(sd, IQR / 1.34) n^(-1/5)` (Silverman 1986, eq. 3.31), at least a hundredth of the
/// range.
pub(super) fn density(sorted: &[f64], low: f64, high: f64, points: usize) -> Vec<(f64, f64)> {
    let n = sorted.len() as f64;
    let centre = mean(sorted);
    let deviation = (sorted.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / n).sqrt();
    let between = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.34;
    let spread = if between > 0.0 { deviation.min(between) } else { deviation };
    let bandwidth = (0.9 * spread * n.powf(-0.2)).max(0.01 * (high - low));
    let at = |place: f64| {
        let kernel = |v: &f64| (-0.5 * ((place - v) / bandwidth).powi(2)).exp();
        sorted.iter().map(kernel).sum::<f64>() / (n * bandwidth * (2.0 * PI).sqrt())
    };
    let place = |point: usize| low + (high - low) * point as f64 / (points - 1) as f64;
    (0..points).map(|point| (place(point), at(place(point)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_hand() {
        let values = sorted([Some(3.0), None, Some(1.0), Some(f64::NAN), Some(2.0), Some(4.0)]);
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!((median(&values), quantile(&values, 0.0), quantile(&values, 1.0)), (2.5, 1.0, 4.0));
        assert!((quantile(&values, 0.1) - 1.3).abs() < 1e-12);
        assert!(median(&[]).is_nan() && mean(&[]).is_nan());
    }

    #[test]
    fn histograms_count_every_value_once() {
        let histogram = Histogram::new(&[-7.0, -1.0, -0.5, 0.0, 0.999, 1.0, 30.0], -1.0, 1.0, 4);
        assert_eq!(histogram.counts, [2, 1, 1, 3]);
        assert_eq!(histogram.below, 1);
        assert_eq!(histogram.bins().last().map(|(low, high, _)| (low, high)), Some((0.5, 1.0)));
    }

    #[test]
    fn a_density_integrates_to_one() {
        let values = sorted((0..200).map(|n| Some((f64::from(n) * 0.7).sin())));
        let density = density(&values, -3.0, 3.0, 601);
        let area: f64 = density.iter().map(|(_, d)| d * 0.01).sum();
        assert!((area - 1.0).abs() < 1e-3, "{area}");
    }
}
