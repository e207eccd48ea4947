//! The discrete sine transform (DST-I, orthonormal) along one axis of maps that lie side by side in rows.
//!
//! `table[i, a] = sqrt(2 / (n + 1)) sin(pi (a + 1) (i + 1) / (n + 1))`, which is symmetric and its own
//! inverse. It diagonalises second differences with zeros around the map: Strang, The discrete cosine
//! transform, SIAM Review 41 (1999), whose sine transforms are those of Dirichlet's conditions.

use super::case::{Case, Values};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, LONGEST_LOOP, Launch, Matrix};
use crate::numbers::{Bounded, UNIT};
use ndarray::{Array2, ArrayView2};
use std::f64::consts::PI;
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("sine_transform", include_str!("sine_transform.wgsl"), PARTS);

/// The basis of one axis on the device.
#[derive(Debug, Clone)]
pub struct Basis {
    buffer: Buffer,
    length: usize,
}

impl Basis {
    /// The sine basis of an axis of `length` values.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn sine(gpu: &Gpu, length: usize) -> Result<Self> {
        Self::upload(gpu, sines(length).view())
    }

    fn upload(gpu: &Gpu, table: ArrayView2<'_, f64>) -> Result<Self> {
        let length = table.nrows();
        let word = |at: usize| {
            let (i, a) = (at / length.next_multiple_of(4), at % length.next_multiple_of(4));
            table[[i, a.min(length - 1)]] as f32
        };
        let words: Vec<f32> = (0..length * length.next_multiple_of(4)).map(word).collect();
        Ok(Basis { buffer: gpu.upload("sine basis", &words)?, length })
    }
}

/// The orthonormal sine basis in f64.
pub fn sines(length: usize) -> Array2<f64> {
    let step = PI / (length + 1) as f64;
    let scale = (2.0 / (length + 1) as f64).sqrt();
    // Whole turns are taken off before the sine, which is exact for small angles.
    let angle = |i: usize, a: usize| step * (((i + 1) * (a + 1)) % (2 * (length + 1))) as f64;
    Array2::from_shape_fn((length, length), |(i, a)| scale * angle(i, a).sin())
}

/// `y` = `x` transformed along one axis.
pub struct SineTransform<'a> {
    /// Rows of maps.
    pub x: &'a Matrix,
    /// Of the same shape; not `x` itself.
    pub y: &'a Matrix,
    /// Which rows.
    pub rows: Range<usize>,
    /// The axis' basis.
    pub basis: &'a Basis,
    /// Words from one value along the axis to the next.
    pub stride: usize,
}

impl SineTransform<'_> {
    /// Multiplications and additions that one row takes.
    pub fn row_cost(columns: usize, length: usize) -> f64 {
        2.0 * columns as f64 * length.next_multiple_of(4) as f64
    }

    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other, or the axis is longer than a loop may be.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, name, length) = (self.x, self.y, KERNEL.name(), self.basis.length);
        check_matrices(name, &[("x", x), ("y", y)])?;
        let fit = [x.rows, x.columns] == [y.rows, y.columns] && self.rows.end <= x.rows;
        let whole = length * self.stride > 0 && x.columns.is_multiple_of(length * self.stride);
        if !fit || !whole || self.rows.is_empty() || length > LONGEST_LOOP as usize {
            return wrong(name, format!("{x:?} to {y:?}, {length} values, {} words apart", self.stride));
        }
        let (lines, quads) = (x.columns / length, length.div_ceil(4));
        let items = self.rows.len().div_ceil(4) * quads * lines;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .read("table", &self.basis.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("lines", lines)
            .set("length", length)
            .set("stride", self.stride)
            .set("quads", quads)
            .set("first_row", self.rows.start)
            .set("end_row", self.rows.end)
            .set("pitch", x.pitch())
            .cost(self.rows.len() as f64 * Self::row_cost(x.columns, length)))
    }
}

/// One word in f64: the sum along its line, and the rounding of the basis to f32.
pub fn oracle(row: &[f32], column: usize, table: ArrayView2<'_, f64>, stride: usize) -> Bounded {
    let length = table.nrows();
    let a = column / stride % length;
    let start = column - a * stride;
    let term = |i: usize| f64::from(row[start + i * stride]) * table[[i, a]];
    let value = (0..length).map(term).sum();
    let magnitude = (0..length).map(|i| term(i).abs()).sum::<f64>();
    let sum = Bounded::sum(value, magnitude, length);
    Bounded { bound: sum.bound + UNIT * magnitude, ..sum }
}

/// `rows` of them all are transformed; `exact` with a basis of small integers.
fn case([all, maps, length, stride]: [usize; 4], rows: Range<usize>, exact: bool) -> Case {
    let label = format!("{maps} maps of {length} x {stride} apart, rows {rows:?} of {all}, exact {exact}");
    Case::new(label, move |gpu| {
        let columns = maps * length * stride;
        let array = random_matrix([all, columns], (columns * 7 + all) as u64, exact);
        let mut values = Values::new(length as u64);
        let integers = Array2::<f64>::zeros((length, length));
        let integers = integers.mapv_into(|_| f64::from(values.integers(1)[0]));
        let table = if exact { integers } else { sines(length) };
        let x = Matrix::upload(gpu, "x", array.view())?;
        let basis = Basis::upload(gpu, table.view())?;
        let want = |r: usize, c: usize| {
            let row = array.row(r).to_vec();
            let there = rows.contains(&r) && c < columns;
            let want = there.then(|| oracle(&row, c, table.view(), stride))?;
            Some(if exact { Bounded::exact(want.value) } else { want })
        };
        matrix_trial(gpu, [all, columns], want, |y| {
            SineTransform { x: &x, y, rows: rows.clone(), basis: &basis, stride }.launch()
        })
    })
}

/// Sizes that hurt: axes of one and two values, primes, rows left out on both sides, both strides of a map.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 2, 1, 1], 0..1, false),
        case([5, 3, 2, 1], 0..5, true),
        case([3, 1, 1, 13], 1..2, false),
        case([11, 2, 7, 5], 3..10, true),
        case([6, 3, 13, 1], 1..6, false),
        case([4, 1, 31, 29], 0..4, true),
        case([9, 2, 224, 1], 0..9, false),
        case([130, 37, 14, 14], 0..130, false).timed(),
        case([130, 518, 14, 1], 0..130, false).timed(),
    ]
}
