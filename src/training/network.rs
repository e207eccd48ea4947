//! The weights of all configurations of a group, whatever they compute.

use super::batch::Batch;
use super::block::{Block, Role, matrices, pairs};
use super::columns::Columns;
use super::dense::{self, Dense};
use super::factored::Factored;
use super::features::Layout;
use super::loss::{Head, LossSum};
use super::settings::{Activation, FactorNorm, Model, Settings, Shared};
use super::start::{LayerWeights, Weights};
use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Recording};
use crate::kernels::copy_columns::{CopyColumns, Pairs};
use crate::kernels::penalty_sums;

/// What is computed before the last bias.
enum Body {
    Factored(Box<Factored>),
    Dense(Box<Dense>),
}

/// Weights of a group of configurations.
pub(super) struct Network {
    body: Body,
    pub head: Head,
    layout: Layout,
    columns: Columns,
}

impl Network {
    /// `starts` holds the weights of each configuration, in the same order as `settings`.
    pub fn new(
        gpu: &Gpu,
        layout: Layout,
        columns: Columns,
        starts: &[Weights],
        shared: &Shared,
        settings: &[&Settings],
    ) -> Result<Self> {
        let [channels, height, width] = layout.shape;
        let map = [height, width];
        let all = Weights::side_by_side(starts);
        let block = |role, start: &ndarray::Array2<f32>, map| {
            Block::new(gpu, role, start.view(), map, shared, settings)
        };
        if map == [1, 1] && settings.iter().any(|one| one.penalties.laplace > 0.0) {
            let advice = "Take a layer with rows and columns, without --subsample, or leave --laplace out";
            return Err(Error::new(Kind::Usage, "--laplace", "features that lie on no map", "maps", advice));
        }
        let head = Head::new(gpu, all.bias.view(), shared, settings)?;
        let body = match (&shared.model, all.layers.as_slice()) {
            (Model::Factored, [outer, inner]) => {
                let most = Factored::most_images(layout.rows);
                if shared.batch > most {
                    let found =
                        format!("{} images for maps of {channels} x {height} x {width}", shared.batch);
                    let advice = "Lower --batch, or pool the maps with --pool";
                    return Err(Error::new(Kind::Usage, "--batch", found, format!("at most {most}"), advice));
                }
                let roles = if layout.mask_outside {
                    [Role::Mask, Role::Features]
                } else {
                    [Role::Features, Role::Mask]
                };
                let of = |role| if role == Role::Mask { Some(map) } else { None };
                let outer = block(roles[0], &outer.weights, of(roles[0]))?;
                let inner = block(roles[1], &inner.weights, of(roles[1]))?;
                Body::Factored(Box::new(Factored::new(gpu, outer, inner, shared.batch * layout.rows)?))
            }
            (model, layers) => {
                let activation = match model {
                    Model::Mlp { activation, .. } => *activation,
                    _ => Activation::Relu,
                };
                let map = matches!(model, Model::Spatial).then_some(map);
                let most = 4 * crate::gpu::LONGEST_LOOP as usize;
                if layout.columns > most {
                    let found = format!("{} features an image", layout.columns);
                    let advice =
                        "Pool the maps with --pool, keep some with --subsample, or take --readout factored";
                    return Err(Error::new(
                        Kind::Usage,
                        model.name(),
                        found,
                        format!("at most {most}"),
                        advice,
                    ));
                }
                Body::Dense(Box::new(Dense::new(gpu, layers, map, activation, (shared, settings))?))
            }
        };
        Ok(Network { body, head, layout, columns })
    }

    /// GPU memory in bytes of weights and working memory of so many configurations.
    pub fn bytes(gpu: &Gpu, layout: Layout, columns: Columns, shared: &Shared) -> u64 {
        let kept = matrices(shared) as u64;
        let penalties = |rows: usize, columns: usize| 8 * (penalty_sums::rows(rows) * columns) as u64;
        let bias = 4 * (kept + 2) * columns.all() as u64;
        bias + match &shared.model {
            Model::Factored => {
                let weights = ((layout.rows + layout.columns) * columns.all()) as u64 * 4;
                let rows = [layout.rows, layout.columns];
                let sums = rows.iter().map(|rows| penalties(*rows, columns.all())).sum::<u64>();
                sums + kept * weights
                    + Factored::working_bytes(gpu, rows, shared.batch * layout.rows, columns.all())
            }
            model => {
                let widths: &[usize] = if let Model::Mlp { widths, .. } = model { widths } else { &[] };
                let sizes = dense::sizes(layout.columns, widths, columns.real);
                let columns_of = |units: &usize| units * columns.configurations;
                let sums = sizes.iter().map(|[rows, units]| penalties(*rows, columns_of(units))).sum::<u64>();
                sums + Dense::bytes(&sizes, columns.configurations, shared.batch, kept as usize)
            }
        }
    }

    /// Bytes of the largest matrix of so many configurations: several train together only where it fits a
    /// binding.
    pub fn largest(layout: Layout, columns: Columns, shared: &Shared) -> u64 {
        let words = match &shared.model {
            Model::Factored => layout.rows.max(layout.columns) * columns.all(),
            model => {
                let widths: &[usize] = if let Model::Mlp { widths, .. } = model { widths } else { &[] };
                let sizes = dense::sizes(layout.columns, widths, columns.real);
                let one =
                    |[inputs, units]: &[usize; 2]| inputs.max(&shared.batch) * units * columns.configurations;
                sizes.iter().map(one).max().unwrap_or(0)
            }
        };
        4 * words.max(shared.batch * columns.all()) as u64
    }

