//! What events are inferred from: opened, and read some neurons at a time.

use super::{EventsRequest, EventsSource, MethodRequest};
use crate::error::{Error, Kind, Result};
use crate::events::Method;
use crate::experiment::{self, ExperimentRequest, Recorded, Trace, TraceFile, Traces};
use ndarray::Array2;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Traces to read from.
enum Source {
    Recording(Traces, Trace),
    File(Box<TraceFile>),
}

/// What is open, and the resolved request.
pub(super) struct Job {
    source: Source,
    pub neurons: usize,
    pub frames: usize,
    pub rate: f64,
    pub trace: Trace,
    pub method: Method,
    /// Files that went in, with their roles.
    pub files: Vec<(&'static str, PathBuf)>,
    /// The neurons' names, if the file of traces has any.
    pub ids: Option<Vec<String>>,
}

impl EventsRequest {
    pub(super) fn open(&self) -> Result<Job> {
        let job = match &self.source {
            EventsSource::Experiment(request) => self.recording(request)?,
            EventsSource::Array { path, rate } => {
                self.traces(TraceFile::open(path)?, path, "traces", *rate)?
            }
            EventsSource::Suite2p { folder, rate, neuropil } => {
                self.traces(TraceFile::suite2p(folder, *neuropil)?, folder, "suite2p", *rate)?
            }
        };
        if job.neurons == 0 || job.frames < 2 {
            let (_, path) = &job.files[0];
            let found = format!("its traces have the shape {} x {}", job.neurons, job.frames);
            return Err(Error::input(path, found, "a neuron and two frames at least", "Check the file"));
        }
        job.method.check(job.rate)?;
        Ok(job)
    }

    fn recording(&self, request: &ExperimentRequest) -> Result<Job> {
        let experiment = experiment::open(request)?;
        let Recorded::Traces(traces) = experiment.recorded else {
            let found = "it holds responses of trials, and no traces";
            let advice = "Name a recording with traces, or give them by --traces";
            return Err(Error::input(&request.path, found, "traces over frames", advice));
        };
        let trace = self.trace.unwrap_or_else(|| self.usual(|trace| traces.has(trace)));
        // Says which there are, if it is not there.
        traces.time_major(trace)?;
        Ok(Job {
            neurons: traces.neurons,
            frames: traces.frames,
            rate: traces.rate,
            trace,
            method: self.method(trace),
            files: vec![("experiment", request.path.clone())],
            ids: None,
            source: Source::Recording(traces, trace),
        })
    }

    fn traces(&self, file: TraceFile, path: &Path, role: &'static str, rate: Option<f64>) -> Result<Job> {
        let rate = rate.or(file.rate).ok_or_else(|| {
            let found = format!("is missing, and {} does not say it", path.display());
            Error::new(Kind::Usage, "--rate", found, "frames a second", "Add for example --rate 30")
        })?;
        let trace = self.trace.or(file.trace).unwrap_or(Trace::Dff);
        Ok(Job {
            neurons: file.neurons,
            frames: file.frames,
            rate,
            trace,
            method: self.method(trace),
            files: file.files.iter().map(|path| (role, path.clone())).collect(),
            ids: file.ids.clone(),
            source: Source::File(Box::new(file)),
        })
    }

    fn usual(&self, has: impl Fn(Trace) -> bool) -> Trace {
        let l0 = matches!(self.method, MethodRequest::L0 { .. });
        let [first, second] =
            if l0 { [Trace::Corrected, Trace::Dff] } else { [Trace::Dff, Trace::Corrected] };
        if has(first) || !has(second) { first } else { second }
    }

    pub(super) fn has_penalty(&self) -> bool {
        match self.method {
            MethodRequest::Oasis { penalty, smallest, .. } => penalty.is_some() || smallest > 0.0,
            MethodRequest::OasisAr2 { penalty, .. } | MethodRequest::L0 { penalty, .. } => penalty.is_some(),
            MethodRequest::Oopsi { .. } => false,
        }
    }

    fn method(&self, trace: Trace) -> Method {
        match self.method {
            MethodRequest::Oasis { decay, penalty, smallest } => Method::Oasis { decay, penalty, smallest },
            MethodRequest::OasisAr2 { decay, penalty } => Method::OasisAr2 { decay, penalty },
            MethodRequest::Oopsi { decay } => Method::Oopsi { decay },
            MethodRequest::L0 { half_life, penalty } => {
                Method::L0 { half_life, penalty, is_change: trace == Trace::Dff }
            }
        }
    }
}

impl Job {
    /// Traces of some neurons. Frames are missing where they are NaN; infinities are refused.
    pub fn read(&mut self, neurons: Range<usize>) -> Result<Array2<f32>> {
        let traces = match &mut self.source {
            Source::Recording(traces, trace) => traces.block(*trace, neurons.clone(), 0..self.frames)?,
            Source::File(file) => file.read(neurons.clone())?,
        };
        if let Some(((row, frame), value)) = traces.indexed_iter().find(|(_, v)| v.is_infinite()) {
            let found = format!("neuron {} is {value} at frame {frame}", neurons.start + row);
            let advice = "Write NaN where a frame is missing";
            return Err(Error::input(&self.files[0].1, found, "numbers, or NaN", advice));
        }
        Ok(traces)
    }
}
