//! Several kernels that make one mathematical act. Knows matrices, not images or neurons.

mod gram;
mod product;
mod sine;

pub use gram::Gram;
pub use product::{PIECE_ROWS, multiply_rows, upload_rows};
pub use sine::SineRotation;
