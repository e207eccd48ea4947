//! The keys of a row in the order of the next level: those that go left, then those that go right.

use super::case::{Case, Guarded, Trial};
use super::fit::wrong;
use super::keys::{KeyLevels, KeyRows, LEVELS, keys_at, level_of};
use super::parts::PARTS;
use super::trials::strange_matrix;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("key_split", include_str!("key_split.wgsl"), PARTS);

/// A stable partition of every row by the bits of a level.
pub struct KeySplit<'a> {
    /// The rows as the levels above have left them.
    pub x: KeyRows<'a>,
    /// Which level.
    pub level: usize,
    /// Its bits and counts.
    pub levels: &'a KeyLevels,
    /// Another buffer than that of `x`, 32 keys for every word of a row.
    pub y: &'a Buffer,
}

impl KeySplit<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let levels = self.levels;
        let items = levels.rows * levels.words();
        if !levels.has(self.level) || !self.x.holds(levels) || self.y.words() < 32 * items {
            return wrong(KERNEL.name(), format!("level {} of {levels:?} to {:?}", self.level, self.y));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .constant("VALUES", f64::from(u8::from(self.x.values)))
            .read("x", self.x.buffer)
            .read("levels", &levels.buffer)
            .write("y", self.y)
            .set("items", items)
            .set("words", levels.words())
            .set("columns", levels.columns)
            .set("x_quads", self.x.pitch / 4)
            .set("x_first", self.x.first / 4)
            .set("level", self.level)
            .set("rows", levels.rows)
            .cost(32.0 * items as f64))
    }
}

/// Uploads all levels of rows, made on the host.
pub(super) fn upload_levels(gpu: &crate::gpu::Gpu, rows: &[Vec<f32>]) -> Result<KeyLevels> {
    let of = |level: usize| rows.iter().flat_map(move |row| level_of(&keys_at(row, level), level));
    let words: Vec<[u32; 2]> = (0..LEVELS).flat_map(of).collect();
    let buffer = gpu.upload("levels of keys", words.as_flattened())?;
    Ok(KeyLevels { buffer, rows: rows.len(), columns: rows.first().map_or(0, Vec::len) })
}

fn case(rows: usize, columns: usize, level: usize) -> Case {
    Case::new(format!("{rows} x {columns}, level {level}"), move |gpu| {
        let first = 4;
        let array = strange_matrix([rows + 1, columns + first], 5 + level as u64);
        let row = |r: usize| array.row(r + 1).iter().skip(first).copied().collect::<Vec<f32>>();
        let rows_of: Vec<Vec<f32>> = (0..rows).map(row).collect();
        let levels = upload_levels(gpu, &rows_of)?;
        let before: Vec<u32> = rows_of.iter().flat_map(|row| keys_at(row, level)).collect();
        let after = rows_of.iter().flat_map(|row| keys_at(row, level + 1));
        let expected = after.map(|key| Some(Bounded::word(key))).collect();
        let (x, keys) = (Matrix::upload(gpu, "x", array.view())?, gpu.upload("keys", &before)?);
        let output = Guarded::new(gpu, before.len())?;
        let x = if level == 0 { KeyRows::of_values(&x, 1, first) } else { KeyRows::of_keys(&keys, &levels) };
        let mut recording = Recording::new();
        recording.add(KeySplit { x, level, levels: &levels, y: &output.buffer }.launch()?);
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one value, a word and one, the levels of missing values, of the sign and of the last bit.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 2, 0),
        case(3, 33, 0),
        case(5, 101, 1),
        case(2, 64, 9),
        case(67, 131, LEVELS - 1),
        case(2, 100_000, 3).timed(),
    ]
}
