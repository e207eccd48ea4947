//! Responses of a recording in memory.

use std::ops::Range;

use ndarray::{Array3, ArrayView2, Axis, s};

use super::reading::{self, ResponsesPlan, Tile};
use super::trials::{self, Dropped, KeptTrial};
use super::{DefinitionRequest, ResponsesRequest};
use crate::error::{Error, Kind, Result};
use crate::experiment::{Experiment, Recorded, Trace, Traces, TrialResponses};
use crate::gpu::{Gpu, Matrix};
use crate::io::split::Split;
use crate::responses::auto::{self, Candidate};
use crate::responses::{
    Arrangement, Definition, Dff, Frames, Regressed, Span, regress_out, standardise, window_responses,
};
use crate::tasks::Progress;

/// Bytes of the responses of all windows that are compared, for the neurons that judge them.
const JUDGED_BYTES: usize = 128 << 20;

/// Responses of a recording, and all that is known of them.
pub struct Gathered {
    /// (neurons, images, repeats), repeats in order of presentation; NaN where one is missing.
    pub responses: Array3<f32>,
    /// Which image of the recording each row is, and where each trial stands.
    pub arrangement: Arrangement,
    /// The presentations, in order.
    pub trials: Vec<KeptTrial>,
    /// Those that were left out.
    pub dropped: Dropped,
    /// What is odd about the recording and its definition.
    pub warnings: Vec<String>,
    /// Which images train and test.
    pub split: Split,
    /// [`super::ResponsesSummary::validation_tests`].
    pub validation_tests: bool,
    /// What a response is; none where the recording has responses itself.
    pub definition: Option<Definition>,
    /// Whether responses were divided by the standard deviations that the recording states.
    pub scaled: bool,
    /// All windows that were compared, where one was chosen.
    pub candidates: Vec<Candidate>,
    /// What regressing covariates out did.
    pub regressed: Option<Regressed>,
    /// Responses missing in presentations that are kept.
    pub n_missing: usize,
    /// Neurons that could not be standardised, where that was asked.
    pub n_constant: Option<usize>,
}

impl Gathered {
    /// The unit of responses, before they are standardised.
    pub fn unit(&self) -> &'static str {
        match &self.definition {
            Some(definition) => definition.unit(),
            None if self.scaled => "standard deviations, as the recording states them",
            None => "as recorded",
        }
    }

    /// Pairs of a neuron and an image without any response.
    pub fn without_response(&self) -> usize {
        let all_missing = |repeats: ndarray::ArrayView1<f32>| repeats.iter().all(|v| v.is_nan());
        let of = |neuron: ArrayView2<f32>| neuron.outer_iter().filter(|r| all_missing(r.view())).count();
        self.responses.outer_iter().map(of).sum()
    }
}

/// The traces of a recording, and of what responses are made.
struct Source<'a> {
    traces: &'a Traces,
    of: (Trace, Option<Dff>),
    definition: &'a DefinitionRequest,
}

/// What is known before anything long is read.
struct Plan<'a> {
    source: Option<Source<'a>>,
    /// All windows that may be needed.
    windows: Vec<Frames>,
    reach: Range<i64>,
    trials: Vec<KeptTrial>,
    dropped: Dropped,
    arrangement: Arrangement,
}

impl<'a> Plan<'a> {
    fn new(experiment: &'a Experiment, request: &'a ResponsesRequest) -> Result<Self> {
        let source = source(experiment, request.definition.as_ref())?;
        let windows = match source.as_ref().map(|s| (s.definition, s.traces.rate)) {
            None => Vec::new(),
            Some((DefinitionRequest::As(definition), rate)) => vec![definition.frames(rate)?],
            Some((DefinitionRequest::Auto { statistic, .. }, rate)) => auto::candidates(rate, *statistic)?,
        };
        let reaches: Vec<Range<i64>> = windows.iter().map(Frames::reach).collect();
        let start = reaches.iter().map(|r| r.start).min().unwrap_or(0);
        let reach = start..reaches.iter().map(|r| r.end).max().unwrap_or(0);
        let frames = source.as_ref().map(|s| (&reach, s.traces));
        let (trials, dropped) = trials::keep(experiment, request.blanks, frames)?;
        let blank = trials.iter().any(|one| one.image == experiment.stimuli.len());
        if blank && experiment.stimuli.grey()?.is_none() {
            let found = format!("the images of {} are no bytes", experiment.path.display());
            let wanted = "pixels from 0 to 255, of which 127 is the grey of a blank";
            return Err(Error::new(Kind::Usage, "--blanks", found, wanted, "Take --blanks drop"));
        }
        let images: Vec<usize> = trials.iter().map(|one| one.image).collect();
        let arrangement = Arrangement::new(&images);
        Ok(Plan { source, windows, reach, trials, dropped, arrangement })
    }

