#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

pub mod bench;
pub mod doctor;
pub mod error;
pub mod events;
pub mod experiment;
pub mod features;
pub mod gpu;
pub mod host;
pub mod io;
#[path = "../kernels/mod.rs"]
pub mod kernels;
pub mod networks;
pub mod numbers;
pub mod random;
pub mod report;
pub mod responses;
pub mod ridge;
pub mod routines;
pub mod scores;
pub mod simulate;
pub mod tasks;
pub mod training;

pub use error::{Error, Kind, Result};
