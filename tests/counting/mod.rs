//! A global allocator that counts, for tests of what a damaged file makes a reader allocate.

#![allow(unsafe_code, reason = "counting allocations takes a global allocator, whose trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts bytes in use, their peak, and the largest single request.
struct Counting;

/// Bytes in use.
pub static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// Most bytes in use since this was last set.
pub static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Largest single request since this was last set.
pub static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every request goes unchanged to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count(bytes: usize) {
    LARGEST.fetch_max(bytes, Relaxed);
    PEAK.fetch_max(IN_USE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
