//! A trained readout: weights of one configuration at its best epoch, in the units of the responses.

use super::batch::BatchMemory;
use super::columns::Columns;
use super::features::{Layout, Resident};
use super::network::Network;
use super::settings::{Model, Nonlinearity, Settings, Shared};
use super::start::{LayerWeights, Weights};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Recording};
use ndarray::{Array1, Array2, Axis, s};

/// What a neuron's responses were standardised by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaling {
    pub mean: f64,
    pub deviation: f64,
}

/// Weights of one configuration.
#[derive(Debug, Clone)]
pub struct Readout {
    pub(super) layout: Layout,
    pub(super) columns: Columns,
    pub(super) shared: Shared,
    pub(super) weights: Weights,
    pub(super) scaling: Vec<Scaling>,
    pub(super) means: Vec<f32>,
    pub(super) scales: Vec<f32>,
}

/// A readout without hidden layers as one sum: `y = f((x - feature_means) weightsᵀ + intercepts)`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// (neurons, features), features counted channel by channel.
    pub weights: Array2<f32>,
    /// What is taken off every feature.
    pub feature_means: Vec<f32>,
    /// One a neuron.
    pub intercepts: Array1<f32>,
    /// f.
    pub nonlinearity: Nonlinearity,
    /// Of factored readouts: masks (neurons, positions) and feature weights (neurons, channels), of
    /// standardised features.
    pub factors: Option<[Array2<f32>; 2]>,
}

impl Readout {
    /// Shape of one image's features: channels, height, width.
    pub fn feature_shape(&self) -> [usize; 3] {
        self.layout.shape
    }

    /// Predicted responses to some images: (neurons, images), in the units of the responses.
    ///
    /// # Errors
    /// As [`Gpu::run`]; Memory, if the weights do not fit the budget.
    pub fn predict(&self, gpu: &Gpu, features: &Resident, images: &[usize]) -> Result<Array2<f32>> {
        let settings = Settings::default();
        let starts = std::slice::from_ref(&self.weights);
        let network = Network::new(gpu, self.layout, self.columns, starts, &self.shared, &[&settings])?;
        let memory = BatchMemory::new(gpu, self.layout, self.shared.batch, self.columns.all())?;
        let z = sums(gpu, &network, &memory, features, images, self.shared.batch)?;
        let mut predictions = Array2::zeros((self.columns.real, images.len()));
        for ((neuron, image), value) in predictions.indexed_iter_mut() {
            let Scaling { mean, deviation } = self.scaling[neuron];
            let sum = f64::from(z[[image, neuron]]) + f64::from(self.weights.bias[[0, neuron]]);
            *value = (self.shared.nonlinearity.apply(sum) * deviation + mean) as f32;
        }
        Ok(predictions)
    }

    /// Masks and feature weights of a factored readout, (neurons, positions) and (neurons, channels).
    fn factors(&self) -> Option<[Array2<f32>; 2]> {
        let [outer, inner] = self.weights.layers.as_slice() else { return None };
        if self.shared.model != Model::Factored {
            return None;
        }
        let one = |weights: &Array2<f32>| weights.slice(s![.., ..self.columns.real]).t().to_owned();
        let (outer, inner) = (one(&outer.weights), one(&inner.weights));
        Some(if self.layout.mask_outside { [outer, inner] } else { [inner, outer] })
    }

    /// The readout as one sum over features; `None` where there are hidden layers.
    pub fn linear(&self) -> Option<Linear> {
        let factors = self.factors();
        let neurons = self.columns.real;
        let mut weights = match (&factors, self.weights.layers.as_slice()) {
            (Some([masks, features]), _) => {
                let (positions, count) = (masks.ncols(), self.means.len());
                Array2::from_shape_fn((neurons, count), |(n, f)| {
                    masks[[n, f % positions]] * features[[n, f / positions]]
                })
            }
            (None, [only]) => only.weights.slice(s![..self.means.len(), ..neurons]).t().to_owned(),
            _ => return None,
        };
        let mut intercepts = self.weights.bias.slice(s![0, ..neurons]).to_owned();
        for (neuron, mut row) in weights.axis_iter_mut(Axis(0)).enumerate() {
            // A nonlinearity goes with responses that are not standardised: mean 0, deviation 1.
            let Scaling { mean, deviation } = self.scaling[neuron];
            for (weight, scale) in row.iter_mut().zip(&self.scales) {
                *weight = (f64::from(*weight) * deviation / f64::from(*scale)) as f32;
            }
            intercepts[neuron] = (f64::from(intercepts[neuron]) * deviation + mean) as f32;
        }
        let nonlinearity = self.shared.nonlinearity;
        Some(Linear { weights, feature_means: self.means.clone(), intercepts, nonlinearity, factors })
    }
}

