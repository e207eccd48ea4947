//! MATLAB files of version 5 (`save -v6`, `-v7`, SciPy) as a [`Store`].
//!
//! An array has the shape that MATLAB shows. Fields of a structure and cells are members inside it:
//! `s/field`, and `c/1` for `c{1}`, counted from 1 column by column as MATLAB counts them. A cell of texts
//! is an array of texts.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{ArrayMember, Attribute, ElementType, Layout, Member, MemberKind, Storage, Store, Values};
use crate::error::{Error, Kind, Result};
use crate::io::file;
use crate::io::npy::Element;

mod parse;
mod stream;

use parse::{Data, Node, Shape};
use stream::{Stream, Variable};

/// Whether the file is one of MATLAB of version 5.
pub fn recognise(file: &mut File) -> std::io::Result<bool> {
    let mut head = Vec::new();
    file.rewind()?;
    file.take(128).read_to_end(&mut head)?;
    Ok(stream::byte_order(&head).is_some())
}

/// A MATLAB file of version 5.
pub struct Mat {
    path: PathBuf,
    variables: Vec<Variable>,
    nodes: Vec<Node>,
    big_endian: bool,
    /// The array that was read last, since its next region is often the next one asked for.
    last: Mutex<Option<(String, Values)>>,
}

impl Mat {
    /// Reads what there is, but none of the values.
    pub fn open(path: &Path) -> Result<Self> {
        let mut head = [0; 128];
        file::open(path)?.read_exact(&mut head).map_err(|why| Error::unreadable(path, &why))?;
        let damaged = |found: String| {
            Error::input(path, found, "an intact MATLAB file", "Copy it again, or save it again in MATLAB")
        };
        let big_endian = stream::byte_order(&head).ok_or_else(|| damaged("it is no MATLAB file".into()))?;
        let variables = stream::variables(path, big_endian).map_err(|why| damaged(why.to_string()))?;
        let nodes = parse::nodes(path, &variables, big_endian).map_err(|why| damaged(why.to_string()))?;
        Ok(Mat { path: path.to_path_buf(), variables, nodes, big_endian, last: Mutex::default() })
    }

    fn node(&self, name: &str) -> Option<&Node> {
        let name = name.trim_matches('/');
        self.nodes.iter().find(|node| node.path == name)
    }

    /// The bytes of some data, read from the file.
    fn bytes(&self, name: &str, data: &Data) -> Result<Vec<u8>> {
        let read = || {
            let variable = &self.variables[data.variable];
            let mut stream = Stream::open(&self.path, variable, self.big_endian)?;
            stream.skip(data.start)?;
            let bytes = stream.take(data.bytes)?;
            // A compressed variable has a checksum, which is compared at its end.
            stream.finish()?;
            Ok(bytes)
        };
        read().map_err(|why: std::io::Error| {
            let (wanted, advice) = ("an intact array", "Copy the file again, or save it again in MATLAB");
            Error::new(
                Kind::Input,
                super::place(self, name),
                format!("it is damaged ({why})"),
                wanted,
                advice,
            )
        })
    }

    /// All of an array of numbers, in C order.
    fn numbers(&self, name: &str, array: &ArrayMember, data: &Data, element: Element) -> Result<Values> {
        let wrong = |found: String| {
            Error::new(Kind::Input, super::place(self, name), found, "an array of numbers", "")
        };
        let stored =
            Values::from_bytes(data.element, &self.bytes(name, data)?, self.big_endian, &[array.len()]);
        let values = stored.map_err(wrong)?.cast(element).map_err(|odd| wrong(format!("it holds {odd}")))?;
        values.columns_first(&array.shape).map_err(wrong)
    }

    /// The texts of an array of characters: one a row.
    fn rows_of_text(&self, name: &str, rows: usize, data: &Data) -> Result<Vec<String>> {
        let bytes = self.bytes(name, data)?;
        parse::texts(&bytes, data.element, rows, self.big_endian).ok_or_else(|| {
            Error::new(Kind::Input, super::place(self, name), "its characters are no text", "texts", "")
        })
    }
}

fn describe(node: &Node) -> MemberKind {
    let array = |shape: &[usize], element, dtype: &str| {
        let storage = Storage { layout: Layout::Contiguous, filters: Vec::new(), big_endian: false };
        MemberKind::Array(ArrayMember { shape: shape.to_vec(), element, dtype: dtype.into(), storage })
    };
    match &node.shape {
        Shape::Group => MemberKind::Group,
        Shape::Numbers { shape, element, .. } => array(shape, ElementType::Number(*element), element.name()),
        Shape::Text { rows, .. } => array(&[*rows], ElementType::Text, "char"),
        Shape::Texts(cells) => array(&[cells.len()], ElementType::Text, "cell"),
        Shape::Other(what) => MemberKind::Other { what: what.clone() },
    }
}

impl Store for Mat {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self) -> Result<Vec<Member>> {
        let member = |node: &Node| Member { path: format!("/{}", node.path), kind: describe(node) };
        Ok(self.nodes.iter().map(member).collect())
    }

    fn member(&self, name: &str) -> Result<Option<Member>> {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Ok(Some(Member { path: "/".into(), kind: MemberKind::Group }));
        }
        Ok(self.node(name).map(|node| Member { path: format!("/{name}"), kind: describe(node) }))
    }

    fn read(&self, name: &str, region: &[Range<usize>]) -> Result<Values> {
        let array = super::array(self, name)?;
        let Some(Node { shape: Shape::Numbers { element, data, .. }, .. }) = self.node(name) else {
            return Err(Error::new(Kind::Input, super::place(self, name), "it holds texts", "numbers", ""));
        };
        super::check_region(&super::place(self, name), &array.shape, region)?;
        // Taken out while it is read, so that what failed half-way is not used again.
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let values = match last {
            Some((last, values)) if last == name => values,
            _ => self.numbers(name, &array, data, *element)?,
        };
        let part = values.part(region);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_string(), values));
        Ok(part)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        super::array(self, name)?;
        match self.node(name).map(|node| &node.shape) {
            Some(Shape::Text { rows, data }) => self.rows_of_text(name, *rows, data),
            Some(Shape::Texts(cells)) => {
                let one = |cell: &Option<Data>| match cell {
                    Some(data) => Ok(self.rows_of_text(name, 1, data)?.concat()),
                    None => Ok(String::new()),
                };
                cells.iter().map(one).collect()
            }
            _ => Err(Error::new(Kind::Input, super::place(self, name), "it holds numbers", "texts", "")),
        }
    }

    fn attribute(&self, _name: &str, _attribute: &str) -> Result<Option<Attribute>> {
        Ok(None)
    }
}
