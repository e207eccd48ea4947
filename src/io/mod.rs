//! Host files to host arrays and back. Nothing here knows a GPU.

pub mod commit;
pub mod disk;
pub mod file;
pub mod hash;
pub mod image_names;
pub mod images;
pub mod labels;
pub mod npy;
pub mod resize;
mod response_table;
pub mod responses;
pub mod split;
pub mod store;
pub mod table;
pub mod trials;
pub mod weights;
