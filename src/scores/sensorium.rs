//! The three scores of the Sensorium competition of 2022, by its own definitions.
//!
//! [`super::score`] has scores of the same names that differ in two ways. Here a prediction belongs to a
//! trial and not to an image, for behaviour may be an input; and 1e-8 is added to each standard deviation of
//! a correlation, so that a constant neuron scores 0 and counts in the mean, where it has no score there.
//! Noise and explainable variance are the same ([`Trials::fev`]).

use std::collections::HashMap;

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;
use serde::Serialize;

use super::LEAST_FEV;
use super::agreement::{mean, variance};
use super::repeats::Trials;
use crate::error::{Error, Result};

/// What is added to each standard deviation of a correlation.
const EPSILON: f64 = 1e-8;

/// The scores of one neuron.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrialScores {
    /// [`correlation`] over all trials.
    pub single_trial_correlation: f64,
    /// [`correlation`] over images, of the means over the trials of each.
    pub correlation_to_average: f64,
    /// [`Trials::fev`]; NaN where no image was shown twice.
    pub fev: f64,
    /// `1 - (MSE - noise) / (total - noise)`, with MSE the mean of `(y - p)^2` over all trials; NaN where
    /// `fev` is, or where it is 0.
    pub feve: f64,
}

/// Pearson's correlation as Sensorium computes it: the mean of the products of `(a - mean) / (deviation +
/// 1e-8)`, with deviations over n. 0 where one side is constant; NaN for no values.
pub fn correlation(y: &[f64], p: &[f64]) -> f64 {
    let [y_mean, p_mean] = [y, p].map(mean);
    let [y_unit, p_unit] = [y, p].map(|values| variance(values, 0.0).sqrt() + EPSILON);
    let products = y.iter().zip(p).map(|(y, p)| (y - y_mean) / y_unit * ((p - p_mean) / p_unit));
    products.sum::<f64>() / y.len() as f64
}

/// Scores `predictions` against `responses`, both (neurons, trials); `images` says which image each trial
/// showed. A trial in which a neuron was not recorded (NaN) is left out of its scores.
///
/// # Errors
/// [`crate::Kind::Internal`] when shapes differ.
pub fn trial_scores(
    responses: ArrayView2<f32>,
    predictions: ArrayView2<f64>,
    images: &[usize],
) -> Result<Vec<TrialScores>> {
    if responses.dim() != predictions.dim() || responses.ncols() != images.len() {
        let found = format!("{:?} for {:?} of {} trials", predictions.dim(), responses.dim(), images.len());
        return Err(Error::internal("scores of trials", found));
    }
    let one = |neuron: usize| neuron_scores(responses.row(neuron), predictions.row(neuron), images);
    Ok((0..responses.nrows()).into_par_iter().map(one).collect())
}

/// Trials of each image, in the order in which images come first: places in the list of trials.
fn by_image(images: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let (mut numbers, mut groups) = (HashMap::new(), Vec::<Vec<usize>>::new());
    for (place, image) in images.enumerate() {
        let number = *numbers.entry(image).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        groups[number].push(place);
    }
    groups
}

fn neuron_scores(responses: ArrayView1<f32>, predictions: ArrayView1<f64>, images: &[usize]) -> TrialScores {
    let present: Vec<usize> = (0..images.len()).filter(|at| !responses[*at].is_nan()).collect();
    let y: Vec<f64> = present.iter().map(|at| f64::from(responses[*at])).collect();
    let p: Vec<f64> = present.iter().map(|at| predictions[*at]).collect();
    let groups = by_image(present.iter().map(|at| images[*at]));
    let of_images = |values: &[f64]| -> Vec<Vec<f64>> {
        groups.iter().map(|group| group.iter().map(|at| values[*at]).collect()).collect()
    };
    let averages = |values: &[f64]| of_images(values).iter().map(|group| mean(group)).collect::<Vec<_>>();
    let trials = Trials::of(of_images(&y));
    let errors: Vec<f64> = y.iter().zip(&p).map(|(y, p)| (y - p).powi(2)).collect();
    TrialScores {
        single_trial_correlation: correlation(&y, &p),
        correlation_to_average: correlation(&averages(&y), &averages(&p)),
        fev: trials.fev(),
        feve: trials.explained_of(mean(&errors)),
    }
}

