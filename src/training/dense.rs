//! Dense layers of all configurations: one of them is a linear readout, several with activations between are
//! an `mlp`.
//!
//! The columns of a layer are configurations x units. The first layer of all configurations reads the same
//! features and is one product; in those behind it each configuration is one of a batch of products.

use super::batch::Batch;
use super::block::{Block, Role};
use super::loss::LossSum;
use super::settings::{Activation, Settings, Shared};
use super::start::LayerWeights;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::kernels::activate::Activate;
use crate::kernels::activate_gradient::ActivateGradient;
use crate::kernels::gemm::{Gemm, Operand};
use crate::kernels::transpose::Transpose;
use ndarray::{ArrayView2, Axis, concatenate, s};

/// Units at which a layer that is larger than a binding is cut, so that its pieces start where a binding may
/// start.
const UNIT: usize = 64;

/// One layer: its weights, in pieces of units where they are larger than a binding, which only the first
/// layer of a single configuration may be; and the bias before an activation, which the last layer has not.
struct Layer {
    pieces: Vec<Block>,
    bias: Option<Block>,
}

/// Working memory of a hidden layer: activations, gradients, and gradients of the bias.
struct Hidden {
    a: Buffer,
    d: Buffer,
    bias_gradient: Matrix,
}

/// Weights and working memory of dense layers.
pub(super) struct Dense {
    layers: Vec<Layer>,
    hidden: Vec<Hidden>,
    activation: Activation,
    configurations: usize,
    scratch: [Buffer; 3],
}

/// Rows of weights, columns of all configurations, and units of one configuration of each layer, padded to
/// four.
pub(super) fn sizes(features: usize, widths: &[usize], neurons: usize) -> Vec<[usize; 2]> {
    let units = widths.iter().copied().chain([neurons]).map(|u| u.next_multiple_of(4));
    let mut inputs = features;
    units
        .map(|units| {
            let size = [inputs, units];
            inputs = units;
            size
        })
        .collect()
}

/// Columns of a piece of a matrix of so many rows.
pub(super) fn piece(gpu: &Gpu, rows: usize, columns: usize) -> usize {
    let fit = (gpu.max_binding_bytes() / 4) as usize / rows;
    if fit >= columns { columns } else { fit / UNIT * UNIT }
}

impl Dense {
    /// `starts` are the layers from the first on. `map` is the shape of the features' maps, if they are maps.
    pub fn new(
        gpu: &Gpu,
        starts: &[LayerWeights],
        map: Option<[usize; 2]>,
        activation: Activation,
        (shared, settings): (&Shared, &[&Settings]),
    ) -> Result<Self> {
        let mut layers = Vec::new();
        for (depth, start) in starts.iter().enumerate() {
            let (rows, columns) = start.weights.dim();
            let size = piece(gpu, rows, columns);
            if size < columns && (size == 0 || depth > 0 || settings.len() > 1) {
                let bytes = 4 * (rows * columns) as u64;
                return Err(crate::gpu::beyond_binding("weights of a layer", bytes, gpu.max_binding_bytes()));
            }
            let map = map.filter(|_| depth == 0);
            let block =
                |role, start: ArrayView2<'_, f32>, map| Block::new(gpu, role, start, map, shared, settings);
            let cut = (0..columns).step_by(size).map(|first| first..(first + size).min(columns));
            let pieces = cut.map(|range| block(Role::Weights, start.weights.slice(s![.., range]), map));
            let bias = match &start.bias {
                Some(start) => Some(block(Role::Bias, start.view(), None)?),
                None => None,
            };
            layers.push(Layer { pieces: pieces.collect::<Result<_>>()?, bias });
        }
        Self::of(gpu, layers, activation, settings.len(), shared.batch)
    }

    fn of(
        gpu: &Gpu,
        layers: Vec<Layer>,
        activation: Activation,
        configurations: usize,
        batch: usize,
    ) -> Result<Self> {
        let columns = |layer: &Layer| layer.pieces.iter().map(|p| p.weights.columns).sum::<usize>();
        let mut hidden = Vec::new();
        for layer in &layers[..layers.len() - 1] {
            let words = batch * columns(layer);
            hidden.push(Hidden {
                a: gpu.allocate("activations", words)?,
                d: gpu.allocate("gradients of activations", words)?,
                bias_gradient: Matrix::zeros(gpu, "gradient of biases", 1, columns(layer))?,
            });
        }
        let pieces = || layers.iter().flat_map(|layer| &layer.pieces);
        let largest =
            pieces().map(|p| p.weights.rows.next_multiple_of(4) * p.weights.columns).max().unwrap_or(4);
        let widest = layers.iter().map(columns).max().unwrap_or(4);
        let turned = widest * batch.next_multiple_of(4);
        Ok(Dense {
            scratch: [
                gpu.allocate("weights by unit, or their gradients", largest)?,
                gpu.allocate("gradients by unit", turned)?,
                gpu.allocate("activations by unit", turned)?,
            ],
            layers,
            hidden,
            activation,
            configurations,
        })
    }

