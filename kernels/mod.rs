//! The kernels: one stem is one kernel, with its WGSL, its launch, its f64 oracle and its cases side by side.
//!
//! [`ALL`] is the one list; interface checks, lints, oracle tests, benches and the resource table follow from
//! it.

pub mod activate;
pub mod activate_gradient;
pub mod adaptive_average_pool;
pub mod average_pool;
pub mod case;
pub mod centre;
pub mod cholesky_block;
pub mod cholesky_rest;
pub mod column_means;
pub mod conv2d;
pub mod copy_columns;
pub mod factor_gradient;
pub mod factor_spread;
pub mod factor_sum;
mod fit;
pub mod gather_rows;
pub mod gemm;
pub mod key_bits;
pub mod key_counts;
pub mod key_split;
pub mod keys;
pub mod laplacian;
pub mod local_response;
pub mod maps_to_rows;
pub mod max_pool;
pub mod multiply_add;
pub mod oasis_pools;
pub mod oasis_sums;
pub mod oasis_trace;
pub mod panel_sum;
mod parts;
pub mod penalty_sums;
pub mod pooling;
pub mod pools;
pub mod readout_loss;
pub mod relative_change;
pub mod relu;
pub mod ridge_losses;
pub mod row_statistics;
pub mod running_mean;
pub mod running_mode;
pub mod running_quantile;
pub mod scale_columns;
pub mod shrink;
pub mod sine_transform;
pub mod transpose;
mod trials;
pub mod update_weights;
pub mod window_response;
pub mod winograd;
pub mod winograd_input;
pub mod winograd_output;

use crate::gpu::Kernel;
use case::Case;

/// A kernel and the cases that it is tested and timed by.
pub struct Entry {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its cases: sizes and values that hurt.
    pub cases: fn() -> Vec<Case>,
}

macro_rules! all {
    ($($name:ident)*) => {
        /// Every kernel, by name.
        pub static ALL: &[Entry] = &[$(Entry { kernel: &$name::KERNEL, cases: $name::cases }),*];
    };
}

all! {
    conv2d gemm winograd_input winograd_output
    max_pool average_pool adaptive_average_pool local_response relu
    maps_to_rows transpose column_means centre row_statistics
    panel_sum shrink ridge_losses multiply_add
    cholesky_block cholesky_rest
    sine_transform scale_columns
    gather_rows copy_columns factor_sum factor_gradient factor_spread
    activate activate_gradient readout_loss laplacian penalty_sums update_weights
    oasis_pools oasis_trace oasis_sums
    key_bits key_counts key_split running_quantile running_mode running_mean
    relative_change window_response
}
