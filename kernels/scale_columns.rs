//! Columns of a matrix times factors that repeat, as frequencies do over channels; each row chooses its
//! factors.

use super::case::Case;
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::shrink::Choice;
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("scale_columns", include_str!("scale_columns.wgsl"), PARTS);

/// `y[r, c] = x[r, first + c] factors[choice[r], (first + c) mod period]`, where the factors have `period`
/// columns.
pub struct ScaleColumns<'a> {
    /// Rows x at least `first` + the columns of `y`.
    pub x: &'a Matrix,
    /// The first column that is read.
    pub first: usize,
    /// Any number of rows.
    pub factors: &'a Matrix,
    /// A row of the factors for each row of `x`.
    pub choice: &'a Choice,
    /// As many rows as `x`; its padding is written as zero.
    pub y: &'a Matrix,
}

impl ScaleColumns<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, factors, name) = (self.x, self.y, self.factors, KERNEL.name());
        check_matrices(name, &[("x", x), ("factors", factors), ("y", y)])?;
        let inside = self.first + y.columns <= x.columns && y.columns > 0 && factors.columns > 0;
        if !inside || x.rows != y.rows || !self.choice.serves(x.rows, factors.rows) {
            return wrong(name, format!("{x:?} from column {}, {factors:?}, {y:?}", self.first));
        }
        let quads = y.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(y.rows * quads))
            .read("x", &x.buffer)
            .read("factors", &factors.buffer)
            .read("choice", self.choice.buffer())
            .write("y", &y.buffer)
            .set("items", y.rows * quads)
            .set("columns", y.columns)
            .set("y_quads", quads)
            .set("x_pitch", x.pitch())
            .set("first", self.first)
            .set("period", factors.columns)
            .set("factors_pitch", factors.pitch())
            .cost((4 * y.rows * quads) as f64))
    }
}

/// The same in f64: one rounding.
pub fn oracle(x: f32, factor: f32) -> Bounded {
    let value = f64::from(x) * f64::from(factor);
    Bounded::sum(value, value.abs(), 1)
}

/// `[rows, columns of x, first, columns of y, period, rows of the factors]`.
fn case([rows, wide, first, columns, period, choices]: [usize; 6], exact: bool) -> Case {
    let words = if exact { " exact" } else { "" };
    let label = format!("{rows} x {columns} from {first} of {wide}, {choices} x {period} factors{words}");
    Case::new(label, move |gpu| {
        let array = random_matrix([rows, wide], (rows * 71 + wide) as u64, exact);
        let scale = random_matrix([choices, period], (period + choices) as u64, exact);
        let chosen: Vec<u32> = (0..rows).map(|r| (r * 5 % choices) as u32).collect();
        let x = Matrix::upload(gpu, "x", array.view())?;
        let factors = Matrix::upload(gpu, "factors", scale.view())?;
        let choice = Choice::upload(gpu, &chosen)?;
        let want = |r: usize, c: usize| {
            let column = first + c;
            let inside = || oracle(array[[r, column]], scale[[chosen[r] as usize, column % period]]);
            let want = if c < columns { inside() } else { Bounded::exact(0.0) };
            Some(if exact { Bounded::exact(want.value) } else { want })
        };
        matrix_trial(gpu, [rows, columns], want, |y| {
            ScaleColumns { x: &x, first, factors: &factors, choice: &choice, y }.launch()
        })
    })
}

/// Sizes that hurt: one row, a period of one, ragged quads on both sides, a start inside a quad, whole quads.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 5, 0, 5, 5, 1], true),
        case([3, 7, 2, 4, 1, 2], true),
        case([13, 31, 9, 22, 7, 3], false),
        case([5, 64, 0, 64, 16, 4], true),
        case([101, 490, 49, 441, 49, 6], false),
        case([1000, 1960, 0, 1960, 196, 6], false).timed(),
    ]
}
