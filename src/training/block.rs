//! One set of weights of all configurations, with everything that an optimiser keeps beside it.

use super::settings::{FactorNorm, Optimiser, Penalties, PenaltyScale, Settings, Shared};
use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::copy_columns::{CopyColumns, Pairs};
use crate::kernels::laplacian::Laplacian;
use crate::kernels::penalty_sums::{self, PenaltySums};
use crate::kernels::update_weights::{Bend, HYPER, Method, UpdateWeights};
use ndarray::{Array2, ArrayView2};

/// What a set of weights is, which says what its penalties are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Weights of a dense layer.
    Weights,
    /// Masks of a factored readout.
    Mask,
    /// Feature weights of a factored readout.
    Features,
    /// What is added; never penalised.
    Bias,
}

impl Role {
    fn penalties(self, settings: &Settings) -> Penalties {
        match self {
            Role::Weights | Role::Mask => settings.penalties,
            Role::Features => settings.feature_penalties,
            Role::Bias => Penalties::default(),
        }
    }
}

/// Weights as rows x (configurations x width), and what belongs to them.
pub(super) struct Block {
    pub role: Role,
    pub weights: Matrix,
    /// The best so far of each configuration.
    pub best: Matrix,
    pub first: Matrix,
    pub second: Option<Matrix>,
    /// Columns of a configuration: a multiple of four.
    pub width: usize,
    /// Shape of the maps that the rows are, if they are maps.
    pub map: Option<[usize; 2]>,
    hyper: Matrix,
    unused: Matrix,
    measured: Option<Measured>,
}

/// What penalties are computed from.
struct Measured {
    sums: Matrix,
    totals: Matrix,
    /// Laplacian of the weights and the shape of a map, if any configuration has that penalty.
    bend: Option<(Matrix, [usize; 2])>,
}

/// What a block of so many rows and columns takes of the device's memory, in matrices of its own size.
pub(super) fn matrices(shared: &Shared) -> usize {
    // Weights, best, first; second; Laplacian.
    3 + usize::from(shared.optimiser == Optimiser::Adam) + 1
}

impl Block {
    /// `start` holds the weights, rows x (configurations x width). `map` is the shape of the maps that the
    /// rows are, if they are maps.
    pub fn new(
        gpu: &Gpu,
        role: Role,
        start: ArrayView2<'_, f32>,
        map: Option<[usize; 2]>,
        shared: &Shared,
        settings: &[&Settings],
    ) -> Result<Self> {
        let (rows, columns) = start.dim();
        let zeros = |what| Matrix::zeros(gpu, what, rows, columns);
        let weights = Matrix::upload(gpu, "weights", start)?;
        let best = Matrix::upload(gpu, "best weights", start)?;
        let penalised = settings.iter().any(|s| role.penalties(s) != Penalties::default());
        let bent = settings.iter().any(|s| role.penalties(s).laplace > 0.0);
        let product = role != Role::Bias && shared.factor_norm == FactorNorm::Product;
        let measured = if penalised || product {
            let sums = |what| Matrix::zeros(gpu, what, penalty_sums::rows(rows), columns);
            let bend = match map.filter(|_| bent) {
                Some(map) => Some((zeros("Laplacian of weights")?, map)),
                None => None,
            };
            Some(Measured { sums: sums("penalties")?, totals: sums("penalties of an epoch")?, bend })
        } else {
            None
        };
        let second = match shared.optimiser {
            Optimiser::Adam => Some(zeros("second moments")?),
            Optimiser::Sgd => None,
        };
        let (first, width) = (zeros("first moments")?, columns / settings.len());
        let hyper = Matrix::zeros(gpu, "hyper-parameters", settings.len(), HYPER)?;
        let unused = Matrix::zeros(gpu, "unused", 1, 4)?;
        Ok(Block { role, weights, best, first, second, width, map, hyper, unused, measured })
    }

    /// Writes rates and penalties of every configuration. `neurons` and the rows are what penalties are
    /// scaled by.
    pub fn set_rates(
        &self,
        gpu: &Gpu,
        shared: &Shared,
        settings: &[&Settings],
        rates: &[f64],
        neurons: usize,
    ) -> Result<()> {
        let rows = settings.iter().zip(rates).flat_map(|(one, rate)| {
            let p = self.penalties(shared, one, neurons);
            let momentum = if shared.optimiser == Optimiser::Sgd { one.momentum } else { 0.0 };
            [*rate, momentum, p.l1, p.l2, p.laplace, 0.0, 0.0, 0.0].map(|v| v as f32)
        });
        gpu.write(&self.hyper.buffer, 0, &rows.collect::<Vec<f32>>())
    }

    /// Penalties as factors of the sums over the weights of one neuron.
    pub fn penalties(&self, shared: &Shared, settings: &Settings, neurons: usize) -> Penalties {
        let Penalties { mut l1, l2, laplace } = self.role.penalties(settings);
        if shared.factor_norm == FactorNorm::Product && self.role == Role::Features {
            // One penalty on the product, whose slope goes to both factors.
            l1 = settings.penalties.l1;
        }
        let (neurons, weights) = (neurons as f64, self.weights.rows as f64);
        match shared.penalty_scale {
            PenaltyScale::Sum => Penalties { l1, l2, laplace },
            PenaltyScale::MeanPerNeuron => {
                Penalties { l1: l1 / neurons, l2: l2 / neurons, laplace: laplace / neurons }
            }
            PenaltyScale::Normalised => Penalties { l1: l1 / weights, l2: l2 / weights, laplace },
        }
    }

