//! What a fit takes of the GPU's memory, from headers alone: nothing is decoded, nothing allocated.

use super::fit::FitRequest;
use crate::error::Result;
use crate::features::{SlabPlan, Source};
use crate::gpu::Gpu;
use crate::ridge;
use crate::routines::Gram;
use serde::Serialize;

/// What a fit will take: known from headers alone.
#[derive(Debug, Clone, Serialize)]
pub struct FitPlan {
    /// Number of images.
    pub n_images: usize,
    /// Number of features.
    pub n_features: usize,
    /// Whether the kernel matrix (dual) or the feature matrix (primal) is decomposed.
    pub form: &'static str,
    /// How features are cut.
    pub slabs: SlabPlan,
    /// Passes of all images through the network.
    pub passes: usize,
    /// GPU memory in bytes.
    pub gpu_bytes: u64,
    /// Budget for it.
    pub gpu_budget_bytes: u64,
    /// Operations of the network.
    pub network_operations: f64,
    /// Operations of the kernel matrix.
    pub gram_operations: f64,
}

/// Bytes kept free for partial products, vectors and chunks of neurons, whose sizes follow what is free.
const WORKING_BYTES: u64 = 128 << 20;

/// Bytes of a budget that are not given to slabs.
pub(super) fn working_bytes(gpu: &Gpu) -> u64 {
    WORKING_BYTES.min(gpu.ledger().budget() / 8)
}

/// Plans a fit from headers.
///
/// # Errors
/// Usage or Input, if files do not fit each other; Memory, if the job does not fit the budget.
pub fn plan_fit(gpu: &Gpu, request: &FitRequest) -> Result<FitPlan> {
    plan_source(gpu, &request.input.open()?, request)
}

pub(super) fn plan_source(gpu: &Gpu, source: &Source, request: &FitRequest) -> Result<FitPlan> {
    let (images, features) = (source.images(), source.features());
    let dual = features >= images;
    let gram = if dual { Gram::bytes(images) } else { 0 };
    // The Gram matrix is gone when the ridge begins.
    let matrices = gram.max(ridge::least_bytes(images, features.min(images), request.penalties.count()));
    let budget = gpu.ledger().budget();
    let fixed = source.overhead(gpu)? + matrices;
    let taken = fixed + working_bytes(gpu);
    let slabs = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken)).map_err(|_| {
        let needed = taken + SlabPlan::least_bytes(images, features);
        crate::gpu::too_large("fit", needed, budget, budget)
    })?;
    Ok(FitPlan {
        n_images: images,
        n_features: features,
        form: if dual { "dual" } else { "primal" },
        passes: slabs.passes(),
        gpu_bytes: fixed + slabs.bytes(images),
        slabs,
        gpu_budget_bytes: budget,
        network_operations: source.operations(gpu)?,
        gram_operations: if dual { images as f64 * images as f64 * features as f64 } else { 0.0 },
    })
}
