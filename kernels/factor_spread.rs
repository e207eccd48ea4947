//! The outer factor times the gradient of each image, turned: the right operand of the inner factor's
//! gradient.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("factor_spread", include_str!("factor_spread.wgsl"), PARTS);

/// `v[l, b outers + o] = g[b, first + l] outer[o, first + l]`.
pub struct FactorSpread<'a> {
    /// Gradient of each image's sum, images x all columns.
    pub g: &'a Matrix,
    /// The outer factor, outers x all columns.
    pub outer: &'a Matrix,
    /// The first column taken: a multiple of four.
    pub first: usize,
    /// Some columns x (images x outers). Its rows, too, go to a multiple of four.
    pub v: &'a Matrix,
}

/// Refuses columns that do not start at a quad or reach beyond matrices.
pub(super) fn check_columns(name: &str, count: usize, first: usize, all: &[&Matrix]) -> Result<()> {
    let pitch = all[0].pitch();
    if !first.is_multiple_of(4)
        || count == 0
        || all.iter().any(|m| m.pitch() != pitch || first + count > pitch)
    {
        return wrong(name, format!("{count} columns from {first} on of {all:?}"));
    }
    Ok(())
}

/// The column of a chunk in which a column of the whole lies, padding included; `None` where it lies outside.
pub(super) fn chunk(column: usize, first: usize, count: usize) -> Option<usize> {
    column.checked_sub(first).filter(|of| *of < count.next_multiple_of(4))
}

impl FactorSpread<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (g, outer, v, name) = (self.g, self.outer, self.v, KERNEL.name());
        check_matrices(name, &[("g", g), ("outer", outer), ("v", v)])?;
        check_columns(name, v.rows, self.first, &[g, outer])?;
        if v.columns != g.rows * outer.rows || !v.rows.is_multiple_of(4) {
            return wrong(name, format!("{v:?} of {g:?} and {outer:?}"));
        }
        let items = v.rows / 4 * (v.pitch() / 4);
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("g", &g.buffer)
            .read("outer", &outer.buffer)
            .write("v", &v.buffer)
            .set("items", items)
            .set("quads", v.rows / 4)
            .set("depth", v.columns)
            .set("outers", outer.rows)
            .set("v_pitch_quads", v.pitch() / 4)
            .set("pitch_quads", g.pitch() / 4)
            .set("first_quad", self.first / 4)
            .cost(2.0 * (v.rows * v.columns) as f64))
    }
}

fn case(images: usize, outers: usize, columns: usize, first: usize, count: usize) -> Case {
    Case::new(format!("{images} images, {outers} x {count} of {columns}"), move |gpu| {
        let g = random_matrix([images, columns], (images + outers) as u64, true);
        let outer = random_matrix([outers, columns], columns as u64, true);
        let depth = images * outers;
        let pitch = depth.next_multiple_of(4);
        let output = Guarded::new(gpu, count * pitch)?;
        let v = Matrix { buffer: output.buffer.clone(), rows: count, columns: depth };
        let (on_g, on_outer) =
            (Matrix::upload(gpu, "g", g.view())?, Matrix::upload(gpu, "outer", outer.view())?);
        let mut recording = Recording::new();
        recording.add(FactorSpread { g: &on_g, outer: &on_outer, first, v: &v }.launch()?);
        let word = |at: usize| {
            let (l, d) = (first + at / pitch, at % pitch);
            let value = if d < depth && l < columns {
                f64::from(g[[d / outers, l]]) * f64::from(outer[[d % outers, l]])
            } else {
                0.0
            };
            Some(Bounded::exact(value))
        };
        Ok(Trial { recording, output, expected: (0..count * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one of each, primes, some of the columns, whole ones. All of them exact: one product a
/// word.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, 4, 0, 4),
        case(7, 3, 13, 4, 12),
        case(31, 5, 260, 64, 128),
        case(64, 196, 256, 0, 256).timed(),
    ]
}
