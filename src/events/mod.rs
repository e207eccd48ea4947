//! Events from calcium traces: OASIS on the device, its AR(2) form, fast-OOPSI and the L0 method on the
//! host's cores. Knows arrays and the device, no files.

pub mod allen;
pub mod ar2;
mod constrained;
mod infer;
pub mod l0;
mod missing;
pub mod noise;
mod oasis;
pub mod oopsi;
mod planes;

pub use constrained::{Wanted, constrain};
pub use infer::{DecayFrom, Fitted, Inferred, Method, infer, traces_at_once};
pub use missing::filled;
pub use oasis::{Model, Oasis, Pool, Sums, bound, expand, reference};
