//! Host files to host arrays and back. Nothing here knows a GPU.

pub mod commit;
pub mod hash;
pub mod npy;
mod response_table;
pub mod responses;
pub mod split;
