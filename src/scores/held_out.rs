//! Predictions from several layers, scored on the same held-out images: what is known of these is computed
//! once.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::LEAST_FEV;
use super::agreement::{self, explained_variance, pearson_r};
use super::bootstrap::{Interval, Resamples};
use super::reliability::ceiling;
use super::repeats::{Trials, explained};

/// Responses to held-out images.
pub struct HeldOut {
    neurons: Vec<Neuron>,
}

struct Neuron {
    trials: Trials,
    average: Vec<f64>,
    repeated: Option<Repeated>,
}

/// What the repeats of held-out images say.
#[derive(Clone, Copy)]
struct Repeated {
    ceiling: f64,
    /// Whether enough can be explained for a share of it to mean something.
    counts: bool,
}

/// The scores of one neuron. `None` where the data have no repeats; NaN where there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HeldOutScores {
    /// [`pearson_r`] with the mean over repeats.
    pub pearson_r: f64,
    /// [`explained_variance`] of the mean over repeats.
    pub explained_variance: f64,
    /// [`Trials::feve`].
    pub feve: Option<f64>,
    /// The noise [`ceiling`] of `pearson_r`, from the repeats of the held-out images.
    pub ceiling: Option<f64>,
    /// `pearson_r` over `ceiling`: the correlation with the true mean response, as far as that can be told.
    pub normalised_r: Option<f64>,
}

/// What a mean over neurons is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// [`HeldOutScores::pearson_r`].
    PearsonR,
    /// [`HeldOutScores::normalised_r`], of neurons with a fraction of explainable variance of at least
    /// [`LEAST_FEV`].
    NormalisedR,
    /// [`HeldOutScores::feve`] of the same neurons.
    Feve,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 3] = [Measure::PearsonR, Measure::NormalisedR, Measure::Feve];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Measure::PearsonR => "pearson_r",
            Measure::NormalisedR => "normalised_r",
            Measure::Feve => "feve",
        }
    }
}

/// A mean over neurons and what it would have been with others, or with other images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanScore {
    /// Neurons that have a value.
    pub neurons: usize,
    /// Their mean; NaN where none has.
    pub mean: f64,
    /// 95 % bootstrap interval over these neurons, the images held fixed.
    pub over_neurons: Interval,
    /// 95 % bootstrap interval over images, the neurons and their ceilings held fixed.
    pub over_images: Interval,
}

/// Scores of all neurons, and what they would have been with other images.
pub struct Scored {
    /// Of every neuron.
    pub scores: Vec<HeldOutScores>,
    /// For each measure and neuron the values of all draws of images; none where the neuron does not count.
    draws: [Vec<Option<Vec<f64>>>; 3],
}

impl HeldOut {
    /// Takes `repeats` (neurons, images, repeats; NaN where missing). `seed` draws the halves of the ceiling.
    pub fn new(repeats: ArrayView3<f32>, seed: u64) -> Self {
        let one = |neuron: usize| {
            let trials = Trials::new(repeats.index_axis(Axis(0), neuron).outer_iter());
            let repeated = trials.has_repeats().then(|| Repeated {
                ceiling: ceiling(trials.split_half(seed)),
                counts: trials.fev() >= LEAST_FEV,
            });
            Neuron { average: trials.averages(), trials, repeated }
        };
        HeldOut { neurons: (0..repeats.dim().0).into_par_iter().map(one).collect() }
    }

    /// Scores `predictions` (neurons, images), and with every draw of images.
    pub fn score(&self, predictions: ArrayView2<f32>, images: &Resamples) -> Scored {
        let one = |(neuron, known): (usize, &Neuron)| {
            let predicted: Vec<f64> = predictions.row(neuron).iter().map(|p| f64::from(*p)).collect();
            (known.score(&predicted), known.draws(&predicted, images))
        };
        let (scores, each): (Vec<_>, Vec<_>) = self.neurons.par_iter().enumerate().map(one).unzip();
        let mut draws = [Vec::new(), Vec::new(), Vec::new()];
        for neuron in each {
            for (all, one) in draws.iter_mut().zip(neuron) {
                all.push(one);
            }
        }
        Scored { scores, draws }
    }
}

impl Neuron {
    fn score(&self, predicted: &[f64]) -> HeldOutScores {
        let r = pearson_r(&self.average, predicted);
        HeldOutScores {
            pearson_r: r,
            explained_variance: explained_variance(&self.average, predicted),
            feve: self.repeated.map(|_| self.trials.feve(predicted)),
            ceiling: self.repeated.map(|known| known.ceiling),
            normalised_r: self.repeated.map(|known| r / known.ceiling),
        }
    }

