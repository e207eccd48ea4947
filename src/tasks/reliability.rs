//! How much of a recording can be explained at all: its table, which every run folder has.

use crate::error::Result;
use crate::io::commit::{self, Folder};
use crate::io::responses::Responses;
pub(super) use crate::io::table::write as csv_table;
use crate::scores::reliability::{NeuronReliability, Recording, ReliabilitySummary, reliability};

/// Name of the file in a run folder.
pub(super) const FILE: &str = "reliability.csv";

/// Measures the reliability of every neuron over all images, writes the table, and sums it up. `fitted` are
/// the images that a readout is fitted to and the features that it has, where there is one readout.
pub(super) fn write(
    folder: &Folder,
    responses: &Responses,
    fitted: Option<[usize; 2]>,
    seed: u64,
) -> Result<ReliabilitySummary> {
    let repeats = responses.repeats.view();
    let neurons = reliability(repeats, seed);
    let names = responses.neuron_names.as_deref();
    commit::write(&folder.file(FILE), &table(names, &neurons)?)?;
    Ok(ReliabilitySummary::new(&neurons, Recording::of(repeats, fitted), names, seed))
}

/// `reliability.csv`: one row a neuron; empty where there is no value.
pub(super) fn table(names: Option<&[String]>, neurons: &[NeuronReliability]) -> Result<Vec<u8>> {
    let header =
        ["neuron", "fev", "fev_low", "fev_high", "split_half", "oracle_jackknife", "p_value", "tuned"];
    let row = |(number, one): (usize, &NeuronReliability)| {
        vec![
            name(names, number),
            cell(one.fev),
            cell(one.fev_interval.map(|i| i.low)),
            cell(one.fev_interval.map(|i| i.high)),
            cell(one.split_half),
            cell(one.oracle_jackknife),
            cell(one.p_value),
            one.tuned.map_or(String::new(), |tuned| tuned.to_string()),
        ]
    };
    csv_table(FILE, &header, neurons.iter().enumerate().map(row))
}

/// What tables call a neuron: its name, or its number where it has none.
pub(super) fn name(names: Option<&[String]>, number: usize) -> String {
    names.and_then(|all| all.get(number)).cloned().unwrap_or_else(|| number.to_string())
}

/// A number as it stands in a table; empty where there is none.
pub(super) fn cell(value: Option<f64>) -> String {
    value.filter(|v| !v.is_nan()).map_or(String::new(), |v| format!("{v:.6}"))
}
