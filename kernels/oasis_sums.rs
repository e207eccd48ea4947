//! What the choice of a penalty asks of the pools of AR(1) traces: sums over residuals and their slopes.

use super::case::{Case, Guarded, Trial};
use super::fit::wrong;
use super::oasis_trace::{oracle as calcium_of, packed, rounded};
use super::parts::PARTS;
use super::pools::{Model, Pool, ROUNDS, check, reference, traces};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("oasis_sums", include_str!("oasis_sums.wgsl"), PARTS);

/// Adds up what `oasis_sums.wgsl` says at its head, over each listed trace, from where `cursor` stands.
pub struct OasisSums<'a> {
    /// Traces x frames; NaN where a frame is missing.
    pub y: &'a Matrix,
    /// Four f32 a trace: see [`Model::words`].
    pub model: &'a Buffer,
    /// Which traces: u32, each below `y.rows`.
    pub list: &'a Buffer,
    /// How many of the list.
    pub items: usize,
    /// Two u32 a trace: frames taken (not read), pools.
    pub progress: &'a Buffer,
    /// Four words a word of `y`.
    pub pools: &'a Buffer,
    /// Four u32 a trace.
    pub cursor: &'a Buffer,
    /// Sixteen f32 a trace.
    pub sums: &'a Buffer,
    /// At most [`ROUNDS`]; every quad of frames and every pool take one.
    pub rounds: usize,
    /// Whether to begin; else to go on.
    pub begin: bool,
}

impl OasisSums<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short or the rounds are too many.
    pub fn launch(&self) -> Result<Launch> {
        let (y, name) = (self.y, KERNEL.name());
        check(name, y, [self.model, self.progress, self.pools], self.rounds)?;
        let short = self.sums.words() < 16 * y.rows || self.cursor.words() < 4 * y.rows;
        if short || self.list.words() < self.items {
            let found = format!("{:?}, {:?} or {:?}", self.sums, self.cursor, self.list);
            return wrong(name, format!("{found} do not fit {y:?}"));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(self.items))
            .read("y", &y.buffer)
            .read("model", self.model)
            .read("list", self.list)
            .read("progress", self.progress)
            .read("pools", self.pools)
            .write("cursor", self.cursor)
            .write("sums", self.sums)
            .set("items", self.items)
            .set("frames", y.columns)
            .set("pitch_quads", y.pitch() / 4)
            .set("rounds", self.rounds)
            .set("begin", usize::from(self.begin))
            .set("nothing", 0)
            .cost(100.0 * (self.items * self.rounds) as f64))
    }
}

/// Sums over the frames of a trace that are not missing, of `r = y - baseline - c` and `q = -dc / dpenalty`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    /// Of `r r`, `q q`, `r q`, `r`, `q`, `c`.
    pub values: [f64; 6],
    /// Number of frames.
    pub frames: f64,
}

impl Sums {
    /// From the kernel's sixteen words.
    pub fn of(words: &[f32]) -> Self {
        let value = |at: usize| f64::from(words[at]) - f64::from(words[at + 4]);
        let values = [value(0), value(1), value(2), value(3), value(8), value(9)];
        Sums { values, frames: value(10) }
    }
}

