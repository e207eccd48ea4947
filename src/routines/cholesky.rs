//! Systems `X (S + λ) = B` of one symmetric matrix and many λ, solved side by side on the device in f32.
//!
//! Each S + λ is factored as `L Lᵀ` by blocks of 64 columns, left to right: one product with everything to
//! the left, the block on the diagonal in workgroup memory, and what is below it by the block's inverse. Rows
//! of B stand below S and become `B L⁻ᵀ` on the way; going back from right to left makes them X. All but the
//! blocks on the diagonal is `gemm`, of all matrices of a batch in one launch.

use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::kernels::cholesky_block::{CholeskyBlock, SIDE};
use crate::kernels::cholesky_rest::CholeskyRest;
use crate::kernels::gemm::{Gemm, Operand};
use faer::{Mat, MatRef};

/// Words of a block's inverse and of its transpose.
const INVERSES: usize = 2 * SIDE * SIDE;

/// Rows of a solution whose error is estimated.
const CHECKED: usize = 8;

/// A symmetric matrix and right sides, on the device. The matrix stays while right sides change.
pub struct Systems {
    /// Rows of the matrix, up to whole blocks.
    padded: usize,
    /// Rows of the matrix.
    n: usize,
    /// Rows of the right sides.
    rows: usize,
    /// The matrix, (padded, padded), and room for right sides below it.
    source: Buffer,
}

/// A matrix row by row in f32, with zeros up to so many rows and columns.
fn in_rows(m: MatRef<'_, f64>, rows: usize, columns: usize) -> Vec<f32> {
    let mut words = vec![0f32; rows * columns];
    for c in 0..m.ncols() {
        for r in 0..m.nrows() {
            words[r * columns + c] = m[(r, c)] as f32;
        }
    }
    words
}

/// Some rows of a solution, without what fills the last block.
fn chosen_rows(gpu: &Gpu, solution: &Matrix, rows: &[usize], columns: usize) -> Result<Mat<f64>> {
    let mut chosen = Mat::zeros(rows.len(), columns);
    for (i, row) in rows.iter().enumerate() {
        let words = solution.buffer.slice(row * solution.columns, solution.columns);
        let words: Vec<f32> = gpu.download(&words)?;
        (0..columns).for_each(|k| chosen[(i, k)] = f64::from(words[k]));
    }
    Ok(chosen)
}

/// Solutions for some penalties.
pub struct Solved {
    factors: Buffer,
    padded: usize,
    rows: usize,
}

impl Systems {
    /// Uploads a symmetric matrix, with room for so many right sides.
    ///
    /// # Errors
    /// Memory, if they do not fit.
    pub fn new(gpu: &Gpu, symmetric: MatRef<'_, f64>, most: usize) -> Result<Self> {
        let n = symmetric.nrows();
        let padded = n.next_multiple_of(SIDE);
        let mut words = in_rows(symmetric, padded, padded);
        // What fills the last block has nothing to do with the rest, and solutions that are zero.
        for i in n..padded {
            words[i * padded + i] = 1.0;
        }
        let source = gpu.allocate("kernel matrix", (padded + most) * padded)?;
        gpu.write(&source, 0, &words)?;
        Ok(Systems { padded, n, rows: 0, source })
    }

    /// Takes right sides, any number that there is room for x `n`, in place of those before.
    ///
    /// # Errors
    /// Internal, if there is no room; as [`Gpu::write`].
    pub fn set_right_sides(&mut self, gpu: &Gpu, right: MatRef<'_, f64>) -> Result<()> {
        if (self.padded + right.nrows()) * self.padded > self.source.words() || right.ncols() != self.n {
            let found = format!("{} right sides of {}", right.nrows(), right.ncols());
            return Err(Error::internal("systems of equations", found));
        }
        self.rows = right.nrows();
        let words = in_rows(right, right.nrows(), self.padded);
        gpu.write(&self.source, self.padded * self.padded, &words)
    }

    /// Columns of the solutions; those beyond the matrix's own are zero.
    pub fn columns(&self) -> usize {
        self.padded
    }

    /// How many penalties of `n` images and so many right sides are solved at once within some bytes of GPU
    /// memory, beside the matrix itself; 0 where a factor is larger than the adapter binds.
    pub fn at_once(gpu: &Gpu, n: usize, rows: usize, bytes: u64) -> usize {
        let padded = n.next_multiple_of(SIDE);
        let words = |height: usize, width: usize| 4 * (height * width) as u64;
        let matrix = words(padded + rows, padded);
        let each = matrix + words(padded + rows + padded / SIDE * INVERSES / SIDE, SIDE);
        (gpu.max_binding_bytes() / matrix).min(bytes.saturating_sub(matrix) / each) as usize
    }

