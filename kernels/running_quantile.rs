//! A quantile of a window around every value of a row, exact.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::key_split::upload_levels;
use super::keys::{KeyLevels, LEVELS, key_of};
use super::parts::PARTS;
use super::trials::strange_matrix;
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{ArrayView1, s};
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("running_quantile", include_str!("running_quantile.wgsl"), PARTS);

/// Which quantile of which window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Frames before and after the one that the window is around: 2 half + 1 in all, fewer where a row ends.
    pub half: usize,
    /// The rank sought, in thousandths of the values present: number n permille / 1000, rounded down, of n
    /// sorted values; where nothing is rounded, the mean of that value and the one before it (type 2 of
    /// Hyndman & Fan 1996). 500 is the median.
    pub permille: usize,
}

/// Windows hold fewer values than this, so that ranks fit into 32 bits.
pub const LARGEST_HALF: usize = 2_000_000;

/// `y[row + r, t]` = the quantile of what the window around frame t holds of row r, NaN left out; NaN where
/// nothing is.
pub struct RunningQuantile<'a> {
    /// The levels of frames `first ..` of every row.
    pub levels: &'a KeyLevels,
    /// The first frame in the levels.
    pub first: usize,
    /// Frames of a row in all.
    pub frames: usize,
    /// Which quantile.
    pub window: Window,
    /// A column for every frame.
    pub y: &'a Matrix,
    /// The row of `y` for the first row of the levels.
    pub row: usize,
    /// Which frames are written.
    pub to: Range<usize>,
}

impl RunningQuantile<'_> {
    /// Operations a value.
    pub const COST: f64 = 4.0 * LEVELS as f64;

    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit, or a window holds frames that the levels do not.
    pub fn launch(&self) -> Result<Launch> {
        let (levels, y, to, name) = (self.levels, self.y, &self.to, KERNEL.name());
        let Window { half, permille } = self.window;
        check_matrices(name, &[("y", y)])?;
        let held = self.first..self.first + levels.columns;
        let needed = to.start.saturating_sub(half)..(to.end + half).min(self.frames);
        if !levels.has(LEVELS - 1) || held.start > needed.start || held.end < needed.end {
            return wrong(name, format!("{levels:?} from {} for {needed:?}", self.first));
        }
        let outside = self.row + levels.rows > y.rows || self.frames != y.columns || to.is_empty();
        if outside || half > LARGEST_HALF || permille > 1000 {
            return wrong(name, format!("{to:?} of {y:?}, {:?}", self.window));
        }
        // The last frames are written with the padding behind them.
        let wide = if to.end == self.frames { y.pitch() - to.start } else { to.len() };
        let items = levels.rows * wide;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("levels", &levels.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("rows", levels.rows)
            .set("words", levels.words())
            .set("first", self.first)
            .set("frames", self.frames)
            .set("start", to.start)
            .set("wide", wide)
            .set("pitch", y.pitch())
            .set("y_first", self.row * y.pitch())
            .set("half", half)
            .set("permille", permille)
            .cost(Self::COST * items as f64))
    }
}

/// The same by sorting each window.
pub fn oracle(row: ArrayView1<'_, f32>, window: Window) -> Vec<f32> {
    let frames = row.len();
    let one = |frame: usize| {
        let range = frame.saturating_sub(window.half)..(frame + window.half + 1).min(frames);
        let mut held: Vec<f32> = row.slice(s![range]).iter().copied().filter(|v| !v.is_nan()).collect();
        held.sort_by_key(|v| key_of(*v));
        let share = held.len() * window.permille;
        let rank = (share / 1000).min(held.len().saturating_sub(1));
        let value = held.get(rank).copied().unwrap_or(f32::NAN);
        if !share.is_multiple_of(1000) || rank == 0 || share / 1000 != rank {
            return value;
        }
        let before = held[rank - 1];
        let apart = before != value && before.is_finite() && value.is_finite();
        if apart { 0.5 * before + 0.5 * value } else { value }
    };
    (0..frames).map(one).collect()
}

/// Frames `to` of a matrix, whose levels begin at `first`.
fn case(rows: usize, frames: usize, window: Window, first: usize, to: Range<usize>) -> Case {
    let label = format!("{rows} x {frames}, {window:?}, {to:?} from {first}");
    Case::new(label, move |gpu| {
        let array = strange_matrix([rows + 1, frames], (frames + window.half) as u64);
        let end = (to.end + window.half).min(frames);
        let held: Vec<Vec<f32>> =
            array.rows().into_iter().skip(1).map(|r| r.to_vec()[first..end].to_vec()).collect();
        let levels = upload_levels(gpu, &held)?;
        let pitch = frames.next_multiple_of(4);
        let output = Guarded::new(gpu, (rows + 1) * pitch)?;
        let y = Matrix { buffer: output.buffer.clone(), rows: rows + 1, columns: frames };
        let mut recording = Recording::new();
        let to = to.clone();
        let launch =
            RunningQuantile { levels: &levels, first, frames, window, y: &y, row: 1, to: to.clone() };
        recording.add(launch.launch()?);
        let mut expected = vec![None; pitch];
        for row in array.rows().into_iter().skip(1) {
            let want = oracle(row, window);
            let word = |frame: usize| match want.get(frame) {
                Some(value) => to.contains(&frame).then(|| expected_of(*value, row)),
                None => (to.end == frames).then(|| Bounded::word(0)),
            };
            expected.extend((0..pitch).map(word));
        }
        Ok(Trial { recording, output, expected })
    })
}

/// To the bit, with one zero and one NaN; but for the mean of two values.
fn expected_of(value: f32, row: ArrayView1<'_, f32>) -> Bounded {
    if value.is_nan() {
        return Bounded::word(0x7fff_ffff);
    }
    if row.iter().any(|held| *held == value) {
        return Bounded::word((value + 0.0).to_bits());
    }
    let value = f64::from(value);
    Bounded { value, bound: UNIT * value.abs() + TINY }
}

/// Sizes that hurt: one frame, windows longer than the row and of even counts, all missing, ranks of 0 and
/// beyond the last, a piece of a row.
pub fn cases() -> Vec<Case> {
    let window = |half, permille| Window { half, permille };
    vec![
        case(1, 1, window(0, 500), 0, 0..1),
        case(2, 7, window(11, 500), 0, 0..7),
        case(3, 97, window(5, 500), 0, 0..97),
        case(3, 131, window(15, 80), 0, 0..131),
        case(5, 66, window(3, 0), 0, 0..66),
        case(5, 66, window(4, 1000), 0, 0..66),
        case(2, 61, window(45, 900), 0, 0..61),
        case(4, 203, window(6, 500), 34, 40..203),
        case(4, 203, window(6, 900), 0, 0..100),
        case(2, 4001, window(50, 500), 0, 0..4001).timed(),
    ]
}
