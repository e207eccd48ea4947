//! Copies between host and device through buffers that are kept. Uploads are written to mapped memory at once
//! and ride with the next submission; downloads are read where they land.

use super::device::{CALLBACK, Gpu};
use super::memory::Buffer;
use crate::error::{Error, Kind, Result};
use crate::host::room;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Upload buffers are at least this long, so that many short uploads share one.
const SHORTEST: u64 = 256 << 10;

/// Pieces of an upload: a few fit into what may be kept, so that one is filled while others are under way.
const LONGEST: u64 = 8 << 20;

/// Where copies wait or pass. Not in the ledger, so it is kept small against the budget.
pub(super) struct Staging {
    most: u64,
    uploads: Mutex<Uploads>,
    returned: Arc<Mutex<Vec<Chunk>>>,
    readers: Mutex<Vec<wgpu::Buffer>>,
}

#[derive(Default)]
struct Uploads {
    open: Vec<Chunk>,
    waiting: Vec<Waiting>,
    made: u64,
}

/// A mapped buffer, filled from its start.
struct Chunk {
    raw: wgpu::Buffer,
    filled: u64,
}

/// Bytes of a chunk that belong into a buffer. They keep the buffer alive.
struct Waiting {
    from: wgpu::Buffer,
    at: u64,
    bytes: u64,
    to: Buffer,
    to_at: u64,
}

/// What the uploads of a submission read and write. Buffers that are dropped are destroyed and no longer
/// count as used, which has to wait until the submission has ended.
pub(super) struct Sent {
    chunks: Vec<Chunk>,
    copies: Arc<Vec<Waiting>>,
    returned: Arc<Mutex<Vec<Chunk>>>,
}

