//! Trials of launches that take maps to maps, or make a matrix.

use super::case::{Guarded, Trial, Values};
use super::conv2d::to_quads;
use crate::error::Result;
use crate::gpu::{Gpu, Launch, Maps, Matrix, Recording};
use crate::numbers::Bounded;
use ndarray::{Array2, Array4};

/// Seeded maps `[images, channels, height, width]`.
pub(super) fn random_maps(shape: [usize; 4], seed: u64, exact: bool) -> Array4<f32> {
    let mut values = Values::new(seed);
    Array4::<f32>::zeros(shape).mapv_into(|_| values.fill(exact, 1)[0])
}

/// A seeded matrix.
pub(super) fn random_matrix(shape: [usize; 2], seed: u64, exact: bool) -> Array2<f32> {
    let mut values = Values::new(seed);
    Array2::<f32>::zeros(shape).mapv_into(|_| values.fill(exact, 1)[0])
}

/// A seeded matrix with everything that order may stumble over: ties, both zeros, both infinities, NaN of
/// both signs, and values that a device may flush to zero. The second row is NaN throughout, where there is a
/// third.
pub(super) fn strange_matrix(shape: [usize; 2], seed: u64) -> Array2<f32> {
    let strange =
        [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-45, -1e-40, 1.0, -1.0];
    let mut values = Values::new(seed);
    Array2::from_shape_fn(shape, |(r, _)| {
        let one = values.wide(1)[0];
        match one.to_bits() as usize % 13 {
            _ if r == 1 && shape[0] > 2 => f32::NAN,
            at if at < strange.len() => strange[at],
            _ => one,
        }
    })
}

/// Uploads an array in channel quads.
pub(super) fn upload_maps(gpu: &Gpu, array: &Array4<f32>) -> Result<Maps> {
    let (images, channels, height, width) = array.dim();
    let buffer = gpu.upload("x", &to_quads(array.view(), 0.0))?;
    Ok(Maps { buffer, images, channels, height, width })
}

/// Maps to maps: the launch gets both, channels beyond the last must come out as zero.
pub(super) fn maps_trial(
    gpu: &Gpu,
    input: &Array4<f32>,
    want: &Array4<Bounded>,
    launch: impl FnOnce(&Maps, &Maps) -> Result<Launch>,
) -> Result<Trial> {
    let x = upload_maps(gpu, input)?;
    let (images, channels, height, width) = want.dim();
    let output = Guarded::new(gpu, Maps::words(images, [channels, height, width]))?;
    let y = Maps { buffer: output.buffer.clone(), images, channels, height, width };
    let mut recording = Recording::new();
    recording.add(launch(&x, &y)?);
    let expected = to_quads(want.view(), Bounded::exact(0.0)).into_iter().map(Some).collect();
    Ok(Trial { recording, output, expected })
}

/// A launch that writes a matrix of the given shape. `want` is asked for every word, padding included.
pub(super) fn matrix_trial(
    gpu: &Gpu,
    [rows, columns]: [usize; 2],
    want: impl Fn(usize, usize) -> Option<Bounded>,
    launch: impl FnOnce(&Matrix) -> Result<Launch>,
) -> Result<Trial> {
    let pitch = columns.next_multiple_of(4);
    let output = Guarded::new(gpu, rows * pitch)?;
    let matrix = Matrix { buffer: output.buffer.clone(), rows, columns };
    let mut recording = Recording::new();
    recording.add(launch(&matrix)?);
    let expected = (0..rows * pitch).map(|i| want(i / pitch, i % pitch)).collect();
    Ok(Trial { recording, output, expected })
}
