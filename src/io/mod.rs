//! Host files to host arrays and back. Nothing here knows a GPU.

pub mod images;
pub mod npy;
pub mod resize;
pub mod commit;
pub mod hash;
mod response_table;
pub mod responses;
pub mod split;
