//! Running medians and other quantiles of rows: exact, and of the same cost whatever the window.

use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::key_bits::KeyBits;
use crate::kernels::key_counts::{KeyCounts, LONGEST_ROW};
use crate::kernels::key_split::KeySplit;
use crate::kernels::keys::{KeyLevels, KeyRows, LEVELS};
use crate::kernels::running_quantile::{self, RunningQuantile};
use std::ops::Range;

pub use crate::kernels::running_quantile::Window;

impl Window {
    /// The running median of `length` frames, an odd number.
    pub fn median(length: usize) -> Self {
        Window { half: length / 2, permille: 500 }
    }
}

/// Frames of the odd window that lasts nearest to so many seconds.
pub fn odd_frames(seconds: f64, rate: f64) -> usize {
    2 * (seconds * rate / 2.0).round() as usize + 1
}

/// Most bytes of keys and levels at once, unless a single row takes more.
const SCRATCH_BYTES: usize = 64 << 20;

/// GPU memory that [`running_quantile()`] takes beside its matrices, in bytes.
pub fn running_quantile_bytes(columns: usize) -> u64 {
    4 * row_words(columns.min(LONGEST_ROW)).max(SCRATCH_BYTES / 4) as u64
}

/// Words of keys, twice, and levels of one row.
fn row_words(columns: usize) -> usize {
    2 * columns.next_multiple_of(32) + KeyLevels::buffer_words(1, columns)
}

/// `y[r, t]` = the quantile of what the window around column t of row r of `x` holds, NaN left out; NaN where
/// nothing is left. Windows are shorter at the ends of rows. The two matrices are of one shape; the result is
/// one of the window's values to the bit (0 for -0), or the mean of two.
///
/// # Errors
/// Usage, if a window is too long; as [`Gpu::run`].
pub fn running_quantile(gpu: &Gpu, x: &Matrix, window: Window, y: &Matrix) -> Result<()> {
    if 2 * window.half + 4 >= LONGEST_ROW {
        let found = format!("{} frames", 2 * window.half + 1);
        let wanted = format!("fewer than {LONGEST_ROW}");
        return Err(Error::new(Kind::Usage, "window", found, wanted, "Take a shorter one"));
    }
    of_pieces(gpu, x, window, y, LONGEST_ROW)
}

/// Rows longer than `longest` in pieces, each with what its windows hold of its neighbours.
fn of_pieces(gpu: &Gpu, x: &Matrix, window: Window, y: &Matrix, longest: usize) -> Result<()> {
    let piece = if x.columns <= longest { x.columns } else { longest - 2 * window.half - 3 };
    for start in (0..x.columns).step_by(piece.max(1)) {
        of_piece(gpu, x, window, y, start..(start + piece).min(x.columns))?;
    }
    Ok(())
}

/// Columns `to` of all rows, as many rows at once as scratch memory and the length of a submission allow.
fn of_piece(gpu: &Gpu, x: &Matrix, window: Window, y: &Matrix, to: Range<usize>) -> Result<()> {
    let first = to.start.saturating_sub(window.half) / 4 * 4;
    let columns = (to.end + window.half).min(x.columns) - first;
    let at_once = (SCRATCH_BYTES / 4 / row_words(columns)).clamp(1, x.rows);
    let words = at_once * columns.next_multiple_of(32);
    let keys = [gpu.allocate("keys", words)?, gpu.allocate("keys", words)?];
    let scratch = KeyLevels::zeros(gpu, at_once, columns)?;
    let cost = RunningQuantile::COST * to.len() as f64;
    let mut row = 0;
    while row < x.rows {
        let affordable = (gpu.affordable(&running_quantile::KERNEL) / cost) as usize;
        let levels = KeyLevels { rows: at_once.min(x.rows - row).min(affordable.max(1)), ..scratch.clone() };
        let mut recording = Recording::new();
        for level in 0..LEVELS {
            let x = match level {
                0 => KeyRows::of_values(x, row, first),
                _ => KeyRows::of_keys(&keys[level % 2], &levels),
            };
            recording.add(KeyBits { x, level, levels: &levels }.launch()?);
            recording.add(KeyCounts { level, levels: &levels }.launch()?);
            if level + 1 < LEVELS {
                let y = &keys[(level + 1) % 2];
                recording.add(KeySplit { x, level, levels: &levels, y }.launch()?);
            }
        }
        let (frames, to) = (x.columns, to.clone());
        recording.add(RunningQuantile { levels: &levels, first, frames, window, y, row, to }.launch()?);
        gpu.start(&recording)?;
        row += levels.rows;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::Options;
    use crate::kernels::running_quantile::oracle;
    use crate::random::Random;
    use ndarray::Array2;

    fn check(shape: [usize; 2], window: Window, longest: usize) {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let mut random = Random::stream(7, "running");
        let array = Array2::from_shape_simple_fn(shape, || (random.normal() * 50.0).round() as f32);
        let x = Matrix::upload(&gpu, "x", array.view()).unwrap();
        let y = Matrix::zeros(&gpu, "y", shape[0], shape[1]).unwrap();
        of_pieces(&gpu, &x, window, &y, longest).unwrap();
        let found = y.download(&gpu).unwrap();
        for (row, found) in array.rows().into_iter().zip(found.rows()) {
            assert!(oracle(row, window) == found.to_vec(), "{window:?}");
        }
    }

    #[test]
    fn a_routine_equals_sorting_every_window() {
        check([5, 1001], Window::median(101), LONGEST_ROW);
        check([3, 333], Window { half: 40, permille: 80 }, LONGEST_ROW);
        // Windows of even counts everywhere.
        check([4, 60], Window::median(101), LONGEST_ROW);
        // More rows than a batch.
        check([300, 40], Window::median(7), LONGEST_ROW);
        // Pieces, none of which begins where the levels may.
        check([2, 501], Window::median(31), 100);
    }

    #[test]
    fn a_window_that_no_piece_can_hold_is_refused() {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let x = Matrix::zeros(&gpu, "x", 1, 8).unwrap();
        let why = running_quantile(&gpu, &x, Window::median(LONGEST_ROW + 1), &x).unwrap_err();
        assert!(why.to_string().contains("1048577 frames; wanted fewer than"), "{why}");
    }
}
