//! A block of traces to its events, by any of the methods.

use super::missing::filled;
use super::noise::{Decay, Welch, decay_of};
use super::planes::turns;
use super::{Oasis, Wanted, allen, ar2, constrain, l0, oopsi};
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;
use serde::Serialize;

/// Where the decay of calcium comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum DecayFrom {
    /// Each trace's autocovariance.
    Trace,
    /// Time constants of decay and rise, in seconds.
    Times(f64, Option<f64>),
    /// Coefficients of the last frame and the one before.
    Coefficients(f64, Option<f64>),
}

/// How events are inferred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Method {
    /// OASIS, AR(1), on the device: penalty by the noise unless it is given, free baseline.
    Oasis {
        /// Decay.
        decay: DecayFrom,
        /// Penalty of the sum of events.
        penalty: Option<f64>,
        /// Smallest event.
        smallest: f64,
    },
    /// The same with rise and decay, AR(2), exact; on the host.
    OasisAr2 {
        /// Decay and rise.
        decay: DecayFrom,
        /// Penalty of the sum of events.
        penalty: Option<f64>,
    },
    /// Fast-OOPSI, on the host: one event a second expected.
    Oopsi {
        /// Time constant of the decay in seconds.
        decay: f64,
    },
    /// The fewest events, in Allen's pipeline: medians on the device, the rest on the host.
    L0 {
        /// The indicator's half-life in milliseconds.
        half_life: f64,
        /// Price of an event; else the smallest that leaves no event below two standard deviations of the
        /// noise.
        penalty: Option<f64>,
        /// Whether the traces are changes over a baseline already.
        is_change: bool,
    },
}

/// Smallest decay of a frame: powers of less are zero before pieces of calcium are given up.
const LEAST: f64 = 1e-6;

/// What a neuron was fitted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// Fluorescence without calcium.
    pub baseline: f64,
    /// `c_t = g1 c_(t-1) + g2 c_(t-2)`.
    pub decay: [f64; 2],
    /// Penalty or price of events.
    pub penalty: f64,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// Frames from one that was imaged to the next: 1, but for planes that were imaged in turn.
    pub every: usize,
    /// Frequency above which the trace holds nothing, not even noise, in hertz: see [`Welch::edge`].
    pub edge: Option<f64>,
}

impl Fitted {
    /// Of a trace that has every frame.
    fn new(baseline: f64, decay: [f64; 2], penalty: f64, noise: f64) -> Self {
        Fitted { baseline, decay, penalty, noise, every: 1, edge: None }
    }

    /// Of a neuron whose trace has too few frames.
    fn nothing() -> Self {
        Fitted::new(f64::NAN, [f64::NAN; 2], f64::NAN, f64::NAN)
    }

    pub(super) fn calcium_decay(&self) -> Decay {
        let [g1, g2] = self.decay;
        Decay { g1, g2 }
    }
}

/// Events and calcium of a block of traces: neurons x frames, and a row of numbers for each neuron. NaN where
/// a trace has too few frames.
#[derive(Debug)]
pub struct Inferred {
    /// Events; zero at missing frames.
    pub events: Array2<f32>,
    /// Calcium above the baseline.
    pub calcium: Array2<f32>,
    /// In the order of the traces.
    pub neurons: Vec<Fitted>,
}

