//! What a fit takes of memory, disk and time, from headers and the sizes of the recording: no image is
//! decoded, nothing allocated.

use super::model;
use super::ridge_fit::RidgeJob;
use super::smooth::Smooth;
use super::trained_fit::TrainedJob;
use crate::error::{Kind, Result};
use crate::features::{SlabPlan, Source, UNIT, affordable};
use crate::gpu::Gpu;
use crate::ridge;
use crate::routines::Gram;
use crate::training::{self, Model, Resident, Trainer};
use serde::Serialize;

/// Which matrix is decomposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// That of the images: there are at least as many features as images.
    Dual,
    /// That of the features: there are fewer.
    Primal,
    /// None: the readout is trained.
    Trained,
}

/// What a fit will take.
#[derive(Debug, Clone, Serialize)]
pub struct FitPlan {
    /// Number of rows: images, or trials where each is one.
    pub n_rows: usize,
    /// Number of features.
    pub n_features: usize,
    /// Number of neurons.
    pub n_neurons: usize,
    /// Whether the kernel matrix or the feature matrix is decomposed.
    pub form: Form,
    /// How features are cut.
    pub slabs: SlabPlan,
    /// Passes of all images through the network: one where all features stay on the device, else as many as
    /// there are loads of slabs, for the matrix and again for the weights.
    pub passes: usize,
    /// GPU memory in bytes.
    pub gpu_bytes: u64,
    /// Host memory that features take, and images on their way to the device, in bytes; without those of the
    /// decomposed matrix.
    pub host_bytes: u64,
    /// Budget for GPU memory.
    pub gpu_budget_bytes: u64,
    /// Bytes of the readout on disk.
    pub model_bytes: u64,
    /// What the device computes.
    pub operations: Operations,
}

/// Operations of the steps of a fit, additions and multiplications counted singly. The decompositions, on the
/// host, are not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Operations {
    /// The network, in all passes.
    pub network: f64,
    /// Maps to their spatial frequencies and weights back, where weights are to be smooth.
    pub rotation: f64,
    /// Products of all pairs of images, for every ratio; 0 in the primal form.
    pub kernel_matrix: f64,
    /// Held-out losses of every penalty and neuron in all folds.
    pub readout_losses: f64,
    /// Weights of the features.
    pub weights: f64,
    /// Sums and gradients of a trained readout in all epochs, if none stops it early.
    pub training: f64,
}

impl Operations {
    /// Of all steps.
    pub fn total(&self) -> f64 {
        self.network + self.rotation + self.kernel_matrix + self.readout_losses + self.weights + self.training
    }
}

/// Bytes kept free for partial products, vectors and chunks of neurons, whose sizes follow what is free.
const WORKING_BYTES: u64 = 128 << 20;

/// Bytes of a budget that are not given to slabs.
pub(super) fn working_bytes(gpu: &Gpu) -> u64 {
    WORKING_BYTES.min(gpu.ledger().budget() / 8)
}

/// What a fit in closed form will take.
///
/// # Errors
/// Memory, if it does not fit the budget.
pub(super) fn of_ridge(gpu: &Gpu, source: &Source, neurons: usize, job: &RidgeJob) -> Result<FitPlan> {
    let (images, features) = (source.images(), source.features());
    affordable(images, source.host_bytes())?;
    let form = if features >= images { Form::Dual } else { Form::Primal };
    let gram = if form == Form::Dual { Gram::bytes(images, job.spaces()) } else { 0 };
    // The Gram matrix is gone when the ridge begins.
    let least = ridge::least_bytes(images, features.min(images), job.plan.penalties.count());
    let budget = gpu.ledger().budget();
    let bases = job.smooth.as_ref().map_or(0, Smooth::bytes);
    let fixed = source.overhead(gpu)? + gram.max(least) + bases;
    let taken = fixed + working_bytes(gpu);
    let unit = job.smooth.as_ref().map_or(UNIT, Smooth::unit);
    let room = budget.saturating_sub(taken);
    let slabs = SlabPlan::in_units(gpu, images, features, unit, room).map_err(|why| {
        let needed = taken + SlabPlan::least_bytes(images, features, unit);
        if why.kind() != Kind::Memory || needed <= budget {
            return why;
        }
        source.too_large(gpu, "fit", needed)
    })?;
    // Slabs that all fit stay for the weights.
    let passes = if slabs.passes() == 1 { 1 } else { 2 * slabs.passes() };
    Ok(FitPlan {
        n_rows: images,
        host_bytes: source.host_bytes(),
        n_features: features,
        n_neurons: neurons,
        form,
        passes,
        gpu_bytes: fixed + slabs.bytes(images),
        slabs,
        gpu_budget_bytes: budget,
        model_bytes: model::file_bytes(neurons, features),
        operations: Operations {
            network: source.computed(passes) as f64 * source.operations(gpu)?,
            rotation: job.smooth.as_ref().map_or(0.0, |s| s.operations(passes * images + neurons, features)),
            ..readout_operations(form, [images, features, neurons], &job.plan, job.spaces())
        },
    })
}

