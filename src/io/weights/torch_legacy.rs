//! PyTorch's format before 1.6: five pickles (a magic number, a version, the writer's machine, the tensors,
//! the keys of the storages), then for each key a u64 element count and the elements, little endian.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::pickle::{self, Node, Pickle, Refused, Storage, Value};
use super::{Entry, torch};
use crate::error::{Error, Result};

/// The pickle of 0x1950a86a20f9469cfc6c, and the beginning of the next.
pub(super) const MAGIC: [u8; 16] = *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80";

/// The pickle of the version, 1001.
const VERSION: &[u8] = b"\x80\x02M\xe9\x03.";

pub(super) fn entries(path: &Path, mut file: File, length: u64) -> Result<Vec<Entry>> {
    let refused = |found: String| Error::input(path, found, "a file of tensors", torch::ADVICE);
    let unreadable = |why| Error::unreadable(path, &why);
    // The pickles' length is written nowhere: more is read while they do not end.
    let mut bytes = Vec::new();
    for most in [1_u64 << 20, 8 << 20, 64 << 20] {
        file.by_ref().take(most - bytes.len() as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        match read(&bytes, &mut file, length) {
            Err(_) if bytes.len() as u64 == most && most < length => {}
            done => return done.map_err(refused),
        }
        file.seek(SeekFrom::Start(bytes.len() as u64)).map_err(unreadable)?;
    }
    Err(refused("its pickle is longer than 64 MiB, or damaged".into()))
}

fn read(bytes: &[u8], file: &mut File, length: u64) -> Refused<Vec<Entry>> {
    let mut rest = &bytes[MAGIC.len() - 1..];
    rest = rest.strip_prefix(VERSION).ok_or("it is of a version other than 1001")?;
    let mut next = || {
        let pickle = pickle::load(rest)?;
        rest = &rest[pickle.length..];
        Ok::<_, String>(pickle)
    };
    let (_machine, tensors, keys) = (next()?, next()?, next()?);
    let start = (bytes.len() - rest.len()) as u64;
    let places = places(&tensors, &keys, file, start, length)?;
    let mut place = |storage: &Storage| {
        let missing = || format!("storage '{}' is missing", storage.key.escape_debug());
        places.get(storage.key).copied().ok_or_else(missing)
    };
    torch::entries(&tensors, false, &mut place)
}

/// First byte and length of each storage, following the counts through the file.
fn places<'k>(
    tensors: &Pickle,
    keys: &Pickle<'k>,
    file: &mut File,
    start: u64,
    length: u64,
) -> Refused<HashMap<&'k str, (u64, u64)>> {
    let widths: HashMap<&str, u64> = tensors.storages.iter().map(|s| (s.key, s.dtype.bytes as u64)).collect();
    let items = match keys.root {
        Value::Node(root) => match &keys.nodes[root] {
            Node::List(items) => items,
            _ => return Err("its list of storages is none".into()),
        },
        _ => return Err("its list of storages is none".into()),
    };
    let mut places = HashMap::new();
    let mut at = start;
    for item in items {
        let &Value::Text(key) = item else { return Err("its list of storages is none".into()) };
        let named = key.escape_debug();
        let width = widths.get(key).ok_or_else(|| format!("no tensor uses storage '{named}'"))?;
        let mut count = [0_u8; 8];
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut count))
            .map_err(|why| format!("the file ends before storage '{named}' ({why})"))?;
        let count = u64::from_le_bytes(count);
        let end = count.checked_mul(*width).and_then(|n| n.checked_add(at + 8)).filter(|&end| end <= length);
        let Some(end) = end else {
            return Err(format!("storage '{named}' claims {count} elements, beyond the end of the file"));
        };
        places.insert(key, (at + 8, end - at - 8));
        at = end;
    }
    if at != length {
        return Err(format!("{} bytes follow its last storage", length - at));
    }
    Ok(places)
}
