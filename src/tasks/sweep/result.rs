//! What one configuration came to.

use crate::error::Result;
use crate::scores::bootstrap::percentile;
use crate::scores::{LEAST_FEV, NeuronScores};
use crate::training::{CurvePoint, Outcome};
use serde::{Deserialize, Serialize};

/// A configuration that has finished. Numbers that are none (NaN, infinite, or without repeats) are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    /// Its number.
    pub configuration: usize,
    /// Whether its loss became NaN or infinite.
    pub diverged: bool,
    /// Epochs that it trained.
    pub epochs: usize,
    /// The epoch whose weights were kept.
    pub best_epoch: usize,
    /// Its share of the seconds that it trained together with others.
    pub seconds: f64,
    /// Mean over neurons of the loss of validation images, at the best epoch.
    pub validation_loss: Option<f64>,
    /// Scores of every neuron; empty where it diverged.
    pub neurons: Vec<NeuronResult>,
    /// Its course.
    pub curves: Vec<CurvePoint>,
}

/// The scores of a neuron under one configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NeuronResult {
    /// Correlation on validation images.
    pub validation_r: Option<f64>,
    /// Scores on test images, as `scores.csv` of a fit has them.
    pub pearson_r: Option<f64>,
    pub r2: Option<f64>,
    pub explained_variance: Option<f64>,
    /// Of the test images; says whether `feve` counts.
    pub fev: Option<f64>,
    pub feve: Option<f64>,
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A number of a table: six digits behind the point; empty where there is none.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |v| format!("{v:.6}"))
}

impl Finished {
    /// Of a configuration that has trained; `scores` of the test images are asked for unless it diverged.
    ///
    /// # Errors
    /// Those of `scores`.
    pub fn new(
        configuration: usize,
        outcome: &Outcome,
        seconds: f64,
        scores: impl FnOnce() -> Result<Vec<NeuronScores>>,
    ) -> Result<Self> {
        let neuron = |(validation_r, scores): (&f64, NeuronScores)| NeuronResult {
            validation_r: finite(*validation_r),
            pearson_r: finite(scores.pearson_r),
            r2: finite(scores.r2),
            explained_variance: finite(scores.explained_variance),
            fev: scores.test_fev.and_then(finite),
            feve: scores.feve.and_then(finite),
        };
        let neurons = if outcome.diverged {
            Vec::new()
        } else {
            outcome.validation_r.iter().zip(scores()?).map(neuron).collect()
        };
        let losses = outcome.validation_loss.iter().sum::<f64>() / outcome.validation_loss.len() as f64;
        Ok(Finished {
            configuration,
            diverged: outcome.diverged,
            epochs: outcome.epochs,
            best_epoch: outcome.best_epoch,
            seconds,
            validation_loss: finite(losses).filter(|_| !outcome.diverged),
            neurons,
            curves: outcome.curves.clone(),
        })
    }

    /// The numbers of one score, of the neurons that have one.
    pub fn all(&self, of: impl Fn(&NeuronResult) -> Option<f64>) -> Vec<f64> {
        self.neurons.iter().filter_map(of).collect()
    }

    /// Mean over neurons of the correlation on validation images, by which configurations are chosen; a
    /// neuron without a number counts as 0, so that predicting fewer neurons is no advantage.
    pub fn validation_r(&self) -> Option<f64> {
        let sum: f64 = self.neurons.iter().map(|neuron| neuron.validation_r.unwrap_or(0.0)).sum();
        (!self.neurons.is_empty()).then(|| sum / self.neurons.len() as f64)
    }

    /// `feve` of the neurons of which enough can be explained.
    pub fn feve(&self) -> Vec<f64> {
        self.all(|neuron| neuron.feve.filter(|_| neuron.fev.is_some_and(|fev| fev >= LEAST_FEV)))
    }
}

/// The best by validation: the largest [`Finished::validation_r`], of several the first.
pub(super) fn best<'a>(finished: impl Iterator<Item = &'a Finished>) -> Option<&'a Finished> {
    let chosen = finished.filter_map(|one| Some((one.validation_r()?, one)));
    let better = |a: (f64, &'a Finished), b: (f64, &'a Finished)| {
        let later = b.1.configuration > a.1.configuration;
        if b.0 > a.0 || (b.0 == a.0 && !later) { b } else { a }
    };
    chosen.reduce(better).map(|(_, one)| one)
}

/// The value below which a share of the values lies, between neighbours where none is there exactly; `None`
/// of none.
pub(super) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    (!values.is_empty()).then(|| percentile(&values, share))
}

/// The mean; `None` of none.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn finished(configuration: usize, r: &[Option<f64>]) -> Finished {
        let neurons =
            r.iter().map(|r| NeuronResult { validation_r: *r, ..NeuronResult::default() }).collect();
        Finished { configuration, neurons, ..Finished::default() }
    }

    #[test]
    fn the_best_is_chosen_by_validation_and_of_equals_the_first() {
        let all = [
            finished(4, &[Some(0.5), Some(0.5)]),
            finished(0, &[]),
            finished(2, &[Some(0.9), None]),
            finished(1, &[Some(0.5), Some(0.5)]),
        ];
        assert_eq!(best(all.iter()).unwrap().configuration, 1);
        assert_eq!(best(all[..1].iter()).unwrap().configuration, 4);
        assert!(best(all[1..2].iter()).is_none());
        assert_eq!(all[2].validation_r(), Some(0.45));
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(vec![1.0, 2.0], 0.25), Some(1.25));
        assert_eq!((quantile(vec![7.0], 0.95), quantile(vec![], 0.5)), (Some(7.0), None));
        assert_eq!((mean(&[1.0, 2.0]), mean(&[])), (Some(1.5), None));
        assert_eq!((number(None), number(Some(0.5))), (String::new(), "0.500000".into()));
    }
}
