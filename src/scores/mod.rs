//! How well predictions agree with recorded responses. Every score is defined once, under its own name.

pub mod agreement;
pub mod bootstrap;
pub mod correlation;
pub mod held_out;
pub mod histogram;
pub mod linkage;
pub mod permutation;
pub mod reliability;
pub mod repeats;
pub mod sensorium;
mod words;

use std::collections::BTreeMap;

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::numbers::median;
use reliability::ceiling;
use repeats::Trials;

/// Neurons with a smaller fraction of explainable variance are left out of FEVE, as Sensorium does.
pub const LEAST_FEV: f64 = 0.15;

/// All scores of one neuron. NaN where a score has no value; `None` where the data have no repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NeuronScores {
    /// Whether the mean response, or the prediction, is the same for all images.
    pub constant: bool,
    /// [`agreement::pearson_r`] with the mean over repeats.
    pub pearson_r: f64,
    /// [`agreement::r2`] with the mean over repeats.
    pub r2: f64,
    /// [`agreement::explained_variance`] with the mean over repeats.
    pub explained_variance: f64,
    /// [`Trials::correlation_to_average`]: the number of `pearson_r` under the name it has with repeats.
    pub correlation_to_average: Option<f64>,
    /// [`Trials::single_trial_correlation`].
    pub single_trial_correlation: Option<f64>,
    /// [`agreement::r2`] over all trials. FEV is its ceiling where trials of an image are predicted alike.
    pub single_trial_r2: Option<f64>,
    /// [`Trials::fev`] of these images, which are the test images of a fit:
    /// [`reliability::NeuronReliability::fev`] is that of all images.
    pub test_fev: Option<f64>,
    /// [`Trials::feve`], with the squared errors of the predictions of trials where there are any.
    pub feve: Option<f64>,
    /// [`Trials::split_half`] of these images.
    pub test_split_half: Option<f64>,
    /// [`Trials::oracle_jackknife`] of these images.
    pub test_oracle_jackknife: Option<f64>,
    /// The noise [`ceiling`] of `pearson_r`, from `test_split_half`.
    pub ceiling: Option<f64>,
    /// `pearson_r` over `ceiling`: the correlation with the true mean response, as far as that can be told.
    pub normalised_r: Option<f64>,
}

impl NeuronScores {
    /// Whether enough of the responses can be explained for a share of that to mean something: `test_fev` is
    /// at least [`LEAST_FEV`].
    pub fn is_explainable(&self) -> bool {
        self.test_fev.is_some_and(|fev| fev >= LEAST_FEV)
    }
}

/// Predictions to score.
#[derive(Debug, Clone)]
pub struct Predicted<'a> {
    /// (neurons, images).
    pub images: ArrayView2<'a, f32>,
    /// (neurons, images, repeats), where trials of an image are predicted differently; `images` then holds
    /// their means.
    pub trials: Option<ArrayView3<'a, f32>>,
}

impl<'a> From<ArrayView2<'a, f32>> for Predicted<'a> {
    fn from(images: ArrayView2<'a, f32>) -> Self {
        Predicted { images, trials: None }
    }
}

/// Scores predictions against `repeats` (neurons, images, repeats; NaN where missing). Scores of single
/// trials, and FEVE, whose error is that of all trials, are of the predictions of trials, where there are
/// any; all others of those of images. `seed` draws the halves of [`Trials::split_half`].
///
/// # Errors
/// [`crate::Kind::Internal`] when there are other numbers of neurons, images or repeats.
pub fn score<'a>(
    repeats: ArrayView3<f32>,
    predictions: impl Into<Predicted<'a>>,
    seed: u64,
) -> Result<Vec<NeuronScores>> {
    let (neurons, images, _) = repeats.dim();
    let Predicted { images: predicted, trials: of_trials } = predictions.into();
    if predicted.dim() != (neurons, images) || of_trials.as_ref().is_some_and(|t| t.dim() != repeats.dim()) {
        let found = format!("predictions {:?} for responses {:?}", predicted.dim(), repeats.dim());
        return Err(Error::internal("scores", found));
    }
    let one = |neuron: usize| {
        let measured = repeats.index_axis(Axis(0), neuron);
        let trials = Trials::new(measured.outer_iter());
        let prediction: Vec<f64> = predicted.row(neuron).iter().map(|&p| f64::from(p)).collect();
        let pairs = match &of_trials {
            None => trials.pairs(&prediction),
            Some(all) => {
                let pairs = measured.iter().zip(all.index_axis(Axis(0), neuron));
                pairs.filter(|(y, _)| !y.is_nan()).map(|(y, p)| (f64::from(*y), f64::from(*p))).unzip()
            }
        };
        score_neuron(&trials, &prediction, pairs, seed)
    };
    Ok((0..neurons).into_par_iter().map(one).collect())
}

