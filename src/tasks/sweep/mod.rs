//! Sweeps: grids of configurations, trained together where they share features, scored, and compared.

mod configuration;
mod grid;
mod job;
mod journal;
mod range;
mod result;
mod summary;
mod tables;
mod train;
mod work;

pub use configuration::{Base, Configuration, configurations};
pub use grid::{Grid, TABLES};
pub use job::{SweepJob, SweepPlan, SweepProgress, SweepRequest, SweepStatus, all_diverged, sweep};
pub use summary::{SweepSummary, TopRow};
