//! Traces without images: an array of an `.npy`, `.npz`, HDF5 or MATLAB file, a table with a column for
//! each cell, CASCADE's layout of ground truth, or a folder of suite2p.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, Ix2};

use super::suite2p::Suite2p;
use super::{Trace, table_of_traces};
use crate::error::{Error, Result};
use crate::io::npy::{Rows, split_member};
use crate::io::store::{self, MemberKind, Store};

/// Segments whose rates differ by more than this share do not have one rate.
const SAME_RATE: f64 = 0.01;

/// Traces of all cells, read some cells at a time.
pub struct TraceFile {
    /// Number of cells.
    pub neurons: usize,
    /// Frames of the longest trace; where others end earlier, they are NaN.
    pub frames: usize,
    /// Frames a second, where the file says.
    pub rate: Option<f64>,
    /// The cells' names, where the file has any.
    pub ids: Option<Vec<String>>,
    /// What the traces are, where that is known.
    pub trace: Option<Trace>,
    /// What is read: files, with the name of the array in them where one was named.
    pub files: Vec<PathBuf>,
    source: Source,
}

enum Source {
    Rows(Rows),
    Held(Array2<f32>),
    Suite2p(Box<Suite2p>),
}

impl TraceFile {
    /// Opens `FILE` or `FILE:NAME`: an array (neurons, frames) of numbers, or one trace (frames); a
    /// `.csv`, `.tsv` or `.txt` table whose columns are cells; a MATLAB file with fields `fluo_mean` and
    /// `fluo_time`.
    ///
    /// # Errors
    /// A file that cannot be read or holds no such thing.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, member) = split_member(path);
        let extension = file.extension().unwrap_or_default();
        if member.is_none() && ["csv", "tsv", "txt"].iter().any(|table| extension.eq_ignore_ascii_case(table))
        {
            let (values, ids, rate) = table_of_traces::read(&file)?;
            return Ok(Self::held(&file, values, rate, Some(ids)));
        }
        if member.is_none() && extension.eq_ignore_ascii_case("mat") {
            let store = store::open(&file)?;
            if let Some(found) = cascade(&*store)? {
                return Ok(found);
            }
        }
        Self::array(path)
    }

    /// A folder that suite2p wrote for a plane: the traces of its cells, less a share of the neuropil's.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not fit each other.
    pub fn suite2p(folder: &Path, neuropil: Option<f64>) -> Result<Self> {
        let plane = Suite2p::open(folder, neuropil)?;
        Ok(TraceFile {
            neurons: plane.cells.len(),
            frames: plane.frames,
            rate: plane.rate,
            ids: Some(plane.cells.iter().map(usize::to_string).collect()),
            trace: Some(if neuropil.is_some() { Trace::Corrected } else { Trace::Raw }),
            files: plane.files.clone(),
            source: Source::Suite2p(Box::new(plane)),
        })
    }

    fn held(file: &Path, values: Array2<f32>, rate: Option<f64>, ids: Option<Vec<String>>) -> Self {
        let (neurons, frames) = values.dim();
        let files = vec![file.to_path_buf()];
        TraceFile { neurons, frames, rate, ids, trace: None, files, source: Source::Held(values) }
    }

    fn array(path: &Path) -> Result<Self> {
        let mut rows = Rows::open(path, None)?;
        match rows.info().shape[..] {
            // One trace, also as a column.
            [frames] | [frames, 1] => {
                let values = rows.read(0..frames)?.into_shape_with_order((1, frames));
                let values = values.map_err(|why| Error::internal(path.display(), why))?;
                Ok(Self::held(path, values, None, None))
            }
            [neurons, frames] => {
                let files = vec![path.to_path_buf()];
                let source = Source::Rows(rows);
                Ok(TraceFile { neurons, frames, rate: None, ids: None, trace: None, files, source })
            }
            ref shape => {
                let found = format!("its shape is {shape:?}");
                Err(Error::input(path, found, "two axes, neurons and frames", "Save one row for each neuron"))
            }
        }
    }

    /// Traces of some cells, (neurons, frames).
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn read(&mut self, neurons: Range<usize>) -> Result<Array2<f32>> {
        match &mut self.source {
            Source::Held(values) => Ok(values.slice_axis(Axis(0), neurons.into()).to_owned()),
            Source::Suite2p(plane) => plane.read(neurons),
            Source::Rows(rows) => {
                let values = rows.read(neurons)?.into_dimensionality::<Ix2>();
                values.map_err(|why| Error::internal("traces", why))
            }
        }
    }
}

/// Frames a second of frames at these times; NaN where they do not say.
pub(super) fn rate(times: &[f64]) -> f64 {
    match times {
        [first, .., last] if last > first => (times.len() - 1) as f64 / (last - first),
        _ => f64::NAN,
    }
}

/// CASCADE's ground truth: structures, in a cell or alone, with `fluo_mean` at `fluo_time` in seconds.
/// Each is a trace; none where the file has no such fields.
fn cascade(store: &dyn Store) -> Result<Option<TraceFile>> {
    const MEAN: &str = "/fluo_mean";
    let members = store.members()?;
    let segments: Vec<&str> = members
        .iter()
        .filter(|member| matches!(member.kind, MemberKind::Array(_)))
        .filter_map(|member| member.path.strip_suffix(MEAN))
        .collect();
    if segments.is_empty() {
        return Ok(None);
    }
    let list = |name: String| -> Result<Vec<f64>> {
        let region = store.array(&name)?.all();
        Ok(store.doubles(&name, &region)?.into_raw_vec_and_offset().0)
    };
    let refuse = |found: String, advice: &str| {
        Err(Error::input(store.path(), found, "segments of one rate, a time for each frame", advice))
    };
    let (mut traces, mut rates) = (Vec::new(), Vec::new());
    for segment in &segments {
        let trace = list(format!("{segment}{MEAN}"))?;
        let clock = format!("{segment}/fluo_time");
        if store.has_array(&clock)? {
            let times = list(clock)?;
            if times.len() != trace.len() {
                let found = format!("{segment} has {} values at {} times", trace.len(), times.len());
                return refuse(found, "Check the file");
            }
            rates.push(rate(&times));
        }
        traces.push(trace);
    }
    let range = rates.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), r| (low.min(*r), high.max(*r)));
    if range.1 - range.0 > SAME_RATE * range.1 {
        let found = format!("its segments have {:.3} to {:.3} frames a second", range.0, range.1);
        let advice = format!("Take one, for example {}:{}{MEAN}", store.path().display(), &segments[0][1..]);
        return refuse(found, &advice);
    }
    let frames = traces.iter().map(Vec::len).max().unwrap_or(0);
    let mut values = Array2::from_elem((traces.len(), frames), f32::NAN);
    for (mut row, trace) in values.rows_mut().into_iter().zip(&traces) {
        row.iter_mut().zip(trace).for_each(|(to, from)| *to = *from as f32);
    }
    let rate = rates.first().copied().filter(|rate| rate.is_finite());
    let ids = segments.iter().map(|segment| segment[1..].to_string()).collect();
    Ok(Some(TraceFile::held(store.path(), values, rate, Some(ids))))
}
