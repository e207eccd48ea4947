//! GPU memory: every buffer that kernels see is asked of a ledger before it is made.

use super::bindings::Bindings;
use super::device::Gpu;
use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is in use, against what may be.
#[derive(Debug)]
pub struct Ledger {
    budget: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl Ledger {
    pub(super) fn new(budget: u64) -> Self {
        Ledger { budget, used: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Bytes that may be used in all.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Most bytes ever in use, since [`Ledger::restart_peak`] if that was called.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Counts the most bytes in use from now on.
    pub fn restart_peak(&self) {
        self.peak.store(self.used(), Ordering::Relaxed);
    }

    /// Bytes still free.
    pub fn free(&self) -> u64 {
        self.budget.saturating_sub(self.used())
    }

    fn take(&self, what: &str, bytes: u64) -> Result<()> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.budget {
            self.give_back(bytes);
            return Err(too_large(what, bytes, self.free(), self.budget));
        }
        self.peak.fetch_max(used, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The error of a request that does not fit.
pub(crate) fn too_large(what: &str, bytes: u64, free: u64, budget: u64) -> Error {
    let mib = |b: u64| format!("{:.1} MiB", b as f64 / 1_048_576.0);
    Error::new(
        Kind::Memory,
        what,
        format!("needs {} of GPU memory", mib(bytes)),
        format!("at most {} (budget {})", mib(free), mib(budget)),
        "Raise --max-memory, or use a smaller --size, --pool or --subsample",
    )
}

/// The error of an array that no single binding of the adapter can hold, whatever the budget.
pub(crate) fn beyond_binding(what: &str, bytes: u64, limit: u64) -> Error {
    let mib = |b: u64| format!("{:.1} MiB", b as f64 / 1_048_576.0);
    Error::new(
        Kind::Memory,
        what,
        format!("one array needs {}", mib(bytes)),
        format!("at most {}, the largest array of this adapter", mib(limit)),
        "Use a smaller --size, or another --adapter",
    )
}

/// The error of a driver that has less memory than the budget says.
fn refused(what: &str, bytes: u64, error: &dyn std::fmt::Display) -> Error {
    let found = format!("the driver refused {bytes} bytes: {error}");
    let advice =
        "Lower --max-memory so that the work is cut smaller, or close other programs that use the GPU";
    Error::new(Kind::Memory, what, found, "", advice)
}

/// A number for an allocation that no other has.
pub(super) fn next_allocation() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    MADE.fetch_add(1, Ordering::Relaxed)
}

struct Allocation {
    raw: wgpu::Buffer,
    number: u64,
    bytes: u64,
    ledger: Arc<Ledger>,
    bindings: Arc<Bindings>,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.raw.destroy();
        self.bindings.forget(self.number);
        self.ledger.give_back(self.bytes);
    }
}

/// A range of 32-bit words on the device, shared by clones; freed with the last one.
#[derive(Clone)]
pub struct Buffer {
    allocation: Arc<Allocation>,
    offset: u64,
    words: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} words)", self.words)
    }
}

impl Buffer {
    /// Number of 32-bit words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// `words` from word `start` on. `start` must be a multiple of 64 words (256 bytes, WebGPU's alignment).
    pub fn slice(&self, start: usize, words: usize) -> Buffer {
        assert!(
            start.is_multiple_of(64) && start + words <= self.words,
            "buffer slices are aligned and inside"
        );
        Buffer { allocation: self.allocation.clone(), offset: self.offset + 4 * start as u64, words }
    }

    /// The buffer that this one is a slice of.
    pub(super) fn whole(&self) -> Buffer {
        let words = self.allocation.bytes as usize / 4;
        Buffer { allocation: self.allocation.clone(), offset: 0, words }
    }

    /// What no other range of any buffer has.
    pub(super) fn key(&self) -> [u64; 3] {
        [self.allocation.number, self.offset, self.words as u64]
    }

    /// The driver's buffer, and the byte in it where this one starts.
    pub(super) fn raw(&self) -> (&wgpu::Buffer, u64) {
        (&self.allocation.raw, self.offset)
    }

    pub(super) fn binding(&self) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer: &self.allocation.raw,
            offset: self.offset,
            size: std::num::NonZeroU64::new(4 * self.words as u64),
        }
    }
}

impl Gpu {
    /// A zeroed buffer of `words` 32-bit words. `what` names it in errors and in the driver's tools.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget or a single binding; Device, if the driver refuses.
    pub fn allocate(&self, what: &str, words: usize) -> Result<Buffer> {
        self.check(what)?;
        let bytes = 4 * words.max(4) as u64;
        if bytes > self.max_binding_bytes() {
            return Err(beyond_binding(what, bytes, self.max_binding_bytes()));
        }
        if self.ledger().take(what, bytes).is_err() {
            // Work under way may be the last to hold some.
            self.flush(what)?;
            self.ledger().take(what, bytes)?;
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let raw = self.raw_buffer(what, bytes, usage).inspect_err(|_| self.ledger().give_back(bytes))?;
        let (ledger, bindings) = (self.ledger().clone(), self.bindings.clone());
        let allocation = Arc::new(Allocation { raw, number: next_allocation(), bytes, ledger, bindings });
        Ok(Buffer { allocation, offset: 0, words })
    }

    /// Every buffer of the device is made here.
    pub(super) fn raw_buffer(
        &self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        self.count_object();
        if self.faults.allocation.strikes() {
            return Err(refused(what, bytes, &"a test wanted it so"));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: usage.contains(wgpu::BufferUsages::MAP_WRITE),
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(refused(what, bytes, &error)),
            None => Ok(raw),
        }
    }

    /// A new buffer with the given words.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload<T: bytemuck::NoUninit>(&self, what: &str, data: &[T]) -> Result<Buffer> {
        let buffer = self.allocate(what, size_of_val(data) / 4)?;
        self.write(&buffer, 0, data)?;
        Ok(buffer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::device::LOOP_TEST;
    use crate::gpu::{Grid, Launch, Recording};

    /// A buffer that was written and dropped stands in the driver's memory until the copy into it is done,
    /// behind whatever was started before.
    #[test]
    fn what_is_still_written_to_counts_as_used() {
        let gpu = Gpu::open(&crate::gpu::Options::default()).unwrap();
        let counted = gpu.allocate("counted", 4).unwrap();
        let mut recording = Recording::new();
        for _ in 0..200 {
            let launch = Launch::new(&LOOP_TEST, Grid::Items(1)).set("rounds", 32_768);
            recording.add(launch.write("counted", &counted));
        }
        let before = gpu.ledger().used();
        gpu.start(&recording).unwrap();
        drop(gpu.upload("dropped", &[1u32; 4096]).unwrap());
        assert_eq!(gpu.ledger().used(), before + 4 * 4096);
        gpu.push_uploads();
        assert_eq!(gpu.ledger().used(), before + 4 * 4096, "its submission has not ended");
        gpu.flush("the end").unwrap();
        assert_eq!(gpu.ledger().used(), before);
    }
}
