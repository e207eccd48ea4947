//! `striate events`: events inferred from traces.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use striate::events::{DecayFrom, allen::HALF_LIFE};
use striate::experiment::{ExperimentRequest, Trace, suite2p};
use striate::tasks::{EventsRequest, EventsSource, EventsSummary, EventsWarning, MethodRequest, events};
use striate::{Error, Kind, Result};

use super::common::Common;
use super::definition::mapped;
use super::output::{Outcome, lines, merged};
use super::source::missing;

const EXAMPLES: &str = "\
Examples:
  striate events --experiment session.nwb --method l0 --half-life 315 \\
      --out events.npz
  striate events --traces dff.npy --rate 30 --method oasis --out events.npz
  striate events --traces caiman.hdf5:estimates/F_dff --rate 30 \\
      --out events.npz
  striate events --experiment suite2p/plane0 --neuropil 0.7 --out events.npz
  striate events --traces dff.npy --rate 30 --method oasis-ar2 \\
      --tau 0.7,0.05 --out events.npz

The file holds ev and calcium (neurons, frames) and, for each neuron,
baseline, g, lambda and noise. `--events` of other commands reads it. Missing
frames are NaN; they have no events. Where only every k-th frame
is there (planes imaged in turn), a neuron is taken at that rate; g and
calcium are of all frames.

Methods:
  oasis     non-negative deconvolution, calcium that decays; as much penalty
            as leaves the noise
  oasis-ar2  the same for calcium that rises and decays, exact
  oopsi     fast-OOPSI: the most likely events if one a second is expected;
            largest event 1
  l0        the fewest events, in the Allen Institute's pipeline";

/// The methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// OASIS, AR(1).
    Oasis,
    /// OASIS, AR(2).
    OasisAr2,
    /// Fast-OOPSI.
    Oopsi,
    /// L0, as the Allen Institute infers events.
    L0,
}

/// The traces that events may be inferred from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TraceName {
    /// Change of fluorescence over a baseline.
    Dff,
    /// Fluorescence less the neuropil's share.
    Corrected,
    /// Raw fluorescence.
    Raw,
}

const USAGE: &str = "striate events --experiment PATH|--traces FILE --out FILE.npz [OPTIONS]";

/// The options of `striate events`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct EventsArgs {
    /// The recording: an NWB file, another that holds traces, or a plane0 folder of suite2p, of which only
    /// cells are read.
    #[arg(long, value_name = "PATH", conflicts_with = "traces")]
    experiment: Option<PathBuf>,
    /// Where the arrays of an HDF5, MATLAB or .npz recording are, for example dff=/path images=/path.
    #[arg(long, num_args = 1.., value_parser = mapped, value_name = "NAME=PATH", conflicts_with = "traces")]
    map: Vec<(String, String)>,
    /// Which series to read, where an NWB 2 file has several: NAME or CONTAINER/NAME.
    #[arg(long, value_name = "NAME", conflicts_with = "traces")]
    series: Option<String>,
    /// Traces without a recording instead: an array (neurons, frames) of an .npy, .npz, HDF5 or MATLAB file
    /// (FILE:NAME where it holds several), a table with a column for each cell, or CASCADE's ground truth.
    #[arg(long, value_name = "FILE|FILE:NAME")]
    traces: Option<PathBuf>,
    /// Frames per second of --traces or suite2p [default: what the files say, if they do].
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// The share of the neuropil's fluorescence that is subtracted from the cells'; suite2p only [default:
    /// none].
    #[arg(long, value_name = "SHARE")]
    neuropil: Option<f64>,
    /// How events are inferred [default: oasis].
    #[arg(long, value_enum)]
    method: Option<MethodName>,
    /// Which trace, or what --traces holds [default: corrected for l0 and dff for the others, where there
    /// is one].
    #[arg(long, value_enum)]
    trace: Option<TraceName>,
    /// Time constant of the decay in seconds; for oasis-ar2 also that of the rise: 0.7,0.05 [default: oopsi
    /// 1, else estimated].
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    tau: Vec<f64>,
    /// The share of calcium that remains after a frame; for oasis-ar2 two coefficients: 1.7,-0.71 [default:
    /// estimated].
    #[arg(long, value_name = "G", value_delimiter = ',', allow_hyphen_values = true, conflicts_with = "tau")]
    g: Vec<f64>,
    /// Penalty on the sum of events; for l0, on their number [default: from the noise].
    #[arg(long, value_name = "PENALTY")]
    lambda: Option<f64>,
    /// Smallest event; oasis only [default: 0].
    #[arg(long, value_name = "SIZE")]
    s_min: Option<f64>,
    /// Half-life of the indicator in milliseconds; l0 only [default: 315].
    #[arg(long, value_name = "MS")]
    half_life: Option<f64>,
    /// The .npz file to write; its record is written beside it as .json.
    #[arg(long, value_name = "FILE.npz")]
    out: Option<PathBuf>,
}