/// The numbers that the competition ranks by: means over neurons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompetitionScores {
    /// How many neurons there are.
    pub neurons: usize,
    /// How many of them have no response in any of the trials, and so no score.
    pub neurons_without_responses: usize,
    /// Mean single-trial correlation over the others.
    pub single_trial_correlation: f64,
    /// Mean correlation to average over the same.
    pub correlation_to_average: f64,
    /// Mean FEVE over the neurons whose FEV is at least [`LEAST_FEV`]; NaN where none has.
    pub feve: f64,
    /// How many these are.
    pub feve_neurons: usize,
}

impl CompetitionScores {
    /// Means over neurons.
    pub fn new(scores: &[TrialScores]) -> Self {
        let recorded = || scores.iter().filter(|one| !one.single_trial_correlation.is_nan());
        let all = |of: fn(&TrialScores) -> f64| mean(&recorded().map(of).collect::<Vec<_>>());
        let explainable = scores.iter().filter(|one| one.fev >= LEAST_FEV);
        let feve: Vec<f64> = explainable.map(|one| one.feve).collect();
        CompetitionScores {
            neurons: scores.len(),
            neurons_without_responses: scores.len() - recorded().count(),
            single_trial_correlation: all(|one| one.single_trial_correlation),
            correlation_to_average: all(|one| one.correlation_to_average),
            feve: mean(&feve),
            feve_neurons: feve.len(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use serde::Deserialize;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-14, "{found} {wanted}");
    }

    #[test]
    fn by_hand() {
        // Image 7 twice, then image 3 twice; the second neuron is constant, the third is predicted by a
        // constant.
        let y = array![[1.0, 3.0, 4.0, 6.0], [2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 4.0, 6.0]];
        let p = array![[2.0, 2.0, 4.0, 6.0], [2.0, 2.0, 4.0, 6.0], [3.0, 3.0, 3.0, 3.0]];
        let found = trial_scores(y.view(), p.view(), &[7, 7, 3, 3]).unwrap();
        // y - 3.5: -5/2 -1/2 1/2 5/2, squares 13; p - 3.5: -3/2 -3/2 1/2 5/2, squares 11; products 15/4 +
        // 3/4 + 1/4 + 25/4 = 11. Deviations over 4: sqrt(13/4), sqrt(11/4).
        let units = ((13f64 / 4.0).sqrt() + 1e-8) * ((11f64 / 4.0).sqrt() + 1e-8);
        close(found[0].single_trial_correlation, 11.0 / 4.0 / units);
        // Means over trials 2 and 5, predicted 2 and 5: deviation 3/2, product 9/4.
        close(found[0].correlation_to_average, 2.25 / (1.5f64 + 1e-8).powi(2));
        assert!(found[0].correlation_to_average < 1.0 - 1e-9, "nothing is added to the deviations");
        // total = 13/3, noise = (2 + 2)/2 = 2, errors 1 1 0 0: MSE = 1/2.
        close(found[0].fev, (13.0 / 3.0 - 2.0) / (13.0 / 3.0));
        close(found[0].feve, 1.0 - (0.5 - 2.0) / (13.0 / 3.0 - 2.0));
        assert_eq!((found[1].single_trial_correlation, found[1].correlation_to_average), (0.0, 0.0));
        assert_eq!(found[2].single_trial_correlation, 0.0);
        // Errors 4 0 1 9: MSE = 7/2.
        close(found[2].feve, 1.0 - (3.5 - 2.0) / (13.0 / 3.0 - 2.0));
        let all = CompetitionScores::new(&found);
        close(all.single_trial_correlation, found[0].single_trial_correlation / 3.0);
        close(all.feve, 0.5 * (found[0].feve + found[2].feve));
        assert_eq!((all.neurons, all.feve_neurons), (3, 2));
    }

    #[test]
    fn predictions_of_images_score_as_in_a_fit() {
        let y = array![[1.0, 3.0, f32::NAN, 4.0, 5.0, 7.0, 6.0, 8.0]];
        let images = [0, 0, 0, 1, 1, 2, 2, 2];
        let p = [3.0, 4.0, 7.0];
        let predictions = Array2::from_shape_fn((1, 8), |(_, trial)| p[images[trial]]);
        let found = trial_scores(y.view(), predictions.view(), &images).unwrap()[0];
        let repeats = array![[[1.0, 3.0, f32::NAN], [4.0, 5.0, f32::NAN], [7.0, 6.0, 8.0]]];
        let fit = super::super::score(repeats.view(), array![[3.0, 4.0, 7.0]].view(), 0).unwrap()[0];
        assert_eq!((Some(found.fev), Some(found.feve)), (fit.test_fev, fit.feve));
        assert!((found.single_trial_correlation - fit.single_trial_correlation.unwrap()).abs() < 1e-7);
        assert!((found.correlation_to_average - fit.pearson_r).abs() < 1e-7);
    }

    #[test]
    fn a_neuron_below_the_least_fev_does_not_count_and_shapes_must_fit() {
        let one = TrialScores {
            single_trial_correlation: 0.5,
            correlation_to_average: 0.5,
            fev: 0.1499,
            feve: -40.0,
        };
        let all = CompetitionScores::new(&[one, TrialScores { fev: LEAST_FEV, feve: 0.25, ..one }]);
        assert_eq!((all.feve, all.feve_neurons), (0.25, 1));
        let y = array![[1.0f32, 2.0]];
        let same = y.mapv(f64::from);
        assert!(trial_scores(y.view(), same.view(), &[0]).is_err());
        let once = trial_scores(y.view(), same.view(), &[0, 1]).unwrap();
        assert!(once[0].fev.is_nan() && CompetitionScores::new(&once).feve.is_nan());
    }

    /// One case of `tests/golden/sensorium.json`, which `tools/reference/sensorium.py` computes with NumPy.
    #[derive(Deserialize)]
    struct Golden {
        images: Vec<usize>,
        responses: Vec<Vec<f32>>,
        predictions: Vec<Vec<f32>>,
        single_trial_correlation: Vec<f64>,
        correlation_to_average: Vec<f64>,
        fev: Vec<f64>,
        feve: Vec<f64>,
        means: [f64; 3],
    }

    #[test]
    fn numpy_finds_the_same() {
        let cases: Vec<Golden> =
            serde_json::from_str(include_str!("../../tests/golden/sensorium.json")).unwrap();
        for case in &cases {
            let matrix = |rows: &[Vec<f32>]| {
                Array2::from_shape_vec((rows.len(), case.images.len()), rows.concat()).unwrap()
            };
            let (y, p) = (matrix(&case.responses), matrix(&case.predictions).mapv(f64::from));
            let found = trial_scores(y.view(), p.view(), &case.images).unwrap();
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-11 * b.abs().max(1.0), "{a} {b}");
            for (n, one) in found.iter().enumerate() {
                near(one.single_trial_correlation, case.single_trial_correlation[n]);
                near(one.correlation_to_average, case.correlation_to_average[n]);
                near(one.fev, case.fev[n]);
                near(one.feve, case.feve[n]);
            }
            let all = CompetitionScores::new(&found);
            let means = [all.single_trial_correlation, all.correlation_to_average, all.feve];
            means.into_iter().zip(case.means).for_each(|(a, b)| near(a, b));
        }
        assert!(cases.len() > 2);
    }

    #[test]
    fn neurons_without_responses_are_skipped_and_counted() {
        let y = array![[1.0, 3.0, 4.0, 6.0], [f32::NAN, f32::NAN, f32::NAN, f32::NAN]];
        let p = array![[1.0, 2.0, 4.0, 6.0], [1.0, 2.0, 4.0, 6.0]];
        let found = trial_scores(y.view(), p.view(), &[0, 0, 1, 1]).unwrap();
        let (all, alone) = (CompetitionScores::new(&found), CompetitionScores::new(&found[..1]));
        assert_eq!((all.neurons, all.neurons_without_responses, alone.neurons_without_responses), (2, 1, 0));
        close(all.single_trial_correlation, found[0].single_trial_correlation);
        close(all.correlation_to_average, found[0].correlation_to_average);
        close(all.feve, alone.feve);
    }
}
