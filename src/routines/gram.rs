//! The Gram matrix `X Xᵀ` of rows that are given slab by slab, so that a feature space larger than memory is
//! never held whole.

use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::host::room;
use crate::kernels::gemm::{self, Gemm, Operand};
use crate::kernels::panel_sum::PanelSum;
use ndarray::Array2;

/// Columns whose products are summed in plain f32 before they enter the compensated sum.
const PANEL: usize = 512;

/// Columns of the Gram matrix that are made together. As right operand of one panel they take 512 KiB, which
/// stay in a core's own cache while all rows pass by. A multiple of 64, so that they start where a buffer may
/// be bound.
const STRIPE: usize = 256;

/// Words of partial products held at once, unless memory is scarce: what fills a GPU, and what stays in a
/// processor's shared cache.
const PARTIAL_WORDS: [usize; 2] = [16 << 20, 2 << 20];

/// A Gram matrix under way: rows x rows, only the upper half, as an unevaluated sum of two f32.
pub struct Gram {
    rows: usize,
    partial: Buffer,
    stripes: Vec<Stripe>,
}

/// Columns `first..first + columns` of the upper half, with all rows down to the diagonal's end.
struct Stripe {
    first: usize,
    columns: usize,
    high: Buffer,
    low: Buffer,
}

impl Stripe {
    /// Zeros for all columns.
    fn all(gpu: &Gpu, rows: usize) -> Result<Vec<Self>> {
        let stripe = |first| {
            let words = Self::words_of(rows, first);
            let high = gpu.allocate("Gram matrix", words)?;
            let low = gpu.allocate("Gram matrix, rounding errors", words)?;
            Ok(Stripe { first, columns: STRIPE.min(rows - first), high, low })
        };
        (0..rows).step_by(STRIPE).map(stripe).collect()
    }

    fn words_of(rows: usize, first: usize) -> usize {
        let columns = STRIPE.min(rows - first);
        (first + columns) * columns.next_multiple_of(4)
    }

    /// Rows down to the end of the diagonal.
    fn rows(&self) -> usize {
        self.first + self.columns
    }

    /// Words from one row to the next: whole quads.
    fn pitch(&self) -> usize {
        self.columns.next_multiple_of(4)
    }

    fn words(&self) -> usize {
        Self::words_of(self.rows(), self.first)
    }
}

impl Gram {
    /// An empty sum for `rows` rows.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn new(gpu: &Gpu, rows: usize) -> Result<Self> {
        let stripes = Stripe::all(gpu, rows)?;
        let largest = stripes.iter().map(Stripe::words).max().unwrap_or(1);
        // A sixteenth of what is free, in words of four bytes.
        let spare = (gpu.ledger().free() / 64) as usize;
        let wanted = PARTIAL_WORDS[usize::from(gpu.is_cpu())].min(spare);
        let words = largest.max(wanted).min(gpu.max_binding_bytes() as usize / 4);
        Ok(Gram { rows, partial: gpu.allocate("Gram matrix, partial products", words)?, stripes })
    }

    /// Another empty sum for as many rows, which shares the space for partial products.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn another(&self, gpu: &Gpu) -> Result<Self> {
        Ok(Gram { rows: self.rows, partial: self.partial.clone(), stripes: Stripe::all(gpu, self.rows)? })
    }

    /// GPU memory in bytes that `count` sums take at least which share the space for partial products.
    pub fn bytes(rows: usize, count: usize) -> u64 {
        let words = || (0..rows).step_by(STRIPE).map(|first| Stripe::words_of(rows, first) as u64);
        let largest = words().max().unwrap_or(1);
        4 * (2 * count as u64 * words().sum::<u64>() + largest)
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
        for stripe in &self.stripes {
            let cost = 2.0 * stripe.words() as f64 * PANEL as f64;
            let affordable = (gpu.affordable(&gemm::KERNEL) / cost) as usize;
            let at_once = (self.partial.words() / stripe.words()).min(affordable).max(1);
            let whole = slab.pitch() / PANEL;
            for first in (0..whole).step_by(at_once) {
                let count = at_once.min(whole - first);
                self.panels(&mut recording, (slab, stripe), first * PANEL, PANEL, count)?;
            }
            let rest = slab.pitch() % PANEL;
            if rest > 0 {
                self.panels(&mut recording, (slab, stripe), whole * PANEL, rest, 1)?;
            }
        }
        gpu.start(&recording)
    }

    /// `count` panels of `depth` columns from column `start` on: products, then their sum.
    fn panels(
        &self,
        recording: &mut Recording,
        (slab, stripe): (&Matrix, &Stripe),
        start: usize,
        depth: usize,
        count: usize,
    ) -> Result<()> {
        // PANEL words are a multiple of the 64 at which a binding may start, and so are the rows of a stripe.
        let from = |row: usize, buffer: &Buffer, pitch: usize, start: usize| {
            let at = row * pitch + start;
            buffer.slice(at, buffer.words() - at)
        };
        let source = |row| from(row, &slab.buffer, slab.pitch(), start);
        let right = source(stripe.first);
        // Rows above the diagonal's block, and the block, of which only the upper half is wanted.
        for (row, rows, upper) in [(0, stripe.first, false), (stripe.first, stripe.columns, true)] {
            if rows > 0 {
                let (left, partial) = (source(row), from(row, &self.partial, stripe.pitch(), 0));
                let [a, b] = [(&left, rows), (&right, stripe.columns)].map(|(buffer, rows)| Operand {
                    buffer,
                    rows,
                    pitch: slab.pitch(),
                    stride: depth,
                });
                let product = Gemm {
                    a,
                    b,
                    c: Operand { buffer: &partial, rows, pitch: stripe.pitch(), stride: stripe.words() },
                    depth,
                    batch: count,
                    alpha: 1.0,
                    upper,
                };
                recording.add(product.launch()?);
            }
        }
        let sum = PanelSum {
            panels: &self.partial,
            count,
            words: stripe.words(),
            high: &stripe.high,
            low: &stripe.low,
        };
        recording.add(sum.launch()?);
        Ok(())
    }

    /// The whole symmetric matrix in f64.
    ///
    /// # Errors
    /// As [`Gpu::download`].
    pub fn finish(&self, gpu: &Gpu) -> Result<Array2<f64>> {
        room("kernel matrix", 8 * (self.rows * self.rows) as u64)?;
        let mut gram = Array2::zeros((self.rows, self.rows));
        for stripe in &self.stripes {
            let high: Vec<f32> = gpu.download(&stripe.high)?;
            let low: Vec<f32> = gpu.download(&stripe.low)?;
            for r in 0..stripe.rows() {
                // Left of the diagonal the tiles may be empty.
                for c in r.saturating_sub(stripe.first)..stripe.columns {
                    let at = r * stripe.pitch() + c;
                    let value = f64::from(high[at]) + f64::from(low[at]);
                    gram[[r, stripe.first + c]] = value;
                    gram[[stripe.first + c, r]] = value;
                }
            }
        }
        Ok(gram)
    }
}