impl Sent {
    /// Once they have been submitted: lets chunks come back, and buffers go, when the device has read the
    /// chunks. No copy is without one.
    pub fn recall(self) {
        for Chunk { raw, .. } in self.chunks {
            let (returned, again, copies) = (self.returned.clone(), raw.clone(), self.copies.clone());
            raw.map_async(wgpu::MapMode::Write, .., move |result| {
                drop(copies);
                if result.is_ok() {
                    lock(&returned).push(Chunk { raw: again, filled: 0 });
                }
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Staging {
    pub fn new(budget: u64) -> Self {
        Staging {
            most: (budget / 16).clamp(1 << 20, 64 << 20) & !255,
            uploads: Mutex::default(),
            returned: Arc::default(),
            readers: Mutex::default(),
        }
    }
}

fn broken(step: &str, why: String) -> Error {
    Error::new(Kind::Device, step, why, "", "Try again, or another --adapter")
}

impl Gpu {
    /// Copies words into a buffer, from its word `start` on, after all work that was started before.
    ///
    /// # Errors
    /// Device, if the device is lost; Memory, if the driver has none for the copy.
    pub fn write<T: bytemuck::NoUninit>(&self, buffer: &Buffer, start: usize, data: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        assert!(4 * start + bytes.len() <= 4 * buffer.words(), "a write stays inside its buffer");
        self.check("upload")?;
        let piece = LONGEST.min(self.staging.most / 4) as usize;
        let mut at = 4 * start as u64;
        for bytes in bytes.chunks(piece) {
            let mut idle = Duration::ZERO;
            while !self.stage(buffer, at, bytes).map_err(|why| self.cause("upload", why))? {
                // All chunks are under way: they come back when the device has read them. Other threads take
                // some, and run the callbacks of some. What the device works meanwhile does not count.
                if idle > CALLBACK {
                    return Err(broken("upload", "the driver did not give its staging memory back".into()));
                }
                self.push_uploads();
                self.wait("upload")?;
                let start = Instant::now();
                std::thread::sleep(Duration::from_micros(20));
                idle += start.elapsed();
            }
            at += bytes.len() as u64;
        }
        self.check("upload")
    }

    /// Keeps bytes for the next submission; false where there is no room for them.
    fn stage(&self, to: &Buffer, to_at: u64, bytes: &[u8]) -> Result<bool> {
        let mut uploads = lock(&self.staging.uploads);
        let Uploads { open, waiting, made } = &mut *uploads;
        let size = bytes.len() as u64;
        let has_room = |chunk: &Chunk| chunk.filled + size <= chunk.raw.size();
        let found = match open.iter().position(has_room) {
            Some(found) => found,
            None => match self.chunk(made, size)? {
                None => return Ok(false),
                Some(chunk) => {
                    open.push(chunk);
                    open.len() - 1
                }
            },
        };
        let Chunk { raw, filled } = &mut open[found];
        let view = raw.get_mapped_range_mut(*filled..*filled + size);
        view.map_err(|why| broken("upload", why.to_string()))?.slice(..).copy_from_slice(bytes);
        waiting.push(Waiting { from: raw.clone(), at: *filled, bytes: size, to: to.clone(), to_at });
        *filled = (*filled + size).next_multiple_of(wgpu::MAP_ALIGNMENT);
        Ok(true)
    }

    /// A chunk for so many bytes: one that came back, or a new one within what may be kept.
    fn chunk(&self, made: &mut u64, size: u64) -> Result<Option<Chunk>> {
        let mut returned = lock(&self.staging.returned);
        let fitting = returned.iter().enumerate().filter(|(_, chunk)| chunk.raw.size() >= size);
        if let Some(found) = fitting.min_by_key(|(_, chunk)| chunk.raw.size()).map(|(at, _)| at) {
            return Ok(Some(returned.swap_remove(found)));
        }
        let size = size.next_power_of_two().max(SHORTEST);
        while *made + size > self.staging.most {
            let Some(small) = returned.pop() else { return Ok(None) };
            *made -= small.raw.size();
        }
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let raw = self.raw_buffer("upload", size, usage)?;
        *made += size;
        Ok(Some(Chunk { raw, filled: 0 }))
    }

    /// Records the uploads that wait, in their order.
    pub(super) fn take_uploads(&self, encoder: &mut wgpu::CommandEncoder) -> Sent {
        let mut uploads = lock(&self.staging.uploads);
        let copies = std::mem::take(&mut uploads.waiting);
        for copy in &copies {
            let (to, at) = copy.to.raw();
            encoder.copy_buffer_to_buffer(&copy.from, copy.at, to, at + copy.to_at, copy.bytes);
        }
        let chunks = std::mem::take(&mut uploads.open);
        for chunk in &chunks {
            chunk.raw.unmap();
        }
        Sent { chunks, copies: Arc::new(copies), returned: self.staging.returned.clone() }
    }

    /// Submits the uploads that wait, alone.
    pub(super) fn push_uploads(&self) {
        // No other submission comes between taking them and theirs.
        let _order = self.flights();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let uploads = self.take_uploads(&mut encoder);
        self.send(encoder.finish());
        uploads.recall();
    }

    /// Reads a whole buffer back, after all work that was started before.
    ///
    /// # Errors
    /// As [`Gpu::finish`]; Device, if the read fails.
    pub fn download<T: bytemuck::AnyBitPattern>(&self, buffer: &Buffer) -> Result<Vec<T>> {
        self.check("download")?;
        let total = 4 * buffer.words() as u64;
        room("download", total)?;
        let mut out: Vec<T> = Vec::with_capacity(buffer.words());
        let mut at = 0;
        while at < total {
            let bytes = self.staging.most.min(total - at);
            let reader = self.reader(bytes)?;
            {
                let _order = self.flights();
                let mut encoder =
                    self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let uploads = self.take_uploads(&mut encoder);
                let (raw, start) = buffer.raw();
                encoder.copy_buffer_to_buffer(raw, start + at, &reader, 0, bytes);
                self.send(encoder.finish());
                uploads.recall();
            }
            self.finish()?;
            let take = |bytes: &[u8]| out.extend_from_slice(bytemuck::cast_slice(bytes));
            self.read(&reader, bytes, "download", take).map_err(|why| self.cause("download", why))?;
            self.keep_reader(reader);
            at += bytes;
        }
        Ok(out)
    }

    /// The smallest buffer to read so many bytes through that is kept, or a new one.
    fn reader(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let mut readers = lock(&self.staging.readers);
        let fitting = readers.iter().enumerate().filter(|(_, reader)| reader.size() >= bytes);
        if let Some(found) = fitting.min_by_key(|(_, reader)| reader.size()).map(|(at, _)| at) {
            return Ok(readers.swap_remove(found));
        }
        drop(readers);
        let size = bytes.next_power_of_two().max(SHORTEST).min(self.staging.most);
        self.raw_buffer("download", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn keep_reader(&self, reader: wgpu::Buffer) {
        let mut readers = lock(&self.staging.readers);
        readers.push(reader);
        readers.sort_unstable_by_key(|reader| std::cmp::Reverse(reader.size()));
        let mut kept = 0;
        readers.retain(|reader| {
            kept += reader.size();
            kept <= self.staging.most
        });
    }

    /// Waits for a staging buffer and hands its first bytes to `take`.
    fn read(&self, staging: &wgpu::Buffer, bytes: u64, step: &str, take: impl FnOnce(&[u8])) -> Result<()> {
        let (sender, receiver) = channel();
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |result| drop(sender.send(result)));
        self.wait(step)?;
        match receiver.recv_timeout(CALLBACK) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(broken(step, format!("the result could not be read back: {why}"))),
            Err(_) => return Err(broken(step, "the device did not finish in time".into())),
        }
        take(&staging.get_mapped_range(..bytes).map_err(|why| broken(step, why.to_string()))?);
        staging.unmap();
        Ok(())
    }

    /// Waits for a staging buffer and returns its bytes.
    pub(super) fn map(&self, staging: &wgpu::Buffer, step: &str) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.read(staging, staging.size(), step, |bytes| out.extend_from_slice(bytes))?;
        Ok(out)
    }
}
