//! Arrays in chunks that may still grow within bounds. HDF5 numbers the chunks of these over the largest
//! shape that the array may have (in a Fixed Array, and where they lie one after the other without an
//! index); the crate numbers them over the present one, so that they are found and unpacked here.

use std::ops::Range;

use hdf5_reader::chunk_index::{ChunkEntry, collect_implicit_chunk_entries};
use hdf5_reader::error::{Error as Damage, Result as Parsed};
use hdf5_reader::filters::apply_pipeline_with_limit;
use hdf5_reader::fixed_array::collect_fixed_array_chunk_entries_storage;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::{ChunkIndexing, DataLayout};
use hdf5_reader::{Dataset, Hdf5File};

/// Where the chunks of such an array are, and what they went through.
pub(super) struct Grown {
    address: u64,
    /// Whether there is an index; else the chunks lie one after the other.
    indexed: bool,
    largest: Vec<u64>,
    chunk: Vec<u32>,
    width: usize,
    filters: Vec<FilterDescription>,
    /// The bytes of an element that nobody wrote.
    fill: Vec<u8>,
}

impl Grown {
    /// The chunks of an array that the crate would number wrongly; none for any other array.
    pub(super) fn of(file: &Hdf5File, dataset: &Dataset) -> Parsed<Option<Self>> {
        let (Some(chunk), Some(largest)) = (dataset.chunks(), dataset.max_dims()) else { return Ok(None) };
        let counts = |shape: &[u64]| -> Option<Vec<u64>> {
            shape
                .iter()
                .zip(&chunk)
                .map(|(n, &c)| Some(n.checked_add(u64::from(c) - 1)? / u64::from(c)))
                .collect()
        };
        if chunk.contains(&0) || counts(largest) == counts(dataset.shape()) {
            return Ok(None);
        }
        let width = dataset.raw_element_size()?;
        let (mut layout, mut filters, mut fill) = (None, Vec::new(), vec![0; width]);
        for message in &file.get_or_parse_header(dataset.address())?.messages {
            match message {
                HdfMessage::DataLayout(message) => layout = Some(message.layout.clone()),
                HdfMessage::FilterPipeline(message) => filters = message.filters.clone(),
                HdfMessage::FillValue(message) => {
                    fill = message.value.clone().filter(|value| value.len() == width).unwrap_or(fill);
                }
                _ => {}
            }
        }
        let Some(DataLayout::Chunked { address, chunk_indexing: Some(index), .. }) = layout else {
            return Ok(None);
        };
        let indexed = match index {
            ChunkIndexing::FixedArray { .. } => true,
            ChunkIndexing::Implicit => false,
            _ => return Ok(None),
        };
        Ok(Some(Grown { address, indexed, largest: largest.to_vec(), chunk, width, filters, fill }))
    }

    /// The bytes of a region of the present shape, in C order.
    pub(super) fn read(&self, file: &Hdf5File, region: &[Range<usize>]) -> Parsed<Vec<u8>> {
        let lengths: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
        let bytes = self.fill.repeat(lengths.iter().product());
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let mut target = Target { region, lengths, bytes, width: self.width };
        for entry in self.entries(file, region)? {
            target.place(&self.unpack(file, &entry)?, &entry.offsets, &self.chunk)?;
        }
        Ok(target.bytes)
    }

    /// The chunks that a region without empty ranges meets.
    fn entries(&self, file: &Hdf5File, region: &[Range<usize>]) -> Parsed<Vec<ChunkEntry>> {
        let at = |index: usize, chunk: u32| index as u64 / u64::from(chunk);
        let ranges = || region.iter().zip(&self.chunk);
        let first: Vec<u64> = ranges().map(|(range, &chunk)| at(range.start, chunk)).collect();
        let last: Vec<u64> = ranges().map(|(range, &chunk)| at(range.end - 1, chunk)).collect();
        let bounds = Some((&first[..], &last[..]));
        let (storage, block) = (file.storage(), file.superblock());
        let (largest, chunk) = (&self.largest, &self.chunk);
        if self.indexed {
            let (offset, length) = (block.offset_size, block.length_size);
            let address = self.address;
            return collect_fixed_array_chunk_entries_storage(
                storage, address, offset, length, largest, chunk, bounds,
            );
        }
        collect_implicit_chunk_entries(self.address, largest, chunk, self.width, bounds, storage.len())
    }

    fn unpack(&self, file: &Hdf5File, entry: &ChunkEntry) -> Parsed<Vec<u8>> {
        let bytes = self.chunk.iter().try_fold(self.width, |all, &n| all.checked_mul(n as usize));
        let bytes = bytes.ok_or_else(|| Damage::InvalidData("a chunk holds more than exists".into()))?;
        let stored = match entry.size {
            0 => bytes,
            size => usize::try_from(size).map_err(|_| Damage::OffsetOutOfBounds(size))?,
        };
        let raw = file.storage().read_range(entry.address, stored)?;
        let mask = entry.filter_mask;
        let data =
            apply_pipeline_with_limit(raw.as_ref(), &self.filters, mask, self.width, None, Some(bytes + 1))?;
        match data.len() == bytes {
            true => Ok(data),
            false => Err(Damage::InvalidData(format!("a chunk of {bytes} bytes unpacks to {}", data.len()))),
        }
    }
}

/// A region that is filled chunk by chunk.
struct Target<'a> {
    region: &'a [Range<usize>],
    lengths: Vec<usize>,
    bytes: Vec<u8>,
    width: usize,
}

impl Target<'_> {
    /// Copies what a chunk has of the region, row by row along the last axis.
    fn place(&mut self, chunk: &[u8], offsets: &[u64], sizes: &[u32]) -> Parsed<()> {
        let wrong = || Damage::InvalidData("a chunk has an impossible place".into());
        // Of each axis: first index in the chunk, first in the region, and how many.
        let mut boxes = Vec::with_capacity(sizes.len());
        for ((range, &offset), &size) in self.region.iter().zip(offsets).zip(sizes) {
            let offset = usize::try_from(offset).map_err(|_| wrong())?;
            let from = range.start.max(offset);
            let to = range.end.min(offset.saturating_add(size as usize));
            if from >= to {
                return Err(wrong());
            }
            boxes.push((from - offset, from - range.start, to - from));
        }
        let Some((&(in_chunk, in_region, run), outer)) = boxes.split_last() else { return Err(wrong()) };
        let run = run * self.width;
        let mut at = vec![0; outer.len()];
        loop {
            let (mut from, mut to) = (0, 0);
            for (axis, &(chunk_first, region_first, _)) in outer.iter().enumerate() {
                from = from * sizes[axis] as usize + chunk_first + at[axis];
                to = to * self.lengths[axis] + region_first + at[axis];
            }
            let from = (from * sizes[outer.len()] as usize + in_chunk) * self.width;
            let to = (to * self.lengths[outer.len()] + in_region) * self.width;
            self.bytes[to..to + run].copy_from_slice(&chunk[from..from + run]);
            let Some(axis) = (0..outer.len()).rev().find(|&axis| at[axis] + 1 < outer[axis].2) else {
                return Ok(());
            };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }
}
