//! How much of a recording can be explained at all: before any fit, from the repeats alone.

use ndarray::{ArrayView3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::bootstrap::{DRAWS, Interval, Resamples};
use super::permutation::{PERMUTATIONS, benjamini_hochberg, p_values};
use super::repeats::{Trials, explained};
use super::{LEAST_FEV, words};
use crate::numbers::median;

/// The share of false ones among the neurons that are called tuned, on average.
pub const FALSE_DISCOVERIES: f64 = 0.05;

/// Neurons whose trials are held in f64 at once, twice.
pub const AT_ONCE: usize = 256;

/// How reliable one neuron is, over all images. NaN where there is no value; `None` where the data have no
/// repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NeuronReliability {
    /// [`Trials::fev`].
    pub fev: Option<f64>,
    /// Its 95 % bootstrap interval over images.
    pub fev_interval: Option<Interval>,
    /// [`Trials::split_half`].
    pub split_half: Option<f64>,
    /// [`Trials::oracle_jackknife`].
    pub oracle_jackknife: Option<f64>,
    /// [`p_values`]: that its responses do not depend on the image.
    pub p_value: Option<f64>,
    /// Whether that is ruled out, with [`FALSE_DISCOVERIES`] over all neurons.
    pub tuned: Option<bool>,
}

impl NeuronReliability {
    /// The noise ceiling, [`ceiling`] of the split-half reliability.
    pub fn ceiling(&self) -> Option<f64> {
        self.split_half.map(ceiling)
    }
}

/// The noise ceiling of a correlation with the mean over repeats: the square root of the mean's split-half
/// reliability (Spearman and Brown's, of all repeats), which is the correlation of that mean with the true
/// mean response. NaN where the reliability is not above 0.
pub fn ceiling(split_half: f64) -> f64 {
    if split_half > 0.0 { split_half.sqrt() } else { f64::NAN }
}

/// The reliability of every neuron from `repeats` (neurons, images, repeats; NaN where missing). `seed` draws
/// halves, images and permutations.
pub fn reliability(repeats: ArrayView3<f32>, seed: u64) -> Vec<NeuronReliability> {
    let (neurons, images, _) = repeats.dim();
    let resamples = Resamples::new(seed, "images", images, DRAWS);
    let of = |neuron: usize| Trials::new(repeats.index_axis(Axis(0), neuron).outer_iter());
    let mut all: Vec<NeuronReliability> = Vec::with_capacity(neurons);
    // No draw depends on which neurons are looked at together.
    for first in (0..neurons).step_by(AT_ONCE) {
        let range = first..(first + AT_ONCE).min(neurons);
        let trials: Vec<Trials> = range.into_par_iter().map(of).collect();
        let p = p_values(&trials, PERMUTATIONS, seed);
        let some = trials.par_iter().zip(&p).map(|(trials, p)| one(trials, *p, &resamples, seed));
        all.par_extend(some);
    }
    let p: Vec<f64> = all.iter().map(|one| one.p_value.unwrap_or(f64::NAN)).collect();
    for (one, tuned) in all.iter_mut().zip(benjamini_hochberg(&p, FALSE_DISCOVERIES)) {
        one.tuned = one.p_value.map(|_| tuned);
    }
    all
}

/// One neuron, of which it is not yet said whether it is tuned.
fn one(trials: &Trials, p: f64, resamples: &Resamples, seed: u64) -> NeuronReliability {
    let repeated = trials.has_repeats();
    let interval = || Interval::of(resamples.of_sums(&trials.sums(None), |sums| explained(sums)[0]));
    NeuronReliability {
        fev: repeated.then(|| trials.fev()),
        fev_interval: repeated.then(interval),
        split_half: repeated.then(|| trials.split_half(seed)),
        oracle_jackknife: repeated.then(|| trials.oracle_jackknife()),
        p_value: repeated.then_some(p),
        tuned: None,
    }
}

/// The size of a recording, and of the readout that is to explain it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recording {
    /// Images shown.
    pub images: usize,
    /// Repeats of an image, on average over images and neurons.
    pub mean_repeats: f64,
    /// Images that a readout is fitted to, and the features that it may use.
    pub fitted: Option<[usize; 2]>,
}

impl Recording {
    /// Of `repeats` (neurons, images, repeats; NaN where missing).
    pub fn of(repeats: ArrayView3<f32>, fitted: Option<[usize; 2]>) -> Self {
        let (neurons, images, _) = repeats.dim();
        let trials = repeats.iter().filter(|v| !v.is_nan()).count();
        Recording { images, mean_repeats: trials as f64 / (neurons * images).max(1) as f64, fitted }
    }
}

/// Reliability over all neurons, in numbers and in words. Medians are over the neurons that have a number;
/// NaN where none has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilitySummary {
    /// Number of neurons.
    pub neurons: usize,
    /// Neurons with repeats, of which alone anything is known.
    pub with_repeats: usize,
    /// Neurons that respond to the images at all.
    pub tuned: usize,
    /// The numbers of those with repeats that are not known to.
    pub untuned: Vec<usize>,
    /// The size of the recording.
    pub recording: Recording,
    /// Median of `fev`.
    pub median_fev: f64,
    /// Its 95 % bootstrap interval over neurons.
    pub median_fev_interval: Interval,
    /// Median of `split_half`.
    pub median_split_half: f64,
    /// Median of the noise ceiling of a correlation with the mean over repeats.
    pub median_ceiling: f64,
    /// Median of `oracle_jackknife`.
    pub median_oracle_jackknife: f64,
    /// Neurons whose `fev` is at least [`LEAST_FEV`].
    pub explainable: usize,
    /// The same in plain sentences.
    pub sentences: Vec<String>,
}

