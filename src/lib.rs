//! GPU engine for models of visual cortex.

pub mod error;
pub mod io;
pub mod random;
pub mod scores;
pub mod simulate;

pub use error::{Error, Kind, Result};