    /// All blocks, from the first layer on.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.layers.iter().flat_map(|layer| layer.pieces.iter().chain(&layer.bias))
    }

    /// The same layers with every block put through `one`, of so many configurations.
    pub fn keep(
        &self,
        gpu: &Gpu,
        one: impl Fn(&Block) -> Result<Block>,
        configurations: usize,
        batch: usize,
    ) -> Result<Self> {
        let layer = |layer: &Layer| -> Result<Layer> {
            let pieces = layer.pieces.iter().map(&one).collect::<Result<_>>()?;
            Ok(Layer { pieces, bias: layer.bias.as_ref().map(&one).transpose()? })
        };
        let layers = self.layers.iter().map(layer).collect::<Result<_>>()?;
        Self::of(gpu, layers, self.activation, configurations, batch)
    }

    /// The best weights of all configurations, side by side.
    pub fn best(&self, gpu: &Gpu) -> Result<Vec<LayerWeights>> {
        let layer = |layer: &Layer| -> Result<LayerWeights> {
            let parts = layer.pieces.iter().map(|p| p.best.download(gpu)).collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            let weights =
                concatenate(Axis(1), &views).map_err(|e| Error::internal("weights of a layer", e))?;
            let bias = layer.bias.as_ref().map(|bias| bias.best.download(gpu)).transpose()?;
            Ok(LayerWeights { weights, bias })
        };
        self.layers.iter().map(layer).collect()
    }

    /// Whether a block is the whole last layer.
    pub fn is_last(&self, block: &Block) -> bool {
        self.layers.last().is_some_and(|last| last.pieces.len() == 1 && std::ptr::eq(block, &last.pieces[0]))
    }

    fn tanh(&self) -> bool {
        self.activation == Activation::Tanh
    }

    /// Activations of a hidden layer, or their gradients, of so many images.
    fn units(&self, buffer: &Buffer, layer: usize, images: usize) -> Matrix {
        let columns = self.layers[layer].pieces.iter().map(|p| p.weights.columns).sum();
        Matrix { buffer: buffer.clone(), rows: images, columns }
    }

    /// Adds the linear sums of a minibatch, `batch.z`.
    pub fn forward(&self, recording: &mut Recording, batch: &Batch) -> Result<()> {
        for (depth, layer) in self.layers.iter().enumerate() {
            let input = match depth.checked_sub(1) {
                None => batch.x.clone(),
                Some(before) => self.units(&self.hidden[before].a, before, batch.images),
            };
            let output = match self.hidden.get(depth) {
                None => batch.z.clone(),
                Some(hidden) => self.units(&hidden.a, depth, batch.images),
            };
            let mut first = 0;
            for block in &layer.pieces {
                let w = &block.weights;
                let turned = Matrix { buffer: self.scratch[0].clone(), rows: w.columns, columns: w.rows };
                recording.add(Transpose { x: w, y: &turned }.launch()?);
                // Pieces start at multiples of 64 columns, where a binding may start.
                let rest = output.buffer.slice(first, output.buffer.words() - first);
                let c = Operand { buffer: &rest, rows: output.rows, pitch: output.pitch(), stride: 0 };
                recording.add(self.product(depth, &input, &turned, c).launch()?);
                first += w.columns;
            }
            if let Some(bias) = &layer.bias {
                recording.add(Activate { bias: &bias.weights, tanh: self.tanh(), y: &output }.launch()?);
            }
        }
        Ok(())
    }

    /// `output[.., first..] = input turnedᵀ`: one product in the first layer, one a configuration behind it.
    fn product<'a>(&self, depth: usize, input: &'a Matrix, turned: &'a Matrix, c: Operand<'a>) -> Gemm<'a> {
        if depth == 0 {
            return Gemm { c, ..Gemm::of(input, turned, turned) };
        }
        let (inputs, units) = (input.columns / self.configurations, turned.rows / self.configurations);
        Gemm {
            a: Operand { stride: inputs, ..input.into() },
            b: Operand { rows: units, stride: units * turned.pitch(), ..turned.into() },
            c: Operand { stride: units, ..c },
            depth: inputs,
            batch: self.configurations,
            alpha: 1.0,
            upper: false,
        }
    }

    /// Adds a whole step: sums, loss, gradients, updates.
    pub fn step(
        &self,
        recording: &mut Recording,
        batch: &Batch,
        loss: &LossSum<'_>,
        shared: &Shared,
        steps: usize,
    ) -> Result<()> {
        self.blocks().try_for_each(|block| block.measure(recording))?;
        self.forward(recording, batch)?;
        loss.add(recording, batch, 0..batch.z.columns)?;
        for depth in (1..self.layers.len()).rev() {
            self.backward(recording, batch, depth)?;
        }
        recording.add(Transpose { x: &batch.x, y: &batch.turned }.launch()?);
        for (depth, layer) in self.layers.iter().enumerate() {
            self.update(recording, batch, depth, shared, steps)?;
            if let (Some(bias), Some(hidden)) = (&layer.bias, self.hidden.get(depth)) {
                bias.update(recording, shared, &hidden.bias_gradient, steps, None)?;
            }
        }
        Ok(())
    }

    /// Gradients at a layer's sums: those of the loss at the last.
    fn gradients(&self, batch: &Batch, depth: usize) -> Matrix {
        match self.hidden.get(depth) {
            None => batch.g.clone(),
            Some(hidden) => self.units(&hidden.d, depth, batch.images),
        }
    }

    /// Adds the gradients of the layer before `depth`, from those of `depth`.
    fn backward(&self, recording: &mut Recording, batch: &Batch, depth: usize) -> Result<()> {
        let (d, hidden) = (self.gradients(batch, depth), &self.hidden[depth - 1]);
        let before = self.units(&hidden.d, depth - 1, batch.images);
        let weights = &self.layers[depth].pieces[0].weights;
        let (inputs, units) = (weights.rows, weights.columns / self.configurations);
        let product = Gemm {
            a: Operand { stride: units, ..(&d).into() },
            b: Operand { stride: units, ..weights.into() },
            c: Operand { stride: inputs, ..(&before).into() },
            depth: units,
            batch: self.configurations,
            alpha: 1.0,
            upper: false,
        };
        recording.add(product.launch()?);
        let a = self.units(&hidden.a, depth - 1, batch.images);
        let bias_gradient = &hidden.bias_gradient;
        recording.add(ActivateGradient { a: &a, tanh: self.tanh(), d: &before, bias_gradient }.launch()?);
        Ok(())
    }

    /// Adds the weights' gradients of one layer, and their step.
    fn update(
        &self,
        recording: &mut Recording,
        batch: &Batch,
        depth: usize,
        shared: &Shared,
        steps: usize,
    ) -> Result<()> {
        let d = self.gradients(batch, depth);
        let by_unit = Matrix { buffer: self.scratch[1].clone(), rows: d.columns, columns: d.rows };
        recording.add(Transpose { x: &d, y: &by_unit }.launch()?);
        let input = match depth.checked_sub(1) {
            None => batch.turned.clone(),
            Some(before) => {
                let a = self.units(&self.hidden[before].a, before, batch.images);
                let turned = Matrix { buffer: self.scratch[2].clone(), rows: a.columns, columns: a.rows };
                recording.add(Transpose { x: &a, y: &turned }.launch()?);
                turned
            }
        };
        let mut first = 0;
        for block in &self.layers[depth].pieces {
            let (rows, columns) = (block.weights.rows, block.weights.columns);
            let gradient = Matrix { buffer: self.scratch[0].clone(), rows, columns };
            let start = first * by_unit.pitch();
            let own = by_unit.buffer.slice(start, by_unit.buffer.words() - start);
            let b = Operand { buffer: &own, rows: columns, pitch: by_unit.pitch(), stride: 0 };
            let product = Gemm { b, ..Gemm::of(&input, &by_unit, &gradient) };
            let product = if depth == 0 {
                product
            } else {
                let units = columns / self.configurations;
                Gemm {
                    a: Operand { rows, stride: rows * input.pitch(), ..(&input).into() },
                    b: Operand { rows: units, stride: units * by_unit.pitch(), ..b },
                    c: Operand { stride: units, ..(&gradient).into() },
                    batch: self.configurations,
                    ..product
                }
            };
            recording.add(product.launch()?);
            block.update(recording, shared, &gradient, steps, None)?;
            first += columns;
        }
        Ok(())
    }

    /// Bytes of working memory and weights for so many configurations.
    pub fn bytes(sizes: &[[usize; 2]], configurations: usize, batch: usize, matrices: usize) -> u64 {
        let weights = sizes.iter().map(|[inputs, units]| (inputs * units * configurations) as u64);
        let widest = sizes.iter().map(|[_, units]| units * configurations).max().unwrap_or(0) as u64;
        let hidden: u64 = sizes.iter().map(|[_, units]| 2 * (units * configurations * batch) as u64).sum();
        let (all, largest) = (weights.clone().sum::<u64>(), weights.max().unwrap_or(0));
        4 * (all * matrices as u64 + largest + 2 * widest * batch.next_multiple_of(4) as u64 + hidden)
    }
}
