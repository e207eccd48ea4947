//! Which keys of a row go right on a level, packed.

use super::case::{Case, Guarded, Trial};
use super::fit::wrong;
use super::keys::{KeyLevels, KeyRows, LEVELS, keys_at, level_of};
use super::parts::PARTS;
use super::trials::strange_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("key_bits", include_str!("key_bits.wgsl"), PARTS);

/// The bits of one level; the counts are left as they are.
pub struct KeyBits<'a> {
    /// The rows as the levels above have left them.
    pub x: KeyRows<'a>,
    /// Which level: [`super::keys::LEVELS`] in all.
    pub level: usize,
    /// What is written to.
    pub levels: &'a KeyLevels,
}

impl KeyBits<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let levels = self.levels;
        if !levels.has(self.level) || !self.x.holds(levels) {
            return wrong(KERNEL.name(), format!("level {} of {levels:?} from {:?}", self.level, self.x));
        }
        let items = levels.rows * levels.words();
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .constant("VALUES", f64::from(u8::from(self.x.values)))
            .read("x", self.x.buffer)
            .write("levels", &levels.buffer)
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

/// Level `level` of a matrix; values from a column on where it is 0.
fn case(rows: usize, columns: usize, level: usize) -> Case {
    Case::new(format!("{rows} x {columns}, level {level}"), move |gpu| {
        let first = 8;
        let array = strange_matrix([rows + 1, columns + first], level as u64);
        let x = Matrix::upload(gpu, "x", array.view())?;
        let row = |r: usize| array.row(r + 1).iter().skip(first).copied().collect::<Vec<f32>>();
        let keys: Vec<u32> = (0..rows).flat_map(|r| keys_at(&row(r), level)).collect();
        let keys = gpu.upload("keys", &keys)?;
        let output = Guarded::new(gpu, KeyLevels::buffer_words(rows, columns))?;
        let levels = KeyLevels { buffer: output.buffer.clone(), rows, columns };
        let rows_of =
            if level == 0 { KeyRows::of_values(&x, 1, first) } else { KeyRows::of_keys(&keys, &levels) };
        let mut recording = Recording::new();
        recording.add(KeyBits { x: rows_of, level, levels: &levels }.launch()?);
        let mut expected = vec![None; levels.buffer.words()];
        for r in 0..rows {
            let want = level_of(&keys_at(&row(r), level), level);
            for (w, [bits, _]) in want.iter().take(levels.words()).enumerate() {
                let at = 2 * ((level * rows + r) * (levels.words() + 1) + w);
                expected[at] = Some(Bounded::word(*bits));
            }
        }
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one value, a word and one, the levels of missing values, of the sign and of the last bit.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 1, 0),
        case(3, 33, 0),
        case(5, 101, 1),
        case(2, 64, 9),
        case(67, 131, LEVELS - 1),
        case(16, 100_000, 12).timed(),
    ]
}
