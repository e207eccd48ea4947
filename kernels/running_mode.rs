//! The most frequent whole number of a window around every value of a row.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::Bounded;
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("running_mode", include_str!("running_mode.wgsl"), PARTS);

/// Frames of an invocation.
pub const SEGMENT: usize = 1024;

/// Bins of a row, at most.
pub const MOST_BINS: usize = LONGEST_LOOP as usize;

/// The bin of a window without any finite value.
pub const MISSING: u32 = u32::MAX;

/// `modes[r, t]` = the bin that holds most of row `rows.start + r` from frame t - half to t + half (which is
/// not in it).
pub struct RunningMode<'a> {
    /// The values.
    pub x: &'a Matrix,
    /// Which rows.
    pub rows: Range<usize>,
    /// For each row of `x` the whole number that its smallest value rounds to, f32.
    pub lowest: &'a Buffer,
    /// Bins of the widest row: one more than the number that its largest value rounds to, less the lowest.
    pub bins: usize,
    /// Frames before and after.
    pub half: usize,
    /// As [`histogram_words`] says.
    pub histogram: &'a Buffer,
    /// Rows x frames, u32.
    pub modes: &'a Buffer,
}

/// Words of histograms for so many rows of so many frames.
pub fn histogram_words(rows: usize, frames: usize, bins: usize) -> usize {
    rows * frames.div_ceil(SEGMENT) * bins
}

impl RunningMode<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit their buffers, or there are too many bins or frames in a window.
    pub fn launch(&self) -> Result<Launch> {
        let (x, rows, name) = (self.x, self.rows.len(), KERNEL.name());
        check_matrices(name, &[("x", x)])?;
        let words = histogram_words(rows, x.columns, self.bins);
        let short = self.histogram.words() < words || self.modes.words() < rows * x.columns;
        if short || self.rows.end > x.rows || self.lowest.words() < x.rows || rows == 0 {
            return wrong(name, format!("rows {:?} of {x:?}, {:?}", self.rows, self.histogram));
        }
        let windows = 1..=LONGEST_LOOP as usize / 2;
        if !windows.contains(&self.half) || self.bins == 0 || self.bins > MOST_BINS {
            return wrong(name, format!("{} bins, windows of 2 x {}", self.bins, self.half));
        }
        let segments = x.columns.div_ceil(SEGMENT);
        let frames = rows * x.columns + rows * segments * (2 * self.half + self.bins);
        Ok(Launch::new(&KERNEL, Grid::Items(rows * segments))
            .read("x", &x.buffer)
            .read("lowest", self.lowest)
            .write("histogram", self.histogram)
            .write("modes", self.modes)
            .set("items", rows * segments)
            .set("segments", segments)
            .set("segment", SEGMENT)
            .set("frames", x.columns)
            .set("x_pitch", x.pitch())
            .set("first", self.rows.start)
            .set("bins", self.bins)
            .set("half", self.half)
            .cost(4.0 * frames as f64))
    }
}

/// The same, from a histogram of each window.
pub fn oracle(row: &[f32], lowest: f32, half: usize) -> Vec<u32> {
    let one = |frame: usize| {
        let window = &row[frame.saturating_sub(half)..(frame + half).min(row.len())];
        let mut counts = std::collections::BTreeMap::new();
        for value in window.iter().filter(|v| v.is_finite()) {
            *counts.entry((value.round_ties_even() - lowest) as u32).or_insert(0) += 1;
        }
        let best = counts.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(MISSING, |(bin, _)| bin)
    };
    (0..row.len()).map(one).collect()
}

/// Values in few bins, so that there are ties; every `gap`-th is missing, and a whole stretch.
fn case(rows: usize, frames: usize, half: usize, gap: usize) -> Case {
    Case::new(format!("{rows} x {frames}, half {half}, gaps {gap}"), move |gpu| {
        let mut array = random_matrix([rows + 1, frames], (rows + frames) as u64, false);
        array.mapv_inplace(|v| (v * 40.0).clamp(-40.0, 40.0));
        for (at, v) in array.iter_mut().enumerate() {
            if gap > 0 && (at % gap == 0 || at % frames < frames / 4) {
                *v = if at % 2 == 0 { f32::NAN } else { f32::INFINITY };
            }
        }
        let lowest = vec![-40f32; rows + 1];
        let x = Matrix::upload(gpu, "x", array.view())?;
        let bins = 81;
        let histogram = gpu.upload("histogram", &vec![7u32; histogram_words(rows, frames, bins)])?;
        let output = Guarded::new(gpu, rows * frames)?;
        let low = gpu.upload("lowest", &lowest)?;
        let launch = RunningMode {
            x: &x,
            rows: 1..rows + 1,
            lowest: &low,
            bins,
            half,
            histogram: &histogram,
            modes: &output.buffer,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        let rows = array.rows().into_iter().skip(1);
        let want = rows.flat_map(|row| oracle(&row.to_vec(), -40.0, half));
        Ok(Trial { recording, output, expected: want.map(|bin| Some(Bounded::word(bin))).collect() })
    })
}

/// Sizes that hurt: a window of two, windows longer than the row, several segments, missing stretches.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 5, 1, 0),
        case(3, 31, 40, 0),
        case(3, 131, 9, 5),
        case(2, 2050, 60, 0),
        case(67, 40, 7, 3),
        case(8, 20_000, 250, 0).timed(),
    ]
}