    /// All blocks in a fixed order: the layers' and the last bias.
    pub fn blocks(&self) -> Vec<&Block> {
        let mut blocks: Vec<&Block> = match &self.body {
            Body::Factored(f) => vec![&f.outer, &f.inner],
            Body::Dense(d) => d.blocks().collect(),
        };
        blocks.push(&self.head.bias);
        blocks
    }

    /// Whether the columns of a block are the neurons of all configurations, and not units of a hidden layer
    /// or a piece.
    pub fn by_neuron(&self, block: &Block) -> bool {
        match &self.body {
            Body::Factored(_) => true,
            Body::Dense(d) => std::ptr::eq(block, &self.head.bias) || d.is_last(block),
        }
    }

    /// Writes the rates of every configuration.
    pub fn set_rates(
        &self,
        gpu: &Gpu,
        shared: &Shared,
        settings: &[&Settings],
        factors: &[f64],
    ) -> Result<()> {
        for block in self.blocks() {
            let rate = |(one, factor): (&&Settings, &f64)| {
                let own = match (&shared.model, block.role) {
                    (Model::Factored, Role::Features | Role::Bias) => one.feature_learning_rate,
                    _ => None,
                };
                own.unwrap_or(one.learning_rate) * factor
            };
            let rates: Vec<f64> = settings.iter().zip(factors).map(rate).collect();
            block.set_rates(gpu, shared, settings, &rates, self.columns.real)?;
        }
        Ok(())
    }

    /// Adds the linear sums of a minibatch.
    pub fn forward(&self, recording: &mut Recording, batch: &Batch) -> Result<()> {
        match &self.body {
            Body::Factored(f) => f.forward(recording, batch),
            Body::Dense(d) => d.forward(recording, batch),
        }
    }

    /// Adds a training step.
    pub fn step(
        &self,
        recording: &mut Recording,
        batch: &Batch,
        loss: &LossSum<'_>,
        steps: usize,
    ) -> Result<()> {
        match &self.body {
            Body::Factored(f) => f.step(recording, batch, loss, loss.shared, steps)?,
            Body::Dense(d) => d.step(recording, batch, loss, loss.shared, steps)?,
        }
        self.head.update(recording, loss.shared, steps)
    }

    /// Copies whole configurations within the network: the present weights into the best, or the best back.
    pub fn copy(&self, gpu: &Gpu, which: &[usize], keep: bool) -> Result<()> {
        let mut recording = Recording::new();
        let mut known: Vec<(usize, Pairs)> = Vec::new();
        for block in self.blocks() {
            if !known.iter().any(|(width, _)| *width == block.width) {
                known.push((block.width, pairs(gpu, block.width, which.iter().map(|c| (*c, *c)))?));
            }
            let of = known.iter().find(|(width, _)| *width == block.width);
            let (_, pairs) = of.ok_or_else(|| Error::internal("training", "pairs that were just made"))?;
            block.copy(&mut recording, pairs, keep)?;
        }
        gpu.run(&recording)
    }

    /// Sums of magnitudes of the factor that multiplies a block's l1, of all steps of the epoch and every
    /// column; `None` where none does.
    pub fn other_magnitudes(&self, gpu: &Gpu, block: &Block, shared: &Shared) -> Result<Option<Vec<f64>>> {
        let Body::Factored(f) = &self.body else { return Ok(None) };
        if shared.factor_norm == FactorNorm::Sum || block.role == Role::Bias {
            return Ok(None);
        }
        let other = if block.role == f.outer.role { &f.inner } else { &f.outer };
        Ok(other.totals(gpu)?.map(|sums| sums.row(0).to_vec()))
    }

    /// The best weights of all configurations, side by side.
    pub fn best(&self, gpu: &Gpu) -> Result<Weights> {
        let bias = self.head.bias.best.download(gpu)?;
        let layers = match &self.body {
            Body::Factored(f) => {
                let one = |block: &Block| -> Result<LayerWeights> {
                    Ok(LayerWeights { weights: block.best.download(gpu)?, bias: None })
                };
                vec![one(&f.outer)?, one(&f.inner)?]
            }
            Body::Dense(d) => d.best(gpu)?,
        };
        Ok(Weights { layers, bias })
    }

    /// Keeps only some of the configurations, all of their state with them.
    pub fn keep(&mut self, gpu: &Gpu, kept: &[usize], shared: &Shared, settings: &[&Settings]) -> Result<()> {
        let one = |block: &Block| -> Result<Block> {
            let rows = block.weights.rows;
            let start = ndarray::Array2::<f32>::zeros((rows, kept.len() * block.width));
            let smaller = Block::new(gpu, block.role, start.view(), block.map, shared, settings)?;
            let moved = pairs(gpu, block.width, kept.iter().enumerate().map(|(to, from)| (*from, to)))?;
            let mut recording = Recording::new();
            for ((_, x), (_, y)) in block.state().into_iter().zip(smaller.state()) {
                recording.add(CopyColumns { x, pairs: &moved, y }.launch()?);
            }
            gpu.run(&recording)?;
            Ok(smaller)
        };
        self.columns.configurations = kept.len();
        self.head = Head::of(gpu, one(&self.head.bias)?)?;
        self.body = match &self.body {
            Body::Factored(f) => {
                let (outer, inner) = (one(&f.outer)?, one(&f.inner)?);
                Body::Factored(Box::new(Factored::new(gpu, outer, inner, shared.batch * self.layout.rows)?))
            }
            Body::Dense(d) => Body::Dense(Box::new(d.keep(gpu, one, kept.len(), shared.batch)?)),
        };
        Ok(())
    }
}
