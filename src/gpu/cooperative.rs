//! Cooperative matrices, which a subgroup multiplies together: whether an adapter has them, and whether it is
//! right.

use super::device::Gpu;
use super::family::Family;
use super::kernel::{Grid, Kernel, Launch};
use super::recording::Recording;
use super::shader::Parts;
use crate::error::Result;
use wgpu::CooperativeScalarType::{F16, F32};

const PARTS: &Parts = &[("cooperative_test", include_str!("wgsl/cooperative_test.wgsl"))];

/// The head of the test for matrices of one size.
macro_rules! head {
    ($size:literal) => {
        concat!(
            "enable f16;\nenable wgpu_cooperative_matrix;\n//!use cooperative_test\nconst SIZE: u32 = ",
            $size,
            "u;\nalias Left = coop_mat",
            $size,
            "x",
            $size,
            "<f16, A>;\nalias Right = coop_mat",
            $size,
            "x",
            $size,
            "<f16, B>;\nalias Sums = coop_mat",
            $size,
            "x",
            $size,
            "<f32, C>;\n"
        )
    };
}

static EIGHT: Kernel = Kernel::new("cooperative_test", head!("8"), PARTS);
static SIXTEEN: Kernel = Kernel::new("cooperative_test", head!("16"), PARTS);

/// What an adapter does not have that kernels with matrices of this size need: square matrices of f16 summed
/// in f32, and subgroups of one width, which is that of a workgroup.
pub(super) fn lack(adapter: &wgpu::Adapter, size: u32) -> Option<String> {
    let info = adapter.get_info();
    let missing = FEATURES - adapter.features();
    let fits = |p: &wgpu::CooperativeMatrixProperties| {
        [p.m_size, p.n_size, p.k_size] == [size; 3] && p.ab_type == F16 && p.cr_type == F32
    };
    if missing.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        Some("the adapter has no cooperative matrices".into())
    } else if missing.contains(wgpu::Features::SHADER_F16) {
        Some("the adapter has no f16 in shaders".into())
    } else if info.subgroup_min_size != info.subgroup_max_size {
        let (least, most) = (info.subgroup_min_size, info.subgroup_max_size);
        Some(format!("the adapter's subgroups have {least} to {most} lanes, not one number"))
    } else if !adapter.cooperative_matrix_properties().iter().any(fits) {
        Some(format!("the adapter has no cooperative matrices of f16, {size} x {size}, summed in f32"))
    } else {
        None
    }
}

const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

fn is_cooperative(family: Family) -> bool {
    matches!(family, Family::Cooperative8 | Family::Cooperative16)
}

/// The features to ask for.
pub(super) fn features(family: Family) -> wgpu::Features {
    if is_cooperative(family) { FEATURES } else { wgpu::Features::empty() }
}

/// The consent to experimental features that wgpu wants.
pub(super) fn consent(family: Family) -> wgpu::ExperimentalFeatures {
    if !is_cooperative(family) {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: of the experimental features only cooperative matrices are asked for. Our kernels load and
    // store them within workgroup memory, by whole subgroups.
    #[allow(unsafe_code, reason = "the only way to a device with cooperative matrices")]
    unsafe {
        wgpu::ExperimentalFeatures::enabled()
    }
}

impl Gpu {
    /// Whether the product of two small matrices of this size, of whole numbers, is right.
    pub(super) fn multiplies_matrices(&self, size: usize) -> Result<bool> {
        let product = self.allocate("cooperative self-test", size * size)?;
        let mut recording = Recording::new();
        let kernel = if size == 8 { &EIGHT } else { &SIXTEEN };
        recording.add(Launch::new(kernel, Grid::Items(1)).write("product", &product));
        self.run(&recording)?;
        let unit = |row: usize| if row % 2 == 1 { 1.0 / 16_777_216.0 } else { 1.0 };
        let left = |i: usize| (i * 7 % 13) as f32 * unit(i / size);
        let right = |i: usize| (i * 5 % 11) as f32;
        let value = |i: usize| {
            let (row, column) = (i / size * size, i % size * size);
            (0..size).map(|k| left(row + k) * right(column + k)).sum::<f32>()
        };
        Ok(self.download::<f32>(&product)?.into_iter().eq((0..size * size).map(value)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// That of sixteen has run nowhere yet: it has to be the other's text with another size.
    #[test]
    fn both_tests_are_one_text() {
        let of = |kernel: &'static Kernel| kernel.source(Family::Tiled).unwrap();
        let ((eight, small), (sixteen, large)) = (of(&EIGHT), of(&SIXTEEN));
        let resized = eight.replace("8x8", "16x16").replace("SIZE: u32 = 8u", "SIZE: u32 = 16u");
        assert_eq!(resized, sixteen);
        assert_eq!((small.workgroup_bytes, large.workgroup_bytes), (2 * 2 * 64, 2 * 2 * 256));
    }
}
