//! Responses of traces to trials: a statistic of the frames of each trial's window, with or without its
//! baseline.

use super::case::Case;
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, LONGEST_LOOP, Launch, Matrix};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array2, ArrayView1, s};
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("window_response", include_str!("window_response.wgsl"), PARTS);

/// Columns of a matrix of traces, one for each trial, on the device.
pub struct Starts {
    buffer: Buffer,
    count: usize,
    end: usize,
}

impl Starts {
    /// Uploads the columns from which windows are counted.
    ///
    /// # Errors
    /// As [`Gpu::upload`].
    pub fn upload(gpu: &Gpu, columns: &[u32]) -> Result<Self> {
        let end = columns.iter().map(|c| *c as usize + 1).max().unwrap_or(0);
        Ok(Starts { buffer: gpu.upload("first frames of trials", columns)?, count: columns.len(), end })
    }
}

/// What is made of the frames of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Frames of the window, counted from the trial's column.
    pub window: [usize; 2],
    /// Frames of the baseline, counted alike; none where it is empty.
    pub baseline: [usize; 2],
    /// The largest frame and not the mean.
    pub maximum: bool,
    /// In percent of the baseline and not less it.
    pub percent: bool,
}

/// `y[n, j]` = the measure of neuron n around trial j.
pub struct WindowResponse<'a> {
    /// Neurons x frames.
    pub x: &'a Matrix,
    /// A column of `x` for each trial.
    pub starts: &'a Starts,
    /// Which frames, and what of them.
    pub measure: Measure,
    /// Neurons x trials; its padding is written as zero.
    pub y: &'a Matrix,
}

impl WindowResponse<'_> {
    /// Operations a response.
    pub fn cost(measure: Measure) -> f64 {
        let frames = |[start, end]: [usize; 2]| end.saturating_sub(start) as f64;
        8.0 * (frames(measure.window) + frames(measure.baseline))
    }

    /// The launch.
    ///
    /// # Errors
    /// Internal, if a window is empty or lies beyond the frames, or shapes do not fit.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, starts, name) = (self.x, self.y, self.starts, KERNEL.name());
        let Measure { window, baseline, maximum, percent } = self.measure;
        check_matrices(name, &[("x", x), ("y", y)])?;
        let last = starts.end + window[1].max(baseline[1]);
        let lengths = [window, baseline].map(|[start, end]| end.saturating_sub(start));
        let long = lengths.iter().any(|l| *l > LONGEST_LOOP as usize);
        if last > x.columns + 1 || long || lengths[0] == 0 || percent && lengths[1] == 0 {
            return wrong(name, format!("{:?} up to {last} of {x:?}", self.measure));
        }
        if [y.rows, y.columns] != [x.rows, starts.count] || starts.count == 0 {
            return wrong(name, format!("{y:?} of {} trials of {x:?}", starts.count));
        }
        let quads = y.pitch() / 4;
        let share = |frames: usize| if frames == 0 { 0.0 } else { (1.0 / frames as f64) as f32 };
        Ok(Launch::new(&KERNEL, Grid::Items(y.rows * quads))
            .constant("MAXIMUM", f64::from(u8::from(maximum)))
            .constant("PERCENT", f64::from(u8::from(percent)))
            .read("x", &x.buffer)
            .read("starts", &starts.buffer)
            .write("y", &y.buffer)
            .set("items", y.rows * quads)
            .set("trials", starts.count)
            .set("quads", quads)
            .set("x_pitch", x.pitch())
            .set("window", window[0])
            .set("window_frames", lengths[0])
            .set("baseline", baseline[0])
            .set("baseline_frames", lengths[1])
            .set("nothing", 0)
            .set_float("window_share", share(lengths[0]))
            .set_float("baseline_share", share(lengths[1]))
            .cost(Self::cost(self.measure) * (4 * y.rows * quads) as f64))
    }
}

