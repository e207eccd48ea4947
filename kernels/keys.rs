//! Values as keys in whole numbers, and the levels that key kernels make of them: what running quantiles are
//! read from.
//!
//! A row's keys are sorted bit by bit from the highest down, each time keeping the order of equals (a wavelet
//! matrix; Claude, Navarro and Ordonez 2015). Each level keeps which keys go right, as bits with counts; so
//! that how many values of any range go left is two look-ups, and the k-th smallest of a range 33 such steps,
//! however long the range.

use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Matrix};

/// Levels: one that parts missing values from the others, and one for each bit.
pub const LEVELS: usize = 33;

/// The key of a missing value, and of what lies beyond the last column.
pub const MISSING: u32 = u32::MAX;

/// The levels of a matrix: `[LEVELS][rows][words + 1]` pairs (bits, how many went left before them).
#[derive(Clone, Debug)]
pub struct KeyLevels {
    /// The words.
    pub buffer: Buffer,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
}

impl KeyLevels {
    /// For a matrix of a shape; nothing is in them yet.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn zeros(gpu: &Gpu, rows: usize, columns: usize) -> Result<Self> {
        let buffer = gpu.allocate("levels of keys", Self::buffer_words(rows, columns))?;
        Ok(KeyLevels { buffer, rows, columns })
    }

    /// 32-bit words that levels of a shape take.
    pub fn buffer_words(rows: usize, columns: usize) -> usize {
        2 * LEVELS * rows * (columns.div_ceil(32) + 1)
    }

    /// Words of 32 keys in a row.
    pub fn words(&self) -> usize {
        self.columns.div_ceil(32)
    }

    /// Whether the buffer is long enough, and there is such a level.
    pub(super) fn has(&self, level: usize) -> bool {
        level < LEVELS
            && self.columns > 0
            && self.buffer.words() >= Self::buffer_words(self.rows, self.columns)
    }
}

/// Rows that are to be split on a level: values before the first, keys after it.
#[derive(Clone, Copy, Debug)]
pub struct KeyRows<'a> {
    pub(super) buffer: &'a Buffer,
    pub(super) pitch: usize,
    pub(super) first: usize,
    columns: usize,
    pub(super) values: bool,
}

impl<'a> KeyRows<'a> {
    /// Values of a matrix, from a row and a column on; the column is a multiple of four.
    pub fn of_values(m: &'a Matrix, row: usize, column: usize) -> Self {
        let (pitch, columns) = (m.pitch(), m.pitch().saturating_sub(column));
        KeyRows { buffer: &m.buffer, pitch, first: row * pitch + column, columns, values: true }
    }

    /// Keys as `key_split` leaves them.
    pub fn of_keys(buffer: &'a Buffer, levels: &KeyLevels) -> Self {
        let pitch = 32 * levels.words();
        KeyRows { buffer, pitch, first: 0, columns: pitch, values: false }
    }

    /// Whether the rows of some levels are there.
    pub(super) fn holds(&self, levels: &KeyLevels) -> bool {
        let wide = levels.columns.next_multiple_of(4);
        let end = self.first + levels.rows.saturating_sub(1) * self.pitch + wide;
        wide <= self.columns && self.first.is_multiple_of(4) && self.buffer.words() >= end
    }
}

/// The key of a value: as ordered as values are, 0 and -0 the same, any NaN the largest.
pub fn key_of(value: f32) -> u32 {
    let bits = value.to_bits();
    match value {
        v if v.is_nan() => MISSING,
        0.0 => 1 << 31,
        v if v < 0.0 => !bits,
        _ => bits | 1 << 31,
    }
}

/// Whether a key goes right on a level.
pub fn goes_right(key: u32, level: usize) -> bool {
    if level == 0 { key == MISSING } else { key >> (LEVELS - 1 - level) & 1 == 1 }
}

/// The keys of a row, padded to whole words, after the splits of levels 0 .. `level`.
pub fn keys_at(row: &[f32], level: usize) -> Vec<u32> {
    let mut keys: Vec<u32> = row.iter().map(|v| key_of(*v)).collect();
    keys.resize(row.len().next_multiple_of(32), MISSING);
    for above in 0..level {
        // A stable sort by one bit.
        keys.sort_by_key(|key| goes_right(*key, above));
    }
    keys
}

/// One row of one level: bits and counts, with the word after the last.
pub fn level_of(keys: &[u32], level: usize) -> Vec<[u32; 2]> {
    let mut lefts = 0;
    let mut words = Vec::with_capacity(keys.len() / 32 + 1);
    for word in keys.chunks(32) {
        let bits = word.iter().rev().fold(0, |bits, key| bits << 1 | u32::from(goes_right(*key, level)));
        words.push([bits, lefts]);
        lefts += 32 - bits.count_ones();
    }
    words.push([0, lefts]);
    words
}
