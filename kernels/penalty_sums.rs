//! Magnitudes, squares and squared Laplacians of weights, summed for every column: what penalties are made
//! of.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("penalty_sums", include_str!("penalty_sums.wgsl"), PARTS);

/// Rows that one invocation sums.
pub const SEGMENT: usize = 512;

/// `sums[3 s + kind]` = the sum over the rows of segment s of `|w|`, `w²` and `(L * w)²`; `totals += sums`.
pub struct PenaltySums<'a> {
    /// The weights, rows x columns.
    pub weights: &'a Matrix,
    /// Their Laplacian, if its squares are wanted; they are 0 otherwise.
    pub laplacian: Option<&'a Matrix>,
    /// Three rows a segment of [`SEGMENT`] rows, as [`rows`] says.
    pub sums: &'a Matrix,
    /// What is added to, of the same shape.
    pub totals: &'a Matrix,
}

/// Rows of the sums of so many rows.
pub fn rows(weights: usize) -> usize {
    3 * weights.div_ceil(SEGMENT)
}

impl PenaltySums<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (w, name) = (self.weights, KERNEL.name());
        let maps = self.laplacian.unwrap_or(w);
        check_matrices(
            name,
            &[("weights", w), ("maps", maps), ("sums", self.sums), ("totals", self.totals)],
        )?;
        let fits = |m: &Matrix| [m.rows, m.columns] == [rows(w.rows), w.columns];
        if !fits(self.sums) || !fits(self.totals) || [maps.rows, maps.columns] != [w.rows, w.columns] {
            return wrong(name, format!("{:?}, {:?} and {maps:?} of {w:?}", self.sums, self.totals));
        }
        let (quads, segments) = (w.pitch() / 4, w.rows.div_ceil(SEGMENT));
        Ok(Launch::new(&KERNEL, Grid::Items(segments * quads))
            .constant("LAPLACE", f64::from(u8::from(self.laplacian.is_some())))
            .read("w", &w.buffer)
            .read("maps", &maps.buffer)
            .write("sums", &self.sums.buffer)
            .write("totals", &self.totals.buffer)
            .set("items", segments * quads)
            .set("quads", quads)
            .set("rows", w.rows)
            .set("segment", SEGMENT)
            .cost(5.0 * (w.rows * w.columns) as f64))
    }
}

/// `totals` says which of the two outputs is looked at.
fn case(rows_of: usize, columns: usize, laplace: bool, totals: bool, exact: bool) -> Case {
    let words = [(laplace, " with maps"), (totals, ", totals"), (exact, " exact")];
    let words: String = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    Case::new(format!("{rows_of} x {columns}{words}"), move |gpu| {
        let weights = random_matrix([rows_of, columns], (rows_of + columns) as u64, exact);
        let bends = random_matrix([rows_of, columns], rows_of as u64, exact);
        let (count, pitch) = (rows(rows_of), columns.next_multiple_of(4));
        let before = random_matrix([count, columns], 7, exact);
        let output = Guarded::new(gpu, count * pitch)?;
        let guarded = Matrix { buffer: output.buffer.clone(), rows: count, columns };
        let plain = Matrix::upload(gpu, "sums", before.view())?;
        if totals {
            gpu.write(&output.buffer, 0, &crate::gpu::padded_rows(before.view()))?;
        }
        let (on_sums, on_totals) = if totals { (&plain, &guarded) } else { (&guarded, &plain) };
        let (w, maps) =
            (Matrix::upload(gpu, "w", weights.view())?, Matrix::upload(gpu, "maps", bends.view())?);
        let launch = PenaltySums {
            weights: &w,
            laplacian: laplace.then_some(&maps),
            sums: on_sums,
            totals: on_totals,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        let word = |at: usize| {
            let (row, column) = (at / pitch, at % pitch);
            if column >= columns {
                return Some(Bounded::exact(0.0));
            }
            let segment = row / 3 * SEGMENT..(row / 3 * SEGMENT + SEGMENT).min(rows_of);
            let term = |r: usize| match row % 3 {
                0 => f64::from(weights[[r, column]]).abs(),
                1 => f64::from(weights[[r, column]]).powi(2),
                _ if laplace => f64::from(bends[[r, column]]).powi(2),
                _ => 0.0,
            };
            let start = if totals { f64::from(before[[row, column]]) } else { 0.0 };
            let (terms, sum) = (segment.len() + 2, segment.map(term).sum::<f64>());
            let want = Bounded::sum(start + sum, start.abs() + sum, terms);
            Some(if exact { Bounded::exact(want.value) } else { want })
        };
        Ok(Trial { recording, output, expected: (0..count * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one row, a segment and one row, several segments, ragged columns, both outputs.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 3, false, false, true),
        case(513, 5, true, false, true),
        case(1100, 7, true, true, false),
        case(300, 130, false, true, false),
        case(50_176, 52, true, false, false).timed(),
    ]
}
