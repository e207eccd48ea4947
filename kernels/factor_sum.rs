//! A factored readout's sum over its outer factor: what is left of a product with the inner one.

use super::case::{Case, Guarded, Trial};
use super::factor_spread::{check_columns, chunk};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::Bounded;
use ndarray::ArrayView2;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("factor_sum", include_str!("factor_sum.wgsl"), PARTS);

/// `z[b, l] = Σ_o outer[o, l] u[b outers + o, l]` for the columns `first..first + u.columns`.
pub struct FactorSum<'a> {
    /// Features times the inner factor, (images x outers) x some columns.
    pub u: &'a Matrix,
    /// The outer factor, outers x all columns.
    pub outer: &'a Matrix,
    /// The first of the columns in `u`: a multiple of four.
    pub first: usize,
    /// Images x all columns.
    pub z: &'a Matrix,
}

impl FactorSum<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (u, outer, z, name) = (self.u, self.outer, self.z, KERNEL.name());
        check_matrices(name, &[("u", u), ("outer", outer), ("z", z)])?;
        check_columns(name, u.columns, self.first, &[outer, z])?;
        if u.rows != z.rows * outer.rows || outer.rows > LONGEST_LOOP as usize {
            return wrong(name, format!("{u:?} of {outer:?} and {z:?}"));
        }
        let quads = u.columns.div_ceil(4);
        Ok(Launch::new(&KERNEL, Grid::Items(z.rows * quads))
            .read("u", &u.buffer)
            .read("outer", &outer.buffer)
            .write("z", &z.buffer)
            .set("items", z.rows * quads)
            .set("quads", quads)
            .set("outers", outer.rows)
            .set("u_pitch_quads", u.pitch() / 4)
            .set("pitch_quads", z.pitch() / 4)
            .set("first_quad", self.first / 4)
            .cost(2.0 * (u.rows * u.columns) as f64))
    }
}

/// The same in f64.
pub fn oracle(
    u: ArrayView2<'_, f32>,
    outer: ArrayView2<'_, f32>,
    image: usize,
    column: usize,
    of: usize,
) -> Bounded {
    let outers = outer.nrows();
    let (mut value, mut magnitude) = (0.0, 0.0);
    for o in 0..outers {
        let term = f64::from(outer[[o, column]]) * f64::from(u[[image * outers + o, of]]);
        value += term;
        magnitude += f64::abs(term);
    }
    Bounded::sum(value, magnitude, outers + 1)
}

fn case(images: usize, outers: usize, columns: usize, first: usize, count: usize, exact: bool) -> Case {
    let label =
        format!("{images} images, {outers} x {count} of {columns}{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let u = random_matrix([images * outers, count], (images + outers) as u64, exact);
        let outer = random_matrix([outers, columns], columns as u64, exact);
        let pitch = columns.next_multiple_of(4);
        let output = Guarded::new(gpu, images * pitch)?;
        let z = Matrix { buffer: output.buffer.clone(), rows: images, columns };
        let (on_u, on_outer) =
            (Matrix::upload(gpu, "u", u.view())?, Matrix::upload(gpu, "outer", outer.view())?);
        let mut recording = Recording::new();
        recording.add(FactorSum { u: &on_u, outer: &on_outer, first, z: &z }.launch()?);
        let word = |at: usize| {
            let (image, column) = (at / pitch, at % pitch);
            let of = chunk(column, first, count)?;
            if of >= count {
                return Some(Bounded::exact(0.0));
            }
            let want = oracle(u.view(), outer.view(), image, column, of);
            Some(if exact { Bounded::exact(want.value) } else { want })
        };
        Ok(Trial { recording, output, expected: (0..images * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one of each, primes, some of the columns, whole ones.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 2, 4, 0, 4, true),
        case(3, 7, 13, 4, 9, true),
        case(5, 31, 260, 64, 128, false),
        case(64, 196, 256, 0, 256, false).timed(),
    ]
}