impl Method {
    /// As the command line and records name it.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Oasis { .. } => "oasis",
            Method::OasisAr2 { .. } => "oasis-ar2",
            Method::Oopsi { .. } => "oopsi",
            Method::L0 { .. } => "l0",
        }
    }

    /// The decay of every neuron in `every` frames, of which there are `rate` a second; none where it comes
    /// from each trace.
    fn decay(&self, rate: f64, every: usize) -> Option<Decay> {
        let rate = rate / every as f64;
        match self {
            Method::Oasis { decay, .. } | Method::OasisAr2 { decay, .. } => match decay {
                DecayFrom::Trace => None,
                DecayFrom::Times(decay, rise) => {
                    Some(Decay::of_times(decay * rate, rise.map(|rise| rise * rate)))
                }
                DecayFrom::Coefficients(g1, g2) => {
                    Some(Decay { g1: *g1, g2: g2.unwrap_or(0.0) }.power(every as f64))
                }
            },
            Method::Oopsi { decay } => Some(Decay { g1: 1.0 - 1.0 / (decay * rate), g2: 0.0 }),
            Method::L0 { half_life, .. } => {
                Some(Decay { g1: allen::decay_of_half_life(*half_life, rate), g2: 0.0 })
            }
        }
    }

    /// Whether the numbers make sense at `rate` frames a second.
    ///
    /// # Errors
    /// Usage, naming the option.
    pub fn check(&self, rate: f64) -> Result<()> {
        self.check_every(rate, 1)
    }

    /// The same where one of `every` frames was imaged.
    fn check_every(&self, rate: f64, every: usize) -> Result<()> {
        let wrong = |place: &str, found: String, wanted: &str| {
            Err(Error::new(Kind::Usage, place, found, wanted, "Correct it, or leave it out"))
        };
        if !(rate.is_finite() && rate > 0.0) {
            let advice = "Give the traces by --traces, with --rate; or write --map rate=30";
            return Err(Error::new(Kind::Usage, "--rate", "is not known", "frames a second", advice));
        }
        let (penalty, smallest) = match self {
            Method::Oasis { penalty, smallest, .. } => (*penalty, *smallest),
            Method::OasisAr2 { penalty, .. } | Method::L0 { penalty, .. } => (*penalty, 0.0),
            Method::Oopsi { .. } => (None, 0.0),
        };
        for (place, value) in [("--lambda", penalty.unwrap_or(0.0)), ("--s-min", smallest)] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(place, format!("is {value}"), "a number of at least 0");
            }
        }
        let Some(decay) = self.decay(rate, every) else { return Ok(()) };
        let [slow, fast] = decay.roots();
        let real = decay.g1 * decay.g1 + 4.0 * decay.g2 >= 0.0;
        // Of one frame only, calcium is no trace; what never decays is none either, and f32 has to tell.
        let fits = slow >= LEAST && (slow as f32) < 1.0 && fast >= 0.0 && real;
        let second = matches!(self, Method::OasisAr2 { .. });
        if !fits || second != (fast > 0.0) {
            let wanted = if second {
                "two roots of z^2 - g1 z - g2 between 0 and 1, as --tau 0.7,0.05 has them"
            } else {
                "a decay between 0 and 1 a frame, by more than rounding"
            };
            let imaged = rate / every as f64;
            let found = format!("decay a frame by {} and {} at {imaged} frames a second", decay.g1, decay.g2);
            return wrong("--tau, --g or --half-life", found, wanted);
        }
        Ok(())
    }
}

/// How many traces of so many frames [`infer`] takes at once.
pub fn traces_at_once(gpu: &Gpu, frames: usize, method: &Method) -> usize {
    match method {
        Method::Oasis { .. } => Oasis::traces_at_once(gpu, frames).max(64),
        Method::L0 { .. } => allen::traces_at_once(gpu, frames).min(256),
        Method::OasisAr2 { .. } | Method::Oopsi { .. } => 256,
    }
}

/// Infers the events of traces, neurons x frames, NaN where a frame is missing, at `rate` frames a second.
/// Traces of which only every k-th frame is there are taken at the rate of these frames.
///
/// # Errors
/// As [`Method::check`] and [`Gpu::run`].
pub fn infer(gpu: &Gpu, traces: ArrayView2<'_, f32>, rate: f64, method: &Method) -> Result<Inferred> {
    method.check(rate)?;
    let turns = turns(traces);
    if turns.keys().all(|turn| turn.every == 1) {
        return infer_every(gpu, traces, rate, method, 1);
    }
    let nothing = || Array2::zeros(traces.dim());
    let neurons = vec![Fitted::nothing(); traces.nrows()];
    let mut all = Inferred { events: nothing(), calcium: nothing(), neurons };
    for (turn, rows) in turns {
        let imaged = turn.of(traces, &rows);
        let found = infer_every(gpu, imaged.view(), rate, method, turn.every)?;
        turn.put(&found, &rows, &mut all);
    }
    Ok(all)
}

