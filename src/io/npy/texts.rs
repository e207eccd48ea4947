//! Lists of texts in `.npy` files: NumPy's `U` (four bytes a character) and `S` (bytes) types.

use std::io::{BufReader, Read};
use std::path::Path;

use super::header::{self, Preamble};
use super::{Archive, Opened, Regions, member_bytes, member_place, open};
use crate::error::{Error, Result};

/// Bytes of the longest text.
const LONGEST: usize = 4096;

/// How texts lie in the file.
struct Texts {
    /// Four bytes a character, or bytes of UTF-8.
    wide: bool,
    big_endian: bool,
    /// Bytes of each.
    width: usize,
}

impl Texts {
    /// From NumPy's name of the type; none where it is no type of texts.
    fn of(descr: &str) -> Option<Self> {
        let (order, kind) = descr.split_at_checked(2)?;
        let characters: usize = kind.parse().ok()?;
        let (big_endian, wide) = match order {
            "<U" => (false, true),
            ">U" => (true, true),
            "|S" | "<S" | ">S" | "|a" => (false, false),
            _ => return None,
        };
        let width = characters.saturating_mul(if wide { 4 } else { 1 });
        Some(Texts { wide, big_endian, width })
    }

    /// All texts, in C order, from the data that follow the header.
    fn read(
        &self,
        place: &Path,
        reader: &mut impl Read,
        preamble: &Preamble,
        length: u64,
    ) -> Result<Vec<String>> {
        let refuse = |found: String, advice: &str| Err(Error::input(place, found, "texts", advice));
        let width = self.width;
        if width > LONGEST {
            return refuse(format!("its texts are {width} bytes long"), "Save shorter texts");
        }
        preamble.check(place, length, width, &preamble.descr)?;
        if preamble.fortran && preamble.shape.iter().filter(|&&n| n != 1).count() > 1 {
            return refuse(
                "its texts are stored columns first".into(),
                "Save numpy.ascontiguousarray(array)",
            );
        }
        if width == 0 {
            // Nothing follows the header, so its count is no more than a claim.
            return match preamble.elements {
                0 => Ok(Vec::new()),
                _ => refuse("its texts are empty".into(), "Save the texts again"),
            };
        }
        let mut texts = Vec::new();
        let mut bytes = vec![0; width];
        for at in 0..preamble.elements {
            reader.read_exact(&mut bytes).map_err(|why| Error::unreadable(place, &why))?;
            match if self.wide { unicode(&bytes, self.big_endian) } else { utf8(&bytes) } {
                Some(text) => texts.push(text),
                None => return refuse(format!("text {at} is no text"), "Save the list again"),
            }
        }
        Ok(texts)
    }
}

/// Bytes of each text of a type; none where it is no type of texts.
pub(super) fn width(descr: &str) -> Option<usize> {
    Texts::of(descr).map(|texts| texts.width)
}

/// Reads a list of labels: texts as they are (without the zeros that fill them up), whole numbers in digits.
///
/// # Errors
/// A file that is missing, damaged, an archive, or holds anything but a list of texts or of whole numbers.
pub fn read_labels(path: &Path) -> Result<Vec<String>> {
    let Opened { file, length, archive } = open(path)?;
    let wanted = "a list of texts or of whole numbers (.npy)";
    let refuse = |found: String, advice: &str| Err(Error::input(path, found, wanted, advice));
    if archive {
        return refuse("it is an archive (.npz)".into(), "Save the list alone with numpy.save");
    }
    let mut reader = BufReader::new(file);
    let preamble = header::preamble(path, &mut reader, length)?;
    if preamble.shape.len() != 1 {
        return refuse(format!("it has the shape {:?}", preamble.shape), "Save it as one axis");
    }
    if let Some(texts) = Texts::of(&preamble.descr) {
        return texts.read(path, &mut reader, &preamble, length);
    }
    let values = Regions::open(path, None)?.read(std::slice::from_ref(&(0..preamble.elements)))?;
    match values.into_i64() {
        Ok(numbers) => Ok(numbers.iter().map(i64::to_string).collect()),
        Err(odd) => refuse(format!("it holds {odd}"), ""),
    }
}

