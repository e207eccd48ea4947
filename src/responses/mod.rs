//! From traces to responses: one number for each neuron and presentation, arranged by image and repeat.
//!
//! Knows arrays and the GPU, not files: whoever reads a recording hands over its traces a block at a time.

mod arrangement;
pub mod auto;
mod covariates;
mod definition;
mod dff;
mod windows;

pub use arrangement::{Arrangement, standardise};
pub use covariates::{Regressed, regress_out};
pub use definition::{Definition, Frames, NAMES, Span, Statistic};
pub use dff::{Dff, change, working_bytes};
pub use windows::window_responses;
