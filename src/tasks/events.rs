//! Events of traces: a recording or an array goes in, an `.npz` comes out that `--events` reads back.

mod counts;
mod job;

use counts::Counts;
pub use counts::EventsWarning;
use job::Job;

use super::Progress;
use super::clock::Clock;
use super::record::{AdapterRecord, hashes};
use crate::error::{Error, Kind, Result};
use crate::events::{DecayFrom, Fitted, Method, infer, traces_at_once};
use crate::experiment::{ExperimentRequest, Trace};
use crate::gpu::Gpu;
use crate::io::commit::{self, Claim, Draft};
use crate::io::file::{self, LONGEST_RECORD};
use crate::io::npy::ArchiveWriter;
use crate::numbers::median;
use ndarray::ArrayView1;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where traces come from.
#[derive(Debug, Clone)]
pub enum EventsSource {
    /// A recording.
    Experiment(ExperimentRequest),
    /// Traces (neurons, frames) without a recording: what [`crate::experiment::TraceFile::open`] takes.
    Array {
        /// `FILE`, or `FILE:NAME`.
        path: PathBuf,
        /// Frames a second; as the file says where none is given.
        rate: Option<f64>,
    },
    /// A plane of suite2p.
    Suite2p {
        /// The folder of `F.npy`.
        folder: PathBuf,
        /// Frames a second; as its `ops.npy` says where none is given.
        rate: Option<f64>,
        /// The share of the neuropil's fluorescence that is taken off.
        neuropil: Option<f64>,
    },
}

/// How events are to be inferred, before it is known which trace there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MethodRequest {
    /// OASIS, AR(1).
    Oasis {
        /// Decay.
        decay: DecayFrom,
        /// Penalty; by the noise where none is given.
        penalty: Option<f64>,
        /// Smallest event.
        smallest: f64,
    },
    /// OASIS, AR(2).
    OasisAr2 {
        /// Decay and rise.
        decay: DecayFrom,
        /// Penalty; by the noise where none is given.
        penalty: Option<f64>,
    },
    /// Fast-OOPSI.
    Oopsi {
        /// Time constant of the decay in seconds.
        decay: f64,
    },
    /// The L0 method in Allen's pipeline.
    L0 {
        /// Half-life of the indicator in milliseconds.
        half_life: f64,
        /// Price of an event; the smallest that leaves no small events where none is given.
        penalty: Option<f64>,
    },
}

/// Events of which traces, how, and where to.
#[derive(Debug, Clone)]
pub struct EventsRequest {
    /// Where traces come from.
    pub source: EventsSource,
    /// Which trace of a recording, or what the array holds. By default corrected fluorescence for `l0` and
    /// dF/F for the other methods, where the recording has it; an array is dF/F.
    pub trace: Option<Trace>,
    /// How.
    pub method: MethodRequest,
    /// The `.npz` to write; the record stands beside it.
    pub out: PathBuf,
}

/// What was inferred.
#[derive(Debug, Clone, Serialize)]
pub struct EventsSummary {
    /// Number of neurons.
    pub n_neurons: usize,
    /// Frames of each.
    pub n_frames: usize,
    /// Frames a second.
    pub rate: f64,
    /// The trace.
    pub trace: String,
    /// The method.
    pub method: String,
    /// Neurons whose trace has too few frames: all of theirs is NaN.
    pub n_without_trace: usize,
    /// Neurons whose events could not be solved for: all of theirs is NaN.
    pub n_unsolved: usize,
    /// Median over neurons of the events that are not zero, a second of frames that are not missing. None
    /// for fast-OOPSI, which has some at every frame.
    pub median_events_per_second: Option<f64>,
    /// Median over neurons of the noise's standard deviation, in the trace's units.
    pub median_noise: f64,
    /// Neurons of planes that were imaged in turn: of every so many frames one is there.
    pub n_imaged_in_turn: usize,
    /// What makes the events doubtful.
    pub warnings: Vec<EventsWarning>,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// The file.
    pub out: PathBuf,
    /// Its record.
    pub record: PathBuf,
}

/// Bytes of traces that are read at once, at most: a file that holds frames one after the other is gone
/// through once for every block.
const BLOCK_BYTES: usize = 512 << 20;

impl EventsRequest {
    /// The record: `events.npz` has `events.json` beside it.
    fn record(&self) -> PathBuf {
        self.out.with_extension("json")
    }

    fn check_output(&self, files: &[(&'static str, PathBuf)]) -> Result<()> {
        let wrong = |found: String, wanted: &str| {
            Err(Error::new(Kind::Usage, "--out", found, wanted, "Choose another name"))
        };
        let shown = self.out.display();
        let record = self.record();
        // The record of another command is not to be lost.
        let own = |bytes: Vec<u8>| {
            serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|v| v["command"] == "events")
        };
        if file::read(&record, LONGEST_RECORD).is_ok_and(|bytes| !own(bytes)) {
            let found = format!("{} would be replaced by the record of events", record.display());
            return wrong(found, "a name FILE.npz beside which no other FILE.json lies");
        }
        if !self.out.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
            return wrong(format!("{shown} does not end in .npz"), "a file FILE.npz");
        }
        let there = |path: &Path| std::fs::canonicalize(path).ok();
        for (_, path) in files {
            let (plain, _) = crate::io::npy::split_member(path);
            let written = [there(&self.out), there(&self.record())];
            if there(&plain).is_some_and(|p| written.contains(&Some(p))) {
                return wrong(format!("{shown} is what is read"), "a file of its own");
            }
        }
        Ok(())
    }
}

