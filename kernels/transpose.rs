//! A matrix turned: columns become rows, in another buffer.

use super::case::Case;
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("transpose", include_str!("transpose.wgsl"), PARTS);

/// `y = xᵀ`.
pub struct Transpose<'a> {
    /// `[rows, columns]`.
    pub x: &'a Matrix,
    /// `[columns, rows]`; its padding is written as zero.
    pub y: &'a Matrix,
}

impl Transpose<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes are not each other's transposes or a buffer is too short.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, name) = (self.x, self.y, KERNEL.name());
        check_matrices(name, &[("x", x), ("y", y)])?;
        if [x.rows, x.columns] != [y.columns, y.rows] {
            return wrong(name, format!("{y:?} is not {x:?} turned"));
        }
        let items = x.pitch() / 4 * (y.pitch() / 4);
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("rows", x.rows)
            .set("columns", x.columns)
            .set("x_pitch_quads", x.pitch() / 4)
            .set("y_pitch_quads", y.pitch() / 4)
            .cost(2.0 * (x.rows * x.columns) as f64))
    }
}

fn case(rows: usize, columns: usize) -> Case {
    Case::new(format!("{rows} x {columns}"), move |gpu| {
        let array = random_matrix([rows, columns], (rows * 53 + columns) as u64, false);
        let x = Matrix::upload(gpu, "x", array.view())?;
        let want =
            |r: usize, c: usize| Some(Bounded::exact(array.get([c, r]).map_or(0.0, |v| f64::from(*v))));
        matrix_trial(gpu, [columns, rows], want, |y| Transpose { x: &x, y }.launch())
    })
}

/// Sizes that hurt: one word, one row, one column, primes on both sides, whole quads.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![case(1, 1), case(1, 7), case(5, 1), case(13, 31), case(8, 12), case(258, 67)];
    cases.push(case(1024, 1024).timed());
    cases
}