/// The same in f64, of one neuron and the trial at a column.
///
/// A difference from the origin is one roundoff of it off, a compensated sum of them two (Higham 2002,
/// section 4.3), and one for the term that is taken away; the share and its product add two of the mean.
/// Subtracting the baseline adds one. In percent: the baseline's own error, one roundoff of it for the
/// origin, and seven of the quotient (2.5 units in the last place for a division, one for the factor).
pub fn oracle(row: ArrayView1<'_, f32>, start: usize, measure: Measure) -> Bounded {
    let frames = |[from, to]: [usize; 2]| {
        let range: Range<usize> = start + from..(start + to).max(start + from);
        row.slice(s![range]).iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()
    };
    let (window, baseline) = (frames(measure.window), frames(measure.baseline));
    if window.iter().chain(&baseline).any(|v| !v.is_finite()) {
        return Bounded::exact(f64::NAN);
    }
    let origin = baseline.first().copied().unwrap_or(0.0);
    let mean = |values: &[f64]| {
        let count = values.len().max(1) as f64;
        let (sum, size) =
            values.iter().fold((0.0, 0.0), |(s, m), v| (s + (v - origin), m + (v - origin).abs()));
        (sum / count, UNIT * (4.0 * size / count + 2.0 * (sum / count).abs()) + TINY)
    };
    let (base, base_error) = mean(&baseline);
    let (value, error) = if measure.maximum {
        let largest = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (largest - origin, UNIT * (largest - origin).abs())
    } else {
        mean(&window)
    };
    let change = value - base;
    let error = error + base_error + UNIT * change.abs() + TINY;
    if !measure.percent {
        return Bounded { value: change, bound: error };
    }
    let whole = origin + base;
    if whole == 0.0 {
        return Bounded::exact(f64::NAN);
    }
    let whole_error = (base_error + UNIT * whole.abs()) / whole.abs();
    let value = 100.0 * change / whole;
    // What is left out is of second order in the baseline's relative error.
    let quotient = (whole_error + 7.0 * UNIT) / (1.0 - whole_error);
    Bounded { value, bound: 100.0 * error / whole.abs() * (1.0 + quotient) + value.abs() * quotient + TINY }
}

/// What the traces of a case hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Small whole numbers; windows and baselines of 2^k frames: exact.
    Exact,
    /// Values over orders of magnitude.
    Wide,
    /// Far from zero, with small changes, as fluorescence is.
    Fluorescence,
    /// NaN, infinities and baselines of zero among them.
    Missing,
}

fn traces(kind: Kind, shape: [usize; 2]) -> Array2<f32> {
    let mut array = random_matrix(shape, (shape[0] * 31 + shape[1]) as u64, kind == Kind::Exact);
    match kind {
        Kind::Fluorescence => array.mapv_inplace(|v| 5000.0 + 10.0 * v),
        Kind::Missing => array.indexed_iter_mut().for_each(|((r, c), v)| match (r * 7 + c) % 23 {
            0 => *v = f32::NAN,
            1 if c % 2 == 0 => *v = f32::INFINITY,
            2 if c % 3 == 0 => *v = f32::NEG_INFINITY,
            3..8 => *v = 0.0,
            _ => {}
        }),
        _ => {}
    }
    array
}

fn case(neurons: usize, trials: usize, measure: Measure, kind: Kind) -> Case {
    Case::new(format!("{neurons} neurons, {trials} trials, {measure:?}, {kind:?}"), move |gpu| {
        let reach = measure.window[1].max(measure.baseline[1]);
        let frames = 3 * trials + reach;
        let array = traces(kind, [neurons, frames]);
        // Out of order, some twice, and up to the last frame.
        let columns: Vec<u32> =
            (0..trials).map(|j| if j == 0 { frames - reach } else { j * 7 % (3 * trials) } as u32).collect();
        let x = Matrix::upload(gpu, "x", array.view())?;
        let starts = Starts::upload(gpu, &columns)?;
        let want = |n: usize, j: usize| {
            let Some(column) = columns.get(j) else { return Some(Bounded::exact(0.0)) };
            let want = oracle(array.row(n), *column as usize, measure);
            Some(if kind == Kind::Exact { Bounded::exact(want.value) } else { want })
        };
        matrix_trial(gpu, [neurons, trials], want, |y| {
            WindowResponse { x: &x, starts: &starts, measure, y }.launch()
        })
    })
}

/// Sizes that hurt: one frame, ragged quads, a window before its baseline, more neurons than a workgroup;
/// small changes of large values in percent; missing frames.
pub fn cases() -> Vec<Case> {
    let measure = |window, baseline, maximum, percent| Measure { window, baseline, maximum, percent };
    vec![
        case(2, 1, measure([0, 1], [0, 0], false, false), Kind::Wide),
        case(3, 5, measure([2, 10], [0, 0], false, false), Kind::Exact),
        case(3, 7, measure([4, 8], [0, 4], false, false), Kind::Exact),
        case(67, 13, measure([3, 10], [0, 0], true, false), Kind::Exact),
        case(5, 31, measure([0, 5], [6, 11], true, false), Kind::Wide),
        case(5, 31, measure([28, 42], [0, 28], false, true), Kind::Fluorescence),
        case(5, 31, measure([28, 42], [0, 28], true, true), Kind::Fluorescence),
        case(5, 31, measure([28, 42], [0, 28], false, false), Kind::Wide),
        case(4, 101, measure([2, 5], [0, 2], false, true), Kind::Missing),
        case(4, 101, measure([0, 3], [0, 0], true, false), Kind::Missing),
        case(64, 5000, measure([28, 42], [0, 28], false, true), Kind::Fluorescence).timed(),
    ]
}
