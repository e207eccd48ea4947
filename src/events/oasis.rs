//! AR(1) traces on the device: many at once, each solved for a model of its own.

use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Matrix, Recording, padded_rows};
use crate::kernels::oasis_pools::OasisPools;
use crate::kernels::oasis_sums::OasisSums;
pub use crate::kernels::oasis_sums::Sums;
use crate::kernels::oasis_trace::OasisTrace;
use crate::kernels::pools::ROUNDS;
pub use crate::kernels::pools::{Model, Pool, bound, expand, reference};
use ndarray::{Array2, ArrayView2};

/// Words of GPU memory for each frame of a trace: the trace, its pools and calcium.
const WORDS: usize = 6;

/// Bytes of pools at once on a processor.
const NEAR_BYTES: u64 = 24 << 20;

/// Traces on the device with room for their pools.
pub struct Oasis<'a> {
    gpu: &'a Gpu,
    y: Matrix,
    calcium: Buffer,
    pools: Buffer,
    model: Buffer,
    list: Buffer,
    progress: Buffer,
    cursor: Buffer,
    sums: Buffer,
    /// Traces that there is room for.
    room: usize,
    /// First frame of each trace that is not missing.
    first: Vec<usize>,
}

impl<'a> Oasis<'a> {
    /// How many traces of so many frames to take at once: pools have to fit a binding, and everything what
    /// memory is free. On a processor only as many as stay near its caches: batches of 832 traces of 10,000
    /// frames took nearly twice the CPU seconds of batches of 152.
    pub fn traces_at_once(gpu: &Gpu, frames: usize) -> usize {
        let pitch = frames.next_multiple_of(4).max(4) as u64;
        let pools = if gpu.is_cpu() { NEAR_BYTES } else { gpu.max_binding_bytes() };
        let bound = pools.min(gpu.max_binding_bytes()) / (16 * pitch);
        let free = gpu.ledger().free() / (4 * WORDS as u64 * pitch + 256);
        // Whole subgroups of eight, where there is room for one.
        let all = bound.max(16).min(free).min(gpu.max_binding_bytes() / (16 * pitch)).max(1) as usize;
        if all >= 8 { all / 8 * 8 } else { all }
    }

    /// Room for so many traces of so many frames.
    ///
    /// # Errors
    /// Memory, if they do not fit.
    pub fn new(gpu: &'a Gpu, traces: usize, frames: usize) -> Result<Self> {
        let y = Matrix::zeros(gpu, "traces", traces, frames)?;
        Ok(Oasis {
            gpu,
            calcium: gpu.allocate("calcium", y.buffer.words())?,
            pools: gpu.allocate("pools", 4 * y.buffer.words())?,
            model: gpu.allocate("models", 4 * traces)?,
            list: gpu.allocate("list", traces)?,
            progress: gpu.allocate("progress", 2 * traces)?,
            cursor: gpu.allocate("cursor", 4 * traces)?,
            sums: gpu.allocate("sums", 16 * traces)?,
            room: traces,
            first: Vec::new(),
            y,
        })
    }

    /// Takes traces, neurons x frames, in place of those before; NaN where a frame is missing.
    ///
    /// # Errors
    /// Internal, if they are more or longer than there is room; as [`Gpu::write`].
    pub fn load(&mut self, y: ArrayView2<'_, f32>) -> Result<()> {
        if y.nrows() > self.room || y.ncols() != self.y.columns {
            return Err(Error::internal("traces", format!("{:?} in room for {:?}", y.dim(), self.y)));
        }
        self.y.rows = y.nrows();
        let first = |row: ndarray::ArrayView1<'_, f32>| row.iter().take_while(|v| v.is_nan()).count();
        self.first = y.rows().into_iter().map(first).collect();
        match y.to_slice() {
            Some(words) if self.y.pitch() == self.y.columns => self.gpu.write(&self.y.buffer, 0, words),
            _ => self.gpu.write(&self.y.buffer, 0, &padded_rows(y)),
        }
    }

    /// Number of traces.
    pub fn traces(&self) -> usize {
        self.y.rows
    }

