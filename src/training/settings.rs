//! What a readout is and how it is trained: one value is one configuration of a grid.

use serde::{Deserialize, Serialize};

/// What a readout computes from the features r of an image, shaped (channels k, rows i, columns j).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// `y_l = Σ W_ijkl r_ijk + b_l` (Cocjin et al., eq. 1).
    Simple,
    /// The same sum, whose weights also take a Laplacian penalty (eq. 2).
    Spatial,
    /// `y_l = Σ_ij M_ijl Σ_k W_kl r_ijk + b_l` (eq. 3; Klindt et al. 2017).
    Factored,
    /// Dense layers with an activation between them (Berget 2023).
    Mlp {
        /// Units of the hidden layers.
        widths: Vec<usize>,
        /// What stands between layers.
        activation: Activation,
    },
}

impl Model {
    /// Its name, as `--readout` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Model::Simple => "simple",
            Model::Spatial => "spatial",
            Model::Factored => "factored",
            Model::Mlp { .. } => "mlp",
        }
    }
}

/// Between the layers of an `mlp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// How far a prediction is from a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `(y - t)²`.
    Squared,
    /// `y - t ln(y + 1e-8)`, the negative log likelihood of counts but for a constant.
    Poisson,
}

/// Whether the loss of a minibatch is the sum over its images (Cocjin et al., eq. 6), or their mean. Neurons
/// are summed in either, so that none depends on which others were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Over images.
    Sum,
    /// Over images.
    Mean,
}

/// What stands after the linear sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nonlinearity {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `ln(1 + exp x)`.
    Softplus,
    /// `exp(x)` below 0, `x + 1` above (ELU + 1).
    Elu,
    /// `exp(x)`.
    Exp,
}

impl Loss {
    /// Loss of a prediction `y` for a response `t`, in f64.
    pub fn of(self, t: f64, y: f64) -> f64 {
        match self {
            Loss::Squared => (y - t).powi(2),
            Loss::Poisson => y - t * (y + 1e-8).ln(),
        }
    }
}

impl Nonlinearity {
    /// The function, in f64.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Nonlinearity::Identity => x,
            // Not max, which loses NaN.
            Nonlinearity::Relu if x < 0.0 => 0.0,
            Nonlinearity::Relu => x,
            Nonlinearity::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Nonlinearity::Elu if x > 0.0 => x + 1.0,
            Nonlinearity::Elu | Nonlinearity::Exp => x.exp(),
        }
    }
}

/// In which units penalties are meant. The published ones differ by orders of magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyScale {
    /// Summed over weights and neurons (Cocjin et al., eqs. 4 and 5).
    Sum,
    /// Summed over the weights of a neuron, averaged over neurons (Cadena et al. 2019).
    MeanPerNeuron,
    /// L1 and L2 averaged over the weights of a neuron; the Laplacian's energy over the energy of the
    /// weights, for each neuron (the Laplacian of Sensorium's readouts).
    Normalised,
}

/// L1 of a factored readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorNorm {
    /// `l1 |M|₁ + feature_l1 |W|₁`.
    Sum,
    /// `l1 |M|₁ |W|₁` (Klindt et al. 2017).
    Product,
}

/// How a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Kingma and Ba 2015, with 0.9, 0.999 and 1e-8.
    Adam,
    /// `v = momentum v + g`, `w = w - rate v`.
    Sgd,
}

/// Where weights start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// Linear readouts: 0. Masks of a factored readout: `1 / sqrt(positions)`, its feature weights: 0.
    Flat,
    /// Normal, of deviation `sqrt(2 / inputs)` (He et al. 2015).
    He,
    /// Normal, of deviation `sqrt(2 / (inputs + outputs))` (Glorot and Bengio 2010).
    Xavier,
    /// Uniform within `1 / sqrt(inputs)`, what a layer of PyTorch has where nothing else is said.
    Plain,
    /// Normal, of deviation 0.02; masks of a factored readout are its absolute value.
    Small,
}

/// Penalties on one set of weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Penalties {
    /// On absolute values.
    pub l1: f64,
    /// On squares.
    pub l2: f64,
    /// On the squared Laplacian of each map, kernel `[[.5, 1, .5], [1, -6, 1], [.5, 1, .5]]`, zero beyond the
    /// edge.
    pub laplace: f64,
}

