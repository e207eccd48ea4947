//! From the bytes of variables to members: the "MAT-File Format" of MATLAB, version 5.

use std::io::Result;
use std::path::Path;

use super::stream::{MATRIX, Stream, Variable, damaged};
use crate::io::npy::Element;

/// Most axes of an array.
const MOST_AXES: usize = 32;
/// Cells within structures within cells.
const DEEPEST: usize = 16;
/// Longest path of a member in bytes.
const LONGEST_PATH: usize = 512;

/// Where values are.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub variable: usize,
    /// Bytes before them in the unpacked variable.
    pub start: u64,
    pub bytes: u64,
    /// As they are stored, which may be smaller than the array's own type.
    pub element: Element,
}

/// A member, without values.
#[derive(Debug)]
pub(super) struct Node {
    pub path: String,
    pub shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Group,
    Numbers {
        shape: Vec<usize>,
        element: Element,
        data: Data,
    },
    /// Rows of characters.
    Text {
        rows: usize,
        data: Data,
    },
    /// A cell of texts; nothing stands for an empty one.
    Texts(Vec<Option<Data>>),
    Other(String),
}

/// Everything in a file, groups before what they hold.
pub(super) fn nodes(path: &Path, variables: &[Variable], big_endian: bool) -> Result<Vec<Node>> {
    let length = std::fs::metadata(path)?.len();
    let mut nodes = Vec::new();
    // What is remembered of each is to stay in proportion to the file.
    let most = 1024 + usize::try_from(length / 16).unwrap_or(usize::MAX);
    for (number, variable) in variables.iter().enumerate() {
        let stream = Stream::open(path, variable, big_endian)?;
        let mut walk = Walk { stream, variable: number, big_endian, nodes: &mut nodes, most };
        walk.matrix(None, 0)?;
    }
    Ok(nodes)
}

struct Walk<'a> {
    stream: Stream,
    variable: usize,
    big_endian: bool,
    nodes: &'a mut Vec<Node>,
    most: usize,
}

impl Walk<'_> {
    /// An array whose tag has been read. `path` is that of a field or a cell; variables bring their own
    /// names.
    fn matrix(&mut self, path: Option<String>, depth: usize) -> Result<()> {
        let (kind, flags) = self.stream.element()?;
        if kind != 6 || flags.len() != 8 {
            return Err(damaged("an array does not begin with its flags"));
        }
        let [word, _] = self.words(&flags)[..] else { return Err(damaged("an array has no flags")) };
        let (class, complex, logical) = (word & 0xff, word & 0x800 != 0, word & 0x200 != 0);
        if class == 17 {
            // An object of MATLAB's own, whose layout differs from here on.
            let path = path.unwrap_or_else(|| format!("object {}", self.nodes.len()));
            return self.push(path, Shape::Other("it is an object of MATLAB (table, string, date)".into()));
        }
        let (_, dims) = self.stream.element()?;
        let shape: Vec<usize> = self.words(&dims).into_iter().map(|n| n as usize).collect();
        let count = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
        let Some(count) = count.filter(|_| (2..=MOST_AXES).contains(&shape.len())) else {
            return Err(damaged(format!("an array has the impossible shape {shape:?}")));
        };
        let (_, name) = self.stream.element()?;
        let Some(path) = path.or_else(|| variable_name(&name)) else { return Ok(()) };
        match class {
            1 => self.cell(path, count, depth),
            2 => self.structure(path, count, depth),
            4 => self.characters(path, &shape),
            3 => self.push(path, Shape::Other("it is an object of MATLAB".into())),
            5 => self.push(path, Shape::Other("it is a sparse matrix (save full(x) instead)".into())),
            16 => self.push(path, Shape::Other("it is a function".into())),
            _ if complex => self.push(path, Shape::Other("it holds complex numbers".into())),
            _ => self.numbers(path, shape, count, number_class(class, logical)),
        }
    }

    fn words(&self, bytes: &[u8]) -> Vec<u32> {
        let word = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        bytes.as_chunks::<4>().0.iter().map(|b| word(*b)).collect()
    }

    fn push(&mut self, path: String, shape: Shape) -> Result<()> {
        if self.nodes.len() >= self.most || path.len() > LONGEST_PATH {
            return Err(damaged("it holds more members than a file of its length should"));
        }
        self.nodes.push(Node { path, shape });
        Ok(())
    }

    fn numbers(
        &mut self,
        path: String,
        shape: Vec<usize>,
        count: usize,
        element: Option<Element>,
    ) -> Result<()> {
        let Some(element) = element else {
            return self.push(path, Shape::Other("it is of a class that Striate does not know".into()));
        };
        let shown = format!("{shape:?}");
        match self.data(count)? {
            Ok(data) => self.push(path, Shape::Numbers { shape, element, data }),
            Err(bytes) => Err(damaged(format!("'{path}' of the shape {shown} has {bytes} bytes"))),
        }
    }

    /// Where the values of the next element are, or how many bytes they have where these are no `count`
    /// values.
    fn data(&mut self, count: usize) -> Result<std::result::Result<Data, u64>> {
        let (kind, start, bytes) = self.stream.locate()?;
        let element = stored(kind).ok_or_else(|| damaged(format!("values are stored as type {kind}")))?;
        if (element.bytes() as u64).checked_mul(count as u64) != Some(bytes) {
            return Ok(Err(bytes));
        }
        Ok(Ok(Data { variable: self.variable, start, bytes, element }))
    }

    fn characters(&mut self, path: String, shape: &[usize]) -> Result<()> {
        let data = self.text()?;
        match (shape, data) {
            ([rows, _], Some(data)) => self.push(path, Shape::Text { rows: *rows, data }),
            _ => self.push(path, Shape::Other("it is an empty text, or a block of characters".into())),
        }
    }

    /// Where characters are; none where there are none.
    fn text(&mut self) -> Result<Option<Data>> {
        let (kind, start, bytes) = self.stream.locate()?;
        let element = match kind {
            1 | 2 | 16 => Element::U8,
            4 | 17 => Element::U16,
            18 => Element::U32,
            other => return Err(damaged(format!("characters are stored as type {other}"))),
        };
        Ok((bytes > 0).then_some(Data { variable: self.variable, start, bytes, element }))
    }

    /// Each array of a cell or structure, from its tag to its end.
    fn inside(&mut self, path: String, depth: usize) -> Result<()> {
        let tag = self.stream.tag()?;
        let end = self.stream.at + tag.bytes;
        match tag.kind {
            MATRIX if tag.bytes == 0 => self.push(path, Shape::Other("it is empty".into()))?,
            MATRIX if depth < DEEPEST => self.matrix(Some(path), depth + 1)?,
            MATRIX => return Err(damaged("cells are nested too deeply")),
            other => return Err(damaged(format!("a cell holds an element of the type {other}"))),
        }
        match end.checked_sub(self.stream.at) {
            Some(left) => self.stream.skip(left),
            None => Err(damaged("an array in a cell is longer than it says")),
        }
    }

    fn cell(&mut self, path: String, count: usize, depth: usize) -> Result<()> {
        let at = self.nodes.len();
        self.push(path.clone(), Shape::Group)?;
        for index in 1..=count {
            self.inside(format!("{path}/{index}"), depth)?;
        }
        let cells = &self.nodes[at + 1..];
        let text = |node: &Node| match &node.shape {
            Shape::Text { rows: 1, data } => Some(Some(data.clone())),
            Shape::Other(what) if what.starts_with("it is an empty text") => Some(None),
            _ => None,
        };
        if count > 0
            && let Some(texts) = cells.iter().map(text).collect::<Option<Vec<_>>>()
        {
            self.nodes.truncate(at);
            return self.push(path, Shape::Texts(texts));
        }
        Ok(())
    }

    fn structure(&mut self, path: String, count: usize, depth: usize) -> Result<()> {
        let (_, length) = self.stream.element()?;
        let length = self.words(&length).first().map_or(0, |&n| n as usize);
        let (_, names) = self.stream.element()?;
        if length == 0 || length > 256 {
            return Err(damaged(format!("names of fields have {length} letters")));
        }
        let names: Option<Vec<String>> = names.chunks_exact(length).map(variable_name).collect();
        let names = names.ok_or_else(|| damaged("a field has no name"))?;
        self.push(path.clone(), Shape::Group)?;
        for index in (1..=count).take_while(|_| !names.is_empty()) {
            for name in &names {
                let own =
                    if count == 1 { format!("{path}/{name}") } else { format!("{path}/{index}/{name}") };
                self.inside(own, depth)?;
            }
        }
        Ok(())
    }
}

