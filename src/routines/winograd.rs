//! Convolutions by Winograd's products: tiles of all images become rows, each point of the transforms a
//! matrix product.

use super::winograd_tiles::virtual_weights;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Maps, Recording};
use crate::host::room;
use crate::kernels::conv2d::Geometry;
use crate::kernels::gemm::{Gemm, Operand};
use crate::kernels::winograd::{Span, Tiling, filter_matrix};
use crate::kernels::winograd_input::WinogradInput;
use crate::kernels::winograd_output::{Finish, WinogradOutput};
use ndarray::ArrayView4;
use rayon::prelude::*;

/// Filters of a convolution, transformed for a tiling, on the device.
pub struct WinogradFilters {
    tiling: Tiling,
    relu: bool,
    inputs: usize,
    outputs: usize,
    /// `[groups][points][outputs of a group][depth]`, in f32 from f64.
    transformed: Buffer,
    bias: Buffer,
}

/// Words of each of a batch's two intermediate matrices that should be under way at once: they are written
/// and read back once, best from a cache, while the transformed filters pass by once for each part of the
/// batch.
const SCRATCH_WORDS: usize = 2 << 20;

/// Parts of a batch are whole multiples of this: whole tiles of `gemm` on processors, which have 32 rows, and
/// of all but the largest on GPUs, which have 128.
const ROWS: usize = 64;

/// Room for the two intermediate matrices of any convolution of a network.
pub struct Scratch {
    v: Buffer,
    m: Buffer,
}

impl Scratch {
    /// What helps where the transforms take too much memory.
    pub const ADVICE: &'static str =
        "Take --convolution direct, raise --max-memory, or use a smaller --size, --pool or --subsample";

    /// Room for the largest of some convolutions.
    ///
    /// # Errors
    /// Memory, if it does not fit the budget.
    pub fn new(gpu: &Gpu, needs: ScratchWords) -> Result<Self> {
        let make = |words: usize| {
            let made = gpu.allocate("tiles of feature maps", words);
            made.map_err(|why| why.with_memory_advice(Self::ADVICE))
        };
        Ok(Scratch { v: make(needs.v)?, m: make(needs.m)? })
    }
}

/// Words of the two intermediate matrices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScratchWords {
    /// Transformed pixels.
    pub v: usize,
    /// Products.
    pub m: usize,
}

impl ScratchWords {
    /// As much as either needs.
    pub fn or(self, other: Self) -> Self {
        ScratchWords { v: self.v.max(other.v), m: self.m.max(other.m) }
    }

    /// Bytes of both.
    pub fn bytes(&self) -> u64 {
        4 * (self.v + self.m) as u64
    }
}

/// Channels, as a convolution counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Channels read.
    pub inputs: usize,
    /// Channels written.
    pub outputs: usize,
}

/// Depth of the products of a group: whole quads of channels, each phase by itself.
fn depth(tiling: &Tiling, inputs: usize) -> usize {
    (inputs / tiling.groups).next_multiple_of(4) * tiling.stride * tiling.stride
}

/// Outputs of a group, in whole quads.
fn width(tiling: &Tiling, outputs: usize) -> usize {
    (outputs / tiling.groups).next_multiple_of(4)
}

/// Words of the transformed filters.
pub fn filter_words(tiling: &Tiling, channels: Channels) -> usize {
    tiling.groups * tiling.points() * width(tiling, channels.outputs) * depth(tiling, channels.inputs)
}

/// Tiles that go together: multiples of [`ROWS`], at most all of `images`.
fn together(tiling: &Tiling, channels: Channels, images: usize) -> usize {
    let widest = depth(tiling, channels.inputs).max(width(tiling, channels.outputs));
    let fit = SCRATCH_WORDS / (tiling.groups * tiling.points() * widest).max(1);
    (fit / ROWS * ROWS).max(ROWS).min(images * tiling.tiles())
}

/// What the intermediate matrices take for batches of `images`.
pub fn scratch_words(tiling: &Tiling, channels: Channels, images: usize) -> ScratchWords {
    let rows = tiling.groups * tiling.points() * together(tiling, channels, images);
    ScratchWords { v: rows * depth(tiling, channels.inputs), m: rows * width(tiling, channels.outputs) }
}

impl WinogradFilters {
    /// Transforms filters `weight [outputs, inputs / groups, height, width]` in f64 and uploads them.
    ///
    /// # Errors
    /// Internal, if bias, groups and filters do not fit each other or the tiling; Memory, if they do not fit
    /// the budget.
    pub fn upload(
        gpu: &Gpu,
        weight: ArrayView4<'_, f32>,
        bias: &[f32],
        tiling: Tiling,
        geometry: Geometry,
    ) -> Result<Self> {
        let (outputs, per_group, ..) = weight.dim();
        let groups = tiling.groups;
        if bias.len() != outputs || groups == 0 || outputs % groups != 0 || geometry.groups != groups {
            return Err(Error::internal("winograd", "bias, groups and filters do not fit each other"));
        }
        let channels = Channels { inputs: per_group * groups, outputs };
        let whole = |channels: usize| groups == 1 || (channels / groups).is_multiple_of(4);
        if !whole(channels.inputs) || !whole(outputs) {
            return Err(Error::internal("winograd", "groups are of whole quads"));
        }
        let words = transform(weight, &tiling)?;
        let mut padded = bias.to_vec();
        padded.resize(groups * width(&tiling, outputs), 0.0);
        Ok(WinogradFilters {
            relu: geometry.relu,
            inputs: channels.inputs,
            outputs,
            transformed: gpu.upload("transformed filters", &words)?,
            bias: gpu.upload("bias", &padded)?,
            tiling,
        })
    }

