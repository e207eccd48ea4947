//! Arrays of an `.npz` archive as a [`Store`].

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{ArrayMember, Attribute, ElementType, Layout, Member, MemberKind, Storage, Store, Values};
use crate::error::{Error, Kind, Result};
use crate::io::npy::{self, Contents, Regions};

/// An `.npz` archive.
pub struct Npz {
    path: PathBuf,
    members: Vec<Member>,
    /// The array that was read last, since its next region is often the next one asked for.
    last: Mutex<Option<(String, Regions)>>,
}

/// Whether the file is a zip archive.
pub fn recognise(file: &mut File) -> std::io::Result<bool> {
    let mut first = Vec::new();
    file.rewind()?;
    file.take(2).read_to_end(&mut first)?;
    Ok(first == b"PK")
}

impl Npz {
    /// Reads the headers of all arrays.
    pub fn open(path: &Path) -> Result<Self> {
        let members = npy::members(path)?.into_iter().map(|(name, info)| describe(&name, info)).collect();
        Ok(Npz { path: path.to_path_buf(), members, last: Mutex::default() })
    }
}

fn describe(name: &str, contents: Result<Contents>) -> Member {
    let array = |shape, element, dtype| {
        let storage = Storage { layout: Layout::Contiguous, filters: Vec::new(), big_endian: false };
        MemberKind::Array(ArrayMember { shape, element, dtype, storage })
    };
    let kind = match contents {
        Ok(Contents::Numbers(info)) => {
            array(info.shape, ElementType::Number(info.element), info.element.name().into())
        }
        Ok(Contents::Texts { shape, dtype }) => array(shape, ElementType::Text, dtype),
        Err(why) => MemberKind::Other { what: why.parts()[1].1.to_string() },
    };
    Member { path: format!("/{}", name.trim_matches('/')), kind }
}

impl Store for Npz {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self) -> Result<Vec<Member>> {
        Ok(self.members.clone())
    }

    fn member(&self, name: &str) -> Result<Option<Member>> {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Ok(Some(Member { path: "/".into(), kind: MemberKind::Group }));
        }
        Ok(self.members.iter().find(|member| member.path[1..] == *name).cloned())
    }

    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        let array = super::array(self, name)?;
        if array.element == ElementType::Text {
            return Err(Error::new(Kind::Input, super::place(self, name), "it holds texts", "numbers", ""));
        }
        super::check_region(&super::place(self, name), &array.shape, region)?;
        let name = name.trim_matches('/');
        // Taken out while it is read, so that what failed half-way is not used again.
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut regions = match last {
            Some((last, regions)) if last == name => regions,
            _ => Regions::open(&self.path, Some(name))?,
        };
        let values = regions.read(region)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_string(), regions));
        Ok(values)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        if super::array(self, name)?.element == ElementType::Text {
            return npy::read_texts(&self.path, name.trim_matches('/'));
        }
        Err(Error::new(Kind::Input, super::place(self, name), "it holds numbers", "texts", ""))
    }

    fn attribute(&self, _name: &str, _attribute: &str) -> Result<Option<Attribute>> {
        Ok(None)
    }
}
