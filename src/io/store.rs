//! Named arrays in one file: HDF5 (also NWB), `.npz` and MATLAB, behind one trait.
//!
//! Arrays are read a region at a time, exactly as stored. Nothing is allocated on a file's word: what one
//! read may take is checked against the region that was asked for and against the length of the file.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use ndarray::ArrayD;

use super::npy::Element;
pub use super::npy::Values;
use crate::error::{Error, Kind, Result};

mod hdf5;
mod mat;
mod mat73;
mod npz;

/// Named arrays in one file. A member's path has slashes, and one at its beginning makes no difference:
/// `/units/id` and `units/id` are the same.
pub trait Store: Send + Sync {
    /// The file.
    fn path(&self) -> &Path;

    /// Everything in the file but the root: groups before what they hold, names in the order in which h5py
    /// lists them. A soft or external link is listed and not followed; an object that was listed before is
    /// listed again as a link.
    ///
    /// # Errors
    /// A damaged file.
    fn members(&self) -> Result<Vec<Member>>;

    /// One member, soft links followed; none where there is none. A link that leads nowhere or to another
    /// file comes back as a link.
    ///
    /// # Errors
    /// A damaged file.
    fn member(&self, name: &str) -> Result<Option<Member>>;

    /// A region of an array of numbers, as stored: one range an axis, none of a scalar.
    ///
    /// # Errors
    /// No such array; a region outside of it; values that are no numbers; data that nobody wrote, damaged
    /// data, an unknown filter; more than the file's length justifies.
    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values>;

    /// All texts of an array or a scalar of texts, in C order.
    ///
    /// # Errors
    /// Those of [`Store::read`]; values that are no texts.
    fn texts(&self, name: &str) -> Result<Vec<String>>;

    /// The paths of the objects that an array of references leads to, as [`Store::members`] first lists them.
    ///
    /// # Errors
    /// Those of [`Store::read`]; values that are no references; one that leads nowhere.
    fn references(&self, name: &str) -> Result<Vec<String>> {
        array(self, name)?;
        Err(Error::new(Kind::Input, place(self, name), "it holds no references", "references to objects", ""))
    }

    /// An attribute of a member (of the file itself: `/`); none where the member or the attribute is not
    /// there.
    ///
    /// # Errors
    /// A damaged file.
    fn attribute(&self, name: &str, attribute: &str) -> Result<Option<Attribute>>;
}

/// What stands under a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// With a slash at its beginning and none at its end.
    pub path: String,
    /// What it is.
    pub kind: MemberKind,
}

/// The kinds of members.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberKind {
    /// A group of members.
    Group,
    /// A name for what stands elsewhere.
    Link(Link),
    /// An array or a scalar.
    Array(ArrayMember),
    /// Something that is neither (a named type), or that cannot be understood.
    Other {
        /// What it is, or why it cannot be read.
        what: String,
    },
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// To an object that has another path, which is given.
    Hard(String),
    /// To a path of the same file, as stored.
    Soft(String),
    /// To a path of another file.
    External {
        /// The other file, as stored.
        file: String,
        /// The path in it.
        path: String,
    },
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Hard(path) | Link::Soft(path) => f.write_str(path),
            Link::External { file, path } => write!(f, "{file}:{path}"),
        }
    }
}

/// What an array is, without its data.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayMember {
    /// Lengths of the axes; none of a scalar.
    pub shape: Vec<usize>,
    /// What its elements are.
    pub element: ElementType,
    /// The type as NumPy writes it: `float32`, `>f8`, `|S12`, `object`.
    pub dtype: String,
    /// How it is stored.
    pub storage: Storage,
}

impl ArrayMember {
    /// Elements in all. The shape has been checked: this cannot overflow.
    pub fn len(&self) -> usize {
        if self.storage.layout == Layout::Null { 0 } else { self.shape.iter().product() }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The region that is everything.
    pub fn all(&self) -> Vec<Range<usize>> {
        self.shape.iter().map(|&length| 0..length).collect()
    }
}

/// The type of an array's elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementType {
    /// Numbers, read by [`Store::read`].
    Number(Element),
    /// Texts, read by [`Store::texts`].
    Text,
    /// Neither, by name: a compound, references, an enumeration.
    Other(String),
}

/// How an array is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Where the values lie.
    pub layout: Layout,
    /// What the chunks went through, in the order of writing.
    pub filters: Vec<Filter>,
    /// Most significant byte first.
    pub big_endian: bool,
}

/// Where the values of an array lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A type without a shape and without values (`h5py.Empty`).
    Null,
    /// In the array's header.
    Compact,
    /// One after the other.
    Contiguous,
    /// In chunks of this shape.
    Chunked(Vec<usize>),
    /// In other files, which are not read.
    External,
}

/// A filter of HDF5: compression or a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its registered number.
    pub id: u16,
    /// Its usual name, or the one in the file.
    pub name: String,
    /// Its settings.
    pub settings: Vec<u32>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// One text.
    Text(String),
    /// One whole number.
    Integer(i64),
    /// One number.
    Number(f64),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of numbers.
    Numbers(Vec<f64>),
    /// A reference to the object of this path.
    Reference(String),
    /// Something else, by name.
    Other(String),
}

impl Attribute {
    /// The text, where it is one, also as a list of one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            Attribute::Texts(texts) if texts.len() == 1 => texts.first().map(String::as_str),
            _ => None,
        }
    }

    /// The number, where it is one, also as a list of one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Attribute::Integer(number) => Some(*number as f64),
            Attribute::Number(number) => Some(*number),
            Attribute::Numbers(numbers) if numbers.len() == 1 => numbers.first().copied(),
            _ => None,
        }
    }
}

