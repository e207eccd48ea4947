//! Gradient of a factored readout's outer factor.

use super::case::{Case, Guarded, Trial};
use super::factor_spread::{check_columns, chunk};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("factor_gradient", include_str!("factor_gradient.wgsl"), PARTS);

/// `d[o, l] = Σ_b g[b, l] u[b outers + o, l]` for the columns `first..first + u.columns`.
pub struct FactorGradient<'a> {
    /// Features times the inner factor, (images x outers) x some columns.
    pub u: &'a Matrix,
    /// Gradient of each image's sum, images x all columns.
    pub g: &'a Matrix,
    /// The first of the columns in `u`: a multiple of four.
    pub first: usize,
    /// Gradient of the outer factor, outers x all columns.
    pub d: &'a Matrix,
}

impl FactorGradient<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (u, g, d, name) = (self.u, self.g, self.d, KERNEL.name());
        check_matrices(name, &[("u", u), ("g", g), ("d", d)])?;
        check_columns(name, u.columns, self.first, &[g, d])?;
        if u.rows != g.rows * d.rows || g.rows > LONGEST_LOOP as usize {
            return wrong(name, format!("{u:?} of {g:?} and {d:?}"));
        }
        let quads = u.columns.div_ceil(4);
        Ok(Launch::new(&KERNEL, Grid::Items(d.rows * quads))
            .read("u", &u.buffer)
            .read("g", &g.buffer)
            .write("d", &d.buffer)
            .set("items", d.rows * quads)
            .set("quads", quads)
            .set("outers", d.rows)
            .set("images", g.rows)
            .set("u_pitch_quads", u.pitch() / 4)
            .set("pitch_quads", d.pitch() / 4)
            .set("first_quad", self.first / 4)
            .cost(2.0 * (u.rows * u.columns) as f64))
    }
}

fn case(images: usize, outers: usize, columns: usize, first: usize, count: usize, exact: bool) -> Case {
    let label =
        format!("{images} images, {outers} x {count} of {columns}{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let u = random_matrix([images * outers, count], (images + outers) as u64, exact);
        let g = random_matrix([images, columns], columns as u64, exact);
        let pitch = columns.next_multiple_of(4);
        let output = Guarded::new(gpu, outers * pitch)?;
        let d = Matrix { buffer: output.buffer.clone(), rows: outers, columns };
        let (on_u, on_g) = (Matrix::upload(gpu, "u", u.view())?, Matrix::upload(gpu, "g", g.view())?);
        let mut recording = Recording::new();
        recording.add(FactorGradient { u: &on_u, g: &on_g, first, d: &d }.launch()?);
        let word = |at: usize| {
            let (o, column) = (at / pitch, at % pitch);
            let of = chunk(column, first, count)?;
            if of >= count {
                return Some(Bounded::exact(0.0));
            }
            let terms = (0..images).map(|b| f64::from(g[[b, column]]) * f64::from(u[[b * outers + o, of]]));
            let (value, magnitude) = terms.fold((0.0, 0.0), |(v, m), t| (v + t, m + t.abs()));
            let want = Bounded::sum(value, magnitude, images + 1);
            Some(if exact { Bounded::exact(value) } else { want })
        };
        Ok(Trial { recording, output, expected: (0..outers * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one of each, primes, some of the columns, whole ones.
pub fn cases() -> Vec<Case> {
    vec![
        case(2, 1, 4, 0, 4, true),
        case(7, 3, 13, 4, 9, true),
        case(31, 5, 260, 64, 128, false),
        case(64, 196, 256, 0, 256, false).timed(),
    ]
}
