//! Hierarchical clustering by average linkage (UPGMA, Sokal and Michener 1958), with the output of SciPy's
//! `scipy.cluster.hierarchy.linkage(distances, method="average")`.

use crate::error::{Error, Result};

/// One merge: two clusters, the mean distance of their members, and how many members they have together.
/// Clusters 0 to n - 1 are the items, n + k is what merge k made; the first cluster has the smaller number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merge {
    /// One cluster.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// The distance at which they meet.
    pub distance: f64,
    /// Items of both.
    pub items: usize,
}

/// Distances of all pairs of items: 0 and 1, 0 and 2, ..., 1 and 2, ... (SciPy's condensed form).
struct Distances {
    items: usize,
    values: Vec<f64>,
}

impl Distances {
    fn at(&self, a: usize, b: usize) -> usize {
        let (a, b) = (a.min(b), a.max(b));
        a * (2 * self.items - a - 1) / 2 + b - a - 1
    }

    fn get(&self, a: usize, b: usize) -> f64 {
        self.values[self.at(a, b)]
    }
}

/// Merges `items` items, whose `distance` between two (the smaller number first) is a number and not
/// negative.
///
/// By chains of nearest neighbours (Murtagh 1983) in time and memory of items squared: average linkage is
/// reducible, so that two clusters that are each other's nearest may be merged at once, and sorting the
/// merges by distance gives the order of the greedy algorithm. Of equal distances the item with the smaller
/// number is nearest, but the one that the chain came from is preferred; merges of equal distance keep the
/// order in which they were made; a merged cluster goes on under the larger of its two items. These are
/// SciPy's rules, so ties fall as they do there.
///
/// # Errors
/// [`crate::Kind::Internal`] for a distance that is NaN or infinite.
pub fn average_linkage(items: usize, distance: impl Fn(usize, usize) -> f64) -> Result<Vec<Merge>> {
    let pairs = (0..items).flat_map(|a| (a + 1..items).map(move |b| (a, b)));
    let mut d = Distances { items, values: pairs.map(|(a, b)| distance(a, b)).collect() };
    if let Some(wrong) = d.values.iter().find(|v| !v.is_finite()) {
        return Err(Error::internal("average linkage", format!("a distance of {wrong}")));
    }
    let mut sizes = vec![1usize; items];
    let mut merges = Vec::with_capacity(items.saturating_sub(1));
    let mut chain: Vec<usize> = Vec::new();
    while merges.len() + 1 < items {
        let (x, y, distance) = mutual_neighbours(&d, &sizes, &mut chain)?;
        let (gone, stays) = (x.min(y), x.max(y));
        let (a, b) = (sizes[gone] as f64, sizes[stays] as f64);
        sizes[stays] += sizes[gone];
        sizes[gone] = 0;
        merges.push(Merge { first: gone, second: stays, distance, items: sizes[stays] });
        for other in (0..items).filter(|i| sizes[*i] > 0 && *i != stays) {
            let mean = (a * d.get(gone, other) + b * d.get(stays, other)) / (a + b);
            let at = d.at(stays, other);
            d.values[at] = mean;
        }
    }
    merges.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    Ok(numbered(items, merges))
}

/// Follows nearest neighbours from the end of the chain until two are each other's, and takes these off it.
fn mutual_neighbours(d: &Distances, sizes: &[usize], chain: &mut Vec<usize>) -> Result<(usize, usize, f64)> {
    let alive = || (0..sizes.len()).filter(|i| sizes[*i] > 0);
    if chain.is_empty() {
        chain.extend(alive().next());
    }
    while let Some(&x) = chain.last() {
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let start = before.map_or((None, f64::INFINITY), |y| (Some(y), d.get(x, y)));
        let nearer = |best: (Option<usize>, f64), i: usize| {
            let distance = d.get(x, i);
            if distance < best.1 { (Some(i), distance) } else { best }
        };
        let (nearest, distance) = alive().filter(|i| *i != x).fold(start, nearer);
        let Some(y) = nearest else { break };
        if nearest == before {
            chain.truncate(chain.len() - 2);
            return Ok((x, y, distance));
        }
        chain.push(y);
    }
    Err(Error::internal("average linkage", "a chain without an end"))
}

/// Replaces the items that clusters went on under by the clusters' numbers.
fn numbered(items: usize, mut merges: Vec<Merge>) -> Vec<Merge> {
    // The cluster above each cluster, itself where there is none yet.
    let mut above: Vec<usize> = (0..2 * items).collect();
    let mut sizes = vec![1; items];
    for (k, merge) in merges.iter_mut().enumerate() {
        let [a, b] = [merge.first, merge.second].map(|item| top(&mut above, item));
        (above[a], above[b]) = (items + k, items + k);
        sizes.push(sizes[a] + sizes[b]);
        *merge = Merge { first: a.min(b), second: a.max(b), items: sizes[items + k], ..*merge };
    }
    merges
}

fn top(above: &mut [usize], from: usize) -> usize {
    let mut at = from;
    while above[at] != at {
        // Halves the way for those who come after.
        above[at] = above[above[at]];
        at = above[at];
    }
    at
}

