//! Readouts of all layers of one run, each fitted as soon as its last slab has been seen.

use super::super::host_features::resident;
use super::super::rows::Rows;
use super::super::smooth::{Frequencies, Kernels, Smooth};
use super::super::trained_fit::{TrainedRequest, diverged};
use super::plan::PlannedRun;
use super::{Run, source};
use crate::error::{Error, Result};
use crate::features::{Slab, visit_layers};
use crate::gpu::Gpu;
use crate::host::room;
use crate::ridge::{self, Factorisation, FactorisationTaken, Space};
use crate::routines::Gram;
use crate::training::{Data, Outcome, Trainer};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// The readout of one layer, as far as profiles need it.
pub(super) struct LayerFit {
    /// Predicted responses to test images: (neurons, test images).
    pub predictions: Array2<f32>,
    /// Held-out loss of each fold: (folds, neurons).
    pub fold_losses: Array2<f64>,
    /// What solved the systems of each of the layer's spaces; none of readouts that are trained.
    pub factorisations: Vec<FactorisationTaken>,
}

/// The smaller matrix of a layer under way, for every ratio where weights are to be smooth.
enum Sum {
    Kernel(Gram),
    Kernels(Kernels),
    Features(Array2<f64>),
    /// All features, for a readout that is trained.
    Host(Array2<f32>),
}

/// A layer under way.
struct UnderWay<'a> {
    sum: Sum,
    frequencies: Option<Frequencies<'a>>,
}

impl<'a> UnderWay<'a> {
    fn new(
        gpu: &Gpu,
        [images, features]: [usize; 2],
        smooth: Option<&'a Smooth>,
        trained: bool,
    ) -> Result<Self> {
        if trained || features < images {
            room("features", if trained { 8 } else { 20 } * (images * features) as u64)?;
        }
        if trained {
            return Ok(UnderWay { sum: Sum::Host(Array2::zeros((images, features))), frequencies: None });
        }
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
            (Sum::Host(all), _) => {
                all.slice_mut(s![.., slab.columns.clone()]).assign(&slab.matrix.download(gpu)?);
                Ok(())
            }
        }
    }

    /// The readout of a layer whose maps have this shape.
    fn finish(
        self,
        gpu: &Gpu,
        shape: [usize; 3],
        shown: Option<&[u32]>,
        targets: &Targets<'_>,
    ) -> Result<LayerFit> {
        let spaces = match (self.sum, self.frequencies) {
            (Sum::Host(features), _) => return trained_fit(gpu, (features.view(), shape), shown, targets),
            (Sum::Kernel(gram), _) => vec![Space::Kernel(gram.finish(gpu)?)],
            (Sum::Kernels(kernels), _) => kernels.finish(gpu)?,
            (Sum::Features(all), None) => vec![Space::Features(all)],
            (Sum::Features(all), Some(frequencies)) => frequencies.weighted(&all),
        };
        layer_fit(gpu, &spaces, targets)
    }
}

/// What readouts are fitted to.
pub(super) struct Targets<'a> {
    /// What makes a row.
    pub rows: &'a Rows,
    /// (neurons, rows): the recording's responses, those with shuffled images below the others.
    pub responses: ArrayView2<'a, f32>,
    /// How many of them are the recording's.
    pub neurons: usize,
    /// Rows of test images.
    pub test: &'a [usize],
    /// Rows and penalties; of readouts that are trained, rows alone.
    pub ridge: &'a ridge::Plan,
    /// How their systems of equations are solved.
    pub factorisation: Factorisation,
    /// What is trained, where readouts are not fitted in closed form.
    pub trained: Option<&'a TrainedRequest>,
}

/// Fits a readout to every layer of a run.
pub(super) fn fit_layers(
    gpu: &Gpu,
    run: &mut Run,
    plan: &PlannedRun,
    targets: &Targets<'_>,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<LayerFit>> {
    let input = run.input.measured(&targets.rows.images_of(&targets.ridge.fit), gpu.ledger().budget())?;
    if input != run.input {
        (run.source, run.shown) = source(&input, targets.rows, targets.trained.is_some())?;
        run.input = input;
    }
    let images = run.source.images();
    let centre =
        if targets.ridge.intercept && targets.trained.is_none() { targets.ridge.fit.as_slice() } else { &[] };
    let features: Vec<usize> = plan.layers.iter().map(|layer| layer.n_features).collect();
    let shown = run.shown.clone();
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
            None => {
                let (sizes, smooth) = ([images, features[slab.layer]], run.smooth[slab.layer].as_ref());
                UnderWay::new(gpu, sizes, smooth, targets.trained.is_some())?
            }
        };
        sum.add(gpu, slab)?;
        if slab.columns.end == features[slab.layer] {
            let mut fit = sum.finish(gpu, plan.layers[slab.layer].shape, shown.as_deref(), targets)?;
            fit.predictions = targets.rows.by_image(fit.predictions.view(), targets.test);
            fits.push(fit);
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
    let how = (targets.ridge, targets.factorisation);
    let fitted = ridge::fit_among_by(gpu, spaces, targets.responses, how, &mut |_| {})?;
    Ok(LayerFit {
        fold_losses: fitted.fold_losses(),
        predictions: fitted.predictions.select(Axis(1), targets.test),
        factorisations: fitted.factorisations,
    })
}

/// A layer whose readout is trained once for each fold, and stopped by the images that the fold holds out.
/// Predictions are the mean of these readouts.
fn trained_fit(
    gpu: &Gpu,
    features: (ArrayView2<'_, f32>, [usize; 3]),
    shown: Option<&[u32]>,
    targets: &Targets<'_>,
) -> Result<LayerFit> {
    let asked = targets.trained.ok_or_else(|| Error::internal("profile", "nothing to train"))?;
    let (neurons, folds) = (targets.responses.nrows(), targets.ridge.folds.len());
    let mut fit = LayerFit {
        predictions: Array2::zeros((neurons, targets.test.len())),
        fold_losses: Array2::zeros((folds, neurons)),
        factorisations: Vec::new(),
    };
    // Shuffled neurons train by themselves: together they would share the epoch at which training stops.
    let parts = [0..targets.neurons, targets.neurons..neurons].into_iter().filter(|part| !part.is_empty());
    let parts: Vec<Range<usize>> = parts.collect();
    for (number, (train, held_out)) in targets.ridge.folds.iter().enumerate() {
        let resident = resident(gpu, features, shown, train, &asked.shared)?;
        for part in parts.clone() {
            let responses = targets.responses.slice(s![part.clone(), ..]);
            let data = Data { features: &resident, responses, train, validation: held_out };
            let outcome = trained(gpu, data, asked)?;
            let losses = ArrayView1::from(&outcome.validation_loss);
            fit.fold_losses.slice_mut(s![number, part.clone()]).assign(&losses);
            let mut sum = fit.predictions.slice_mut(s![part, ..]);
            sum += &(outcome.readout.predict(gpu, &resident, targets.test)? / folds as f32);
        }
    }
    Ok(fit)
}

fn trained<'a>(gpu: &'a Gpu, data: Data<'a>, asked: &TrainedRequest) -> Result<Outcome> {
    let mut trainer = Trainer::new(gpu, data, &asked.shared, std::slice::from_ref(&asked.settings))?;
    let mut outcome = None;
    while !trainer.done() {
        outcome = trainer.epoch()?.pop();
    }
    let outcome = outcome.ok_or_else(|| Error::internal("profile", "no configuration ended"))?;
    if outcome.diverged { Err(diverged(&outcome, &asked.settings)) } else { Ok(outcome) }
}