/// The same of traces of which one of `every` frames was imaged, and no other is in `traces`; `rate` is that of
/// all frames.
fn infer_every(
    gpu: &Gpu,
    traces: ArrayView2<'_, f32>,
    rate: f64,
    method: &Method,
    every: usize,
) -> Result<Inferred> {
    method.check_every(rate, every)?;
    let (decay, rate) = (method.decay(rate, every), rate / every as f64);
    let mut inferred = match *method {
        Method::Oasis { penalty, smallest, .. } => first_order(gpu, traces, decay, (penalty, smallest))?,
        Method::OasisAr2 { penalty, .. } => {
            let welch = Welch::new(traces.ncols());
            on_the_host(traces, |y| second_order(&welch, y, decay, penalty))?
        }
        Method::Oopsi { decay } => {
            let options = oopsi::Oopsi { time: decay * rate, rate: 1.0 / rate };
            on_the_host(traces, |y| most_likely(y, &options))?
        }
        Method::L0 { penalty, is_change, .. } => {
            let (changes, noises) = allen::change(gpu, traces, rate, is_change)?;
            let g = decay.map_or(0.0, |decay| decay.g1);
            let frames = |row: ndarray::ArrayView1<'_, f32>| row.iter().filter(|v| !v.is_nan()).count();
            let there: Vec<usize> = traces.rows().into_iter().map(frames).collect();
            fewest(changes.view(), g, penalty, &|row| (noises[row], there[row]))?
        }
    };
    let welch = Welch::new(traces.ncols());
    let edges: Vec<Option<f64>> =
        rows_of(traces).par_iter().map(|y| welch.edge(y).map(|edge| edge * rate)).collect();
    inferred.neurons.iter_mut().zip(edges).for_each(|(fitted, edge)| fitted.edge = edge);
    // What is missing has no events.
    for (mut events, y) in inferred.events.rows_mut().into_iter().zip(traces.rows()) {
        events.zip_mut_with(&y, |event, y| {
            if y.is_nan() && !event.is_nan() {
                *event = 0.0;
            }
        });
    }
    Ok(inferred)
}

/// Events, calcium, and what they were fitted with.
type One = (Vec<f64>, Vec<f64>, Fitted);

fn rows_of(traces: ArrayView2<'_, f32>) -> Vec<Vec<f32>> {
    traces.rows().into_iter().map(|row| row.to_vec()).collect()
}

/// Each trace by itself, shared between the host's cores.
fn on_the_host(traces: ArrayView2<'_, f32>, one: impl Fn(&[f32]) -> One + Sync) -> Result<Inferred> {
    let solved: Vec<One> = rows_of(traces).par_iter().map(|y| one(y)).collect();
    gathered(traces.dim(), solved)
}

fn gathered(shape: (usize, usize), solved: Vec<One>) -> Result<Inferred> {
    let (mut events, mut calcium) = (Array2::<f32>::zeros(shape), Array2::<f32>::zeros(shape));
    let mut neurons = Vec::with_capacity(solved.len());
    for (row, (e, c, fitted)) in solved.into_iter().enumerate() {
        for (all, values) in [(&mut events, e), (&mut calcium, c)] {
            all.row_mut(row).iter_mut().zip(values).for_each(|(to, value)| *to = value as f32);
        }
        neurons.push(fitted);
    }
    Ok(Inferred { events, calcium, neurons })
}

fn nothing(frames: usize) -> One {
    (vec![f64::NAN; frames], vec![f64::NAN; frames], Fitted::nothing())
}

/// The value that 15 of 100 frames are below.
fn low(y: &[f32]) -> f64 {
    let mut there: Vec<f32> = y.iter().copied().filter(|v| !v.is_nan()).collect();
    let rank = there.len() * 15 / 100;
    f64::from(*there.select_nth_unstable_by(rank, f32::total_cmp).1)
}

