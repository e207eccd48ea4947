//! Gathers columns of a matrix by a list of their numbers: a subsample of the features.

use super::case::Case;
use super::fit::{check_matrices, wrong};
use super::trials::{matrix_trial, random_matrix};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("subset_columns", include_str!("subset_columns.wgsl"));

/// Numbers of columns on the device. The largest is known, because shaders run unchecked.
pub struct Subset {
    index: Buffer,
    count: usize,
    end: usize,
}

impl Subset {
    /// Uploads the numbers, in any order and with repeats.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload(gpu: &Gpu, columns: &[u32]) -> Result<Self> {
        let end = columns.iter().max().map_or(0, |m| *m as usize + 1);
        Ok(Subset { index: gpu.upload("subset of columns", columns)?, count: columns.len(), end })
    }
}

/// `y[r, j] = x[r, subset[j]]`; the padding of `y` is not written.
pub struct SubsetColumns<'a> {
    /// The matrix.
    pub x: &'a Matrix,
    /// Which columns.
    pub subset: &'a Subset,
    /// As many rows, a column for each number.
    pub y: &'a Matrix,
}

impl SubsetColumns<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers, or a column does not exist.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, subset, name) = (self.x, self.y, self.subset, KERNEL.name());
        check_matrices(name, &[("x", x), ("y", y)])?;
        if [y.rows, y.columns] != [x.rows, subset.count] {
            return wrong(name, format!("{y:?} is not {} columns of {x:?}", subset.count));
        }
        if subset.end > x.columns {
            return wrong(name, format!("column {} of {}", subset.end - 1, x.columns));
        }
        let items = y.rows * y.columns;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .read("index", &subset.index)
            .write("y", &y.buffer)
            .set("items", items)
            .set("count", subset.count)
            .set("x_pitch", x.pitch())
            .set("y_pitch", y.pitch())
            .cost(2.0 * items as f64))
    }
}

/// Every `step`-th column around the matrix, so that they come in no order.
fn case(rows: usize, columns: usize, count: usize, step: usize) -> Case {
    Case::new(format!("{rows} x {columns}, {count} columns {step} apart"), move |gpu| {
        let array = random_matrix([rows, columns], (rows * 71 + columns) as u64, false);
        let x = Matrix::upload(gpu, "x", array.view())?;
        let index: Vec<u32> = (1..=count).map(|j| (j * step % columns) as u32).collect();
        let subset = Subset::upload(gpu, &index)?;
        let want = |r: usize, j: usize| {
            let column = *index.get(j)? as usize;
            Some(Bounded::exact(f64::from(array[[r, column]])))
        };
        matrix_trial(gpu, [rows, count], want, |y| SubsetColumns { x: &x, subset: &subset, y }.launch())
    })
}

/// Sizes that hurt: one column, ragged quads, all of them, repeats.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, 1, 1),
        case(7, 5, 3, 2),
        case(13, 31, 31, 30),
        case(6, 10, 23, 7),
        case(500, 4096, 2000, 2049).timed(),
    ]
}
