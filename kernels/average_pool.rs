//! Mean of a sliding window without padding, sizes rounded down as PyTorch's `avg_pool2d` does.

use super::case::Case;
use super::parts::PARTS;
use super::pooling::{self, Window};
use super::trials::{maps_trial, random_maps};
use crate::error::Result;
use crate::gpu::{Kernel, Launch, Maps};
use crate::numbers::Bounded;
use ndarray::{Array4, ArrayView2, ArrayView4};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("average_pool", include_str!("average_pool.wgsl"), PARTS);

/// `y = mean over windows of x`.
pub struct AveragePool<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// Output maps.
    pub y: &'a Maps,
    /// The window.
    pub window: Window,
}

impl AveragePool<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers.
    pub fn launch(&self) -> Result<Launch> {
        pooling::launch(&KERNEL, self.x, self.y, self.window)
    }
}

/// Mean of a window in f64. Added to the sum's bound are 2.5 ULP, WGSL's accuracy of a division; the mean of
/// one value is the value, and a sum of small integers divided by a power of two is exact on every GPU known.
pub(super) fn mean(window: ArrayView2<'_, f32>, exact: bool) -> Bounded {
    let n = window.len() as f64;
    let value = window.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let magnitude = window.iter().map(|v| f64::from(*v).abs()).sum::<f64>() / n;
    if exact || window.len() == 1 {
        return Bounded::exact(value);
    }
    let sum = Bounded::sum(value, magnitude, window.len());
    Bounded { bound: sum.bound + 5.0 * crate::numbers::UNIT * value.abs(), ..sum }
}

/// The same in f64.
pub fn oracle(x: ArrayView4<'_, f32>, window: Window, exact: bool) -> Array4<Bounded> {
    pooling::windows(x, window, |w| mean(w, exact))
}

fn case(shape: [usize; 4], kernel: usize, stride: usize, exact: bool) -> Case {
    let label =
        format!("{shape:?}, {kernel} by {kernel} stride {stride}{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let window = Window { kernel, stride };
        let x = random_maps(shape, (shape[1] * 37 + shape[2]) as u64, exact);
        let want = oracle(x.view(), window, exact);
        maps_trial(gpu, &x, &want, |x, y| AveragePool { x, y, window }.launch())
    })
}

/// Sizes that hurt: one pixel, windows that leave rows over, skip some or overlap, and one that is the whole
/// map.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 1, 1, 1], 1, 1, true),
        case([1, 3, 4, 3], 1, 2, true),
        case([2, 5, 7, 11], 2, 2, true),
        case([3, 6, 10, 9], 2, 3, true),
        case([2, 7, 13, 17], 3, 2, false),
        case([1, 10, 11, 11], 11, 1, false),
        case([4, 64, 56, 56], 2, 2, false).timed(),
    ]
}
