//! PyTorch's zip format (since 1.6): `<folder>/data.pkl`, and the storages as stored entries
//! `<folder>/data/<key>`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Refused, Storage};
use super::{Entry, torch};
use crate::error::{Error, Result};

/// The longest pickle read: checkpoints of thousands of tensors stay below 1 MB.
const LONGEST_PICKLE: u64 = 64 << 20;

pub(super) fn entries(path: &Path, file: File, length: u64) -> Result<Vec<Entry>> {
    let damaged = |found: String| Error::input(path, found, "a PyTorch file", "Download or save it again");
    let mut zip = ZipArchive::new(BufReader::new(file))
        .map_err(|why| damaged(format!("the archive is damaged ({why})")))?;
    let names = zip.file_names().filter_map(|name| name.ok());
    let folder =
        names.filter_map(|name| name.strip_suffix("data.pkl").map(str::to_string)).min_by_key(String::len);
    let Some(folder) = folder else {
        let advice = "If it is a NumPy archive (.npz), put its arrays into a safetensors file";
        return Err(Error::input(path, "it is a zip archive without data.pkl", "a PyTorch file", advice));
    };
    let small = |zip: &mut ZipArchive<_>, name: &str| read_small(zip, name, length).map_err(damaged);
    let bytes = small(&mut zip, &format!("{folder}data.pkl"))?;
    let order = format!("{folder}byteorder");
    let big_endian = zip.index_for_name(&order).is_some() && small(&mut zip, &order)?.starts_with(b"big");
    let refused = |found: String| Error::input(path, found, "a file of tensors", torch::ADVICE);
    let pickle = pickle::load(&bytes).map_err(refused)?;
    let mut place = |storage: &Storage| locate(&mut zip, &folder, storage, length);
    torch::entries(&pickle, big_endian, &mut place).map_err(refused)
}

/// An entry read whole, never beyond 64 times the file.
fn read_small(zip: &mut ZipArchive<BufReader<File>>, name: &str, length: u64) -> Refused<Vec<u8>> {
    let broken =
        |why: &dyn std::fmt::Display| format!("'{}' in the archive is damaged ({why})", name.escape_debug());
    let entry = zip.by_name(name).map_err(|why| broken(&why))?;
    let limit = LONGEST_PICKLE.min(length.saturating_mul(16));
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(|why| broken(&why))?;
    if bytes.len() as u64 > limit {
        return Err(broken(&"it expands beyond all sense"));
    }
    Ok(bytes)
}

/// The first byte and the length of a storage's entry.
fn locate(
    zip: &mut ZipArchive<BufReader<File>>,
    folder: &str,
    storage: &Storage,
    length: u64,
) -> Refused<(u64, u64)> {
    let key = storage.key.escape_debug();
    if storage.key.len() > 64 {
        return Err(format!("the pickle names a storage '{key}'"));
    }
    let entry = zip
        .by_name(&format!("{folder}data/{}", storage.key))
        .map_err(|why| format!("storage '{key}' is missing or damaged ({why})"))?;
    if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
        return Err(format!("storage '{key}' is compressed, as torch.save never does"));
    }
    let (start, size) = (entry.data_start(), entry.size());
    let start = start.filter(|s| s.checked_add(size).is_some_and(|end| end <= length));
    start
        .map(|start| (start, size))
        .ok_or_else(|| format!("storage '{key}' reaches beyond the end of the file"))
}