    /// The solutions for some penalties, at most [`Systems::at_once`]; `None` where a matrix is not positive
    /// definite.
    ///
    /// # Errors
    /// Memory, if the factors do not fit; as [`Gpu::run`].
    pub fn solve(&self, gpu: &Gpu, penalties: &[f32]) -> Result<Option<Solved>> {
        let (batch, blocks, height) = (penalties.len(), self.padded / SIDE, self.padded + self.rows);
        let work = Work {
            systems: self,
            batch,
            penalties: gpu.upload("penalties", penalties)?,
            factors: gpu.allocate("Cholesky factors", batch * height * self.padded)?,
            rest: gpu.allocate("Cholesky factors, columns", batch * height * SIDE)?,
            inverses: gpu.allocate("Cholesky factors, inverses", blocks * batch * INVERSES)?,
            pivots: gpu.allocate("pivots", batch * blocks)?,
        };
        let mut recording = Recording::new();
        for block in 0..blocks {
            work.forward(&mut recording, block)?;
        }
        for block in (0..blocks).rev() {
            work.backward(&mut recording, block)?;
        }
        gpu.run(&recording)?;
        let pivots: Vec<f32> = gpu.download(&work.pivots)?;
        // What is no number is not positive either.
        let sound = pivots.iter().all(|pivot| *pivot > 0.0);
        Ok(sound.then(|| Solved { factors: work.factors, padded: self.padded, rows: self.rows }))
    }

    /// How far a few rows of one of the solutions are from the exact ones, relative to their length: the size
    /// of the correction that a step of refinement makes, from their residual in f64 against the matrix and
    /// its right sides. The correction is solved for in f32 as the solution was, so that the estimate is good
    /// where it is small: off by as much of itself as the solution is of itself. Infinite where there is
    /// none. It takes a factorisation, and the right sides have to be set again.
    ///
    /// # Errors
    /// As [`Systems::solve`].
    pub fn error(
        &mut self,
        gpu: &Gpu,
        (symmetric, right): (MatRef<'_, f64>, MatRef<'_, f64>),
        (solved, number): (&Solved, usize),
        penalty: f32,
    ) -> Result<f64> {
        let all = right.nrows();
        let rows: Vec<usize> = (0..all.min(CHECKED)).map(|row| row * all / all.min(CHECKED)).collect();
        let x = chosen_rows(gpu, &solved.rows(number), &rows, self.n)?;
        let product = &x * symmetric;
        let shift = f64::from(penalty);
        let residual = |i, k| right[(rows[i], k)] - product[(i, k)] - shift * x[(i, k)];
        let residual = Mat::from_fn(rows.len(), self.n, residual);
        self.set_right_sides(gpu, residual.as_ref())?;
        let Some(corrected) = self.solve(gpu, &[penalty])? else { return Ok(f64::INFINITY) };
        let correction = corrected.rows(0).download(gpu)?;
        let squares = |i: usize| correction.row(i).iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let relative = |i: usize| match squares(i).sqrt() {
            0.0 => 0.0,
            off => off / x.row(i).norm_l2(),
        };
        // What is no number is no estimate.
        let larger = |most: f64, v: f64| if v.is_nan() { f64::INFINITY } else { most.max(v) };
        Ok((0..rows.len()).map(relative).fold(0.0, larger))
    }
}

impl Solved {
    /// The solution of penalty `number`: rows of B x [`Systems::columns`].
    pub fn rows(&self, number: usize) -> Matrix {
        let (n, rows) = (self.padded, self.rows);
        let at = (number * (n + rows) + n) * n;
        Matrix { buffer: self.factors.slice(at, rows * n), rows, columns: n }
    }
}

/// A batch of factorisations under way.
struct Work<'a> {
    systems: &'a Systems,
    batch: usize,
    penalties: Buffer,
    /// `[batch][padded + rows][padded]`: L, and Lᵀ beyond the diagonal's blocks; below them the right sides.
    factors: Buffer,
    /// `[batch][padded + rows][SIDE]`: what is left of some columns.
    rest: Buffer,
    /// `[blocks][batch][2][SIDE][SIDE]`.
    inverses: Buffer,
    pivots: Buffer,
}