    /// Trials in the order of their first frames.
    fn by_start(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.trials.len()).collect();
        order.sort_by_key(|at| self.trials[*at].start);
        order
    }

    fn tiles(&self, gpu: &Gpu, order: &[usize]) -> Result<Vec<Tile>> {
        let Some(source) = &self.source else { return Ok(Vec::new()) };
        let starts: Vec<usize> = order.iter().map(|at| self.trials[*at].start).collect();
        reading::tiles(gpu, source.traces, source.of, &starts, &self.reach)
    }

    fn described(&self, experiment: &Experiment, tiles: &[Tile]) -> Result<ResponsesPlan> {
        let n_neurons = experiment.neurons.len();
        let (n_images, n_repeats) = (self.arrangement.images.len(), self.arrangement.repeats);
        let words = |tile: &Tile| tile.neurons.len() * tile.frames.len();
        let (all, largest) =
            (tiles.iter().map(words).sum::<usize>(), tiles.iter().map(words).max().unwrap_or(0));
        let visits = if self.windows.len() > 1 { 2 } else { 1 };
        let judged = if self.windows.len() > 1 { JUDGED_BYTES as u64 } else { 0 };
        let dff = self.source.as_ref().is_some_and(|s| s.of.1.is_some());
        let arrays = self.source.as_ref().map_or(Ok(1), |s| s.traces.arrays(s.of.0))?;
        Ok(ResponsesPlan {
            n_neurons,
            n_images,
            n_repeats,
            n_trials: self.trials.len(),
            dropped: self.dropped,
            bytes_read: 4 * (arrays * visits * all) as u64,
            bytes: judged + reading::bytes([n_neurons, n_images, n_repeats], largest, dff),
        })
    }
}

/// Says what making responses takes, from headers and short series.
///
/// # Errors
/// As [`super::responses()`].
pub fn plan(gpu: &Gpu, experiment: &Experiment, request: &ResponsesRequest) -> Result<ResponsesPlan> {
    planned(gpu, experiment, request).map(|(_, described)| described)
}

/// A plan that is affordable, and what it takes.
fn planned<'a>(
    gpu: &Gpu,
    experiment: &'a Experiment,
    request: &'a ResponsesRequest,
) -> Result<(Plan<'a>, ResponsesPlan)> {
    let plan = Plan::new(experiment, request)?;
    for covariate in &request.covariates_regressed {
        trials::values(experiment, &plan.trials, *covariate)?;
    }
    trials::split(experiment, &plan.trials, &plan.arrangement, request)?;
    let tiles = plan.tiles(gpu, &plan.by_start())?;
    let described = plan.described(experiment, &tiles)?;
    reading::affordable(gpu, request.definition.as_ref(), &described, &tiles)?;
    Ok((plan, described))
}

/// The traces that a definition asks for; none where the recording has responses itself.
fn source<'a>(
    experiment: &'a Experiment,
    definition: Option<&'a DefinitionRequest>,
) -> Result<Option<Source<'a>>> {
    let path = experiment.path.display();
    match (&experiment.recorded, definition) {
        (Recorded::Trials(_), None) => Ok(None),
        (Recorded::Trials(_), Some(_)) => {
            let found = format!("{path} ({}) holds responses, not traces", experiment.format.name());
            let advice = "Leave --definition and its options out: the responses are taken as they are";
            Err(Error::new(Kind::Usage, "--definition", found, "a recording with traces", advice))
        }
        (Recorded::Traces(_), None) => {
            let found = format!("{path} holds traces, from which responses can be made in many ways");
            let wanted = format!("one of {}, custom, auto", crate::responses::NAMES.join(", "));
            Err(Error::new(Kind::Usage, "--definition", found, wanted, "Say which with --definition"))
        }
        (Recorded::Traces(traces), Some(definition)) => {
            let of = definition.source();
            // Says what there is, if not this.
            traces.time_major(of.0)?;
            of.1.map_or(Ok(()), |dff| dff.check(traces.rate))?;
            Ok(Some(Source { traces, of, definition }))
        }
    }
}

