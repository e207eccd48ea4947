//! Trains a group of configurations: an epoch is one recording, and those that are done make room.

use super::batch::BatchMemory;
use super::columns::Columns;
use super::course::{Course, Verdict};
use super::curves::{CurvePoint, Measure, Tier};
use super::features::{Layout, Resident};
use super::loss::LossSum;
use super::network::Network;
use super::readout::{Readout, Scaling, real_sizes};
use super::settings::{Loss, Model, Settings, Shared};
use super::start::{self, LayerWeights, Weights};
use super::targets::{scaling, targets, variances};
use crate::error::{Error, Kind, Result};
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::random::Random;
use ndarray::{Array2, ArrayView2, s};

/// What a group is trained on.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    /// Features of all images.
    pub features: &'a Resident,
    /// Responses: (neurons, images).
    pub responses: ArrayView2<'a, f32>,
    /// Images that weights are fitted to.
    pub train: &'a [usize],
    /// Images that say when to stop; none where every epoch shall be trained.
    pub validation: &'a [usize],
}

/// A configuration that is done.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its number among those that were given.
    pub configuration: usize,
    /// Whether its loss became infinite or no number. Its readout is then that of the best epoch before.
    pub diverged: bool,
    /// Epochs trained.
    pub epochs: usize,
    /// The epoch that the readout is of: that with the smallest validation loss, or the last; 0 is the start.
    pub best_epoch: usize,
    /// The course of losses and scores.
    pub curves: Vec<CurvePoint>,
    /// Validation loss of each neuron at the best epoch; empty without validation images.
    pub validation_loss: Vec<f64>,
    /// Pearson's r of each neuron there.
    pub validation_r: Vec<f64>,
    /// The readout.
    pub readout: Readout,
}

/// A group of configurations under way.
pub struct Trainer<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) data: Data<'a>,
    pub(super) shared: Shared,
    pub(super) settings: Vec<Settings>,
    pub(super) scaling: Vec<Scaling>,
    /// Variance of each neuron's responses over the training images, in the units of training; NaN where it
    /// is 0.
    pub(super) variances: Vec<f64>,
    pub(super) targets: Matrix,
    /// The order of rows, by which their responses are found; and where their features are stored.
    pub(super) index: Buffer,
    pub(super) stored: Buffer,
    pub(super) memory: BatchMemory,
    pub(super) network: Network,
    pub(super) columns: Columns,
    /// Configurations that are still training, in the order of the columns.
    pub(super) courses: Vec<Course>,
    pub(super) epoch: usize,
    pub(super) steps: usize,
}

impl<'a> Trainer<'a> {
    /// GPU memory in bytes that a group takes beside the features.
    pub fn bytes(
        gpu: &Gpu,
        shared: &Shared,
        shape: [usize; 3],
        [neurons, images]: [usize; 2],
        configurations: usize,
    ) -> u64 {
        let (layout, columns) = (Layout::new(&shared.model, shape), Columns::new(neurons, configurations));
        let targets = 4 * (images * columns.neurons) as u64;
        let batch = BatchMemory::bytes(layout, shared.batch, columns.all());
        Network::bytes(gpu, layout, columns, shared) + batch + targets
    }

    /// A group at its start.
    ///
    /// # Errors
    /// Usage, if a setting makes no sense; Memory, if it does not fit the budget; Input, if responses are not
    /// numbers.
    pub fn new(gpu: &'a Gpu, data: Data<'a>, shared: &Shared, settings: &[Settings]) -> Result<Self> {
        let courses = (0..settings.len()).map(Course::new).collect();
        Self::with(gpu, data, shared, settings, courses)
    }

