//! Host files to host arrays and back. Nothing here knows a GPU.

pub mod images;
pub mod npy;
pub mod resize;
