//! Change of fluorescence over a running median, less its slow part: how the Allen Institute's pipeline
//! begins, for responses and for events.

use super::noise::noise;
use super::running::{Window, odd_frames, running_quantile};
use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording, padded_rows};
use crate::kernels::relative_change::RelativeChange;

/// Seconds of the running median that is the baseline: 5401 frames at 30 Hz.
pub const BASELINE: f64 = 180.0;

/// Seconds of the running median that is the slow part of dF/F: 101 frames at 30 Hz.
const SLOW: f64 = 10.0 / 3.0;

/// Standard deviations of noise that the slow part may be at most.
const MOST_NOISE: f32 = 2.5;

/// Fluorescence of `rate` frames a second to dF/F, in place: `(F - b) / max(b, noise)`, `b` the running median
/// of three minutes, windows shorter at the ends. A trace without noise is divided by its baseline. `spare` is
/// a matrix of the same shape, whose values are lost.
///
/// # Errors
/// As [`Gpu::run`].
pub fn change_over_median(gpu: &Gpu, traces: &Matrix, rate: f64, spare: &Matrix) -> Result<()> {
    let known = |noise: &f64| if noise.is_nan() { 0.0 } else { *noise as f32 };
    let noise: Vec<f32> = noise(gpu, traces, rate, spare)?.iter().map(known).collect();
    let least = gpu.upload("noise", &noise)?;
    running_quantile(gpu, traces, Window::median(odd_frames(BASELINE, rate)), spare)?;
    let mut recording = Recording::new();
    recording.add(RelativeChange { baseline: spare, least: Some(&least), y: traces }.launch()?);
    gpu.start(&recording)
}

/// Takes the slow part of dF/F away, in place: `x - min(m, 2.5 noise)`, `m` the running median of 10/3 s, as
/// the Allen Institute's pipeline ends. Returns the noise of every row before that, NaN where it has none;
/// from such a row all of `m` is taken. `spare` is a matrix of the same shape, whose values are lost.
///
/// # Errors
/// As [`Gpu::run`].
pub fn without_slow_part(gpu: &Gpu, traces: &Matrix, rate: f64, spare: &Matrix) -> Result<Vec<f64>> {
    let noise = noise(gpu, traces, rate, spare)?;
    running_quantile(gpu, traces, Window::median(odd_frames(SLOW, rate)), spare)?;
    let (mut values, slow) = (traces.download(gpu)?, spare.download(gpu)?);
    for ((mut row, slow), noise) in values.rows_mut().into_iter().zip(slow.rows()).zip(&noise) {
        let most = MOST_NOISE * *noise as f32;
        row.zip_mut_with(&slow, |x, slow| *x -= slow.min(most));
    }
    gpu.write(&traces.buffer, 0, &padded_rows(values.view()))?;
    Ok(noise)
}
