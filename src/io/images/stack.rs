//! Images as one array in a `.npy` or `.npz` file, or read one range after the other by something else.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

use super::picture::{Picture, Samples};
use crate::error::{Error, Result};
use crate::io::npy::{self, ArrayInfo, Element, Rows};
use crate::io::resize::Size;

const SHAPES: &str = "(images, height, width), (images, height, width, 3), (images, 1, height, width) or \
                      (images, 3, height, width)";

/// Where the channels lie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    Grey,
    ChannelsLast,
    ChannelsFirst,
}

/// Reads a range of images: (images, height, width), and (images, height, width, 3) in colour.
pub type ReadImages = dyn Fn(Range<usize>) -> Result<ArrayD<f32>> + Send + Sync;

/// What reads images.
enum Reader {
    /// One reader for all batches: reopening a compressed member would read it again from its start.
    Rows(Mutex<Rows>),
    Other(Box<ReadImages>),
}

/// One array of images.
pub(super) struct Stack {
    read: Reader,
    layout: Layout,
    pub(super) count: usize,
    pub(super) size: Size,
    pub(super) channels: usize,
    pub(super) element: Element,
}

impl Stack {
    /// Finds the one array of images in a file and understands its shape.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let arrays = npy::info(path)?;
        let array = match arrays.as_slice() {
            [one] => one,
            many => {
                let mut fitting = many.iter().filter(|a| layout(&a.shape).is_ok());
                match (fitting.next(), fitting.next()) {
                    (Some(one), None) => one,
                    _ => return Err(no_single_array(path, many)),
                }
            }
        };
        let (layout, size, channels) = layout(&array.shape).map_err(|found| {
            Error::input(path, found, SHAPES, "Reshape or transpose the array and save it again")
        })?;
        if !matches!(array.element, Element::U8 | Element::F32 | Element::F64) {
            let found = format!("the images are stored as {:?}", array.element);
            return Err(Error::input(
                path,
                found,
                "u8 (0..255), f32 or f64",
                "Convert the array with .astype()",
            ));
        }
        let count = array.shape[0];
        if [count, size.height, size.width].contains(&0) {
            let found = format!("an array without a pixel: {:?}", array.shape);
            return Err(Error::input(path, found, SHAPES, ""));
        }
        let read = Reader::Rows(Mutex::new(Rows::open(path, array.name.as_deref())?));
        Ok(Stack { read, layout, count, size, channels, element: array.element })
    }

    /// Images of 1 or 3 channels that `read` gives; as bytes, if these are whole numbers from 0 to 255.
    pub(super) fn read_by(
        [count, channels]: [usize; 2],
        size: Size,
        bytes: bool,
        read: Box<ReadImages>,
    ) -> Self {
        let layout = if channels == 1 { Layout::Grey } else { Layout::ChannelsLast };
        let element = if bytes { Element::U8 } else { Element::F32 };
        Stack { read: Reader::Other(read), layout, count, size, channels, element }
    }

    /// Reads some images as the file holds them: the first axis counts images.
    pub(super) fn read(&self, images: Range<usize>) -> Result<ArrayD<f32>> {
        match &self.read {
            Reader::Rows(rows) => rows.lock().unwrap_or_else(PoisonError::into_inner).read(images),
            Reader::Other(read) => read(images),
        }
    }

    /// One image of what [`Stack::read`] gave.
    pub(super) fn picture(&self, images: &ArrayD<f32>, index: usize) -> Picture {
        let image: ArrayViewD<f32> = images.index_axis(Axis(0), index);
        let interleaved = match (self.layout, image.as_slice()) {
            (Layout::ChannelsFirst, Some(planes)) => interleave(planes, self.channels),
            (Layout::ChannelsFirst, None) => image.permuted_axes(IxDyn(&[1, 2, 0])).iter().copied().collect(),
            (_, Some(pixels)) => pixels.to_vec(),
            (_, None) => image.iter().copied().collect(),
        };
        let samples = match self.element {
            // The reader gives bytes as floats; they are whole numbers in 0..255.
            Element::U8 => Samples::Bytes(interleaved.into_iter().map(|x| x as u8).collect()),
            _ => Samples::Floats(interleaved),
        };
        Picture { size: self.size, channels: self.channels, samples }
    }
}

/// Planes of channels, one after the other, pixel by pixel. By hand, for ndarray takes eight times as long to
/// walk axes whose number it learns at run time.
fn interleave(planes: &[f32], channels: usize) -> Vec<f32> {
    let mut pixels = vec![0.0; planes.len()];
    for (channel, plane) in planes.chunks_exact(planes.len() / channels).enumerate() {
        for (pixel, value) in pixels.chunks_exact_mut(channels).zip(plane) {
            pixel[channel] = *value;
        }
    }
    pixels
}

fn no_single_array(path: &Path, arrays: &[ArrayInfo]) -> Error {
    let list: Vec<_> =
        arrays.iter().map(|a| format!("{} {:?}", a.name.as_deref().unwrap_or("unnamed"), a.shape)).collect();
    let found = if list.is_empty() { "no array".into() } else { format!("the arrays {}", list.join(", ")) };
    Error::input(path, found, format!("exactly one array of {SHAPES}"), "Save the images alone")
}

/// Layout, size and channels of a shape, or what is wrong with it.
fn layout(shape: &[usize]) -> std::result::Result<(Layout, Size, usize), String> {
    let found = |layout, height, width, channels| Ok((layout, Size { height, width }, channels));
    match *shape {
        [_, _, 3] => Err(format!(
            "the shape {shape:?} may be one image with three channels, or grey images that are 3 pixels wide"
        )),
        [_, height, width] => found(Layout::Grey, height, width, 1),
        [_, 1 | 3, _, 3] => {
            Err(format!("the shape {shape:?} has its channels at the second axis or at the last"))
        }
        [_, height, width, 3] => found(Layout::ChannelsLast, height, width, 3),
        [_, channels @ (1 | 3), height, width] => found(Layout::ChannelsFirst, height, width, channels),
        _ => Err(format!("the shape {shape:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_understood_or_refused() {
        let size = |height, width| Size { height, width };
        assert_eq!(layout(&[5, 9, 7]), Ok((Layout::Grey, size(9, 7), 1)));
        assert_eq!(layout(&[5, 9, 7, 3]), Ok((Layout::ChannelsLast, size(9, 7), 3)));
        assert_eq!(layout(&[5, 1, 9, 7]), Ok((Layout::ChannelsFirst, size(9, 7), 1)));
        assert_eq!(layout(&[5, 3, 9, 7]), Ok((Layout::ChannelsFirst, size(9, 7), 3)));
        for ambiguous in [&[5, 3, 7, 3][..], &[5, 1, 7, 3], &[224, 224, 3]] {
            assert!(layout(ambiguous).is_err_and(|e| e.contains("or")), "{ambiguous:?}");
        }
        for wrong in [&[][..], &[5], &[5, 9], &[5, 9, 7, 4], &[5, 2, 9, 7], &[1, 5, 3, 9, 7]] {
            assert!(layout(wrong).is_err(), "{wrong:?}");
        }
    }
}
