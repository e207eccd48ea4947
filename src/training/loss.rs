//! The loss of all columns, with the bias that stands before it.

use super::batch::Batch;
use super::block::{Block, Role};
use super::settings::{Loss, Nonlinearity, Reduction, Settings, Shared};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::kernels::readout_loss::{ReadoutLoss, Response};
use ndarray::ArrayView2;
use std::ops::Range;

/// Bias of the last layer, responses, and losses of an epoch.
pub(super) struct Head {
    pub bias: Block,
    gradient: Matrix,
    losses: Matrix,
}

/// The loss of one minibatch, whose images are `index[start..]`.
pub(super) struct LossSum<'a> {
    pub head: &'a Head,
    pub targets: &'a Matrix,
    /// Neurons that are no padding.
    pub neurons: usize,
    pub index: &'a Buffer,
    pub start: usize,
    pub shared: &'a Shared,
}

fn response(nonlinearity: Nonlinearity) -> Response {
    match nonlinearity {
        Nonlinearity::Identity => Response::Identity,
        Nonlinearity::Relu => Response::Relu,
        Nonlinearity::Softplus => Response::Softplus,
        Nonlinearity::Elu => Response::Elu,
        Nonlinearity::Exp => Response::Exp,
    }
}

impl Head {
    /// `start` is one row, of a bias a column.
    pub fn new(
        gpu: &Gpu,
        start: ArrayView2<'_, f32>,
        shared: &Shared,
        settings: &[&Settings],
    ) -> Result<Self> {
        let row = |what| Matrix::zeros(gpu, what, 1, start.ncols());
        Ok(Head {
            bias: Block::new(gpu, Role::Bias, start, None, shared, settings)?,
            gradient: row("gradient of biases")?,
            losses: row("losses")?,
        })
    }

    /// The same block of biases with other working memory.
    pub fn of(gpu: &Gpu, bias: Block) -> Result<Self> {
        let row = |what| Matrix::zeros(gpu, what, 1, bias.weights.columns);
        Ok(Head { gradient: row("gradient of biases")?, losses: row("losses")?, bias })
    }

    /// Adds the step of the biases.
    pub fn update(&self, recording: &mut Recording, shared: &Shared, steps: usize) -> Result<()> {
        self.bias.update(recording, shared, &self.gradient, steps, None)
    }

    /// Sets the losses of an epoch to zero.
    pub fn forget(&self, gpu: &Gpu) -> Result<()> {
        gpu.write(&self.losses.buffer, 0, &vec![0f32; self.losses.buffer.words()])
    }

    /// Losses of all steps since they were forgotten, a column each.
    pub fn losses(&self, gpu: &Gpu) -> Result<Vec<f64>> {
        Ok(self.losses.download(gpu)?.iter().map(|v| f64::from(*v)).collect())
    }
}

impl LossSum<'_> {
    /// Adds loss and gradients of some columns.
    pub fn add(&self, recording: &mut Recording, batch: &Batch, columns: Range<usize>) -> Result<()> {
        let scale = match self.shared.reduction {
            Reduction::Sum => 1.0,
            Reduction::Mean => 1.0 / batch.images as f32,
        };
        let loss = ReadoutLoss {
            z: &batch.z,
            bias: &self.head.bias.weights,
            targets: self.targets,
            neurons: self.neurons,
            index: self.index,
            start: self.start,
            columns,
            response: response(self.shared.nonlinearity),
            poisson: self.shared.loss == Loss::Poisson,
            scale,
            g: &batch.g,
            bias_gradient: &self.head.gradient,
            losses: &self.head.losses,
        };
        recording.add(loss.launch()?);
        Ok(())
    }
}
