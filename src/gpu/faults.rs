//! Faults on request, so that tests can cause each at every place where it may happen: an allocation that the
//! driver refuses, a lost device.

use super::device::Gpu;
use std::sync::atomic::{AtomicU64, Ordering};

/// Events until a fault; 0 for no fault.
#[derive(Default)]
pub(super) struct Countdown(AtomicU64);

impl Countdown {
    fn set(&self, events: u64) -> u64 {
        self.0.swap(events, Ordering::Relaxed)
    }

    /// Whether this event is the one.
    pub fn strikes(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(1)
    }
}

/// The faults that are to come.
#[derive(Default)]
pub(super) struct Faults {
    pub allocation: Countdown,
    pub submission: Countdown,
}

impl Gpu {
    /// For tests: the `nth` allocation from now on, from 1, fails as if the driver had no memory left; 0
    /// takes that back. Returns how many were still to come before an earlier fault: 0 if it has struck.
    pub fn fail_allocation(&self, nth: u64) -> u64 {
        self.faults.allocation.set(nth)
    }

    /// For tests: the device is lost just before the `nth` submission from now on. Otherwise as
    /// [`Gpu::fail_allocation`].
    pub fn lose_at_submission(&self, nth: u64) -> u64 {
        self.faults.submission.set(nth)
    }

    /// Sends commands to the device.
    pub(super) fn send(&self, commands: wgpu::CommandBuffer) -> wgpu::SubmissionIndex {
        if self.faults.submission.strikes() {
            self.device.destroy();
        }
        self.queue.submit([commands])
    }
}
