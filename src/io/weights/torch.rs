//! Tensors in a pickle read to its end: nested dictionaries to names, arguments to shapes and places.

use super::geometry::Geometry;
use super::pickle::{Node, Pickle, Refused, Storage, Value};
use super::{Entry, Float, TensorInfo};

/// How deep dictionaries may be nested.
const DEEPEST: usize = 16;
/// Longest name and most axes of a tensor.
const LONGEST_NAME: usize = 512;
const MOST_AXES: usize = 8;

/// What to do about a pickle that is refused.
pub(super) const ADVICE: &str = "A pickle can run any program, so only tensors are read from it: in Python, \
    torch.save(model.state_dict(), path), or save as safetensors";

/// All tensors of a pickle. `place` gives a storage's first byte and its length in bytes.
pub(super) fn entries(
    pickle: &Pickle,
    big_endian: bool,
    place: &mut dyn FnMut(&Storage) -> Refused<(u64, u64)>,
) -> Refused<Vec<Entry>> {
    // A pickle can mention one dictionary many times over: what comes out is bounded by what went in.
    let mut walk = Walk { pickle, found: Vec::new(), left: (64 << 10) + 2 * pickle.length };
    walk.visit(pickle.root, String::new(), 0)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for (name, arguments) in walk.found {
        let entry = entry(pickle, name, arguments, big_endian, place)?;
        // As in Python, the last of several equal keys holds.
        match seen.entry(entry.info.name.clone()) {
            std::collections::hash_map::Entry::Occupied(at) => entries[*at.get()] = entry,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(entries.len());
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// Names and the nodes of the arguments.
    found: Vec<(String, usize)>,
    /// Bytes of names and steps that may still be spent.
    left: usize,
}

impl Walk<'_, '_> {
    fn visit(&mut self, value: Value, name: String, depth: usize) -> Refused<()> {
        let Value::Node(node) = value else { return Ok(()) };
        self.left =
            self.left.checked_sub(8 + name.len()).ok_or("the pickle repeats itself beyond all sense")?;
        if depth > DEEPEST || name.len() > LONGEST_NAME {
            return Err("the pickle's dictionaries are nested too deep".into());
        }
        let inside = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
        match &self.pickle.nodes[node] {
            Node::Tensor(arguments) => self.found.push((name, *arguments)),
            Node::Parameter(tensor) => self.visit(*tensor, name, depth + 1)?,
            Node::Dict(pairs) => {
                for (key, value) in pairs {
                    match key {
                        Value::Text(key) if key.len() <= LONGEST_NAME => {
                            self.visit(*value, inside(key), depth + 1)?;
                        }
                        Value::Int(key) => self.visit(*value, inside(&key.to_string()), depth + 1)?,
                        _ => {}
                    }
                }
            }
            Node::List(items) | Node::Tuple(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.visit(*item, inside(&at.to_string()), depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// `_rebuild_tensor(storage, first element, shape, strides, ...)`.
fn entry(
    pickle: &Pickle,
    name: String,
    arguments: usize,
    big_endian: bool,
    place: &mut dyn FnMut(&Storage) -> Refused<(u64, u64)>,
) -> Refused<Entry> {
    let wrong = |what: &str| format!("tensor '{}' {what}", name.escape_debug());
    let unlike = || wrong("is not built from a storage, a place, a shape and strides");
    let Node::Tuple(arguments) = &pickle.nodes[arguments] else { return Err(unlike()) };
    let &[Value::Storage(storage), Value::Int(first), Value::Node(shape), Value::Node(strides), ..] =
        &arguments[..]
    else {
        return Err(unlike());
    };
    let sizes = |node: usize| match &pickle.nodes[node] {
        Node::Tuple(items) | Node::List(items) if items.len() <= MOST_AXES => items
            .iter()
            .map(|item| if let Value::Int(n) = item { usize::try_from(*n).ok() } else { None })
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let (Some(shape), Some(strides), Ok(first)) = (sizes(shape), sizes(strides), usize::try_from(first))
    else {
        return Err(wrong("has a shape, strides or a place that no tensor has"));
    };
    let storage = &pickle.storages[storage];
    let (start, held) = place(storage)?;
    let outside = || wrong("reaches beyond its storage");
    let geometry = Geometry::new(&shape, &strides).ok_or_else(outside)?;
    let last = first.checked_add(geometry.span).filter(|&last| last <= storage.count).ok_or_else(outside)?;
    let bytes = |elements: usize| elements.checked_mul(storage.dtype.bytes).map(|n| n as u64);
    let end = last.checked_add(storage.from).and_then(bytes).ok_or_else(outside)?;
    if end > held {
        return Err(outside());
    }
    let before = first.checked_add(storage.from).and_then(bytes).ok_or_else(outside)?;
    let element = storage.dtype.name.to_string();
    Ok(Entry {
        float: Float::named(&element),
        first: start + before,
        strides,
        big_endian,
        info: TensorInfo { name, shape, element },
    })
}
