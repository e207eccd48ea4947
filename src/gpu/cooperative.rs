//! Cooperative matrices, which a subgroup multiplies together: whether an adapter has them, and whether it is right.

use super::device::{Family, Gpu};
use super::kernel::{Grid, Kernel, Launch};
use super::recording::Recording;
use crate::error::Result;
use wgpu::CooperativeScalarType::{F16, F32};

static EIGHT: Kernel = Kernel::new("cooperative_test", include_str!("wgsl/cooperative_test8.wgsl"), &[]);
static SIXTEEN: Kernel = Kernel::new("cooperative_test", include_str!("wgsl/cooperative_test16.wgsl"), &[]);

fn size(family: Family) -> Option<u32> {
    match family {
        Family::Tiled | Family::Broadcast => None,
        Family::Cooperative8 => Some(8),
        Family::Cooperative16 => Some(16),
    }
}

/// Whether an adapter has what a family needs: square matrices of f16 summed in f32, and subgroups of one width, which
/// is that of a workgroup.
pub(super) fn has(adapter: &wgpu::Adapter, family: Family) -> bool {
    let Some(size) = size(family) else { return true };
    let info = adapter.get_info();
    let fits = |p: &wgpu::CooperativeMatrixProperties| {
        [p.m_size, p.n_size, p.k_size] == [size; 3] && p.ab_type == F16 && p.cr_type == F32
    };
    adapter.features().contains(features(family))
        && info.subgroup_min_size == info.subgroup_max_size
        && adapter.cooperative_matrix_properties().iter().any(fits)
}

/// The features to ask for.
pub(super) fn features(family: Family) -> wgpu::Features {
    let wanted = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16;
    if size(family).is_some() { wanted } else { wgpu::Features::empty() }
}

/// The consent to experimental features that wgpu wants.
pub(super) fn consent(family: Family) -> wgpu::ExperimentalFeatures {
    if size(family).is_none() {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: of the experimental features only cooperative matrices are asked for. Our kernels load and store them
    // within workgroup memory, by whole subgroups.
    #[allow(unsafe_code, reason = "the only way to a device with cooperative matrices")]
    unsafe {
        wgpu::ExperimentalFeatures::enabled()
    }
}

impl Gpu {
    /// Whether the product of two small matrices of whole numbers is right; true where the family has none.
    pub(super) fn multiplies_matrices(&self) -> Result<bool> {
        let Some(size) = size(self.family()) else { return Ok(true) };
        let n = size as usize;
        let product = self.allocate("cooperative self-test", n * n)?;
        let mut recording = Recording::new();
        let kernel = if size == 8 { &EIGHT } else { &SIXTEEN };
        recording.add(Launch::new(kernel, Grid::Items(1)).write("product", &product));
        self.run(&recording)?;
        let left = |i: usize| (i * 7 % 13) as f32;
        let right = |i: usize| (i * 5 % 11) as f32;
        let value = |i: usize| (0..n).map(|k| left(i / n * n + k) * right(i % n * n + k)).sum::<f32>();
        Ok(self.download::<f32>(&product)?.into_iter().eq((0..n * n).map(value)))
    }
}
