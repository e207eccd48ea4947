//! Mean pooling to a given size, as PyTorch's `adaptive_avg_pool2d`: output i of S is the mean of inputs
//! floor(i H / S) to ceil((i + 1) H / S).

use super::average_pool::mean;
use super::case::Case;
use super::fit::{check_maps, wrong};
use super::parts::PARTS;
use super::trials::{maps_trial, random_maps};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Maps};
use crate::numbers::Bounded;
use ndarray::{Array4, ArrayView4, s};

/// The kernel.
pub static KERNEL: Kernel =
    Kernel::new("adaptive_average_pool", include_str!("adaptive_average_pool.wgsl"), PARTS);

/// `y = x` averaged to the size of `y`, which may be smaller or larger.
pub struct AdaptiveAveragePool<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// Output maps.
    pub y: &'a Maps,
}

impl AdaptiveAveragePool<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if images or channels differ, maps are empty, or buffers are too short.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, name) = (self.x, self.y, KERNEL.name());
        check_maps(name, &[("x", x), ("y", y)])?;
        if [x.images, x.channels] != [y.images, y.channels] || x.area() == 0 || y.area() == 0 {
            return wrong(name, format!("{y:?} cannot be pooled from {x:?}"));
        }
        let items = y.images * y.quads() * y.area();
        let taps = x.height.div_ceil(y.height) * x.width.div_ceil(y.width);
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("in_height", x.height)
            .set("in_width", x.width)
            .set("out_height", y.height)
            .set("out_width", y.width)
            .cost(4.0 * (items * (taps + 1)) as f64))
    }
}

/// The same in f64, to `[height, width]`.
pub fn oracle(x: ArrayView4<'_, f32>, [height, width]: [usize; 2], exact: bool) -> Array4<Bounded> {
    let (images, channels, in_height, in_width) = x.dim();
    let span =
        |i: usize, outputs: usize, inputs: usize| i * inputs / outputs..((i + 1) * inputs).div_ceil(outputs);
    Array4::from_shape_fn((images, channels, height, width), |(i, c, row, column)| {
        let (rows, columns) = (span(row, height, in_height), span(column, width, in_width));
        mean(x.slice(s![i, c, rows, columns]), exact)
    })
}

fn case(shape: [usize; 4], size: [usize; 2], exact: bool) -> Case {
    let label = format!("{shape:?} to {size:?}{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let x = random_maps(shape, (shape[1] * 41 + shape[2]) as u64, exact);
        let want = oracle(x.view(), size, exact);
        maps_trial(gpu, &x, &want, |x, y| AdaptiveAveragePool { x, y }.launch())
    })
}

/// Sizes that hurt: one pixel, the same size, windows that overlap, more outputs than inputs, one output.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 1, 1, 1], [1, 1], true),
        case([2, 5, 6, 6], [6, 6], true),
        case([1, 6, 8, 12], [4, 6], true),
        case([2, 7, 13, 11], [6, 7], false),
        case([1, 3, 2, 3], [7, 5], false),
        case([1, 3, 1, 1], [6, 6], true),
        case([2, 10, 9, 7], [1, 1], false),
        case([4, 256, 13, 13], [6, 6], false).timed(),
    ]
}
