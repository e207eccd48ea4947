//! Products whose right operand comes from the host in f64 and may be larger than one binding.

use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::host::room;
use crate::kernels::gemm::{self, Gemm, Operand};
use faer::MatRef;

/// Rows of the right operand that [`multiply_rows`] uploads at once, at most.
pub const PIECE_ROWS: usize = 2048;

/// And what their number is a multiple of, so that the product's columns start where a binding may start.
const PIECE_UNIT: usize = 64;

/// Uploads rows of an f64 matrix as f32.
///
/// # Errors
/// Memory, if they do not fit.
pub fn upload_rows(gpu: &Gpu, what: &str, rows: MatRef<'_, f64>) -> Result<Matrix> {
    let matrix = Matrix::zeros(gpu, what, rows.nrows(), rows.ncols())?;
    let pitch = matrix.pitch();
    room(what, 4 * (rows.nrows() * pitch) as u64)?;
    let mut words = vec![0f32; rows.nrows() * pitch];
    // Column by column, as faer stores it.
    for c in 0..rows.ncols() {
        for r in 0..rows.nrows() {
            words[r * pitch + c] = rows[(r, c)] as f32;
        }
    }
    gpu.write(&matrix.buffer, 0, &words)?;
    Ok(matrix)
}

/// `a bᵀ`, where `b` has as many columns as `a`: a matrix of `a.rows` x `b.nrows()`.
///
/// # Errors
/// Memory, if the operands do not fit; as [`Gpu::run`].
pub fn multiply_rows(gpu: &Gpu, what: &str, a: &Matrix, b: MatRef<'_, f64>) -> Result<Matrix> {
    let product = Matrix::zeros(gpu, what, a.rows, b.nrows())?;
    let row_cost = 2.0 * a.rows as f64 * a.columns as f64;
    let mut first = 0;
    while first < b.nrows() {
        let affordable = (gpu.affordable(&gemm::KERNEL) / row_cost) as usize / PIECE_UNIT * PIECE_UNIT;
        let count = affordable.clamp(PIECE_UNIT, PIECE_ROWS).min(b.nrows() - first);
        let right = upload_rows(gpu, what, b.subrows(first, count))?;
        let words = product.buffer.words();
        let target = product.buffer.slice(first, words - first);
        let c = Operand { buffer: &target, rows: a.rows, pitch: product.pitch(), stride: 0 };
        let mut recording = Recording::new();
        recording.add(Gemm { c, ..Gemm::of(a, &right, &product) }.launch()?);
        gpu.start(&recording)?;
        first += count;
    }
    Ok(product)
}
