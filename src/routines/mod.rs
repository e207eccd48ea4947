//! Several kernels that make one mathematical act. Knows matrices and maps, not images or neurons.

mod change;
mod cholesky;
mod gram;
mod mode;
mod noise;
mod product;
mod running;
mod sine;
mod winograd;
mod winograd_tiles;

pub use change::{BASELINE, change_over_median, without_slow_part};
pub use cholesky::{Solved, Systems};
pub use gram::Gram;
pub use mode::{windowed_mode, windowed_mode_bytes};
pub use noise::noise;
pub use product::{PIECE_ROWS, multiply_rows, upload_rows};
pub use running::{Window, odd_frames, running_quantile, running_quantile_bytes};
pub use sine::SineRotation;
pub use winograd::{Channels, Scratch, ScratchWords, WinogradFilters, filter_words, scratch_words};
pub use winograd_tiles::{Reach, tiling};
