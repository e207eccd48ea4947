//! How one configuration fares: its best epoch, its rate, when it stops.

use super::curves::{CurvePoint, bits};
use super::settings::Shared;
use serde::{Deserialize, Serialize};

/// A configuration on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Course {
    /// Its number among those that were given.
    pub configuration: usize,
    /// What the learning rate is multiplied by.
    #[serde(with = "bits")]
    pub factor: f64,
    #[serde(with = "bits")]
    pub best_loss: f64,
    pub best_epoch: usize,
    /// Epochs since the best, or since a drop.
    waited: usize,
    drops: usize,
    pub curves: Vec<CurvePoint>,
    /// Loss and r of each neuron on the validation images at the best epoch, as bits.
    pub validation: Vec<[u64; 2]>,
}

/// What an epoch means for a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Better than ever: the weights are kept.
    Best,
    /// Not better; goes on.
    On,
    /// Not better for long: the best weights are restored, at a lower rate.
    Drop,
}

impl Course {
    pub fn new(configuration: usize) -> Self {
        Course {
            configuration,
            factor: 1.0,
            best_loss: f64::INFINITY,
            best_epoch: 0,
            waited: 0,
            drops: 0,
            curves: Vec::new(),
            validation: Vec::new(),
        }
    }

    /// After an epoch with this validation loss (the epoch's number where there is no validation): what to do
    /// with the weights, and whether that was the last epoch.
    pub fn judge(&mut self, epoch: usize, loss: Option<f64>, shared: &Shared) -> (Verdict, bool) {
        self.factor *= shared.decay;
        let last = epoch >= shared.epochs;
        let better = loss.is_none_or(|loss| loss < self.best_loss);
        if better {
            self.best_loss = loss.unwrap_or(f64::NAN);
            self.best_epoch = epoch;
            self.waited = 0;
            return (Verdict::Best, last);
        }
        self.waited += 1;
        if self.waited < shared.patience {
            return (Verdict::On, last);
        }
        if self.drops == shared.drops {
            return (Verdict::On, true);
        }
        self.drops += 1;
        self.waited = 0;
        self.factor *= shared.drop_factor;
        (Verdict::Drop, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_drops_and_then_stops() {
        let shared =
            Shared { patience: 2, drops: 1, drop_factor: 0.5, decay: 1.0, epochs: 9, ..Shared::default() };
        let mut course = Course::new(0);
        let losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.5, 1.0];
        let verdicts: Vec<_> =
            losses.iter().enumerate().map(|(e, loss)| course.judge(e + 1, Some(*loss), &shared)).collect();
        use Verdict::{Best, Drop, On};
        let wanted = [
            (Best, false),
            (Best, false),
            (On, false),
            (Drop, false),
            (Best, false),
            (On, false),
            (On, true),
        ];
        assert_eq!(verdicts, wanted);
        assert_eq!((course.best_epoch, course.factor), (5, 0.5));
        assert_eq!(Course::new(0).judge(9, None, &shared), (Best, true));
    }
}
