//! Regions of an array, elements as stored, without holding the array.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use super::archive::Inflate;
use super::header::Header;
use super::stored::Values;
use super::values::{Decode, decode_stored};
use super::{ArrayInfo, Element, Found, info_of, load, locate};
use crate::error::{Error, Kind, Result};

/// Bytes read at a time at most.
const PIECE: usize = 1 << 16;

/// An open array of which regions are read, elements as stored.
///
/// `.npy` files and uncompressed `.npz` members are sought in; a compressed member is decompressed from where
/// the last region ended, and from the front where a region lies before that.
pub struct Regions {
    /// For messages: the file, with the member if there is one.
    place: PathBuf,
    path: PathBuf,
    member: Option<String>,
    header: Header,
    /// Values reserved at most before the data has been seen.
    at_once: usize,
    source: Forward,
}

impl Regions {
    /// Opens an array; `member` names an array of an `.npz` (or the path does, as in `FILE.npz:member`).
    ///
    /// # Errors
    /// Whatever [`super::read`] refuses.
    pub fn open(path: &Path, member: Option<&str>) -> Result<Self> {
        let Found { place, path, mut file, length, member, header } = locate(path, member)?;
        let source = match &member {
            Some(member) if !member.stored => Forward::Compressed(Box::new(Inflate::open(&path, member)?)),
            _ => {
                let start = member.as_ref().map_or(0, |member| member.start);
                file.seek(SeekFrom::Start(start)).map_err(|why| Error::unreadable(&place, &why))?;
                Forward::Plain(BufReader::new(file), 0)
            }
        };
        let at_once = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Regions { place, path, member: member.map(|member| member.name), header, at_once, source })
    }

    /// A region, one range an axis, in C order whatever the order in the file. The checksum of an `.npz` is
    /// compared where all of the array is read.
    ///
    /// # Errors
    /// A region that is not within the array; data that cannot be read.
    pub fn read(&mut self, region: &[Range<usize>]) -> Result<Values> {
        let shape = &self.header.shape;
        let within = region.len() == shape.len()
            && region
                .iter()
                .zip(shape)
                .all(|(range, &length)| range.start <= range.end && range.end <= length);
        if !within {
            let asked = format!("the region {region:?} was asked for");
            let wanted = format!("a region of the shape {shape:?}");
            return Err(Error::new(Kind::Usage, self.place.display(), asked, wanted, ""));
        }
        let whole = region.iter().zip(shape).all(|(range, &length)| range.len() == length);
        macro_rules! each {
            ($($variant:ident: $number:ty),*) => {
                match self.header.element {
                    $(Element::$variant => Values::$variant(if whole {
                        load(&self.path, self.member.as_deref(), decode_stored::<$number>)?
                    } else {
                        self.part(region, decode_stored::<$number>)?
                    }),)*
                }
            };
        }
        Ok(each!(
            Bool: bool, U8: u8, I8: i8, U16: u16, I16: i16, U32: u32, I32: i32, U64: u64, I64: i64,
            F16: half::f16, F32: f32, F64: f64
        ))
    }

    /// For messages: the file, with the member if there is one.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// What the array is.
    pub(super) fn info(&self) -> ArrayInfo {
        info_of(self.member.clone(), &self.header)
    }

    /// Whether the file holds columns first (Fortran order).
    pub(super) fn columns_first(&self) -> bool {
        self.header.fortran
    }

    /// A region that is within the array, in C order.
    pub(super) fn part<T: Clone>(&mut self, region: &[Range<usize>], decode: Decode<T>) -> Result<ArrayD<T>> {
        let header = &self.header;
        // In the order of the file.
        let (mut shape, mut region) = (header.shape.clone(), region.to_vec());
        if header.fortran {
            shape.reverse();
            region.reverse();
        }
        let runs = Runs::new(&shape, &region);
        let counts: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
        let mut values = Vec::with_capacity(counts.iter().product::<usize>().min(self.at_once));
        // Within the array, whose bytes were counted when its header was read: these products cannot
        // overflow.
        let width = header.element.bytes();
        let mut piece = vec![0; PIECE.min(runs.length * width)];
        runs.each(|first| {
            self.source.to(header.start + (first * width) as u64, &self.place)?;
            let mut left = runs.length * width;
            while left > 0 {
                let bytes = &mut piece[..left.min(PIECE)];
                self.source.fill(bytes).map_err(|why| {
                    let found = format!("the data cannot be read beyond element {} ({why})", values.len());
                    let advice = "The file is damaged: copy or save it again";
                    Error::input(&self.place, found, "the whole array", advice)
                })?;
                decode(bytes, header, &mut values);
                left -= bytes.len();
            }
            Ok(())
        })?;
        let array = ArrayD::from_shape_vec(IxDyn(&counts), values).map_err(|why| {
            Error::input(&self.place, format!("its shape {counts:?} is impossible ({why})"), "an array", "")
        })?;
        Ok(if header.fortran { array.reversed_axes().as_standard_layout().into_owned() } else { array })
    }
}

/// Runs of elements that lie one after the other, in the order of the file.
struct Runs {
    /// Lengths of the axes that are walked, slowest first, and elements from one index to the next.
    axes: Vec<(Range<usize>, usize)>,
    /// Elements of one run.
    length: usize,
    /// First element of the first run, from the walked axes' zero.
    base: usize,
}

impl Runs {
    /// Both in the order of the file, slowest axis first.
    fn new(shape: &[usize], region: &[Range<usize>]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            // Saturates only where another axis is empty.
            strides[axis - 1] = usize::saturating_mul(strides[axis], shape[axis]);
        }
        let mut axes: Vec<_> = region.iter().cloned().zip(strides).collect();
        let (mut length, mut base) = (1, 0);
        // The fastest axes that are whole are one run with the next slower one.
        while let Some((range, stride)) = axes.pop() {
            length *= range.len();
            base += range.start.saturating_mul(stride);
            if range.len() != shape[axes.len()] {
                break;
            }
        }
        Runs { axes, length, base }
    }

    /// Calls with the first element of each run.
    fn each(&self, mut visit: impl FnMut(usize) -> Result<()>) -> Result<()> {
        if self.length == 0 || self.axes.iter().any(|(range, _)| range.is_empty()) {
            return Ok(());
        }
        let mut at: Vec<usize> = self.axes.iter().map(|(range, _)| range.start).collect();
        loop {
            visit(self.base + at.iter().zip(&self.axes).map(|(&i, (_, stride))| i * stride).sum::<usize>())?;
            let mut axis = at.len();
            loop {
                let Some(slower) = axis.checked_sub(1) else { return Ok(()) };
                axis = slower;
                at[axis] += 1;
                if at[axis] < self.axes[axis].0.end {
                    break;
                }
                at[axis] = self.axes[axis].0.start;
            }
        }
    }
}

/// Bytes of the array file from its beginning, best gone through forwards.
enum Forward {
    Plain(BufReader<File>, u64),
    Compressed(Box<Inflate>),
}

impl Forward {
    fn to(&mut self, byte: u64, place: &Path) -> Result<()> {
        match self {
            Forward::Plain(file, at) => {
                let ahead = byte as i64 - *at as i64;
                file.seek_relative(ahead).map_err(|why| Error::unreadable(place, &why))?;
                *at = byte;
                Ok(())
            }
            Forward::Compressed(inflate) => inflate.seek(byte),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        match self {
            Forward::Plain(file, at) => {
                *at += bytes.len() as u64;
                file.read_exact(bytes)
            }
            Forward::Compressed(inflate) => inflate.read_exact(bytes),
        }
    }
}
