//! From the header of an object to what it is.

use hdf5_reader::Hdf5File;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::dataspace::DataspaceType;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::object_header::ObjectHeader;

use super::super::{ArrayMember, Filter, Layout, Storage};
use super::types;

/// Most axes that HDF5 allows.
const MOST_AXES: usize = 32;

/// What an object is.
pub(super) enum Described {
    Group,
    Array(ArrayMember),
    /// In words, also what keeps it from being an array.
    Other(String),
}

/// Reads what an object's header says of it.
pub(super) fn describe(file: &Hdf5File, header: &ObjectHeader) -> Described {
    let (mut space, mut datatype, mut layout) = (None, None, None);
    let (mut filters, mut external) = (&[][..], false);
    for message in &header.messages {
        match message {
            HdfMessage::SymbolTable(_)
            | HdfMessage::Link(_)
            | HdfMessage::LinkInfo(_)
            | HdfMessage::GroupInfo(_) => return Described::Group,
            HdfMessage::Dataspace(message) => space = Some(message),
            HdfMessage::Datatype(message) => datatype = Some(&message.datatype),
            HdfMessage::DataLayout(message) => layout = Some(&message.layout),
            HdfMessage::FilterPipeline(message) => filters = &message.filters,
            HdfMessage::ExternalFiles(_) => external = true,
            _ => {}
        }
    }
    let (space, datatype, layout) = match (space, datatype, layout) {
        (Some(space), Some(datatype), Some(layout)) => (space, datatype, layout),
        (None, Some(datatype), None) => {
            return Described::Other(format!("it is a named type ({})", types::dtype(datatype)));
        }
        _ => return Described::Other("it is neither a group nor an array".into()),
    };
    let shape: Vec<usize> = space.dims.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
    let reference = 8 + usize::from(file.superblock().offset_size);
    let width = types::size(datatype, reference);
    let bytes = width.and_then(|width| shape.iter().try_fold(width, |all, &n| all.checked_mul(n)));
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) || shape.len() > MOST_AXES {
        return Described::Other(format!("its shape {:?} holds more elements than exist", space.dims));
    }
    let layout = match layout {
        _ if space.dataspace_type == DataspaceType::Null => Layout::Null,
        _ if external => Layout::External,
        DataLayout::Compact { .. } => Layout::Compact,
        DataLayout::Contiguous { .. } => Layout::Contiguous,
        // Newer formats have the width of an element as a last axis.
        DataLayout::Chunked { dims, .. } => {
            Layout::Chunked(dims.iter().take(shape.len()).map(|&n| n as usize).collect())
        }
    };
    Described::Array(ArrayMember {
        shape: if layout == Layout::Null { Vec::new() } else { shape },
        element: types::element(datatype),
        dtype: types::dtype(datatype),
        storage: Storage {
            layout,
            filters: filters.iter().map(filter).collect(),
            big_endian: types::is_big_endian(datatype),
        },
    })
}

/// A filter by its registered name, or the one in the file.
fn filter(found: &FilterDescription) -> Filter {
    let name = match found.id {
        1 => "gzip",
        2 => "shuffle",
        3 => "fletcher32",
        4 => "szip",
        5 => "nbit",
        6 => "scaleoffset",
        307 => "bzip2",
        32000 => "lzf",
        32001 => "blosc",
        32004 => "lz4",
        32008 => "bitshuffle",
        32013 => "zfp",
        32015 => "zstd",
        32026 => "blosc2",
        _ => found.name.as_deref().unwrap_or("unnamed"),
    };
    Filter { id: found.id, name: name.chars().take(80).collect(), settings: found.client_data.clone() }
}