/// Runs `striate events`.
pub fn run(args: &EventsArgs, common: &Common) -> Result<Outcome> {
    let request = args.request()?;
    let gpu = common.open_gpu()?;
    let mut progress = common.shares();
    let tell = &mut |step: &'static str, share: f64| progress.share(step, share);
    let summary = events(&gpu, &request, tell)?;
    for warning in &summary.warnings {
        common.say(format_args!("warning: {}", warned(warning, &summary)));
    }
    Ok(outcome(&summary, &gpu.describe()))
}

impl EventsArgs {
    fn request(&self) -> Result<EventsRequest> {
        let source = match (&self.experiment, &self.traces) {
            (Some(path), _) if suite2p::recognise(path) => {
                let given = [("--map", !self.map.is_empty()), ("--series", self.series.is_some())];
                self.refuse("suite2p", &given)?;
                if self.neuropil.is_some_and(|share| !(0.0..=2.0).contains(&share)) {
                    let found = format!("is {}", self.neuropil.unwrap_or_default());
                    let advice = "suite2p's own is 0.7";
                    return Err(Error::new(Kind::Usage, "--neuropil", found, "a share from 0 to 2", advice));
                }
                EventsSource::Suite2p { folder: path.clone(), rate: self.rate, neuropil: self.neuropil }
            }
            (Some(path), _) => {
                suite2p::check_whole(path)?;
                let given = [("--rate", self.rate.is_some()), ("--neuropil", self.neuropil.is_some())];
                self.refuse("--experiment", &given)?;
                self.check_map(path)?;
                EventsSource::Experiment(ExperimentRequest {
                    path: path.clone(),
                    map: self.map.clone(),
                    series: self.series.clone(),
                    ..ExperimentRequest::default()
                })
            }
            (None, Some(path)) => {
                self.refuse("--traces", &[("--neuropil", self.neuropil.is_some())])?;
                EventsSource::Array { path: path.clone(), rate: self.rate }
            }
            (None, None) => return Err(missing("--experiment or --traces", "a recording, or an array")),
        };
        let trace = self.trace.map(|trace| match trace {
            TraceName::Dff => Trace::Dff,
            TraceName::Corrected => Trace::Corrected,
            TraceName::Raw => Trace::Raw,
        });
        let out = self.out.clone().ok_or_else(|| missing("--out", "a file FILE.npz"))?;
        Ok(EventsRequest { source, trace, method: self.method()?, out })
    }

    /// Traces that are mapped without images are to be given alone.
    fn check_map(&self, path: &Path) -> Result<()> {
        let is_trace = |key: &str| Trace::ALL.iter().any(|trace| trace.name() == key);
        let Some((key, name)) = self.map.iter().find(|(key, _)| is_trace(key)) else { return Ok(()) };
        if self.map.iter().any(|(key, _)| key == "images") {
            return Ok(());
        }
        let advice = format!("Give traces alone by --traces {}:{name} --rate HZ", path.display());
        Err(Error::new(Kind::Usage, "--map", format!("{key} is named, and no images"), "a recording", advice))
    }

    fn method(&self) -> Result<MethodRequest> {
        let penalty = self.lambda;
        let [tau, g] = [!self.tau.is_empty(), !self.g.is_empty()];
        let [smallest, half_life] = [self.s_min.is_some(), self.half_life.is_some()];
        match self.method.unwrap_or(MethodName::Oasis) {
            MethodName::Oasis => {
                self.refuse("oasis", &[("--half-life", half_life)])?;
                let decay = self.decay(1)?;
                Ok(MethodRequest::Oasis { decay, penalty, smallest: self.s_min.unwrap_or(0.0) })
            }
            MethodName::OasisAr2 => {
                self.refuse("oasis-ar2", &[("--half-life", half_life), ("--s-min", smallest)])?;
                Ok(MethodRequest::OasisAr2 { decay: self.decay(2)?, penalty })
            }
            MethodName::Oopsi => {
                let more = [("--half-life", half_life), ("--s-min", smallest), ("--g", g)];
                self.refuse("oopsi", &[&more[..], &[("--lambda", penalty.is_some())]].concat())?;
                let decay = match self.decay(1)? {
                    DecayFrom::Times(decay, _) => decay,
                    _ => 1.0,
                };
                Ok(MethodRequest::Oopsi { decay })
            }
            MethodName::L0 => {
                self.refuse("l0", &[("--tau", tau), ("--g", g), ("--s-min", smallest)])?;
                Ok(MethodRequest::L0 { half_life: self.half_life.unwrap_or(HALF_LIFE), penalty })
            }
        }
    }

