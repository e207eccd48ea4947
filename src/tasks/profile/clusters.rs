//! Which neurons have alike profiles: correlations over layers, and their clusters.

use super::scored::{Group, LayerScores};
use crate::error::Result;
use crate::numbers::median;
use crate::scores::correlation::{LEAST_VALUES, row_correlations};
use crate::scores::histogram::{Bin, histogram};
use crate::scores::linkage::{Merge, average_linkage, leaf_order};
use ndarray::Array2;

/// Bins of a histogram of correlations, from -1 to 1.
const BINS: usize = 40;

/// More neurons than this are not correlated: their matrix alone would take gigabytes.
const MOST_NEURONS: usize = 10_000;

/// Profiles compared with one another.
pub(super) struct Clusters {
    /// (neurons, neurons): correlations of profiles; NaN where there is none.
    pub correlations: Array2<f64>,
    /// Average linkage of the distances 1 - r; 1 where there is no r.
    pub merges: Vec<Merge>,
    /// Neurons from left to right of the dendrogram.
    pub order: Vec<usize>,
}

/// Correlations within an area, or between two.
pub(super) struct Pairs {
    pub first: String,
    pub second: String,
    /// Their median; NaN where there is none.
    pub median: f64,
    pub bins: Vec<Bin>,
}

/// Why profiles cannot be compared, if they cannot.
pub(super) fn obstacle(layers: usize, neurons: usize) -> Option<String> {
    if layers < LEAST_VALUES {
        let plural = if layers == 1 { "" } else { "s" };
        return Some(format!(
            "Profiles of {layers} layer{plural} have no correlations, and so there are no clusters: at least {LEAST_VALUES} \
             layers are needed"
        ));
    }
    if !(2..=MOST_NEURONS).contains(&neurons) {
        return Some(format!(
            "Profiles of {neurons} neurons are not correlated: it takes 2 to {MOST_NEURONS}"
        ));
    }
    None
}

impl Clusters {
    /// Of profiles over `layers`, all of one size and control.
    pub fn new(layers: &[&LayerScores]) -> Result<Self> {
        let neurons = layers.first().map_or(0, |layer| layer.scores.len());
        let profiles = Array2::from_shape_fn((neurons, layers.len()), |(n, l)| layers[l].scores[n].pearson_r);
        let correlations = row_correlations(profiles.view());
        let distance = |a, b| {
            let r: f64 = correlations[[a, b]];
            if r.is_nan() { 1.0 } else { 1.0 - r }
        };
        let merges = average_linkage(neurons, distance)?;
        let order = leaf_order(&merges);
        Ok(Clusters { correlations, merges, order })
    }

    /// The linkage as SciPy has it: (neurons - 1, 4).
    pub fn linkage(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.merges.len(), 4), |(row, column)| {
            let merge = &self.merges[row];
            [merge.first as f64, merge.second as f64, merge.distance, merge.items as f64][column]
        })
    }

    /// Within all neurons and within each area, then between all pairs of areas; `groups` begin with all
    /// neurons.
    pub fn pairs(&self, groups: &[Group]) -> Vec<Pairs> {
        let within = groups.iter().map(|group| (group, group));
        let areas = groups.get(1..).unwrap_or_default();
        let between = areas.iter().enumerate().flat_map(|(i, a)| areas[i + 1..].iter().map(move |b| (a, b)));
        within.chain(between).map(|(a, b)| self.pair(a, b)).collect()
    }

    fn pair(&self, a: &Group, b: &Group) -> Pairs {
        let same = a.name == b.name;
        let partners = |n: usize| b.neurons.iter().filter(move |m| !same || **m > n);
        let all = a.neurons.iter().flat_map(|n| partners(*n).map(|m| self.correlations[[*n, *m]]));
        let values: Vec<f64> = all.filter(|r| !r.is_nan()).collect();
        Pairs {
            first: a.name.clone(),
            second: b.name.clone(),
            bins: histogram(values.iter().copied(), BINS, -1.0, 1.0),
            median: median(values),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::scores::held_out::HeldOutScores;

    fn layer(r: [f64; 5]) -> LayerScores {
        let score = |pearson_r| HeldOutScores {
            pearson_r,
            explained_variance: 0.0,
            feve: None,
            ceiling: None,
            normalised_r: None,
        };
        LayerScores { layer: "l".into(), size: "8x8".into(), control: "none", scores: r.map(score).to_vec() }
    }

    #[test]
    fn alike_profiles_cluster_and_pairs_are_counted_once() {
        let gap = f64::NAN;
        let layers = [
            layer([0.1, 0.9, 0.2, 0.8, gap]),
            layer([0.2, 0.5, 0.3, 0.5, gap]),
            layer([0.3, 0.1, 0.41, 0.1, 0.5]),
        ];
        let found = Clusters::new(&layers.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.correlations[[0, 2]] > 0.99 && found.correlations[[0, 1]] < -0.99);
        assert!(found.correlations[[4, 0]].is_nan());
        let place = |n: usize| found.order.iter().position(|o| *o == n).unwrap();
        assert!(place(0).abs_diff(place(2)) == 1 && place(1).abs_diff(place(3)) == 1, "{:?}", found.order);
        assert_eq!(found.linkage().dim(), (4, 4));
        let group = |name: &str, neurons: &[usize]| Group { name: name.into(), neurons: neurons.to_vec() };
        let pairs =
            found.pairs(&[group("all", &[0, 1, 2, 3, 4]), group("a", &[0, 1, 4]), group("b", &[2, 3])]);
        let count = |p: &Pairs| p.bins.iter().map(|b| b.count).sum::<usize>();
        let counts: Vec<usize> = pairs.iter().map(count).collect();
        // Neuron 4 has no correlation with anything.
        assert_eq!(counts, [6, 1, 1, 4]);
        assert_eq!((&pairs[3].first[..], &pairs[3].second[..]), ("a", "b"));
        assert!(pairs[1].median < -0.99);
        assert!(obstacle(2, 9).unwrap().contains("at least 3") && obstacle(3, 9).is_none());
        assert!(obstacle(3, 1).is_some());
    }
}
