//! What grows with neurons or penalties, on the device: held-out losses, and the fit with each neuron's own penalty.

use super::spectrum::Spectrum;
use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::ridge_losses::{self, RidgeLosses};
use crate::kernels::shrink::{Choice, Shrink};
use crate::routines::{multiply_rows, upload_rows};
use ndarray::{Array1, Array2, ArrayView2};

/// Standard deviation of each neuron's responses over some images; 1 where it is 0. Responses are divided by it on the
/// device, where squares of large or small ones would not be numbers.
pub fn scales(responses: ArrayView2<'_, f32>, images: &[usize]) -> Vec<f64> {
    let deviation = |row: ndarray::ArrayView1<'_, f32>| {
        let values: Array1<f64> = images.iter().map(|i| f64::from(row[*i])).collect();
        values.std(0.0)
    };
    let scale = |row| Some(deviation(row)).filter(|s| *s > 0.0 && s.is_finite()).unwrap_or(1.0);
    responses.rows().into_iter().map(scale).collect()
}

/// Responses, centred by the mean of some rows and divided by each neuron's scale.
pub struct Targets<'a> {
    pub responses: ArrayView2<'a, f32>,
    pub train: &'a [usize],
    pub scales: &'a [f64],
    pub centred: bool,
    pub chunk_bytes: usize,
}

impl Targets<'_> {
    pub fn mean(&self, neuron: usize) -> f64 {
        if !self.centred {
            return 0.0;
        }
        let row = self.responses.row(neuron);
        self.train.iter().map(|i| f64::from(row[*i])).sum::<f64>() / self.train.len() as f64
    }

    /// (neurons, images) for a range of neurons and a list of images.
    pub fn take(&self, neurons: std::ops::Range<usize>, images: &[usize]) -> Array2<f32> {
        let mut out = Array2::zeros((neurons.len(), images.len()));
        for (n, mut row) in neurons.zip(out.rows_mut()) {
            let mean = self.mean(n);
            for (value, image) in row.iter_mut().zip(images) {
                *value = ((f64::from(self.responses[[n, *image]]) - mean) / self.scales[n]) as f32;
            }
        }
        out
    }

    /// Neurons from `first` on whose operands of `images` columns stay within `chunk_bytes`, and at most `most`.
    pub fn chunk(&self, first: usize, images: usize, most: usize) -> std::ops::Range<usize> {
        let fit = self.chunk_bytes / 4 / images.next_multiple_of(4);
        first..(first + fit.min(most).max(1)).min(self.responses.nrows())
    }
}

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
) -> Result<(Array2<f32>, Array2<f32>)> {
    let shape = targets.responses.raw_dim();
    let (mut predictions, mut weights) = (Array2::zeros(shape), Array2::zeros(shape));
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
            let (mean, scale) = (targets.mean(n), targets.scales[n]);
            let sum = predicted.row(row).mapv(|v| (f64::from(v) * scale + mean) as f32);
            predictions.row_mut(n).assign(&sum);
            for (column, image) in targets.train.iter().enumerate() {
                weights[[n, *image]] = (f64::from(dual[[row, column]]) * scale) as f32;
            }
        }
    }
    Ok((predictions, weights))
}
