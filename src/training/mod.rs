//! Readouts fitted by gradient descent: whole grids of configurations at once, as columns of the same matrices.

mod settings;

pub use settings::{
    Activation, FactorNorm, Initialisation, Loss, Model, Nonlinearity, Optimiser, Penalties, PenaltyScale,
    Reduction, Settings, Shared, Standardise,
};
