//! dF/F: fluorescence as its change relative to a slow baseline.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::relative_change::RelativeChange;
use crate::routines::{
    BASELINE, Window, change_over_median, odd_frames, running_quantile, running_quantile_bytes,
    windowed_mode, windowed_mode_bytes, without_slow_part,
};

/// Seconds of the mean of windowed modes.
const SMOOTH: f64 = 100.0;

/// How the baseline of dF/F is found, from windows of three minutes that are shorter at the ends of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dff {
    /// The running median; divided by at least the trace's noise; of the result its running median of 10/3 s
    /// is taken away, up to 2.5 times its noise (Allen Institute, since 2018, but for the ends).
    Median,
    /// The windowed mode: the whole number that most round to (of equals the smallest), then the mean of that
    /// over 100 s; windows begin half their length before a frame, one frame earlier than the Allen
    /// Institute's of before 2018.
    Mode,
    /// A percentile, in thousandths.
    Percentile(usize),
}

impl Dff {
    /// How it is written on the command line.
    pub const WORDS: &'static str = "median, mode, or percentile:P with P from 0.1 to 99.9";

    /// Whether windows are known in frames, of which there are `rate` a second.
    ///
    /// # Errors
    /// Usage, if not.
    pub fn check(self, rate: f64) -> Result<()> {
        if rate.is_finite() && rate > 0.0 {
            return Ok(());
        }
        let found = "the recording does not say how many frames a second has";
        let wanted = format!("frames a second: the baseline is of {BASELINE} s");
        let advice = "Say it by --map rate=30, with your number";
        Err(Error::new(Kind::Usage, "dF/F", found, wanted, advice))
    }
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

/// Fluorescence of `rate` frames a second to dF/F, in place: `(F - b) / b`, `b` the baseline; by the running
/// median also [`without_slow_part`]. Rows are whole traces. NaN where F is missing, or the baseline is zero.
///
/// # Errors
/// As [`Dff::check`] and [`Gpu::run`]; Usage, if a window has too many frames.
pub fn change(gpu: &Gpu, traces: &Matrix, rate: f64, dff: Dff) -> Result<()> {
    dff.check(rate)?;
    let baseline = Matrix::zeros(gpu, "baseline", traces.rows, traces.columns)?;
    match dff {
        Dff::Median => {
            change_over_median(gpu, traces, rate, &baseline)?;
            return without_slow_part(gpu, traces, rate, &baseline).map(drop);
        }
        Dff::Mode => {
            let halves = [BASELINE, SMOOTH].map(|seconds| (odd_frames(seconds, rate) / 2).max(1));
            windowed_mode(gpu, traces, halves, &baseline)?;
        }
        Dff::Percentile(permille) => {
            let window = Window { half: odd_frames(BASELINE, rate) / 2, permille };
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

    /// dF/F of two traces of so many frames: one of a drifting baseline, and one with transients on it.
    fn changed(drift: impl Fn(usize) -> f32, frames: usize, rate: f64, dff: Dff) -> Array2<f32> {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let array = Array2::from_shape_fn((2, frames), |(n, t)| match t % 100 {
            0 if n == 1 => 2.0 * drift(t),
            _ => drift(t),
        });
        let x = Matrix::upload(&gpu, "x", array.view()).unwrap();
        change(&gpu, &x, rate, dff).unwrap();
        x.download(&gpu).unwrap()
    }

    #[test]
    fn a_drifting_baseline_is_divided_out() {
        let drift = |t: usize| 200.0 + 0.01 * t as f32;
        for dff in [Dff::Median, Dff::Percentile(100)] {
            let found = changed(drift, 12_000, 30.0, dff);
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

    /// A line's percentile lies below its middle by what it drifts in the window, whatever the rate.
    #[test]
    fn windows_are_seconds() {
        for rate in [2.0, 7.5, 10.0, 62.3] {
            let frames = (400.0 * rate) as usize;
            let drift = |t: usize| (1000.0 + t as f64 / rate) as f32;
            let found = changed(drift, frames, rate, Dff::Percentile(250));
            let middle = frames / 2 + 1;
            let base = drift(middle) - 45.0;
            let distance = (found[[0, middle]] - (drift(middle) - base) / base).abs();
            assert!(distance < 1.2 / (1000.0 * rate as f32), "{rate} Hz: {distance}");
        }
    }

    #[test]
    fn a_flat_trace_has_no_change_however_short() {
        for (seconds, rate) in [(540.0, 5.0), (50.0, 30.0), (90.0, 30.0), (89.9, 10.0), (400.0, 4.0)] {
            for dff in [Dff::Median, Dff::Mode, Dff::Percentile(80)] {
                let found = changed(|_| 300.0, (seconds * rate) as usize, rate, dff);
                assert!(found.row(0).iter().all(|v| *v == 0.0), "{seconds} s at {rate} Hz, {dff}");
                assert!((found[[1, 200]] - 1.0).abs() < 1e-6, "{seconds} s at {rate} Hz, {dff}");
            }
        }
    }

    #[test]
    fn a_rate_that_is_not_known_is_refused() {
        assert!(Dff::Median.check(30.0).is_ok());
        for rate in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            assert!(Dff::Median.check(rate).unwrap_err().to_string().contains("does not say"), "{rate}");
        }
        let gpu = Gpu::open(&Options::default()).unwrap();
        let x = Matrix::zeros(&gpu, "x", 1, 8).unwrap();
        let why = change(&gpu, &x, 300.0, Dff::Mode).unwrap_err().to_string();
        assert!(why.contains("windowed mode") && why.contains("Take the median"), "{why}");
    }
}
