//! Whether neurons respond to the images at all: a permutation test of the variance between images.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::repeats::Trials;
use crate::random::Random;

/// Permutations of the test: the smallest p-value is one in a thousand and one.
pub const PERMUTATIONS: usize = 1000;

/// Neurons whose sums are taken side by side.
const LANES: usize = 8;

/// How far below the observed value a permuted one may lie, as a share, and still count as equal: their sums
/// are taken in another order.
const ROUNDING: f64 = 1e-12;

/// For each neuron the p-value of the null that its responses do not depend on the image.
///
/// The statistic is the variance between images, `sum_i R_i (mean_i - mean)^2` over the images i with R_i > 1
/// repeats; under the null all trials of a neuron may change places. `p = (1 + count) / (1 + permutations)`,
/// with the count of permutations whose statistic is at least the observed one (Phipson and Smyth 2010).
/// Permutation k is drawn from the ChaCha8 stream `permutation k` of `seed`: the same for all neurons with
/// the same number of trials. NaN without repeats, 1 for a constant neuron.
pub fn p_values(neurons: &[Trials], permutations: usize, seed: u64) -> Vec<f64> {
    let mut alike: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (neuron, trials) in neurons.iter().enumerate().filter(|(_, trials)| trials.has_repeats()) {
        alike.entry(trials.repeated().map(<[f64]>::len).collect()).or_default().push(neuron);
    }
    let blocks: Vec<Block> = alike
        .iter()
        .flat_map(|(counts, group)| group.chunks(LANES).map(|some| Block::new(counts, some, neurons)))
        .collect();
    let one = |number: usize| -> Vec<[u32; LANES]> {
        let mut orders: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let reaches = |block: &Block| {
            let trials = block.trials.len();
            let order = orders.entry(trials).or_insert_with(|| {
                let mut order: Vec<u32> = (0..trials as u32).collect();
                Random::stream(seed, &format!("permutation {number}")).shuffle(&mut order);
                order
            });
            let found = block.between(order);
            std::array::from_fn(|l| u32::from(found[l] >= block.observed[l] * (1.0 - ROUNDING)))
        };
        blocks.iter().map(reaches).collect()
    };
    let none = || vec![[0u32; LANES]; blocks.len()];
    let counts = (0..permutations).into_par_iter().map(one).reduce(none, |mut sums, more| {
        for (sum, more) in sums.iter_mut().flatten().zip(more.iter().flatten()) {
            *sum += more;
        }
        sums
    });
    let mut values = vec![f64::NAN; neurons.len()];
    for (block, counts) in blocks.iter().zip(counts) {
        for (neuron, count) in block.neurons.iter().zip(counts) {
            values[*neuron] = (1.0 + f64::from(count)) / (1.0 + permutations as f64);
        }
    }
    values
}

/// A few neurons with the same numbers of repeats.
struct Block<'a> {
    counts: &'a [usize],
    neurons: &'a [usize],
    /// All trials, image by image, a neuron in each lane, minus the neuron's mean.
    trials: Vec<[f64; LANES]>,
    observed: [f64; LANES],
}

impl<'a> Block<'a> {
    fn new(counts: &'a [usize], neurons: &'a [usize], all: &[Trials]) -> Self {
        let mut trials = vec![[0.0; LANES]; counts.iter().sum()];
        for (lane, neuron) in neurons.iter().enumerate() {
            let sum: f64 = all[*neuron].repeated().flatten().sum();
            let mean = sum / trials.len() as f64;
            for (trial, value) in trials.iter_mut().zip(all[*neuron].repeated().flatten()) {
                trial[lane] = value - mean;
            }
        }
        let mut block = Block { counts, neurons, trials, observed: [0.0; LANES] };
        let order: Vec<u32> = (0..block.trials.len() as u32).collect();
        block.observed = block.between(&order);
        block
    }

