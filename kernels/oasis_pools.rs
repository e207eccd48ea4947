//! Non-negative deconvolution of AR(1) traces by pools, in pieces.

use super::case::{Case, Guarded, Trial};
use super::fit::wrong;
use super::oasis_trace::{OasisTrace, signed};
use super::parts::PARTS;
use super::pools::{Model, ROUNDS, bound, check, expand, reference, traces};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("oasis_pools", include_str!("oasis_pools.wgsl"), PARTS);

/// Takes frames of each listed trace and merges pools, from where `progress` stands.
pub struct OasisPools<'a> {
    /// Traces x frames; NaN where a frame is missing.
    pub y: &'a Matrix,
    /// Four f32 a trace: see [`Model::words`].
    pub model: &'a Buffer,
    /// Which traces: u32, each below `y.rows`.
    pub list: &'a Buffer,
    /// How many of the list.
    pub items: usize,
    /// Two u32 a trace: frames taken (one more than there are when the trace is done), pools.
    pub progress: &'a Buffer,
    /// Four words a word of `y`: the pools of each trace.
    pub pools: &'a Buffer,
    /// At most [`ROUNDS`]; each takes up to eight frames.
    pub rounds: usize,
    /// Whether to begin; else to go on.
    pub begin: bool,
}

impl OasisPools<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short or the rounds are too many.
    pub fn launch(&self) -> Result<Launch> {
        let (y, name) = (self.y, KERNEL.name());
        check(name, y, [self.model, self.progress, self.pools], self.rounds)?;
        if self.list.words() < self.items {
            return wrong(name, format!("{:?} does not list {} traces", self.list, self.items));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(self.items))
            .read("y", &y.buffer)
            .read("model", self.model)
            .read("list", self.list)
            .write("progress", self.progress)
            .write("pools", self.pools)
            .set("items", self.items)
            .set("frames", y.columns)
            .set("pitch_quads", y.pitch() / 4)
            .set("rounds", self.rounds)
            .set("begin", usize::from(self.begin))
            .cost(100.0 * (self.items * self.rounds) as f64))
    }
}

/// Calcium of a trace as `oasis_trace` writes it, of the [`reference()`] pools. Where rounding may join two
/// pools or not, calcium is the same within its bound, but its sign is not known.
///
/// # Errors
/// Internal, where such a tie would move calcium itself: the problem with a smallest event is not convex.
pub fn oracle(y: &[f32], model: &Model) -> Result<Vec<Bounded>> {
    let bound = bound(y, model) + TINY;
    let (pools, ties) = reference(y, model, 2.0 * bound);
    if model.smallest > 0.0 && !ties.is_empty() {
        return wrong(KERNEL.name(), format!("a case with ties at frames {ties:?}"));
    }
    let (calcium, _) = expand(&pools, model, y.len());
    let mut calcium = signed(calcium.iter().map(|c| Bounded { value: *c, bound }).collect(), &pools);
    for tie in ties {
        calcium[tie].bound = 2.0 * calcium[tie].value.abs() + bound;
    }
    Ok(calcium)
}

/// The shape of a case, and what is in it.
struct Setting {
    shape: [usize; 2],
    /// One in so many frames is missing, or none.
    missing: usize,
    rounds: usize,
    model: Model,
}

fn trial(gpu: &Gpu, setting: &Setting) -> Result<Trial> {
    let [rows, frames] = setting.shape;
    let array = traces(setting.shape, setting.model.decay, setting.missing, (rows * 31 + frames) as u64);
    // Every trace another model, and the last trace of three not listed.
    let models: Vec<Model> = (0..rows)
        .map(|r| Model { penalty: setting.model.penalty * (r % 4) as f32, ..setting.model })
        .collect();
    let listed: Vec<u32> = (0..rows as u32).rev().filter(|r| rows < 3 || *r != rows as u32 - 1).collect();
    let y = Matrix::upload(gpu, "y", array.view())?;
    let words = rows * y.pitch();
    let model = gpu.upload("model", &models.iter().flat_map(Model::words).collect::<Vec<f32>>())?;
    let list = gpu.upload("list", &listed)?;
    // What is not listed has no pools; all else is to be begun whatever stands there.
    let standing = (0..rows as u32).flat_map(|r| if listed.contains(&r) { [7; 2] } else { [0; 2] });
    let progress = gpu.upload("progress", &standing.collect::<Vec<u32>>())?;
    let pools = gpu.allocate("pools", 4 * words)?;
    let cursor = gpu.upload("cursor", &vec![3u32; 4 * rows])?;
    let output = Guarded::new(gpu, words)?;
    let mut recording = Recording::new();
    let (items, rounds) = (listed.len(), setting.rounds);
    let (y, model, progress, pools) = (&y, &model, &progress, &pools);
    let step = OasisPools { y, model, list: &list, items, progress, pools, rounds, begin: true };
    // No frame takes more than three rounds: one to take it, one to write its pool, one to read it.
    for piece in 0..(3 * frames).div_ceil(rounds) {
        recording.add(OasisPools { begin: piece == 0, ..step }.launch()?);
    }
    let (cursor, calcium) = (&cursor, &output.buffer);
    let whole = OasisTrace { y, model, progress, pools, cursor, calcium, rounds: ROUNDS, begin: true };
    for piece in 0..(2 * frames).div_ceil(ROUNDS) {
        recording.add(OasisTrace { begin: piece == 0, ..whole }.launch()?);
    }
    let mut expected = Vec::with_capacity(words);
    for (r, row) in array.rows().into_iter().enumerate() {
        let left_out = !listed.contains(&(r as u32));
        let mut calcium =
            if left_out { vec![Bounded::exact(0.0); frames] } else { oracle(&row.to_vec(), &models[r])? };
        calcium.resize(y.pitch(), Bounded::exact(0.0));
        expected.extend(calcium.into_iter().map(Some));
    }
    Ok(Trial { recording, output, expected })
}

fn case(shape: [usize; 2], missing: usize, rounds: usize, model: Model) -> Case {
    let [rows, frames] = shape;
    let label = format!("{rows} x {frames}, 1 of {missing} missing, {rounds} rounds a launch, {model:?}");
    Case::new(label, move |gpu| trial(gpu, &Setting { shape, missing, rounds, model }))
}

/// Sizes that hurt: one frame, ragged quads and workgroups, pieces, missing frames, slow and fast decay,
/// sizes of events.
pub fn cases() -> Vec<Case> {
    let model = Model { decay: 0.9, penalty: 0.2, baseline: 0.125, smallest: 0.0 };
    vec![
        case([5, 7], 0, ROUNDS, model),
        case([1, 301], 0, ROUNDS, Model { decay: 0.5, ..model }),
        case([19, 1021], 0, 17, model),
        case([9, 998], 5, ROUNDS, model),
        case([11, 3000], 0, ROUNDS, Model { decay: 0.995, penalty: 0.5, ..model }),
        case([3, 400], 3, 5, Model { smallest: 0.37, penalty: 0.0, ..model }),
        case([256, 2000], 0, ROUNDS, model).timed(),
    ]
}
