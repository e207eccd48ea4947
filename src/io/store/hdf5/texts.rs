//! Texts of arrays, and attributes.

use hdf5_reader::error::{Error as Damage, Result as Parsed};
use hdf5_reader::messages::attribute::AttributeMessage;
use hdf5_reader::messages::dataspace::DataspaceType;
use hdf5_reader::{Datatype, StringPadding, StringSize};

use super::super::{Attribute, ElementType};
use super::{Grown, Hdf5, Place, types};
use crate::error::Result;
use crate::io::npy::Element;

/// How the texts of an array lie in its bytes.
enum Lie {
    /// Each in as many bytes.
    Fixed(usize, StringPadding),
    /// References to texts of any length.
    Referred,
}

/// What an attribute holds.
enum Found {
    Value(Attribute),
    /// The address of an object.
    ObjectAt(u64),
}

fn lie(datatype: &Datatype) -> Lie {
    match datatype {
        Datatype::String { size: StringSize::Fixed(size), padding, .. } => {
            Lie::Fixed(*size as usize, *padding)
        }
        _ => Lie::Referred,
    }
}

impl Hdf5 {
    /// All texts of an array.
    pub(super) fn read_texts(&self, name: &str) -> Result<Vec<String>> {
        let (array, dataset) = self.dataset(name)?;
        match &array.element {
            ElementType::Text => {}
            ElementType::Number(number) => {
                return self.refuse(name, format!("it holds numbers ({})", number.name()), "texts", "");
            }
            ElementType::Other(what) => return self.refuse(name, format!("it holds {what}"), "texts", ""),
        }
        self.check_stored(name, &array, &dataset)?;
        let width = dataset.raw_element_size().map_err(|why| self.damaged(name, &why))?;
        self.check_size(name, &array, &array.all(), width, 1)?;
        let texts = array.len().saturating_mul(size_of::<String>());
        self.check_limit(name, "its texts", texts, self.limits.result / 2)?;
        let raw = match Grown::of(&self.file, &dataset) {
            Ok(Some(grown)) => grown.read(&self.file, &array.all()),
            Ok(None) => dataset.read_raw_bytes(),
            Err(why) => Err(why),
        };
        let raw = raw.map_err(|why| self.damaged(name, &why))?;
        let resolve = |reference: &[u8]| dataset.resolve_vlen_reference_bytes(reference, 1);
        let texts = self.split(&raw, dataset.dtype(), array.len(), resolve);
        texts.map_err(|why| self.damaged(name, &why))
    }

    /// The paths that an array of references to objects leads to.
    pub(super) fn read_references(&self, name: &str) -> Result<Vec<String>> {
        let (array, dataset) = self.dataset(name)?;
        if !types::is_reference(dataset.dtype()) {
            return self.refuse(name, format!("it holds {}", array.dtype), "references to objects", "");
        }
        self.check_stored(name, &array, &dataset)?;
        let width = dataset.raw_element_size().map_err(|why| self.damaged(name, &why))?;
        self.check_size(name, &array, &array.all(), width, 1)?;
        let raw = dataset.read_raw_bytes().map_err(|why| self.damaged(name, &why))?;
        let (_, paths) = self.walk()?;
        let each = raw.chunks_exact(width.max(1)).map(|bytes| paths.get(&address(bytes)).cloned());
        let all: Option<Vec<String>> = each.collect();
        match all.filter(|all| all.len() == array.len()) {
            Some(all) => Ok(all),
            None => self.refuse(name, "a reference leads nowhere", "references to objects of the file", ""),
        }
    }

