//! A region of an array, elements as stored, without holding the array.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use super::archive::Inflate;
use super::stored::Values;
use super::values::{Decode, decode_stored};
use super::{Element, Found, load, locate};
use crate::error::{Error, Kind, Result};

/// Bytes read at a time at most.
const PIECE: usize = 1 << 16;

/// Reads a region of an array, one range an axis, with its elements as stored; in C order whatever the order
/// in the file. `member` names an array of an `.npz`. The checksum of an `.npz` is compared where all of the
/// array is read.
///
/// # Errors
/// Whatever [`super::read`] refuses; a region that is not within the array.
pub fn read_region(path: &Path, member: Option<&str>, region: &[Range<usize>]) -> Result<Values> {
    let found = locate(path, member)?;
    let shape = &found.header.shape;
    let within = region.len() == shape.len()
        && region.iter().zip(shape).all(|(range, &length)| range.start <= range.end && range.end <= length);
    if !within {
        let asked = format!("the region {region:?} was asked for");
        let wanted = format!("a region of the shape {shape:?}");
        return Err(Error::new(Kind::Usage, found.place.display(), asked, wanted, ""));
    }
    let whole = region.iter().zip(shape).all(|(range, &length)| range.len() == length);
    macro_rules! each {
        ($($variant:ident: $number:ty),*) => {
            match found.header.element {
                $(Element::$variant => Values::$variant(if whole {
                    load(path, member, decode_stored::<$number>)?
                } else {
                    part(found, region, decode_stored::<$number>)?
                }),)*
            }
        };
    }
    Ok(each!(
        Bool: bool, U8: u8, I8: i8, U16: u16, I16: i16, U32: u32, I32: i32, U64: u64, I64: i64,
        F16: half::f16, F32: f32, F64: f64
    ))
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
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        let mut axes: Vec<_> = region.iter().cloned().zip(strides).collect();
        let (mut length, mut base) = (1, 0);
        // The fastest axes that are whole are one run with the next slower one.
        while let Some((range, stride)) = axes.pop() {
            length *= range.len();
            base += range.start * stride;
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

/// Bytes of the array file from its beginning, which are only gone through forwards.
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

fn part<T: Clone>(found: Found, region: &[Range<usize>], decode: Decode<T>) -> Result<ArrayD<T>> {
    let Found { place, path, mut file, length, member, header } = found;
    let mut source = match &member {
        Some(member) if !member.stored => Forward::Compressed(Box::new(Inflate::open(&path, member)?)),
        _ => {
            let start = member.map_or(0, |member| member.start);
            file.seek(SeekFrom::Start(start)).map_err(|why| Error::unreadable(&place, &why))?;
            Forward::Plain(BufReader::new(file), 0)
        }
    };
    // In the order of the file.
    let (mut shape, mut region) = (header.shape.clone(), region.to_vec());
    if header.fortran {
        shape.reverse();
        region.reverse();
    }
    let runs = Runs::new(&shape, &region);
    let count: usize = region.iter().map(ExactSizeIterator::len).product();
    let mut values = Vec::with_capacity(count.min(usize::try_from(length).unwrap_or(usize::MAX)));
    let mut piece = vec![0; PIECE.min(runs.length.saturating_mul(header.element.bytes()))];
    // Within the array, whose bytes were counted when its header was read: these products cannot overflow.
    let width = header.element.bytes();
    runs.each(|first| {
        source.to(header.start + (first * width) as u64, &place)?;
        let mut left = runs.length * width;
        while left > 0 {
            let bytes = &mut piece[..left.min(PIECE)];
            source.fill(bytes).map_err(|why| {
                let found = format!("the data cannot be read ({why})");
                Error::input(&place, found, "the whole array", "The file is damaged: copy or save it again")
            })?;
            decode(bytes, &header, &mut values);
            left -= bytes.len();
        }
        Ok(())
    })?;
    let counts: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
    let array = ArrayD::from_shape_vec(IxDyn(&counts), values).map_err(|why| {
        Error::input(&place, format!("its shape {counts:?} is impossible ({why})"), "an array", "")
    })?;
    Ok(if header.fortran { array.reversed_axes().as_standard_layout().into_owned() } else { array })
}
