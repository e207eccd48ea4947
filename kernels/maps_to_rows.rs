//! Features of maps as rows of a matrix, in PyTorch's flattened order (channel, row, column), or a slab of
//! them.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_maps, check_matrices, wrong};
use super::parts::PARTS;
use super::trials::{random_maps, upload_maps};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Maps, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("maps_to_rows", include_str!("maps_to_rows.wgsl"), PARTS);

/// Features by number, counted channel by channel as PyTorch flattens a map: a slab of them, or a random
/// sample.
pub struct FeatureList {
    /// Where each lies in an image's maps, in whole quads.
    places: Buffer,
    count: usize,
    end: usize,
    area: usize,
}

impl FeatureList {
    /// Uploads a list for maps of so many pixels; numbers may repeat and come in any order.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload(gpu: &Gpu, numbers: &[u32], area: usize) -> Result<Self> {
        let end = numbers.iter().max().map_or(0, |largest| *largest as usize + 1);
        let pixels = area.max(1) as u32;
        let place = |feature: &u32| {
            let (channel, pixel) = (feature / pixels, feature % pixels);
            (channel / 4 * pixels + pixel) * 4 + channel % 4
        };
        let mut places: Vec<u32> = numbers.iter().map(place).collect();
        places.resize(numbers.len().next_multiple_of(4), 0);
        Ok(FeatureList {
            places: gpu.upload("places of features", &places)?,
            count: numbers.len(),
            end,
            area,
        })
    }

    /// How many features.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// `rows[first_row + image, j] = features[list[j]]` of every image, in whole quads: up to three words beyond the last
/// become 0; nothing else is written.
pub struct MapsToRows<'a> {
    /// The maps.
    pub x: &'a Maps,
    /// Which features.
    pub list: &'a FeatureList,
    /// The matrix, with at least as many columns as the list has numbers.
    pub rows: &'a Matrix,
    /// Row of the first image.
    pub first_row: usize,
}

impl MapsToRows<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if features or rows reach beyond the ends.
    pub fn launch(&self) -> Result<Launch> {
        let (x, rows, list, name) = (self.x, self.rows, self.list, KERNEL.name());
        check_maps(name, &[("x", x)])?;
        check_matrices(name, &[("rows", rows)])?;
        let features = x.channels * x.area();
        if list.end > features || list.count > rows.columns || list.area != x.area() {
            let found = format!("{} of {features} features of {} pixels to {rows:?}", list.count, list.area);
            return wrong(name, found);
        }
        if self.first_row + x.images > rows.rows {
            return wrong(name, format!("{} images from row {} of {rows:?}", x.images, self.first_row));
        }
        let quads = list.count.div_ceil(4);
        let items = x.images * quads;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .read("list", &list.places)
            .write("rows", &rows.buffer)
            .set("items", items)
            .set("quads", quads)
            .set("count", list.count)
            .set("image_words", 4 * x.quads() * x.area())
            .set("first_row", self.first_row)
            .set("pitch_quads", rows.pitch() / 4)
            .cost(8.0 * items as f64))
    }
}

/// Maps, the features taken, and where they go in a matrix with `spare` rows below and columns beside them.
fn case(shape: [usize; 4], numbers: impl Iterator<Item = u32>, first_row: usize, spare: usize) -> Case {
    let numbers: Vec<u32> = numbers.collect();
    let label = format!("{shape:?}, {} features to row {first_row}, {spare} spare", numbers.len());
    Case::new(label, move |gpu| {
        let array = random_maps(shape, (shape[1] * 47 + numbers.len()) as u64, false);
        let x = upload_maps(gpu, &array)?;
        let (rows, columns) = (first_row + shape[0] + spare, numbers.len() + spare);
        let pitch = columns.next_multiple_of(4);
        let output = Guarded::new(gpu, rows * pitch)?;
        let matrix = Matrix { buffer: output.buffer.clone(), rows, columns };
        let mut recording = Recording::new();
        let list = FeatureList::upload(gpu, &numbers, x.area())?;
        recording.add(MapsToRows { x: &x, list: &list, rows: &matrix, first_row }.launch()?);
        let mut expected = vec![None; rows * pitch];
        for (image, features) in array.outer_iter().enumerate() {
            let row = &mut expected[(first_row + image) * pitch..];
            let features: Vec<f32> = features.iter().copied().collect();
            for (word, number) in row.iter_mut().zip(&numbers) {
                *word = Some(Bounded::exact(f64::from(features[*number as usize])));
            }
            for word in &mut row[numbers.len()..numbers.len().next_multiple_of(4)] {
                *word = Some(Bounded::exact(0.0));
            }
        }
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one feature, ragged quads, slabs that start and end inside a map, a list in disorder.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 2, 1, 1], 0..2, 0, 0),
        case([2, 5, 3, 7], 0..105, 0, 0),
        case([3, 6, 2, 5], 13..44, 4, 2),
        case([2, 7, 1, 1], 6..7, 1, 1),
        case([3, 6, 2, 5], (0..50).map(|i| i * 37 % 60), 0, 1),
        case([1, 3, 187, 181], 5..90_001, 0, 0),
        case([16, 256, 13, 13], 0..43_264, 0, 0).timed(),
    ]
}
