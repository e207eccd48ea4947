//! Columns of a matrix, four at a time, by a list: weights that are kept, and those of configurations that
//! train on.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("copy_columns", include_str!("copy_columns.wgsl"), PARTS);

/// Pairs of quads of columns on the device, with the largest of each side.
pub struct Pairs {
    buffer: Buffer,
    count: usize,
    ends: [usize; 2],
}

impl Pairs {
    /// Uploads pairs (quad that is read, quad that is written); no quad may be written twice.
    ///
    /// # Errors
    /// As [`Gpu::upload`].
    pub fn upload(gpu: &Gpu, pairs: &[[u32; 2]]) -> Result<Self> {
        let end = |side: usize| pairs.iter().map(|pair| pair[side] as usize + 1).max().unwrap_or(0);
        let buffer = gpu.upload("pairs of columns", pairs.as_flattened())?;
        Ok(Pairs { buffer, count: pairs.len(), ends: [end(0), end(1)] })
    }
}

/// `y[r, to] = x[r, from]` for every pair and row.
pub struct CopyColumns<'a> {
    /// What is read.
    pub x: &'a Matrix,
    /// Which quads.
    pub pairs: &'a Pairs,
    /// What is written, of as many rows.
    pub y: &'a Matrix,
}

impl CopyColumns<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit, or a pair lies beyond them.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, pairs, name) = (self.x, self.y, self.pairs, KERNEL.name());
        check_matrices(name, &[("x", x), ("y", y)])?;
        let beyond = pairs.ends[0] > x.pitch() / 4 || pairs.ends[1] > y.pitch() / 4;
        if x.rows != y.rows || beyond || pairs.count == 0 {
            return wrong(name, format!("{} pairs up to {:?} of {x:?} and {y:?}", pairs.count, pairs.ends));
        }
        let items = x.rows * pairs.count;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .read("pairs", &pairs.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("pairs", pairs.count)
            .set("x_pitch_quads", x.pitch() / 4)
            .set("y_pitch_quads", y.pitch() / 4)
            .cost(4.0 * items as f64))
    }
}

/// Every `step`-th quad of `x` moves to the front of `y`, in turned order.
fn case(rows: usize, quads: usize, step: usize) -> Case {
    Case::new(format!("{rows} rows, every {step}. of {quads} quads"), move |gpu| {
        let array = random_matrix([rows, 4 * quads], (rows + quads) as u64, false);
        let kept: Vec<usize> = (0..quads).step_by(step).rev().collect();
        let pairs: Vec<[u32; 2]> = kept.iter().enumerate().map(|(to, k)| [*k as u32, to as u32]).collect();
        let columns = 4 * (kept.len() + 1);
        let output = Guarded::new(gpu, rows * columns)?;
        let y = Matrix { buffer: output.buffer.clone(), rows, columns };
        let x = Matrix::upload(gpu, "x", array.view())?;
        let mut recording = Recording::new();
        recording.add(CopyColumns { x: &x, pairs: &Pairs::upload(gpu, &pairs)?, y: &y }.launch()?);
        let word = |at: usize| {
            let (row, column) = (at / columns, at % columns);
            let quad = kept.get(column / 4)?;
            Some(Bounded::exact(f64::from(array[[row, 4 * quad + column % 4]])))
        };
        Ok(Trial { recording, output, expected: (0..rows * columns).map(word).collect() })
    })
}

/// Sizes that hurt: one quad, primes, more rows than a workgroup.
pub fn cases() -> Vec<Case> {
    vec![case(1, 1, 1), case(7, 13, 3), case(131, 5, 2), case(512, 512, 2).timed()]
}