    /// The group of those configurations that `courses` names, at their start.
    pub(super) fn with(
        gpu: &'a Gpu,
        data: Data<'a>,
        shared: &Shared,
        settings: &[Settings],
        courses: Vec<Course>,
    ) -> Result<Self> {
        let (neurons, images) = data.responses.dim();
        if images != data.features.images || data.train.is_empty() || neurons == 0 || courses.is_empty() {
            return Err(Error::internal(
                "training",
                format!("{neurons} x {images} responses, {} courses", courses.len()),
            ));
        }
        let shared = &Shared { batch: shared.batch.min(data.train.len()), ..shared.clone() };
        let (layout, columns) = (data.features.layout, Columns::new(neurons, courses.len()));
        let scaling = scaling(&data, shared)?;
        let variances = variances(&data, &scaling);
        let targets = targets(&data, &scaling, columns.neurons);
        let train = |neuron: usize| data.train.iter().map(|i| f64::from(targets[[*i, neuron]])).sum::<f64>();
        let mean = |neuron: usize| train(neuron) / data.train.len() as f64;
        let bias: Vec<f32> = (0..neurons).map(|n| start::bias(shared.nonlinearity, mean(n)) as f32).collect();
        let active: Vec<&Settings> = courses.iter().map(|c| &settings[c.configuration]).collect();
        let starts: Vec<Weights> =
            active.iter().map(|one| Weights::start(layout, columns, shared, one, &bias)).collect();
        let network = Network::new(gpu, layout, columns, &starts, shared, &active)?;
        network.set_rates(gpu, shared, &active, &vec![1.0; active.len()])?;
        Ok(Trainer {
            gpu,
            data,
            shared: shared.clone(),
            settings: settings.to_vec(),
            scaling,
            variances,
            targets: Matrix::upload(gpu, "responses", targets.view())?,
            index: gpu.allocate("order of images", data.train.len())?,
            stored: gpu.allocate("order of images", data.train.len())?,
            memory: BatchMemory::new(gpu, layout, shared.batch, columns.all())?,
            network,
            columns,
            courses,
            epoch: 0,
            steps: 0,
        })
    }

    /// Starts every configuration of factored readouts from the same weights: masks (positions, neurons),
    /// feature weights (channels, neurons), and constants, in the units of training.
    ///
    /// # Errors
    /// Usage, if the readouts are not factored; Internal, if the shapes do not fit.
    pub fn start_from(
        &self,
        masks: ArrayView2<'_, f32>,
        features: ArrayView2<'_, f32>,
        constants: &[f32],
    ) -> Result<()> {
        if self.shared.model != Model::Factored {
            let found = format!("{} readouts", self.shared.model.name());
            return Err(Error::new(
                Kind::Usage,
                "training",
                found,
                "factored ones",
                "Leave the start to the settings",
            ));
        }
        let (masks, features) = (masks.to_owned(), features.to_owned());
        let constants = Array2::from_shape_fn((1, constants.len()), |(_, neuron)| constants[neuron]);
        let layers =
            if self.data.features.layout.mask_outside { [masks, features] } else { [features, masks] };
        for (block, start) in self.network.blocks().into_iter().zip(layers.iter().chain([&constants])) {
            if start.dim() != (block.weights.rows, self.columns.real) {
                return Err(Error::internal(
                    "start of training",
                    format!("{:?} for {:?}", start.dim(), block.weights),
                ));
            }
            let all = Array2::from_shape_fn((block.weights.rows, block.weights.columns), |(row, column)| {
                start.get([row, column % self.columns.neurons]).copied().unwrap_or(0.0)
            });
            for matrix in [&block.weights, &block.best] {
                self.gpu.write(&matrix.buffer, 0, &crate::gpu::padded_rows(all.view()))?;
            }
        }
        Ok(())
    }

    /// Whether so many configurations can train together: each of their matrices has to fit a binding, unless
    /// there is one configuration, whose first layer may be cut.
    pub fn binds(
        gpu: &Gpu,
        shared: &Shared,
        shape: [usize; 3],
        neurons: usize,
        configurations: usize,
    ) -> bool {
        let (layout, columns) = (Layout::new(&shared.model, shape), Columns::new(neurons, configurations));
        configurations == 1 || Network::largest(layout, columns, shared) <= gpu.max_binding_bytes()
    }

