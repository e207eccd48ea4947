//! Bind groups, kept by pipeline and buffers: work that is repeated on the same buffers makes none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A pipeline, and allocation, first byte and words of each binding.
pub(super) type Key = (usize, Vec<[u64; 3]>);

/// Bind groups that are kept at most; then all are made anew, for work that never repeats its buffers.
const KEPT: usize = 4096;

/// The bind groups of one device.
#[derive(Default)]
pub(super) struct Bindings {
    ready: Mutex<HashMap<Key, wgpu::BindGroup>>,
    freed: Mutex<Vec<u64>>,
}

impl Bindings {
    /// The bind group of a key, made by `make` at its first use.
    pub fn get(&self, key: Key, make: impl FnOnce() -> wgpu::BindGroup) -> wgpu::BindGroup {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = ready.get(&key) {
            return group.clone();
        }
        let freed = std::mem::take(&mut *self.freed.lock().unwrap_or_else(PoisonError::into_inner));
        if ready.len() >= KEPT {
            ready.clear();
        } else if !freed.is_empty() {
            ready
                .retain(|(_, buffers), _| !buffers.iter().any(|[allocation, ..]| freed.contains(allocation)));
        }
        let group = make();
        ready.insert(key, group.clone());
        group
    }

    /// Notes that an allocation is gone, so that the groups which name it go too, with the next one that is
    /// made.
    pub fn forget(&self, allocation: u64) {
        self.freed.lock().unwrap_or_else(PoisonError::into_inner).push(allocation);
    }
}
