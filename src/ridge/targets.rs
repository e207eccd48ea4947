//! Responses as readouts are fitted to them, and what was found as the responses are.

use faer::Mat;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Standard deviation of each neuron's responses over some images; 1 where it is 0. Responses are divided by
/// it on the device, where squares of large or small ones would not be numbers.
pub fn scales(responses: ArrayView2<'_, f32>, images: &[usize]) -> Vec<f64> {
    let deviation = |row: ArrayView1<'_, f32>| {
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

    /// Responses of a neuron to some images, as readouts are fitted to them.
    pub fn centred(&self, neuron: usize, images: &[usize]) -> impl Iterator<Item = f64> {
        let (mean, scale, row) = (self.mean(neuron), self.scales[neuron], self.responses.row(neuron));
        images.iter().map(move |image| (f64::from(row[*image]) - mean) / scale)
    }

    /// (neurons, images) for a range of neurons and a list of images.
    pub fn take(&self, neurons: std::ops::Range<usize>, images: &[usize]) -> Array2<f32> {
        let mut out = Array2::zeros((neurons.len(), images.len()));
        for (n, mut row) in neurons.zip(out.rows_mut()) {
            for (value, centred) in row.iter_mut().zip(self.centred(n, images)) {
                *value = centred as f32;
            }
        }
        out
    }

    /// The same of any neurons, in f64 and as columns: (images, neurons).
    pub fn columns(&self, neurons: impl ExactSizeIterator<Item = usize>, images: &[usize]) -> Mat<f64> {
        let mut out = Mat::zeros(images.len(), neurons.len());
        for (column, neuron) in neurons.enumerate() {
            let values = out.col_as_slice_mut(column).iter_mut();
            for (value, centred) in values.zip(self.centred(neuron, images)) {
                *value = centred;
            }
        }
        out
    }

    /// Neurons from `first` on whose operands of `images` columns stay within `chunk_bytes`, and at most
    /// `most`.
    pub fn chunk(&self, first: usize, images: usize, most: usize) -> std::ops::Range<usize> {
        let fit = self.chunk_bytes / 4 / images.next_multiple_of(4);
        first..(first + fit.min(most).max(1)).min(self.responses.nrows())
    }
}

/// What is found of neurons, in the units of their responses: both (neurons, images).
pub struct Refitted {
    /// Predictions of all images.
    pub predictions: Array2<f32>,
    /// Weights of the images; 0 for those that were not fitted.
    pub weights: Array2<f32>,
}

impl Refitted {
    /// Nothing found yet.
    pub fn zeros(targets: &Targets<'_>) -> Self {
        let shape = targets.responses.raw_dim();
        Refitted { predictions: Array2::zeros(shape), weights: Array2::zeros(shape) }
    }

    /// Takes what was found of a neuron: predictions of some images, each with its number, and weights of the
    /// fitted ones.
    pub fn put(
        &mut self,
        targets: &Targets<'_>,
        neuron: usize,
        predicted: impl Iterator<Item = (usize, f64)>,
        weights: impl Iterator<Item = f64>,
    ) {
        let (mean, scale) = (targets.mean(neuron), targets.scales[neuron]);
        for (image, value) in predicted {
            self.predictions[[neuron, image]] = (value * scale + mean) as f32;
        }
        for (image, value) in targets.train.iter().zip(weights) {
            self.weights[[neuron, *image]] = (value * scale) as f32;
        }
    }

    /// The same of rows from the device, with predictions of all images.
    pub fn put_rows(
        &mut self,
        targets: &Targets<'_>,
        neuron: usize,
        [predicted, weights]: [ArrayView1<'_, f32>; 2],
    ) {
        let predicted = predicted.into_iter().copied().map(f64::from).enumerate();
        self.put(targets, neuron, predicted, weights.into_iter().copied().map(f64::from));
    }
}
