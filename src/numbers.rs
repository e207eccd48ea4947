//! Error bounds for sums in f32: the one place that says how far a kernel may be from its oracle. And the
//! median.

/// A value computed in f64, and what bounds the rounding error of an f32 kernel that computes the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// The exact value (to f64).
    pub value: f64,
    /// Largest allowed distance of an f32 result.
    pub bound: f64,
}

/// The median: the mean of the two middle values where their number is even; NaN of none. Values are numbers.
pub fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let (middle, even) = (values.len() / 2, values.len().is_multiple_of(2));
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return *upper;
    }
    0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + *upper)
}

/// The bound of a word that is no number: no distance is below it.
const WORD: f64 = f64::NEG_INFINITY;

/// Unit roundoff of f32.
pub const UNIT: f64 = 1.0 / (1u32 << 24) as f64;

/// Smallest normal f32: results below it may be flushed to zero.
pub const TINY: f64 = f32::MIN_POSITIVE as f64;

impl Bounded {
    /// The sum of `terms` products, of which `magnitude` is the sum of absolute values.
    ///
    /// The bound is 8 sqrt(terms) u magnitude: rounding errors of many terms cancel like a random walk, and
    /// the worst case (terms u) would let a dropped term pass.
    pub fn sum(value: f64, magnitude: f64, terms: usize) -> Self {
        let terms = terms.max(1) as f64;
        Bounded { value, bound: 8.0 * terms.sqrt() * UNIT * magnitude + terms * TINY }
    }

    /// A value that must come out to the bit.
    pub fn exact(value: f64) -> Self {
        Bounded { value, bound: 0.0 }
    }

    /// Bits that must come out as they are, whatever number they would be.
    pub fn word(bits: u32) -> Self {
        Bounded { value: f64::from(bits), bound: WORD }
    }

    /// How far an admitted result is from the value; 0 where there is no distance.
    pub fn distance(&self, got: f32) -> f64 {
        if self.bound == WORD || !self.value.is_finite() { 0.0 } else { (f64::from(got) - self.value).abs() }
    }

    /// Whether an f32 result is within the bound; NaN must be NaN, infinities must agree in sign.
    pub fn admits(&self, got: f32) -> bool {
        if self.bound == WORD {
            return f64::from(got.to_bits()) == self.value;
        }
        if self.value.is_nan() {
            return got.is_nan();
        }
        if self.value.is_infinite() {
            return f64::from(got) == self.value;
        }
        (f64::from(got) - self.value).abs() <= self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_by_hand() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
        assert_eq!((median(vec![5.0, -1.0]), median(vec![7.0])), (2.0, 7.0));
        assert!(median(Vec::new()).is_nan());
    }
}
