//! Largest value of a sliding window, sizes rounded down and NaN kept as PyTorch's `max_pool2d` does.

use super::case::Case;
use super::parts::PARTS;
use super::pooling::{self, Window};
use super::trials::{maps_trial, random_maps};
use crate::error::Result;
use crate::gpu::{Kernel, Launch, Maps};
use crate::numbers::Bounded;
use ndarray::{Array4, ArrayView4};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("max_pool", include_str!("max_pool.wgsl"), PARTS);

/// `y = max over windows of x`.
pub struct MaxPool<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// Output maps.
    pub y: &'a Maps,
    /// The window.
    pub window: Window,
}

impl MaxPool<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers.
    pub fn launch(&self) -> Result<Launch> {
        pooling::launch(&KERNEL, self.x, self.y, self.window)
    }
}

/// The same on the host: nothing is rounded.
pub fn oracle(x: ArrayView4<'_, f32>, window: Window) -> Array4<Bounded> {
    pooling::windows(x, window, |w| {
        let larger =
            |best: f64, v: &f32| if best.is_nan() || f64::from(*v) <= best { best } else { (*v).into() };
        Bounded::exact(w.iter().fold(f64::NEG_INFINITY, larger))
    })
}

fn case(shape: [usize; 4], kernel: usize, stride: usize, strange: &'static [(usize, f32)]) -> Case {
    let label = format!("{shape:?}, {kernel} by {kernel} stride {stride} {strange:?}");
    Case::new(label, move |gpu| {
        let window = Window { kernel, stride };
        let mut x = random_maps(shape, (shape[1] * 31 + shape[2]) as u64, false);
        for (at, value) in strange {
            if let Some(v) = x.iter_mut().nth(*at) {
                *v = *value;
            }
        }
        let want = oracle(x.view(), window);
        maps_trial(gpu, &x, &want, |x, y| MaxPool { x, y, window }.launch())
    })
}

/// Sizes that hurt: one pixel, a window that leaves rows over, one that skips, and values that comparisons
/// lose.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 1, 1, 1], 1, 1, &[]),
        case([2, 5, 7, 11], 3, 2, &[]),
        case([3, 6, 10, 9], 2, 3, &[]),
        case([1, 3, 5, 4], 2, 2, &[(0, f32::NAN), (7, -f32::NAN), (22, f32::INFINITY), (23, f32::NAN)]),
        case([1, 2, 4, 4], 2, 2, &[(0, f32::NEG_INFINITY), (1, f32::NEG_INFINITY), (14, f32::INFINITY)]),
        case(
            [1, 1, 2, 3],
            2,
            1,
            &[(0, f32::NEG_INFINITY), (1, f32::NEG_INFINITY), (3, f32::NEG_INFINITY), (4, f32::NEG_INFINITY)],
        ),
        case([4, 64, 55, 55], 3, 2, &[]).timed(),
    ]
}