/// Responses of a recording that is open.
///
/// # Errors
/// As [`super::responses()`].
pub fn gather(
    gpu: &Gpu,
    experiment: &Experiment,
    request: &ResponsesRequest,
    progress: &mut Progress<'_>,
) -> Result<Gathered> {
    let (mut plan, _) = planned(gpu, experiment, request)?;
    let arrangement = plan.arrangement.clone();
    let (split, validation_tests) = trials::split(experiment, &plan.trials, &arrangement, request)?;
    let trains = trials::trains(&split, arrangement.images.len());
    let (mut definition, mut candidates) = (None, Vec::new());
    let mut responses = match (&plan.source, &experiment.recorded) {
        (Some(source), _) => {
            let wanted = source.definition.clone();
            definition = Some(match wanted {
                DefinitionRequest::As(definition) => definition,
                DefinitionRequest::Auto { trace, dff, statistic } => {
                    candidates = compared(gpu, &plan, &trains, request.seed, progress)?;
                    let best = auto::best(&candidates).ok_or_else(no_repeats)?;
                    let window = Span::Frames(best.start, best.stop);
                    Definition { name: "auto", trace, dff, window, baseline: None, statistic }
                }
            });
            if let Some(best) = auto::best(&candidates) {
                plan.windows.retain(|frames| frames.window == (best.start..best.stop));
            }
            of_traces(gpu, &plan, progress)?
        }
        (None, Recorded::Trials(recorded)) => of_trials(recorded, &plan, progress)?,
        (None, Recorded::Traces(_)) => return Err(Error::internal("responses", "no definition")),
    };
    let n_missing =
        arrangement.places.len() * responses.dim().0 - responses.iter().filter(|v| !v.is_nan()).count();
    let mut regressed = None;
    if !request.covariates_regressed.is_empty() {
        let of = |covariate: &super::Covariate| trials::values(experiment, &plan.trials, *covariate);
        let values = request.covariates_regressed.iter().map(of).collect::<Result<Vec<_>>>()?;
        let lists: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        regressed = Some(regress_out(&mut responses, &lists, &arrangement.places, &trains));
    }
    let n_constant = request.standardise.then(|| standardise(&mut responses, &trains));
    let Plan { trials, dropped, .. } = plan;
    let mut warnings = experiment.warnings.clone();
    warnings.extend(experiment.stimuli.notes()?);
    if let (Some(definition), Recorded::Traces(traces)) = (&definition, &experiment.recorded) {
        warnings.extend(definition.at_another_rate(traces.rate));
    }
    Ok(Gathered {
        responses,
        arrangement,
        trials,
        dropped,
        warnings,
        split,
        validation_tests,
        definition,
        scaled: matches!(&experiment.recorded, Recorded::Trials(recorded) if recorded.scale().is_some()),
        candidates,
        regressed,
        n_missing,
        n_constant,
    })
}

fn no_repeats() -> Error {
    let found = "no training image has repeats, so that no window can be said to be reliable";
    Error::new(Kind::Usage, "--definition auto", found, "images shown twice or more", "Name a definition")
}

/// Responses in the one window of a plan, tile by tile.
fn of_traces(gpu: &Gpu, plan: &Plan<'_>, progress: &mut Progress<'_>) -> Result<Array3<f32>> {
    let Some(source) = &plan.source else { return Err(Error::internal("responses", "no traces")) };
    let [frames] = plan.windows.as_slice() else { return Err(Error::internal("responses", "one window")) };
    let mut responses = plan.arrangement.room(source.traces.neurons);
    let order = plan.by_start();
    let tiles = plan.tiles(gpu, &order)?;
    for (at, tile) in tiles.iter().enumerate() {
        progress("responses", at as f64 / tiles.len() as f64);
        let matrix = reading::read(gpu, source.traces, source.of, tile)?;
        let mut rows = responses.slice_mut(s![tile.neurons.clone(), .., ..]);
        fill(gpu, plan, &order, tile, &matrix, frames, &mut rows)?;
    }
    Ok(responses)
}

