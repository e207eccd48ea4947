//! Traces in tiles: along the file, as large as a fixed share of memory, each read once.

use std::ops::Range;

use ndarray::Array2;
use serde::Serialize;

use super::DefinitionRequest;
use crate::error::{Error, Kind, Result};
use crate::experiment::{Trace, Traces};
use crate::gpu::{Gpu, Matrix};
use crate::host;
use crate::responses::{self, Dff};
use crate::scores::reliability::AT_ONCE;

/// Bytes of a tile's f32, if the budget is at least four times that.
const TILE_BYTES: usize = 64 << 20;

/// A tile's copies at any moment: as read, as stored, padded for the device, on its way there, and on it.
const COPIES: u64 = 6;

/// A part of the traces, and the trials whose windows lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    pub neurons: Range<usize>,
    pub frames: Range<usize>,
    /// Of the list that tiles were made for.
    pub trials: Range<usize>,
}

/// Tiles of traces for trials, whose starts ascend, and the frames that their windows need.
///
/// Files that hold frames one after the other are read by frames, and only where there are trials; all
/// others, and all whose baseline needs a whole trace, by neurons.
pub(super) fn tiles(
    gpu: &Gpu,
    traces: &Traces,
    (trace, dff): (Trace, Option<Dff>),
    starts: &[usize],
    reach: &Range<i64>,
) -> Result<Vec<Tile>> {
    let share = usize::try_from(gpu.ledger().budget() / 4).unwrap_or(usize::MAX);
    let words = TILE_BYTES.min(share) / 4;
    let window = |trial: usize| {
        let start = starts[trial] as i64;
        (start + reach.start) as usize..(start + reach.end) as usize
    };
    let (Some(first), Some(last)) = (starts.first(), starts.last()) else { return Ok(Vec::new()) };
    if dff.is_some() || !traces.time_major(trace)? {
        let needed = (*first as i64 + reach.start) as usize..(*last as i64 + reach.end) as usize;
        let frames = if dff.is_some() { 0..traces.frames } else { needed };
        let at_once = (words / frames.len().max(1)).max(1);
        let blocks = (0..traces.neurons).step_by(at_once);
        let tile = |from: usize| Tile {
            neurons: from..(from + at_once).min(traces.neurons),
            frames: frames.clone(),
            trials: 0..starts.len(),
        };
        return Ok(blocks.map(tile).collect());
    }
    let most = (words / traces.neurons.max(1)).max(1);
    let mut tiles: Vec<Tile> = Vec::new();
    for trial in 0..starts.len() {
        let needed = window(trial);
        match tiles.last_mut() {
            Some(tile) if needed.end - tile.frames.start <= most => {
                tile.trials.end = trial + 1;
                tile.frames.end = tile.frames.end.max(needed.end);
            }
            _ => tiles.push(Tile { neurons: 0..traces.neurons, frames: needed, trials: trial..trial + 1 }),
        }
    }
    Ok(tiles)
}

/// A tile on the device, as dF/F where that is asked.
pub(super) fn read(
    gpu: &Gpu,
    traces: &Traces,
    (trace, dff): (Trace, Option<Dff>),
    tile: &Tile,
) -> Result<Matrix> {
    let block = traces.block(trace, tile.neurons.clone(), tile.frames.clone())?;
    upload(gpu, block, traces.rate, dff)
}

/// Traces on the device, of `rate` frames a second.
pub(super) fn upload(gpu: &Gpu, block: Array2<f32>, rate: f64, dff: Option<Dff>) -> Result<Matrix> {
    let matrix = Matrix::upload(gpu, "traces", block.view())?;
    drop(block);
    if let Some(dff) = dff {
        responses::change(gpu, &matrix, rate, dff)?;
    }
    Ok(matrix)
}

/// What making responses takes, from headers only.
#[derive(Debug, Clone, Serialize)]
pub struct ResponsesPlan {
    /// Neurons.
    pub n_neurons: usize,
    /// Images that were shown.
    pub n_images: usize,
    /// Most repeats of an image.
    pub n_repeats: usize,
    /// Presentations that become responses.
    pub n_trials: usize,
    /// Those that do not.
    pub dropped: super::Dropped,
    /// Bytes of traces that are read.
    pub bytes_read: u64,
    /// Memory that is taken, in bytes: the responses, and a tile of traces.
    pub bytes: u64,
}

/// Bytes of host memory that a result (neurons, images, repeats) takes beside a tile of some words: the
/// responses, the trials of neurons that are scored together, in f64 and twice, and the copies of a tile.
pub(super) fn bytes([neurons, images, repeats]: [usize; 3], tile: usize, dff: bool) -> u64 {
    let (trials, tile) = ((images * repeats) as u64, 4 * tile as u64);
    let scored = 16 * neurons.min(AT_ONCE) as u64 * trials;
    4 * neurons as u64 * trials + scored + COPIES * tile + if dff { 2 * tile } else { 0 }
}

/// Refuses what the host or the device cannot hold.
pub(super) fn affordable(
    gpu: &Gpu,
    request: Option<&DefinitionRequest>,
    plan: &ResponsesPlan,
    tiles: &[Tile],
) -> Result<()> {
    let size = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    if let Some(free) = host::memory_available().filter(|free| *free < plan.bytes) {
        let found = format!(
            "{} neurons x {} images x {} repeats need {} of memory",
            plan.n_neurons,
            plan.n_images,
            plan.n_repeats,
            size(plan.bytes)
        );
        let advice = "Close other programs, or take a machine with more memory";
        return Err(Error::new(Kind::Memory, "responses", found, format!("at most {}", size(free)), advice));
    }
    let Some((_, dff)) = request.map(DefinitionRequest::source) else { return Ok(()) };
    let of = |tile: &Tile| {
        let (rows, frames) = (tile.neurons.len(), tile.frames.len());
        let traces = 4 * (rows * frames.next_multiple_of(4)) as u64;
        let more = if dff.is_some() { responses::working_bytes(rows, frames) } else { 0 };
        traces + more + 4 * (rows * tile.trials.len().next_multiple_of(4)) as u64
    };
    let needed = tiles.iter().map(of).max().unwrap_or(0);
    let budget = gpu.ledger().budget();
    if needed > budget {
        let found = format!("a tile of traces needs {} of GPU memory", size(needed));
        let advice = "Raise --max-memory";
        return Err(Error::new(
            Kind::Memory,
            "responses",
            found,
            format!("at most {}", size(budget)),
            advice,
        ));
    }
    Ok(())
}