/// Infers events and writes them: `ev` and `calcium` (neurons, frames) f32; `baseline`, `lambda` and
/// `noise` (neurons) and `g` (neurons, 2) f64; `ids` (neurons) i64, where traces come from a file that
/// numbers its neurons. The file appears when it is whole.
///
/// # Errors
/// Usage or Input, if options, traces and method do not fit each other; Output, if the file cannot be
/// written; as [`Gpu::run`].
pub fn events(gpu: &Gpu, request: &EventsRequest, progress: &mut Progress<'_>) -> Result<EventsSummary> {
    let mut clock = Clock::new();
    let mut job = request.open()?;
    request.check_output(&job.files)?;
    // Its two files are of one process.
    let _claim = Claim::take(&request.out)?;
    let mut counts = Counts::default();
    let mut failure = None;
    let written = Draft::new(&request.out, |to| {
        write(gpu, request, &mut job, to, &mut counts, progress).map_err(|error| {
            failure = Some(error);
            std::io::Error::other("the events could not be inferred")
        })
    });
    // What stopped the writing says more than the writing's own error.
    let written = failure.map_or(written, Err)?;
    clock.done("events");
    let sparse = !matches!(job.method, Method::Oopsi { .. });
    let warnings = counts.warnings(job.frames, job.rate, sparse && !request.has_penalty());
    let summary = EventsSummary {
        n_neurons: job.neurons,
        n_frames: job.frames,
        rate: job.rate,
        trace: job.trace.name().into(),
        method: job.method.name().into(),
        n_without_trace: counts.fitted.iter().filter(|f| f.noise.is_nan()).count(),
        n_unsolved: counts.fitted.iter().filter(|f| !f.noise.is_nan() && f.penalty.is_nan()).count(),
        n_imaged_in_turn: counts.fitted.iter().filter(|f| f.every > 1).count(),
        warnings,
        median_events_per_second: sparse.then(|| middle(counts.rates.iter().copied())),
        median_noise: middle(counts.fitted.iter().map(|f| f.noise)),
        seconds: clock.finish(),
        out: request.out.clone(),
        record: request.record(),
    };
    let record = json!({
        "striate": env!("CARGO_PKG_VERSION"), "command": "events", "method": job.method,
        "inputs": hashes(&job.files)?, "summary": summary, "adapter": AdapterRecord::of(gpu),
        "neurons": job.ids,
    });
    let record = serde_json::to_vec_pretty(&record).map_err(|e| Error::internal("record", e))?;
    let record = Draft::new(&request.record(), |to| to.write_all(&record))?;
    commit::publish(written.into_iter().chain(record))?;
    Ok(summary)
}

/// The archive: events as they are inferred; calcium, which an archive takes only after them, waits in a
/// file beside it.
fn write(
    gpu: &Gpu,
    request: &EventsRequest,
    job: &mut Job,
    to: &mut dyn Write,
    counts: &mut Counts,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let failed = |why: std::io::Error| commit::unwritable(&request.out, &why);
    let (spare, calcium) = commit::spare(&request.out)?;
    let mut calcium = BufWriter::new(calcium);
    let mut archive = ArchiveWriter::new(to);
    let shape = [job.neurons, job.frames];
    archive.begin("ev", "<f4", &shape).map_err(failed)?;
    let block = (BLOCK_BYTES / 4 / job.frames).clamp(1, job.neurons);
    for first in (0..job.neurons).step_by(block) {
        let traces = job.read(first..(first + block).min(job.neurons))?;
        let mut row = 0;
        while row < traces.nrows() {
            let rows = row..(row + traces_at_once(gpu, job.frames, &job.method)).min(traces.nrows());
            let part = traces.slice(ndarray::s![rows.clone(), ..]);
            let found = infer(gpu, part, job.rate, &job.method)?;
            for (events, calcium_row) in found.events.rows().into_iter().zip(found.calcium.rows()) {
                archive.write_all(&bytes(events)).map_err(failed)?;
                calcium.write_all(&bytes(calcium_row)).map_err(failed)?;
            }
            counts.add(part, found, job.rate);
            row = rows.end;
            progress("events", (first + row) as f64 / job.neurons as f64);
        }
    }
    calcium.into_inner().map_err(|e| failed(e.into_error()))?;
    archive.begin("calcium", "<f4", &shape).map_err(failed)?;
    let mut calcium = BufReader::new(File::open(spare.path()).map_err(failed)?);
    std::io::copy(&mut calcium, &mut archive).map_err(failed)?;
    for (name, value) in columns() {
        archive.begin(name, "<f8", &[job.neurons]).map_err(failed)?;
        let all: Vec<u8> = counts.fitted.iter().flat_map(|f| value(f).to_le_bytes()).collect();
        archive.write_all(&all).map_err(failed)?;
    }
    archive.begin("g", "<f8", &[job.neurons, 2]).map_err(failed)?;
    let all: Vec<u8> = counts.fitted.iter().flat_map(|f| f.decay).flat_map(f64::to_le_bytes).collect();
    archive.write_all(&all).map_err(failed)?;
    if let Some(ids) = job.ids.as_ref().and_then(|ids| ids.iter().map(|id| id.parse().ok()).collect()) {
        let ids: Vec<i64> = ids;
        archive.begin("ids", "<i8", &[job.neurons]).map_err(failed)?;
        archive
            .write_all(&ids.into_iter().flat_map(i64::to_le_bytes).collect::<Vec<u8>>())
            .map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

type Column = (&'static str, fn(&Fitted) -> f64);

fn columns() -> [Column; 3] {
    [("baseline", |f| f.baseline), ("lambda", |f| f.penalty), ("noise", |f| f.noise)]
}

fn bytes(row: ArrayView1<'_, f32>) -> Vec<u8> {
    row.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The median of those that are numbers.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    median(values.filter(|v| !v.is_nan()).collect())
}
