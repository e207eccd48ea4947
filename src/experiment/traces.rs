//! Traces of all neurons over imaging frames, read in blocks along the file.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayD, Axis, Ix2};

use super::clock::Clock;
use super::place;
use super::series::{Scale, clocks_agree};
use crate::error::{Error, Kind, Result};
use crate::io::store::{ElementType, Store};

/// A kind of trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// When each frame was taken, where the recording says.
    pub clock: Option<Clock>,
    sources: Vec<(Trace, Source)>,
}

/// Where a trace comes from.
enum Source {
    Stored(Stored),
    /// Less each neuron's share of the neuropil.
    Corrected {
        from: Stored,
        neuropil: Stored,
        shares: Vec<f64>,
    },
}

/// One array of a file, and how it lies there.
#[derive(Clone)]
struct Stored {
    store: Arc<dyn Store>,
    name: String,
    layout: TraceLayout,
}

/// How traces lie in an array.
#[derive(Clone)]
pub(super) struct TraceLayout {
    /// (frames, neurons) in place of (neurons, frames).
    pub time_major: bool,
    /// Where each neuron stands along its axis; none where all do in their order.
    pub columns: Option<Vec<usize>>,
    /// From stored numbers to those of the trace.
    pub scale: Scale,
}

impl Stored {
    fn block(&self, neurons: Range<usize>, frames: Range<usize>) -> Result<Array2<f32>> {
        let columns = self.layout.columns.as_ref().map(|columns| &columns[neurons.clone()]);
        let along = match columns {
            None => neurons,
            Some(some) => {
                some.iter().copied().min().unwrap_or(0)..some.iter().copied().max().map_or(0, |last| last + 1)
            }
        };
        let first = along.start;
        let values = self.region(along, frames)?.into_dimensionality::<Ix2>();
        let mut values = values.map_err(|why| Error::internal(place(&*self.store, &self.name), why))?;
        if self.layout.time_major {
            values = values.reversed_axes();
        }
        Ok(match columns {
            Some(some) => {
                let rows: Vec<usize> = some.iter().map(|column| column - first).collect();
                values.select(Axis(0), &rows).as_standard_layout().into_owned()
            }
            None => values.as_standard_layout().into_owned(),
        })
    }

    /// As stored but for the scale; a single neuron's trace may lie along one axis.
    fn region(&self, neurons: Range<usize>, frames: Range<usize>) -> Result<ArrayD<f32>> {
        let single = self.store.array(&self.name)?.shape.len() == 1;
        let whole =
            if self.layout.time_major { [frames.clone(), neurons] } else { [neurons, frames.clone()] };
        let region = if single { std::slice::from_ref(&frames) } else { &whole };
        let values = match self.layout.scale {
            Scale::ONE => self.store.floats(&self.name, region)?,
            scale => self.store.doubles(&self.name, region)?.mapv(|v| scale.apply(v) as f32),
        };
        let axis = Axis(usize::from(self.layout.time_major));
        Ok(if single { values.insert_axis(axis) } else { values })
    }
}

impl Traces {
    /// Without any trace yet.
    pub(super) fn new(neurons: usize, frames: usize, rate: f64) -> Self {
        Traces { neurons, frames, rate, clock: None, sources: Vec::new() }
    }

    /// The same of frames that were taken at known times.
    pub(super) fn on(neurons: usize, clock: Clock) -> Self {
        let (frames, rate) = (clock.times().len(), clock.rate());
        Traces { neurons, frames, rate, clock: Some(clock), sources: Vec::new() }
    }

    /// Adds an array of the shape (neurons, frames), or (frames, neurons) where `time_major`.
    pub(super) fn add(
        &mut self,
        trace: Trace,
        store: &Arc<dyn Store>,
        name: &str,
        time_major: bool,
    ) -> Result<()> {
        let (wanted, axes) = match time_major {
            true => ([self.frames, self.neurons], "(frames, neurons)"),
            false => ([self.neurons, self.frames], "(neurons, frames)"),
        };
        if store.array(name)?.shape != wanted {
            return Err(self.unfit(store, name, axes, wanted));
        }
        let layout = TraceLayout { time_major, columns: None, scale: Scale::ONE };
        self.add_laid_out(trace, store, name, layout)
    }

    /// Adds an array (neurons, frames), which may have some frames more than there are times, on a scale.
    pub(super) fn add_scaled(
        &mut self,
        trace: Trace,
        store: &Arc<dyn Store>,
        name: &str,
        scale: Scale,
    ) -> Result<()> {
        let shape = store.array(name)?.shape;
        let fits = match shape[..] {
            [neurons, frames] => {
                neurons == self.neurons && frames >= self.frames && clocks_agree(frames, self.frames)
            }
            _ => false,
        };
        if !fits {
            return Err(self.unfit(store, name, "(neurons, frames)", [self.neurons, self.frames]));
        }
        self.add_laid_out(trace, store, name, TraceLayout { time_major: false, columns: None, scale })
    }

    fn unfit(&self, store: &Arc<dyn Store>, name: &str, axes: &str, wanted: [usize; 2]) -> Error {
        let found = match store.array(name) {
            Ok(array) => format!("it is an array of {} with the shape {:?}", array.dtype, array.shape),
            Err(why) => return why,
        };
        let wanted = format!("numbers of the shape {wanted:?} {axes}");
        let advice = "The traces of one recording have one shape: give the files that belong together";
        Error::new(Kind::Input, place(&**store, name), found, wanted, advice)
    }

