//! Factored readouts of all configurations: `y_l = Σ_o outer_ol Σ_i inner_il r_oi + b_l`.
//!
//! The outer factor is the one with fewer values: masks over positions, or feature weights over channels. The
//! product u = r inner is made for some columns at a time, so that it stays in a cache from the product to
//! both gradients.

use super::batch::Batch;
use super::block::Block;
use super::loss::LossSum;
use super::settings::{FactorNorm, Shared};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, LONGEST_LOOP, Matrix, Recording};
use crate::kernels::factor_gradient::FactorGradient;
use crate::kernels::factor_spread::FactorSpread;
use crate::kernels::factor_sum::FactorSum;
use crate::kernels::gemm::{Gemm, Operand};
use crate::kernels::transpose::Transpose;
use std::ops::Range;

/// Bytes of the product of features and inner factor that are held at once on a processor, and on a GPU.
const PRODUCT_BYTES: [usize; 2] = [12 << 20, 64 << 20];

/// Columns of a chunk are a multiple of this, so that a chunk starts where a binding may start.
const UNIT: usize = 64;

/// Weights and working memory of a factored readout.
pub(super) struct Factored {
    pub outer: Block,
    pub inner: Block,
    turned: Matrix,
    gradients: [Matrix; 2],
    product: Buffer,
    spread: Buffer,
    chunk: usize,
}

/// Columns worked on at once.
fn chunk(gpu: &Gpu, product_rows: usize, columns: usize) -> usize {
    let bytes = PRODUCT_BYTES[usize::from(!gpu.is_cpu())].min(gpu.max_binding_bytes() as usize);
    let fit = bytes / (4 * product_rows.next_multiple_of(4)) / UNIT * UNIT;
    fit.max(UNIT).min(columns)
}

impl Factored {
    /// `product_rows`: images of a minibatch times values of the outer factor.
    pub fn new(gpu: &Gpu, outer: Block, inner: Block, product_rows: usize) -> Result<Self> {
        let columns = outer.weights.columns;
        let gradient = |block: &Block| Matrix::zeros(gpu, "gradients", block.weights.rows, columns);
        let chunk = chunk(gpu, product_rows, columns);
        let words = product_rows.next_multiple_of(4) * chunk.next_multiple_of(4);
        Ok(Factored {
            turned: Matrix::zeros(gpu, "inner factor by column", columns, inner.weights.rows)?,
            gradients: [gradient(&outer)?, gradient(&inner)?],
            product: gpu.allocate("features times inner factor", words)?,
            spread: gpu.allocate("gradients times outer factor", words)?,
            outer,
            inner,
            chunk,
        })
    }

    /// Bytes of working memory for so many columns.
    pub fn working_bytes(gpu: &Gpu, rows: [usize; 2], product_rows: usize, columns: usize) -> u64 {
        let [outer, inner] = rows;
        let chunk = chunk(gpu, product_rows, columns);
        4 * ((outer + 2 * inner) * columns + 2 * product_rows.next_multiple_of(4) * chunk) as u64
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> {
        let (columns, step) = (self.outer.weights.columns, self.chunk);
        (0..columns).step_by(step).map(move |first| first..(first + step).min(columns))
    }

    fn turn(&self, recording: &mut Recording) -> Result<()> {
        recording.add(Transpose { x: &self.inner.weights, y: &self.turned }.launch()?);
        Ok(())
    }

    /// `u = r inner` for a chunk of columns, and their linear sums.
    fn sum(&self, recording: &mut Recording, batch: &Batch, range: &Range<usize>) -> Result<Matrix> {
        let u = Matrix { buffer: self.product.clone(), rows: batch.x.rows, columns: range.len() };
        let start = range.start * self.turned.pitch();
        let inner = self.turned.buffer.slice(start, self.turned.buffer.words() - start);
        let b = Operand { buffer: &inner, rows: range.len(), pitch: self.turned.pitch(), stride: 0 };
        recording.add(Gemm { b, ..Gemm::of(&batch.x, &self.turned, &u) }.launch()?);
        let (outer, z) = (&self.outer.weights, &batch.z);
        recording.add(FactorSum { u: &u, outer, first: range.start, z }.launch()?);
        Ok(u)
    }

    /// Adds the linear sums of a minibatch, `batch.z`.
    pub fn forward(&self, recording: &mut Recording, batch: &Batch) -> Result<()> {
        self.turn(recording)?;
        for range in self.chunks() {
            self.sum(recording, batch, &range)?;
        }
        Ok(())
    }

    /// Adds a whole step: sums, loss, gradients, updates.
    pub fn step(
        &self,
        recording: &mut Recording,
        batch: &Batch,
        loss: &LossSum<'_>,
        shared: &Shared,
        steps: usize,
    ) -> Result<()> {
        self.turn(recording)?;
        self.outer.measure(recording)?;
        self.inner.measure(recording)?;
        recording.add(Transpose { x: &batch.x, y: &batch.turned }.launch()?);
        let [d_outer, d_inner] = &self.gradients;
        for range in self.chunks() {
            let u = self.sum(recording, batch, &range)?;
            loss.add(recording, batch, range.clone())?;
            recording.add(FactorGradient { u: &u, g: &batch.g, first: range.start, d: d_outer }.launch()?);
            let v = Matrix { buffer: self.spread.clone(), rows: range.len(), columns: batch.x.rows };
            let outer = &self.outer.weights;
            recording.add(FactorSpread { g: &batch.g, outer, first: range.start, v: &v }.launch()?);
            let target = d_inner.buffer.slice(range.start, d_inner.buffer.words() - range.start);
            let c = Operand { buffer: &target, rows: d_inner.rows, pitch: d_inner.pitch(), stride: 0 };
            recording.add(Gemm { c, ..Gemm::of(&batch.turned, &v, d_inner) }.launch()?);
        }
        let product = shared.factor_norm == FactorNorm::Product;
        let other = |block| product.then_some(block);
        self.outer.update(recording, shared, d_outer, steps, other(&self.inner))?;
        self.inner.update(recording, shared, d_inner, steps, other(&self.outer))
    }

    /// Most images of a minibatch for so many values of the outer factor: a product sums over both in one
    /// loop.
    pub fn most_images(outer: usize) -> usize {
        4 * LONGEST_LOOP as usize / outer.max(1)
    }
}
