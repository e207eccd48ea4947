//! dF/F: fluorescence as its change relative to a slow baseline.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::relative_change::RelativeChange;
use crate::routines::{
    Ends, Window, change_over_median, running_quantile, running_quantile_bytes, windowed_mode,
    windowed_mode_bytes, without_slow_part,
};

/// Frames of the window that a baseline is taken of: 180 s at 30 frames a second, as published.
const FRAMES: usize = 5401;

/// Frames of the mean of windowed modes.
const SMOOTH: usize = 3000;

/// How the baseline of dF/F is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dff {
    /// The running median of 5401 frames, with zeros beyond the ends; divided by at least the trace's noise;
    /// of the result its running median of 101 frames is taken away, up to 2.5 times its noise (Allen
    /// Institute, since 2018).
    Median,
    /// The windowed mode: of 5400 frames the whole number that most round to (of equals the smallest), then
    /// the mean of that over 3000 frames; windows are shorter at the ends and begin half their length before
    /// a frame, one frame earlier than the Allen Institute's of before 2018.
    Mode,
    /// A percentile of the same window, in thousandths; shorter at the ends.
    Percentile(usize),
}

impl Dff {
    /// How it is written on the command line.
    pub const WORDS: &'static str = "median, mode, or percentile:P with P from 0.1 to 99.9";
}

impl FromStr for Dff {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let percentile = text.strip_prefix("percentile:").and_then(|p| p.parse::<f64>().ok());
        match (text, percentile) {
            ("median", _) => Ok(Dff::Median),
            ("mode", _) => Ok(Dff::Mode),
            (_, Some(p)) if (0.1..=99.9).contains(&p) => Ok(Dff::Percentile((10.0 * p).round() as usize)),
            _ => Err(format!("write {}", Dff::WORDS)),
        }
    }
}

impl fmt::Display for Dff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dff::Median => write!(f, "median"),
            Dff::Mode => write!(f, "mode"),
            Dff::Percentile(permille) => write!(f, "percentile:{}", *permille as f64 / 10.0),
        }
    }
}

impl Serialize for Dff {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// GPU memory that [`change`] takes beside the traces, for rows of `frames`, in bytes.
pub fn working_bytes(rows: usize, frames: usize) -> u64 {
    4 * (rows * frames.next_multiple_of(4)) as u64
        + running_quantile_bytes(frames).max(windowed_mode_bytes(frames))
}

/// Fluorescence to dF/F, in place: `(F - b) / b`, `b` the baseline; by the running median also
/// [`without_slow_part`]. Rows are whole traces. NaN where F is missing, or the baseline is zero.
///
/// # Errors
/// As [`Gpu::run`].
pub fn change(gpu: &Gpu, traces: &Matrix, dff: Dff) -> Result<()> {
    let baseline = Matrix::zeros(gpu, "baseline", traces.rows, traces.columns)?;
    match dff {
        Dff::Median => {
            change_over_median(gpu, traces, &baseline)?;
            return without_slow_part(gpu, traces, &baseline).map(drop);
        }
        Dff::Mode => windowed_mode(gpu, traces, [FRAMES / 2, SMOOTH / 2], &baseline)?,
        Dff::Percentile(permille) => {
            let window = Window { half: FRAMES / 2, permille, ends: Ends::Short };
            running_quantile(gpu, traces, window, &baseline)?;
        }
    }
    let mut recording = Recording::new();
    recording.add(RelativeChange { baseline: &baseline, least: None, y: traces }.launch()?);
    gpu.start(&recording)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::Options;
    use ndarray::Array2;

    #[test]
    fn words_are_read_and_written() {
        for text in ["median", "mode", "percentile:8", "percentile:12.5"] {
            assert_eq!(text.parse::<Dff>().unwrap().to_string(), text);
        }
        for wrong in ["", "modes", "percentile", "percentile:0", "percentile:100", "percentile:nan"] {
            assert!(wrong.parse::<Dff>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_drifting_baseline_is_divided_out() {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let drift = |t: usize| 200.0 + 0.01 * t as f32;
        let array = Array2::from_shape_fn((2, 12_000), |(n, t)| match t % 100 {
            0 if n == 1 => 2.0 * drift(t),
            _ => drift(t),
        });
        for dff in [Dff::Median, Dff::Percentile(100)] {
            let x = Matrix::upload(&gpu, "x", array.view()).unwrap();
            change(&gpu, &x, dff).unwrap();
            let found = x.download(&gpu).unwrap();
            // The tenth percentile lies 40 % of the window's drift of 54 below its middle.
            let below = if dff == Dff::Median { 0.0 } else { 21.6 };
            let wanted = |t| (drift(t) - (drift(t) - below)) / (drift(t) - below);
            assert!((found[[0, 6001]] - wanted(6001)).abs() < 2e-3, "{dff}: {}", found[[0, 6001]]);
            assert!(
                (found[[1, 6000]] - 1.0 - 2.0 * wanted(6000)).abs() < 0.02,
                "{dff}: {}",
                found[[1, 6000]]
            );
        }
    }
}
