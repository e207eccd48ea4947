//! NumPy arrays in and out. A stub with the signatures only: it is replaced when the branches meet.

use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, IxDyn, ShapeBuilder};
use npyz::WriterBuilder;

use crate::error::{Error, Result};

/// Reads a `.npy` array of f32.
///
/// # Errors
/// When the file cannot be read or is not such an array.
pub fn read(path: &Path, _member: Option<&str>) -> Result<ArrayD<f32>> {
    let bytes = std::fs::read(path).map_err(|why| Error::unreadable(path, &why))?;
    let bad = |why: String| Error::input(path, why, "a .npy file", "");
    let file = npyz::NpyFile::new(&bytes[..]).map_err(|why| bad(why.to_string()))?;
    let shape: Vec<usize> = file.shape().iter().map(|&n| n as usize).collect();
    let fortran = file.order() == npyz::Order::Fortran;
    let values: Vec<f32> = file.into_vec().map_err(|why| bad(why.to_string()))?;
    ArrayD::from_shape_vec(IxDyn(&shape).set_f(fortran), values).map_err(|why| bad(why.to_string()))
}

/// Writes an f32 array as `.npy`, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, array: ArrayViewD<f32>) -> Result<()> {
    let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
    super::commit::write_with(path, |to| {
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(to).begin_nd()?;
        writer.extend(array.iter())?;
        writer.finish()
    })
}