    /// Whether all configurations are done.
    pub fn done(&self) -> bool {
        self.courses.is_empty()
    }

    /// Configurations still training.
    pub fn training(&self) -> usize {
        self.courses.len()
    }

    /// Epochs trained.
    pub fn epochs(&self) -> usize {
        self.epoch
    }

    /// Trains one epoch, and takes out the configurations that are done.
    ///
    /// # Errors
    /// As [`Gpu::run`]; Memory, if smaller matrices do not fit beside the larger ones.
    pub fn epoch(&mut self) -> Result<Vec<Outcome>> {
        if self.done() {
            return Ok(Vec::new());
        }
        self.epoch += 1;
        self.train()?;
        let losses = self.training_losses()?;
        let validated = self.validate()?;
        let mut finished = Vec::new();
        let (mut best, mut dropped) = (Vec::new(), Vec::new());
        for (at, course) in self.courses.iter_mut().enumerate() {
            let own = self.columns.of(&losses.with_penalties, at);
            let mut add = |tier, measure, values: &[f64]| {
                course.curves.push(CurvePoint::new(self.epoch, tier, measure, values));
            };
            add(Tier::Train, Measure::Loss, own);
            if self.shared.loss == Loss::Squared {
                add(Tier::Train, Measure::ExplainedVariance, self.columns.of(&losses.explained, at));
            }
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let mut loss = None;
            if let Some(validated) = &validated {
                let one = &validated[at];
                add(Tier::Validation, Measure::Loss, &one.loss);
                add(Tier::Validation, Measure::ExplainedVariance, &one.explained);
                add(Tier::Validation, Measure::PearsonR, &one.r);
                loss = Some(mean(&one.loss));
            }
            let diverged = !mean(own).is_finite() || loss.is_some_and(|loss| !loss.is_finite());
            if diverged {
                finished.push((at, true));
                continue;
            }
            let (verdict, last) = course.judge(self.epoch, loss, &self.shared);
            match verdict {
                Verdict::Best => {
                    best.push(at);
                    let pairs = validated.as_ref().map(|all| all[at].loss.iter().zip(&all[at].r));
                    course.validation =
                        pairs.into_iter().flatten().map(|(loss, r)| [loss.to_bits(), r.to_bits()]).collect();
                }
                Verdict::Drop => dropped.push(at),
                Verdict::On => {}
            }
            if last {
                finished.push((at, false));
            }
        }
        for (which, keep) in [(best, true), (dropped, false)] {
            if !which.is_empty() {
                self.network.copy(self.gpu, &which, keep)?;
            }
        }
        let outcomes = self.outcomes(&finished)?;
        self.compact(&finished)?;
        self.set_rates()?;
        Ok(outcomes)
    }

    fn active(&self) -> Vec<&Settings> {
        self.courses.iter().map(|c| &self.settings[c.configuration]).collect()
    }

    pub(super) fn set_rates(&self) -> Result<()> {
        let factors: Vec<f64> = self.courses.iter().map(|c| c.factor).collect();
        self.network.set_rates(self.gpu, &self.shared, &self.active(), &factors)
    }

    /// The epoch's steps, as one recording. The order of the images is that of the stream `minibatches
    /// EPOCH`.
    fn train(&mut self) -> Result<()> {
        let mut order: Vec<u32> = self.data.train.iter().map(|image| *image as u32).collect();
        if self.shared.shuffle {
            let stream = format!("minibatches {}", self.epoch);
            Random::stream(self.shared.order_seed, &stream).shuffle(&mut order);
        }
        self.gpu.write(&self.index, 0, &order)?;
        self.gpu.write(&self.stored, 0, &self.data.features.stored(&order))?;
        self.network.head.forget(self.gpu)?;
        self.network.blocks().iter().try_for_each(|block| block.forget(self.gpu))?;
        let mut recording = Recording::new();
        for start in (0..order.len()).step_by(self.shared.batch) {
            let count = self.shared.batch.min(order.len() - start);
            let batch =
                self.memory.gather(&mut recording, self.data.features, (&self.stored, start), count)?;
            let (head, targets) = (&self.network.head, &self.targets);
            let neurons = self.columns.real;
            let loss = LossSum { head, targets, neurons, index: &self.index, start, shared: &self.shared };
            self.steps += 1;
            self.network.step(&mut recording, &batch, &loss, self.steps)?;
        }
        self.gpu.run(&recording)
    }

