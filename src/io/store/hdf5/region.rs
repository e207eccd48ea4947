//! Regions of arrays of numbers.

use std::ops::Range;

use half::f16;
use hdf5_reader::error::{Error as Damage, Result as Parsed};
use hdf5_reader::{ByteOrder, Dataset, Datatype, H5Type, SliceInfo, SliceInfoElem};
use ndarray::ArrayD;

use super::super::{ArrayMember, ElementType, Layout};
use super::{Grown, Hdf5, Values, check_region, knows_filter, place, types};
use crate::error::Result;
use crate::io::npy::Element;

/// Bytes that the crate takes to look up one chunk.
const ENTRY: usize = 128;

impl Hdf5 {
    /// A region of an array of numbers, as stored.
    pub(super) fn read_region(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        let (array, dataset) = self.dataset(name)?;
        let ElementType::Number(element) = array.element else {
            let found = match &array.element {
                ElementType::Other(what) => format!("it holds {what}"),
                _ => "it holds texts".into(),
            };
            return self.refuse(
                name,
                found,
                "numbers",
                "Name another array, or save these values as numbers",
            );
        };
        if types::is_unusual(&dataset.raw_datatype().map_err(|why| self.damaged(name, &why))?) {
            let found = "its numbers have an unusual bit layout";
            return self.refuse(name, found, "IEEE floats or whole integers", "Save it again as float32");
        }
        check_region(&place(self, name), &array.shape, region)?;
        self.check_stored(name, &array, &dataset)?;
        let grown = Grown::of(&self.file, &dataset).map_err(|why| self.damaged(name, &why))?;
        // Copies that are made on the way: the crate makes none of what can stay as it is.
        let held = match element {
            _ if grown.is_some() => 2,
            Element::Bool | Element::F16 => 3,
            _ if array.storage.big_endian != cfg!(target_endian = "big") => 2,
            _ => 1,
        };
        self.check_size(name, &array, region, element.bytes(), held)?;
        if let Some(grown) = grown {
            let bytes = grown.read(&self.file, region).map_err(|why| self.damaged(name, &why))?;
            let shape: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
            let big_endian = array.storage.big_endian;
            let values = Values::from_bytes(element, &bytes, big_endian, &shape);
            return values.map_err(|why| self.damaged(name, &Damage::InvalidData(why)));
        }
        let slice = |range: &Range<usize>| SliceInfoElem::Slice {
            start: range.start as u64,
            end: range.end as u64,
            step: 1,
        };
        let slice = SliceInfo { selections: region.iter().map(slice).collect() };
        macro_rules! each {
            ($($variant:ident: $number:ty),*) => {
                match element {
                    $(Element::$variant => dataset.read_slice::<$number>(&slice).map(Values::$variant),)*
                    Element::Bool => unwrapped(dataset.read_slice(&slice), |Truth(v)| v).map(Values::Bool),
                    Element::F16 => unwrapped(dataset.read_slice(&slice), |Half(v)| v).map(Values::F16),
                }
            };
        }
        let values = each!(
            U8: u8, I8: i8, U16: u16, I16: i16, U32: u32, I32: i32, U64: u64, I64: i64, F32: f32, F64: f64
        );
        values.map_err(|why| self.damaged(name, &why))
    }

    /// Refuses what has no values in this file, and filters that cannot be undone.
    pub(super) fn check_stored(&self, name: &str, array: &ArrayMember, dataset: &Dataset) -> Result<()> {
        match array.storage.layout {
            Layout::Null => {
                return self.refuse(name, "it has a type and no data (it is empty)", "an array of data", "");
            }
            Layout::External => {
                let advice =
                    "Other files are not followed: copy the values into one file, for example with h5py";
                return self.refuse(name, "its values are in other files", "values in this file", advice);
            }
            Layout::Compact | Layout::Contiguous | Layout::Chunked(_) => {}
        }
        if !array.is_empty() && self.is_unwritten(dataset) {
            let advice = "The program that made the file reserved this array and never filled it";
            return self.refuse(name, "no data was ever written to it", "an array of data", advice);
        }
        if let Some(filter) = array.storage.filters.iter().find(|filter| !knows_filter(filter.id)) {
            let found =
                format!("its chunks went through the filter {} ({})", filter.id, filter.name.escape_debug());
            let wanted = "gzip, shuffle, fletcher32, nbit, scaleoffset or no filter";
            let advice = "Write it again without this filter, for example with h5repack -f GZIP=4";
            return self.refuse(name, found, wanted, advice);
        }
        Ok(())
    }

