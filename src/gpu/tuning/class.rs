//! Launches that should run with the same tile.

use crate::gpu::kernel::{Grid, Launch};
use std::fmt;

/// A kernel, its overrides, and its shape to the next power of two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    kernel: &'static str,
    overrides: Vec<(&'static str, u64)>,
    /// Columns, rows, batch, and operations for each of their products, as exponents of two.
    exponents: [u32; 4],
}

fn exponent(size: usize) -> u32 {
    size.max(1).next_power_of_two().trailing_zeros()
}

impl Class {
    pub fn of(launch: &Launch) -> Self {
        let [columns, rows, batch] = match launch.grid {
            Grid::Tiles(sides) => sides,
            Grid::Items(items) => [items, 1, 1],
        };
        // An operation is half a multiplication and addition.
        let depth = launch.operations() / 2.0 / (columns * rows * batch).max(1) as f64;
        Class {
            kernel: launch.name(),
            overrides: launch.overrides.iter().map(|(name, value)| (*name, value.to_bits())).collect(),
            exponents: [columns, rows, batch, depth as usize].map(exponent),
        }
    }
}

/// As the file has it: `gemm 512x512x1024 batch 1 UPPER=0`, sizes being the largest of the class.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [columns, rows, batch, depth] = self.exponents.map(|e| 1u64 << e);
        write!(f, "{} {rows}x{columns}x{depth} batch {batch}", self.kernel)?;
        self.overrides.iter().try_for_each(|(name, bits)| write!(f, " {name}={}", f64::from_bits(*bits)))
    }
}