    /// Cuts bytes into texts, or follows the references that they are. What is no UTF-8 is replaced.
    fn split(
        &self,
        raw: &[u8],
        datatype: &Datatype,
        count: usize,
        resolve: impl Fn(&[u8]) -> Parsed<Vec<u8>>,
    ) -> Parsed<Vec<String>> {
        let (width, padding) = match lie(datatype) {
            Lie::Fixed(width, padding) => (width, Some(padding)),
            Lie::Referred => (8 + usize::from(self.file.superblock().offset_size), None),
        };
        if count.checked_mul(width) != Some(raw.len()) || width == 0 {
            return Err(Damage::InvalidData(format!("{} bytes are not {count} texts of {width}", raw.len())));
        }
        let mut texts = Vec::with_capacity(count);
        let mut bytes = raw.len() + count * size_of::<String>();
        for piece in raw.chunks_exact(width) {
            let text = match padding {
                Some(padding) => trimmed(piece, padding),
                None => trimmed(&resolve(piece)?, StringPadding::NullTerminate),
            };
            // Many references may lead to one long text.
            bytes = bytes.saturating_add(text.capacity());
            if bytes > self.limits.result {
                let most = self.limits.result;
                return Err(Damage::ResourceLimit(format!("the texts take more than {most} bytes")));
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// An attribute of a member.
    pub(super) fn read_attribute(&self, name: &str, attribute: &str) -> Result<Option<Attribute>> {
        let Place::Object { address, path } = self.locate(name)? else { return Ok(None) };
        let owner = format!("{name}@{attribute}");
        let header = self.file.get_or_parse_header(address).map_err(|why| self.damaged(&owner, &why))?;
        let array = matches!(super::describe(&self.file, &header), super::Described::Array(_));
        let read = || -> Parsed<Option<Found>> {
            let messages = if array {
                self.file.dataset(&path)?.raw_attributes()?
            } else {
                self.file.group(&path)?.raw_attributes()?
            };
            // References to texts are the same wherever they stand.
            let root = self.file.root_group()?;
            let resolve = |reference: &[u8]| root.resolve_vlen_reference_bytes(reference, 1);
            let found = messages.into_iter().find(|raw| raw.name() == attribute);
            let Some(raw) = found else { return Ok(None) };
            let message = raw.message();
            if types::is_reference(&message.datatype) && message.raw_data.len() <= size_of::<u64>() {
                return Ok(Some(Found::ObjectAt(self::address(&message.raw_data))));
            }
            self.value(message, resolve).map(|value| Some(Found::Value(value)))
        };
        let lost = || Attribute::Other("a reference that leads nowhere".into());
        Ok(match read().map_err(|why| self.damaged(&owner, &why))? {
            None => None,
            Some(Found::Value(value)) => Some(value),
            Some(Found::ObjectAt(address)) => {
                Some(self.walk()?.1.remove(&address).map_or_else(lost, Attribute::Reference))
            }
        })
    }

    fn value(
        &self,
        message: &AttributeMessage,
        resolve: impl Fn(&[u8]) -> Parsed<Vec<u8>>,
    ) -> Parsed<Attribute> {
        let count = match message.dataspace.dataspace_type {
            DataspaceType::Null => return Ok(Attribute::Other("an empty attribute".into())),
            _ => usize::try_from(message.dataspace.num_elements()?).unwrap_or(usize::MAX),
        };
        let single = message.dataspace.dims.is_empty();
        let raw = &message.raw_data;
        Ok(match types::element(&message.datatype) {
            ElementType::Text => {
                let mut texts = self.split(raw, &message.datatype, count, resolve)?;
                if single && texts.len() == 1 {
                    Attribute::Text(texts.remove(0))
                } else {
                    Attribute::Texts(texts)
                }
            }
            ElementType::Number(element) => {
                if count.checked_mul(element.bytes()) != Some(raw.len()) {
                    return Err(Damage::InvalidData(format!("{} bytes are not {count} numbers", raw.len())));
                }
                let big = types::is_big_endian(&message.datatype);
                let mut numbers = raw.chunks_exact(element.bytes()).map(|bytes| number(bytes, element, big));
                match (single, numbers.next()) {
                    (true, Some(number)) => number,
                    (_, first) => {
                        let all = first.into_iter().chain(numbers);
                        Attribute::Numbers(all.filter_map(|number| number.number()).collect())
                    }
                }
            }
            ElementType::Other(what) => Attribute::Other(what),
        })
    }
}

/// A reference to an object: its address, little endian.
fn address(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte))
}

/// A text without what fills it up.
fn trimmed(bytes: &[u8], padding: StringPadding) -> String {
    let end = match padding {
        StringPadding::NullTerminate => bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()),
        StringPadding::NullPad => bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1),
        StringPadding::SpacePad => bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1),
    };
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// One number of an attribute; `bytes` are as many as the element has.
fn number(bytes: &[u8], element: Element, big_endian: bool) -> Attribute {
    let mut little = [0; 8];
    for (to, from) in little.iter_mut().zip(bytes) {
        *to = *from;
    }
    if big_endian {
        little[..bytes.len().min(8)].reverse();
    }
    let word = u64::from_le_bytes(little);
    match element {
        Element::Bool => Attribute::Integer(i64::from(word != 0)),
        Element::U8 | Element::U16 | Element::U32 => Attribute::Integer(word as i64),
        Element::I8 => Attribute::Integer(i64::from(word as i8)),
        Element::I16 => Attribute::Integer(i64::from(word as i16)),
        Element::I32 => Attribute::Integer(i64::from(word as i32)),
        Element::I64 => Attribute::Integer(word as i64),
        Element::U64 => match i64::try_from(word) {
            Ok(number) => Attribute::Integer(number),
            Err(_) => Attribute::Number(word as f64),
        },
        Element::F16 => Attribute::Number(half::f16::from_bits(word as u16).to_f64()),
        Element::F32 => Attribute::Number(f64::from(f32::from_bits(word as u32))),
        Element::F64 => Attribute::Number(f64::from_bits(word)),
    }
}