/// Responses of a tile's trials, to where they belong.
fn fill(
    gpu: &Gpu,
    plan: &Plan<'_>,
    order: &[usize],
    tile: &Tile,
    matrix: &Matrix,
    frames: &Frames,
    rows: &mut ndarray::ArrayViewMut3<f32>,
) -> Result<()> {
    let trials = &order[tile.trials.clone()];
    let starts: Vec<usize> = trials.iter().map(|at| plan.trials[*at].start).collect();
    let found = window_responses(gpu, matrix, tile.frames.start, &starts, frames)?;
    for (trial, values) in trials.iter().zip(found.columns()) {
        let [image, repeat] = plan.arrangement.places[*trial];
        rows.slice_mut(s![.., image, repeat]).assign(&values);
    }
    Ok(())
}

/// How reliable each window of a plan is, for the neurons that judge.
fn compared(
    gpu: &Gpu,
    plan: &Plan<'_>,
    trains: &[bool],
    seed: u64,
    progress: &mut Progress<'_>,
) -> Result<Vec<Candidate>> {
    let Some(source) = &plan.source else { return Err(Error::internal("responses", "no traces")) };
    let room = 4 * plan.windows.len() * plan.arrangement.images.len() * plan.arrangement.repeats;
    let mut judges = auto::judges(source.traces.neurons);
    let most = (JUDGED_BYTES / room.max(1)).max(1);
    let count = judges.len().min(most);
    judges = (0..count).map(|at| judges[at * judges.len() / count]).collect();
    let mut all: Vec<Array3<f32>> =
        plan.windows.iter().map(|_| plan.arrangement.room(judges.len())).collect();
    let order = plan.by_start();
    let tiles = plan.tiles(gpu, &order)?;
    for (at, tile) in tiles.iter().enumerate() {
        progress("comparing windows", at as f64 / tiles.len() as f64);
        let inside: Vec<usize> =
            (0..judges.len()).filter(|judge| tile.neurons.contains(&judges[*judge])).collect();
        let (Some(first), Some(last)) = (inside.first(), inside.last()) else { continue };
        let rows: Vec<usize> = inside.iter().map(|judge| judges[*judge] - tile.neurons.start).collect();
        let block = source.traces.block(source.of.0, tile.neurons.clone(), tile.frames.clone())?;
        let matrix = reading::upload(gpu, block.select(Axis(0), &rows), source.traces.rate, source.of.1)?;
        for (frames, responses) in plan.windows.iter().zip(&mut all) {
            let mut rows = responses.slice_mut(s![*first..*last + 1, .., ..]);
            fill(gpu, plan, &order, tile, &matrix, frames, &mut rows)?;
        }
    }
    let judged = |(at, (frames, responses)): (usize, (&Frames, &Array3<f32>))| {
        progress("comparing windows", at as f64 / plan.windows.len() as f64);
        let reliability = auto::reliability(responses, trains, seed);
        Candidate { start: frames.window.start, stop: frames.window.end, reliability }
    };
    Ok(plan.windows.iter().zip(&all).enumerate().map(judged).collect())
}

/// Trials read at once.
const TRIALS: usize = 256;

/// Responses that the recording has itself, by its own scale.
fn of_trials(recorded: &TrialResponses, plan: &Plan<'_>, progress: &mut Progress<'_>) -> Result<Array3<f32>> {
    let mut responses = plan.arrangement.room(recorded.neurons());
    let (mut at, count) = (0, plan.trials.len());
    while at < count {
        progress("responses", at as f64 / count as f64);
        let first = plan.trials[at].trial;
        let here = plan.trials[at..].iter().take_while(|one| one.trial < first + TRIALS).count();
        let block = recorded.read(first..plan.trials[at + here - 1].trial + 1)?;
        for one in at..at + here {
            let [image, repeat] = plan.arrangement.places[one];
            let mut values = block.row(plan.trials[one].trial - first).to_owned();
            if let Some(scale) = recorded.scale() {
                values.iter_mut().zip(scale).for_each(|(v, s)| *v *= s);
            }
            responses.slice_mut(s![.., image, repeat]).assign(&values);
        }
        at += here;
    }
    Ok(responses)
}