    /// Records `y = relu?(x * filters + bias)` of `results` rows and columns, or, where `y` has half of both,
    /// the largest of every 2 x 2 of it.
    ///
    /// # Errors
    /// Internal, if maps, filters and scratch do not fit each other.
    pub fn record(
        &self,
        x: &Maps,
        y: &Maps,
        scratch: &Scratch,
        results: [usize; 2],
        recording: &mut Recording,
    ) -> Result<()> {
        let tiling = self.tiling;
        if x.channels != self.inputs || y.channels != self.outputs || x.images != y.images {
            return Err(Error::internal("winograd", format!("{x:?} and {y:?} do not fit the filters")));
        }
        let channels = Channels { inputs: self.inputs, outputs: self.outputs };
        let all = x.images * tiling.tiles();
        let step = together(&tiling, channels, x.images);
        let (depth, width) = (depth(&tiling, self.inputs), width(&tiling, self.outputs));
        let pooled = results != [y.height, y.width];
        let finish = Finish { relu: self.relu, pooled_of: pooled.then_some(results) };
        for first in (0..all).step_by(step.max(1)) {
            let span = Span { first, count: step.min(all - first) };
            let input = WinogradInput { x, v: &scratch.v, tiling, span, pitch: depth };
            recording.add(input.launch()?);
            let product = Gemm {
                a: operand(&scratch.v, span.count, depth),
                b: operand(&self.transformed, width, depth),
                c: operand(&scratch.m, span.count, width),
                depth,
                batch: tiling.groups * tiling.points(),
                alpha: 1.0,
                upper: false,
            };
            recording.add(product.launch()?);
            let (m, bias) = (&scratch.m, &self.bias);
            recording.add(WinogradOutput { m, bias, y, tiling, span, pitch: width, finish }.launch()?);
        }
        Ok(())
    }
}

/// Matrices one after the other.
fn operand(buffer: &Buffer, rows: usize, pitch: usize) -> Operand<'_> {
    Operand { buffer, rows, pitch, stride: rows * pitch }
}

/// `G w Gᵀ` of all filters, `[groups][points][outputs of a group][depth]`.
fn transform(weight: ArrayView4<'_, f32>, tiling: &Tiling) -> Result<Vec<f32>> {
    let (outputs, per_group, height, kernel_width) = weight.dim();
    let taps = [tiling.rows.weights(), tiling.columns.weights()];
    if [height.div_ceil(tiling.stride), kernel_width.div_ceil(tiling.stride)] != taps {
        return Err(Error::internal("winograd", format!("{tiling:?} is not for {height} x {kernel_width}")));
    }
    let channels = Channels { inputs: per_group * tiling.groups, outputs };
    let (depth, width) = (depth(tiling, channels.inputs), width(tiling, outputs));
    let own = outputs / tiling.groups;
    room("filters", 4 * filter_words(tiling, channels) as u64)?;
    let along = [filter_matrix(tiling.rows.points, taps[0]), filter_matrix(tiling.columns.points, taps[1])];
    // Along the rows first, channels last, so that all channels of a point are made together.
    let half: Vec<Vec<f64>> = (0..outputs)
        .into_par_iter()
        .map(|output| {
            let weights = virtual_weights(weight, output, tiling, depth);
            let mut rows = vec![0f64; tiling.rows.points * taps[1] * depth];
            for (i, row) in rows.chunks_mut(taps[1] * depth).enumerate() {
                for (tap, weights) in weights.chunks(taps[1] * depth).enumerate() {
                    add(row, along[0][[i, tap]], weights);
                }
            }
            rows
        })
        .collect();
    let mut words = vec![0f32; filter_words(tiling, channels)];
    words.par_chunks_mut(depth).enumerate().for_each_init(
        || vec![0f64; depth],
        |sums, (row, out)| {
            let (matrix, output) = (row / width, row % width);
            let (group, point) = (matrix / tiling.points(), matrix % tiling.points());
            if output >= own {
                return;
            }
            let (i, j) = (point / tiling.columns.points, point % tiling.columns.points);
            sums.fill(0.0);
            let rows = half[group * own + output].chunks(depth).skip(i * taps[1]).take(taps[1]);
            for (tap, weights) in rows.enumerate() {
                add(sums, along[1][[j, tap]], weights);
            }
            for (to, sum) in out.iter_mut().zip(sums) {
                *to = *sum as f32;
            }
        },
    );
    Ok(words)
}

fn add(sums: &mut [f64], factor: f64, terms: &[f64]) {
    if factor != 0.0 {
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += factor * term;
        }
    }
}
