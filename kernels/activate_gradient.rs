//! Gradient of an activation, told from the activation itself, and of the bias under it.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("activate_gradient", include_str!("activate_gradient.wgsl"), PARTS);

/// `d *= f'(a)` in place, and `bias_gradient = Σ_b d`.
pub struct ActivateGradient<'a> {
    /// Activations, images x units.
    pub a: &'a Matrix,
    /// Whether they are hyperbolic tangents.
    pub tanh: bool,
    /// Gradients of the activations, of the same shape.
    pub d: &'a Matrix,
    /// One row.
    pub bias_gradient: &'a Matrix,
}

impl ActivateGradient<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (a, d, bias, name) = (self.a, self.d, self.bias_gradient, KERNEL.name());
        check_matrices(name, &[("a", a), ("d", d), ("bias_gradient", bias)])?;
        let same = [a.rows, a.columns] == [d.rows, d.columns] && [bias.rows, bias.columns] == [1, a.columns];
        if !same || a.rows > LONGEST_LOOP as usize {
            return wrong(name, format!("{a:?}, {d:?} and {bias:?}"));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(a.pitch() / 4))
            .constant("TANH", f64::from(u8::from(self.tanh)))
            .read("a", &a.buffer)
            .write("d", &d.buffer)
            .write("bias_gradient", &bias.buffer)
            .set("images", a.rows)
            .set("quads", a.pitch() / 4)
            .cost(4.0 * (a.rows * a.columns) as f64))
    }
}

/// The same in f64, before the sum.
pub fn oracle(a: f32, d: f32, tanh: bool) -> Bounded {
    let (a, d) = (f64::from(a), f64::from(d));
    let slope = if tanh { 1.0 - a * a } else { f64::from(u8::from(a > 0.0)) };
    Bounded::sum(d * slope, d.abs() * (1.0 + a * a), 3)
}

/// `bias` says which of the two outputs is looked at.
fn case(images: usize, units: usize, tanh: bool, bias: bool) -> Case {
    let label =
        format!("{images} x {units}{}{}", if tanh { " tanh" } else { "" }, if bias { ", bias" } else { "" });
    Case::new(label, move |gpu| {
        let a = random_matrix([images, units], (images + units) as u64, true).mapv_into(|v| v / 4.0);
        let before = random_matrix([images, units], units as u64, true);
        let (rows, pitch) = (if bias { 1 } else { images }, units.next_multiple_of(4));
        let output = Guarded::new(gpu, rows * pitch)?;
        let guarded = Matrix { buffer: output.buffer.clone(), rows, columns: units };
        if !bias {
            gpu.write(&output.buffer, 0, &crate::gpu::padded_rows(before.view()))?;
        }
        let other = if bias {
            Matrix::upload(gpu, "d", before.view())?
        } else {
            Matrix::zeros(gpu, "bias gradient", 1, units)?
        };
        let (d, row) = if bias { (&other, &guarded) } else { (&guarded, &other) };
        let on_a = Matrix::upload(gpu, "a", a.view())?;
        let mut recording = Recording::new();
        recording.add(ActivateGradient { a: &on_a, tanh, d, bias_gradient: row }.launch()?);
        let word = |at: usize| {
            let (image, unit) = (at / pitch, at % pitch);
            if unit >= units {
                return Some(Bounded::exact(0.0));
            }
            // Sixteenths and small integers: exact, sums of them too.
            let one = |image: usize| oracle(a[[image, unit]], before[[image, unit]], tanh).value;
            Some(Bounded::exact(if bias { (0..images).map(one).sum() } else { one(image) }))
        };
        Ok(Trial { recording, output, expected: (0..rows * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one unit, ragged quads, both outputs of both activations. All exact.
pub fn cases() -> Vec<Case> {
    vec![
        case(3, 1, false, false),
        case(7, 13, true, false),
        case(31, 70, false, true),
        case(29, 66, true, true),
        case(64, 4096, true, false).timed(),
    ]
}
