//! HDF5 files, also NWB, and MATLAB files: everything inside, as h5py lists it.

use std::path::Path;

use serde_json::{Value, json};
use striate::Result;
use striate::io::store::{self, ArrayMember, ElementType, Layout, Link, Member, MemberKind, Store};

use super::Findings;

/// The group of an NWB file's own schema.
const SPECIFICATIONS: &str = "/specifications";

/// Characters of a text that are shown.
const SHOWN: usize = 60;

/// Lists all members, with the values of scalars.
pub fn look(path: &Path) -> Result<Findings> {
    let store = store::open(path)?;
    let mut members = store.members()?;
    let all = members.len();
    // What NWB files carry of their schema, which says nothing of the recording.
    members.retain(|member| member.path != SPECIFICATIONS && !member.path.starts_with("/specifications/"));
    let matlab = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mat"));
    let mut findings = Findings::new(if matlab { "MATLAB file" } else { "HDF5 file" }, json!({}));
    let arrays = members.iter().filter(|member| matches!(member.kind, MemberKind::Array(_))).count();
    let left_out = match all - members.len() {
        0 => String::new(),
        count => format!("; {count} of {SPECIFICATIONS} are not listed"),
    };
    findings.row("members", format!("{}, of which {arrays} arrays{left_out}", members.len()));
    let list = members.iter().map(|member| describe(store.as_ref(), member, &mut findings)).collect();
    findings.document["members"] = Value::Array(list);
    Ok(findings)
}

/// A member as a document, and its line.
fn describe(store: &dyn Store, member: &Member, findings: &mut Findings) -> Value {
    let path = &member.path;
    let (line, document) = match &member.kind {
        MemberKind::Group => ("group".to_string(), json!({"path": path, "kind": "group"})),
        MemberKind::Link(link) => {
            let kind = match link {
                Link::Hard(_) => "hard",
                Link::Soft(_) => "soft",
                Link::External { .. } => "external",
            };
            let target = link.to_string();
            let document = json!({"path": path, "kind": "link", "link": kind, "target": target});
            (format!("{kind} link to {}", target.escape_debug()), document)
        }
        MemberKind::Other { what } => (what.clone(), json!({"path": path, "kind": "other", "what": what})),
        MemberKind::Array(array) => {
            let value = scalar(store, path, array);
            (line(array, value.as_ref()), document(path, array, value))
        }
    };
    findings.row(path.escape_debug().to_string(), line);
    document
}

/// The value of a scalar, a text cut short; none of an array, or where it cannot be read.
fn scalar(store: &dyn Store, path: &str, array: &ArrayMember) -> Option<Value> {
    if array.len() != 1 || array.shape.iter().any(|&length| length != 1) {
        return None;
    }
    match &array.element {
        ElementType::Text => {
            let text = store.text(path).ok()?;
            let short: String = text.chars().take(SHOWN).collect();
            Some(json!(if short.len() < text.len() { short + "..." } else { short }))
        }
        ElementType::Number(_) => {
            let values = store.whole(path).ok()?;
            match values.clone().into_i64() {
                Ok(whole) => Some(json!(whole.first()?)),
                Err(_) => Some(json!(values.into_f64().first()?)),
            }
        }
        ElementType::Other(_) => None,
    }
}

fn by(lengths: &[usize]) -> String {
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

fn line(array: &ArrayMember, value: Option<&Value>) -> String {
    let mut line = match &array.element {
        ElementType::Text => "text".to_string(),
        _ => array.dtype.clone(),
    };
    if !array.shape.is_empty() {
        line += &format!(" {}", by(&array.shape));
    }
    match &array.storage.layout {
        Layout::Null => line += ", no data",
        Layout::Chunked(chunk) => line += &format!(", chunks of {}", by(chunk)),
        Layout::External => line += ", values in other files",
        Layout::Compact | Layout::Contiguous => {}
    }
    for filter in &array.storage.filters {
        line += &format!(", {}", filter.name.escape_debug());
    }
    match value {
        Some(value) => format!("{line}: {value}"),
        None => line,
    }
}

fn document(path: &str, array: &ArrayMember, value: Option<Value>) -> Value {
    let storage = &array.storage;
    let shape = (storage.layout != Layout::Null).then_some(&array.shape);
    let chunks = match &storage.layout {
        Layout::Chunked(chunk) => Some(chunk),
        _ => None,
    };
    let filter =
        |filter: &store::Filter| json!({"id": filter.id, "name": filter.name, "settings": filter.settings});
    let filters: Vec<Value> = storage.filters.iter().map(filter).collect();
    let mut document = json!({
        "path": path, "kind": "array", "shape": shape, "dtype": array.dtype, "chunks": chunks,
        "filters": filters,
    });
    if let Some(value) = value {
        document["value"] = value;
    }
    document
}
