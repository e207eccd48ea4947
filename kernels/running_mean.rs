//! The mean of a window around every bin of a row: what makes a running mode smooth.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::running_mode::{MISSING, MOST_BINS, SEGMENT};
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("running_mean", include_str!("running_mean.wgsl"), PARTS);

/// `y[rows.start + r, t]` = `lowest` of that row + the mean of its bins from frame t - half to t + half, half
/// open.
pub struct RunningMean<'a> {
    /// Rows x frames of u32 below [`MOST_BINS`], or [`MISSING`].
    pub bins: &'a Buffer,
    /// Which rows of `y` they are.
    pub rows: Range<usize>,
    /// What bin 0 stands for in each row of `y`, f32.
    pub lowest: &'a Buffer,
    /// Frames before and after.
    pub half: usize,
    /// What is written; its padding as zero.
    pub y: &'a Matrix,
}

impl RunningMean<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit their buffers, or windows are too long.
    pub fn launch(&self) -> Result<Launch> {
        let (y, rows, name) = (self.y, self.rows.len(), KERNEL.name());
        check_matrices(name, &[("y", y)])?;
        let short = self.bins.words() < rows * y.columns || self.lowest.words() < y.rows;
        let windows = 1..=LONGEST_LOOP as usize / 2;
        if short || self.rows.end > y.rows || rows == 0 || !windows.contains(&self.half) {
            return wrong(name, format!("rows {:?} of {y:?}, windows of 2 x {}", self.rows, self.half));
        }
        let segments = y.columns.div_ceil(SEGMENT);
        Ok(Launch::new(&KERNEL, Grid::Items(rows * segments))
            .read("bins", self.bins)
            .read("lowest", self.lowest)
            .write("y", &y.buffer)
            .set("items", rows * segments)
            .set("segments", segments)
            .set("segment", SEGMENT)
            .set("frames", y.columns)
            .set("pitch", y.pitch())
            .set("first", self.rows.start)
            .set("half", self.half)
            .set("nothing", 0)
            .cost(2.0 * (rows * y.columns + 2 * rows * segments * self.half) as f64))
    }
}

/// The same in f64. The sum of whole numbers is exact; it is rounded once, the division may be 2.5 units in
/// the last place off, and adding the lowest rounds once more.
pub fn oracle(bins: &[u32], lowest: f32, half: usize) -> Vec<Bounded> {
    let one = |frame: usize| {
        let window = &bins[frame.saturating_sub(half)..(frame + half).min(bins.len())];
        let held: Vec<f64> = window.iter().filter(|b| **b != MISSING).map(|b| f64::from(*b)).collect();
        let mean = held.iter().sum::<f64>() / held.len() as f64;
        let value = f64::from(lowest) + mean;
        Bounded { value, bound: UNIT * (6.0 * mean + 1.01 * value.abs()) + TINY }
    };
    (0..bins.len()).map(one).collect()
}

fn case(rows: usize, frames: usize, half: usize, gap: usize) -> Case {
    Case::new(format!("{rows} x {frames}, half {half}, gaps {gap}"), move |gpu| {
        let value = |at: usize| match gap {
            0 => (at * 7919 % MOST_BINS) as u32,
            _ if at.is_multiple_of(gap) || at % frames < frames / 3 => MISSING,
            _ => (at * 31 % 97) as u32,
        };
        let bins: Vec<u32> = (0..rows * frames).map(value).collect();
        let lowest: Vec<f32> = (0..rows + 1).map(|r| r as f32 * 100.0 - 1000.0).collect();
        let pitch = frames.next_multiple_of(4);
        let output = Guarded::new(gpu, (rows + 1) * pitch)?;
        let y = Matrix { buffer: output.buffer.clone(), rows: rows + 1, columns: frames };
        let (low, buffer) = (gpu.upload("lowest", &lowest)?, gpu.upload("bins", &bins)?);
        let mut recording = Recording::new();
        let launch = RunningMean { bins: &buffer, rows: 1..rows + 1, lowest: &low, half, y: &y };
        recording.add(launch.launch()?);
        let mut expected = vec![None; pitch];
        for (row, bins) in bins.chunks(frames).enumerate() {
            let want = oracle(bins, lowest[row + 1], half);
            let padding = std::iter::repeat_n(Bounded::exact(0.0), pitch - frames);
            expected.extend(want.into_iter().chain(padding).map(Some));
        }
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: a window of two, windows longer than the row, several segments, stretches without a bin.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 5, 1, 0),
        case(3, 31, 40, 0),
        case(5, 131, 9, 5),
        case(2, 2050, 700, 0),
        case(16, 20_000, 1500, 0).timed(),
    ]
}