/// Linear sums without the last bias of some images, (images, columns), minibatch by minibatch.
pub(super) fn sums(
    gpu: &Gpu,
    network: &Network,
    memory: &BatchMemory,
    features: &Resident,
    images: &[usize],
    batch: usize,
) -> Result<Array2<f32>> {
    let index: Vec<u32> = images.iter().map(|image| *image as u32).collect();
    let index = gpu.upload("images to predict", &features.stored(&index))?;
    let mut parts = Vec::new();
    for start in (0..images.len()).step_by(batch) {
        let count = batch.min(images.len() - start);
        let mut recording = Recording::new();
        let gathered = memory.gather(&mut recording, features, (&index, start), count)?;
        network.forward(&mut recording, &gathered)?;
        gpu.run(&recording)?;
        // The buffer may hold more rows than this minibatch.
        let z = gathered.z.columns * count;
        let words: Vec<f32> = gpu.download(&gathered.z.buffer.slice(0, z))?;
        parts.push(
            Array2::from_shape_vec((count, gathered.z.columns), words)
                .map_err(|e| Error::internal("sums", e))?,
        );
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views).map_err(|e| Error::internal("sums", e))
}

/// Reads a tensor by its name.
pub type Read<'a, T> = dyn Fn(&str) -> Result<T> + 'a;

impl Readout {
    /// All weights by name, shape and values, without the padding of units.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let neurons = self.columns.real;
        let sizes = real_sizes(self.layout, &self.shared.model, neurons);
        let mut all = Vec::new();
        for (depth, (layer, [inputs, units])) in self.weights.layers.iter().zip(&sizes).enumerate() {
            let values = layer.weights.slice(s![..*inputs, ..*units]).iter().copied().collect();
            all.push((format!("layers.{depth}.weights"), vec![*inputs, *units], values));
            let bias = layer.bias.as_ref().unwrap_or(&self.weights.bias);
            all.push((format!("layers.{depth}.bias"), vec![*units], bias.slice(s![0, ..*units]).to_vec()));
        }
        let vector = |name: &str, values: Vec<f32>| (name.to_string(), vec![values.len()], values);
        let scaling = |of: fn(&Scaling) -> f64| self.scaling.iter().map(|s| of(s) as f32).collect();
        all.push(vector("feature_means", self.means.clone()));
        all.push(vector("feature_scales", self.scales.clone()));
        all.push(vector("response_means", scaling(|s| s.mean)));
        all.push(vector("response_deviations", scaling(|s| s.deviation)));
        all
    }

    /// An `mlp` from its tensors; `None` if their shapes do not fit each other.
    ///
    /// # Errors
    /// Those of reading.
    pub fn from_tensors(
        shared: &Shared,
        shape: [usize; 3],
        one: &Read<'_, Array1<f32>>,
        two: &Read<'_, Array2<f32>>,
    ) -> Result<Option<Self>> {
        let [means, scales] = [one("feature_means")?, one("feature_scales")?].map(|v| v.to_vec());
        let (response_means, deviations) = (one("response_means")?, one("response_deviations")?);
        let (layout, neurons) = (Layout::new(&shared.model, shape), response_means.len());
        let sizes = real_sizes(layout, &shared.model, neurons);
        let counted = [means.len(), scales.len()] == [layout.columns; 2] && deviations.len() == neurons;
        if !counted || neurons == 0 {
            return Ok(None);
        }
        let mut layers = Vec::new();
        let mut bias = Array2::zeros((1, 0));
        for (depth, [inputs, units]) in sizes.iter().enumerate() {
            let (weights, own) =
                (two(&format!("layers.{depth}.weights"))?, one(&format!("layers.{depth}.bias"))?);
            if weights.dim() != (*inputs, *units) || own.len() != *units {
                return Ok(None);
            }
            let rows = if depth == 0 { *inputs } else { inputs.next_multiple_of(4) };
            let mut padded = Array2::zeros((rows, units.next_multiple_of(4)));
            padded.slice_mut(s![..*inputs, ..*units]).assign(&weights);
            let mut row = Array2::zeros((1, units.next_multiple_of(4)));
            row.slice_mut(s![0, ..*units]).assign(&own);
            let last = depth + 1 == sizes.len();
            layers.push(LayerWeights { weights: padded, bias: (!last).then(|| row.clone()) });
            bias = row;
        }
        let pair = |(mean, deviation): (&f32, &f32)| Scaling {
            mean: f64::from(*mean),
            deviation: f64::from(*deviation),
        };
        Ok(Some(Readout {
            layout,
            columns: Columns::new(neurons, 1),
            shared: shared.clone(),
            weights: Weights { layers, bias },
            scaling: response_means.iter().zip(&deviations).map(pair).collect(),
            means,
            scales,
        }))
    }

    /// What features are standardised by: means and scales.
    pub fn standardisation(&self) -> (Vec<f32>, Vec<f32>) {
        (self.means.clone(), self.scales.clone())
    }
}

/// Inputs and units of each dense layer, without padding.
pub(super) fn real_sizes(layout: Layout, model: &Model, neurons: usize) -> Vec<[usize; 2]> {
    let widths: &[usize] = if let Model::Mlp { widths, .. } = model { widths } else { &[] };
    let all: Vec<usize> = [layout.columns].iter().chain(widths).chain(&[neurons]).copied().collect();
    all.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}
