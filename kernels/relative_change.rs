//! Fluorescence as its change relative to a baseline: dF/F.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Matrix, Recording, padded_rows};
use crate::numbers::{Bounded, TINY, UNIT};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("relative_change", include_str!("relative_change.wgsl"), PARTS);

/// `y = (y - b) / max(b, least)`, in place; NaN where a value is not finite or the divisor is zero.
pub struct RelativeChange<'a> {
    /// The baseline, neurons x frames.
    pub baseline: &'a Matrix,
    /// One f32 a neuron, the least that is divided by; by the baseline itself where there is none.
    pub least: Option<&'a Buffer>,
    /// Fluorescence, of the same shape.
    pub y: &'a Matrix,
}

impl RelativeChange<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (b, y, name) = (self.baseline, self.y, KERNEL.name());
        check_matrices(name, &[("baseline", b), ("y", y)])?;
        let short = self.least.is_some_and(|least| least.words() < y.rows);
        if [b.rows, b.columns] != [y.rows, y.columns] || short || y.columns == 0 {
            return wrong(name, format!("{y:?} by {b:?} and {:?}", self.least));
        }
        let items = y.rows * y.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .constant("LEAST", f64::from(u8::from(self.least.is_some())))
            .read("b", &b.buffer)
            .read("least", self.least.unwrap_or(&b.buffer))
            .write("y", &y.buffer)
            .set("items", items)
            .set("frames", y.columns)
            .set("quads", y.pitch() / 4)
            .set("nothing", 0)
            .cost(12.0 * items as f64))
    }
}

/// The same in f64: a difference, and a division, which WGSL lets be 2.5 units in the last place off.
pub fn oracle(x: f32, baseline: f32, least: Option<f32>) -> Bounded {
    let divisor = f64::from(least.map_or(baseline, |least| least.max(baseline)));
    if !x.is_finite() || !baseline.is_finite() || divisor == 0.0 {
        return Bounded::exact(f64::NAN);
    }
    let value = (f64::from(x) - f64::from(baseline)) / divisor;
    // Of second order: the product of the two errors.
    Bounded { value, bound: 6.01 * UNIT * value.abs() + TINY * (1.0 + 1.0 / divisor.abs()) }
}

fn case(neurons: usize, frames: usize, least: bool) -> Case {
    let with = if least { ", floor" } else { "" };
    Case::new(format!("{neurons} x {frames}{with}"), move |gpu| {
        let mut x = random_matrix([neurons, frames], (neurons + frames) as u64, false);
        let mut b = random_matrix([neurons, frames], frames as u64, false);
        x.mapv_inplace(|v| 100.0 + v);
        for (at, (x, b)) in x.iter_mut().zip(&mut b).enumerate() {
            *b = if at % 3 == 0 { *b } else { 100.0 - *b };
            match at % 29 {
                5 => *x = f32::NAN,
                11 => *b = f32::INFINITY,
                17 => *b = 0.0,
                _ => {}
            }
        }
        let floors: Vec<f32> = (0..neurons).map(|n| if n % 2 == 0 { 3.0 } else { 0.0 }).collect();
        let floor = gpu.upload("least", &floors)?;
        let pitch = frames.next_multiple_of(4);
        let output = Guarded::new(gpu, neurons * pitch)?;
        gpu.write(&output.buffer, 0, &padded_rows(x.view()))?;
        let y = Matrix { buffer: output.buffer.clone(), rows: neurons, columns: frames };
        let baseline = Matrix::upload(gpu, "b", b.view())?;
        let mut recording = Recording::new();
        recording
            .add(RelativeChange { baseline: &baseline, least: least.then_some(&floor), y: &y }.launch()?);
        let word = |at: usize| {
            let (n, t) = (at / pitch, at % pitch);
            let inside = || oracle(x[[n, t]], b[[n, t]], least.then(|| floors[n]));
            Some(if t < frames { inside() } else { Bounded::exact(0.0) })
        };
        Ok(Trial { recording, output, expected: (0..neurons * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one frame, ragged quads, both divisors; values that are missing, baselines of zero and
/// below.
pub fn cases() -> Vec<Case> {
    vec![
        case(2, 1, false),
        case(7, 31, false),
        case(7, 31, true),
        case(131, 66, true),
        case(64, 20_000, true).timed(),
    ]
}
