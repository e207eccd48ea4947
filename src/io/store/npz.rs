//! Arrays of an `.npz` archive as a [`Store`].

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{ArrayMember, Attribute, ElementType, Layout, Member, MemberKind, Storage, Store, Values};
use crate::error::{Error, Kind, Result};
use crate::io::npy::{self, ArrayInfo};

/// An `.npz` archive. Arrays are read from the file whenever they are asked for.
pub struct Npz {
    path: PathBuf,
    infos: Vec<ArrayInfo>,
}

/// Whether the file is a zip archive.
pub fn recognise(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(2).read_to_end(&mut first)?;
    Ok(first == b"PK")
}

impl Npz {
    /// Reads the headers of all arrays.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Npz { path: path.to_path_buf(), infos: npy::info(path)? })
    }

    fn info(&self, name: &str) -> Option<&ArrayInfo> {
        let name = name.trim_matches('/');
        self.infos.iter().find(|info| info.name.as_deref().is_some_and(|own| own.trim_matches('/') == name))
    }
}

fn describe(info: &ArrayInfo) -> Member {
    let array = ArrayMember {
        shape: info.shape.clone(),
        element: ElementType::Number(info.element),
        dtype: info.element.name().into(),
        storage: Storage { layout: Layout::Contiguous, filters: Vec::new(), big_endian: false },
    };
    let name = info.name.as_deref().unwrap_or_default();
    Member { path: format!("/{}", name.trim_matches('/')), kind: MemberKind::Array(array) }
}

impl Store for Npz {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self) -> Result<Vec<Member>> {
        Ok(self.infos.iter().map(describe).collect())
    }

    fn member(&self, name: &str) -> Result<Option<Member>> {
        if name.trim_matches('/').is_empty() {
            return Ok(Some(Member { path: "/".into(), kind: MemberKind::Group }));
        }
        Ok(self.info(name).map(describe))
    }

    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        let shape = super::array(self, name)?.shape;
        super::check_region(&super::place(self, name), &shape, region)?;
        npy::read_region(&self.path, self.info(name).and_then(|info| info.name.as_deref()), region)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        super::array(self, name)?;
        let place = super::place(self, name);
        Err(Error::new(Kind::Input, place, "it holds numbers", "texts", ""))
    }

    fn attribute(&self, _name: &str, _attribute: &str) -> Result<Option<Attribute>> {
        Ok(None)
    }
}
