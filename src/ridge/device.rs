//! What grows with neurons or penalties, on the device: held-out losses, and the fit with each neuron's own
//! penalty.

use super::spectrum::Spectrum;
use super::targets::{Refitted, Targets};
use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::ridge_losses::{self, RidgeLosses};
use crate::kernels::shrink::{Choice, Shrink};
use crate::routines::{multiply_rows, upload_rows};
use ndarray::Array2;

/// Neurons of a workgroup of the kernel: fewer are no faster.
pub const LEAST_NEURONS: usize = 64;

/// Held-out mean squared error of every penalty and neuron.
pub fn fold_losses(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    held_out: &[usize],
    penalties: &[f64],
) -> Result<Array2<f64>> {
    let left = upload_rows(gpu, "held-out kernel rows", spectrum.left.as_ref())?;
    let shrinkage = Matrix::upload(gpu, "shrinkage", spectrum.shrinkage(penalties).view())?;
    let mut all = Array2::zeros((penalties.len(), targets.responses.nrows()));
    let cost = 2.0 * (held_out.len() * spectrum.left.ncols() * penalties.len()) as f64;
    let mut first = 0;
    while first < targets.responses.nrows() {
        // One launch makes all penalties of a chunk, and a launch cannot be cut.
        let affordable = (gpu.affordable(&ridge_losses::KERNEL) / cost) as usize;
        let images = targets.train.len().max(held_out.len());
        let neurons = targets.chunk(first, images, affordable.max(LEAST_NEURONS));
        first = neurons.end;
        let right = coefficients(gpu, spectrum, targets, neurons.clone())?;
        let held = Matrix::upload(gpu, "held-out responses", targets.take(neurons.clone(), held_out).view())?;
        let losses = Matrix::zeros(gpu, "held-out losses", penalties.len(), neurons.len())?;
        let launch = RidgeLosses {
            left: &left,
            shrinkage: &shrinkage,
            right: &right,
            targets: &held,
            losses: &losses,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        gpu.run(&recording)?;
        let sums = losses.download(gpu)?;
        for (n, column) in neurons.zip(sums.columns()) {
            let unit = targets.scales[n].powi(2) / held_out.len() as f64;
            all.column_mut(n).assign(&column.mapv(|v| f64::from(v) * unit));
        }
    }
    Ok(all)
}

/// Training responses in the eigenvectors' coordinates: (neurons, eigenvalues).
fn coefficients(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    neurons: std::ops::Range<usize>,
) -> Result<Matrix> {
    let y = Matrix::upload(gpu, "training responses", targets.take(neurons, targets.train).view())?;
    multiply_rows(gpu, "responses in eigenvectors", &y, spectrum.vectors.transpose())
}

/// Predictions of all images, and the images' weights, with each neuron's own penalty.
pub fn refit(
    gpu: &Gpu,
    spectrum: &Spectrum,
    targets: &Targets<'_>,
    chosen: &[usize],
    penalties: &[f64],
) -> Result<Refitted> {
    let mut found = Refitted::zeros(targets);
    let shrinkage = Matrix::upload(gpu, "shrinkage", spectrum.shrinkage(penalties).view())?;
    let mut first = 0;
    while first < targets.responses.nrows() {
        let neurons = targets.chunk(first, targets.responses.ncols(), usize::MAX);
        first = neurons.end;
        let right = coefficients(gpu, spectrum, targets, neurons.clone())?;
        let shrunk = Matrix::zeros(gpu, "shrunk coefficients", right.rows, right.columns)?;
        let choice: Vec<u32> = chosen[neurons.clone()].iter().map(|c| *c as u32).collect();
        let choice = Choice::upload(gpu, &choice)?;
        let mut recording = Recording::new();
        recording.add(Shrink { x: &right, shrinkage: &shrinkage, choice: &choice, y: &shrunk }.launch()?);
        gpu.run(&recording)?;
        let predicted = multiply_rows(gpu, "predictions", &shrunk, spectrum.left.as_ref())?.download(gpu)?;
        let dual = multiply_rows(gpu, "image weights", &shrunk, spectrum.vectors.as_ref())?.download(gpu)?;
        for (row, n) in neurons.enumerate() {
            found.put_rows(targets, n, [predicted.row(row), dual.row(row)]);
        }
    }
    Ok(found)
}
