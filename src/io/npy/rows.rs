//! Slices of a long array along its first axis, without holding the array.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use super::archive::Inflate;
use super::header::Header;
use super::values::{decode_f32, read_values};
use super::{ArrayInfo, Found, locate};
use crate::error::{Error, Kind, Result};

/// An open array whose rows (slices along axis 0: images, frames, trials) are read on demand.
///
/// `.npy` files and uncompressed `.npz` members are sought in; a compressed member is decompressed from the
/// front, and from the front again when a range lies before the last one.
pub struct Rows {
    place: PathBuf,
    info: ArrayInfo,
    header: Header,
    /// Elements in one row.
    row: usize,
    /// Values reserved at most before the data has been seen.
    at_once: usize,
    source: Source,
}

enum Source {
    /// A file whose array, header included, begins at this byte.
    Plain(File, u64),
    Compressed(Box<Inflate>),
}

impl Rows {
    /// Opens an array of at least one axis in C order; `member` names an array of an `.npz` (or the path
    /// does, as in `FILE.npz:member`).
    ///
    /// # Errors
    /// Whatever [`super::read`] refuses, a single number, and columns-first (Fortran) order.
    pub fn open(path: &Path, member: Option<&str>) -> Result<Self> {
        let Found { place, path, file, length, member, header } = locate(path, member)?;
        if header.fortran {
            let advice = "Save numpy.ascontiguousarray(array) instead";
            return Err(Error::input(
                &place,
                "the array is stored columns first (Fortran order)",
                "rows one after the other",
                advice,
            ));
        }
        let Some((&rows, rest)) = header.shape.split_first() else {
            return Err(Error::input(&place, "the array is a single number", "at least one axis", ""));
        };
        let row = if rows == 0 { 0 } else { rest.iter().product() };
        let source = match &member {
            None => Source::Plain(file, 0),
            Some(m) if m.stored => Source::Plain(file, m.start),
            Some(m) => Source::Compressed(Box::new(Inflate::open(&path, m)?)),
        };
        let info = super::info_of(member.map(|m| m.name), &header);
        let at_once = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Rows { place, info, header, row, at_once, source })
    }

    /// Name, shape and element type of the whole array.
    pub fn info(&self) -> &ArrayInfo {
        &self.info
    }

    /// The rows `range`, shape `[range.len(), rest of the shape...]`; `u8` gives 0 to 255.
    ///
    /// # Errors
    /// A range outside the array; data that cannot be read.
    pub fn read(&mut self, range: Range<usize>) -> Result<ArrayD<f32>> {
        let rows = self.header.shape.first().copied().unwrap_or(0);
        if range.start > range.end || range.end > rows {
            let found = format!("rows {} to {} were asked for", range.start, range.end);
            return Err(Error::new(
                Kind::Usage,
                self.place.display(),
                found,
                format!("rows within 0 to {rows}"),
                "",
            ));
        }
        // Within the array, whose bytes were counted when it was opened: these products cannot overflow.
        let from = self.header.start + (range.start * self.row * self.header.element.bytes()) as u64;
        let count = range.len() * self.row;
        let values = match &mut self.source {
            Source::Plain(file, base) => {
                file.seek(SeekFrom::Start(*base + from))
                    .map_err(|why| Error::unreadable(&self.place, &why))?;
                read_values(&self.place, file, &self.header, count, self.at_once, decode_f32)?
            }
            Source::Compressed(inflate) => {
                inflate.seek(from)?;
                read_values(&self.place, inflate, &self.header, count, self.at_once, decode_f32)?
            }
        };
        let mut shape = self.header.shape.clone();
        shape[0] = range.len();
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|why| {
            Error::input(&self.place, format!("its shape {shape:?} is impossible ({why})"), "", "")
        })
    }
}
