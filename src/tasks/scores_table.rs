//! The table of scores that a fit writes.

use crate::error::{Error, Result};
use crate::io::table::guarded;
use crate::scores::NeuronScores;
use crate::scores::bootstrap::Interval;

/// What each neuron took of the grids that there were; empty where there was none.
pub(super) struct Chosen {
    /// Absolute penalty of each neuron.
    pub penalties: Vec<f64>,
    /// Ratio of the Laplacian's penalty to it; the column is there only where there are ratios.
    pub ratios: Vec<f64>,
}

/// `scores.csv`: one row a neuron; empty where a score does not apply. `intervals` are those of `pearson_r`.
pub(super) fn scores_table(
    names: Option<&[String]>,
    scores: &[NeuronScores],
    intervals: &[Interval],
    chosen: &Chosen,
) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |e: &dyn std::fmt::Display| Error::internal("scores.csv", e);
    let ratio = (!chosen.ratios.is_empty()).then_some("ratio");
    let header = [
        "constant",
        "pearson_r",
        "r2",
        "explained_variance",
        "correlation_to_average",
        "single_trial_correlation",
        "test_fev",
        "feve",
        "test_split_half",
        "test_oracle_jackknife",
        "pearson_r_low",
        "pearson_r_high",
        "single_trial_r2",
        "ceiling",
        "normalised_r",
    ];
    let header = ["neuron", "penalty"].into_iter().chain(ratio).chain(header);
    table.write_record(header).map_err(|e| failed(&e))?;
    for (n, (one, interval)) in scores.iter().zip(intervals).enumerate() {
        let number = |v: Option<f64>| v.filter(|v| !v.is_nan()).map_or(String::new(), |v| format!("{v:.6}"));
        let name = names.and_then(|all| all.get(n)).cloned().unwrap_or_else(|| n.to_string());
        let name = guarded(&name).into_owned();
        let penalty = chosen.penalties.get(n).map_or(String::new(), |v| format!("{v:e}"));
        let ratio = chosen.ratios.get(n).map(|v| format!("{v:e}"));
        let row = [
            one.constant.to_string(),
            number(Some(one.pearson_r)),
            number(Some(one.r2)),
            number(Some(one.explained_variance)),
            number(one.correlation_to_average),
            number(one.single_trial_correlation),
            number(one.test_fev),
            number(one.feve),
            number(one.test_split_half),
            number(one.test_oracle_jackknife),
            number(Some(interval.low)),
            number(Some(interval.high)),
            number(one.single_trial_r2),
            number(one.ceiling),
            number(one.normalised_r),
        ];
        let row = [name, penalty].into_iter().chain(ratio).chain(row);
        table.write_record(row).map_err(|e| failed(&e))?;
    }
    table.into_inner().map_err(|e| failed(&e))
}