    /// In the order of [`Measure::ALL`].
    fn draws(&self, predicted: &[f64], images: &Resamples) -> [Option<Vec<f64>>; 3] {
        let r = images.pearson_r(&self.average, predicted);
        let known = self.repeated.filter(|known| known.counts);
        let normalised = known.map(|known| r.iter().map(|r| r / known.ceiling).collect());
        let feve =
            known.map(|_| images.of_sums(&self.trials.sums(Some(predicted)), |sums| explained(sums)[1]));
        [Some(r), normalised, feve]
    }
}

impl Scored {
    fn value(&self, measure: Measure, neuron: usize) -> f64 {
        let one = &self.scores[neuron];
        if self.draws[measure as usize][neuron].is_none() {
            return f64::NAN;
        }
        match measure {
            Measure::PearsonR => one.pearson_r,
            Measure::NormalisedR => one.normalised_r.unwrap_or(f64::NAN),
            Measure::Feve => one.feve.unwrap_or(f64::NAN),
        }
    }

    /// The mean of a measure over some neurons, with both its intervals; `draws` of the neurons are drawn by
    /// `seed`.
    pub fn mean(&self, measure: Measure, neurons: &[usize], draws: usize, seed: u64) -> MeanScore {
        let valued = neurons.iter().filter(|n| !self.value(measure, **n).is_nan());
        let (of, values): (Vec<usize>, Vec<f64>) = valued.map(|n| (*n, self.value(measure, *n))).unzip();
        let resamples = Resamples::new(seed, "neurons", values.len(), draws);
        let (mut sums, mut counts) = (vec![0.0; draws], vec![0.0; draws]);
        for drawn in of.iter().filter_map(|n| self.draws[measure as usize][*n].as_ref()) {
            for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(drawn) {
                if !value.is_nan() {
                    *sum += value;
                    *count += 1.0;
                }
            }
        }
        MeanScore {
            neurons: values.len(),
            mean: agreement::mean(&values),
            over_neurons: Interval::of(resamples.mean(&values)),
            over_images: Interval::of(sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::score;
    use super::*;
    use crate::random::Random;
    use ndarray::{Array2, Array3};

    /// A signal of 1, noise of 1 in each of four repeats, and predictions with an error; the first neuron is
    /// untuned.
    fn recording() -> (Array3<f32>, Array2<f32>) {
        let mut random = Random::stream(5, "recording");
        let signal =
            Array2::from_shape_fn((60, 200), |(n, _)| if n == 0 { 0.0 } else { random.normal() as f32 });
        let y = Array3::from_shape_fn((60, 200, 4), |(n, i, _)| signal[[n, i]] + random.normal() as f32);
        let p = Array2::from_shape_fn((60, 200), |(n, i)| signal[[n, i]] + random.normal() as f32);
        (y, p)
    }

    #[test]
    fn scores_are_those_of_a_fit_and_a_ceiling_undoes_the_noise() {
        let (y, p) = recording();
        let images = Resamples::new(0, "images", 200, 300);
        let found = HeldOut::new(y.view(), 3).score(p.view(), &images);
        for (one, fitted) in found.scores.iter().zip(score(y.view(), p.view(), 3).unwrap()) {
            assert_eq!((one.pearson_r, one.feve), (fitted.pearson_r, fitted.feve));
            assert_eq!(one.explained_variance, fitted.explained_variance);
        }
        let neurons: Vec<usize> = (0..60).collect();
        let [r, normalised, feve] = Measure::ALL.map(|measure| found.mean(measure, &neurons, 300, 1));
        assert_eq!((r.neurons, normalised.neurons, feve.neurons), (60, 59, 59));
        // A signal and a prediction of it with as much error correlate by .707; four repeats lower that to
        // .632. Five standard deviations of the means are .03.
        assert!((normalised.mean - 0.5f64.sqrt()).abs() < 0.03, "{normalised:?}");
        assert!((r.mean - 0.632).abs() < 0.03 && feve.mean.abs() < 0.15, "{r:?} {feve:?}");
        for one in [r, normalised, feve] {
            assert!(one.over_neurons.holds(one.mean) && one.over_images.holds(one.mean), "{one:?}");
        }
        let none = found.mean(Measure::Feve, &[0], 300, 1);
        assert!(none.neurons == 0 && none.mean.is_nan() && none.over_images.low.is_nan());
    }

    #[test]
    fn without_repeats_only_agreement_is_scored() {
        let (y, p) = recording();
        let once = y.slice(ndarray::s![.., .., ..1]);
        let found = HeldOut::new(once, 3).score(p.view(), &Resamples::new(0, "images", 200, 100));
        assert!(
            found.scores.iter().all(|s| s.feve.is_none() && s.normalised_r.is_none() && s.ceiling.is_none())
        );
        assert_eq!(found.mean(Measure::NormalisedR, &[1, 2], 100, 1).neurons, 0);
        assert_eq!(found.mean(Measure::PearsonR, &[1, 2], 100, 1).neurons, 2);
    }
}
