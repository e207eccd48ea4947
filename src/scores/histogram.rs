//! Counts of values in bins of equal width.

use serde::Serialize;

/// One bin: `low <= value < high`; the last bin of a histogram holds `high` too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// Values inside.
    pub count: usize,
}

/// Counts `values` in `bins` bins of equal width from `low` to `high`; values outside and NaN are not counted
/// (NumPy's `histogram` with a range).
pub fn histogram(values: impl Iterator<Item = f64>, bins: usize, low: f64, high: f64) -> Vec<Bin> {
    let edge = |at: usize| low + (high - low) * (at as f64 / bins as f64);
    let bin = |at: usize| Bin { low: edge(at), high: edge(at + 1), count: 0 };
    let mut all: Vec<Bin> = (0..bins).map(bin).collect();
    for value in values.filter(|v| (low..=high).contains(v)) {
        let guess = ((value - low) / (high - low) * bins as f64) as usize;
        let mut at = guess.min(bins.saturating_sub(1));
        // The quotient may round over an edge.
        if at > 0 && value < all[at].low {
            at -= 1;
        } else if at + 1 < bins && value >= all[at].high {
            at += 1;
        }
        if let Some(bin) = all.get_mut(at) {
            bin.count += 1;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.histogram(values, 4, (-1, 1))` of NumPy 2 on the same values.
    #[test]
    fn counts_are_numpys() {
        let values = [-1.0, -0.5, -0.500001, 0.0, 0.25, 0.5, 0.999, 1.0, 1.1, f64::NAN, -3.0];
        let bins = histogram(values.into_iter(), 4, -1.0, 1.0);
        assert_eq!(bins.iter().map(|b| b.count).collect::<Vec<_>>(), [2, 1, 2, 3]);
        assert_eq!((bins[0].low, bins[1].low, bins[3].high), (-1.0, -0.5, 1.0));
        // Every tenth, which no bin of a tenth may miss by rounding.
        let tenths = histogram((0..=10).map(|i| f64::from(i) / 10.0), 10, 0.0, 1.0);
        assert_eq!(tenths.iter().map(|b| b.count).sum::<usize>(), 11);
        assert!(histogram([0.5].into_iter(), 0, 0.0, 1.0).is_empty());
    }
}
