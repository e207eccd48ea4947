//! Arrays of numbers: `.npy` files and the arrays in `.npz`, HDF5 and MATLAB files, recognised by content.
//!
//! An array in a file is named as `FILE:NAME`, or by an argument. Nothing here runs or allocates what a
//! file merely claims: headers are checked against the bytes that are there, object arrays (pickles) are
//! refused.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, ArrayViewD, IxDyn, ShapeBuilder};

use crate::error::{Error, Result};
use crate::io::{commit, file};

mod archive;
mod elsewhere;
mod header;
mod pickled;
mod region;
mod rows;
mod stored;
mod texts;
mod values;
mod write;

pub(in crate::io) use archive::limit as most_expanded;
use archive::{Archive, Inflate, Member};
use elsewhere::Elsewhere;
use header::Header;
pub use pickled::pickled_number;
pub use region::Regions;
pub use rows::Rows;
pub use stored::Values;
pub use texts::{read_labels, read_texts};
use values::{Decode, decode_f32, decode_f64, read_values};
pub use write::ArchiveWriter;

/// The type of an array's elements as stored.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// Whether f32 does not hold every value.
    pub fn is_wide(self) -> bool {
        matches!(self, Element::U32 | Element::I32 | Element::U64 | Element::I64 | Element::F64)
    }

    /// The name that NumPy's users know.
    pub fn name(self) -> &'static str {
        match self {
            Element::Bool => "bool",
            Element::U8 => "uint8",
            Element::I8 => "int8",
            Element::U16 => "uint16",
            Element::I16 => "int16",
            Element::U32 => "uint32",
            Element::I32 => "int32",
            Element::U64 => "uint64",
            Element::I64 => "int64",
            Element::F16 => "float16",
            Element::F32 => "float32",
            Element::F64 => "float64",
        }
    }
}

/// What an array is, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayInfo {
    /// The member's name in its `.npz`; none for a `.npy`.
    pub name: Option<String>,
    /// Lengths of the axes, in NumPy's order whatever the order in memory.
    pub shape: Vec<usize>,
    /// The type as stored.
    pub element: Element,
}

fn info_of(name: Option<String>, header: &Header) -> ArrayInfo {
    ArrayInfo { name, shape: header.shape.clone(), element: header.element }
}

/// How files of several arrays are called.
const ENDINGS: [&str; 5] = ["npz", "h5", "hdf5", "nwb", "mat"];

/// Splits `FILE:NAME` into the file and the array in it: at the last colon before which there is a file, or
/// else after a known ending such as `.npz`. A path without an array comes back whole.
pub fn split_member(path: &Path) -> (PathBuf, Option<String>) {
    let split = path.to_str().filter(|_| !path.exists()).and_then(|text| {
        let colons = || text.match_indices(':').map(|(at, _)| at).rev();
        let known = |at: &usize| {
            let end = Path::new(&text[..*at]).extension().unwrap_or_default();
            ENDINGS.iter().any(|known| end.eq_ignore_ascii_case(known))
        };
        let at = colons().find(|at| Path::new(&text[..*at]).is_file()).or_else(|| colons().find(known))?;
        Some((PathBuf::from(&text[..at]), text[at + 1..].to_string()))
    });
    match split {
        Some((file, member)) if !member.is_empty() => (file, Some(member)),
        Some((file, _)) => (file, None),
        None => (path.to_path_buf(), None),
    }
}

/// A file opened and told from other files by its first bytes.
struct Opened {
    file: File,
    length: u64,
    archive: bool,
}

fn open(path: &Path) -> Result<Opened> {
    let unreadable = |why| Error::unreadable(path, &why);
    let mut file = file::open(path)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut first = Vec::new();
    file.by_ref().take(6).read_to_end(&mut first).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let archive = first.starts_with(b"PK");
    if archive || first.starts_with(header::MAGIC) {
        return Ok(Opened { file, length, archive });
    }
    let wanted = "a NumPy array (.npy) or archive (.npz)";
    let (found, advice) = match &first[..] {
        [] => ("the file is empty", "Copy or save it again"),
        [0x89, b'H', b'D', b'F', ..] => ("it is an HDF5 file", "Name the array in it as FILE:NAME"),
        [0x80, 2..=5, ..] => ("it is a Python pickle, which can run any program", "Save it with numpy.save"),
        _ => ("it begins like neither", "Save the array with numpy.save"),
    };
    Err(Error::input(path, found, wanted, advice))
}