/// All texts of an array of an `.npz`, in C order, without the zeros that fill them up.
///
/// # Errors
/// A file that is missing, no archive, or damaged; no such array; an array of something else.
pub fn read_texts(path: &Path, member: &str) -> Result<Vec<String>> {
    let Opened { file, length, .. } = open(path)?;
    let archive = Archive::open(path, file, length)?;
    let member = archive.choose(path, Some(member))?;
    let mut file = archive.zip.into_inner().into_inner();
    let place = member_place(path, &member);
    let mut reader = BufReader::new(member_bytes(path, &mut file, &member)?);
    let preamble = header::preamble(&place, &mut reader, member.size)?;
    match Texts::of(&preamble.descr) {
        Some(texts) => texts.read(&place, &mut reader, &preamble, member.size),
        None => Err(Error::input(&place, "it holds no texts", "texts", "")),
    }
}

fn unicode(bytes: &[u8], big_endian: bool) -> Option<String> {
    let number = |b: &[u8; 4]| if big_endian { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) };
    let text: Option<String> = bytes.as_chunks::<4>().0.iter().map(|b| char::from_u32(number(b))).collect();
    text.map(|text| text.trim_end_matches('\0').to_string())
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0').to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    fn labels(name: &str, descr: &str, shape: &str, data: &[u8]) -> std::result::Result<Vec<String>, String> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        let path = scratch(&format!("labels-npy-{name}")).join("list.npy");
        std::fs::write(&path, bytes).unwrap();
        read_labels(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_of_every_kind_and_numbers_are_labels() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.chars()
                .flat_map(|c| if big { (c as u32).to_be_bytes() } else { (c as u32).to_le_bytes() })
                .collect()
        };
        assert_eq!(labels("u", "<U3", "(2,)", &wide("L4\0é23", false)).unwrap(), ["L4", "é23"]);
        assert_eq!(labels("ub", ">U2", "(2,)", &wide("V1\0\0", true)).unwrap(), ["V1", ""]);
        assert_eq!(labels("s", "|S2", "(3,)", b"V1L\0\0\0").unwrap(), ["V1", "L", ""]);
        assert_eq!(labels("i", "<i2", "(2,)", &[5, 0, 255, 255]).unwrap(), ["5", "-1"]);
        assert_eq!(labels("f", "<f4", "(1,)", &3.0_f32.to_le_bytes()).unwrap(), ["3"]);
        assert!(labels("none", "<U4", "(0,)", &[]).unwrap().is_empty());
    }

    #[test]
    fn lists_that_lie_are_refused() {
        let cases: [(&str, &str, &str, &[u8], &str); 9] = [
            ("short", "<U2", "(2,)", &[65, 0, 0, 0], "promises 16 bytes"),
            ("char", "<U1", "(1,)", &[255, 255, 255, 255], "text 0 is no text"),
            ("bytes", "|S1", "(1,)", &[255], "text 0 is no text"),
            ("many", "<U1", "(4611686018427387904,)", &[], "more elements than exist"),
            ("empty", "<U0", "(4611686018427387904,)", &[], "its texts are empty"),
            ("long", "<U99999", "(1,)", &[], "bytes long"),
            ("axes", "<U1", "(1, 1)", &[65, 0, 0, 0], "the shape [1, 1]"),
            ("object", "|O", "(1,)", &[0; 8], "pickle"),
            ("fraction", "<f4", "(1,)", &[0, 0, 0, 63], "0.5"),
        ];
        for (name, descr, shape, data, said) in cases {
            let error = labels(name, descr, shape, data).unwrap_err();
            assert!(error.contains(said) && error.contains("list.npy"), "{name}: {error}");
        }
    }
}
