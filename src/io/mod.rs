//! Host files to host arrays and back. Nothing here knows a GPU.

pub mod npy;
pub mod weights;
