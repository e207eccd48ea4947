//! Images of one size one after the other: an array in a `.npy` or `.npz` file, the pages of a TIFF, or what
//! something else reads.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayD, Axis};

use super::layout::{Layout, SHAPES};
use super::picture::{Picture, Values};
use super::scale::{Scale, Seen};
use super::tiff::Tiff;
use crate::error::{Error, Result};
use crate::io::npy::{self, ArrayInfo, Element, Rows};
use crate::io::resize::Size;

/// Reads a range of images: (images, height, width), and (images, height, width, 3) in colour.
pub type ReadImages = dyn Fn(Range<usize>) -> Result<ArrayD<f32>> + Send + Sync;

/// What reads images.
enum Reader {
    /// One reader for all batches: reopening a compressed member would read it again from its start.
    Rows(Mutex<Rows>),
    Pages(Box<Mutex<Tiff>>),
    Other(Box<ReadImages>, Scale),
}

/// One array of images.
pub(super) struct Stack {
    path: PathBuf,
    read: Reader,
    layout: Layout,
    pub(super) count: usize,
    pub(super) element: Element,
}

impl Stack {
    /// Finds the one array of images in a file and understands its shape.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let arrays = npy::info(path)?;
        let array = match arrays.as_slice() {
            [one] => one,
            many => {
                let mut fitting = many.iter().filter(|a| Layout::of(&a.shape).is_ok());
                match (fitting.next(), fitting.next()) {
                    (Some(one), None) => one,
                    _ => return Err(no_single_array(path, many)),
                }
            }
        };
        let layout = Layout::of(&array.shape).map_err(|found| {
            Error::input(path, found, SHAPES, "Reshape or transpose the array and save it again")
        })?;
        let read = Reader::Rows(Mutex::new(Rows::open(path, array.name.as_deref())?));
        Ok(Stack { path: path.into(), read, layout, count: array.shape[0], element: array.element })
    }

    /// The pages of a TIFF, which must be of one kind.
    pub(super) fn pages(path: &Path) -> Result<Self> {
        let mut tiff = Tiff::open(path)?;
        let (first, count) = (tiff.page(0)?, tiff.pages());
        for number in 1..count {
            let page = tiff.page(number)?;
            if page != first {
                let place = format!("{}, page {number}", path.display());
                let found =
                    format!("{} and {:?}, where page 0 is {} and {:?}", page.size, page, first.size, first);
                let advice = "Save the pages that are stimuli as files of their own";
                return Err(Error::input(Path::new(&place), found, "pages of one size and kind", advice));
            }
        }
        let layout = Layout::plain(first.size, first.channels);
        Ok(Stack {
            path: path.into(),
            read: Reader::Pages(Box::new(Mutex::new(tiff))),
            layout,
            count,
            element: first.element,
        })
    }

    /// Images of 1 or 3 channels that `read` gives, on a scale.
    pub(super) fn read_by(
        path: &Path,
        [count, channels]: [usize; 2],
        size: Size,
        scale: Scale,
        read: Box<ReadImages>,
    ) -> Self {
        let layout = Layout::plain(size, channels);
        Stack { path: path.into(), read: Reader::Other(read, scale), layout, count, element: Element::F32 }
    }

    pub(super) fn size(&self) -> Size {
        self.layout.size
    }

    pub(super) fn channels(&self) -> usize {
        self.layout.channels
    }

    /// Bytes that one image takes while it is read.
    pub(super) fn bytes_each(&self) -> u64 {
        // As floats, as they lie in the file, and interleaved.
        (self.layout.values() * (8 + self.element.bytes())) as u64
    }

    /// What its numbers mean, where that is known already.
    pub(super) fn known_scale(&self) -> Option<Scale> {
        if let Reader::Other(_, scale) = self.read { Some(scale) } else { None }
    }

    /// Looks at all images, so many at once, as long as they can tell anything.
    pub(super) fn look(&self, at_once: usize) -> Result<Seen> {
        let mut seen = Seen::default();
        for first in (0..self.count).step_by(at_once) {
            if seen.is_settled(self.element) {
                break;
            }
            let read = self.read(first..(first + at_once).min(self.count))?;
            if let Some(said) = read.said {
                seen.hear(said);
            }
            let values = read.values.as_slice().unwrap_or_default();
            seen.look(self.element, values, &self.path)?;
        }
        Ok(seen)
    }

    /// Reads some images as the file holds them: the first axis counts images.
    pub(super) fn read(&self, images: Range<usize>) -> Result<Read> {
        let whole = |values| Ok(Read { values, said: None });
        match &self.read {
            Reader::Rows(rows) => whole(rows.lock().unwrap_or_else(PoisonError::into_inner).read(images)?),
            Reader::Other(read, _) => whole(read(images)?),
            Reader::Pages(tiff) => {
                let mut tiff = tiff.lock().unwrap_or_else(PoisonError::into_inner);
                let shape = [images.len(), self.layout.values()];
                let (mut all, mut said) = (Vec::with_capacity(shape[0] * shape[1]), 0);
                for number in images {
                    let page = tiff.read(number)?;
                    said = said.max(page.said);
                    match page.values {
                        Values::Bytes(bytes) => all.extend(bytes.into_iter().map(f32::from)),
                        Values::Numbers(values) => all.extend(values),
                    }
                }
                let values = ArrayD::from_shape_vec(shape.to_vec(), all);
                let values = values.map_err(|why| Error::internal(self.path.display(), why))?;
                Ok(Read { values, said: Some(said) })
            }
        }
    }

    /// One image of what [`Stack::read`] gave.
    pub(super) fn picture(&self, images: &Read, index: usize, scale: &Scale) -> Picture {
        let values = self.layout.interleaved(images.values.index_axis(Axis(0), index));
        let samples = scale.samples(self.element, values);
        Picture { size: self.layout.size, channels: self.layout.channels, samples }
    }
}

/// Images as a source holds them.
pub(super) struct Read {
    values: ArrayD<f32>,
    /// The fewest bits that a TIFF says its samples have.
    said: Option<u32>,
}

fn no_single_array(path: &Path, arrays: &[ArrayInfo]) -> Error {
    let list: Vec<_> =
        arrays.iter().map(|a| format!("{} {:?}", a.name.as_deref().unwrap_or("unnamed"), a.shape)).collect();
    let found = if list.is_empty() { "no array".into() } else { format!("the arrays {}", list.join(", ")) };
    Error::input(path, found, format!("exactly one array of {SHAPES}"), "Save the images alone")
}