    /// An option that a method or source knows nothing of is a mistake.
    fn refuse(&self, what: &str, given: &[(&str, bool)]) -> Result<()> {
        let Some((option, _)) = given.iter().find(|(_, given)| *given) else { return Ok(()) };
        Err(Error::new(Kind::Usage, *option, format!("means nothing for {what}"), "", "Leave it out"))
    }

    /// One number, or two for AR(2).
    fn decay(&self, order: usize) -> Result<DecayFrom> {
        let count = |option: &str, values: &[f64]| {
            let wanted = if order == 1 { "one number" } else { "two numbers" };
            let found = format!("has {} numbers", values.len());
            let wrong = Error::new(Kind::Usage, option, found, wanted, "Separate them by a comma");
            if values.len() == order { Ok((values[0], values.get(1).copied())) } else { Err(wrong) }
        };
        if !self.tau.is_empty() {
            let (decay, rise) = count("--tau", &self.tau)?;
            return Ok(DecayFrom::Times(decay, rise));
        }
        if !self.g.is_empty() {
            let (first, second) = count("--g", &self.g)?;
            return Ok(DecayFrom::Coefficients(first, second));
        }
        Ok(DecayFrom::Trace)
    }
}

/// What a warning says, and what to do.
fn warned(warning: &EventsWarning, summary: &EventsSummary) -> String {
    let of = |neurons: usize| format!("{neurons} of {} neurons", summary.n_neurons);
    match warning {
        EventsWarning::Smooth { neurons, above, native_rate } => format!(
            "the traces of {} hold nothing above {above:.1} Hz, not even noise, as traces do that were resampled or \
             smoothed: their noise is underestimated, and events are doubtful. Give the traces as they were \
             recorded, with --rate of the recording; or take one in so many frames, down to {native_rate:.1} a \
             second, with that --rate",
            of(*neurons)
        ),
        EventsWarning::MoreNeuronsThanFrames => format!(
            "there are {} neurons and only {} frames. Arrays of traces are (neurons, frames), and tables have a \
             column for each neuron: transpose it if it is the other way round",
            summary.n_neurons, summary.n_frames
        ),
        EventsWarning::Dense { neurons } => format!(
            "{} have events at more than a fifth of their frames: the noise may be underestimated. Check --rate, and \
             that traces are as they were recorded; or give --lambda, or --s-min (oasis)",
            of(*neurons)
        ),
    }
}

fn outcome(summary: &EventsSummary, adapter: &str) -> Outcome {
    let mut rows = vec![
        ("neurons", summary.n_neurons.to_string()),
        ("frames", format!("{} at {:.2} a second", summary.n_frames, summary.rate)),
        ("method", format!("{} from {}", summary.method, summary.trace)),
        ("noise", format!("{:.4} (median over neurons)", summary.median_noise)),
    ];
    if let Some(rate) = summary.median_events_per_second {
        rows.push(("events", format!("{rate:.3} a second (median over neurons)")));
    }
    if summary.n_imaged_in_turn > 0 {
        let neurons = summary.n_imaged_in_turn;
        rows.push((
            "in turn",
            format!("{neurons} neurons have one of several frames, and are taken at its rate"),
        ));
    }
    if summary.n_unsolved > 0 {
        rows.push(("not solved", format!("{} neurons: all NaN", summary.n_unsolved)));
    }
    if summary.n_without_trace > 0 {
        rows.push(("without trace", format!("{} neurons: all NaN", summary.n_without_trace)));
    }
    rows.push(("written", format!("{} and {}", summary.out.display(), summary.record.display())));
    Outcome::new(merged(json!({"adapter": adapter}), summary), lines(&rows))
}
