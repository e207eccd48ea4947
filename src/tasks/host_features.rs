//! Features of all rows on the host, from where trained readouts take them.

use super::input::Input;
use super::plan::working_bytes;
use super::rows::Rows;
use crate::error::{Error, Kind, Result};
use crate::features::{FeatureSpace, SlabPlan, Source, UNIT};
use crate::gpu::{Gpu, host_memory_available};
use ndarray::{Array2, s};

/// Features as a network gave them, neither centred nor scaled.
pub(super) struct HostFeatures {
    /// (rows, features).
    pub values: Array2<f32>,
    /// Channels, height and width of one row's features; `[features, 1, 1]` where they are no maps.
    pub shape: [usize; 3],
    /// The input, its normalisation measured.
    pub input: Input,
}

impl HostFeatures {
    /// Computes the features of the rows of a recording from `input`; pixels are normalised over the images of the rows
    /// `train`, if they have to be.
    ///
    /// # Errors
    /// Memory, if they do not fit; as [`FeatureSpace::visit`].
    pub fn compute(
        gpu: &Gpu,
        input: &Input,
        rows: &Rows,
        train: &[usize],
        progress: &mut super::Progress<'_>,
    ) -> Result<Self> {
        let input = input.measured(&rows.images_of(train))?;
        let source = rows.source(input.open()?)?;
        Self::of(gpu, source, input, progress)
    }

    /// The features of a source that `input` opened.
    ///
    /// # Errors
    /// As [`HostFeatures::compute`].
    pub fn of(gpu: &Gpu, source: Source, input: Input, progress: &mut super::Progress<'_>) -> Result<Self> {
        let (images, features, shape) = (source.images(), source.features(), source.shape());
        let bytes = 4 * images as u64 * features as u64;
        if let Some(free) = host_memory_available().filter(|free| bytes > *free) {
            let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
            let advice = "Use a smaller --size, --pool or --subsample";
            let found = format!("the features of {images} rows need {} of memory", mib(bytes));
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
