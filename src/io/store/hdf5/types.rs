//! HDF5's types as elements and as NumPy writes them.

use hdf5_reader::{ByteOrder, CompoundField, Datatype, ReferenceType, StringSize, VarLenKind};

use super::super::ElementType;
use crate::io::npy::Element;

/// Bytes of one element in the file; `reference` are those of one reference to a text or list.
pub(super) fn size(datatype: &Datatype, reference: usize) -> Option<usize> {
    Some(match datatype {
        Datatype::FixedPoint { size, .. }
        | Datatype::FloatingPoint { size, .. }
        | Datatype::Bitfield { size, .. }
        | Datatype::Reference { size, .. } => usize::from(*size),
        Datatype::String { size: StringSize::Fixed(size), .. }
        | Datatype::Compound { size, .. }
        | Datatype::Opaque { size, .. } => *size as usize,
        Datatype::String { .. } | Datatype::VarLen { .. } => reference,
        Datatype::Enum { base, .. } => size(base, reference)?,
        Datatype::Array { base, dims } => {
            let all = dims.iter().try_fold(1_usize, |all, &n| all.checked_mul(usize::try_from(n).ok()?))?;
            all.checked_mul(size(base, reference)?)?
        }
    })
}

/// What the elements are for us.
pub(super) fn element(datatype: &Datatype) -> ElementType {
    use Element::*;
    let number = match datatype {
        Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
            (1, false) => Some(U8),
            (1, true) => Some(I8),
            (2, false) => Some(U16),
            (2, true) => Some(I16),
            (4, false) => Some(U32),
            (4, true) => Some(I32),
            (8, false) => Some(U64),
            (8, true) => Some(I64),
            _ => None,
        },
        Datatype::FloatingPoint { size: 2, .. } => Some(F16),
        Datatype::FloatingPoint { size: 4, .. } => Some(F32),
        Datatype::FloatingPoint { size: 8, .. } => Some(F64),
        _ if is_bool(datatype) => Some(Bool),
        _ => None,
    };
    match (number, is_text(datatype)) {
        (Some(number), _) => ElementType::Number(number),
        (None, true) => ElementType::Text,
        (None, false) => ElementType::Other(name(datatype)),
    }
}

/// Whether numbers of an ordinary size are nevertheless no ordinary numbers: other floats than those of IEEE,
/// or integers that use some of their bits. `raw` is the type as the file has it, see the format's
/// specification, IV.A.2.d.
pub(super) fn is_unusual(raw: &[u8]) -> bool {
    let two = |at: usize| raw.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let (Some(&[class, flags, ..]), bytes) = (raw.first_chunk::<4>(), two(4)) else { return true };
    let whole = two(8) == 0 && two(10) == 8 * bytes;
    match class & 15 {
        0 => !whole,
        1 => {
            // Where the exponent begins, its bits, where the mantissa begins, its bits, and the exponent's
            // bias.
            let layout = match bytes {
                2 => [10, 5, 0, 10, 15, 0, 0, 0],
                4 => [23, 8, 0, 23, 127, 0, 0, 0],
                _ => [52, 11, 0, 52, 255, 3, 0, 0],
            };
            let vax = flags & 0b100_0000 != 0;
            vax || !whole || raw.get(12..20) != Some(&layout)
        }
        _ => false,
    }
}

/// References to objects.
pub(super) fn is_reference(datatype: &Datatype) -> bool {
    matches!(datatype, Datatype::Reference { ref_type: ReferenceType::Object, .. })
}

/// Texts of fixed or of any length.
fn is_text(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::String { .. } => true,
        Datatype::VarLen { base, kind, .. } => *kind == VarLenKind::String && base.is_vlen_string_base(),
        _ => false,
    }
}

/// h5py's way to write `bool`: bytes of which 0 is called FALSE and 1 TRUE.
fn is_bool(datatype: &Datatype) -> bool {
    let Datatype::Enum { base, members } = datatype else { return false };
    let has = |name: &str, value: u8| members.iter().any(|m| m.name == name && m.value == [value]);
    matches!(**base, Datatype::FixedPoint { size: 1, .. })
        && members.len() == 2
        && has("FALSE", 0)
        && has("TRUE", 1)
}

/// A type that is neither numbers nor texts, in words.
fn name(datatype: &Datatype) -> String {
    match datatype {
        Datatype::Compound { fields, .. } => {
            let mut names: Vec<_> =
                fields.iter().take(8).map(|field| field.name.escape_debug().to_string()).collect();
            if fields.len() > names.len() {
                names.push("...".into());
            }
            format!("a compound of {}", names.join(", "))
        }
        Datatype::Enum { base, members } => {
            format!("an enumeration of {} names over {}", members.len(), dtype(base))
        }
        Datatype::Opaque { tag, .. } => format!("opaque bytes called '{}'", tag.escape_debug()),
        Datatype::Reference { ref_type: ReferenceType::Object, .. } => "references to objects".into(),
        Datatype::Reference { .. } => "references to regions".into(),
        Datatype::VarLen { base, .. } => format!("lists of variable length of {}", dtype(base)),
        Datatype::Array { .. } => format!("arrays {}", dtype(datatype)),
        Datatype::Bitfield { size, .. } => format!("bit fields of {size} bytes"),
        other => format!("numbers of the unusual type {}", dtype(other)),
    }
}