    /// Finds the pools of some traces, each for its model.
    ///
    /// # Errors
    /// As [`Gpu::run`].
    pub fn solve(&self, which: &[usize], models: &[Model]) -> Result<()> {
        let gpu = self.gpu;
        let mut words: Vec<f32> = gpu.download(&self.model)?;
        for (trace, model) in which.iter().zip(models) {
            words[4 * trace..4 * trace + 4].copy_from_slice(&model.words());
        }
        gpu.write(&self.model, 0, &words)?;
        let mut left = which.to_vec();
        // No frame takes more than three rounds: one to take it, one to write its pool, one to read it. Most
        // take a third.
        let most = (3 * self.y.columns).div_ceil(ROUNDS);
        let mut begin = true;
        for _ in 0..=most {
            self.write_list(&left)?;
            let step = OasisPools {
                y: &self.y,
                model: &self.model,
                list: &self.list,
                items: left.len(),
                progress: &self.progress,
                pools: &self.pools,
                rounds: ROUNDS,
                begin,
            };
            let mut recording = Recording::new();
            for piece in 0..if begin { self.y.columns.div_ceil(3 * ROUNDS) } else { 1 } {
                recording.add(OasisPools { begin: begin && piece == 0, ..step }.launch()?);
            }
            gpu.run(&recording)?;
            begin = false;
            let progress = self.progress()?;
            left.retain(|trace| progress[2 * trace] as usize <= self.y.columns);
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Error::internal("pools", format!("{} traces did not end", left.len())))
    }

    /// Sums over the frames of solved traces.
    ///
    /// # Errors
    /// As [`Gpu::run`].
    pub fn sums(&self, which: &[usize]) -> Result<Vec<Sums>> {
        self.write_list(which)?;
        let step = OasisSums {
            y: &self.y,
            model: &self.model,
            list: &self.list,
            items: which.len(),
            progress: &self.progress,
            pools: &self.pools,
            cursor: &self.cursor,
            sums: &self.sums,
            rounds: ROUNDS,
            begin: true,
        };
        let mut recording = Recording::new();
        for piece in 0..self.pieces()? {
            recording.add(OasisSums { begin: piece == 0, ..step }.launch()?);
        }
        self.gpu.run(&recording)?;
        let words: Vec<f32> = self.gpu.download(&self.sums)?;
        Ok(which.iter().map(|trace| Sums::of(&words[16 * trace..16 * trace + 16])).collect())
    }

    /// Calcium and events of all traces, all of which must be solved: neurons x frames.
    ///
    /// # Errors
    /// As [`Gpu::run`].
    pub fn expand(&self) -> Result<[Array2<f32>; 2]> {
        let step = OasisTrace {
            y: &self.y,
            model: &self.model,
            progress: &self.progress,
            pools: &self.pools,
            cursor: &self.cursor,
            calcium: &self.calcium,
            rounds: ROUNDS,
            begin: true,
        };
        let mut recording = Recording::new();
        for piece in 0..self.pieces()? {
            recording.add(OasisTrace { begin: piece == 0, ..step }.launch()?);
        }
        self.gpu.run(&recording)?;
        let signed: Vec<f32> = self.gpu.download(&self.calcium)?;
        let models: Vec<f32> = self.gpu.download(&self.model)?;
        let shape = (self.y.rows, self.y.columns);
        let (mut calcium, mut events) = (Array2::zeros(shape), Array2::zeros(shape));
        let rows = calcium.rows_mut().into_iter().zip(events.rows_mut());
        let solved = signed.chunks_exact(self.y.pitch()).zip(models.chunks_exact(4)).zip(&self.first);
        for ((mut c, mut e), ((signed, model), first)) in rows.zip(solved) {
            let mut before = f32::INFINITY;
            for ((c, e), signed) in c.iter_mut().zip(e.iter_mut()).zip(signed) {
                *c = signed.abs();
                // At the first frame of a pool; infinity before the first keeps that one silent.
                *e = if signed.is_sign_negative() { (*c - model[0] * before).max(0.0) } else { 0.0 };
                before = *c;
            }
            // Frames that are missing before it are a pool of nothing, and its calcium is no event.
            if let Some(event) = e.get_mut(*first) {
                *event = 0.0;
            }
        }
        Ok([calcium, events])
    }

    fn write_list(&self, which: &[usize]) -> Result<()> {
        let list: Vec<u32> = which.iter().map(|trace| *trace as u32).collect();
        self.gpu.write(&self.list, 0, &list)
    }

    fn progress(&self) -> Result<Vec<u32>> {
        self.gpu.download(&self.progress)
    }

    /// Launches that walk along every trace: a round for each quad of frames and each pool.
    fn pieces(&self) -> Result<usize> {
        let pools = self.progress()?.chunks_exact(2).map(|p| p[1] as usize).max().unwrap_or(0);
        Ok((self.y.pitch() / 4 + pools + 1).div_ceil(ROUNDS))
    }
}
