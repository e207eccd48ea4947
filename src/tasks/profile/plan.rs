//! What a profile takes of memory and time, from headers and the sizes of the recording.

use super::super::plan::{Form, Operations, readout_operations, working_bytes};
use super::super::smooth::Smooth;
use super::super::trained_fit::TrainedRequest;
use super::{ProfiledLayer, Run};
use crate::error::{Kind, Result};
use crate::features::{LARGEST, LayerColumns, LayersPlan, UNIT, affordable};
use crate::gpu::Gpu;
use crate::io::images::Size;
use crate::ridge;
use crate::routines::Gram;
use crate::training::{Resident, Trainer, products};
use serde::Serialize;

/// What a profile will take.
#[derive(Debug, Clone, Serialize)]
pub struct ProfilePlan {
    /// Number of images.
    pub n_images: usize,
    /// Number of neurons.
    pub n_neurons: usize,
    /// A network over images of one size, each.
    pub runs: Vec<PlannedRun>,
    /// Budget for GPU memory in bytes.
    pub gpu_budget_bytes: u64,
}

/// What the network over images of one size will take.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedRun {
    /// Size of the images.
    pub size: String,
    /// Whether the weights are random as a control.
    pub random_weights: bool,
    /// Its layers.
    pub layers: Vec<ProfiledLayer>,
    /// How their features are cut.
    pub slabs: LayersPlan,
    /// GPU memory in bytes.
    pub gpu_bytes: u64,
    /// Host memory that features take, in bytes; without those of a matrix that is decomposed.
    pub host_bytes: u64,
    /// What the device computes.
    pub operations: Operations,
}

impl ProfilePlan {
    /// GPU memory in bytes, of the largest run.
    pub fn gpu_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.gpu_bytes).max().unwrap_or(0)
    }

    /// Passes of all images through a network.
    pub fn passes(&self) -> usize {
        self.runs.iter().map(|run| run.slabs.passes).sum()
    }

    /// Operations of all runs.
    pub fn operations(&self) -> f64 {
        self.runs.iter().map(|run| run.operations.total()).sum()
    }
}

/// A size as `--sizes` has it: 56, or 56x48.
fn shown(size: Size) -> String {
    if size.height == size.width { size.height.to_string() } else { size.to_string() }
}

/// Which matrix of a layer is decomposed.
fn form(images: usize, features: usize) -> Form {
    if features >= images { Form::Dual } else { Form::Primal }
}

/// What a run will take for so many neurons, shuffled ones counted.
pub(super) fn of_run(
    gpu: &Gpu,
    run: &Run,
    neurons: usize,
    (ridge, trained): (&ridge::Plan, Option<&TrainedRequest>),
) -> Result<PlannedRun> {
    let images = run.source.images();
    let column = |(layer, smooth): (usize, &Option<Smooth>)| LayerColumns {
        features: run.source.features_of(layer),
        unit: smooth.as_ref().map_or(UNIT, Smooth::unit),
    };
    let columns: Vec<LayerColumns> = run.smooth.iter().enumerate().map(column).collect();
    let spaces = run.smooth.iter().flatten().map(|smooth| smooth.ratios.values().len()).max().unwrap_or(1);
    let rank = columns.iter().map(|c| c.features.min(images)).max().unwrap_or(0);
    let gram = if rank == images { Gram::bytes(images, spaces) } else { 0 };
    // A layer's Gram matrix is gone when its ridge begins; the slabs of the other layers stay.
    let least = ridge::least_bytes(images, rank, ridge.penalties.count());
    let bases = run.smooth.iter().flatten().map(Smooth::bytes).max().unwrap_or(0);
    // A slab is rotated with another of its size to spare.
    let spare = if bases > 0 {
        LayersPlan::least_bytes(images, &columns).max(4 * (images * LARGEST) as u64)
    } else {
        0
    };
    let largest = columns.iter().map(|c| c.features).max().unwrap_or(0);
    let held = trained.map_or(0, |_| 4 * images as u64 * largest as u64);
    let host_bytes = run.source.host_bytes() + held;
    affordable(images, host_bytes)?;
    let training = trained.map_or(0, |asked| training_bytes(gpu, run, neurons, asked));
    let fixed = run.source.overhead(gpu)? + gram.max(least).max(training) + bases + spare;
    let (budget, taken) = (gpu.ledger().budget(), fixed + working_bytes(gpu));
    let needed = taken + LayersPlan::least_bytes(images, &columns);
    let slabs =
        LayersPlan::new(gpu, images, columns.clone(), budget.saturating_sub(taken)).map_err(|why| {
            if why.kind() != Kind::Memory || needed <= budget {
                return why;
            }
            run.source.too_large(gpu, "profile", needed)
        })?;
    let network = run.source.operations(gpu)? * run.source.computed(slabs.passes) as f64;
    let readouts = operations(run, &columns, (neurons, spaces), (ridge, trained));
    Ok(PlannedRun {
        size: shown(run.size),
        random_weights: run.random,
        layers: layers(run),
        gpu_bytes: fixed + slabs.bytes,
        host_bytes,
        slabs,
        operations: Operations { network, ..readouts },
    })
}

/// What the readouts of all layers compute.
fn operations(
    run: &Run,
    columns: &[LayerColumns],
    (neurons, spaces): (usize, usize),
    (ridge, trained): (&ridge::Plan, Option<&TrainedRequest>),
) -> Operations {
    let (images, mut operations) = (run.source.images(), Operations::default());
    for (columns, smooth) in columns.iter().zip(&run.smooth) {
        if let Some(asked) = trained {
            let shape = [columns.features, 1, 1];
            let products = products(&asked.shared, shape, neurons) * asked.shared.epochs as f64;
            let images = ridge.folds.iter().map(|(train, _)| train.len()).sum::<usize>();
            operations.training += 4.0 * products * images as f64;
            continue;
        }
        let sizes = [images, columns.features, neurons];
        let one = readout_operations(form(images, columns.features), sizes, ridge, spaces);
        operations.kernel_matrix += one.kernel_matrix;
        operations.readout_losses += one.readout_losses;
        operations.rotation += smooth.as_ref().map_or(0.0, |s| s.operations(images, columns.features));
    }
    operations
}

/// GPU memory in bytes of the layer that takes most to train.
fn training_bytes(gpu: &Gpu, run: &Run, neurons: usize, asked: &TrainedRequest) -> u64 {
    let images = run.source.images();
    let rows = run.shown.as_ref().map_or(images, Vec::len);
    let one = |layer: usize| {
        let shape = run.source.shape_of(layer);
        let trainer = Trainer::bytes(gpu, &asked.shared, shape, [neurons, rows], 1);
        Resident::bytes(&asked.shared, shape, images) + trainer
    };
    (0..run.source.layers()).map(one).max().unwrap_or(0)
}

fn layers(run: &Run) -> Vec<ProfiledLayer> {
    let one = |number: usize| ProfiledLayer {
        layer: run.input.layers.get(number).cloned().unwrap_or_else(|| "pixels".into()),
        n_features: run.source.features_of(number),
        shape: run.source.shape_of(number),
    };
    (0..run.source.layers()).map(one).collect()
}