/// An array found in its file, its header read.
struct Found {
    /// For messages: the file, with the member if there is one.
    place: PathBuf,
    path: PathBuf,
    file: File,
    length: u64,
    member: Option<Member>,
    header: Header,
}

fn locate(path: &Path, member: Option<&str>) -> Result<Found> {
    let (path, within) = split_member(path);
    let within = member.map(str::to_string).or(within);
    let Opened { mut file, length, archive } = open(&path)?;
    if !archive {
        if let Some(name) = within {
            let advice = format!("Write {} alone", path.display());
            let found = format!("it is one array (.npy) and has no member '{name}'");
            return Err(Error::input(&path, found, "an .npz archive", advice));
        }
        let header = header::parse(&path, &mut file, length)?;
        return Ok(Found { place: path.clone(), path, file, length, member: None, header });
    }
    let archive = Archive::open(&path, file, length)?;
    let member = archive.choose(&path, within.as_deref())?;
    let place = PathBuf::from(format!("{}:{}", path.display(), member.name));
    let mut file = archive.zip.into_inner().into_inner();
    let header = member_header(&place, &path, &mut file, &member)?;
    Ok(Found { place, path, file, length, member: Some(member), header })
}

fn member_header(place: &Path, path: &Path, file: &mut File, member: &Member) -> Result<Header> {
    header::parse(place, &mut member_bytes(path, file, member)?, member.size)
}

/// The bytes of a member from its beginning.
fn member_bytes<'a>(path: &Path, file: &'a mut File, member: &Member) -> Result<Box<dyn Read + 'a>> {
    if !member.stored {
        return Ok(Box::new(Inflate::open(path, member)?));
    }
    file.seek(std::io::SeekFrom::Start(member.start)).map_err(|why| Error::unreadable(path, &why))?;
    Ok(Box::new(BufReader::new(file.take(member.size))))
}

/// What a file holds, from headers only: one array of a `.npy`, every array of an `.npz`, HDF5 or MATLAB
/// file, or the one that `FILE:NAME` names.
///
/// # Errors
/// A file that is missing, neither of the two, damaged, or holds something other than numbers.
pub fn info(path: &Path) -> Result<Vec<ArrayInfo>> {
    if let Some(infos) = elsewhere::info(path)? {
        return Ok(infos);
    }
    if let (_, Some(_)) = split_member(path) {
        let Found { member, header, .. } = locate(path, None)?;
        return Ok(vec![info_of(member.map(|member| member.name), &header)]);
    }
    let Opened { mut file, length, archive } = open(path)?;
    if !archive {
        return Ok(vec![info_of(None, &header::parse(path, &mut file, length)?)]);
    }
    let Archive { zip, members } = Archive::open(path, file, length)?;
    let mut file = zip.into_inner().into_inner();
    let each = |member: Member| {
        let header = member_header(&member_place(path, &member), path, &mut file, &member);
        Ok(info_of(Some(member.name), &header?))
    };
    members.into_iter().map(each).collect()
}

fn member_place(path: &Path, member: &Member) -> PathBuf {
    PathBuf::from(format!("{}:{}", path.display(), member.name))
}

/// What one array of an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Numbers.
    Numbers(ArrayInfo),
    /// Texts, with NumPy's name of their type.
    Texts {
        /// Lengths of the axes.
        shape: Vec<usize>,
        /// `<U5`, `|S3`.
        dtype: String,
    },
}

/// The arrays of an `.npz` archive by name, from headers only; those that are neither numbers nor texts
/// with what they are.
///
/// # Errors
/// A file that is missing, no archive, or damaged as a whole.
pub fn members(path: &Path) -> Result<Vec<(String, Result<Contents>)>> {
    let Opened { file, length, archive } = open(path)?;
    if !archive {
        return Err(Error::input(path, "it is one array (.npy)", "an .npz archive", ""));
    }
    let Archive { zip, members } = Archive::open(path, file, length)?;
    let mut file = zip.into_inner().into_inner();
    let mut contents = |member: &Member| {
        let place = member_place(path, member);
        let preamble = header::preamble(&place, &mut member_bytes(path, &mut file, member)?, member.size)?;
        if let Some(width) = texts::width(&preamble.descr) {
            preamble.check(&place, member.size, width, &preamble.descr)?;
            return Ok(Contents::Texts { shape: preamble.shape, dtype: preamble.descr });
        }
        let header = header::numbers(&place, preamble, member.size)?;
        Ok(Contents::Numbers(info_of(Some(member.name.clone()), &header)))
    };
    Ok(members.iter().map(|member| (member.name.clone(), contents(member))).collect())
}

