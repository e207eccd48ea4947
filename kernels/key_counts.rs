//! How many keys of a row go left on a level before each word.

use super::case::{Case, Guarded, Trial};
use super::fit::wrong;
use super::keys::{KeyLevels, LEVELS, keys_at, level_of};
use super::parts::PARTS;
use super::trials::strange_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, LONGEST_LOOP, Launch, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("key_counts", include_str!("key_counts.wgsl"), PARTS);

/// The counts of one level, whose bits are there.
pub struct KeyCounts<'a> {
    /// Which level.
    pub level: usize,
    /// Bits are read and counts written; rows of at most [`LONGEST_ROW`] columns.
    pub levels: &'a KeyLevels,
}

/// Columns of the longest row whose words one loop may count.
pub const LONGEST_ROW: usize = 32 * LONGEST_LOOP as usize;

impl KeyCounts<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the buffer is too short or rows are too long.
    pub fn launch(&self) -> Result<Launch> {
        let levels = self.levels;
        if !levels.has(self.level) || levels.columns > LONGEST_ROW {
            return wrong(KERNEL.name(), format!("level {} of {levels:?}", self.level));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(levels.rows))
            .write("levels", &levels.buffer)
            .set("rows", levels.rows)
            .set("words", levels.words())
            .set("level", self.level)
            .cost((levels.rows * levels.words()) as f64))
    }
}

fn case(rows: usize, columns: usize, level: usize) -> Case {
    Case::new(format!("{rows} x {columns}, level {level}"), move |gpu| {
        let array = strange_matrix([rows, columns], 3 + level as u64);
        let output = Guarded::new(gpu, KeyLevels::buffer_words(rows, columns))?;
        let levels = KeyLevels { buffer: output.buffer.clone(), rows, columns };
        let mut expected = vec![None; output.buffer.words()];
        let pitch = 2 * (levels.words() + 1);
        for (r, row) in array.rows().into_iter().enumerate() {
            let want = level_of(&keys_at(&row.to_vec(), level), level);
            let at = (level * rows + r) * pitch;
            // Counts are poisoned, and so is the word after the last.
            let given: Vec<u32> = want.iter().flat_map(|[bits, _]| [*bits, u32::MAX]).collect();
            gpu.write(&output.buffer, at, &given)?;
            let words = want.as_flattened().iter().map(|word| Some(Bounded::word(*word)));
            expected.splice(at..at + pitch, words);
        }
        let mut recording = Recording::new();
        recording.add(KeyCounts { level, levels: &levels }.launch()?);
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one value, whole words, more rows than a workgroup, all missing.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 3, 1),
        case(3, 64, 0),
        case(131, 65, 2),
        case(7, 1009, LEVELS - 1),
        case(64, 100_000, 5).timed(),
    ]
}