    /// Adds an array that has been looked at: its axes hold all neurons and frames, as `layout` says.
    pub(super) fn add_laid_out(
        &mut self,
        trace: Trace,
        store: &Arc<dyn Store>,
        name: &str,
        layout: TraceLayout,
    ) -> Result<()> {
        if !matches!(store.array(name)?.element, ElementType::Number(_)) {
            return Err(self.unfit(store, name, "of neurons over frames", [self.neurons, self.frames]));
        }
        let stored = Stored { store: Arc::clone(store), name: name.into(), layout };
        self.sources.retain(|(other, _)| *other != trace);
        self.sources.push((trace, Source::Stored(stored)));
        Ok(())
    }

    /// Calls a trace by another name, in place of what had that name.
    pub(super) fn rename(&mut self, from: Trace, to: Trace) {
        self.sources.retain(|(trace, _)| *trace != to);
        self.sources.iter_mut().filter(|(trace, _)| *trace == from).for_each(|(trace, _)| *trace = to);
    }

    /// Corrected fluorescence: `from` less the neurons' shares of the neuropil. Both are there already.
    pub(super) fn correct(&mut self, from: Trace, shares: Vec<f64>) -> Result<()> {
        let stored = |trace| match self.source(trace)? {
            Source::Stored(stored) => Ok(stored.clone()),
            Source::Corrected { .. } => Err(Error::internal("traces", "corrected twice")),
        };
        let source = Source::Corrected { from: stored(from)?, neuropil: stored(Trace::Neuropil)?, shares };
        self.sources.retain(|(other, _)| *other != Trace::Corrected);
        self.sources.push((Trace::Corrected, source));
        Ok(())
    }

    fn source(&self, trace: Trace) -> Result<&Source> {
        let found = self.sources.iter().find(|(own, _)| *own == trace);
        found.map(|(_, source)| source).ok_or_else(|| {
            let names: Vec<&str> = self.present().into_iter().map(Trace::name).collect();
            let found = format!("the recording has no {}", trace.name());
            let advice = match trace {
                Trace::Events => "Give the file of events with --events",
                _ => "Choose another trace",
            };
            Error::new(Kind::Usage, "traces", found, format!("one of {}", names.join(", ")), advice)
        })
    }

    /// The traces that there are, in the order of [`Trace::ALL`].
    pub fn present(&self) -> Vec<Trace> {
        Trace::ALL.into_iter().filter(|trace| self.has(*trace)).collect()
    }

    /// Whether the recording has this trace.
    pub fn has(&self, trace: Trace) -> bool {
        self.sources.iter().any(|(own, _)| *own == trace)
    }

    /// Whether the file holds frames one after the other, so that it is read by blocks of frames over all
    /// neurons; else it holds neurons one after the other, and is read by blocks of neurons over all frames.
    ///
    /// # Errors
    /// A trace that the recording does not have.
    pub fn time_major(&self, trace: Trace) -> Result<bool> {
        Ok(match self.source(trace)? {
            Source::Stored(stored) | Source::Corrected { from: stored, .. } => stored.layout.time_major,
        })
    }

    /// How many arrays of the file are read for a trace: two where it is made of two.
    ///
    /// # Errors
    /// A trace that the recording does not have.
    pub fn arrays(&self, trace: Trace) -> Result<usize> {
        Ok(match self.source(trace)? {
            Source::Stored(_) => 1,
            Source::Corrected { .. } => 2,
        })
    }

    /// The file and the path in it, for messages and records; two where a trace is made of two.
    ///
    /// # Errors
    /// A trace that the recording does not have.
    pub fn described(&self, trace: Trace) -> Result<String> {
        Ok(match self.source(trace)? {
            Source::Stored(stored) => stored.name.clone(),
            Source::Corrected { from, neuropil, .. } => format!("{} - r {}", from.name, neuropil.name),
        })
    }

    /// Some neurons over some frames: (neurons, frames), whatever the file's order.
    ///
    /// # Errors
    /// A trace that the recording does not have, ranges outside it, data that cannot be read.
    pub fn block(&self, trace: Trace, neurons: Range<usize>, frames: Range<usize>) -> Result<Array2<f32>> {
        let within = |range: &Range<usize>, count| range.start <= range.end && range.end <= count;
        if !within(&neurons, self.neurons) || !within(&frames, self.frames) {
            let found = format!("neurons {neurons:?} over frames {frames:?} were asked for");
            let wanted = format!("some of {} neurons and {} frames", self.neurons, self.frames);
            return Err(Error::new(Kind::Usage, "traces", found, wanted, ""));
        }
        match self.source(trace)? {
            Source::Stored(stored) => stored.block(neurons, frames),
            Source::Corrected { from, neuropil, shares } => {
                let around = neuropil.block(neurons.clone(), frames.clone())?;
                let mut values = from.block(neurons.clone(), frames)?;
                for (at, neuron) in neurons.enumerate() {
                    let (mut own, around) =
                        (values.index_axis_mut(Axis(0), at), around.index_axis(Axis(0), at));
                    own.zip_mut_with(&around, |f, n| {
                        *f = (f64::from(*f) - shares[neuron] * f64::from(*n)) as f32;
                    });
                }
                Ok(values)
            }
        }
    }
}