/// Reads a whole array as f32, in C order whatever the order in the file; `member` names an array in it
/// (or the path does, as in `FILE:NAME`; a file of one array needs no name). NaN is kept.
///
/// # Errors
/// A file that is missing, damaged, or holds something other than numbers; several arrays and none named.
pub fn read(path: &Path, member: Option<&str>) -> Result<ArrayD<f32>> {
    match Elsewhere::open(path, member)? {
        Some(array) => Ok(array.store.whole(&array.name)?.into_f32()),
        None => load(path, member, decode_f32),
    }
}

/// [`read`], as f64.
///
/// # Errors
/// Those of [`read`].
pub fn read_f64(path: &Path, member: Option<&str>) -> Result<ArrayD<f64>> {
    match Elsewhere::open(path, member)? {
        Some(array) => Ok(array.store.whole(&array.name)?.into_f64()),
        None => load(path, member, decode_f64),
    }
}

/// The type of the elements of an array, by its header.
///
/// # Errors
/// Those of [`read`].
pub fn element(path: &Path, member: Option<&str>) -> Result<Element> {
    if let Some(array) = Elsewhere::open(path, member)? {
        return Ok(array.info.element);
    }
    Ok(locate(path, member)?.header.element)
}

fn load<T: Clone>(path: &Path, member: Option<&str>, decode: Decode<T>) -> Result<ArrayD<T>> {
    let Found { place, path, mut file, length, member, header } = locate(path, member)?;
    let at_once = usize::try_from(length).unwrap_or(usize::MAX);
    let count = header.elements;
    let values = match member {
        // The header has just been read: the file stands at the data.
        None => read_values(&place, &mut file, &header, count, at_once, decode)?,
        Some(member) => {
            let mut zip = Archive::open(&path, file, length)?.zip;
            let damaged = |why: &dyn std::fmt::Display| {
                let found = format!("the archive is damaged ({why})");
                Error::input(&place, found, "an intact array", "Copy or save it again")
            };
            let mut entry = zip.by_index(member.index).map_err(|why| damaged(&why))?;
            std::io::copy(&mut entry.by_ref().take(header.start), &mut std::io::sink())
                .map_err(|why| damaged(&why))?;
            let values = read_values(&place, &mut entry, &header, count, at_once, decode)?;
            // The archive's checksum is compared when its end is read.
            entry.read(&mut [0]).map_err(|why| damaged(&why))?;
            values
        }
    };
    let array =
        ArrayD::from_shape_vec(IxDyn(&header.shape).set_f(header.fortran), values).map_err(|why| {
            Error::input(&place, format!("its shape {:?} is impossible ({why})", header.shape), "", "")
        })?;
    Ok(if header.fortran { array.as_standard_layout().into_owned() } else { array })
}

/// The bytes of a `.npy` file (version 1.0, little-endian float32, C order), as NumPy itself would write
/// them.
pub fn encode(array: ArrayViewD<f32>) -> Vec<u8> {
    let mut bytes = header_bytes("<f4", array.shape());
    bytes.extend(array.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// The same for float64.
pub fn encode_f64(array: ArrayViewD<f64>) -> Vec<u8> {
    let mut bytes = header_bytes("<f8", array.shape());
    bytes.extend(array.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// The same for bytes (uint8).
pub fn encode_u8(array: ArrayViewD<u8>) -> Vec<u8> {
    let mut bytes = header_bytes("|u1", array.shape());
    bytes.extend(array.iter());
    bytes
}

/// Header of a `.npy` file (version 1.0, C order) for values of an element such as `<f4`; the values
/// follow.
pub(crate) fn header_bytes(element: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = match shape {
        [only] => format!("({only},)"),
        axes => format!("({})", axes.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ")),
    };
    let mut header = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': {shape}, }}");
    // The data begins at a multiple of 64 bytes; a new line ends the header.
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// Writes a `.npy` file: all of it or nothing.
///
/// # Errors
/// [`crate::Kind::Output`] where the file cannot be written.
pub fn write(path: &Path, array: ArrayViewD<f32>) -> Result<()> {
    commit::write(path, &encode(array))
}

/// The same for float64.
///
/// # Errors
/// As [`write()`].
pub fn write_f64(path: &Path, array: ArrayViewD<f64>) -> Result<()> {
    commit::write(path, &encode_f64(array))
}

#[cfg(test)]
#[path = "npy/tests.rs"]
mod tests;
