//! The Allen Institute's way from corrected fluorescence to events: change over a running median, noise, and
//! the decay of the indicator. The running medians are kernels.

use crate::error::Result;
use crate::gpu::{Gpu, Matrix};
use crate::routines::{change_over_median, running_quantile_bytes, without_slow_part};
use ndarray::{Array2, ArrayView2};

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
/// frames, of which there are `rate` a second. `is_change` says that the traces are changes over a baseline
/// already.
///
/// # Errors
/// As [`Gpu::run`].
pub fn change(
    gpu: &Gpu,
    traces: ArrayView2<'_, f32>,
    rate: f64,
    is_change: bool,
) -> Result<(Array2<f32>, Vec<f64>)> {
    let (rows, frames) = traces.dim();
    let (x, spare) = (Matrix::upload(gpu, "traces", traces)?, Matrix::zeros(gpu, "medians", rows, frames)?);
    if !is_change {
        change_over_median(gpu, &x, rate, &spare)?;
    }
    let noise = without_slow_part(gpu, &x, rate, &spare)?;
    Ok((x.download(gpu)?, noise))
}