/// What a trained fit will take. Features come through slabs, leave the device, and come back as the readout
/// wants them. `rows` are trained with, each of which shows one of the source's.
///
/// # Errors
/// Memory, if it does not fit the budget.
pub(super) fn of_training(
    gpu: &Gpu,
    source: &Source,
    (rows, neurons): (usize, usize),
    job: &TrainedJob,
) -> Result<FitPlan> {
    let (images, features, shape) = (source.images(), source.features(), source.shape());
    let host_bytes = source.host_bytes() + 4 * images as u64 * features as u64;
    affordable(images, host_bytes)?;
    let budget = gpu.ledger().budget();
    let taken = source.overhead(gpu)? + working_bytes(gpu);
    let slabs = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken)).map_err(|why| {
        let needed = taken + SlabPlan::least_bytes(images, features, UNIT);
        if why.kind() != Kind::Memory || needed <= budget {
            return why;
        }
        source.too_large(gpu, "fit", needed)
    })?;
    let shared = job.shared();
    let trainer = Trainer::bytes(gpu, shared, shape, [neurons, rows], 1);
    let training = Resident::bytes(shared, shape, images) + trainer;
    if training > budget {
        return Err(crate::gpu::too_large("training", training, budget, budget));
    }
    let weights = training::weights(shared, shape, neurons);
    Ok(FitPlan {
        n_rows: rows,
        host_bytes,
        n_features: features,
        n_neurons: neurons,
        form: Form::Trained,
        passes: slabs.passes(),
        gpu_bytes: training.max(taken + slabs.bytes(images)),
        slabs,
        gpu_budget_bytes: budget,
        model_bytes: match &shared.model {
            Model::Mlp { .. } => 4 * weights as u64,
            _ => model::file_bytes(neurons, features),
        },
        operations: Operations {
            network: source.operations(gpu)?,
            rotation: 0.0,
            kernel_matrix: 0.0,
            readout_losses: 0.0,
            weights: 0.0,
            training: 4.0 * training::products(shared, shape, neurons) * job.images_trained(),
        },
    })
}

/// Operations of all but the network, for `[images, features, neurons]`.
pub(super) fn readout_operations(
    form: Form,
    sizes: [usize; 3],
    plan: &ridge::Plan,
    spaces: usize,
) -> Operations {
    let times = spaces as f64;
    let [images, features, neurons] = sizes.map(|size| size as f64);
    // Only one of the two triangles of the kernel matrix is computed.
    let kernel_matrix = if form == Form::Dual { images * images * features } else { 0.0 };
    let fold = |(train, held_out): &(Vec<usize>, Vec<usize>)| {
        let rank = train.len().min(sizes[1]);
        2.0 * held_out.len() as f64 * neurons * rank as f64 * plan.penalties.count() as f64
    };
    Operations {
        network: 0.0,
        rotation: 0.0,
        kernel_matrix: times * kernel_matrix,
        readout_losses: times * plan.folds.iter().map(fold).sum::<f64>(),
        weights: 2.0 * images * features * neurons,
        training: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ridge::Penalties;

    #[test]
    fn operations_are_those_of_the_formulas() {
        let folds = vec![((0..6).collect(), (6..10).collect()), ((4..10).collect(), (0..4).collect())];
        let penalties = Penalties::Absolute(vec![1.0, 2.0, 3.0]);
        let plan = ridge::Plan { fit: (0..10).collect(), folds, penalties, intercept: true };
        let dual = readout_operations(Form::Dual, [12, 20, 5], &plan, 1);
        assert_eq!(dual.kernel_matrix, 12.0 * 12.0 * 20.0);
        assert_eq!(dual.readout_losses, 2.0 * (2.0 * 4.0 * 5.0 * 6.0 * 3.0));
        assert_eq!(dual.weights, 2.0 * 12.0 * 20.0 * 5.0);
        let primal = readout_operations(Form::Primal, [12, 2, 5], &plan, 1);
        assert_eq!((primal.kernel_matrix, primal.readout_losses), (0.0, 2.0 * (2.0 * 4.0 * 5.0 * 2.0 * 3.0)));
        let three = readout_operations(Form::Dual, [12, 20, 5], &plan, 3);
        assert_eq!(three.total(), 3.0 * (dual.total() - dual.weights) + dual.weights);
        assert_eq!(dual.total(), dual.kernel_matrix + dual.readout_losses + dual.weights);
    }
}
