//! Lists of texts in `.npy` files: NumPy's `U` (four bytes a character) and `S` (bytes) types.

use std::io::{BufReader, Read};
use std::path::Path;

use super::{Opened, Regions, header, open};
use crate::error::{Error, Result};

/// Bytes of the longest text.
const LONGEST: usize = 4096;

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
    let descr = preamble.descr.as_str();
    let (order, kind) = descr.split_at_checked(2).unwrap_or((descr, ""));
    let characters = kind.parse::<usize>().ok();
    let (big_endian, wide) = match (order, characters) {
        ("<U", Some(_)) => (false, true),
        (">U", Some(_)) => (true, true),
        ("|S" | "<S" | ">S" | "|a", Some(_)) => (false, false),
        _ => {
            let values = Regions::open(path, None)?.read(std::slice::from_ref(&(0..preamble.elements)))?;
            let numbers = values.into_i64();
            return match numbers {
                Ok(numbers) => Ok(numbers.iter().map(i64::to_string).collect()),
                Err(odd) => refuse(format!("it holds {odd}"), ""),
            };
        }
    };
    let width = characters.unwrap_or(0).saturating_mul(if wide { 4 } else { 1 });
    if width > LONGEST {
        return refuse(format!("its texts are {width} bytes long"), "Save shorter texts");
    }
    preamble.check(path, length, width, descr)?;
    if width == 0 {
        // Nothing follows the header, so its count is no more than a claim.
        return match preamble.elements {
            0 => Ok(Vec::new()),
            _ => refuse("its texts are empty".into(), "Save the texts again"),
        };
    }
    let mut labels = Vec::new();
    let mut bytes = vec![0; width];
    for at in 0..preamble.elements {
        reader.read_exact(&mut bytes).map_err(|why| Error::unreadable(path, &why))?;
        match if wide { unicode(&bytes, big_endian) } else { utf8(&bytes) } {
            Some(label) => labels.push(label),
            None => return refuse(format!("text {at} is no text"), "Save the list again"),
        }
    }
    Ok(labels)
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