/// A name, up to the first zero; none where it is empty or no text.
fn variable_name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes.split(|&b| b == 0).next()?).ok()?;
    (!text.is_empty() && !text.contains('/')).then(|| text.to_string())
}

/// The type of an array of numbers by its class.
fn number_class(class: u32, logical: bool) -> Option<Element> {
    Some(match class {
        9 if logical => Element::Bool,
        6 => Element::F64,
        7 => Element::F32,
        8 => Element::I8,
        9 => Element::U8,
        10 => Element::I16,
        11 => Element::U16,
        12 => Element::I32,
        13 => Element::U32,
        14 => Element::I64,
        15 => Element::U64,
        _ => return None,
    })
}

/// The type of stored numbers.
fn stored(kind: u32) -> Option<Element> {
    Some(match kind {
        1 => Element::I8,
        2 => Element::U8,
        3 => Element::I16,
        4 => Element::U16,
        5 => Element::I32,
        6 => Element::U32,
        7 => Element::F32,
        9 => Element::F64,
        12 => Element::I64,
        13 => Element::U64,
        _ => return None,
    })
}

/// Rows of characters, which lie column by column, without the blanks that fill them up.
pub(super) fn texts(bytes: &[u8], element: Element, rows: usize, big_endian: bool) -> Option<Vec<String>> {
    if element == Element::U8 && rows == 1 {
        return Some(vec![std::str::from_utf8(bytes).ok()?.trim_end().to_string()]);
    }
    let units: Vec<u32> = match element {
        Element::U8 => bytes.iter().map(|&b| u32::from(b)).collect(),
        Element::U16 => {
            let unit = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            bytes.as_chunks::<2>().0.iter().map(|b| u32::from(unit(*b))).collect()
        }
        _ => {
            let unit = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
            bytes.as_chunks::<4>().0.iter().map(|b| unit(*b)).collect()
        }
    };
    if rows == 0 || !units.len().is_multiple_of(rows) {
        return None;
    }
    let row = |row: usize| -> Option<String> {
        let units = units.iter().skip(row).step_by(rows).copied();
        let text: Option<String> = match element {
            Element::U16 => String::from_utf16(&units.map(|u| u as u16).collect::<Vec<_>>()).ok(),
            _ => units.map(char::from_u32).collect(),
        };
        text.map(|text| text.trim_end().to_string())
    };
    (0..rows).map(row).collect()
}
