//! Features of all images on the host, from where trained readouts take them.

use super::input::Input;
use super::plan::working_bytes;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, SlabPlan, UNIT};
use crate::gpu::{Gpu, host_memory_available};
use ndarray::{Array2, s};

/// Features as a network gave them, neither centred nor scaled.
pub(super) struct HostFeatures {
    /// (images, features).
    pub values: Array2<f32>,
    /// Channels, height and width of one image's features; `[features, 1, 1]` where they are no maps.
    pub shape: [usize; 3],
    /// The input, its normalisation measured.
    pub input: Input,
}

impl HostFeatures {
    /// Computes the features of all images of `input`; pixels are normalised over the images `train`, if they have to be.
    ///
    /// # Errors
    /// Memory, if they do not fit; as [`FeatureSpace::visit`].
    pub fn compute(
        gpu: &Gpu,
        input: &Input,
        train: &[usize],
        progress: &mut super::Progress<'_>,
    ) -> Result<Self> {
        let input = input.measured(train)?;
        let source = input.open()?;
        let (images, features, shape) = (source.images(), source.features(), source.shape());
        let bytes = 4 * images as u64 * features as u64;
        if let Some(free) = host_memory_available().filter(|free| bytes > *free) {
            let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
            let advice = "Use a smaller --size, --pool or --subsample";
            let found = format!("the features of {images} images need {} of memory", mib(bytes));
            return Err(Error::new(
                Kind::Memory,
                "features",
                found,
                format!("at most {}", mib(free)),
                advice,
            ));
        }
        let (budget, taken) = (gpu.ledger().budget(), source.overhead(gpu)? + working_bytes(gpu));
        let plan = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken)).map_err(|why| {
            if why.kind() != Kind::Memory {
                return why;
            }
            let needed = taken + SlabPlan::least_bytes(images, features, UNIT);
            crate::gpu::too_large("features", needed, budget, budget)
        })?;
        let mut values = Array2::<f32>::zeros((images, features));
        let mut space = FeatureSpace::new(source, plan, Vec::new());
        space.visit(gpu, &mut |share| progress("features", share), &mut |slab| {
            values.slice_mut(s![.., slab.columns.clone()]).assign(&slab.matrix.download(gpu)?);
            Ok(())
        })?;
        Ok(HostFeatures { values, shape, input })
    }
}
