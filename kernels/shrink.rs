//! Each neuron's spectral coefficients times the shrinkage of the penalty that it took.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::check_matrices;
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("shrink", include_str!("shrink.wgsl"), PARTS);

/// Which row of factors each neuron takes.
pub struct Choice {
    buffer: Buffer,
    count: usize,
    end: usize,
}

impl Choice {
    /// Uploads one row number for each neuron.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload(gpu: &Gpu, rows: &[u32]) -> Result<Self> {
        let end = rows.iter().max().map_or(0, |largest| *largest as usize + 1);
        Ok(Choice { buffer: gpu.upload("choice of penalties", rows)?, count: rows.len(), end })
    }

    /// Whether it chooses for `count` rows among `rows` of factors.
    pub(super) fn serves(&self, count: usize, rows: usize) -> bool {
        self.count == count && self.end <= rows
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

/// `y[n] = x[n] shrinkage[choice[n]]`.
pub struct Shrink<'a> {
    /// Coefficients, neurons x depth.
    pub x: &'a Matrix,
    /// Factors, penalties x depth.
    pub shrinkage: &'a Matrix,
    /// A row of `shrinkage` for each neuron.
    pub choice: &'a Choice,
    /// Result, neurons x depth.
    pub y: &'a Matrix,
}

impl Shrink<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y) = (self.x, self.y);
        let same = x.rows == y.rows && x.columns == y.columns && self.shrinkage.columns == x.columns;
        check_matrices(KERNEL.name(), &[("x", x), ("shrinkage", self.shrinkage), ("y", y)])?;
        if !same || !self.choice.serves(x.rows, self.shrinkage.rows) {
            return Err(Error::internal("shrink", format!("{x:?}, {:?} and {y:?}", self.shrinkage)));
        }
        let quads = x.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(x.rows * quads))
            .read("x", &x.buffer)
            .read("shrinkage", &self.shrinkage.buffer)
            .read("choice", &self.choice.buffer)
            .write("y", &y.buffer)
            .set("neurons", x.rows)
            .set("pitch_quads", quads)
            .cost((4 * x.rows * quads) as f64))
    }
}

/// The same in f64.
pub fn oracle(x: f32, factor: f32) -> Bounded {
    let value = f64::from(x) * f64::from(factor);
    Bounded::sum(value, value.abs(), 1)
}

fn case(neurons: usize, depth: usize, penalties: usize, exact: bool) -> Case {
    let label = format!(
        "{neurons} neurons, depth {depth}, {penalties} penalties{}",
        if exact { " exact" } else { "" }
    );
    Case::new(label, move |gpu| {
        let mut values = Values::new((neurons * depth) as u64);
        let mut array =
            |rows| ndarray::Array2::<f32>::zeros((rows, depth)).mapv_into(|_: f32| values.fill(exact, 1)[0]);
        let (x, factors) = (array(neurons), array(penalties));
        let choice: Vec<u32> = (0..neurons).map(|n| (n * 7 % penalties) as u32).collect();
        let pitch = depth.next_multiple_of(4);
        let output = Guarded::new(gpu, neurons * pitch)?;
        let y = Matrix { buffer: output.buffer.clone(), rows: neurons, columns: depth };
        let shrink = Shrink {
            x: &Matrix::upload(gpu, "x", x.view())?,
            shrinkage: &Matrix::upload(gpu, "shrinkage", factors.view())?,
            choice: &Choice::upload(gpu, &choice)?,
            y: &y,
        };
        let mut recording = Recording::new();
        recording.add(shrink.launch()?);
        let expected = (0..neurons * pitch).map(|i| {
            let (n, k) = (i / pitch, i % pitch);
            let want = (k < depth).then(|| oracle(x[[n, k]], factors[[choice[n] as usize, k]]));
            Some(want.map_or(Bounded::exact(0.0), |b| if exact { Bounded::exact(b.value) } else { b }))
        });
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

/// Sizes that hurt: one neuron, ragged quads, a prime number of neurons.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 3, 1, true),
        case(13, 7, 4, true),
        case(101, 50, 15, false),
        case(2000, 500, 20, false).timed(),
    ]
}