/// What features and responses are divided by, and what is taken off them, before training; measured on
/// training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// Nothing.
    None,
    /// Mean and deviation of each channel, over images and positions.
    Channel,
    /// Mean and deviation of each feature.
    Feature,
}

/// Everything that configurations which train together have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// What is computed.
    pub model: Model,
    /// The loss.
    pub loss: Loss,
    /// Over the images of a minibatch.
    pub reduction: Reduction,
    /// After the sum.
    pub nonlinearity: Nonlinearity,
    /// Units of the penalties.
    pub penalty_scale: PenaltyScale,
    /// L1 of factored readouts.
    pub factor_norm: FactorNorm,
    /// Whether weights (of a factored readout, both kinds) are held at 0 and above, as by `abs` in Klindt et
    /// al. 2017.
    pub non_negative: bool,
    /// Whether L1 is a proximal step, which makes zeros, or a subgradient.
    pub proximal: bool,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// Images of a minibatch.
    pub batch: usize,
    /// Most epochs.
    pub epochs: usize,
    /// Epochs without a better validation loss after which the rate drops, or training stops.
    pub patience: usize,
    /// How often the rate drops before training stops.
    pub drops: usize,
    /// What the rate is multiplied by at a drop, where the best weights are restored as well. Moments go on
    /// as they are.
    pub drop_factor: f64,
    /// What the rate is multiplied by after every epoch.
    pub decay: f64,
    /// Whether features are standardised.
    pub standardise: Standardise,
    /// Whether each neuron's responses are, by their mean and deviation over training images.
    pub standardise_responses: bool,
    /// Whether features lie on the device as f16.
    pub half_features: bool,
    /// Whether minibatches are drawn anew in every epoch, or follow the order of the training images.
    pub shuffle: bool,
    /// Draws the order of the images of each epoch, as the stream `minibatches EPOCH`.
    pub order_seed: u64,
}

/// One configuration among those that train together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Learning rate; of factored readouts that of the masks.
    pub learning_rate: f64,
    /// Of the feature weights and the bias of factored readouts, where it is another.
    pub feature_learning_rate: Option<f64>,
    /// Momentum of SGD.
    pub momentum: f64,
    /// On the weights; of factored readouts on the masks.
    pub penalties: Penalties,
    /// On the feature weights of factored readouts.
    pub feature_penalties: Penalties,
    /// Where weights start.
    pub initialisation: Initialisation,
    /// Draws the start: each set of weights has a stream `initialisation NAME`.
    pub seed: u64,
}

impl Settings {
    /// Rates, penalties and start that suit a readout of standardised features and responses under Adam: the
    /// penalties were chosen together on two recordings of macaque V4 and a simulation. Those of a factored readout are
    /// for [`FactorNorm::Product`]. Layers that all start from 0 would never move, so those of an `mlp` are drawn.
    pub fn usual(model: &Model) -> Self {
        let usual = Settings::default();
        let linear = |l1, l2, laplace| Settings {
            learning_rate: 2e-4,
            penalties: Penalties { l1, l2, laplace },
            ..usual.clone()
        };
        match model {
            Model::Factored => Settings {
                feature_learning_rate: Some(0.002),
                penalties: Penalties { l1: 0.008, l2: 0.04, laplace: 0.02 },
                ..usual
            },
            Model::Simple => linear(0.06, 3.0, 0.0),
            Model::Spatial => linear(0.03, 0.0, 20.0),
            Model::Mlp { .. } => {
                Settings { learning_rate: 1e-3, initialisation: Initialisation::Plain, ..usual }
            }
        }
    }
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            model: Model::Factored,
            loss: Loss::Squared,
            reduction: Reduction::Mean,
            nonlinearity: Nonlinearity::Identity,
            penalty_scale: PenaltyScale::Sum,
            factor_norm: FactorNorm::Sum,
            non_negative: false,
            proximal: false,
            optimiser: Optimiser::Adam,
            batch: 32,
            epochs: 20,
            patience: 5,
            drops: 0,
            drop_factor: 0.3,
            decay: 0.9,
            standardise: Standardise::Channel,
            standardise_responses: true,
            half_features: false,
            shuffle: true,
            order_seed: 0,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            learning_rate: 0.006,
            feature_learning_rate: None,
            momentum: 0.9,
            penalties: Penalties::default(),
            feature_penalties: Penalties::default(),
            initialisation: Initialisation::Flat,
            seed: 0,
        }
    }
}
