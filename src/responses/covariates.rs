//! What running and arousal add to responses, taken out by least squares.

use std::collections::BTreeMap;

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
/// For each neuron, least squares in f64 of its responses on the covariates, over the trials of images that
/// train, with a constant for each image that was repeated and one for all that were shown once: so that the
/// effect is told from differences between presentations of the same image where there are any, and no image
/// passes for it. Then of every trial `y - sum over covariates of b (c - mean c)`: the residual plus the
/// mean.
///
/// `covariates` has a list for each, with a value for each trial; a trial that lacks it (NaN) takes its mean
/// over training trials. `places` are the trials' images and repeats, `trains` says which images train. A
/// covariate that is constant, or that the others make up, has no effect.
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
        if trials.len() < covariates.len() + 2 {
            return 1;
        }
        let y: Vec<f64> = trials.iter().map(|t| f64::from(neuron[places[*t]])).collect();
        let rows: Vec<Vec<f64>> = centred.iter().map(|c| trials.iter().map(|t| c[*t]).collect()).collect();
        let images: Vec<usize> = trials.iter().map(|t| places[*t][0]).collect();
        let slopes = slopes(rows, y, &groups(&images));
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

/// What is left of a covariate's squares, as a share, where the constant and the covariates before it make it
/// up.
const MADE_UP: f64 = 1e-10;

/// Trials with a constant of their own: those of each image that is there twice or more, and all others
/// together.
fn groups(images: &[usize]) -> Vec<Vec<usize>> {
    let mut by_image: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (trial, image) in images.iter().enumerate() {
        by_image.entry(*image).or_default().push(trial);
    }
    let (repeated, once): (Vec<_>, Vec<_>) = by_image.into_values().partition(|trials| trials.len() > 1);
    repeated.into_iter().chain(std::iter::once(once.concat())).collect()
}

/// Slopes of y on the rows, with a constant for each group: Gram and Schmidt's orthogonal parts of the rows,
/// in order.
fn slopes(mut rows: Vec<Vec<f64>>, mut y: Vec<f64>, groups: &[Vec<usize>]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let centre = |values: &mut Vec<f64>| {
        for group in groups {
            let mean = group.iter().map(|trial| values[*trial]).sum::<f64>() / group.len() as f64;
            group.iter().for_each(|trial| values[*trial] -= mean);
        }
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

    /// Responses with and without the effects of covariates, the covariates, and images and repeats of
    /// trials.
    type Recording = (Array3<f32>, Array3<f32>, Vec<Vec<f32>>, Vec<[usize; 2]>);

    /// 3 neurons, 40 images, 6 repeats; the third neuron was recorded in no training trial.
    fn recording() -> Recording {
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
        let rest = &y.index_axis(Axis(0), 0) - &clean.index_axis(Axis(0), 0);
        let (low, high) = rest.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        // Nothing but a constant is left: of effects of 2, in f32.
        assert!(high - low < 1e-4, "{low} {high}");
        let means = |y: &Array3<f32>, n| y.index_axis(Axis(0), n).mean_axis(Axis(1)).unwrap_or_default();
        let both = [means(&y, 0), means(&clean, 0)].map(|m| m.mapv(f64::from).to_vec());
        assert!(crate::scores::agreement::pearson_r(&both[0], &both[1]) > 0.99);
        // A neuron that nothing was added to keeps its images; one without training trials is as it was.
        assert!((&y - &clean).index_axis(Axis(0), 1).iter().all(|d| d.abs() < 1e-4));
        let third = |y: &Array3<f32>| y.index_axis(Axis(0), 2).mapv(f32::to_bits);
        assert_eq!(third(&y), third(&before));
    }

    #[test]
    fn an_image_does_not_pass_for_running() {
        // Two images, of which the mouse ran at the second only; and faster in some of its presentations.
        let speed = [0.0, 1.0, 0.0, 1.0, 10.0, 11.0, 10.0, 11.0];
        let places: Vec<[usize; 2]> = (0..8).map(|t| [t / 4, t % 4]).collect();
        let y = |t: usize| 5.0 * (t / 4) as f32 + 0.5 * speed[t];
        let mut found = Array3::from_shape_fn((1, 2, 4), |(_, image, repeat)| y(4 * image + repeat));
        regress_out(&mut found, &[&speed], &places, &[true, true]);
        // 0.5 a unit of speed is gone, and 5 stays between the images.
        let means = found.mean_axis(Axis(2)).unwrap_or_default();
        assert!((means[[0, 1]] - means[[0, 0]] - 5.0).abs() < 1e-5, "{found}");
        assert!(found.iter().all(|v| (v - means[[0, 0]]).abs() < 1e-5 || (v - means[[0, 1]]).abs() < 1e-5));
        assert_eq!(groups(&[3, 1, 3, 2, 1]), [vec![1, 4], vec![0, 2], vec![3]]);
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
        let found = slopes(rows.clone(), y.clone(), &[(0..5).collect()]);
        // The normal equations of centred values, by Cramer's rule.
        let c = |v: &[f64]| v.iter().map(|x| x - v.iter().sum::<f64>() / 5.0).collect::<Vec<_>>();
        let dot = |a: &[f64], b: &[f64]| c(a).iter().zip(c(b)).map(|(a, b)| a * b).sum::<f64>();
        let (aa, ab, bb) = (dot(&rows[0], &rows[0]), dot(&rows[0], &rows[1]), dot(&rows[1], &rows[1]));
        let (ay, by) = (dot(&rows[0], &y), dot(&rows[1], &y));
        let determinant = aa * bb - ab * ab;
        let wanted = [(ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {wanted:?}");
        let twice = slopes(vec![rows[0].clone(), rows[0].clone()], y, &groups(&[0, 1, 2, 3, 4]));
        assert_eq!(twice[1], 0.0);
    }
}
