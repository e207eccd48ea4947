//! The Allen Institute's way from corrected fluorescence to events: change over a running median, noise, and
//! the decay of the indicator. The running medians are kernels.

use crate::error::Result;
use crate::gpu::{Gpu, Matrix};
use crate::routines::{Window, running_quantile, running_quantile_bytes};
use ndarray::{Array2, ArrayView2};

/// Frames of the running median that is the baseline: three minutes at 30 Hz.
const BASELINE: usize = 5401;

/// Frames of the running median that is taken off the change of fluorescence.
const SHORT: usize = 101;

/// Frames of the running median that is taken off before noise is measured.
const NOISE: usize = 31;

/// What a half-life in milliseconds leaves of calcium after a frame.
pub fn decay_of_half_life(milliseconds: f64, rate: f64) -> f64 {
    (-std::f64::consts::LN_2 * 1000.0 / (milliseconds * rate)).exp()
}

/// The half-life of an indicator in a mouse line, in milliseconds; 315 where the line is not known.
pub const HALF_LIFE: f64 = 315.0;

/// How many traces [`change`] takes at once within what memory is free.
pub fn traces_at_once(gpu: &Gpu, frames: usize) -> usize {
    let free = gpu.ledger().free().saturating_sub(running_quantile_bytes(frames));
    let row = 4 * frames.next_multiple_of(4).max(4) as u64;
    (free / (2 * row)).min(gpu.max_binding_bytes() / row).max(1) as usize
}

/// Change of fluorescence less its slow part, and the noise of each neuron (NaN where it has none); neurons x
/// frames. `is_change` says that the traces are changes over a baseline already.
///
/// # Errors
/// As [`running_quantile`].
pub fn change(gpu: &Gpu, traces: ArrayView2<'_, f32>, is_change: bool) -> Result<(Array2<f32>, Vec<f64>)> {
    let medians = Medians::new(gpu, traces.dim())?;
    let mut x = traces.to_owned();
    if !is_change {
        let noise = medians.noise(&x)?;
        let base = medians.of(&x, BASELINE)?;
        for ((mut row, base), noise) in x.rows_mut().into_iter().zip(base.rows()).zip(&noise) {
            row.zip_mut_with(&base, |x, base| *x = (*x - base) / base.max(*noise as f32));
        }
    }
    let noise = medians.noise(&x)?;
    let slow = medians.of(&x, SHORT)?;
    for ((mut row, slow), noise) in x.rows_mut().into_iter().zip(slow.rows()).zip(&noise) {
        row.zip_mut_with(&slow, |x, slow| *x -= slow.min(2.5 * *noise as f32));
    }
    Ok((x, noise))
}

/// Room for running medians of matrices of one shape.
struct Medians<'a> {
    gpu: &'a Gpu,
    x: Matrix,
    y: Matrix,
}

impl<'a> Medians<'a> {
    fn new(gpu: &'a Gpu, (rows, columns): (usize, usize)) -> Result<Self> {
        let zeros = |what| Matrix::zeros(gpu, what, rows, columns);
        Ok(Medians { gpu, x: zeros("traces")?, y: zeros("medians")? })
    }

    fn of(&self, x: &Array2<f32>, frames: usize) -> Result<Array2<f32>> {
        self.gpu.write(&self.x.buffer, 0, &crate::gpu::padded_rows(x.view()))?;
        running_quantile(self.gpu, &self.x, Window::median(frames), &self.y)?;
        self.y.download(self.gpu)
    }

    /// Standard deviation of what a short running median leaves, without its large values.
    fn noise(&self, x: &Array2<f32>) -> Result<Vec<f64>> {
        let slow = self.of(x, NOISE)?;
        let rows = x.rows().into_iter().zip(slow.rows());
        Ok(rows.map(|(x, slow)| noise_of(x.iter().zip(slow).map(|(x, slow)| x - slow).collect())).collect())
    }
}

fn noise_of(mut x: Vec<f32>) -> f64 {
    x.retain(|v| !v.is_nan());
    let lowest = x.iter().fold(0.0f32, |m, v| m.min(*v));
    x.retain(|v| *v < 1.5 * lowest.abs());
    let wide = robust_deviation(&x);
    x.retain(|v| f64::from(v.abs()) < 2.5 * wide);
    robust_deviation(&x)
}

/// 1.4826 times the median distance from the median.
fn robust_deviation(x: &[f32]) -> f64 {
    let Some(middle) = median(x.to_vec()) else { return f64::NAN };
    median(x.iter().map(|v| (v - middle).abs()).collect()).map_or(f64::NAN, |d| 1.4826 * f64::from(d))
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let odd = !values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    let middle = *middle;
    Some(if odd { middle } else { (below.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v)) + middle) / 2.0 })
}
