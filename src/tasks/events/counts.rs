//! Counts of inferred events, and what makes them doubtful.

use crate::events::{Fitted, Inferred};
use crate::numbers::median;
use ndarray::{ArrayView1, ArrayView2};
use serde::Serialize;

/// What makes inferred events doubtful.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EventsWarning {
    /// Traces hold nothing above a frequency, not even noise, so that the noise at each frame cannot be told.
    Smooth {
        /// How many neurons.
        neurons: usize,
        /// The median frequency, in hertz.
        above: f64,
        /// Frames a second that would hold as much.
        native_rate: f64,
    },
    /// More neurons than frames, as where the axes of an array are the other way round.
    MoreNeuronsThanFrames,
    /// Events at more than a fifth of the frames.
    Dense {
        /// How many neurons.
        neurons: usize,
    },
}

/// The share of frames that have events above which a penalty by the noise is doubted.
const MOST_FRAMES: f64 = 0.2;

/// What is kept of every neuron.
#[derive(Default)]
pub(super) struct Counts {
    pub fitted: Vec<Fitted>,
    pub rates: Vec<f64>,
}

impl Counts {
    /// Takes what was inferred of traces of `rate` frames a second.
    pub fn add(&mut self, traces: ArrayView2<'_, f32>, found: Inferred, rate: f64) {
        let rows = found.events.rows().into_iter().zip(traces.rows()).zip(&found.neurons);
        let of = |((events, y), f): ((_, _), &Fitted)| per_second(events, y, rate / f.every as f64);
        self.rates.extend(rows.map(of));
        self.fitted.extend(found.neurons);
    }

    /// `sparse`: whether the penalty was to leave events at few frames.
    pub fn warnings(&self, frames: usize, rate: f64, sparse: bool) -> Vec<EventsWarning> {
        let mut warnings = Vec::new();
        if self.fitted.len() > frames {
            warnings.push(EventsWarning::MoreNeuronsThanFrames);
        }
        let edges: Vec<f64> = self.fitted.iter().filter_map(|f| f.edge).collect();
        if !edges.is_empty() {
            let (neurons, above) = (edges.len(), median(edges));
            warnings.push(EventsWarning::Smooth { neurons, above, native_rate: 2.0 * above });
        }
        let dense = |(events, f): &(&f64, &Fitted)| {
            f.edge.is_none() && **events > MOST_FRAMES * rate / f.every as f64
        };
        let neurons = self.rates.iter().zip(&self.fitted).filter(dense).count();
        if sparse && neurons > 0 {
            warnings.push(EventsWarning::Dense { neurons });
        }
        warnings
    }
}

/// Events a second of the frames that are not missing, `rate` of which would be imaged; NaN where there are
/// no events to count.
fn per_second(events: ArrayView1<'_, f32>, y: ArrayView1<'_, f32>, rate: f64) -> f64 {
    let there = y.iter().filter(|v| !v.is_nan()).count();
    let number = events.iter().filter(|e| **e > 0.0).count();
    if events.iter().any(|e| e.is_nan()) { f64::NAN } else { number as f64 * rate / there as f64 }
}
