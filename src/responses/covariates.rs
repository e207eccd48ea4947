//! What running and arousal add to responses, taken out by least squares.

use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use serde::Serialize;

/// What [`regress_out`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Regressed {
    /// Trials without one of the covariates, for which its mean stood.
    pub missing: usize,
    /// Neurons of which nothing could be said: too few trials.
    pub left_alone: usize,
}

/// Takes the linear effect of covariates out of responses (neurons, images, repeats).
///
/// For each neuron, least squares of its responses on the covariates and a constant, in f64, over the trials of images that
/// train; then of every trial `y - sum over covariates of b (c - mean c)`: the residual plus the mean. `covariates` has a list for each,
/// with a value for each trial; a trial that lacks it (NaN) takes the covariate's mean over training trials. `places` are the
/// trials' images and repeats, `trains` says which images train. A covariate that is constant, or that the others make up,
/// has no effect.
pub fn regress_out(
    responses: &mut Array3<f32>,
    covariates: &[&[f32]],
    places: &[[usize; 2]],
    trains: &[bool],
) -> Regressed {
    let training: Vec<bool> = places.iter().map(|[image, _]| trains[*image]).collect();
    let centred: Vec<Vec<f64>> = covariates.iter().map(|values| centred(values, &training)).collect();
    let lacks = |trial: &usize| covariates.iter().any(|values| !values[*trial].is_finite());
    let missing = (0..places.len()).filter(lacks).count();
    let one = |mut neuron: ArrayViewMut2<f32>| {
        let present = |trial: &usize| training[*trial] && !neuron[places[*trial]].is_nan();
        let trials: Vec<usize> = (0..places.len()).filter(present).collect();
        if trials.len() <= covariates.len() + 1 {
            return 1;
        }
        let y: Vec<f64> = trials.iter().map(|t| f64::from(neuron[places[*t]])).collect();
        let rows: Vec<Vec<f64>> = centred.iter().map(|c| trials.iter().map(|t| c[*t]).collect()).collect();
        let slopes = slopes(rows, y);
        for (trial, place) in places.iter().enumerate() {
            let effect: f64 = slopes.iter().zip(&centred).map(|(b, c)| b * c[trial]).sum();
            neuron[*place] = (f64::from(neuron[*place]) - effect) as f32;
        }
        0
    };
    let neurons: Vec<_> = responses.axis_iter_mut(Axis(0)).collect();
    Regressed { missing, left_alone: neurons.into_par_iter().map(one).sum() }
}

/// Values less their mean over training trials; 0 where one is missing.
fn centred(values: &[f32], training: &[bool]) -> Vec<f64> {
    let known =
        || values.iter().zip(training).filter(|(v, t)| **t && v.is_finite()).map(|(v, _)| f64::from(*v));
    let mean = known().sum::<f64>() / known().count().max(1) as f64;
    values.iter().map(|v| if v.is_finite() { f64::from(*v) - mean } else { 0.0 }).collect()
}

/// What is left of a covariate's squares, as a share, where the constant and the covariates before it make it up.
const MADE_UP: f64 = 1e-10;

