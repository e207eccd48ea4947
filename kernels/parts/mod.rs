//! WGSL that kernels share: functions, structs and interfaces without entry points, pulled in by `//!use
//! name`.

use crate::gpu::Parts;

/// Every part, by name.
pub static PARTS: &Parts = &[
    ("average", include_str!("average.wgsl")),
    ("columns", include_str!("columns.wgsl")),
    ("compensated", include_str!("compensated.wgsl")),
    ("conv2d_interface", include_str!("conv2d_interface.wgsl")),
    ("eight_rows", include_str!("eight_rows.wgsl")),
    ("gemm_interface", include_str!("gemm_interface.wgsl")),
    ("grid", include_str!("grid.wgsl")),
    ("keys", include_str!("keys.wgsl")),
    ("laplace", include_str!("laplace.wgsl")),
    ("nan", include_str!("nan.wgsl")),
    ("nonlinearity", include_str!("nonlinearity.wgsl")),
    ("panels", include_str!("panels.wgsl")),
    ("pairs", include_str!("pairs.wgsl")),
    ("pool_interface", include_str!("pool_interface.wgsl")),
    ("ridge_losses_interface", include_str!("ridge_losses_interface.wgsl")),
    ("split_product", include_str!("split_product.wgsl")),
    ("vectors", include_str!("vectors.wgsl")),
    ("winograd", include_str!("winograd.wgsl")),
    ("winograd_input_interface", include_str!("winograd_input_interface.wgsl")),
    ("winograd_output_interface", include_str!("winograd_output_interface.wgsl")),
];