    /// Whether there is not even a place for the values.
    fn is_unwritten(&self, dataset: &Dataset) -> bool {
        use hdf5_reader::io::Cursor;
        use hdf5_reader::messages::{HdfMessage, layout::DataLayout};
        let Ok(header) = self.file.get_or_parse_header(dataset.address()) else { return false };
        let width = self.file.superblock().offset_size;
        header.messages.iter().any(|message| match message {
            HdfMessage::DataLayout(message) => match message.layout {
                DataLayout::Contiguous { address, .. } | DataLayout::Chunked { address, .. } => {
                    Cursor::is_undefined_offset(address, width)
                }
                DataLayout::Compact { .. } => false,
            },
            _ => false,
        })
    }

    /// Refuses what would take more memory than the length of the file justifies: a region of elements of
    /// `width` bytes, each held `held` times over.
    pub(super) fn check_size(
        &self,
        name: &str,
        array: &ArrayMember,
        region: &[Range<usize>],
        width: usize,
        held: usize,
    ) -> Result<()> {
        let product = |lengths: &mut dyn Iterator<Item = usize>| {
            lengths.fold(1_usize, |all, length| all.saturating_mul(length))
        };
        let count = product(&mut region.iter().map(ExactSizeIterator::len));
        let mut all = count.saturating_mul(width).saturating_mul(held);
        if let Layout::Chunked(chunk) = &array.storage.layout {
            let one = product(&mut chunk.iter().copied()).saturating_mul(width);
            self.check_limit(name, "one chunk", one, self.limits.chunk)?;
            let visited = |(range, &length): (&Range<usize>, &usize)| {
                if range.is_empty() || length == 0 {
                    1
                } else {
                    (range.end - 1) / length - range.start / length + 1
                }
            };
            let chunks = product(&mut region.iter().zip(chunk).map(visited));
            all = all.saturating_add(chunks.saturating_mul(ENTRY));
        } else {
            // The file has each of these bytes.
            let bytes = array.len().saturating_mul(width);
            if bytes as u64 > self.length {
                let found = format!("its shape promises {bytes} bytes and the file has {}", self.length);
                let advice = "The file is damaged or cut off: copy it again";
                return self.refuse(name, found, "the whole array", advice);
            }
        }
        self.check_limit(name, "the region", all, self.limits.result)
    }

    pub(super) fn check_limit(&self, name: &str, what: &str, bytes: usize, most: usize) -> Result<()> {
        if bytes > most {
            let found = format!("{what} would take {bytes} bytes of memory from a file of {}", self.length);
            let advice =
                "If the data is genuine, read less at once, or save it in smaller chunks or uncompressed";
            return self.refuse(name, found, &format!("at most {most}"), advice);
        }
        Ok(())
    }
}
fn unwrapped<T: Clone + 'static, U: Clone + 'static>(
    read: Parsed<ArrayD<T>>,
    inner: fn(T) -> U,
) -> Parsed<ArrayD<U>> {
    read.map(|array| array.mapv_into_any(inner))
}

/// The byte of h5py's `bool`.
#[derive(Clone)]
struct Truth(bool);

/// An IEEE float of two bytes.
#[derive(Clone)]
struct Half(f16);

fn too_short() -> Damage {
    Damage::InvalidData("a value is shorter than its type".into())
}

impl H5Type for Truth {
    fn hdf5_type() -> Datatype {
        Datatype::FixedPoint { size: 1, signed: true, byte_order: ByteOrder::LittleEndian }
    }

    fn from_bytes(bytes: &[u8], _: &Datatype) -> Parsed<Self> {
        bytes.first().map(|&byte| Truth(byte != 0)).ok_or_else(too_short)
    }

    fn element_size(_: &Datatype) -> usize {
        1
    }
}

impl H5Type for Half {
    fn hdf5_type() -> Datatype {
        Datatype::FloatingPoint { size: 2, byte_order: ByteOrder::LittleEndian }
    }

    fn from_bytes(bytes: &[u8], datatype: &Datatype) -> Parsed<Self> {
        let bytes: [u8; 2] = bytes.try_into().map_err(|_| too_short())?;
        Ok(Half(match datatype {
            Datatype::FloatingPoint { byte_order: ByteOrder::BigEndian, .. } => f16::from_be_bytes(bytes),
            _ => f16::from_le_bytes(bytes),
        }))
    }

    fn element_size(_: &Datatype) -> usize {
        2
    }
}
