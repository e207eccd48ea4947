//! Bias and activation between the layers of a multilayer readout.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("activate", include_str!("activate.wgsl"), PARTS);

/// `y = f(y + bias)` in place: ReLU, or the hyperbolic tangent.
pub struct Activate<'a> {
    /// One row, of as many columns as `y`.
    pub bias: &'a Matrix,
    /// Whether f is the hyperbolic tangent.
    pub tanh: bool,
    /// Images x units.
    pub y: &'a Matrix,
}

impl Activate<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (bias, y, name) = (self.bias, self.y, KERNEL.name());
        check_matrices(name, &[("bias", bias), ("y", y)])?;
        if [bias.rows, bias.columns] != [1, y.columns] {
            return wrong(name, format!("{bias:?} is no row of {y:?}"));
        }
        let items = y.rows * y.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .constant("TANH", f64::from(u8::from(self.tanh)))
            .read("bias", &bias.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("quads", y.pitch() / 4)
            .cost(4.0 * (y.rows * y.columns) as f64))
    }
}

/// The same in f64. WGSL's exp is off by 3 + 2|x| units in the last place, its division by 2.5.
pub fn oracle(x: f32, bias: f32, tanh: bool) -> Bounded {
    let sum = f64::from(x) + f64::from(bias);
    if !tanh {
        return Bounded { value: sum.max(0.0), bound: 2.0 * UNIT * sum.abs() + TINY };
    }
    let tail = (-2.0 * sum.abs()).exp();
    // Of the rounded sum, of exp, and of the quotient; the numerator is a difference from 1.
    let tail_error = tail * UNIT * (4.0 * sum.abs() + 2.0 * (3.0 + 4.0 * sum.abs()));
    Bounded { value: sum.tanh(), bound: 2.0 * tail_error + 10.0 * UNIT + TINY }
}

fn case(images: usize, units: usize, tanh: bool) -> Case {
    Case::new(format!("{images} x {units}{}", if tanh { " tanh" } else { "" }), move |gpu| {
        let array = random_matrix([images, units], (images + units) as u64, !tanh);
        let row = random_matrix([1, units], units as u64, !tanh);
        let pitch = units.next_multiple_of(4);
        let output = Guarded::new(gpu, images * pitch)?;
        gpu.write(&output.buffer, 0, &crate::gpu::padded_rows(array.view()))?;
        let y = Matrix { buffer: output.buffer.clone(), rows: images, columns: units };
        let bias = Matrix::upload(gpu, "bias", row.view())?;
        let mut recording = Recording::new();
        recording.add(Activate { bias: &bias, tanh, y: &y }.launch()?);
        let word = |at: usize| {
            let (image, unit) = (at / pitch, at % pitch);
            let want = (unit < units).then(|| oracle(array[[image, unit]], row[[0, unit]], tanh));
            Some(want.map_or(Bounded::exact(0.0), |w| if tanh { w } else { Bounded::exact(w.value) }))
        };
        Ok(Trial { recording, output, expected: (0..images * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: two words, ragged quads; ReLU exact, tanh over orders of magnitude.
pub fn cases() -> Vec<Case> {
    vec![case(9, 1, false), case(7, 13, false), case(31, 70, true), case(64, 4096, true).timed()]
}