    /// `sum_i R_i mean_i^2` of centred trials in a given order.
    fn between(&self, order: &[u32]) -> [f64; LANES] {
        let mut total = [0.0; LANES];
        let mut rest = order;
        for count in self.counts {
            let (image, later) = rest.split_at(*count);
            rest = later;
            let mut sums = [0.0; LANES];
            for trial in image {
                let values = &self.trials[*trial as usize];
                for lane in 0..LANES {
                    sums[lane] += values[lane];
                }
            }
            for lane in 0..LANES {
                total[lane] += sums[lane] * sums[lane] / *count as f64;
            }
        }
        total
    }
}

/// Which p-values are significant with the share of false ones among them held to `rate` on average
/// (Benjamini and Hochberg 1995): the k smallest, for the largest k with `p_(k) <= k rate / m`. NaN is no
/// test and never significant.
pub fn benjamini_hochberg(p: &[f64], rate: f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = p.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let m = sorted.len() as f64;
    let largest = (0..sorted.len()).rev().find(|k| sorted[*k] <= (*k + 1) as f64 * rate / m);
    p.iter().map(|v| largest.is_some_and(|k| *v <= sorted[k])).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn neuron(random: &mut Random, signal: f64, missing: bool) -> Trials {
        let mut values = Array2::from_elem((30, 4), 0f32);
        for mut image in values.outer_iter_mut() {
            let mean = signal * random.normal();
            image.mapv_inplace(|_| (mean + random.normal()) as f32);
        }
        if missing {
            values[[3, 1]] = f32::NAN;
        }
        Trials::new(values.outer_iter())
    }

    #[test]
    fn noise_is_uniform_and_signal_significant() {
        let mut random = Random::stream(2, "test");
        let noise: Vec<Trials> = (0..300).map(|n| neuron(&mut random, 0.0, n % 3 == 0)).collect();
        let p = p_values(&noise, 200, 1);
        // Five standard deviations of the mean of 300 uniform numbers are .083; of the share below .1, .087.
        let mean = p.iter().sum::<f64>() / 300.0;
        let low = p.iter().filter(|p| **p <= 0.1).count() as f64 / 300.0;
        assert!((mean - 0.5).abs() < 0.083 && (low - 0.1).abs() < 0.087, "{mean} {low}");
        let tuned: Vec<Trials> = (0..20).map(|_| neuron(&mut random, 2.0, false)).collect();
        assert!(p_values(&tuned, 200, 1).iter().all(|p| *p == 1.0 / 201.0));
        // A neuron's value does not depend on those beside it.
        assert_eq!(p_values(&noise[7..8], 200, 1)[0], p[7]);
    }

    #[test]
    fn a_small_case_has_its_exact_share() {
        // Of the 3 ways to pair 4 trials, one is as far apart as 1 1 | 5 5: a third of all permutations.
        let values = ndarray::array![[1f32, 1.0], [5.0, 5.0]];
        let p = p_values(&[Trials::new(values.outer_iter())], 6000, 0)[0];
        // Five standard deviations are .03.
        assert!((p - 1.0 / 3.0).abs() < 0.03, "{p}");
        let constant = Array2::from_elem((3, 2), 0.1f32);
        let once = Array2::from_elem((3, 1), 0.1f32);
        let of = |values: &Array2<f32>| p_values(&[Trials::new(values.outer_iter())], 50, 0)[0];
        assert_eq!(of(&constant), 1.0);
        assert!(of(&once).is_nan());
    }

    #[test]
    fn false_discoveries_are_controlled_as_scipy_does() {
        // scipy.stats.false_discovery_control(p) <= .05 of SciPy 1.15 on the same numbers.
        let p = [0.01, 0.04, 0.03, 0.005, 0.2, 0.9, f64::NAN];
        assert_eq!(benjamini_hochberg(&p, 0.05), [true, false, false, true, false, false, false]);
        // The second is above its own bound of .025, but the third saves both.
        assert_eq!(benjamini_hochberg(&[0.03, 0.026, 0.035, 0.9], 0.05), [true, true, true, false]);
        assert_eq!(benjamini_hochberg(&[], 0.05), [false; 0]);
    }
}
