//! What max_pool and average_pool share: a square window that slides without padding, sizes rounded down.

use super::conv2d::output_side;
use super::fit::{check_maps, wrong};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, LONGEST_LOOP, Launch, Maps};
use ndarray::{Array4, ArrayView2, ArrayView4, s};

/// A sliding window: its side and its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: usize,
    /// Step from one window to the next.
    pub stride: usize,
}

/// The launch of a pooling kernel.
pub(super) fn launch(kernel: &'static Kernel, x: &Maps, y: &Maps, window: Window) -> Result<Launch> {
    check_maps(kernel.name(), &[("x", x), ("y", y)])?;
    if window.kernel == 0 || window.stride == 0 || window.kernel > LONGEST_LOOP as usize {
        return wrong(kernel.name(), format!("{window:?} is empty, stands still or is too large"));
    }
    let side = |size| output_side(size, window.kernel, window.stride, 0);
    let expected = [side(x.height), side(x.width)];
    if expected != [Some(y.height), Some(y.width)] || [x.images, x.channels] != [y.images, y.channels] {
        return wrong(kernel.name(), format!("{y:?} is not {x:?} pooled by {window:?} to {expected:?}"));
    }
    let items = y.images * y.quads() * y.area();
    Ok(Launch::new(kernel, Grid::Items(items))
        .constant("SIDE", window.kernel as f64)
        .read("x", &x.buffer)
        .write("y", &y.buffer)
        .set("items", items)
        .set("in_height", x.height)
        .set("in_width", x.width)
        .set("out_height", y.height)
        .set("out_width", y.width)
        .set("stride", window.stride)
        .cost(4.0 * items as f64 * (window.kernel * window.kernel) as f64))
}

/// Every window's value of maps `[images, channels, height, width]`.
pub(super) fn windows<T>(
    x: ArrayView4<'_, f32>,
    window: Window,
    value: impl Fn(ArrayView2<'_, f32>) -> T,
) -> Array4<T> {
    let (images, channels, height, width) = x.dim();
    let side = |size| output_side(size, window.kernel, window.stride, 0).unwrap_or(0);
    Array4::from_shape_fn((images, channels, side(height), side(width)), |(i, c, row, column)| {
        let (top, left) = (row * window.stride, column * window.stride);
        value(x.slice(s![i, c, top..top + window.kernel, left..left + window.kernel]))
    })
}