impl ReliabilitySummary {
    /// Summarises all neurons. `names`, where there are any, are for the sentences; `seed` draws neurons.
    pub fn new(
        neurons: &[NeuronReliability],
        recording: Recording,
        names: Option<&[String]>,
        seed: u64,
    ) -> Self {
        let numbers = |of: fn(&NeuronReliability) -> Option<f64>| -> Vec<f64> {
            neurons.iter().filter_map(of).filter(|v| !v.is_nan()).collect()
        };
        let fev = numbers(|n| n.fev);
        let resamples = Resamples::new(seed, "neurons", fev.len(), DRAWS);
        let untuned = neurons.iter().enumerate().filter(|(_, n)| n.tuned == Some(false));
        let mut summary = ReliabilitySummary {
            neurons: neurons.len(),
            with_repeats: neurons.iter().filter(|n| n.p_value.is_some()).count(),
            tuned: neurons.iter().filter(|n| n.tuned == Some(true)).count(),
            untuned: untuned.map(|(number, _)| number).collect(),
            recording,
            median_fev_interval: Interval::of(resamples.median(&fev)),
            explainable: fev.iter().filter(|v| **v >= LEAST_FEV).count(),
            median_fev: median(fev),
            median_split_half: median(numbers(|n| n.split_half)),
            // A neuron whose halves do not agree has a ceiling of 0, as its part in the other medians says.
            median_ceiling: median(numbers(|n| n.split_half.map(|r| r.max(0.0).sqrt()))),
            median_oracle_jackknife: median(numbers(|n| n.oracle_jackknife)),
            sentences: Vec::new(),
        };
        summary.sentences = words::sentences(&summary, names);
        summary
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::random::Random;
    use ndarray::{Array3, s};

    /// Neurons of a signal-to-noise ratio; every fourth is untuned.
    fn recording(neurons: usize, images: usize, repeats: usize, signal: f64) -> Array3<f32> {
        let mut random = Random::stream(1, "recording");
        let mut y = Array3::zeros((neurons, images, repeats));
        for (n, mut neuron) in y.outer_iter_mut().enumerate() {
            for mut image in neuron.outer_iter_mut() {
                let mean = if n.is_multiple_of(4) { 0.0 } else { signal * random.normal() };
                image.mapv_inplace(|_| (mean + random.normal()) as f32);
            }
        }
        y
    }

    #[test]
    fn untuned_neurons_are_found_and_intervals_hold_the_truth() {
        let y = recording(80, 100, 6, 0.7);
        let all = reliability(y.view(), 3);
        for (n, one) in all.iter().enumerate() {
            assert_eq!(one.fev.unwrap(), Trials::new(y.index_axis(Axis(0), n).outer_iter()).fev());
            assert!(one.fev_interval.unwrap().holds(one.fev.unwrap()), "{n}: {one:?}");
        }
        let wrong = all.iter().enumerate().filter(|(n, one)| one.tuned == Some(n.is_multiple_of(4))).count();
        // Five in a hundred of those called tuned may be wrong; among 60 eight would be far more.
        assert!(wrong < 8, "{wrong}");
        let truth = 0.49 / 1.49;
        let held = |n: usize, one: &NeuronReliability| {
            one.fev_interval.unwrap().holds(if n.is_multiple_of(4) { 0.0 } else { truth })
        };
        let covered = all.iter().enumerate().filter(|(n, one)| held(*n, one)).count();
        assert!((68..=80).contains(&covered), "{covered} of 80");
        let summary = ReliabilitySummary::new(&all, Recording::of(y.view(), None), None, 0);
        assert_eq!((summary.with_repeats, summary.tuned + summary.untuned.len()), (80, 80));
        assert_eq!(all, reliability(y.view(), 3));
        assert_eq!(summary.recording.mean_repeats, 6.0);
    }

    #[test]
    fn without_repeats_nothing_is_known() {
        let y = recording(3, 20, 1, 1.0);
        let all = reliability(y.view(), 0);
        assert!(all.iter().all(|n| n.fev.is_none() && n.tuned.is_none() && n.ceiling().is_none()));
        let summary = ReliabilitySummary::new(&all, Recording::of(y.view(), Some([16, 900])), None, 0);
        assert!(summary.median_fev.is_nan() && summary.sentences.join(" ").contains("no repeats"));
    }

    #[test]
    fn constant_neurons_are_said_to_be_so() {
        let said = |y: &Array3<f32>| {
            let all = reliability(y.view(), 0);
            ReliabilitySummary::new(&all, Recording::of(y.view(), None), None, 0).sentences
        };
        let constant = Array3::from_elem((3, 20, 4), 0.1f32);
        let none = said(&constant);
        assert!(
            none.len() == 1 && none[0].starts_with("All 3 neurons with repeats respond the same"),
            "{none:?}"
        );
        // One neuron that changes is enough for numbers, and no sentence has one that is none.
        let mut one = constant;
        one.slice_mut(s![1, .., ..]).assign(&recording(2, 20, 4, 1.0).slice(s![1, .., ..]));
        let some = said(&one).join(" ");
        assert!(some.contains("median over neurons") && !some.contains("NaN"), "{some}");
    }

    /// What seed 000 met: so much noise in single trials that R2 is near 0 whatever predicts them.
    #[test]
    fn hopeless_single_trials_are_announced() {
        let y = recording(40, 100, 20, 0.15);
        let summary = |y: ArrayView3<f32>| {
            let all = reliability(y, 0);
            ReliabilitySummary::new(&all, Recording::of(y, Some([80, 4000])), None, 0).sentences.join(" ")
        };
        let said = summary(y.view());
        assert!(said.contains("near 0") && said.contains("4000 features"), "{said}");
        let good = recording(40, 100, 20, 1.0);
        assert!(!summary(good.slice(s![.., .., ..])).contains("near 0"));
    }
}
