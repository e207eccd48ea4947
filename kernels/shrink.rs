//! Each neuron's spectral coefficients times the shrinkage of the penalty that it took.

use super::case::{Case, Guarded, Trial, Values};
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("shrink", include_str!("shrink.wgsl"), PARTS);

/// `y[n] = x[n] shrinkage[choice[n]]`.
pub struct Shrink<'a> {
    /// Coefficients, neurons x depth.
    pub x: &'a Matrix,
    /// Factors, penalties x depth.
    pub shrinkage: &'a Matrix,
    /// A row of `shrinkage` for each neuron; the caller keeps it in range.
    pub choice: &'a Buffer,
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
        if !same || self.choice.words() < x.rows {
            return Err(Error::internal("shrink", format!("{x:?}, {:?} and {y:?}", self.shrinkage)));
        }
        let quads = x.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(x.rows * quads))
            .read("x", &x.buffer)
            .read("shrinkage", &self.shrinkage.buffer)
            .read("choice", self.choice)
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
            choice: &gpu.upload("choice", &choice)?,
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