impl Work<'_> {
    fn height(&self) -> usize {
        self.systems.padded + self.systems.rows
    }

    /// `count` rows of the factors from a row and column on.
    fn factor(&self, row: usize, column: usize, count: usize) -> Rows {
        let n = self.systems.padded;
        Rows::new(&self.factors, row * n + column, [count, n, self.height() * n])
    }

    /// `count` rows of the rest from a row on.
    fn rest(&self, row: usize, count: usize) -> Rows {
        Rows::new(&self.rest, row * SIDE, [count, SIDE, self.height() * SIDE])
    }

    /// A block's inverse, or its transpose.
    fn inverse(&self, block: usize, transposed: bool) -> Rows {
        let at = block * self.batch * INVERSES + if transposed { SIDE * SIDE } else { 0 };
        Rows::new(&self.inverses, at, [SIDE, SIDE, INVERSES])
    }

    fn product(&self, recording: &mut Recording, [a, b, c]: [&Rows; 3], depth: usize) -> Result<()> {
        let (a, b, c) = (a.operand(), b.operand(), c.operand());
        let product = Gemm { a, b, c, depth, batch: self.batch, alpha: 1.0, upper: false };
        recording.add(product.launch()?);
        Ok(())
    }

    /// Columns of one block: the triangle on the diagonal and all rows below it, right sides included.
    fn forward(&self, recording: &mut Recording, block: usize) -> Result<()> {
        let (n, top) = (self.systems.padded, block * SIDE);
        let (next, below) = (top + SIDE, self.height() - top - SIDE);
        if block > 0 {
            let (left, own) = (self.factor(top, 0, SIDE + below), self.factor(top, 0, SIDE));
            self.product(recording, [&left, &own, &self.rest(0, SIDE + below)], top)?;
        }
        let source = |row: usize| Rows::new(&self.systems.source, row * n + top, [below, n, 0]);
        let (diagonal, inverse) = (self.factor(top, top, SIDE), self.inverse(block, false));
        let triangle = CholeskyBlock {
            source: &source(top).buffer,
            source_pitch: n,
            penalties: &self.penalties,
            product: &self.rest,
            product_stride: self.height() * SIDE,
            factor: &diagonal.buffer,
            pitch: n,
            factor_stride: self.height() * n,
            inverse: &inverse.buffer,
            pivots: &self.pivots,
            block,
            blocks: n / SIDE,
            batch: self.batch,
        };
        recording.add(triangle.launch()?);
        if below == 0 {
            return Ok(());
        }
        let (under, rest) = (source(next), self.rest(SIDE, below));
        let (s, own) = (under.operand(), rest.operand());
        recording.add(CholeskyRest { s, rest: own, batch: self.batch, products: block > 0 }.launch()?);
        self.product(recording, [&rest, &inverse, &self.factor(next, top, below)], SIDE)?;
        if next < n {
            // The same turned, for the way back.
            let rest = self.rest(SIDE, n - next);
            self.product(recording, [&inverse, &rest, &self.factor(top, next, SIDE)], SIDE)?;
        }
        Ok(())
    }

    /// Columns of one block of the solutions, when all to the right are known.
    fn backward(&self, recording: &mut Recording, block: usize) -> Result<()> {
        let (n, rows, top) = (self.systems.padded, self.systems.rows, block * SIDE);
        if rows == 0 {
            return Ok(());
        }
        let (next, rest) = (top + SIDE, self.rest(0, rows));
        if next < n {
            let (known, turned) = (self.factor(n, next, rows), self.factor(top, next, SIDE));
            self.product(recording, [&known, &turned, &rest], n - next)?;
        }
        let own = self.factor(n, top, rows);
        let (s, left) = (own.operand(), rest.operand());
        recording.add(CholeskyRest { s, rest: left, batch: self.batch, products: next < n }.launch()?);
        self.product(recording, [&rest, &self.inverse(block, true), &own], SIDE)
    }
}

/// An operand that owns its part of a buffer.
struct Rows {
    buffer: Buffer,
    shape: [usize; 3],
}

impl Rows {
    /// `[rows, pitch, stride]` from a word on.
    fn new(buffer: &Buffer, at: usize, shape: [usize; 3]) -> Self {
        Rows { buffer: buffer.slice(at, buffer.words() - at), shape }
    }

    fn operand(&self) -> Operand<'_> {
        let [rows, pitch, stride] = self.shape;
        Operand { buffer: &self.buffer, rows, pitch, stride }
    }
}
