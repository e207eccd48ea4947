//! Whether buffers hold what shapes say: trusted shaders run without the driver's checks, so launches check.

use crate::error::{Error, Result};
use crate::gpu::{Maps, Matrix};

/// An internal error of a kernel's launch.
pub(super) fn wrong<T>(kernel: &str, found: impl std::fmt::Display) -> Result<T> {
    Err(Error::internal(kernel, found))
}

/// Errors if a buffer is shorter than its maps.
pub(super) fn check_maps(kernel: &str, named: &[(&str, &Maps)]) -> Result<()> {
    for (name, m) in named {
        if m.buffer.words() < Maps::words(m.images, [m.channels, m.height, m.width]) {
            return wrong(kernel, format!("{name} is too short: {m:?}"));
        }
    }
    Ok(())
}

/// Errors if a buffer is shorter than its matrix.
pub(super) fn check_matrices(kernel: &str, named: &[(&str, &Matrix)]) -> Result<()> {
    for (name, m) in named {
        if m.buffer.words() < m.rows * m.pitch() {
            return wrong(kernel, format!("{name} is too short: {m:?}"));
        }
    }
    Ok(())
}