/// The kernel's words in f64: sums in the first and third quad, what rounding took in the others. A frame's
/// errors are those of its calcium and of two subtractions; compensated sums add 4 roundoffs of the
/// magnitudes, a quad's own 4 more.
pub fn oracle(y: &[f32], pools: &[Pool], model: &Model) -> [Bounded; 16] {
    let calcium = calcium_of(pools, model, y.len());
    let [g, _, baseline, _] = model.words().map(f64::from);
    let mut sums = [[0.0f64; 3]; 8];
    for (k, pool) in pools.iter().enumerate() {
        let end = pools.get(k + 1).map_or(y.len(), |next| next.first);
        let held = pool.start(f64::from(model.smallest)) == 0.0;
        let mut q = if held { 0.0 } else { (1.0 - if end == y.len() { 0.0 } else { pool.d }) / pool.w };
        for t in pool.first..end {
            let (value, c) = (f64::from(y[t]), calcium[t]);
            if !value.is_nan() {
                let r = value - baseline - c.value;
                let r_off = c.bound + UNIT * (value.abs() + baseline.abs() + r.abs());
                let q_off = (6.0 + (t - pool.first) as f64) * UNIT * q + TINY;
                let terms = [
                    (r * r, 2.0 * r.abs() * r_off),
                    (q * q, 2.0 * q * q_off),
                    (r * q, r.abs() * q_off + q * r_off),
                    (r, r_off),
                    (q, q_off),
                    (c.value, c.bound),
                    (1.0, 0.0),
                    (0.0, 0.0),
                ];
                for (sum, (term, off)) in sums.iter_mut().zip(terms) {
                    *sum = [sum[0] + term, sum[1] + off, sum[2] + term.abs()];
                }
            }
            q *= g;
        }
    }
    std::array::from_fn(|word| {
        let [value, off, magnitude] = sums[4 * (word / 8) + word % 4];
        let bound = off + 8.0 * UNIT * magnitude + TINY;
        Bounded { value: if word % 8 < 4 { value } else { 0.0 }, bound }
    })
}

fn trial(gpu: &Gpu, shape: [usize; 2], rounds: usize, model: Model) -> Result<Trial> {
    let [rows, frames] = shape;
    let array = traces(shape, model.decay, if rows % 2 == 0 { 7 } else { 0 }, (rows * 41 + frames) as u64);
    let y = Matrix::upload(gpu, "y", array.view())?;
    let (mut pools, mut progress, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for row in array.rows() {
        let own = rounded(&reference(&row.to_vec(), &model, 0.0).0);
        progress.extend([frames as u32 + 1, own.len() as u32]);
        pools.extend(packed(&own, 4 * y.pitch()));
        expected.extend(oracle(&row.to_vec(), &own, &model).map(Some));
    }
    // The first trace is not listed: its sums stay what they were.
    expected[..16].fill(Some(Bounded::exact(5.0)));
    let list: Vec<u32> = (1..rows as u32).rev().collect();
    let output = Guarded::new(gpu, 16 * rows)?;
    gpu.write(&output.buffer, 0, &vec![5f32; 16 * rows])?;
    let models = gpu.upload("model", &model.words().repeat(rows))?;
    let (pools, progress) = (gpu.upload("pools", &pools)?, gpu.upload("progress", &progress)?);
    let (cursor, listed) = (gpu.upload("cursor", &vec![3u32; 4 * rows])?, gpu.upload("list", &list)?);
    let sums = OasisSums {
        y: &y,
        model: &models,
        list: &listed,
        items: list.len(),
        progress: &progress,
        pools: &pools,
        cursor: &cursor,
        sums: &output.buffer,
        rounds,
        begin: true,
    };
    let mut recording = Recording::new();
    for piece in 0..(2 * frames).div_ceil(rounds) {
        recording.add(OasisSums { begin: piece == 0, ..sums }.launch()?);
    }
    Ok(Trial { recording, output, expected })
}

fn case(shape: [usize; 2], rounds: usize, model: Model) -> Case {
    let [rows, frames] = shape;
    let label = format!("{rows} x {frames}, {rounds} rounds a launch, {model:?}");
    Case::new(label, move |gpu| trial(gpu, shape, rounds, model))
}

/// Sizes that hurt: few frames, pieces that end inside a quad, missing frames, smallest events, a slow decay.
pub fn cases() -> Vec<Case> {
    let model = Model { decay: 0.9, penalty: 0.2, baseline: 0.125, smallest: 0.0 };
    vec![
        case([4, 5], ROUNDS, model),
        case([18, 203], 13, model),
        case([11, 1023], 7, Model { smallest: 0.5, ..model }),
        case([9, 4001], ROUNDS, Model { decay: 0.99, ..model }),
        case([256, 2000], ROUNDS, model).timed(),
    ]
}