/// Whether the most significant byte comes first.
pub(super) fn is_big_endian(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::FixedPoint { size, byte_order, .. } | Datatype::FloatingPoint { size, byte_order } => {
            *size > 1 && *byte_order == ByteOrder::BigEndian
        }
        Datatype::Enum { base, .. } => is_big_endian(base),
        _ => false,
    }
}

/// The type as `str(dataset.dtype)` writes it in h5py.
pub(super) fn dtype(datatype: &Datatype) -> String {
    let code = code(datatype);
    let Some(rest) = code.strip_prefix(['<', '|']).or(Some(code.as_str()).filter(|c| c.starts_with('O')))
    else {
        return code;
    };
    let kind = rest.chars().next().unwrap_or(' ');
    let bits = rest[1..].parse::<usize>().unwrap_or(0) * 8;
    match kind {
        'b' => "bool".into(),
        'i' => format!("int{bits}"),
        'u' => format!("uint{bits}"),
        'f' => format!("float{bits}"),
        'c' => format!("complex{bits}"),
        'O' => "object".into(),
        _ => code,
    }
}

/// The type as it stands inside a compound: `<f4`, `S3`, `O`.
fn code(datatype: &Datatype) -> String {
    let order = |size: u8, order: &ByteOrder| match (size, order) {
        (1, _) => '|',
        (_, ByteOrder::LittleEndian) => '<',
        (_, ByteOrder::BigEndian) => '>',
    };
    match datatype {
        _ if is_bool(datatype) => "|b1".into(),
        Datatype::FixedPoint { size, signed, byte_order } => {
            format!("{}{}{size}", order(*size, byte_order), if *signed { 'i' } else { 'u' })
        }
        Datatype::FloatingPoint { size, byte_order } => format!("{}f{size}", order(*size, byte_order)),
        Datatype::Bitfield { size, byte_order } => format!("{}u{size}", order(*size, byte_order)),
        Datatype::String { size: StringSize::Fixed(size), .. } => format!("|S{size}"),
        Datatype::String { .. } | Datatype::VarLen { .. } | Datatype::Reference { .. } => "O".into(),
        Datatype::Enum { base, .. } => code(base),
        Datatype::Opaque { size, tag } => match tag.strip_prefix("NUMPY:") {
            Some(code) => code.escape_debug().to_string(),
            None => format!("|V{size}"),
        },
        Datatype::Array { base, dims } => {
            let dims: Vec<String> = dims.iter().map(u64::to_string).collect();
            let comma = if dims.len() == 1 { "," } else { "" };
            format!("('{}', ({}{comma}))", code(base), dims.join(", "))
        }
        Datatype::Compound { size, fields } => complex(fields).unwrap_or_else(|| compound(*size, fields)),
    }
}

/// h5py's way to write complex numbers: a compound of `r` and `i`.
fn complex(fields: &[CompoundField]) -> Option<String> {
    let [real, imaginary] = fields else { return None };
    let Datatype::FloatingPoint { size, byte_order } = &real.datatype else { return None };
    let order = if *byte_order == ByteOrder::LittleEndian { '<' } else { '>' };
    let both = real.name == "r" && imaginary.name == "i" && real.datatype == imaginary.datatype;
    both.then(|| format!("{order}c{}", 2 * u32::from(*size)))
}

fn compound(size: u32, fields: &[CompoundField]) -> String {
    let quoted = |text: &str| format!("'{}'", text.escape_debug());
    let format = |field: &CompoundField| match &field.datatype {
        // An array of a field stands as the type and its shape.
        Datatype::Array { .. } => code(&field.datatype),
        Datatype::Compound { fields, .. } if complex(fields).is_none() => code(&field.datatype),
        other => quoted(code(other).trim_start_matches('|')),
    };
    let mut at = 0;
    let packed = fields.iter().all(|field| {
        let here = field.byte_offset as usize == at;
        at += self::size(&field.datatype, 16).unwrap_or(0);
        here
    }) && at == size as usize;
    let list = |items: Vec<String>| items.join(", ");
    if packed {
        let pair = |field: &CompoundField| match &field.datatype {
            Datatype::Array { .. } => {
                format!("({}, {}", quoted(&field.name), code(&field.datatype).trim_start_matches('('))
            }
            _ => format!("({}, {})", quoted(&field.name), format(field)),
        };
        return format!("[{}]", list(fields.iter().map(pair).collect()));
    }
    format!(
        "{{'names': [{}], 'formats': [{}], 'offsets': [{}], 'itemsize': {size}}}",
        list(fields.iter().map(|field| quoted(&field.name)).collect()),
        list(fields.iter().map(format).collect()),
        list(fields.iter().map(|field| field.byte_offset.to_string()).collect()),
    )
}
