//! MATLAB files of version 7.3: HDF5, with the axes of every array in the opposite order, for MATLAB's
//! first axis runs fastest. Here an array has the shape that MATLAB shows.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::Path;

use super::hdf5::Hdf5;
use super::{Attribute, ElementType, Layout, Member, MemberKind, Store, Values};
use crate::error::{Error, Result};
use crate::io::npy::Element;

/// Whether an HDF5 file is MATLAB's: by the text it begins with, or else by its name, as other programs
/// write it.
pub fn recognise(path: &Path, file: &mut File) -> std::io::Result<bool> {
    let mut head = Vec::new();
    file.rewind()?;
    file.take(10).read_to_end(&mut head)?;
    Ok(head == b"MATLAB 7.3" || path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mat")))
}

/// A MATLAB file of version 7.3.
pub struct Mat73(pub Hdf5);

impl Mat73 {
    fn turned(&self, mut member: Member) -> Result<Member> {
        let MemberKind::Array(array) = &mut member.kind else { return Ok(member) };
        array.shape.reverse();
        if let Layout::Chunked(chunks) = &mut array.storage.layout {
            chunks.reverse();
        }
        let class = self.0.attribute(&member.path, "MATLAB_class")?;
        let empty = self.0.attribute(&member.path, "MATLAB_empty")?.and_then(|empty| empty.number());
        match class.as_ref().and_then(Attribute::text) {
            // An array without an element is stored as its lengths.
            _ if empty.is_some_and(|empty| empty != 0.0) => {
                member.kind = MemberKind::Other { what: "it is empty".into() };
            }
            Some("char") => {
                let what = "it holds characters of MATLAB 7.3 (save texts with -v7)".into();
                member.kind = MemberKind::Other { what };
            }
            Some("logical") if array.element == ElementType::Number(Element::U8) => {
                array.element = ElementType::Number(Element::Bool);
                array.dtype = Element::Bool.name().into();
            }
            _ => {}
        }
        Ok(member)
    }
}

impl Store for Mat73 {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn members(&self) -> Result<Vec<Member>> {
        self.0.members()?.into_iter().map(|member| self.turned(member)).collect()
    }

    fn member(&self, name: &str) -> Result<Option<Member>> {
        self.0.member(name)?.map(|member| self.turned(member)).transpose()
    }

    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        let array = super::array(self, name)?;
        super::check_region(&super::place(self, name), &array.shape, region)?;
        let turned: Vec<Range<usize>> = region.iter().rev().cloned().collect();
        let values = self.0.read(name, &turned)?.transposed();
        if array.element == ElementType::Number(Element::Bool) {
            let wrong = |odd| Error::internal(super::place(self, name), odd);
            return values.cast(Element::Bool).map_err(wrong);
        }
        Ok(values)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.0.texts(name)
    }

    fn attribute(&self, name: &str, attribute: &str) -> Result<Option<Attribute>> {
        self.0.attribute(name, attribute)
    }
}
