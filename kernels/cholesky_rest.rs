//! What a factorisation has left of some columns after the columns before them.

use super::case::{Case, Guarded, Trial, Values};
use super::cholesky_block::SIDE;
use super::gemm::Operand;
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Grid, Kernel, Launch, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("cholesky_rest", include_str!("cholesky_rest.wgsl"), PARTS);

/// `rest = s - rest` for rows of [`SIDE`] columns of every matrix of a batch.
pub struct CholeskyRest<'a> {
    /// What the product is taken away from.
    pub s: Operand<'a>,
    /// The product, and the result; its rows have no gap between them.
    pub rest: Operand<'a>,
    /// How many matrices.
    pub batch: usize,
    /// Whether there is a product yet.
    pub products: bool,
}

impl CholeskyRest<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the operands do not fit each other or reach beyond their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let (s, rest, rows) = (self.s, self.rest, self.rest.rows);
        let end = |o: Operand<'_>| (self.batch.max(1) - 1) * o.stride + (rows.max(1) - 1) * o.pitch + SIDE;
        let fits = |o: Operand<'_>| o.pitch >= SIDE && end(o) <= o.buffer.words();
        let quads = [s.pitch, s.stride, rest.stride].iter().all(|words| words % 4 == 0);
        if s.rows != rows || rest.pitch != SIDE || !quads || !fits(s) || !fits(rest) {
            return Err(Error::internal("cholesky_rest", format!("{s:?} and {rest:?}")));
        }
        let items = self.batch * rows * SIDE / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("s", s.buffer)
            .write("rest", rest.buffer)
            .set("rows", rows)
            .set("items", items)
            .set("s_pitch_quads", s.pitch / 4)
            .set("s_stride_quads", s.stride / 4)
            .set("rest_stride_quads", rest.stride / 4)
            .set("products", usize::from(self.products))
            .cost((4 * items) as f64))
    }
}

/// The same in f64.
pub fn oracle(s: f32, product: f32) -> Bounded {
    Bounded::sum(f64::from(s) - f64::from(product), f64::from(s.abs()) + f64::from(product.abs()), 1)
}

fn case(rows: usize, batch: usize, products: bool, exact: bool) -> Case {
    let label = format!("{batch} of {rows} rows, products {products}{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let mut values = Values::new((rows + batch) as u64);
        // A quad between rows, and a row between matrices.
        let (pitch, stride) = (SIDE + 4, (rows + 1) * (SIDE + 4));
        let s = values.fill(exact, batch * stride);
        let product = values.fill(exact, batch * rows * SIDE);
        let output = Guarded::new(gpu, batch * rows * SIDE)?;
        if products {
            gpu.write(&output.buffer, 0, &product)?;
        }
        let source = gpu.upload("s", &s)?;
        let mut recording = Recording::new();
        let rest = Operand { buffer: &output.buffer, rows, pitch: SIDE, stride: rows * SIDE };
        let s_operand = Operand { buffer: &source, rows, pitch, stride };
        recording.add(CholeskyRest { s: s_operand, rest, batch, products }.launch()?);
        let expected = (0..batch * rows * SIDE).map(|i| {
            let (b, r, c) = (i / (rows * SIDE), i / SIDE % rows, i % SIDE);
            let want = oracle(s[b * stride + r * pitch + c], if products { product[i] } else { 0.0 });
            Some(if exact { Bounded::exact(want.value) } else { want })
        });
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

/// Sizes that hurt: one row, a prime, no product yet.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, true, true),
        case(67, 3, true, false),
        case(64, 2, false, false),
        case(1000, 20, true, false).timed(),
    ]
}
