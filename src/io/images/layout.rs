//! What each axis of an array of images is.

use ndarray::{ArrayViewD, IxDyn};

use crate::io::resize::Size;

/// The shapes that images have.
pub(crate) const SHAPES: &str = "(images, height, width), with the channels (1 or 3) behind as (images, height, \
                                 width, channels) or in front as (images, channels, height, width)";

/// What the axes of an array of images are; the first one counts images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Layout {
    pub(crate) size: Size,
    /// 1 or 3.
    pub(crate) channels: usize,
    channels_first: bool,
}

impl Layout {
    /// The layout of a shape, or what is wrong with it.
    pub(crate) fn of(shape: &[usize]) -> Result<Self, String> {
        let found = |height, width, channels, channels_first| {
            Ok(Layout { size: Size { height, width }, channels, channels_first })
        };
        if shape.contains(&0) {
            return Err(format!("an array without a pixel, of the shape {shape:?}"));
        }
        match *shape {
            [_, _, 3] => Err(format!(
                "the shape {shape:?} may be one image with three channels, or grey images that are 3 pixels wide"
            )),
            [_, height, width] => found(height, width, 1, false),
            [_, 1 | 3, _, 1 | 3] => {
                Err(format!("the shape {shape:?} has its channels at the second axis or at the last"))
            }
            [_, height, width, channels @ (1 | 3)] => found(height, width, channels, false),
            [_, channels @ (1 | 3), height, width] => found(height, width, channels, true),
            [_, 2, _, _] | [_, _, _, 2] => {
                Err(format!("the shape {shape:?} has two channels, and every network takes grey or RGB"))
            }
            _ => Err(format!("the shape {shape:?}")),
        }
    }

    /// Images of one size, (images, height, width) or (images, height, width, 3).
    pub(crate) fn plain(size: Size, channels: usize) -> Self {
        Layout { size, channels, channels_first: false }
    }

    /// Values of an image.
    pub(crate) fn values(&self) -> usize {
        self.size.height * self.size.width * self.channels
    }

    /// One image, or several one after the other, pixel by pixel.
    pub(crate) fn interleaved(&self, images: ArrayViewD<f32>) -> Vec<f32> {
        match (self.channels_first, images.as_slice()) {
            (true, Some(values)) => values.chunks_exact(self.values()).flat_map(|i| self.turned(i)).collect(),
            (true, None) => {
                let axes = images.ndim();
                let order: Vec<usize> = (0..axes - 3).chain([axes - 2, axes - 1, axes - 3]).collect();
                images.permuted_axes(IxDyn(&order)).iter().copied().collect()
            }
            (false, Some(pixels)) => pixels.to_vec(),
            (false, None) => images.iter().copied().collect(),
        }
    }

    /// Planes of channels, one after the other, pixel by pixel. By hand, for ndarray takes eight times as
    /// long to walk axes whose number it learns at run time.
    fn turned(&self, planes: &[f32]) -> Vec<f32> {
        let mut pixels = vec![0.0; planes.len()];
        for (channel, plane) in planes.chunks_exact(planes.len() / self.channels).enumerate() {
            for (pixel, value) in pixels.chunks_exact_mut(self.channels).zip(plane) {
                pixel[channel] = *value;
            }
        }
        pixels
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use ndarray::{Array4, Axis};

    #[test]
    fn shapes_are_understood_or_refused() {
        let of = |shape: &[usize]| Layout::of(shape).map(|l| (l.size.height, l.size.width, l.channels));
        assert_eq!(of(&[5, 9, 7]), Ok((9, 7, 1)));
        assert_eq!(of(&[5, 9, 7, 3]), Ok((9, 7, 3)));
        assert_eq!(of(&[5, 9, 7, 1]), Ok((9, 7, 1)));
        assert_eq!(of(&[5, 1, 9, 7]), Ok((9, 7, 1)));
        assert_eq!(of(&[5, 3, 9, 7]), Ok((9, 7, 3)));
        for ambiguous in [&[5, 3, 7, 3][..], &[5, 1, 7, 3], &[5, 1, 7, 1], &[224, 224, 3]] {
            assert!(of(ambiguous).is_err_and(|e| e.contains("or")), "{ambiguous:?}");
        }
        assert!(of(&[5, 9, 7, 2]).is_err_and(|e| e.contains("two channels")));
        for wrong in [&[][..], &[5], &[5, 9], &[5, 9, 7, 4], &[5, 2, 9, 7], &[1, 5, 3, 9, 7], &[5, 0, 7]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn channels_in_front_are_interleaved_whatever_the_order_in_memory() {
        let images =
            Array4::from_shape_fn([2, 3, 4, 5], |(i, c, y, x)| (i * 1000 + c * 100 + y * 10 + x) as f32);
        let layout = Layout::of(&[2, 3, 4, 5]).unwrap();
        let want: Vec<f32> = images.view().permuted_axes([0, 2, 3, 1]).iter().copied().collect();
        assert_eq!(layout.interleaved(images.view().into_dyn()), want);
        let turned = images.view().permuted_axes([3, 2, 1, 0]).as_standard_layout().into_owned();
        let same = turned.view().permuted_axes([3, 2, 1, 0]);
        assert_eq!(layout.interleaved(same.into_dyn()), want);
        let second = images.index_axis(Axis(0), 1);
        assert_eq!(layout.interleaved(second.into_dyn()), want[60..]);
    }
}
