//! Denoised calcium of the pools of AR(1) traces.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use super::pools::{Model, Pool, ROUNDS, check, reference, traces};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("oasis_trace", include_str!("oasis_trace.wgsl"), PARTS);

/// Writes calcium of all traces, `-c` at first frames of pools.
pub struct OasisTrace<'a> {
    /// The traces, whose shape calcium has.
    pub y: &'a Matrix,
    /// Four f32 a trace: see [`Model::words`].
    pub model: &'a Buffer,
    /// Two u32 a trace: frames taken (not read), pools.
    pub progress: &'a Buffer,
    /// Four words a word of `y`.
    pub pools: &'a Buffer,
    /// Four u32 a trace.
    pub cursor: &'a Buffer,
    /// As many words as `y`.
    pub calcium: &'a Buffer,
    /// At most [`ROUNDS`]; every eight frames and every pool take one.
    pub rounds: usize,
    /// Whether to begin; else to go on.
    pub begin: bool,
}

impl OasisTrace<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short or the rounds are too many.
    pub fn launch(&self) -> Result<Launch> {
        let (y, name) = (self.y, KERNEL.name());
        check(name, y, [self.model, self.progress, self.pools], self.rounds)?;
        if self.calcium.words() < y.rows * y.pitch() || self.cursor.words() < 4 * y.rows {
            return wrong(name, format!("{:?} or {:?} do not fit {y:?}", self.calcium, self.cursor));
        }
        check_matrices(name, &[("y", y)])?;
        Ok(Launch::new(&KERNEL, Grid::Items(y.rows))
            .read("pools", self.pools)
            .read("model", self.model)
            .read("progress", self.progress)
            .write("cursor", self.cursor)
            .write("calcium", self.calcium)
            .set("items", y.rows)
            .set("frames", y.columns)
            .set("pitch_quads", y.pitch() / 4)
            .set("rounds", self.rounds)
            .set("begin", usize::from(self.begin))
            .cost(100.0 * (y.rows * self.rounds) as f64))
    }
}

/// Pools as the kernels have them: v, w, d and the bits of the first frame.
pub(super) fn packed(pools: &[Pool], words: usize) -> Vec<f32> {
    let one = |p: &Pool| [p.v as f32, p.w as f32, p.d as f32, f32::from_bits(p.first as u32)];
    let mut packed: Vec<f32> = pools.iter().flat_map(one).collect();
    packed.resize(words, f32::NAN);
    packed
}

/// Pools as f32 has them, which rounding did not move.
pub(super) fn rounded(pools: &[Pool]) -> Vec<Pool> {
    let round = |v: f64| f64::from(v as f32);
    pools.iter().map(|p| Pool { v: round(p.v), w: round(p.w), d: round(p.d), first: p.first }).collect()
}

/// Calcium in f64, without its signs. A quotient is 3 roundoffs off (WGSL grants 2.5), each frame of decay
/// one more.
pub fn oracle(pools: &[Pool], model: &Model, frames: usize) -> Vec<Bounded> {
    let mut calcium = vec![Bounded::exact(0.0); frames];
    for (k, pool) in pools.iter().enumerate() {
        let end = pools.get(k + 1).map_or(frames, |next| next.first);
        let mut value = pool.start(f64::from(model.smallest));
        for (age, c) in calcium[pool.first..end].iter_mut().enumerate() {
            *c = Bounded { value, bound: (age as f64 + 4.0) * UNIT * value + TINY };
            value *= f64::from(model.decay);
        }
    }
    calcium
}

/// With the signs that say where pools begin.
pub(super) fn signed(mut calcium: Vec<Bounded>, pools: &[Pool]) -> Vec<Bounded> {
    for pool in pools {
        calcium[pool.first].value *= -1.0;
    }
    calcium
}

fn trial(gpu: &Gpu, shape: [usize; 2], rounds: usize, model: Model) -> Result<Trial> {
    let [rows, frames] = shape;
    let array = traces(shape, model.decay, if rows % 2 == 0 { 7 } else { 0 }, (rows * 37 + frames) as u64);
    let y = Matrix::upload(gpu, "y", array.view())?;
    let (mut pools, mut progress, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for row in array.rows() {
        let own = rounded(&reference(&row.to_vec(), &model, 0.0).0);
        progress.extend([frames as u32 + 1, own.len() as u32]);
        pools.extend(packed(&own, 4 * y.pitch()));
        let mut calcium = signed(oracle(&own, &model, frames), &own);
        calcium.resize(y.pitch(), Bounded::exact(0.0));
        expected.extend(calcium.into_iter().map(Some));
    }
    let output = Guarded::new(gpu, rows * y.pitch())?;
    let models = gpu.upload("model", &model.words().repeat(rows))?;
    let (pools, progress) = (gpu.upload("pools", &pools)?, gpu.upload("progress", &progress)?);
    let cursor = gpu.upload("cursor", &vec![3u32; 4 * rows])?;
    let trace = OasisTrace {
        y: &y,
        model: &models,
        progress: &progress,
        pools: &pools,
        cursor: &cursor,
        calcium: &output.buffer,
        rounds,
        begin: true,
    };
    let mut recording = Recording::new();
    for piece in 0..(2 * frames).div_ceil(rounds) {
        recording.add(OasisTrace { begin: piece == 0, ..trace }.launch()?);
    }
    Ok(Trial { recording, output, expected })
}

fn case(shape: [usize; 2], rounds: usize, model: Model) -> Case {
    let [rows, frames] = shape;
    let label = format!("{rows} x {frames}, {rounds} rounds a launch, {model:?}");
    Case::new(label, move |gpu| trial(gpu, shape, rounds, model))
}

/// Sizes that hurt: one frame, ragged quads, pieces that end inside a quad, missing frames, smallest events.
pub fn cases() -> Vec<Case> {
    let model = Model { decay: 0.9, penalty: 0.2, baseline: 0.125, smallest: 0.0 };
    vec![
        case([6, 5], ROUNDS, model),
        case([17, 203], 13, model),
        case([12, 1023], 7, Model { smallest: 0.5, ..model }),
        case([9, 4001], ROUNDS, Model { decay: 0.99, ..model }),
        case([256, 2000], ROUNDS, model).timed(),
    ]
}
