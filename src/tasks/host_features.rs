//! Features of all rows on the host, from where trained readouts take them.

use super::input::Input;
use super::plan::working_bytes;
use super::rows::Rows;
use crate::error::{Kind, Result};
use crate::features::{FeatureSpace, SlabPlan, Source, UNIT, affordable};
use crate::gpu::Gpu;
use crate::host::room;
use crate::training::{Resident, Shared};
use ndarray::{Array2, ArrayView2, s};

/// Features as a network or a file gave them, neither centred nor scaled, but for offsets.
pub(super) struct HostFeatures {
    /// (rows, features); of images, where each is shown in several rows.
    pub values: Array2<f32>,
    /// What was taken off the first features, as [`Source::offsets`]; none may have been.
    pub offsets: Vec<f64>,
    /// The image that each row shows, where values are of images.
    shown: Option<Vec<u32>>,
    /// Channels, height and width of one row's features; `[features, 1, 1]` where they are no maps.
    pub shape: [usize; 3],
    /// The input, its normalisation measured.
    pub input: Input,
}

impl HostFeatures {
    /// Computes the features of the rows of a recording from `input`; pixels are normalised over the images
    /// of the rows `train`, if they have to be. `standardised`: whether features are used by their distances
    /// from means alone.
    ///
    /// # Errors
    /// Memory, if they do not fit; as [`FeatureSpace::visit`].
    pub fn compute(
        gpu: &Gpu,
        input: &Input,
        rows: &Rows,
        train: &[usize],
        standardised: bool,
        progress: &mut super::Progress<'_>,
    ) -> Result<Self> {
        let input = input.measured(&rows.images_of(train), gpu.ledger().budget())?;
        let (mut source, shown) = rows.stored(input.open()?)?;
        if !standardised {
            source.keep_raw();
        }
        Ok(HostFeatures { shown, ..Self::of(gpu, source, input, progress)? })
    }

    /// The features on the device, standardised over the rows `train` as `shared` asks.
    ///
    /// # Errors
    /// As [`Resident::new`].
    pub fn resident(&self, gpu: &Gpu, train: &[usize], shared: &Shared) -> Result<Resident> {
        resident(gpu, (self.values.view(), self.shape), self.shown.as_deref(), train, shared)
    }

    /// The features of a source that `input` opened.
    ///
    /// # Errors
    /// As [`HostFeatures::compute`].
    pub fn of(gpu: &Gpu, source: Source, input: Input, progress: &mut super::Progress<'_>) -> Result<Self> {
        let (images, features, shape) = (source.images(), source.features(), source.shape());
        affordable(images, source.host_bytes() + 4 * images as u64 * features as u64)?;
        let (budget, taken) = (gpu.ledger().budget(), source.overhead(gpu)? + working_bytes(gpu));
        let plan = SlabPlan::new(gpu, images, features, budget.saturating_sub(taken)).map_err(|why| {
            let needed = taken + SlabPlan::least_bytes(images, features, UNIT);
            if why.kind() != Kind::Memory || needed <= budget {
                return why;
            }
            source.too_large(gpu, "features", needed)
        })?;
        room("features", 8 * images as u64 * features as u64)?;
        let mut values = Array2::<f32>::zeros((images, features));
        let mut space = FeatureSpace::new(source, plan, Vec::new());
        space.visit(gpu, &mut |share| progress("features", share), &mut |slab| {
            values.slice_mut(s![.., slab.columns.clone()]).assign(&slab.matrix.download(gpu)?);
            Ok(())
        })?;
        let offsets = space.source().offsets().to_vec();
        Ok(HostFeatures { values, offsets, shown: None, shape, input })
    }
}

/// Features on the device, standardised over the rows `train` as `shared` asks; `shown` says which of them
/// each row shows, where they are of images.
///
/// # Errors
/// As [`Resident::new`].
pub(super) fn resident(
    gpu: &Gpu,
    (values, shape): (ArrayView2<'_, f32>, [usize; 3]),
    shown: Option<&[u32]>,
    train: &[usize],
    shared: &Shared,
) -> Result<Resident> {
    let Some(shown) = shown else { return Resident::new(gpu, values, shape, train, shared) };
    // An image counts as often as it is shown.
    let images: Vec<usize> = train.iter().map(|row| shown[*row] as usize).collect();
    Ok(Resident::new(gpu, values, shape, &images, shared)?.shown_by(shown.to_vec()))
}
