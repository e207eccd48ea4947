//! Correlations of rows with one another.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::agreement::pearson_r;

/// Values that two rows must share for a correlation: with two it is always 1 or -1.
pub const LEAST_VALUES: usize = 3;

/// [`pearson_r`] of every row with every other: (rows, rows), symmetric. Two rows are compared where both
/// have a value (pandas' `corr`); NaN where fewer than [`LEAST_VALUES`] are left or one of the two is
/// constant there. The diagonal is 1, or NaN for a row that has no correlation with anything.
pub fn row_correlations(rows: ArrayView2<f64>) -> Array2<f64> {
    let n = rows.nrows();
    let one = |first: usize| -> Vec<f64> {
        (first..n).map(|second| correlation(rows.row(first), rows.row(second))).collect()
    };
    let upper: Vec<Vec<f64>> = (0..n).into_par_iter().map(one).collect();
    Array2::from_shape_fn((n, n), |(i, j)| match (i.min(j), i.max(j)) {
        (i, j) if i == j && !upper[i][0].is_nan() => 1.0,
        (i, j) => upper[i][j - i],
    })
}

fn correlation(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let both = || a.iter().zip(&b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (a, b): (Vec<f64>, Vec<f64>) = both().unzip();
    if a.len() < LEAST_VALUES { f64::NAN } else { pearson_r(&a, &b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// `pandas.DataFrame(rows.T).corr(min_periods=3)` of pandas 2 on the same rows.
    #[test]
    fn rows_with_gaps_correlate_where_both_have_values() {
        let gap = f64::NAN;
        let rows = array![
            [1.0, 2.0, 3.0, 4.0, 7.0],
            [2.0, 1.0, gap, 3.0, 5.0],
            [5.0, 5.0, 5.0, 5.0, 5.0],
            [gap, gap, gap, 1.0, 2.0],
            [9.0, 7.0, 5.0, 2.0, 1.0]
        ];
        let found = row_correlations(rows.view());
        let wanted = PANDAS;
        for i in 0..5 {
            for j in 0..5 {
                let (found, wanted) = (found[[i, j]], wanted[i][j]);
                let same = (found - wanted).abs() < 1e-12 || found.is_nan() && wanted.is_nan();
                assert!(same, "{i} {j}: {found} {wanted}");
            }
        }
    }

    const GAP: f64 = f64::NAN;
    const PANDAS: [[f64; 5]; 5] = [
        [1.0, 0.9221388919541468, GAP, GAP, -0.9280237603264575],
        [0.9221388919541468, 1.0, GAP, GAP, -0.8212073334045127],
        [GAP, GAP, GAP, GAP, GAP],
        [GAP, GAP, GAP, GAP, GAP],
        [-0.9280237603264575, -0.8212073334045127, GAP, GAP, 1.0],
    ];
}
