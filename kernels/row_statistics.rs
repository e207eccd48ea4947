//! Sum, sum of squares, smallest and largest value of every row.

use super::case::{Case, Values};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array2, ArrayView1};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("row_statistics", include_str!("row_statistics.wgsl"), PARTS);

/// `statistics[r]` = sum, sum of squares, smallest and largest of `m[r]`. A NaN makes all four NaN;
/// infinities make the two sums NaN.
pub struct RowStatistics<'a> {
    /// The matrix, of at most 131,072 columns.
    pub m: &'a Matrix,
    /// As many rows, of four columns.
    pub statistics: &'a Matrix,
}

impl RowStatistics<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers, or rows are empty or too long.
    pub fn launch(&self) -> Result<Launch> {
        let (m, statistics, name) = (self.m, self.statistics, KERNEL.name());
        check_matrices(name, &[("m", m), ("statistics", statistics)])?;
        if [statistics.rows, statistics.columns] != [m.rows, 4] {
            return wrong(name, format!("{statistics:?} is not four words for each row of {m:?}"));
        }
        if m.columns == 0 || m.pitch() / 4 > crate::gpu::LONGEST_LOOP as usize {
            return wrong(name, format!("{} columns, not 1 to 131,072", m.columns));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(m.rows))
            .read("m", &m.buffer)
            .write("statistics", &statistics.buffer)
            .set("rows", m.rows)
            .set("columns", m.columns)
            .set("pitch_quads", m.pitch() / 4)
            .set("nothing", 0)
            .cost((m.rows * m.columns) as f64))
    }
}

/// The same in f64. A compensated sum is 2 roundoffs of the magnitudes off (Higham 2002, section 4.3) and the
/// four lanes' fold 2 more; a square has one of its own.
pub fn oracle(row: ArrayView1<'_, f32>) -> [Bounded; 4] {
    let values = || row.iter().map(|v| f64::from(*v));
    let finite = |v: f64| if v.is_finite() { v } else { f64::NAN };
    let (sum, magnitude) = (values().sum::<f64>(), values().map(f64::abs).sum::<f64>());
    let squares = values().map(|v| v * v).sum::<f64>();
    let nan = |v: f64| if values().any(f64::is_nan) { f64::NAN } else { v };
    [
        Bounded { value: finite(sum), bound: 4.0 * UNIT * magnitude + TINY },
        Bounded { value: finite(squares), bound: 5.0 * UNIT * squares + row.len() as f64 * TINY },
        Bounded::exact(nan(values().fold(f64::INFINITY, f64::min))),
        Bounded::exact(nan(values().fold(f64::NEG_INFINITY, f64::max))),
    ]
}

fn trial_case(label: String, exact: bool, array: impl Fn() -> Array2<f32> + 'static) -> Case {
    Case::new(label, move |gpu| {
        let array = array();
        let m = Matrix::upload(gpu, "m", array.view())?;
        let want: Vec<[Bounded; 4]> = array.rows().into_iter().map(oracle).collect();
        let expect =
            |r: usize, c: usize| Some(if exact { Bounded::exact(want[r][c].value) } else { want[r][c] });
        let launch = |statistics: &Matrix| RowStatistics { m: &m, statistics }.launch();
        matrix_trial(gpu, [array.nrows(), 4], expect, launch)
    })
}

fn case(rows: usize, columns: usize, exact: bool) -> Case {
    let label = format!("{rows} x {columns}{}", if exact { " exact" } else { "" });
    trial_case(label, exact, move || random_matrix([rows, columns], (rows * 67 + columns) as u64, exact))
}

/// Sizes that hurt: one word, ragged quads, rows all of one sign (so that padding shows), sums that drift,
/// NaN and infinities in every lane.
pub fn cases() -> Vec<Case> {
    let offset = || {
        let mut values = Values::new(3);
        Array2::from_shape_fn((3, 20_001), |(r, _)| (r as f32 - 1.5) * 1000.0 + values.wide(1)[0])
    };
    let strange = || {
        let mut array = random_matrix([9, 6], 4, false);
        for (at, v) in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
            array[[at, at]] = v;
            array[[at + 4, 5 - at]] = v;
        }
        array
    };
    vec![
        case(1, 1, true),
        case(5, 7, true),
        case(131, 33, false),
        trial_case("3 x 20001, far from zero".into(), false, offset),
        trial_case("9 x 6 with NaN and infinities".into(), false, strange),
        case(1024, 1001, false).timed(),
    ]
}
