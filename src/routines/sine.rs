//! Maps in rows, rotated to their spatial frequencies and back.

use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::sine_transform::{self, Basis, SineTransform};

/// The two-dimensional sine transform of maps of one shape: orthonormal, symmetric, its own inverse.
#[derive(Debug, Clone)]
pub struct SineRotation {
    shape: [usize; 2],
    down: Basis,
    across: Basis,
}

impl SineRotation {
    /// For maps of `[height, width]`.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn new(gpu: &Gpu, shape: [usize; 2]) -> Result<Self> {
        Ok(SineRotation { shape, down: Basis::sine(gpu, shape[0])?, across: Basis::sine(gpu, shape[1])? })
    }

    /// GPU memory of the bases in bytes.
    pub fn bytes(shape: [usize; 2]) -> u64 {
        shape.iter().map(|length| 4 * (length * length.next_multiple_of(4)) as u64).sum()
    }

    /// Operations of rotating `values` values.
    pub fn operations(values: f64, [height, width]: [usize; 2]) -> f64 {
        2.0 * values * (height + width) as f64
    }

    /// Rotates every map of every row, in place; `spare` is a matrix of the same shape whose values are lost.
    ///
    /// # Errors
    /// As [`Gpu::run`]; Internal, if the columns are no whole maps.
    pub fn rotate(&self, gpu: &Gpu, maps: &Matrix, spare: &Matrix) -> Result<()> {
        let [height, width] = self.shape;
        self.along(gpu, [maps, spare], &self.across, [width, 1])?;
        self.along(gpu, [spare, maps], &self.down, [height, width])
    }

    /// One axis, as many rows at once as a launch may take.
    fn along(
        &self,
        gpu: &Gpu,
        [x, y]: [&Matrix; 2],
        basis: &Basis,
        [length, stride]: [usize; 2],
    ) -> Result<()> {
        let cost = SineTransform::row_cost(x.columns, length);
        let mut first = 0;
        while first < x.rows {
            // Four rows are made together.
            let affordable = (gpu.affordable(&sine_transform::KERNEL) / cost) as usize / 4 * 4;
            let rows = first..(first + affordable.max(4)).min(x.rows);
            first = rows.end;
            let mut recording = Recording::new();
            recording.add(SineTransform { x, y, rows, basis, stride }.launch()?);
            gpu.start(&recording)?;
        }
        Ok(())
    }
}
