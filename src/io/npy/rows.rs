//! Slices of a long array along its first axis, without holding the array.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Slice};

use super::elsewhere::Elsewhere;
use super::values::{Decode, decode_f32, decode_f64};
use super::{ArrayInfo, Regions};
use crate::error::{Error, Kind, Result};
use crate::io::store::Store;

/// Bytes of rows that are read at once where the file holds columns first: each read goes through all of
/// it.
const BLOCK: usize = 256 << 20;

/// An open array whose rows (slices along axis 0: images, frames, trials) are read on demand, whatever the
/// order in the file.
///
/// `.npy` files and uncompressed `.npz` members are sought in; a compressed member is decompressed from the
/// front, and from the front again when a range lies before the last one. HDF5 unpacks the chunks that it
/// needs.
pub struct Rows {
    source: Source,
    info: ArrayInfo,
    /// For messages: the file, with the array in it if that has a name.
    place: PathBuf,
    /// Bytes that rows take, at most, which are read together and kept where the file holds columns first.
    block: usize,
    kept: Option<Box<(Range<usize>, ArrayD<f64>)>>,
}

/// Reads a region of an array of a store.
type OfStore<T> = fn(&dyn Store, &str, &[Range<usize>]) -> Result<ArrayD<T>>;

enum Source {
    Numpy(Box<Regions>),
    Elsewhere(Box<Elsewhere>),
}

impl Rows {
    /// Opens an array of at least one axis; `member` names an array in the file (or the path does, as in
    /// `FILE:NAME`).
    ///
    /// # Errors
    /// Whatever [`super::read`] refuses, and a single number.
    pub fn open(path: &Path, member: Option<&str>) -> Result<Self> {
        let (source, info, place) = match Elsewhere::open(path, member)? {
            Some(array) => {
                let (info, place) = (array.info.clone(), array.place());
                (Source::Elsewhere(Box::new(array)), info, place)
            }
            None => {
                let regions = Regions::open(path, member)?;
                let (info, place) = (regions.info(), regions.place().to_path_buf());
                (Source::Numpy(Box::new(regions)), info, place)
            }
        };
        if info.shape.is_empty() {
            return Err(Error::input(&place, "the array is a single number", "at least one axis", ""));
        }
        Ok(Rows { source, info, place, block: BLOCK, kept: None })
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
        self.check(&range)?;
        if self.columns_first() {
            return Ok(self.block(range)?.mapv(|value| value as f32));
        }
        self.rows(range, decode_f32, |store, name, region| store.floats(name, region))
    }

    /// The same as f64.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn read_f64(&mut self, range: Range<usize>) -> Result<ArrayD<f64>> {
        self.check(&range)?;
        if self.columns_first() {
            return self.block(range);
        }
        self.doubles(range)
    }

    fn check(&self, range: &Range<usize>) -> Result<()> {
        let rows = self.info.shape[0];
        if range.start > range.end || range.end > rows {
            let found = format!("rows {} to {} were asked for", range.start, range.end);
            let wanted = format!("rows within 0 to {rows}");
            return Err(Error::new(Kind::Usage, self.place.display(), found, wanted, ""));
        }
        Ok(())
    }

    fn columns_first(&self) -> bool {
        matches!(&self.source, Source::Numpy(regions) if regions.columns_first())
    }

    /// Rows of an array that lies columns first, of a block that is kept.
    fn block(&mut self, range: Range<usize>) -> Result<ArrayD<f64>> {
        let inside = |kept: &Range<usize>| kept.start <= range.start && range.end <= kept.end;
        if !self.kept.as_ref().is_some_and(|kept| inside(&kept.0)) {
            let row = self.info.shape[1..].iter().fold(8_usize, |all, &n| all.saturating_mul(n)).max(8);
            let end = range.start.saturating_add(self.block / row).clamp(range.end, self.info.shape[0]);
            self.kept = None;
            self.kept = Some(Box::new((range.start..end, self.doubles(range.start..end)?)));
        }
        let Some((kept, block)) = self.kept.as_deref() else { return self.doubles(range) };
        let within = Slice::from(range.start - kept.start..range.end - kept.start);
        Ok(block.slice_axis(Axis(0), within).to_owned())
    }

    fn doubles(&mut self, range: Range<usize>) -> Result<ArrayD<f64>> {
        self.rows(range, decode_f64, |store, name, region| store.doubles(name, region))
    }

    fn rows<T: Clone>(
        &mut self,
        range: Range<usize>,
        decode: Decode<T>,
        of_store: OfStore<T>,
    ) -> Result<ArrayD<T>> {
        let mut region: Vec<Range<usize>> = self.info.shape.iter().map(|&length| 0..length).collect();
        region[0] = range;
        match &mut self.source {
            Source::Numpy(regions) => regions.part(&region, decode),
            Source::Elsewhere(array) => of_store(array.store.as_ref(), &array.name, &region),
        }
    }

    #[cfg(test)]
    pub(super) fn with_block(mut self, bytes: usize) -> Self {
        self.block = bytes;
        self
    }
}