/// The items from left to right as SciPy's `dendrogram` draws them by default: under every merge first the
/// items of its first cluster.
pub fn leaf_order(merges: &[Merge]) -> Vec<usize> {
    let items = merges.len() + 1;
    let mut order = Vec::with_capacity(items);
    let mut open = vec![2 * items - 2];
    while let Some(cluster) = open.pop() {
        match cluster.checked_sub(items) {
            None => order.push(cluster),
            Some(merge) => open.extend([merges[merge].second, merges[merge].first]),
        }
    }
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::random::Random;

    fn rows(merges: &[Merge]) -> Vec<[f64; 4]> {
        merges.iter().map(|m| [m.first as f64, m.second as f64, m.distance, m.items as f64]).collect()
    }

    fn close(found: &[Merge], wanted: &[[f64; 4]]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in rows(found).iter().zip(wanted) {
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-14, "{found:?} {wanted:?}");
        }
    }

    /// `linkage(d, "average")` and `dendrogram(Z, no_plot=True)["leaves"]` of SciPy 1.17 for the same 66
    /// distances.
    #[test]
    fn distinct_distances_merge_as_in_scipy() {
        let distance = |a: usize, b: usize| ((a * 7919 + b * 104_729 + 13) % 1009) as f64 / 1009.0 + 0.01;
        let merges = average_linkage(12, distance).unwrap();
        close(
            &merges,
            &[
                [1.0, 9.0, 0.024866204162537167, 2.0],
                [5.0, 6.0, 0.033785926660059466, 2.0],
                [2.0, 8.0, 0.07838453914767096, 2.0],
                [3.0, 7.0, 0.13190287413280477, 2.0],
                [10.0, 13.0, 0.13735381565906837, 3.0],
                [4.0, 11.0, 0.15965312190287415, 2.0],
                [12.0, 15.0, 0.38190287413280477, 4.0],
                [0.0, 17.0, 0.4842319127849356, 3.0],
                [14.0, 18.0, 0.5202824578790882, 6.0],
                [19.0, 20.0, 0.5585078735822046, 9.0],
                [16.0, 21.0, 0.6269658260837647, 12.0],
            ],
        );
        assert_eq!(leaf_order(&merges), [10, 5, 6, 0, 4, 11, 2, 8, 1, 9, 3, 7]);
    }

    /// The same of distances 1, 2, 3 and 4 alone, among which nearly all are ties.
    #[test]
    fn ties_fall_as_in_scipy() {
        let merges = average_linkage(9, |a, b| ((a * b + a + b) % 4 + 1) as f64).unwrap();
        close(
            &merges,
            &[
                [0.0, 4.0, 1.0, 2.0],
                [2.0, 6.0, 1.0, 2.0],
                [8.0, 9.0, 1.0, 3.0],
                [1.0, 10.0, 2.0, 3.0],
                [5.0, 11.0, 2.0, 4.0],
                [12.0, 13.0, 8.0 / 3.0, 7.0],
                [3.0, 7.0, 4.0, 2.0],
                [14.0, 15.0, 4.0, 9.0],
            ],
        );
        assert_eq!(leaf_order(&merges), [1, 2, 6, 5, 8, 0, 4, 3, 7]);
    }

    /// The greedy algorithm, by the book: always the two clusters of the smallest mean distance.
    #[test]
    fn chains_find_what_the_greedy_algorithm_finds() {
        let (n, mut random) = (60, Random::stream(6, "test"));
        let values: Vec<f64> = (0..n * n).map(|_| random.uniform()).collect();
        let distance = |a: usize, b: usize| values[a * n + b];
        let mut clusters: Vec<(usize, Vec<usize>)> = (0..n).map(|i| (i, vec![i])).collect();
        for (k, merge) in average_linkage(n, distance).unwrap().iter().enumerate() {
            let mut best = (f64::INFINITY, 0, 0);
            for i in 0..clusters.len() {
                for j in i + 1..clusters.len() {
                    let pairs =
                        || clusters[i].1.iter().flat_map(|a| clusters[j].1.iter().map(move |b| (*a, *b)));
                    let sum: f64 = pairs().map(|(a, b)| distance(a.min(b), a.max(b))).sum();
                    let mean = sum / pairs().count() as f64;
                    if mean < best.0 {
                        best = (mean, i, j);
                    }
                }
            }
            let (second, first) = (clusters.remove(best.2), clusters.remove(best.1));
            assert!((merge.distance - best.0).abs() < 1e-12, "{k}");
            assert_eq!((merge.first, merge.second), (first.0.min(second.0), first.0.max(second.0)), "{k}");
            let items = [first.1, second.1].concat();
            assert_eq!(merge.items, items.len());
            clusters.push((n + k, items));
        }
    }

    #[test]
    fn few_items_and_wrong_distances() {
        assert!(average_linkage(0, |_, _| 0.0).unwrap().is_empty());
        assert!(average_linkage(1, |_, _| 0.0).unwrap().is_empty());
        assert_eq!(leaf_order(&[]), [0]);
        assert!(average_linkage(3, |_, _| f64::NAN).is_err());
        let same = average_linkage(5, |_, _| 0.0).unwrap();
        let mut leaves = leaf_order(&same);
        leaves.sort_unstable();
        assert_eq!((same.len(), leaves), (4, vec![0, 1, 2, 3, 4]));
    }
}
