//! Windows of traces on the device: one number for each neuron and trial.

use ndarray::{Array2, s};

use super::{Frames, Statistic};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::window_response::{self, Measure, Starts, WindowResponse};

/// Responses to trials: (neurons, trials). `traces` (neurons, frames) begin at frame `first` of the
/// recording, `starts` are the first frames of presentations, all of whose windows the traces hold. NaN where
/// a frame of a window is not finite, or a baseline is zero.
///
/// # Errors
/// Internal, if a window lies beyond the traces; as [`Gpu::run`].
pub fn window_responses(
    gpu: &Gpu,
    traces: &Matrix,
    first: usize,
    starts: &[usize],
    frames: &Frames,
) -> Result<Array2<f32>> {
    let reach = frames.reach();
    let column = |start: &usize| u32::try_from(*start as i64 + reach.start - first as i64);
    let columns: std::result::Result<Vec<u32>, _> = starts.iter().map(column).collect();
    let columns = columns.map_err(|_| Error::internal("window responses", "a window before the traces"))?;
    let from = |range: &std::ops::Range<i64>| {
        [range.start - reach.start, range.end - reach.start].map(|frame| frame as usize)
    };
    let measure = Measure {
        window: from(&frames.window),
        baseline: frames.baseline.as_ref().map_or([0, 0], from),
        maximum: frames.statistic == Statistic::Max,
        percent: frames.percent,
    };
    let mut responses = Array2::zeros((traces.rows, starts.len()));
    let mut done = 0;
    while done < columns.len() {
        let cost = WindowResponse::cost(measure) * traces.rows as f64;
        let affordable = (gpu.affordable(&window_response::KERNEL) / cost) as usize;
        let next = (done + affordable.max(4)).min(columns.len());
        let starts = Starts::upload(gpu, &columns[done..next])?;
        let y = Matrix::zeros(gpu, "responses", traces.rows, next - done)?;
        let mut recording = Recording::new();
        recording.add(WindowResponse { x: traces, starts: &starts, measure, y: &y }.launch()?);
        gpu.start(&recording)?;
        responses.slice_mut(s![.., done..next]).assign(&y.download(gpu)?);
        done = next;
    }
    if frames.statistic == Statistic::Sum {
        let count = (frames.window.end - frames.window.start) as f32;
        responses.mapv_inplace(|mean| mean * count);
    }
    Ok(responses)
}
