//! What an experiment is made of, in numbers, before anything is fitted.

use serde::Serialize;

use super::{Experiment, Neuron, Recorded, Tier, Trace, Trial, TrialResponses};
use crate::error::Result;

/// Trials whose responses are looked at together for missing values.
const AT_ONCE: usize = 256;

/// Counts, shapes and units of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What wrote it.
    pub format: &'static str,
    /// What it says of itself.
    pub facts: Vec<(String, String)>,
    /// What is odd about it, and what was made of that.
    pub warnings: Vec<String>,
    /// How many neurons.
    pub neurons: usize,
    /// Areas and how many neurons each has, in the order in which they come; without those of no known area.
    pub areas: Vec<(String, usize)>,
    /// The same of layers.
    pub layers: Vec<(String, usize)>,
    /// Smallest and largest depth in micrometres, where known.
    pub depths: Option<(f64, f64)>,
    /// Images.
    pub images: Pictures,
    /// Presentations, blank sweeps included.
    pub presentations: usize,
    /// Presentations before, after or in a pause of the imaging frames.
    pub outside: usize,
    /// Presentations without an image.
    pub blank_sweeps: usize,
    /// The fewest and the most presentations of an image.
    pub repeats: (usize, usize),
    /// Tiers, with presentations and images of each.
    pub tiers: Vec<TierCount>,
    /// Traces and responses.
    pub series: Vec<SeriesSummary>,
    /// Imaging frames a second, where there are traces and the recording says.
    pub rate: Option<f64>,
    /// From the first presentation to the last in seconds, where known.
    pub seconds: Option<f64>,
    /// What is missing.
    pub missing: Missing,
}

/// The images of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Pictures {
    pub count: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub first: String,
    pub last: String,
}

/// A tier of the experiment's own split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierCount {
    /// Its name.
    pub tier: &'static str,
    /// How many presentations.
    pub presentations: usize,
    /// How many images.
    pub images: usize,
    /// Whether its responses are withheld.
    pub hidden: bool,
}

/// A long array.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesSummary {
    /// Its name: a trace, or `responses`.
    pub name: &'static str,
    /// What the axes count, and their lengths, as in the file.
    pub axes: [(&'static str, usize); 2],
    /// The unit.
    pub unit: &'static str,
    /// The path in the file; empty for responses.
    pub path: String,
}

/// Presentations without a value, and responses that are NaN.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Missing {
    pub running_speed: usize,
    pub pupil: usize,
    /// None of traces, which are not read for this.
    pub responses: Option<usize>,
}

fn unit(trace: Trace) -> &'static str {
    match trace {
        Trace::Dff => "dF/F",
        Trace::Events => "magnitude of an event, in dF/F",
        Trace::Corrected | Trace::Raw | Trace::Neuropil | Trace::Demixed => "fluorescence",
    }
}

/// Different texts and how often each occurs.
fn counts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        match counts.iter_mut().find(|(known, _)| known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text.to_string(), 1)),
        }
    }
    counts
}

impl Experiment {
    /// Counts everything. Reads no trace; single responses are read once, for those that are missing.
    ///
    /// # Errors
    /// Responses that cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        let (mut shown, mut blank_sweeps) = (vec![0; self.stimuli.len()], 0);
        for trial in &self.trials {
            match trial.image {
                Some(image) => shown[image] += 1,
                None => blank_sweeps += 1,
            }
        }
        let without = |value: fn(&Trial) -> f32| self.trials.iter().filter(|t| value(t).is_nan()).count();
        let (series, rate, responses) = match &self.recorded {
            Recorded::Traces(_) => (self.traces()?, self.rate(), None),
            Recorded::Trials(responses) => {
                (self.responses(), None, Some(missing(responses, self.trials.len())?))
            }
        };
        let stimuli = &self.stimuli;
        let of = |text: fn(&Neuron) -> &str| counts(self.neurons.iter().map(text));
        Ok(Summary {
            format: self.format.name(),
            facts: self.facts.clone(),
            warnings: self.warnings.clone(),
            neurons: self.neurons.len(),
            areas: of(|neuron| &neuron.area),
            layers: of(|neuron| &neuron.layer),
            depths: self.neurons.iter().filter_map(|neuron| neuron.depth).fold(None, |range, depth| {
                let (least, most) = range.unwrap_or((depth, depth));
                Some((f64::min(least, depth), f64::max(most, depth)))
            }),
            images: Pictures {
                count: stimuli.len(),
                height: stimuli.height,
                width: stimuli.width,
                channels: stimuli.channels,
                first: stimuli.ids.first().cloned().unwrap_or_default(),
                last: stimuli.ids.last().cloned().unwrap_or_default(),
            },
            presentations: self.trials.len(),
            outside: self.trials.iter().filter(|trial| trial.outside.is_some()).count(),
            blank_sweeps,
            repeats: (shown.iter().copied().min().unwrap_or(0), shown.iter().copied().max().unwrap_or(0)),
            tiers: self.tiers(),
            series,
            rate,
            seconds: match &self.trials[..] {
                [first, .., last] => Some(last.seconds - first.seconds).filter(|s| s.is_finite()),
                _ => None,
            },
            missing: Missing {
                running_speed: without(|trial| trial.running_speed),
                pupil: without(|trial| trial.pupil),
                responses,
            },
        })
    }

    fn rate(&self) -> Option<f64> {
        match &self.recorded {
            Recorded::Traces(traces) => Some(traces.rate).filter(|rate| rate.is_finite()),
            Recorded::Trials(_) => None,
        }
    }

    fn traces(&self) -> Result<Vec<SeriesSummary>> {
        let Recorded::Traces(traces) = &self.recorded else { return Ok(Vec::new()) };
        let summary = |trace: Trace| {
            let mut axes = [("neurons", traces.neurons), ("frames", traces.frames)];
            if traces.time_major(trace)? {
                axes.reverse();
            }
            let path = traces.described(trace)?;
            Ok(SeriesSummary { name: trace.name(), axes, unit: unit(trace), path })
        };
        traces.present().into_iter().map(summary).collect()
    }

    fn responses(&self) -> Vec<SeriesSummary> {
        let axes = [("presentations", self.trials.len()), ("neurons", self.neurons.len())];
        let unit = "the recording's own, not standardised";
        vec![SeriesSummary { name: "responses", axes, unit, path: String::new() }]
    }

    fn tiers(&self) -> Vec<TierCount> {
        let hidden = match &self.recorded {
            Recorded::Trials(responses) => responses.hidden(),
            Recorded::Traces(_) => &[],
        };
        let count = |tier: Tier| {
            let of_tier = || self.trials.iter().filter(|trial| trial.tier == Some(tier));
            let mut images: Vec<usize> = of_tier().filter_map(|trial| trial.image).collect();
            images.sort_unstable();
            images.dedup();
            TierCount {
                tier: tier.name(),
                presentations: of_tier().count(),
                images: images.len(),
                hidden: hidden.contains(&tier),
            }
        };
        Tier::ALL.map(count).into_iter().filter(|count| count.presentations > 0).collect()
    }
}

fn missing(responses: &TrialResponses, trials: usize) -> Result<usize> {
    let mut missing = 0;
    for first in (0..trials).step_by(AT_ONCE) {
        let values = responses.read(first..(first + AT_ONCE).min(trials))?;
        missing += values.iter().filter(|v| v.is_nan()).count();
    }
    Ok(missing)
}
