//! The header of a `.npy` file: magic, version, and a Python dictionary of exactly three keys.
//!
//! The grammar is the one NumPy writes (its format documentation, NEP 1): a general reader of Python literals
//! recurses and allocates as the file tells it to, this one does neither.

use std::io::Read;
use std::path::Path;

use super::Element;
use crate::error::{Error, Result};

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header: NumPy's own limit for files it did not write itself.
const LONGEST: usize = 10_000;

/// What a header promises, checked against the bytes that are really there.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub shape: Vec<usize>,
    pub element: Element,
    pub big_endian: bool,
    /// Columns first. False where the order makes no difference.
    pub fortran: bool,
    /// Bytes before the data.
    pub start: u64,
    /// Product of the shape.
    pub elements: usize,
}

/// The dictionary of a header, and where the data begins.
pub(super) struct Preamble {
    /// NumPy's type string, such as `<f4` or `<U10`.
    pub descr: String,
    pub fortran: bool,
    pub shape: Vec<usize>,
    pub start: u64,
    /// Product of the shape.
    pub elements: usize,
}

fn damaged(place: &Path, found: String) -> Error {
    Error::input(place, found, "a NumPy array", "Save it again with numpy.save")
}

/// Reads the dictionary at the start of `reader`; `length` is the number of bytes that the whole array file
/// has.
pub(super) fn preamble(place: &Path, reader: &mut impl Read, length: u64) -> Result<Preamble> {
    let damaged = |found: String| damaged(place, found);
    let short = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged("the file ends inside its header".into()),
        _ => damaged(format!("the header cannot be read ({why})")),
    };
    let mut prelude = [0_u8; 8];
    reader.read_exact(&mut prelude).map_err(short)?;
    if &prelude[..6] != MAGIC {
        return Err(damaged("it does not begin like a NumPy array".into()));
    }
    let mut count = [0_u8; 4];
    let width = match prelude[6] {
        1 => 2,
        2 | 3 => 4,
        version => return Err(damaged(format!("its format version is {version}, and only 1 to 3 exist"))),
    };
    reader.read_exact(&mut count[..width]).map_err(short)?;
    let count = u32::from_le_bytes(count) as usize;
    let start = (8 + width + count) as u64;
    if count > LONGEST || start > length {
        return Err(damaged(format!("it claims a header of {count} bytes in a file of {length}")));
    }
    let mut text = vec![0_u8; count];
    reader.read_exact(&mut text).map_err(short)?;
    let Fields { descr, fortran, shape } = Fields::read(&text).map_err(damaged)?;
    let elements = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
    let elements = elements.ok_or_else(|| overflow(place, &shape))?;
    Ok(Preamble { descr, fortran, shape, start, elements })
}

fn overflow(place: &Path, shape: &[usize]) -> Error {
    damaged(place, format!("its shape {shape:?} holds more elements than exist"))
}

impl Preamble {
    /// Checks that the elements, of `width` bytes and this name, are what follows the header.
    pub(super) fn check(&self, place: &Path, length: u64, width: usize, name: &str) -> Result<()> {
        let shape = &self.shape;
        let bytes = (self.elements as u64).checked_mul(width as u64);
        let bytes = bytes.ok_or_else(|| overflow(place, shape))?;
        let held = length - self.start;
        if bytes == held {
            return Ok(());
        }
        let promise = format!("the header promises {bytes} bytes (shape {shape:?} of {name})");
        Err(damaged(place, format!("{promise} and {held} follow it")))
    }
}

/// Reads the header of an array of numbers.
pub(super) fn parse(place: &Path, reader: &mut impl Read, length: u64) -> Result<Header> {
    numbers(place, preamble(place, reader, length)?, length)
}

/// The header of an array of numbers, of which the dictionary has been read.
pub(super) fn numbers(place: &Path, preamble: Preamble, length: u64) -> Result<Header> {
    let (element, big_endian) = element_of(place, &preamble.descr)?;
    preamble.check(place, length, element.bytes(), element.name())?;
    let Preamble { fortran, shape, start, elements, .. } = preamble;
    // An axis of length 1 does not make an order.
    let fortran = fortran && shape.iter().filter(|&&n| n != 1).count() > 1;
    Ok(Header { shape, element, big_endian, fortran, start, elements })
}

/// The element type and whether it is big endian, from NumPy's type string such as `<f4`.
fn element_of(place: &Path, descr: &str) -> Result<(Element, bool)> {
    use Element::*;
    let refuse = |found: String, advice: &str| Err(Error::input(place, found, "an array of numbers", advice));
    let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
    let element = match kind {
        "b1" => Bool,
        "u1" => U8,
        "i1" => I8,
        "u2" => U16,
        "i2" => I16,
        "u4" => U32,
        "i4" => I32,
        "u8" => U64,
        "i8" => I64,
        "f2" => F16,
        "f4" => F32,
        "f8" => F64,
        _ if kind.starts_with('O') => {
            return refuse(
                "it holds Python objects (dtype object), which are a pickle, and a pickle can run any program".into(),
                "Save a plain array of numbers, for example numpy.save(path, numpy.stack(list).astype('float32'))",
            );
        }
        _ => {
            let what = match kind.chars().next() {
                Some('U' | 'S' | 'a') => "text",
                Some('c') => "complex numbers",
                Some('M' | 'm') => "dates or durations",
                Some('V') => "structured records",
                _ => "elements of a type that Striate does not know",
            };
            return refuse(
                format!("it holds {what} (dtype '{}')", descr.escape_debug()),
                "Convert it first, for example with array.astype('float32')",
            );
        }
    };
    match order {
        "<" => Ok((element, false)),
        ">" => Ok((element, true)),
        "|" if element.bytes() == 1 => Ok((element, false)),
        _ => refuse(
            format!("its type '{}' does not say the byte order", descr.escape_debug()),
            "Save it again",
        ),
    }
}

