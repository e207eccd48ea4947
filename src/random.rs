//! Random numbers that are the same for the same seed in every version of Striate.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A ChaCha8 generator with the few distributions that Striate needs.
///
/// Integers and uniform numbers are the same on every machine. Normal and Poisson numbers pass through `ln`,
/// `cos` and `exp` of the platform, whose last digit may differ between operating systems.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream called `name` under `seed`: its ChaCha8 key is SHA-256 of the seed (8 bytes, little-endian)
    /// followed by the name. Streams of different names are independent, so that adding a use of random
    /// numbers in one place never changes those of another.
    pub fn stream(seed: u64, name: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name.as_bytes()).finalize();
        let mut key = [0u8; 32];
        key.copy_from_slice(&digest);
        Random(ChaCha8Rng::from_seed(key))
    }

    /// A number in [0, 1): a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A normal number of mean 0 and standard deviation 1 (Box and Muller 1958; the sine half is not kept).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// A whole number in 0..n, without bias (Lemire 2019); 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let rejected = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= rejected {
                return (product >> 64) as usize;
            }
        }
    }

    /// Shuffles in place: Fisher and Yates, from the last item down.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// A Poisson count of the given mean; 0 for a mean that is not a positive finite number.
    ///
    /// Below 10 by multiplication of uniforms (Knuth), from 10 on by transformed rejection (PTRS, Hoermann
    /// 1993): both exact up to rounding.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if !mean.is_finite() || mean <= 0.0 {
            return 0;
        }
        if mean >= 10.0 {
            return self.poisson_by_rejection(mean);
        }
        let limit = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    fn poisson_by_rejection(&mut self, mean: f64) -> u64 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let easy = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let distance = 0.5 - u.abs();
            let count = ((2.0 * a / distance + b) * u + mean + 0.43).floor();
            if distance >= 0.07 && v <= easy {
                return count as u64;
            }
            if !(0.0..=1e18).contains(&count) || (distance < 0.013 && v > distance) {
                continue;
            }
            let proposed = (v * inverse_alpha / (a / (distance * distance) + b)).ln();
            if proposed <= count * mean.ln() - mean - ln_factorial(count) {
                return count as u64;
            }
        }
    }
}

/// ln(count!), by Stirling's series from 16 on, where its error is below 1e-13.
fn ln_factorial(count: f64) -> f64 {
    if count < 16.0 {
        return (2..=count as u64).map(|k| (k as f64).ln()).sum();
    }
    let x = count + 1.0;
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let tail = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * TAU.ln() + tail
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn streams_are_stable_and_differ_by_name_and_seed() {
        let first = |seed, name| Random::stream(seed, name).0.next_u64();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
        // Pinned: a change here changes every experiment that anybody has run.
        let mut order: Vec<usize> = (0..8).collect();
        Random::stream(7, "pinned").shuffle(&mut order);
        assert_eq!(order, PINNED);
    }

    const PINNED: [usize; 8] = [6, 5, 2, 0, 1, 7, 4, 3];

    #[test]
    fn below_is_even_and_in_range() {
        let mut random = Random::stream(3, "below");
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        // Five standard deviations of a binomial(70000, 1/7) are 463.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 463), "{counts:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn normal_has_the_moments_of_a_normal() {
        let mut random = Random::stream(3, "normal");
        let draws: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.016, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.023, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.16, "{}", moment(4));
    }

    #[test]
    fn poisson_has_the_probabilities_of_a_poisson() {
        for mean in [0.3, 4.0, 9.99, 10.0, 25.0, 400.0] {
            let mut random = Random::stream(11, &format!("poisson {mean}"));
            let draws = 100_000usize;
            let mut histogram = std::collections::BTreeMap::<u64, usize>::new();
            for _ in 0..draws {
                *histogram.entry(random.poisson(mean)).or_default() += 1;
            }
            let (mut chi2, mut cells) = (0.0, 0.0);
            for (&count, &seen) in &histogram {
                let k = count as f64;
                let expected = draws as f64 * (k * mean.ln() - mean - ln_factorial(k)).exp();
                if expected > 10.0 {
                    chi2 += (seen as f64 - expected).powi(2) / expected;
                    cells += 1.0;
                }
            }
            // Six standard deviations above the mean of chi squared.
            assert!(chi2 < cells + 6.0 * (2.0f64 * cells).sqrt(), "mean {mean}: chi2 {chi2} over {cells}");
        }
        let mut random = Random::stream(0, "odd");
        assert_eq!([f64::NAN, -1.0, 0.0, f64::INFINITY].map(|mean| random.poisson(mean)), [0; 4]);
    }

    #[test]
    fn ln_factorial_is_continuous_with_the_sum() {
        let sum: f64 = (2..=40).map(|k| f64::from(k).ln()).sum();
        assert!((ln_factorial(40.0) - sum).abs() < 1e-11);
        assert!((ln_factorial(16.0) - ln_factorial(15.0) - 16f64.ln()).abs() < 1e-12);
    }
}
