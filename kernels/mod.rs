//! The kernels: one stem is one kernel, with its WGSL, its launch, its f64 oracle and its cases side by side.
//!
//! [`ALL`] is the one list; interface checks, lints, oracle tests, benches and the resource table follow from it.

pub mod case;
pub mod conv2d;
pub mod gemm;
pub mod panel_sum;
pub mod ridge_losses;
pub mod shrink;

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

all! { conv2d gemm panel_sum ridge_losses shrink }
