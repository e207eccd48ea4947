//! Takes a row vector away from every row of a matrix, in place.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{ArrayView1, ArrayView2};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("centre", include_str!("centre.wgsl"), PARTS);

/// `m[r, c] -= means[c]`.
pub struct Centre<'a> {
    /// The matrix that is changed.
    pub m: &'a Matrix,
    /// One row, of as many columns.
    pub means: &'a Matrix,
}

impl Centre<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let (m, means, name) = (self.m, self.means, KERNEL.name());
        check_matrices(name, &[("m", m), ("means", means)])?;
        if [means.rows, means.columns] != [1, m.columns] {
            return wrong(name, format!("{means:?} is no row of {m:?}"));
        }
        let items = m.rows * m.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("means", &means.buffer)
            .write("m", &m.buffer)
            .set("items", items)
            .set("columns", m.columns)
            .set("pitch_quads", m.pitch() / 4)
            .cost(2.0 * (m.rows * m.columns) as f64))
    }
}

/// The same in f64, padding included: one rounding.
pub fn oracle(m: ArrayView2<'_, f32>, means: ArrayView1<'_, f32>, exact: bool) -> Vec<Bounded> {
    let word = |row: ArrayView1<'_, f32>, c: usize| match row.get(c) {
        None => Bounded::exact(0.0),
        Some(v) => {
            let value = f64::from(*v) - f64::from(means[c]);
            let bound = if exact { 0.0 } else { 2.0 * UNIT * value.abs() + TINY };
            Bounded { value, bound }
        }
    };
    let pitch = m.ncols().next_multiple_of(4);
    m.rows().into_iter().flat_map(|row| (0..pitch).map(move |c| word(row, c))).collect()
}

/// `missing`: a NaN and an infinity among the values.
fn case(rows: usize, columns: usize, exact: bool, missing: bool) -> Case {
    let words = [if exact { " exact" } else { "" }, if missing { " with NaN" } else { "" }];
    Case::new(format!("{rows} x {columns}{}{}", words[0], words[1]), move |gpu| {
        let mut array = random_matrix([rows, columns], (rows * 61 + columns) as u64, exact);
        if missing {
            array[[1, 1]] = f32::NAN;
            array[[2, 0]] = f32::NEG_INFINITY;
        }
        let vector = random_matrix([1, columns], (columns + 1) as u64, exact);
        let want = oracle(array.view(), vector.row(0), exact);
        let means = Matrix::upload(gpu, "means", vector.view())?;
        let output = Guarded::new(gpu, want.len())?;
        gpu.write(&output.buffer, 0, &crate::gpu::padded_rows(array.view()))?;
        let m = Matrix { buffer: output.buffer.clone(), rows, columns };
        let mut recording = Recording::new();
        recording.add(Centre { m: &m, means: &means }.launch()?);
        Ok(Trial { recording, output, expected: want.into_iter().map(Some).collect() })
    })
}

/// Sizes that hurt: one word, ragged quads, whole ones, missing values.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, false, false),
        case(7, 5, true, false),
        case(31, 127, false, false),
        case(16, 64, true, false),
        case(5, 3, false, true),
        case(1000, 1023, false, false).timed(),
    ]
}
