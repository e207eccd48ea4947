//! Scores of a prediction against one response per image. All in f64, over two slices of equal length.

/// Pearson's correlation, with the exact standard deviations: no epsilon is added to them.
///
/// `sum (y - my)(p - mp) / sqrt(sum (y - my)^2 sum (p - mp)^2)`. NaN when `y` or `p` is constant or holds
/// NaN, or when there are fewer than 2 values. The correlation used for Sensorium's scores differs from it by
/// the 1e-8 that is added to each standard deviation there, and by giving 0 for constant neurons.
pub fn pearson_r(y: &[f64], p: &[f64]) -> f64 {
    if is_constant(y) || is_constant(p) {
        return f64::NAN;
    }
    let (mean_y, mean_p) = (mean(y), mean(p));
    let (mut yy, mut pp, mut yp) = (0.0, 0.0, 0.0);
    for (y, p) in y.iter().zip(p) {
        let (y, p) = (y - mean_y, p - mean_p);
        yy += y * y;
        pp += p * p;
        yp += y * p;
    }
    (yp / (yy.sqrt() * pp.sqrt())).clamp(-1.0, 1.0)
}

/// The coefficient of determination `R2 = 1 - SSE / SST`, where SSE sums `(y - p)^2` and SST sums `(y -
/// my)^2`.
///
/// An offset or a wrong scale of the prediction lowers it; it has no lower bound. NaN when `y` is constant
/// (where himalaya gives 0 and scikit-learn 0 or 1).
pub fn r2(y: &[f64], p: &[f64]) -> f64 {
    if is_constant(y) {
        return f64::NAN;
    }
    let mean_y = mean(y);
    let sse: f64 = y.iter().zip(p).map(|(y, p)| (y - p).powi(2)).sum();
    let sst: f64 = y.iter().map(|y| (y - mean_y).powi(2)).sum();
    1.0 - sse / sst
}

/// Explained variance `1 - Var(y - p) / Var(y)`, scikit-learn's `explained_variance_score`.
///
/// As [`r2`], but it forgives an offset of the prediction. NaN when `y` is constant.
pub fn explained_variance(y: &[f64], p: &[f64]) -> f64 {
    if is_constant(y) {
        return f64::NAN;
    }
    let residual: Vec<f64> = y.iter().zip(p).map(|(y, p)| y - p).collect();
    1.0 - variance(&residual, 0.0) / variance(y, 0.0)
}

/// The mean; NaN for no values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The variance with divisor `n - ddof`, in two passes; NaN where that divisor is not positive.
pub(super) fn variance(values: &[f64], ddof: f64) -> f64 {
    let divisor = values.len() as f64 - ddof;
    if divisor <= 0.0 {
        return f64::NAN;
    }
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / divisor
}

/// Whether all values are the same number. Asked of the values and not of their variance, which rounding may
/// make a little larger than 0.
pub(super) fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|&v| v == values[0])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const Y: [f64; 4] = [1.0, 2.0, 3.0, 6.0];
    const P: [f64; 4] = [2.0, 2.0, 4.0, 4.0];

    #[test]
    fn by_hand() {
        // my = 3, mp = 3; products 2 + 1 + 0 + 3 = 6; squares 4 + 1 + 0 + 9 = 14 and 4.
        assert!((pearson_r(&Y, &P) - 6.0 / 56f64.sqrt()).abs() < 1e-15);
        // SSE = 1 + 0 + 1 + 4 = 6; the residuals -1, 0, -1, 2 have mean 0, so both agree.
        assert!((r2(&Y, &P) - (1.0 - 6.0 / 14.0)).abs() < 1e-15);
        assert!((explained_variance(&Y, &P) - (1.0 - 6.0 / 14.0)).abs() < 1e-15);
    }

    #[test]
    fn offsets_and_scales() {
        let shifted = P.map(|p| p + 5.0);
        let scaled = P.map(|p| 3.0 * p - 1.0);
        assert!((pearson_r(&Y, &scaled) - pearson_r(&Y, &P)).abs() < 1e-15);
        assert!((explained_variance(&Y, &shifted) - explained_variance(&Y, &P)).abs() < 1e-15);
        // SSE grows by 4 * 25 while the residuals keep their mean of 0.
        assert!((r2(&Y, &shifted) - (1.0 - 106.0 / 14.0)).abs() < 1e-14);
        assert_eq!((r2(&Y, &Y), explained_variance(&Y, &Y)), (1.0, 1.0));
        assert!((pearson_r(&Y, &Y.map(|y| -y)) + 1.0).abs() < 1e-15);
        assert!(r2(&Y, &[3.0; 4]).abs() < 1e-15, "the mean as prediction explains nothing");
    }

    #[test]
    fn constants_and_gaps_give_nan() {
        let tenth = [f64::from(0.1f32); 7];
        assert!(pearson_r(&tenth, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).is_nan());
        assert!(pearson_r(&Y, &[0.3; 4]).is_nan());
        assert!(r2(&tenth, &tenth).is_nan() && explained_variance(&tenth, &tenth).is_nan());
        assert!(pearson_r(&[], &[]).is_nan() && r2(&[], &[]).is_nan() && pearson_r(&[1.0], &[1.0]).is_nan());
        let gap = [1.0, f64::NAN, 3.0, 4.0];
        assert!(pearson_r(&Y, &gap).is_nan() && r2(&Y, &gap).is_nan());
    }
}
