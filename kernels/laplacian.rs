//! The Laplacian of maps whose positions are the rows of a matrix.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::trials::random_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;
use ndarray::ArrayView1;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("laplacian", include_str!("laplacian.wgsl"), PARTS);

/// `z = L * x` for every map, `L = [[.5, 1, .5], [1, -6, 1], [.5, 1, .5]]`, zero beyond the edge.
pub struct Laplacian<'a> {
    /// (maps x height x width) x columns.
    pub maps: &'a Matrix,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// Of the shape of `maps`.
    pub z: &'a Matrix,
}

impl Laplacian<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (maps, z, name, area) = (self.maps, self.z, KERNEL.name(), self.height * self.width);
        check_matrices(name, &[("maps", maps), ("z", z)])?;
        if area == 0 || !maps.rows.is_multiple_of(area) || [z.rows, z.columns] != [maps.rows, maps.columns] {
            return wrong(name, format!("maps of {} x {} in {maps:?} and {z:?}", self.height, self.width));
        }
        let items = maps.rows * maps.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("maps", &maps.buffer)
            .write("z", &z.buffer)
            .set("items", items)
            .set("quads", maps.pitch() / 4)
            .set("height", self.height)
            .set("width", self.width)
            .cost(12.0 * (maps.rows * maps.columns) as f64))
    }
}

/// The same in f64, of one position of maps that lie one after the other.
pub fn oracle(maps: ArrayView1<'_, f64>, at: usize, [height, width]: [usize; 2]) -> Bounded {
    const TAPS: [[f64; 3]; 3] = [[0.5, 1.0, 0.5], [1.0, -6.0, 1.0], [0.5, 1.0, 0.5]];
    let (map, row, column) = (at / (height * width), at / width % height, at % width);
    let (mut value, mut magnitude) = (0.0, 0.0);
    for (down, taps) in TAPS.iter().enumerate() {
        for (across, tap) in taps.iter().enumerate() {
            let (i, j) = ((row + down).wrapping_sub(1), (column + across).wrapping_sub(1));
            if i < height && j < width {
                let term = tap * maps[(map * height + i) * width + j];
                value += term;
                magnitude += term.abs();
            }
        }
    }
    Bounded::sum(value, magnitude, 10)
}

fn case(maps: usize, height: usize, width: usize, columns: usize, exact: bool) -> Case {
    let label =
        format!("{maps} maps of {height} x {width}, {columns} columns{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let rows = maps * height * width;
        // Even integers, so that half of them is one too.
        let array = random_matrix([rows, columns], (rows + columns) as u64, exact).mapv_into(|v| 2.0 * v);
        let pitch = columns.next_multiple_of(4);
        let output = Guarded::new(gpu, rows * pitch)?;
        let z = Matrix { buffer: output.buffer.clone(), rows, columns };
        let x = Matrix::upload(gpu, "maps", array.view())?;
        let mut recording = Recording::new();
        recording.add(Laplacian { maps: &x, height, width, z: &z }.launch()?);
        let wide = array.mapv(f64::from);
        let word = |at: usize| {
            if at % pitch >= columns {
                return Some(Bounded::exact(0.0));
            }
            let want = oracle(wide.column(at % pitch), at / pitch, [height, width]);
            Some(if exact { Bounded::exact(want.value) } else { want })
        };
        Ok(Trial { recording, output, expected: (0..rows * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: a single position, one row, one column, maps side by side, ragged columns.
pub fn cases() -> Vec<Case> {
    vec![
        case(3, 1, 1, 2, true),
        case(2, 1, 5, 3, true),
        case(3, 4, 1, 1, true),
        case(5, 3, 2, 7, true),
        case(2, 13, 11, 9, false),
        case(256, 14, 14, 52, false).timed(),
    ]
}