/// Slopes of y on the rows, with a constant: Gram and Schmidt's orthogonal parts of the rows, in order.
fn slopes(mut rows: Vec<Vec<f64>>, mut y: Vec<f64>) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let centre = |values: &mut Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|v| *v -= mean);
    };
    centre(&mut y);
    let count = rows.len();
    // shares[i][j]: how much of orthogonal row j is in row i.
    let mut shares = vec![vec![0.0; count]; count];
    let mut along = vec![0.0; count];
    for i in 0..count {
        let whole = dot(&rows[i], &rows[i]);
        centre(&mut rows[i]);
        let (before, rest) = rows.split_at_mut(i);
        for (j, other) in before.iter().enumerate() {
            let square = dot(other, other);
            shares[i][j] = if square > 0.0 { dot(&rest[0], other) / square } else { 0.0 };
            rest[0].iter_mut().zip(other).for_each(|(v, o)| *v -= shares[i][j] * o);
        }
        let square = dot(&rest[0], &rest[0]);
        if square <= MADE_UP * whole {
            rest[0].iter_mut().for_each(|v| *v = 0.0);
        } else {
            along[i] = dot(&rest[0], &y) / square;
        }
    }
    for i in (0..count).rev() {
        along[i] -= (i + 1..count).map(|k| along[k] * shares[k][i]).sum::<f64>();
    }
    along
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// 3 neurons, 40 images, 6 repeats; the third neuron was recorded in no training trial.
    fn recording() -> (Array3<f32>, Array3<f32>, Vec<Vec<f32>>, Vec<[usize; 2]>) {
        let mut random = Random::stream(5, "covariates");
        let places: Vec<[usize; 2]> = (0..240).map(|t| [t % 40, t / 40]).collect();
        let speed: Vec<f32> = (0..240).map(|_| 5.0 + 3.0 * random.normal() as f32).collect();
        let pupil: Vec<f32> = speed.iter().map(|s| 0.5 * s + random.normal() as f32).collect();
        let clean = Array3::from_shape_fn((3, 40, 6), |(n, image, _)| (n + image) as f32 / 10.0);
        let mut y = clean.clone();
        for (t, [image, repeat]) in places.iter().enumerate() {
            y[[0, *image, *repeat]] += 0.7 * (speed[t] - 5.0) - 0.4 * pupil[t];
            if *image < 30 {
                y[[2, *image, *repeat]] = f32::NAN;
            }
        }
        (y, clean, vec![speed, pupil], places)
    }

    /// Correlation of a neuron's residuals about its image means with a covariate.
    fn left(y: &Array3<f32>, neuron: usize, covariate: &[f32], places: &[[usize; 2]]) -> f64 {
        let means = y.index_axis(Axis(0), neuron).mean_axis(Axis(1)).unwrap_or_default();
        let r: Vec<f64> = places.iter().map(|[i, k]| f64::from(y[[neuron, *i, *k]] - means[*i])).collect();
        crate::scores::agreement::pearson_r(&r, &covariate.iter().map(|v| f64::from(*v)).collect::<Vec<_>>())
    }

    #[test]
    fn effects_are_taken_out_and_images_stay() {
        let (mut y, clean, covariates, places) = recording();
        let trains: Vec<bool> = (0..40).map(|image| image < 30).collect();
        let lists: Vec<&[f32]> = covariates.iter().map(Vec::as_slice).collect();
        assert!(left(&y, 0, lists[0], &places) > 0.5);
        let before = y.clone();
        let did = regress_out(&mut y, &lists, &places, &trains);
        assert_eq!((did.missing, did.left_alone), (0, 1));
        assert!(left(&y, 0, lists[0], &places).abs() < 0.15, "{}", left(&y, 0, lists[0], &places));
        let means = |y: &Array3<f32>, n| y.index_axis(Axis(0), n).mean_axis(Axis(1)).unwrap_or_default();
        let both = [means(&y, 0), means(&clean, 0)].map(|m| m.mapv(f64::from).to_vec());
        assert!(crate::scores::agreement::pearson_r(&both[0], &both[1]) > 0.99);
        // A neuron that nothing was added to keeps its images; one without trials is as it was.
        assert!(
            left(&y, 1, lists[0], &places).abs() < 0.5
                && (means(&y, 1) - means(&clean, 1)).iter().all(|d| d.abs() < 0.1)
        );
        let third = |y: &Array3<f32>| y.index_axis(Axis(0), 2).mapv(f32::to_bits);
        assert_eq!(third(&y), third(&before));
    }

    #[test]
    fn missing_and_constant_covariates_change_nothing() {
        let (mut y, _, mut covariates, places) = recording();
        covariates[0] = vec![3.0; 240];
        covariates[1] = vec![f32::NAN; 240];
        let before = y.clone();
        let lists: Vec<&[f32]> = covariates.iter().map(Vec::as_slice).collect();
        assert_eq!(regress_out(&mut y, &lists, &places, &[true; 40]).missing, 240);
        assert_eq!(y.mapv(f32::to_bits), before.mapv(f32::to_bits));
    }

    #[test]
    fn slopes_are_those_of_least_squares() {
        let rows = vec![vec![1.0, 2.0, 4.0, 7.0, 11.0], vec![2.0, 1.0, 0.0, 5.0, 3.0]];
        let y = vec![1.0, 3.0, 2.0, 9.0, 7.0];
        let found = slopes(rows.clone(), y.clone());
        // The normal equations of centred values, by Cramer's rule.
        let c = |v: &[f64]| v.iter().map(|x| x - v.iter().sum::<f64>() / 5.0).collect::<Vec<_>>();
        let dot = |a: &[f64], b: &[f64]| c(a).iter().zip(c(b)).map(|(a, b)| a * b).sum::<f64>();
        let (aa, ab, bb) = (dot(&rows[0], &rows[0]), dot(&rows[0], &rows[1]), dot(&rows[1], &rows[1]));
        let (ay, by) = (dot(&rows[0], &y), dot(&rows[1], &y));
        let determinant = aa * bb - ab * ab;
        let wanted = [(ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {wanted:?}");
        let twice = slopes(vec![rows[0].clone(), rows[0].clone()], y);
        assert_eq!(twice[1], 0.0);
    }
}
