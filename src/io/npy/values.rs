//! Bytes of an array to numbers, in pieces.

use std::io::Read;
use std::path::Path;

use super::Element;
use super::header::Header;
use crate::error::{Error, Result};
use crate::host::room;

/// Bytes converted at a time; a multiple of every element's size.
const PIECE: usize = 1 << 16;

/// Appends the elements in some bytes (of the header's type and order) to a vector.
pub(super) type Decode<T> = fn(&[u8], &Header, &mut Vec<T>);

macro_rules! decoder {
    ($name:ident, $out:ty, $half:ident, $doc:literal) => {
        #[doc = $doc]
        pub(super) fn $name(bytes: &[u8], header: &Header, values: &mut Vec<$out>) {
            macro_rules! each {
                ($number:ty, $convert:expr) => {{
                    const BYTES: usize = size_of::<$number>();
                    let big = header.big_endian;
                    values.extend(bytes.as_chunks::<BYTES>().0.iter().map(|&b| {
                        let number =
                            if big { <$number>::from_be_bytes(b) } else { <$number>::from_le_bytes(b) };
                        $convert(number)
                    }))
                }};
            }
            match header.element {
                Element::Bool => values.extend(bytes.iter().map(|&b| <$out>::from(b != 0))),
                Element::U8 => values.extend(bytes.iter().map(|&b| <$out>::from(b))),
                Element::I8 => each!(i8, |v| v as $out),
                Element::U16 => each!(u16, |v| v as $out),
                Element::I16 => each!(i16, |v| v as $out),
                Element::U32 => each!(u32, |v| v as $out),
                Element::I32 => each!(i32, |v| v as $out),
                Element::U64 => each!(u64, |v| v as $out),
                Element::I64 => each!(i64, |v| v as $out),
                Element::F16 => each!(half::f16, |v: half::f16| v.$half()),
                Element::F32 => each!(f32, |v| v as $out),
                Element::F64 => each!(f64, |v| v as $out),
            }
        }
    };
}

decoder!(decode_f32, f32, to_f32, "Numbers as f32: integers above 2^24 and f64 are rounded to the nearest.");
decoder!(decode_f64, f64, to_f64, "Numbers as f64: integers above 2^53 are rounded to the nearest.");

/// A type of element that is kept as stored.
pub(super) trait Stored: Sized {
    /// Appends the elements in some bytes.
    fn extend(bytes: &[u8], big_endian: bool, values: &mut Vec<Self>);
}

macro_rules! stored {
    ($($number:ty),*) => {
        $(impl Stored for $number {
            fn extend(bytes: &[u8], big_endian: bool, values: &mut Vec<Self>) {
                let chunks = bytes.as_chunks::<{ size_of::<$number>() }>().0.iter();
                if big_endian {
                    values.extend(chunks.map(|&b| <$number>::from_be_bytes(b)));
                } else {
                    values.extend(chunks.map(|&b| <$number>::from_le_bytes(b)));
                }
            }
        })*
    };
}

stored!(u8, i8, u16, i16, u32, i32, u64, i64, half::f16, f32, f64);

impl Stored for bool {
    fn extend(bytes: &[u8], _big_endian: bool, values: &mut Vec<Self>) {
        values.extend(bytes.iter().map(|&byte| byte != 0));
    }
}

/// Elements as stored, whose type is the header's.
pub(super) fn decode_stored<T: Stored>(bytes: &[u8], header: &Header, values: &mut Vec<T>) {
    T::extend(bytes, header.big_endian, values);
}

/// Reads `count` elements. `at_once` bounds, in elements, what is reserved before any of them has been seen.
pub(super) fn read_values<T>(
    place: &Path,
    reader: &mut impl Read,
    header: &Header,
    count: usize,
    at_once: usize,
    decode: Decode<T>,
) -> Result<Vec<T>> {
    let width = header.element.bytes();
    room(&place.display().to_string(), (count.min(at_once) * size_of::<T>()) as u64)?;
    let mut values = Vec::with_capacity(count.min(at_once));
    let mut piece = vec![0_u8; PIECE.min(count.saturating_mul(width))];
    while values.len() < count {
        let bytes = PIECE.min((count - values.len()) * width);
        reader.read_exact(&mut piece[..bytes]).map_err(|why| {
            let found = format!("the data cannot be read beyond element {} of {count} ({why})", values.len());
            Error::input(place, found, "the whole array", "The file is damaged: copy or save it again")
        })?;
        decode(&piece[..bytes], header, &mut values);
    }
    Ok(values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn numbers(element: Element, big_endian: bool, bytes: &[u8]) -> (Vec<f32>, Vec<f64>) {
        let elements = bytes.len() / element.bytes();
        let header =
            Header { shape: vec![elements], element, big_endian, fortran: false, start: 0, elements };
        let (mut small, mut large) = (Vec::new(), Vec::new());
        decode_f32(bytes, &header, &mut small);
        decode_f64(bytes, &header, &mut large);
        (small, large)
    }

    #[test]
    fn every_element_in_both_byte_orders() {
        assert_eq!(numbers(Element::Bool, false, &[0, 1, 7]).0, [0.0, 1.0, 1.0]);
        assert_eq!(numbers(Element::U8, false, &[0, 255]).0, [0.0, 255.0]);
        assert_eq!(numbers(Element::I8, false, &[0x80]).1, [-128.0]);
        macro_rules! both {
            ($element:ident, $number:ty, $value:expr, $expect:expr) => {
                let value: $number = $value;
                assert_eq!(numbers(Element::$element, false, &value.to_le_bytes()).1, [$expect]);
                assert_eq!(numbers(Element::$element, true, &value.to_be_bytes()).1, [$expect]);
                assert_eq!(numbers(Element::$element, true, &value.to_be_bytes()).0, [$expect as f32]);
            };
        }
        both!(U16, u16, 65_535, 65_535.0);
        both!(I16, i16, -2, -2.0);
        both!(U32, u32, 4_000_000_000, 4e9);
        both!(I32, i32, -3, -3.0);
        both!(U64, u64, 1 << 63, 9_223_372_036_854_775_808.0);
        both!(I64, i64, -4, -4.0);
        both!(F16, half::f16, half::f16::from_f32(1.5), 1.5);
        both!(F32, f32, -2.25, -2.25);
        both!(F64, f64, 1e-3, 1e-3);
    }
}