    fn outcomes(&self, finished: &[(usize, bool)]) -> Result<Vec<Outcome>> {
        if finished.is_empty() {
            return Ok(Vec::new());
        }
        let best = self.network.best(self.gpu)?;
        let one = |(at, diverged): &(usize, bool)| {
            let course = &self.courses[*at];
            let number = |of: usize| course.validation.iter().map(|pair| f64::from_bits(pair[of])).collect();
            let cut = |all: &Array2<f32>| {
                let width = all.ncols() / self.courses.len();
                all.slice(s![.., at * width..(at + 1) * width]).to_owned()
            };
            let layer = |layer: &LayerWeights| LayerWeights {
                weights: cut(&layer.weights),
                bias: layer.bias.as_ref().map(cut),
            };
            let weights = Weights { layers: best.layers.iter().map(layer).collect(), bias: cut(&best.bias) };
            // The last step of an epoch may overflow after the epoch's loss was taken.
            let diverged = *diverged || !weights.is_finite();
            let features = self.data.features;
            Outcome {
                configuration: course.configuration,
                diverged,
                epochs: self.epoch,
                best_epoch: course.best_epoch,
                curves: course.curves.clone(),
                validation_loss: number(0),
                validation_r: number(1),
                readout: Readout {
                    layout: features.layout,
                    columns: Columns { configurations: 1, ..self.columns },
                    shared: self.shared.clone(),
                    weights,
                    scaling: self.scaling.clone(),
                    means: features.means.clone(),
                    scales: features.scales.clone(),
                },
            }
        };
        Ok(finished.iter().map(one).collect())
    }

    /// Takes the configurations that are done out of all matrices.
    fn compact(&mut self, finished: &[(usize, bool)]) -> Result<()> {
        if finished.is_empty() {
            return Ok(());
        }
        let done = |at: &usize| finished.iter().any(|(other, _)| other == at);
        let kept: Vec<usize> = (0..self.courses.len()).filter(|at| !done(at)).collect();
        let mut at = 0;
        self.courses.retain(|_| {
            at += 1;
            !done(&(at - 1))
        });
        if kept.is_empty() {
            return Ok(());
        }
        self.columns.configurations = kept.len();
        let settings: Vec<&Settings> = self.courses.iter().map(|c| &self.settings[c.configuration]).collect();
        self.network.keep(self.gpu, &kept, &self.shared, &settings)?;
        self.memory =
            BatchMemory::new(self.gpu, self.data.features.layout, self.shared.batch, self.columns.all())?;
        Ok(())
    }
}

/// Number of weights of one configuration, biases aside.
pub fn weights(shared: &Shared, shape: [usize; 3], neurons: usize) -> usize {
    let layout = Layout::new(&shared.model, shape);
    match &shared.model {
        Model::Factored => (layout.rows + layout.columns) * neurons,
        model => real_sizes(layout, model, neurons).iter().map(|[inputs, units]| inputs * units).sum(),
    }
}

/// Multiplications that one image's linear sums of one configuration take.
pub fn products(shared: &Shared, shape: [usize; 3], neurons: usize) -> f64 {
    match &shared.model {
        Model::Factored => shape.iter().product::<usize>() as f64 * neurons as f64,
        _ => weights(shared, shape, neurons) as f64,
    }
}