/// Whether a file is HDF5 or of MATLAB, told by its content.
///
/// # Errors
/// A file that cannot be read.
pub fn is_named_arrays(path: &Path) -> Result<bool> {
    let mut file = super::file::open(path)?;
    let mut found =
        || -> std::io::Result<bool> { Ok(hdf5::recognise(&mut file)? || mat::recognise(&mut file)?) };
    found().map_err(|why| Error::unreadable(path, &why))
}

/// Opens a file of named arrays, told by its content.
///
/// # Errors
/// A file that is missing, damaged, or of another kind.
pub fn open(path: &Path) -> Result<Box<dyn Store>> {
    let unreadable = |why: std::io::Error| Error::unreadable(path, &why);
    let mut file = super::file::open(path)?;
    if hdf5::recognise(&mut file).map_err(unreadable)? {
        let store = hdf5::Hdf5::open(path)?;
        return Ok(match mat73::recognise(path, &mut file).map_err(unreadable)? {
            true => Box::new(mat73::Mat73(store)),
            false => Box::new(store),
        });
    }
    if mat::recognise(&mut file).map_err(unreadable)? {
        return Ok(Box::new(mat::Mat::open(path)?));
    }
    if npz::recognise(&mut file).map_err(unreadable)? {
        return Ok(Box::new(npz::Npz::open(path)?));
    }
    let length = file.metadata().map_err(unreadable)?.len();
    let wanted = "an HDF5 file (.h5, .nwb), an .npz archive or a MATLAB file (.mat)";
    let found = if length == 0 { "the file is empty" } else { "it begins like none of them" };
    Err(Error::input(path, found, wanted, "Check the path"))
}

/// For messages: the file and the path in it.
fn place(store: &(impl Store + ?Sized), name: &str) -> String {
    format!("{}:{}", store.path().display(), name.escape_debug())
}

impl dyn Store + '_ {
    /// The array of this name.
    ///
    /// # Errors
    /// No such member, or one that is no array.
    pub fn array(&self, name: &str) -> Result<ArrayMember> {
        array(self, name)
    }

    /// Whether there is an array of this name.
    ///
    /// # Errors
    /// A damaged file.
    pub fn has_array(&self, name: &str) -> Result<bool> {
        Ok(matches!(self.member(name)?, Some(Member { kind: MemberKind::Array(_), .. })))
    }

    /// A region as f32, rounded to the nearest.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub fn floats(&self, name: &str, region: &[Range<usize>]) -> Result<ArrayD<f32>> {
        Ok(self.read(name, region)?.into_f32())
    }

    /// A region as f64; whole numbers above 2^53 are rounded to the nearest.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub fn doubles(&self, name: &str, region: &[Range<usize>]) -> Result<ArrayD<f64>> {
        Ok(self.read(name, region)?.into_f64())
    }

    /// A region as whole numbers.
    ///
    /// # Errors
    /// Those of [`Store::read`]; a fraction, NaN, or a number beyond i64.
    pub fn integers(&self, name: &str, region: &[Range<usize>]) -> Result<ArrayD<i64>> {
        self.read(name, region)?.into_i64().map_err(|odd| {
            let found = format!("it holds {odd}");
            Error::new(Kind::Input, place(self, name), found, "whole numbers", "")
        })
    }

    /// All of an array, as stored.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub fn whole(&self, name: &str) -> Result<Values> {
        let region = self.array(name)?.all();
        self.read(name, &region)
    }

    /// The text of a scalar, or of an array of one.
    ///
    /// # Errors
    /// Those of [`Store::texts`]; more or fewer than one.
    pub fn text(&self, name: &str) -> Result<String> {
        let mut texts = self.texts(name)?;
        match (texts.pop(), texts.len()) {
            (Some(text), 0) => Ok(text),
            (last, others) => {
                let found = format!("it holds {} texts", others + usize::from(last.is_some()));
                Err(Error::new(Kind::Input, place(self, name), found, "one text", ""))
            }
        }
    }
}

/// The array of this name, or why there is none.
fn array(store: &(impl Store + ?Sized), name: &str) -> Result<ArrayMember> {
    let refuse = |found: String, advice: &str| {
        Err(Error::new(Kind::Input, place(store, name), found, "an array", advice))
    };
    match store.member(name)?.map(|member| member.kind) {
        Some(MemberKind::Array(array)) => Ok(array),
        Some(MemberKind::Group) => refuse("it is a group".into(), "Name an array inside it"),
        Some(MemberKind::Link(Link::External { file, path })) => refuse(
            format!("it is a link to '{}' in the file '{}'", path.escape_debug(), file.escape_debug()),
            "Links to other files are not followed: name that file itself",
        ),
        Some(MemberKind::Link(link)) => {
            refuse(format!("it is a link to '{}', which leads nowhere", link.to_string().escape_debug()), "")
        }
        Some(MemberKind::Other { what }) => refuse(what, ""),
        None => {
            refuse("the file holds nothing of this name".into(), "`striate info` lists what the file holds")
        }
    }
}

/// Checks a region against a shape.
fn check_region(place: &str, shape: &[usize], region: &[Range<usize>]) -> Result<()> {
    let inside = region.len() == shape.len()
        && region.iter().zip(shape).all(|(range, &length)| range.start <= range.end && range.end <= length);
    if !inside {
        let found = format!("the region {region:?} was asked for");
        return Err(Error::new(Kind::Usage, place, found, format!("a region of the shape {shape:?}"), ""));
    }
    Ok(())
}