/// `single` are the responses in all trials, and their predictions.
fn score_neuron(
    trials: &Trials,
    prediction: &[f64],
    single: (Vec<f64>, Vec<f64>),
    seed: u64,
) -> NeuronScores {
    let (y, p) = single;
    let average = trials.averages();
    let pearson_r = agreement::pearson_r(&average, prediction);
    let errors: Vec<f64> = y.iter().zip(&p).map(|(y, p)| (y - p).powi(2)).collect();
    let repeated = trials.has_repeats();
    let split_half = repeated.then(|| trials.split_half(seed));
    let ceiling = split_half.map(ceiling);
    NeuronScores {
        constant: agreement::is_constant(&average) || agreement::is_constant(prediction),
        pearson_r,
        r2: agreement::r2(&average, prediction),
        explained_variance: agreement::explained_variance(&average, prediction),
        correlation_to_average: repeated.then_some(pearson_r),
        single_trial_correlation: repeated.then(|| agreement::pearson_r(&y, &p)),
        single_trial_r2: repeated.then(|| agreement::r2(&y, &p)),
        test_fev: repeated.then(|| trials.fev()),
        feve: repeated.then(|| trials.explained_of(agreement::mean(&errors))),
        test_split_half: split_half,
        test_oracle_jackknife: repeated.then(|| trials.oracle_jackknife()),
        ceiling,
        normalised_r: ceiling.map(|ceiling| pearson_r / ceiling),
    }
}

/// Scores over all neurons. Medians and means are over the neurons that have a number; NaN where none has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many neurons there are.
    pub neurons: usize,
    /// How many have a constant response or a constant prediction.
    pub constant_neurons: usize,
    /// How many neurons each score skips, by its name: those that are NaN or without repeats, and for `feve`
    /// and `normalised_r` those with a `test_fev` below [`LEAST_FEV`].
    pub skipped: BTreeMap<&'static str, usize>,
    /// Median of `pearson_r`.
    pub median_r: f64,
    /// Mean of `pearson_r`.
    pub mean_r: f64,
    /// Median of `r2`.
    pub median_r2: f64,
    /// Median of `explained_variance`.
    pub median_explained_variance: f64,
    /// Median of `correlation_to_average`.
    pub median_correlation_to_average: f64,
    /// Mean of `correlation_to_average`.
    pub mean_correlation_to_average: f64,
    /// Median of `single_trial_correlation`.
    pub median_single_trial_correlation: f64,
    /// Mean of `single_trial_correlation`.
    pub mean_single_trial_correlation: f64,
    /// Median of `single_trial_r2`.
    pub median_single_trial_r2: f64,
    /// Median of `normalised_r` over the neurons whose `test_fev` is at least [`LEAST_FEV`].
    pub median_normalised_r: f64,
    /// Median of `test_fev` over all neurons.
    pub median_test_fev: f64,
    /// Median of `feve` over the neurons whose `test_fev` is at least [`LEAST_FEV`].
    pub median_feve: f64,
    /// Mean of `feve` over the same neurons: Sensorium's number.
    pub mean_feve: f64,
    /// How many neurons `median_feve` and `mean_feve` are over.
    pub feve_neurons: usize,
    /// Median of `test_split_half`.
    pub median_test_split_half: f64,
    /// Median of `test_oracle_jackknife`.
    pub median_test_oracle_jackknife: f64,
}

