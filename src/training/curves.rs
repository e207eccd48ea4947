//! What happens over the epochs, as numbers: losses and scores with their spread over neurons.

use crate::scores::bootstrap::percentile;
use serde::{Deserialize, Serialize};

/// Which images a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Those that weights are fitted to; during the epoch, while weights change.
    Train,
    /// Those that say when to stop; after the epoch.
    Validation,
}

/// Which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Of a neuron: the data's loss, in training with penalties, averaged over steps; in validation without,
    /// over images.
    Loss,
    /// `1 - Var(y - p) / Var(y)`; in training `1 - MSE / Var(y)`, of squared losses only.
    ExplainedVariance,
    /// Pearson's r.
    PearsonR,
}

/// A number after an epoch, over the neurons of a configuration that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// From 1 on.
    pub epoch: usize,
    /// Of which images.
    pub tier: Tier,
    /// Of what.
    pub measure: Measure,
    /// Mean over neurons.
    #[serde(with = "bits")]
    pub mean: f64,
    /// 5th percentile.
    #[serde(with = "bits")]
    pub low: f64,
    /// 50th.
    #[serde(with = "bits")]
    pub median: f64,
    /// 95th.
    #[serde(with = "bits")]
    pub high: f64,
}

impl CurvePoint {
    /// Of the values of all neurons; NaN where none has one.
    pub(super) fn new(epoch: usize, tier: Tier, measure: Measure, values: &[f64]) -> Self {
        let mut there: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        there.sort_unstable_by(f64::total_cmp);
        let mean = there.iter().sum::<f64>() / there.len() as f64;
        CurvePoint {
            epoch,
            tier,
            measure,
            mean,
            low: percentile(&there, 0.05),
            median: percentile(&there, 0.5),
            high: percentile(&there, 0.95),
        }
    }
}

/// f64 as its bits: JSON has neither NaN nor all digits.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(to)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(given: D) -> Result<f64, D::Error> {
        u64::deserialize(given).map(f64::from_bits)
    }
}
