//! Rows of a large matrix by a list: the images of a minibatch.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;
use half::f16;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("gather_rows", include_str!("gather_rows.wgsl"), PARTS);

/// `y[r] = x[index[start + r] - first]` where that row is there.
pub struct GatherRows<'a> {
    /// Rows `first..first + count` of the large matrix, of the pitch of `y`: f32, or f16 if `half`.
    pub x: &'a Buffer,
    /// Whether `x` holds f16.
    pub half: bool,
    /// The first row in `x`.
    pub first: usize,
    /// Number of rows in `x`.
    pub count: usize,
    /// Rows of the large matrix, u32.
    pub index: &'a Buffer,
    /// Where in `index` the first row of `y` is named.
    pub start: usize,
    /// The gathered rows; those that `x` does not hold are left alone.
    pub y: &'a Matrix,
}

impl GatherRows<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short.
    pub fn launch(&self) -> Result<Launch> {
        let (y, name) = (self.y, KERNEL.name());
        check_matrices(name, &[("y", y)])?;
        let words = self.count * y.pitch() / if self.half { 2 } else { 1 };
        if self.x.words() < words || self.index.words() < self.start + y.rows {
            return wrong(
                name,
                format!("{} rows of {y:?} from {:?} by {:?}", self.count, self.x, self.index),
            );
        }
        let items = y.rows * y.pitch() / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .constant("HALF", f64::from(u8::from(self.half)))
            .read("x", self.x)
            .read("index", self.index)
            .write("y", &y.buffer)
            .set("items", items)
            .set("quads", y.pitch() / 4)
            .set("start", self.start)
            .set("first", self.first)
            .set("count", self.count)
            .cost(4.0 * items as f64))
    }
}

/// `x` holds rows `first..first + count` of a matrix of `first + count + 3`.
fn case(rows: usize, columns: usize, first: usize, count: usize, half: bool) -> Case {
    let label = format!("{rows} of {count} x {columns}{}", if half { " f16" } else { "" });
    Case::new(label, move |gpu| {
        let pitch = columns.next_multiple_of(4);
        let mut values = Values::new((rows * 37 + columns) as u64);
        let wide = values.wide(count * pitch);
        let stored: Vec<f32> =
            wide.iter().map(|v| if half { f16::from_f32(*v).to_f32() } else { *v }).collect();
        let x = if half {
            let halves: Vec<u16> = wide.iter().map(|v| f16::from_f32(*v).to_bits()).collect();
            gpu.upload("x", bytemuck::cast_slice::<u16, u32>(&halves))?
        } else {
            gpu.upload("x", &wide)?
        };
        let start = 5;
        let index: Vec<u32> = (0..start + rows).map(|r| (r * 7 % (first + count + 3)) as u32).collect();
        let output = Guarded::new(gpu, rows * pitch)?;
        let y = Matrix { buffer: output.buffer.clone(), rows, columns };
        let index_buffer = gpu.upload("index", &index)?;
        let gather = GatherRows { x: &x, half, first, count, index: &index_buffer, start, y: &y };
        let mut recording = Recording::new();
        recording.add(gather.launch()?);
        let word = |at: usize| {
            let row = (index[start + at / pitch] as usize).checked_sub(first).filter(|row| *row < count)?;
            Some(Bounded::exact(f64::from(stored[row * pitch + at % pitch])))
        };
        Ok(Trial { recording, output, expected: (0..rows * pitch).map(word).collect() })
    })
}

/// Sizes that hurt: one word, ragged quads, rows that are elsewhere, halves.
pub fn cases() -> Vec<Case> {
    vec![
        case(2, 1, 0, 5, false),
        case(13, 7, 4, 9, false),
        case(31, 130, 0, 17, true),
        case(9, 6, 5, 8, true),
        case(64, 50_176, 0, 200, false).timed(),
        case(64, 50_176, 0, 200, true).timed(),
    ]
}
