//! Arrays in files of other kinds, HDF5 and MATLAB, named as those of an `.npz` are: `FILE:NAME`.

use std::path::{Path, PathBuf};

use super::{ArrayInfo, split_member};
use crate::error::{Error, Kind, Result};
use crate::io::store::{self, ElementType, Member, MemberKind, Store};

/// The most names to show.
const MOST_NAMES: usize = 20;

/// An array of numbers in a file of named arrays.
pub(super) struct Elsewhere {
    pub store: Box<dyn Store>,
    pub name: String,
    pub info: ArrayInfo,
}

impl Elsewhere {
    /// Opens the array of an HDF5 or MATLAB file; none where the file is of another kind.
    pub fn open(path: &Path, member: Option<&str>) -> Result<Option<Self>> {
        let (file, within) = parts(path, member);
        if !store::is_named_arrays(&file)? {
            return Ok(None);
        }
        let store = store::open(&file)?;
        let name = match within {
            Some(name) => name,
            None => only(&*store)?,
        };
        let array = store.array(&name)?;
        let ElementType::Number(element) = array.element else {
            let place = format!("{}:{}", file.display(), name.escape_debug());
            let found = format!("it holds {}", array.dtype);
            return Err(Error::new(Kind::Input, place, found, "an array of numbers", "Name another array"));
        };
        let info = ArrayInfo { name: Some(name.clone()), shape: array.shape, element };
        Ok(Some(Elsewhere { store, name, info }))
    }

    /// For messages.
    pub fn place(&self) -> PathBuf {
        PathBuf::from(format!("{}:{}", self.store.path().display(), self.name))
    }
}

/// What an HDF5 or MATLAB file holds, or the one array that the path names; none for other kinds of files.
pub(super) fn info(path: &Path) -> Result<Option<Vec<ArrayInfo>>> {
    let (file, within) = parts(path, None);
    if within.is_some() {
        return Ok(Elsewhere::open(path, None)?.map(|array| vec![array.info]));
    }
    if !store::is_named_arrays(&file)? {
        return Ok(None);
    }
    Ok(Some(arrays(&*store::open(&file)?)?))
}

fn parts(path: &Path, member: Option<&str>) -> (PathBuf, Option<String>) {
    let (file, within) = split_member(path);
    (file, member.map(str::to_string).or(within))
}

/// All arrays of numbers that have an axis.
fn arrays(store: &dyn Store) -> Result<Vec<ArrayInfo>> {
    let array = |member: Member| match member.kind {
        MemberKind::Array(array) if !array.shape.is_empty() => match array.element {
            ElementType::Number(element) => {
                let name = Some(member.path.trim_start_matches('/').to_string());
                Some(ArrayInfo { name, shape: array.shape, element })
            }
            _ => None,
        },
        _ => None,
    };
    Ok(store.members()?.into_iter().filter_map(array).collect())
}

/// The only array of numbers; one of a single number (MATLAB's scalars) does not count beside others.
fn only(store: &dyn Store) -> Result<String> {
    let mut all = arrays(store)?;
    if all.len() > 1 {
        all.retain(|info| info.shape.iter().product::<usize>() != 1);
    }
    let names: Vec<String> = all.into_iter().filter_map(|info| info.name).collect();
    if let [only] = &names[..] {
        return Ok(only.clone());
    }
    let file = store.path();
    let mut shown: Vec<String> =
        names.iter().take(MOST_NAMES).map(|name| name.escape_debug().to_string()).collect();
    if names.len() > shown.len() {
        shown.push("...".into());
    }
    let found = format!("it holds {} arrays of numbers", names.len());
    let (wanted, advice) = match names.first() {
        Some(first) => (
            format!("one of {}", shown.join(", ")),
            format!("Write for example {}:{}", file.display(), first.escape_debug()),
        ),
        None => ("an array of numbers".into(), "`striate info` lists what the file holds".into()),
    };
    Err(Error::input(file, found, wanted, advice))
}
