//! Several kernels that make one mathematical act. Knows matrices, not images or neurons.

mod gram;
mod product;

pub use gram::Gram;
pub use product::{PIECE_ROWS, multiply_rows, upload_rows};