impl Summary {
    /// Summarises the scores of all neurons.
    pub fn new(scores: &[NeuronScores]) -> Summary {
        let mut skipped = BTreeMap::new();
        let mut numbers = |name: &'static str, of: fn(&NeuronScores) -> Option<f64>| -> Vec<f64> {
            let numbers: Vec<f64> = scores.iter().filter_map(of).filter(|v| !v.is_nan()).collect();
            skipped.insert(name, scores.len() - numbers.len());
            numbers
        };
        let r = numbers("pearson_r", |s| Some(s.pearson_r));
        let to_average = numbers("correlation_to_average", |s| s.correlation_to_average);
        let single_trial = numbers("single_trial_correlation", |s| s.single_trial_correlation);
        let feve = numbers("feve", |s| s.feve.filter(|_| s.is_explainable()));
        let normalised = |s: &NeuronScores| s.normalised_r.filter(|_| s.is_explainable());
        Summary {
            neurons: scores.len(),
            constant_neurons: scores.iter().filter(|s| s.constant).count(),
            median_r2: median(numbers("r2", |s| Some(s.r2))),
            median_explained_variance: median(numbers("explained_variance", |s| Some(s.explained_variance))),
            median_single_trial_r2: median(numbers("single_trial_r2", |s| s.single_trial_r2)),
            median_normalised_r: median(numbers("normalised_r", normalised)),
            median_test_fev: median(numbers("test_fev", |s| s.test_fev)),
            median_test_split_half: median(numbers("test_split_half", |s| s.test_split_half)),
            median_test_oracle_jackknife: median(numbers("test_oracle_jackknife", |s| {
                s.test_oracle_jackknife
            })),
            mean_r: agreement::mean(&r),
            median_r: median(r),
            mean_correlation_to_average: agreement::mean(&to_average),
            median_correlation_to_average: median(to_average),
            mean_single_trial_correlation: agreement::mean(&single_trial),
            median_single_trial_correlation: median(single_trial),
            mean_feve: agreement::mean(&feve),
            feve_neurons: feve.len(),
            median_feve: median(feve),
            skipped,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::random::Random;
    use ndarray::{Array2, Array3, s};

    /// Responses with a signal and noise, ragged, and predictions of that signal with errors.
    fn recording(neurons: usize, repeats: usize) -> (Array3<f32>, Array2<f32>) {
        let mut random = Random::stream(1, "recording");
        let signal = Array2::from_shape_fn((neurons, 40), |_| random.normal() as f32);
        let mut y = Array3::from_shape_fn((neurons, 40, repeats), |(n, i, _)| {
            signal[[n, i]] + random.normal() as f32
        });
        if repeats > 2 {
            y.slice_mut(s![.., 5..9, 2]).fill(f32::NAN);
        }
        let p = signal.mapv(|s| s + 0.3 * random.normal() as f32);
        (y, p)
    }

    #[test]
    fn scores_agree_with_brute_force() {
        let (y, p) = recording(3, 4);
        let scores = score(y.view(), p.view(), 9).unwrap();
        for (n, found) in scores.iter().enumerate() {
            let mut trials = Vec::new();
            for ((image, _), &value) in y.index_axis(Axis(0), n).indexed_iter() {
                if !value.is_nan() {
                    trials.push((image, f64::from(value), f64::from(p[[n, image]])));
                }
            }
            let count = trials.len() as f64;
            let mean = trials.iter().map(|t| t.1).sum::<f64>() / count;
            let total = trials.iter().map(|t| (t.1 - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let mse = trials.iter().map(|t| (t.1 - t.2).powi(2)).sum::<f64>() / count;
            let mut noise = 0.0;
            for image in 0..40 {
                let of: Vec<f64> = trials.iter().filter(|t| t.0 == image).map(|t| t.1).collect();
                let mean = of.iter().sum::<f64>() / of.len() as f64;
                noise += of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (of.len() as f64 - 1.0) / 40.0;
            }
            assert!((found.test_fev.unwrap() - (total - noise) / total).abs() < 1e-12);
            assert!((found.feve.unwrap() - (1.0 - (mse - noise) / (total - noise))).abs() < 1e-12);
            assert_eq!(found.correlation_to_average, Some(found.pearson_r));
            assert!(found.pearson_r > found.single_trial_correlation.unwrap());
        }
    }

    #[test]
    fn scores_ignore_the_order_of_images_neurons_and_repeats() {
        let (y, p) = recording(4, 3);
        let scores = score(y.view(), p.view(), 9).unwrap();
        let turned = score(y.slice(s![..;-1, ..;-1, ..;-1]), p.slice(s![..;-1, ..;-1]), 9).unwrap();
        for (a, b) in scores.iter().zip(turned.iter().rev()) {
            assert!((a.pearson_r - b.pearson_r).abs() < 1e-12 && (a.r2 - b.r2).abs() < 1e-12);
            assert!((a.feve.unwrap() - b.feve.unwrap()).abs() < 1e-12);
            assert!((a.test_oracle_jackknife.unwrap() - b.test_oracle_jackknife.unwrap()).abs() < 1e-12);
        }
        let alone = score(y.slice(s![2..3, .., ..]), p.slice(s![2..3, ..]), 9).unwrap();
        assert_eq!(alone[0], scores[2], "a neuron's scores do not depend on the others");
    }

    #[test]
    fn the_summary_skips_and_counts() {
        let (mut y, mut p) = recording(5, 3);
        y.slice_mut(s![0, .., ..]).fill(2.0);
        p.row_mut(1).fill(0.5);
        let scores = score(y.view(), p.view(), 0).unwrap();
        let summary = Summary::new(&scores);
        assert_eq!((summary.neurons, summary.constant_neurons), (5, 2));
        assert_eq!(
            (summary.skipped["pearson_r"], summary.skipped["r2"], summary.skipped["test_fev"]),
            (2, 1, 1)
        );
        assert_eq!((summary.feve_neurons, summary.skipped["feve"]), (4, 1));
        let mut r: Vec<f64> = scores[2..].iter().map(|s| s.pearson_r).collect();
        r.sort_by(f64::total_cmp);
        assert_eq!(summary.median_r, r[1]);
        assert!((summary.mean_r - r.iter().sum::<f64>() / 3.0).abs() < 1e-15);
    }

    #[test]
    fn noisy_neurons_are_left_out_of_feve() {
        let (y, p) = recording(2, 3);
        let mut scores = score(y.view(), p.view(), 0).unwrap();
        scores[0].test_fev = Some(0.149);
        let summary = Summary::new(&scores);
        assert_eq!((summary.feve_neurons, Some(summary.median_feve)), (1, scores[1].feve));
        scores[0].test_fev = Some(LEAST_FEV);
        assert_eq!(Summary::new(&scores).feve_neurons, 2);
    }

    #[test]
    fn without_repeats_only_agreement_is_scored() {
        let (y, p) = recording(3, 1);
        let scores = score(y.view(), p.view(), 0).unwrap();
        assert!(
            scores.iter().all(|s| s.pearson_r > 0.3 && s.test_fev.is_none() && s.test_split_half.is_none())
        );
        let summary = Summary::new(&scores);
        assert!(summary.median_feve.is_nan() && summary.skipped["feve"] == 3);
        assert!(score(y.view(), p.slice(s![..2, ..]), 0).is_err());
        assert!(Summary::new(&[]).median_r.is_nan());
    }

    #[test]
    fn predictions_of_trials_count_for_scores_of_single_trials_alone() {
        let (y, _) = recording(2, 3);
        // Predictions that know every trial, but for a constant.
        let of_trials = y.mapv(|v| 2.0 * v + 1.0);
        let images = y.map_axis(Axis(2), |v| 2.0 * v[0] + 1.0);
        let predicted = Predicted { images: images.view(), trials: Some(of_trials.view()) };
        let found = score(y.view(), predicted, 0).unwrap();
        let alone = score(y.view(), images.view(), 0).unwrap();
        for (one, alone) in found.iter().zip(&alone) {
            assert!((one.single_trial_correlation.unwrap() - 1.0).abs() < 1e-6);
            assert!(alone.single_trial_correlation.unwrap() < 0.9);
            assert_eq!((one.pearson_r, one.r2), (alone.pearson_r, alone.r2));
        }
        let few = of_trials.slice(s![.., .., ..2]);
        let predicted = Predicted { images: images.view(), trials: Some(few) };
        assert!(score(y.view(), predicted, 0).is_err());
        // Trials 1 3 | 4 6, predicted 2 2 | 4 6: SSE = 2, SST = 13.
        let y = ndarray::array![[[1.0f32, 3.0], [4.0, 6.0]]];
        let p = ndarray::array![[[2.0f32, 2.0], [4.0, 6.0]]];
        let images = ndarray::array![[2.0f32, 5.0]];
        let predicted = Predicted { images: images.view(), trials: Some(p.view()) };
        let r2 = score(y.view(), predicted, 0).unwrap()[0].single_trial_r2.unwrap();
        assert!((r2 - (1.0 - 2.0 / 13.0)).abs() < 1e-12, "{r2}");
        // FEVE of those: MSE = 2 / 4, noise = 2, total = 13 / 3.
        let feve = |predicted| score(y.view(), predicted, 0).unwrap()[0].feve.unwrap();
        let of_trials = feve(Predicted { images: images.view(), trials: Some(p.view()) });
        assert!((of_trials - (1.0 - (0.5 - 2.0) / (13.0 / 3.0 - 2.0))).abs() < 1e-12, "{of_trials}");
        assert!((feve(images.view().into()) - (1.0 - (1.0 - 2.0) / (13.0 / 3.0 - 2.0))).abs() < 1e-12);
    }
}
