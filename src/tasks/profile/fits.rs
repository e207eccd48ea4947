//! Readouts of all layers of one run, each fitted as soon as its last slab has been seen.

use super::super::smooth::{Frequencies, Kernels, Smooth};
use super::Run;
use super::plan::PlannedRun;
use crate::error::{Error, Result};
use crate::features::{Slab, visit_layers};
use crate::gpu::Gpu;
use crate::ridge::{self, Space};
use crate::routines::Gram;
use ndarray::{Array2, ArrayView2, Axis, s};
use std::cell::{Cell, RefCell};

/// The readout of one layer, as far as profiles need it.
pub(super) struct LayerFit {
    /// Predicted responses to test images: (neurons, test images).
    pub predictions: Array2<f32>,
    /// Held-out loss of each fold: (folds, neurons).
    pub fold_losses: Array2<f64>,
}

/// The smaller matrix of a layer under way, for every ratio where weights are to be smooth.
enum Sum {
    Kernel(Gram),
    Kernels(Kernels),
    Features(Array2<f64>),
}

/// A layer under way.
struct UnderWay<'a> {
    sum: Sum,
    frequencies: Option<Frequencies<'a>>,
}

impl<'a> UnderWay<'a> {
    fn new(gpu: &Gpu, images: usize, features: usize, smooth: Option<&'a Smooth>) -> Result<Self> {
        let sum = match (features < images, smooth) {
            (false, None) => Sum::Kernel(Gram::new(gpu, images)?),
            (false, Some(smooth)) => Sum::Kernels(Kernels::new(gpu, smooth, images)?),
            (true, _) => Sum::Features(Array2::zeros((images, features))),
        };
        let frequencies = smooth.map(|smooth| Frequencies::new(gpu, smooth)).transpose()?;
        Ok(UnderWay { sum, frequencies })
    }

    fn add(&mut self, gpu: &Gpu, slab: &Slab) -> Result<()> {
        if let Some(frequencies) = &self.frequencies {
            frequencies.rotate(gpu, &slab.matrix)?;
        }
        match (&mut self.sum, &self.frequencies) {
            (Sum::Kernel(gram), _) => gram.add(gpu, &slab.matrix),
            (Sum::Kernels(kernels), Some(frequencies)) => kernels.add(gpu, frequencies, &slab.matrix),
            (Sum::Kernels(_), None) => Err(Error::internal("profile", "kernels without frequencies")),
            (Sum::Features(all), _) => {
                let values = slab.matrix.download(gpu)?.mapv(f64::from);
                all.slice_mut(s![.., slab.columns.clone()]).assign(&values);
                Ok(())
            }
        }
    }

    fn finish(self, gpu: &Gpu) -> Result<Vec<Space>> {
        match (self.sum, self.frequencies) {
            (Sum::Kernel(gram), _) => Ok(vec![Space::Kernel(gram.finish(gpu)?)]),
            (Sum::Kernels(kernels), _) => kernels.finish(gpu),
            (Sum::Features(all), None) => Ok(vec![Space::Features(all)]),
            (Sum::Features(all), Some(frequencies)) => Ok(frequencies.weighted(&all)),
        }
    }
}

/// What readouts are fitted to.
pub(super) struct Targets<'a> {
    /// (neurons, images): averages over repeats, those with shuffled images below the others.
    pub responses: ArrayView2<'a, f32>,
    /// Test images.
    pub test: &'a [usize],
    /// Rows and penalties.
    pub ridge: &'a ridge::Plan,
}

/// Fits a readout to every layer of a run.
pub(super) fn fit_layers(
    gpu: &Gpu,
    run: &mut Run,
    plan: &PlannedRun,
    targets: &Targets<'_>,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<LayerFit>> {
    let input = run.input.measured(&targets.ridge.fit)?;
    if input != run.input {
        run.source = input.open()?;
        run.input = input;
    }
    let images = run.source.images();
    let centre = if targets.ridge.intercept { targets.ridge.fit.as_slice() } else { &[] };
    let features: Vec<usize> = plan.layers.iter().map(|layer| layer.n_features).collect();
    let mut fits = Vec::with_capacity(features.len());
    let mut under_way: Option<UnderWay<'_>> = None;
    // Half of the work is the network's, half the readouts'.
    let (passed, fitted, report) = (Cell::new(0.0), Cell::new(0), RefCell::new(progress));
    let say = || {
        let share = 0.5 * (passed.get() + fitted.get() as f64 / features.len() as f64);
        (report.borrow_mut())(share);
    };
    let mut each = |slab: &Slab| {
        let mut sum = match under_way.take() {
            Some(sum) => sum,
            None => UnderWay::new(gpu, images, features[slab.layer], run.smooth[slab.layer].as_ref())?,
        };
        sum.add(gpu, slab)?;
        if slab.columns.end == features[slab.layer] {
            fits.push(layer_fit(gpu, &sum.finish(gpu)?, targets)?);
            fitted.set(fits.len());
            say();
        } else {
            under_way = Some(sum);
        }
        Ok(())
    };
    let mut pass = |share| {
        passed.set(share);
        say();
    };
    visit_layers(gpu, &mut run.source, &plan.slabs, centre, &mut pass, &mut each)?;
    Ok(fits)
}

fn layer_fit(gpu: &Gpu, spaces: &[Space], targets: &Targets<'_>) -> Result<LayerFit> {
    let fitted = ridge::fit_among(gpu, spaces, targets.responses, targets.ridge, &mut |_| {})?;
    Ok(LayerFit {
        fold_losses: fitted.fold_losses(),
        predictions: fitted.predictions.select(Axis(1), targets.test),
    })
}
