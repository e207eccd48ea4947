//! GPU engine for models of visual cortex.

pub mod doctor;
pub mod error;
pub mod gpu;
pub mod io;
#[path = "../kernels/mod.rs"]
pub mod kernels;
pub mod networks;
pub mod numbers;
pub mod random;
pub mod scores;
pub mod simulate;

pub use error::{Error, Kind, Result};
