//! Features in the memory of the host.

use crate::error::{Error, Kind, Result};
use crate::host::memory_available;

/// Refuses features of so many rows that the host cannot hold.
///
/// # Errors
/// Memory, saying how many bytes are free.
pub fn affordable(rows: usize, bytes: u64) -> Result<()> {
    let Some(free) = memory_available().filter(|free| bytes > *free) else { return Ok(()) };
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let found = format!("the features of {rows} rows need {} of memory", mebibytes(bytes));
    let advice = "Use a smaller --size, --pool or --subsample";
    Err(Error::new(Kind::Memory, "features", found, format!("at most {}", mebibytes(free)), advice))
}
