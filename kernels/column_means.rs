//! Mean of every column over the rows that are marked, in compensated sums.

use super::case::{Case, Values};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::matrix_trial;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Matrix};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array2, ArrayView2};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("column_means", include_str!("column_means.wgsl"), PARTS);

/// `means[c]` = mean of `m[r, c]` over the rows with `include[r]` not zero. Rows left out may hold anything,
/// NaN too.
pub struct ColumnMeans<'a> {
    /// The matrix, of at most 32,768 rows.
    pub m: &'a Matrix,
    /// One f32 a row: 0 or 1.
    pub include: &'a Buffer,
    /// How many rows are marked.
    pub count: usize,
    /// One row, of as many columns; its padding is written as zero.
    pub means: &'a Matrix,
}

impl ColumnMeans<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if shapes do not fit, no row is marked, or there are too many.
    pub fn launch(&self) -> Result<Launch> {
        let (m, means, name) = (self.m, self.means, KERNEL.name());
        check_matrices(name, &[("m", m), ("means", means)])?;
        if [means.rows, means.columns] != [1, m.columns] || self.include.words() < m.rows {
            return wrong(name, format!("{means:?} or {:?} do not fit {m:?}", self.include));
        }
        if self.count == 0 || self.count > m.rows || m.rows > crate::gpu::LONGEST_LOOP as usize {
            return wrong(name, format!("{} marked rows of {}, at most 32,768", self.count, m.rows));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(m.pitch() / 4))
            .read("m", &m.buffer)
            .read("include", self.include)
            .write("means", &means.buffer)
            .set("rows", m.rows)
            .set("pitch_quads", m.pitch() / 4)
            .set("nothing", 0)
            .set_float("share", (1.0 / self.count as f64) as f32)
            .cost((m.rows * m.columns) as f64))
    }
}

/// The same in f64.
///
/// A compensated sum is 2 roundoffs of the magnitudes off (Higham 2002, section 4.3), whatever the number of
/// terms; taking the correction away, 1 / count and the product add one each.
pub fn oracle(m: ArrayView2<'_, f32>, include: &[f32]) -> Vec<Bounded> {
    let rows = || include.iter().enumerate().filter(|(_, i)| **i != 0.0).map(|(r, _)| r);
    let count = rows().count() as f64;
    let mean = |column: usize| {
        let value = rows().map(|r| f64::from(m[[r, column]])).sum::<f64>() / count;
        let magnitude = rows().map(|r| f64::from(m[[r, column]]).abs()).sum::<f64>() / count;
        // Infinity less infinity, in the correction.
        let value = if value.is_finite() { value } else { f64::NAN };
        Bounded { value, bound: UNIT * (2.0 * magnitude + 3.0 * value.abs()) + TINY }
    };
    (0..m.ncols()).map(mean).collect()
}

/// What the matrix of a case holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Small integers, and a power of two of marked rows: exact.
    Exact,
    /// Values over many orders of magnitude.
    Wide,
    /// Large and all of one sign, where a plain sum of thousands drifts.
    Offset,
    /// NaN in every row that is left out, and in column 1; infinity in column 2.
    Missing,
}

fn value(kind: Kind, values: &mut Values, (r, c): (usize, usize), out: bool) -> f32 {
    match kind {
        Kind::Exact => values.integers(1)[0],
        Kind::Wide => values.wide(1)[0],
        Kind::Offset => 1000.0 + c as f32 + values.wide(1)[0],
        Kind::Missing if out || (c == 1 && r == 1) => f32::NAN,
        Kind::Missing if c == 2 && r == 2 => f32::INFINITY,
        Kind::Missing => values.wide(1)[0],
    }
}

/// Every `left_out`-th row is left out; 0 keeps them all.
fn case(rows: usize, columns: usize, left_out: usize, kind: Kind) -> Case {
    Case::new(format!("{rows} x {columns}, one of {left_out} left out, {kind:?}"), move |gpu| {
        let mut values = Values::new((rows * 59 + columns) as u64);
        let out = |r: usize| left_out != 0 && r.is_multiple_of(left_out);
        let include: Vec<f32> = (0..rows).map(|r| if out(r) { 0.0 } else { 1.0 }).collect();
        let array = Array2::from_shape_fn((rows, columns), |at| value(kind, &mut values, at, out(at.0)));
        let want = oracle(array.view(), &include);
        let count = include.iter().filter(|i| **i != 0.0).count();
        let (m, include) = (Matrix::upload(gpu, "m", array.view())?, gpu.upload("include", &include)?);
        let exactly = |b: &Bounded| if kind == Kind::Exact { Bounded::exact(b.value) } else { *b };
        let expect = |_, c: usize| Some(want.get(c).map_or(Bounded::exact(0.0), exactly));
        let launch = |means: &Matrix| ColumnMeans { m: &m, include: &include, count, means }.launch();
        matrix_trial(gpu, [1, columns], expect, launch)
    })
}

/// Sizes that hurt: one row, ragged quads, more columns than a workgroup, sums that drift, missing values.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, 0, Kind::Wide),
        case(32, 7, 2, Kind::Exact),
        case(17, 301, 3, Kind::Wide),
        case(6000, 5, 0, Kind::Offset),
        case(31, 6, 5, Kind::Missing),
        case(4000, 512, 4, Kind::Wide).timed(),
    ]
}
