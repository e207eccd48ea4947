//! Traces of all neurons over imaging frames, read in blocks along the file.

use std::ops::Range;

use ndarray::Array2;

use crate::error::{Error, Result};

/// A kind of trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Change of fluorescence over a baseline, as the recording has it.
    Dff,
    /// Demixed (older files: raw) fluorescence less the neuropil's share.
    Corrected,
    /// Raw fluorescence of the region of interest.
    Raw,
    /// Fluorescence around it.
    Neuropil,
    /// Raw fluorescence without what overlapping neurons add.
    Demixed,
    /// Inferred events.
    Events,
}

impl Trace {
    /// All of them.
    pub const ALL: [Trace; 6] =
        [Trace::Dff, Trace::Corrected, Trace::Raw, Trace::Neuropil, Trace::Demixed, Trace::Events];

    /// Its name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Trace::Dff => "dff",
            Trace::Corrected => "corrected",
            Trace::Raw => "raw",
            Trace::Neuropil => "neuropil",
            Trace::Demixed => "demixed",
            Trace::Events => "events",
        }
    }
}

/// Traces of an experiment. Nothing long is held.
pub struct Traces {
    /// Neurons.
    pub neurons: usize,
    /// Imaging frames.
    pub frames: usize,
    /// Imaging frames a second; NaN where the recording does not say.
    pub rate: f64,
}

impl Traces {
    /// Whether the recording has this trace.
    pub fn has(&self, trace: Trace) -> bool {
        let _ = trace;
        false
    }

    /// Whether the file holds frames one after the other, so that it is read by blocks of frames over all neurons; else
    /// it holds neurons one after the other, and is read by blocks of neurons over all frames.
    ///
    /// # Errors
    /// A trace that the recording does not have.
    pub fn time_major(&self, trace: Trace) -> Result<bool> {
        Err(Error::internal(trace.name(), "not read yet"))
    }

    /// Some neurons over some frames: (neurons, frames), whatever the file's order.
    ///
    /// # Errors
    /// A trace that the recording does not have, ranges outside it, data that cannot be read.
    pub fn block(&self, trace: Trace, neurons: Range<usize>, frames: Range<usize>) -> Result<Array2<f32>> {
        Err(Error::internal(trace.name(), format!("neurons {neurons:?}, frames {frames:?}: not read yet")))
    }
}