/// The three keys, unchecked.
struct Fields {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Fields {
    fn read(text: &[u8]) -> std::result::Result<Self, String> {
        let mut scan = Scan { rest: text };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        scan.expect(b'{')?;
        while scan.peek() != Some(b'}') {
            let key = scan.string()?;
            scan.expect(b':')?;
            match key {
                "descr" if scan.peek() == Some(b'[') => {
                    return Err("it holds structured records (a dtype with named fields)".into());
                }
                "descr" => descr = Some(scan.string()?.to_string()),
                "fortran_order" => fortran = Some(scan.boolean()?),
                "shape" => shape = Some(scan.shape()?),
                other => return Err(format!("its header has a key '{}'", other.escape_debug())),
            }
            if scan.peek() == Some(b',') {
                scan.expect(b',')?;
            } else if scan.peek() != Some(b'}') {
                return Err("its header is not the dictionary that NumPy writes".into());
            }
        }
        scan.expect(b'}')?;
        if scan.peek().is_some() {
            return Err("its header goes on after the dictionary".into());
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Fields { descr, fortran, shape }),
            _ => Err("its header lacks one of descr, fortran_order and shape".into()),
        }
    }
}

/// What is left of the header's text.
struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn expect(&mut self, wanted: u8) -> std::result::Result<(), String> {
        if self.peek() != Some(wanted) {
            return Err(format!("its header lacks a '{}' where one must be", wanted as char));
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    /// Everything up to the first byte that `keep` refuses.
    fn take(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.iter().position(|&b| !keep(b)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        std::str::from_utf8(word).unwrap_or("")
    }

    fn string(&mut self) -> std::result::Result<&'a str, String> {
        let quote =
            self.peek().filter(|b| matches!(b, b'\'' | b'"')).ok_or("its header lacks a quoted word")?;
        self.rest = &self.rest[1..];
        let word = self.take(|b| b != quote && b != b'\\');
        self.expect(quote)?;
        Ok(word)
    }

    fn boolean(&mut self) -> std::result::Result<bool, String> {
        self.peek();
        match self.take(|b| b.is_ascii_alphabetic()) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err("its fortran_order is neither True nor False".into()),
        }
    }

    fn shape(&mut self) -> std::result::Result<Vec<usize>, String> {
        self.expect(b'(')?;
        let mut shape = Vec::new();
        while self.peek() != Some(b')') {
            let digits = self.take(|b| b.is_ascii_digit());
            let count = digits.parse().map_err(|_| "its shape is not a list of whole numbers")?;
            shape.push(count);
            // NumPy 1.x under Python 2 wrote long integers with an L.
            self.take(|b| b == b'L');
            if self.peek() == Some(b',') {
                self.expect(b',')?;
            } else if self.peek() != Some(b')') {
                return Err("its shape is not a list of whole numbers".into());
            }
        }
        self.expect(b')')?;
        if shape.len() > 32 {
            return Err(format!("its shape has {} axes", shape.len()));
        }
        Ok(shape)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn file(dictionary: &str, data: usize) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dictionary.len() as u16).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn header(dictionary: &str, data: usize) -> Result<Header> {
        let bytes = file(dictionary, data);
        parse(Path::new("a.npy"), &mut &bytes[..], bytes.len() as u64)
    }

    fn refusal(dictionary: &str, data: usize) -> String {
        header(dictionary, data).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_numpy_and_old_numpy_write() {
        let h = header("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }   \n", 12).unwrap();
        assert_eq!((h.shape, h.element, h.big_endian, h.fortran), (vec![2, 3], Element::I16, true, true));
        let h = header("{'shape': (3L, 1L), 'fortran_order': True, 'descr': \"|u1\"}\n", 3).unwrap();
        assert_eq!((h.shape, h.element, h.fortran), (vec![3, 1], Element::U8, false));
        let h = header("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", 8).unwrap();
        assert_eq!((h.elements, h.shape.len()), (1, 0));
    }

    #[test]
    fn refuses_what_is_not_an_array_of_numbers() {
        let of =
            |descr: &str| refusal(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"), 8);
        assert!(of("'|O'").contains("a pickle can run any program"));
        assert!(of("[('a', '<f4')]").contains("structured records"));
        assert!(of("'<U2'").contains("text"));
        assert!(of("'<c8'").contains("complex"));
        assert!(of("'=f8'").contains("byte order"));
    }

    #[test]
    fn refuses_shapes_that_lie() {
        let of = |shape: &str| {
            refusal(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"), 16)
        };
        assert!(of("(4294967296, 4294967296, 4)").contains("more elements than exist"));
        assert!(of("(4611686018427387904,)").contains("more elements than exist"));
        assert!(of("(1099511627776,)").contains("promises 4398046511104 bytes"));
        assert!(of("(3,)").contains("promises 12 bytes") && of("(5,)").contains("16 follow"));
        assert!(of("(-1,)").contains("whole numbers") && of("[4]").contains("'('"));
        assert!(of("(((((4").contains("whole numbers"));
    }

    #[test]
    fn refuses_a_header_longer_than_the_file() {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        let error = parse(Path::new("a.npy"), &mut &bytes[..], 12).unwrap_err().to_string();
        assert!(error.contains("claims a header of 4294967295 bytes"), "{error}");
    }
}
