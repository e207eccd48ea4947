//! Safetensors: a JSON header and the tensors behind it. The header is checked by the `safetensors` crate.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::Metadata;

use super::geometry::Geometry;
use super::{Entry, Float, TensorInfo};
use crate::error::{Error, Result};

pub(super) fn entries(path: &Path, mut file: File, length: u64) -> Result<Vec<Entry>> {
    let damaged =
        |found: String| Error::input(path, found, "a whole safetensors file", "Copy or download it again");
    let unreadable = |why| Error::unreadable(path, &why);
    let mut count = [0_u8; 8];
    file.read_exact(&mut count).map_err(unreadable)?;
    let count = u64::from_le_bytes(count);
    let Some(start) = count.checked_add(8).filter(|&start| start <= length) else {
        return Err(damaged(format!("it claims a header of {count} bytes in a file of {length}")));
    };
    file.seek(SeekFrom::Start(8)).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(count).read_to_end(&mut text).map_err(unreadable)?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|why| damaged(format!("its header is damaged ({why})")))?;
    let (promised, held) = (metadata.data_len() as u64, length - start);
    if promised != held {
        return Err(damaged(format!("its header promises {promised} bytes of tensors and {held} follow it")));
    }
    let mut entries = Vec::new();
    for name in metadata.offset_keys() {
        let Some(tensor) = metadata.info(&name) else { continue };
        let element = tensor.dtype.to_string().to_ascii_lowercase();
        entries.push(Entry {
            float: Float::named(&element),
            first: start + tensor.data_offsets.0 as u64,
            strides: Geometry::rows_first(&tensor.shape),
            big_endian: false,
            info: TensorInfo { name, shape: tensor.shape.clone(), element },
        });
    }
    Ok(entries)
}
