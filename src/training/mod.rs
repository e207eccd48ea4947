//! Readouts fitted by gradient descent: whole grids of configurations at once, as columns of the same
//! matrices.
//!
//! Neurons and configurations are independent of each other given the features, so that a column's numbers
//! are the same to the bit whichever columns stand beside it. Features stay on the device; each minibatch is
//! gathered once for all columns.

mod batch;
mod block;
mod check;
mod columns;
mod course;
mod curves;
mod dense;
mod factored;
mod features;
mod loss;
mod losses;
mod network;
mod options;
mod readout;
#[cfg(test)]
mod reference;
mod settings;
mod start;
mod state;
mod targets;
#[cfg(test)]
mod tests;
mod trainer;

pub use curves::{CurvePoint, Measure, Tier};
pub use features::Resident;
pub use options::{PENALTY_OPTIONS, READOUTS, TrainingOptions, WIDTHS};
pub use readout::{Linear, Readout};
pub use settings::{
    Activation, FactorNorm, Initialisation, Loss, Model, Nonlinearity, Optimiser, Penalties, PenaltyScale,
    Reduction, Settings, Shared, Standardise,
};
pub use trainer::{Data, Outcome, Trainer, products, weights};