fn first_order(
    gpu: &Gpu,
    traces: ArrayView2<'_, f32>,
    decay: Option<Decay>,
    (penalty, smallest): (Option<f64>, f64),
) -> Result<Inferred> {
    let welch = Welch::new(traces.ncols());
    let rows = rows_of(traces);
    let wanted = |y: &Vec<f32>| {
        let noise = welch.noise(y);
        if noise.is_nan() {
            return None;
        }
        let decay = decay.unwrap_or_else(|| decay_of(y, noise, 1)).g1 as f32;
        Some(Wanted { decay, noise, smallest: smallest as f32, baseline: low(y), penalty })
    };
    let wanted: Vec<Option<Wanted>> = rows.par_iter().map(wanted).collect();
    // A trace of nothing is solved as well: it takes no time, and every trace keeps its place.
    let idle = Wanted { decay: 0.5, noise: 1.0, smallest: 0.0, baseline: 0.0, penalty: Some(0.0) };
    let all: Vec<Wanted> = wanted.iter().map(|w| w.unwrap_or(idle)).collect();
    let at_once = Oasis::traces_at_once(gpu, traces.ncols()).min(rows.len());
    let mut oasis = Oasis::new(gpu, at_once, traces.ncols())?;
    let (mut calcium, mut events) = (Array2::zeros(traces.dim()), Array2::zeros(traces.dim()));
    let mut models = Vec::with_capacity(rows.len());
    for first in (0..rows.len()).step_by(at_once) {
        let end = (first + at_once).min(rows.len());
        oasis.load(traces.slice(s![first..end, ..]))?;
        models.extend(constrain(&oasis, &all[first..end], true)?);
        let [c, e] = oasis.expand()?;
        calcium.slice_mut(s![first..end, ..]).assign(&c);
        events.slice_mut(s![first..end, ..]).assign(&e);
    }
    let mut neurons = Vec::with_capacity(models.len());
    for (row, (model, wanted)) in models.iter().zip(&wanted).enumerate() {
        let Some(wanted) = wanted else {
            calcium.row_mut(row).fill(f32::NAN);
            events.row_mut(row).fill(f32::NAN);
            neurons.push(Fitted::nothing());
            continue;
        };
        let [decay, penalty, baseline, _] = model.words().map(f64::from);
        neurons.push(Fitted::new(baseline, [decay, 0.0], penalty, wanted.noise));
    }
    Ok(Inferred { events, calcium, neurons })
}

fn second_order(welch: &Welch, y: &[f32], decay: Option<Decay>, penalty: Option<f64>) -> One {
    let noise = welch.noise(y);
    let Some(values) = filled(y).filter(|_| !noise.is_nan()) else { return nothing(y.len()) };
    let decay = decay.unwrap_or_else(|| decay_of(y, noise, 2));
    let Some(mut found) = ar2::constrained(&values, decay, noise, penalty, low(y)) else {
        let (events, calcium, fitted) = nothing(y.len());
        return (events, calcium, Fitted { noise, ..fitted });
    };
    // Calcium that was there before is no event.
    let first = y.iter().take_while(|v| v.is_nan()).count();
    found.events.iter_mut().take(first + 2).for_each(|event| *event = 0.0);
    let fitted = Fitted::new(found.baseline, [decay.g1, decay.g2], found.penalty, noise);
    (found.events, found.calcium, fitted)
}

fn most_likely(y: &[f32], options: &oopsi::Oopsi) -> One {
    let Some(values) = filled(y).filter(|values| values.len() > 2) else { return nothing(y.len()) };
    let found = oopsi::solve(&values, options);
    let decay = [1.0 - 1.0 / options.time, 0.0];
    let fitted = Fitted::new(found.baseline, decay, options.rate, found.noise);
    (found.events, found.calcium, fitted)
}

/// Frames that say what the noise is.
const FEWEST_FRAMES: usize = 5;

/// The fewest events; the baseline has been taken off before. `noise`: of a row, and its frames that are not
/// missing.
fn fewest(
    changes: ArrayView2<'_, f32>,
    g: f64,
    penalty: Option<f64>,
    noise: &(dyn Fn(usize) -> (f64, usize) + Sync),
) -> Result<Inferred> {
    let rows = rows_of(changes);
    let one = |(row, y): (usize, &Vec<f32>)| {
        let (noise, there) = noise(row);
        if there >= FEWEST_FRAMES && (noise.is_nan() || noise == 0.0) {
            // Nothing moves: there are no events.
            let fitted = Fitted::new(0.0, [g, 0.0], penalty.unwrap_or(0.0), 0.0);
            return (vec![0.0; y.len()], vec![0.0; y.len()], fitted);
        }
        let Some(values) = filled(y).filter(|v| !noise.is_nan() && v.iter().all(|v| v.is_finite())) else {
            return nothing(y.len());
        };
        let (found, penalty) = match penalty {
            Some(penalty) => (l0::solve(&values, g, penalty), penalty),
            None => l0::without_small_events(&values, g, 2.0 * noise),
        };
        let fitted = Fitted::new(0.0, [g, 0.0], penalty, noise);
        (found.events, found.calcium, fitted)
    };
    gathered(changes.dim(), rows.par_iter().enumerate().map(one).collect())
}
