//! The two shapes of data that kernels take: matrices, and feature maps in channel quads.

use super::device::Gpu;
use super::memory::Buffer;
use crate::error::{Error, Result};
use crate::host::room;
use ndarray::{Array2, ArrayView2};

/// `rows` x `columns` of f32, row-major. Each row starts at a multiple of four words, and the words between
/// the last column and the next row are zero, so that kernels read whole vec4s.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The words: rows x pitch.
    pub buffer: Buffer,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
}

impl Matrix {
    /// A zeroed matrix.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn zeros(gpu: &Gpu, what: &str, rows: usize, columns: usize) -> Result<Self> {
        let buffer = gpu.allocate(what, rows * columns.next_multiple_of(4))?;
        Ok(Matrix { buffer, rows, columns })
    }

    /// Uploads a host array.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload(gpu: &Gpu, what: &str, array: ArrayView2<'_, f32>) -> Result<Self> {
        let (rows, columns) = array.dim();
        let matrix = Self::zeros(gpu, what, rows, columns)?;
        room(what, 4 * matrix.buffer.words() as u64)?;
        gpu.write(&matrix.buffer, 0, &padded_rows(array))?;
        Ok(matrix)
    }

    /// Words from one row to the next.
    pub fn pitch(&self) -> usize {
        self.columns.next_multiple_of(4)
    }

    /// Reads the matrix back, without the padding.
    ///
    /// # Errors
    /// As [`Gpu::download`].
    pub fn download(&self, gpu: &Gpu) -> Result<Array2<f32>> {
        let mut words: Vec<f32> = gpu.download(&self.buffer)?;
        if self.pitch() > self.columns {
            for row in 0..self.rows {
                let at = row * self.pitch();
                words.copy_within(at..at + self.columns, row * self.columns);
            }
        }
        words.truncate(self.rows * self.columns);
        Array2::from_shape_vec((self.rows, self.columns), words).map_err(|e| Error::internal("matrix", e))
    }
}

/// Rows padded with zeros to a multiple of four words.
pub(crate) fn padded_rows(array: ArrayView2<'_, f32>) -> Vec<f32> {
    let (rows, columns) = array.dim();
    let pitch = columns.next_multiple_of(4);
    let mut words = vec![0f32; rows * pitch];
    for (row, out) in array.rows().into_iter().zip(words.chunks_exact_mut(pitch.max(1))) {
        match row.as_slice() {
            Some(row) => out[..columns].copy_from_slice(row),
            None => out.iter_mut().zip(row).for_each(|(to, from)| *to = *from),
        }
    }
    words
}

/// Feature maps of several images in channel quads: `[image][channel / 4][row][column]` of vec4, the four
/// components being four neighbouring channels. Channels beyond the last are zero.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The words.
    pub buffer: Buffer,
    /// Number of images.
    pub images: usize,
    /// Number of channels.
    pub channels: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
}

impl Maps {
    /// Zeroed maps.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn zeros(
        gpu: &Gpu,
        what: &str,
        images: usize,
        [channels, height, width]: [usize; 3],
    ) -> Result<Self> {
        let buffer = gpu.allocate(what, Self::words(images, [channels, height, width]))?;
        Ok(Maps { buffer, images, channels, height, width })
    }

    /// Words that maps of this shape take.
    pub fn words(images: usize, [channels, height, width]: [usize; 3]) -> usize {
        images * channels.div_ceil(4) * 4 * height * width
    }

    /// Quads of channels.
    pub fn quads(&self) -> usize {
        self.channels.div_ceil(4)
    }

    /// Positions in one map.
    pub fn area(&self) -> usize {
        self.height * self.width
    }
}
