//! The standard deviation of a trace's noise, from what is left of it beside its running median.

use rayon::prelude::*;

use super::running::{Window, odd_frames, running_quantile};
use crate::error::Result;
use crate::gpu::{Gpu, Matrix};
use crate::numbers::median;

/// Seconds of the running median that is taken away first: 31 frames at 30 Hz.
const SECONDS: f64 = 1.0;

/// Its frames at least: the median of a few follows the noise itself.
const FRAMES: usize = 31;

/// The standard deviation of a normal distribution whose median absolute deviation is 1.
const NORMAL: f64 = 1.4826;

/// The noise of every row of `traces`, as the Allen Institute's event pipeline estimates it: of what is left
/// beside the running median of a second (31 frames at least), values above 1.5 times the smallest one's magnitude are dropped,
/// then those beyond 2.5 robust standard deviations (1.4826 median absolute deviations), and of the rest the
/// robust standard deviation is the noise. NaN is left out; NaN where nothing is left. `spare` is a matrix of
/// the same shape, whose values are lost.
///
/// # Errors
/// As [`running_quantile`].
pub fn noise(gpu: &Gpu, traces: &Matrix, rate: f64, spare: &Matrix) -> Result<Vec<f64>> {
    let window = Window::median(odd_frames(SECONDS, rate).max(FRAMES));
    running_quantile(gpu, traces, window, spare)?;
    let (traces, medians) = (traces.download(gpu)?, spare.download(gpu)?);
    let rows: Vec<_> = traces.rows().into_iter().zip(medians.rows()).collect();
    let one = |(row, medians): (ndarray::ArrayView1<f32>, ndarray::ArrayView1<f32>)| {
        let left = row.iter().zip(medians).map(|(v, m)| f64::from(*v) - f64::from(*m));
        noise_of(left.filter(|v| v.is_finite()).collect())
    };
    Ok(rows.into_par_iter().map(one).collect())
}

/// The noise of values whose slow part is taken away already.
fn noise_of(mut left: Vec<f64>) -> f64 {
    let least = left.iter().copied().fold(f64::INFINITY, f64::min).abs();
    left.retain(|v| *v < 1.5 * least);
    let spread = robust_deviation(&left);
    left.retain(|v| v.abs() < 2.5 * spread);
    robust_deviation(&left)
}

/// 1.4826 times the median distance from the median.
fn robust_deviation(values: &[f64]) -> f64 {
    let centre = median(values.to_vec());
    NORMAL * median(values.iter().map(|v| (v - centre).abs()).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::Options;
    use crate::random::Random;
    use ndarray::Array2;

    #[test]
    fn transients_do_not_count_as_noise() {
        let mut random = Random::stream(2, "noise");
        let mut traces = Array2::from_shape_simple_fn((3, 4000), || random.normal() as f32);
        for t in (100..4000).step_by(150) {
            for k in 0..40 {
                traces[[1, t + k]] += 12.0 * (-(k as f32) / 8.0).exp();
            }
        }
        traces.row_mut(2).fill(f32::NAN);
        let gpu = Gpu::open(&Options::default()).unwrap();
        let x = Matrix::upload(&gpu, "x", traces.view()).unwrap();
        let spare = Matrix::zeros(&gpu, "spare", 3, 4000).unwrap();
        let found = noise(&gpu, &x, 30.0, &spare).unwrap();
        assert!((found[0] - 1.0).abs() < 0.06 && (found[1] - 1.0).abs() < 0.08, "{found:?}");
        assert!(found[2].is_nan());
    }

    #[test]
    fn by_hand() {
        // The smallest is -2: 9 goes; the median of the others is 0, their distances 1, 1, 2, 0, 1.
        assert_eq!(noise_of(vec![-1.0, 1.0, -2.0, 0.0, 1.0, 9.0]), NORMAL);
    }
}
