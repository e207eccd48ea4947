//! The tables of a profile.

use super::super::reliability::{cell, csv_table, name};
use super::clusters::Clusters;
use super::scored::{Best, Group, LayerScores};
use super::{LayerMean, ProfiledLayer};
use crate::error::Result;
use crate::io::labels::Labels;

/// Columns of `profile.csv` before and after those of the labels.
const BEFORE: [&str; 5] = ["layer", "size", "control", "neuron", "area"];
const AFTER: [&str; 5] = ["pearson_r", "feve", "explained_variance", "ceiling", "normalised_r"];

/// What is known of the neurons beside their responses.
pub(super) struct Neurons<'a> {
    pub names: Option<&'a [String]>,
    pub labels: Option<&'a Labels>,
}

impl Neurons<'_> {
    fn name(&self, neuron: usize) -> String {
        name(self.names, neuron)
    }

    fn area(&self, neuron: usize) -> String {
        self.labels.and_then(|labels| labels.area(neuron)).unwrap_or("").into()
    }

    /// Columns of labels other than the area, by number and name; a name that the table has itself gets
    /// `label_` before it.
    fn columns(&self) -> Vec<(usize, String)> {
        let columns = self.labels.map_or(&[][..], |labels| &labels.columns).iter().enumerate();
        let own = |name: &str| BEFORE.iter().chain(&AFTER).any(|own| own.eq_ignore_ascii_case(name));
        columns
            .filter(|(_, column)| !column.eq_ignore_ascii_case("area"))
            .map(|(at, column)| (at, if own(column) { format!("label_{column}") } else { column.clone() }))
            .collect()
    }
}

/// `profile.csv`: a row for every layer, size, control and neuron.
pub(super) fn profile(layers: &[LayerScores], neurons: &Neurons<'_>) -> Result<Vec<u8>> {
    let columns = neurons.columns();
    let header: Vec<&str> =
        BEFORE.into_iter().chain(columns.iter().map(|(_, name)| name.as_str())).chain(AFTER).collect();
    let rows = layers.iter().flat_map(|layer| layer.scores.iter().enumerate().map(move |one| (layer, one)));
    let row = |(layer, (neuron, one)): (&LayerScores, (usize, &crate::scores::held_out::HeldOutScores))| {
        let mut row = vec![layer.layer.clone(), layer.size.clone(), layer.control.into()];
        row.extend([neurons.name(neuron), neurons.area(neuron)]);
        let labels = neurons.labels.map(|labels| &labels.values[neuron]);
        row.extend(columns.iter().filter_map(|(at, _)| Some(labels?[*at].clone())));
        row.extend([cell(Some(one.pearson_r)), cell(one.feve), cell(Some(one.explained_variance))]);
        row.extend([cell(one.ceiling), cell(one.normalised_r)]);
        row
    };
    csv_table("profile.csv", &header, rows.map(row))
}

/// `layers.csv`: means over the neurons of each area.
pub(super) fn layers(means: &[LayerMean]) -> Result<Vec<u8>> {
    let header = [
        "size",
        "control",
        "area",
        "layer",
        "measure",
        "neurons",
        "mean",
        "neurons_low",
        "neurons_high",
        "images_low",
        "images_high",
    ];
    let row = |mean: &LayerMean| {
        let (size, area) = (mean.size.clone(), mean.area.clone());
        let score = &mean.score;
        let mut row = vec![size, mean.control.into(), area, mean.layer.clone(), mean.measure.into()];
        row.push(score.neurons.to_string());
        let intervals = [score.over_neurons, score.over_images];
        row.push(cell(Some(score.mean)));
        row.extend(intervals.iter().flat_map(|i| [cell(Some(i.low)), cell(Some(i.high))]));
        row
    };
    csv_table("layers.csv", &header, means.iter().map(row))
}

/// `best_layers.csv`: each neuron's best layer by its training images, and what it scores on test images.
pub(super) fn best_layers(
    best: &[Best],
    nested_r: &[f64],
    layers: &[ProfiledLayer],
    neurons: &Neurons<'_>,
) -> Result<Vec<u8>> {
    let row = |(neuron, best): (usize, &Best)| {
        let folds: Vec<&str> = best.folds.iter().map(|layer| layers[*layer].layer.as_str()).collect();
        vec![
            neurons.name(neuron),
            neurons.area(neuron),
            layers[best.layer].layer.clone(),
            cell(Some(nested_r[neuron])),
            folds.join(" "),
        ]
    };
    let header = ["neuron", "area", "best_layer", "nested_r", "folds"];
    csv_table("best_layers.csv", &header, best.iter().enumerate().map(row))
}

/// `correlations.csv`: histograms of the correlations of profiles; r is the median of the pair of areas.
pub(super) fn correlations(clusters: &Clusters, groups: &[Group]) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for pairs in clusters.pairs(groups) {
        let kind = if pairs.first == pairs.second { "within" } else { "between" };
        for bin in &pairs.bins {
            let mut row =
                vec![pairs.first.clone(), pairs.second.clone(), kind.into(), cell(Some(pairs.median))];
            row.extend([format!("{:.6}", bin.low), format!("{:.6}", bin.high), bin.count.to_string()]);
            rows.push(row);
        }
    }
    let header = ["first_area", "second_area", "kind", "r", "bin_low", "bin_high", "count"];
    csv_table("correlations.csv", &header, rows.into_iter())
}

/// `cluster_order.csv`: the neurons from left to right of the dendrogram.
pub(super) fn cluster_order(clusters: &Clusters, neurons: &Neurons<'_>) -> Result<Vec<u8>> {
    let row = |(position, neuron): (usize, &usize)| {
        vec![position.to_string(), neurons.name(*neuron), neurons.area(*neuron)]
    };
    let header = ["position", "neuron", "area"];
    csv_table("cluster_order.csv", &header, clusters.order.iter().enumerate().map(row))
}
