//! Features of maps as rows of a matrix, in PyTorch's flattened order (channel, row, column), or a slab of them.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_maps, check_matrices, wrong};
use super::trials::{random_maps, upload_maps};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Maps, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("maps_to_rows", include_str!("maps_to_rows.wgsl"));

/// `rows[first_row + image, j] = features[first + j]` of every image, for j below `count`; nothing else is written.
pub struct MapsToRows<'a> {
    /// The maps.
    pub x: &'a Maps,
    /// The matrix, with at least `count` columns.
    pub rows: &'a Matrix,
    /// Row of the first image.
    pub first_row: usize,
    /// First feature, counted channel by channel.
    pub first: usize,
    /// Number of features.
    pub count: usize,
}

impl MapsToRows<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if features or rows reach beyond the ends.
    pub fn launch(&self) -> Result<Launch> {
        let (x, rows, name) = (self.x, self.rows, KERNEL.name());
        check_maps(name, &[("x", x)])?;
        check_matrices(name, &[("rows", rows)])?;
        let features = x.channels * x.area();
        if self.first + self.count > features || self.count > rows.columns {
            let (first, count) = (self.first, self.count);
            return wrong(name, format!("{count} features from {first} of {features} to {rows:?}"));
        }
        if self.first_row + x.images > rows.rows {
            return wrong(name, format!("{} images from row {} of {rows:?}", x.images, self.first_row));
        }
        let items = x.images * self.count;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .write("rows", &rows.buffer)
            .set("items", items)
            .set("quads", x.quads())
            .set("area", x.area())
            .set("first", self.first)
            .set("count", self.count)
            .set("first_row", self.first_row)
            .set("pitch", rows.pitch())
            .cost(2.0 * items as f64))
    }
}

/// Maps, the features taken, and where they go in a matrix with `spare` rows below and columns beside them.
fn case(shape: [usize; 4], first: usize, count: usize, first_row: usize, spare: usize) -> Case {
    let label = format!("{shape:?}, {count} features from {first} to row {first_row}, {spare} spare");
    Case::new(label, move |gpu| {
        let array = random_maps(shape, (shape[1] * 47 + first) as u64, false);
        let x = upload_maps(gpu, &array)?;
        let (rows, columns) = (first_row + shape[0] + spare, count + spare);
        let pitch = columns.next_multiple_of(4);
        let output = Guarded::new(gpu, rows * pitch)?;
        let matrix = Matrix { buffer: output.buffer.clone(), rows, columns };
        let mut recording = Recording::new();
        recording.add(MapsToRows { x: &x, rows: &matrix, first_row, first, count }.launch()?);
        let mut expected = vec![None; rows * pitch];
        for (image, features) in array.outer_iter().enumerate() {
            let row = &mut expected[(first_row + image) * pitch..];
            for (word, value) in row.iter_mut().zip(features.iter().skip(first).take(count)) {
                *word = Some(Bounded::exact(f64::from(*value)));
            }
        }
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one feature, ragged quads, slabs that start and end inside a map, and more items than one axis of
/// a grid holds workgroups for, so that it is folded.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 1, 1, 1], 0, 1, 0, 0),
        case([2, 5, 3, 7], 0, 105, 0, 0),
        case([3, 6, 2, 5], 13, 31, 4, 2),
        case([2, 7, 1, 1], 6, 1, 1, 3),
        case([1, 3, 1187, 1181], 5, 4_194_301, 0, 0),
        case([16, 256, 13, 13], 0, 43_264, 0, 0).timed(),
    ]
}
