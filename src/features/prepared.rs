//! Images that are decoded and prepared on the host while the device works on those before them.

use crate::error::{Error, Result};
use crate::host::no_thread;
use crate::io::images::{Batch, Images, Preparation};
use std::ops::Range;
use std::sync::mpsc::sync_channel;

/// Batches that wait, prepared, until the device is ready for them. One more is being prepared, and one is on
/// its way.
const WAITING: usize = 1;

/// Batches in host memory at once.
pub(super) const HELD: usize = WAITING + 2;

/// A range of images, to be prepared in batches.
pub(super) struct Prepared<'a> {
    pub images: &'a Images,
    pub preparation: &'a Preparation,
    pub rows: Range<usize>,
}

impl Prepared<'_> {
    /// Calls `take` with the rows of every batch and its images, in order; `size` says how many images the
    /// next batch should have.
    ///
    /// # Errors
    /// Those of [`Images::batch`] and of `take`, whichever comes first in the order of images.
    pub fn each(
        &self,
        size: &(dyn Fn() -> usize + Sync),
        take: &mut dyn FnMut(Range<usize>, Batch) -> Result<()>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(WAITING);
            let decode = move || {
                let mut at = self.rows.start;
                while at < self.rows.end {
                    let rows = at..(at + size().max(1)).min(self.rows.end);
                    at = rows.end;
                    let batch = self.images.batch(rows.clone(), self.preparation);
                    let ends = batch.is_err();
                    // Nobody listens any more where the device has failed.
                    if sender.send((rows, batch)).is_err() || ends {
                        return;
                    }
                }
            };
            let worker = std::thread::Builder::new().spawn_scoped(scope, decode);
            let worker = worker.map_err(|why| no_thread("images", &why))?;
            for (rows, batch) in receiver {
                take(rows, batch?)?;
            }
            worker.join().map_err(|_| Error::internal("images", "the thread that decodes them panicked"))
        })
    }
}
