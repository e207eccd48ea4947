//! The minibatch that is trained on: its features in both orders, and what is computed from it.

use super::features::{Layout, Resident};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Matrix, Recording};

/// A minibatch of `images` images. `x` is (images x outer values) x inner values, or images x features;
/// `turned` the same the other way round; `z` and `g` are images x columns: linear sums, and the loss's
/// gradients at them.
pub(super) struct Batch {
    pub images: usize,
    pub x: Matrix,
    pub turned: Matrix,
    pub z: Matrix,
    pub g: Matrix,
}

/// The memory that minibatches of up to so many images share.
pub(super) struct BatchMemory {
    layout: Layout,
    columns: usize,
    x: Buffer,
    turned: Buffer,
    z: Buffer,
    g: Buffer,
}

impl BatchMemory {
    pub fn new(gpu: &Gpu, layout: Layout, images: usize, columns: usize) -> Result<Self> {
        let turned = layout.columns * (images * layout.rows).next_multiple_of(4);
        Ok(BatchMemory {
            layout,
            columns,
            x: gpu.allocate("minibatch", images * layout.words())?,
            turned: gpu.allocate("minibatch by feature", turned)?,
            z: gpu.allocate("linear sums", images * columns)?,
            g: gpu.allocate("gradients of linear sums", images * columns)?,
        })
    }

    /// Bytes of the same.
    pub fn bytes(layout: Layout, images: usize, columns: usize) -> u64 {
        let turned = layout.columns * (images * layout.rows).next_multiple_of(4);
        4 * (images * layout.words() + turned + 2 * images * columns) as u64
    }

    /// A minibatch of so many images, gathered by `index[start..]`.
    pub fn gather(
        &self,
        recording: &mut Recording,
        features: &Resident,
        index: (&Buffer, usize),
        images: usize,
    ) -> Result<Batch> {
        features.gather(recording, index, images, &self.x)?;
        let (rows, columns) = (images * self.layout.rows, self.layout.columns);
        let sums = |buffer: &Buffer| Matrix { buffer: buffer.clone(), rows: images, columns: self.columns };
        Ok(Batch {
            images,
            x: Matrix { buffer: self.x.clone(), rows, columns },
            turned: Matrix { buffer: self.turned.clone(), rows: columns, columns: rows },
            z: sums(&self.z),
            g: sums(&self.g),
        })
    }
}
