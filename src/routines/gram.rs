//! The Gram matrix `X Xᵀ` of rows that are given slab by slab, so that a feature space larger than memory is never
//! held whole.

use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::kernels::gemm::{self, Gemm, Operand};
use crate::kernels::panel_sum::PanelSum;
use ndarray::Array2;

/// Columns whose products are summed in plain f32 before they enter the compensated sum.
const PANEL: usize = 512;

/// Rows of the Gram matrix that are made together. A multiple of 64, so that a block of rows starts where a buffer
/// may be bound.
const BLOCK_ROWS: usize = 1024;

/// Words of partial products held at once, unless memory is scarce.
const PARTIAL_WORDS: usize = 16 << 20;

/// A Gram matrix under way: rows x rows, only the upper half, as an unevaluated sum of two f32.
pub struct Gram {
    rows: usize,
    partial: Buffer,
    blocks: Vec<Block>,
}

/// Rows `first..first + rows` of the upper half, from column `first` on.
struct Block {
    first: usize,
    rows: usize,
    columns: usize,
    high: Buffer,
    low: Buffer,
}

impl Block {
    /// Zeros for all rows.
    fn all(gpu: &Gpu, rows: usize) -> Result<Vec<Self>> {
        let block = |first| {
            let (height, columns) = (BLOCK_ROWS.min(rows - first), rows - first);
            let high = gpu.allocate("Gram matrix", height * columns)?;
            let low = gpu.allocate("Gram matrix, rounding errors", height * columns)?;
            Ok(Block { first, rows: height, columns, high, low })
        };
        (0..rows).step_by(BLOCK_ROWS).map(block).collect()
    }

    fn words(&self) -> usize {
        self.rows * self.columns
    }
}

impl Gram {
    /// An empty sum for `rows` rows.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn new(gpu: &Gpu, rows: usize) -> Result<Self> {
        let blocks = Block::all(gpu, rows)?;
        let largest = blocks.iter().map(Block::words).max().unwrap_or(1);
        // A sixteenth of what is free, in words of four bytes.
        let spare = (gpu.ledger().free() / 64) as usize;
        let words = largest.max(PARTIAL_WORDS.min(spare)).min(gpu.max_binding_bytes() as usize / 4);
        Ok(Gram {
            rows,
            partial: gpu.allocate("Gram matrix, partial products", words.next_multiple_of(4))?,
            blocks,
        })
    }

    /// Another empty sum for as many rows, which shares the space for partial products.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn another(&self, gpu: &Gpu) -> Result<Self> {
        Ok(Gram { rows: self.rows, partial: self.partial.clone(), blocks: Block::all(gpu, self.rows)? })
    }

    /// GPU memory in bytes that `count` sums take at least which share the space for partial products.
    pub fn bytes(rows: usize, count: usize) -> u64 {
        let block = |first: usize| (BLOCK_ROWS.min(rows - first) * (rows - first)) as u64;
        let words: u64 = (0..rows).step_by(BLOCK_ROWS).map(|f| 2 * block(f)).sum();
        4 * (count as u64 * words + block(0).max(1))
    }

    /// Adds the products of a slab: rows x any number of columns.
    ///
    /// # Errors
    /// As [`Gpu::run`]; Internal, if the slab has another number of rows.
    pub fn add(&self, gpu: &Gpu, slab: &Matrix) -> Result<()> {
        if slab.rows != self.rows {
            return Err(crate::Error::internal(
                "Gram matrix",
                format!("{slab:?} is not of {} rows", self.rows),
            ));
        }
        let mut recording = Recording::new();
        for block in &self.blocks {
            let cost = 2.0 * block.words() as f64 * PANEL as f64;
            let affordable = (gpu.affordable(&gemm::KERNEL) / cost) as usize;
            let at_once = (self.partial.words() / block.words()).min(affordable).max(1);
            let whole = slab.pitch() / PANEL;
            for first in (0..whole).step_by(at_once) {
                let count = at_once.min(whole - first);
                self.panels(&mut recording, slab, block, first * PANEL, PANEL, count)?;
            }
            let rest = slab.pitch() % PANEL;
            if rest > 0 {
                self.panels(&mut recording, slab, block, whole * PANEL, rest, 1)?;
            }
        }
        gpu.start(&recording)
    }

    /// `count` panels of `depth` columns from column `start` on: products, then their sum.
    fn panels(
        &self,
        recording: &mut Recording,
        slab: &Matrix,
        block: &Block,
        start: usize,
        depth: usize,
        count: usize,
    ) -> Result<()> {
        // PANEL words are a multiple of the 64 at which a binding may start, and so are 64 rows.
        let words = slab.buffer.words();
        let rows_at = block.first * slab.pitch() + start;
        let source = slab.buffer.slice(rows_at, words - rows_at);
        let operand = |rows| Operand { buffer: &source, rows, pitch: slab.pitch(), stride: depth };
        let partial =
            Operand { buffer: &self.partial, rows: block.rows, pitch: block.columns, stride: block.words() };
        let product = Gemm {
            a: operand(block.rows),
            b: operand(block.columns),
            c: partial,
            depth,
            batch: count,
            alpha: 1.0,
            upper: true,
        };
        recording.add(product.launch()?);
        let sum = PanelSum {
            panels: &self.partial,
            count,
            words: block.words(),
            high: &block.high,
            low: &block.low,
        };
        recording.add(sum.launch()?);
        Ok(())
    }

    /// The whole symmetric matrix in f64.
    ///
    /// # Errors
    /// As [`Gpu::download`].
    pub fn finish(&self, gpu: &Gpu) -> Result<Array2<f64>> {
        let mut gram = Array2::zeros((self.rows, self.rows));
        for block in &self.blocks {
            let high: Vec<f32> = gpu.download(&block.high)?;
            let low: Vec<f32> = gpu.download(&block.low)?;
            for r in 0..block.rows {
                // Left of the diagonal the tiles may be empty.
                for c in r..block.columns {
                    let at = r * block.columns + c;
                    let value = f64::from(high[at]) + f64::from(low[at]);
                    gram[[block.first + r, block.first + c]] = value;
                    gram[[block.first + c, block.first + r]] = value;
                }
            }
        }
        Ok(gram)
    }
}
