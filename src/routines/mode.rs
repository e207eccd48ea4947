//! The running mode of rows in whole units, made smooth by a running mean.

use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, LONGEST_LOOP, Matrix, Recording};
use crate::kernels::running_mean::RunningMean;
use crate::kernels::running_mode::{self, MOST_BINS, RunningMode, histogram_words};

/// Most bytes of histograms at once, unless a single row takes more.
const SCRATCH_BYTES: usize = 64 << 20;

/// GPU memory that [`windowed_mode`] takes beside its matrices, in bytes, at most.
pub fn windowed_mode_bytes(columns: usize) -> u64 {
    4 * histogram_words(1, columns, MOST_BINS).max(SCRATCH_BYTES / 4 + columns) as u64
}

fn refused(found: String, wanted: String) -> Error {
    Error::new(Kind::Usage, "windowed mode", found, wanted, "Take the median for a baseline")
}

/// `y[r, t]` = the mean over `t - halves[1] .. t + halves[1]` of modes, and the mode of a frame the whole
/// number that most values of `x[r]` from `halves[0]` frames before it to as many after round to, of equals
/// the smallest. Windows end where rows do; what is not finite is left out, and NaN where nothing is left.
///
/// # Errors
/// Usage, if a row spans more than 32,768 whole numbers, or a window more frames; as [`Gpu::run`].
pub fn windowed_mode(gpu: &Gpu, x: &Matrix, halves: [usize; 2], y: &Matrix) -> Result<()> {
    let longest = 2 * halves[0].max(halves[1]);
    if longest > LONGEST_LOOP as usize {
        return Err(refused(format!("a window of {longest} frames"), format!("at most {LONGEST_LOOP}")));
    }
    let values = x.download(gpu)?;
    let ends = values.rows().into_iter().map(|row| {
        let finite = || row.iter().copied().filter(|v| v.is_finite());
        [finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max)]
            .map(f32::round_ties_even)
    });
    // A row without any finite value has no bins, and no lowest.
    let ends: Vec<[f32; 2]> =
        ends.map(|[low, high]| if low <= high { [low, high] } else { [0.0; 2] }).collect();
    drop(values);
    let spans = ends.iter().map(|[low, high]| f64::from(*high) - f64::from(*low) + 1.0);
    let widest = spans.fold(1.0, f64::max);
    if widest > MOST_BINS as f64 {
        let found = format!("a trace spans {widest:.0} whole units");
        let wanted = format!("at most {MOST_BINS}, for the mode counts whole units");
        return Err(refused(found, wanted));
    }
    let lowest: Vec<f32> = ends.iter().map(|[low, _]| *low).collect();
    let lowest = gpu.upload("lowest values", &lowest)?;
    let (bins, row_words) = (widest as usize, histogram_words(1, x.columns, widest as usize));
    let at_once = (SCRATCH_BYTES / 4 / row_words).clamp(1, x.rows.max(1));
    let histogram = gpu.allocate("histograms", at_once * row_words)?;
    let modes = gpu.allocate("modes", at_once * x.columns)?;
    let mut row = 0;
    while row < x.rows {
        let row_cost = 4.0 * (x.columns + row_words) as f64;
        let affordable = (gpu.affordable(&running_mode::KERNEL) / row_cost) as usize;
        let rows = row..(row + at_once.min(affordable.max(1))).min(x.rows);
        row = rows.end;
        let mut recording = Recording::new();
        let [half, smooth] = halves;
        let mode = RunningMode {
            x,
            rows: rows.clone(),
            lowest: &lowest,
            bins,
            half,
            histogram: &histogram,
            modes: &modes,
        };
        recording.add(mode.launch()?);
        recording.add(RunningMean { bins: &modes, rows, lowest: &lowest, half: smooth, y }.launch()?);
        gpu.start(&recording)?;
    }
    Ok(())
}