    /// Adds what sums magnitudes, squares and curvature of the weights as they are now.
    pub fn measure(&self, recording: &mut Recording) -> Result<()> {
        let Some(Measured { sums, totals, bend }) = &self.measured else { return Ok(()) };
        if let Some((z, [height, width])) = bend {
            recording.add(Laplacian { maps: &self.weights, height: *height, width: *width, z }.launch()?);
        }
        let laplacian = bend.as_ref().map(|(z, _)| z);
        recording.add(PenaltySums { weights: &self.weights, laplacian, sums, totals }.launch()?);
        Ok(())
    }

    /// Adds the step from `gradient`. `other` is the block whose magnitudes multiply l1, if any does.
    pub fn update(
        &self,
        recording: &mut Recording,
        shared: &Shared,
        gradient: &Matrix,
        steps: usize,
        other: Option<&Block>,
    ) -> Result<()> {
        let bend = self.measured.as_ref().and_then(|m| {
            let (laplacian, map) = m.bend.as_ref()?;
            let normalised = (shared.penalty_scale == PenaltyScale::Normalised).then_some(&m.sums);
            Some(Bend { laplacian, map: *map, normalised })
        });
        let method = match &self.second {
            Some(second) => Method::Adam { second, steps },
            None => Method::Sgd,
        };
        let update = UpdateWeights {
            gradient,
            hyper: &self.hyper,
            configuration: self.width,
            weights: &self.weights,
            first: &self.first,
            method,
            bend,
            product: other.and_then(|block| block.measured.as_ref()).map(|m| &m.sums),
            proximal: shared.proximal && self.role != Role::Bias,
            non_negative: shared.non_negative && self.role != Role::Bias,
            unused: &self.unused,
        };
        recording.add(update.launch()?);
        Ok(())
    }

    /// Sets the sums of an epoch to zero.
    pub fn forget(&self, gpu: &Gpu) -> Result<()> {
        let Some(Measured { totals, .. }) = &self.measured else { return Ok(()) };
        gpu.write(&totals.buffer, 0, &vec![0f32; totals.buffer.words()])
    }

    /// Sums of magnitudes, squares and curvature over the rows, for every column, of all steps since they
    /// were forgotten: (3, columns). `None` where there is no penalty.
    pub fn totals(&self, gpu: &Gpu) -> Result<Option<Array2<f64>>> {
        let Some(Measured { totals, .. }) = &self.measured else { return Ok(None) };
        let all = totals.download(gpu)?.mapv(f64::from);
        let mut sums = Array2::zeros((3, all.ncols()));
        for (row, values) in all.rows().into_iter().enumerate() {
            let mut sum = sums.row_mut(row % 3);
            sum += &values;
        }
        Ok(Some(sums))
    }

    /// The penalty of one column from its sums of magnitudes, squares and curvature; `l1_factor` is the other
    /// factor's sum of magnitudes where l1 is of their product. Of sums over an epoch it is that of the
    /// means, which is exact but for products and quotients of sums.
    pub fn penalty(
        &self,
        shared: &Shared,
        settings: &Settings,
        neurons: usize,
        sums: [f64; 3],
        l1_factor: f64,
    ) -> f64 {
        let Penalties { l1, l2, laplace } = self.penalties(shared, settings, neurons);
        let [magnitude, square, energy] = sums;
        let bend = match shared.penalty_scale {
            PenaltyScale::Normalised if square > 0.0 => energy / square,
            PenaltyScale::Normalised => 0.0,
            _ => energy,
        };
        // A product is counted with the masks.
        let twice = shared.factor_norm == FactorNorm::Product && self.role == Role::Features;
        let l1 = if twice { 0.0 } else { l1 };
        l1 * l1_factor * magnitude + l2 * square + laplace * bend
    }

    /// Adds copies of whole configurations: the present weights into the best, or the best back.
    pub fn copy(&self, recording: &mut Recording, pairs: &Pairs, keep: bool) -> Result<()> {
        let (x, y) = if keep { (&self.weights, &self.best) } else { (&self.best, &self.weights) };
        recording.add(CopyColumns { x, pairs, y }.launch()?);
        Ok(())
    }

    /// What has to be kept to go on, by name.
    pub fn state(&self) -> Vec<(&'static str, &Matrix)> {
        let mut state = vec![("weights", &self.weights), ("best", &self.best), ("first", &self.first)];
        state.extend(self.second.as_ref().map(|second| ("second", second)));
        state
    }
}

/// Pairs of quads that copy the configurations `kept`, each of `width` columns, to the places `to`.
pub(super) fn pairs(gpu: &Gpu, width: usize, kept: impl Iterator<Item = (usize, usize)>) -> Result<Pairs> {
    let quads = (width / 4) as u32;
    let one = |(x, y): (usize, usize)| (0..quads).map(move |q| [x as u32 * quads + q, y as u32 * quads + q]);
    Pairs::upload(gpu, &kept.flat_map(one).collect::<Vec<_>>())
}
