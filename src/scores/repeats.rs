//! Scores that need repeated presentations of the same image: how much of a response can be explained at all,
//! and how much of that a prediction explains. All in f64; repeats may be ragged.

use super::agreement::{is_constant, mean, pearson_r, variance};
use crate::random::Random;

/// How many random halves [`Trials::split_half`] averages over.
pub const HALVES: usize = 100;

/// The responses of one neuron: for each image the repeats that are present.
#[derive(Debug, Clone)]
pub struct Trials(Vec<Vec<f64>>);

impl Trials {
    /// Takes the repeats of each image; NaN means that a repeat is missing.
    pub fn new<'a>(images: impl Iterator<Item = ndarray::ArrayView1<'a, f32>>) -> Self {
        let present = |values: ndarray::ArrayView1<f32>| {
            values.iter().filter(|v| !v.is_nan()).map(|&v| f64::from(v)).collect()
        };
        Trials(images.map(present).collect())
    }

    /// The responses of each image, which are all present.
    pub(super) fn of(images: Vec<Vec<f64>>) -> Self {
        Trials(images)
    }

    /// The mean response to each image; NaN for an image without repeats.
    pub fn averages(&self) -> Vec<f64> {
        self.0.iter().map(|values| mean(values)).collect()
    }

    /// Whether some image has at least two repeats, without which no score of this file exists.
    pub fn has_repeats(&self) -> bool {
        self.0.iter().any(|values| values.len() > 1)
    }

    /// The repeats of each image that has at least two.
    pub(super) fn repeated(&self) -> impl Iterator<Item = &[f64]> {
        self.0.iter().map(Vec::as_slice).filter(|values| values.len() > 1)
    }

    /// For each image what [`Trials::fev`] and [`Trials::feve`] sum over images: trials, their sum, the sum
    /// of their squares, the variance over repeats, whether it has one, and the squared errors of a
    /// prediction. In units of the standard deviation over all trials, about their mean, so that sums of
    /// squares lose no digits.
    pub(super) fn sums(&self, predictions: Option<&[f64]>) -> Vec<[f64; 6]> {
        let all: Vec<f64> = self.0.iter().flatten().copied().collect();
        let (centre, unit) = (mean(&all), variance(&all, 0.0).sqrt());
        let of = |(image, values): (usize, &Vec<f64>)| {
            let z = |v: f64| (v - centre) / unit;
            let repeated = values.len() > 1;
            let noise = if repeated { variance(values, 1.0) / (unit * unit) } else { 0.0 };
            let errors =
                predictions.map_or(0.0, |p| values.iter().map(|v| ((v - p[image]) / unit).powi(2)).sum());
            let squares = values.iter().map(|v| z(*v).powi(2)).sum();
            let sum = values.iter().map(|v| z(*v)).sum();
            [values.len() as f64, sum, squares, noise, f64::from(u8::from(repeated)), errors]
        };
        self.0.iter().enumerate().map(of).collect()
    }

    /// Correlation to average: [`pearson_r`] between the mean response to each image and the prediction for
    /// it (Sensorium's `correlation to average`).
    pub fn correlation_to_average(&self, predictions: &[f64]) -> f64 {
        pearson_r(&self.averages(), predictions)
    }

    /// Single-trial correlation: [`pearson_r`] over all trials, the prediction for an image standing beside
    /// each of its repeats (Sensorium's `single trial correlation`). Images with more repeats weigh more.
    pub fn single_trial_correlation(&self, predictions: &[f64]) -> f64 {
        let (y, p) = self.pairs(predictions);
        pearson_r(&y, &p)
    }

    /// All trials, and beside each the prediction for its image.
    pub(super) fn pairs(&self, predictions: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut y, mut p) = (Vec::new(), Vec::new());
        for (values, &prediction) in self.0.iter().zip(predictions) {
            y.extend_from_slice(values);
            p.extend(values.iter().map(|_| prediction));
        }
        (y, p)
    }

    /// Variance over all trials (n - 1), and the mean over images of the variance over repeats (n - 1).
    /// Images with a single repeat say nothing of the noise and count in the first only; images are not
    /// weighted by their number of repeats.
    fn total_and_noise(&self) -> (f64, f64) {
        let all: Vec<f64> = self.0.iter().flatten().copied().collect();
        let repeated = self.0.iter().filter(|values| values.len() > 1);
        let noises: Vec<f64> = repeated.map(|values| variance(values, 1.0)).collect();
        let total = if is_constant(&all) { 0.0 } else { variance(&all, 1.0) };
        (total, mean(&noises))
    }

    /// Fraction of explainable variance `FEV = (total - noise) / total` (Sensorium, neuralpredictors `fev`).
    ///
    /// `total` is the variance (n - 1) over all trials, `noise` the mean over images of the variance (n - 1)
    /// over repeats. Not clipped: an untuned neuron scatters about 0. NaN for a constant neuron or without
    /// repeats.
    pub fn fev(&self) -> f64 {
        let (total, noise) = self.total_and_noise();
        (total - noise) / total
    }

    /// Fraction of explainable variance explained `FEVE = 1 - (MSE - noise) / (total - noise)` (Sensorium,
    /// neuralpredictors `fev`), with MSE the mean of `(y - p)^2` over all trials and the rest as in
    /// [`Trials::fev`].
    ///
    /// Not clipped: it may be negative or a little above 1, and means nothing where FEV is near or below 0.
    /// NaN for a constant neuron, without repeats, or where total equals noise.
    pub fn feve(&self, predictions: &[f64]) -> f64 {
        let trials =
            || self.0.iter().zip(predictions).flat_map(|(values, p)| values.iter().map(move |y| (y, p)));
        let errors: Vec<f64> = trials().map(|(y, p)| (y - p).powi(2)).collect();
        self.explained_of(mean(&errors))
    }

    /// [`Trials::feve`] of predictions with this mean squared error.
    pub(super) fn explained_of(&self, mse: f64) -> f64 {
        let (total, noise) = self.total_and_noise();
        let explainable = total - noise;
        if explainable == 0.0 { f64::NAN } else { 1.0 - (mse - noise) / explainable }
    }

    /// Split-half reliability: the repeats of each image are cut at random into two halves, [`pearson_r`]
    /// between the averages of the halves over images, mean `r` over [`HALVES`] cuts, corrected to all
    /// repeats by Spearman and Brown: `2 r / (1 + r)`.
    ///
    /// The mean is corrected, and not each cut: a single cut with r near -1 would outweigh all others. With
    /// an odd number of repeats one half is larger by one. Images with a single repeat are left out. Cuts are
    /// drawn from the ChaCha8 stream `split-half` of `seed`, the same for every neuron with the same repeats.
    /// NaN without repeats or when no cut has a correlation.
    pub fn split_half(&self, seed: u64) -> f64 {
        let mut random = Random::stream(seed, "split-half");
        let mut images: Vec<Vec<f64>> = self.0.iter().filter(|values| values.len() > 1).cloned().collect();
        let (mut sum, mut cuts) = (0.0, 0usize);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        // Each cut starts from the order of the file, so that a cut depends on the seed alone.
        let originals = images.clone();
        for _ in 0..HALVES {
            first.clear();
            second.clear();
            for (values, original) in images.iter_mut().zip(&originals) {
                values.copy_from_slice(original);
                random.shuffle(values);
                let (a, b) = values.split_at(values.len() / 2);
                first.push(mean(a));
                second.push(mean(b));
            }
            let r = pearson_r(&first, &second);
            if !r.is_nan() {
                sum += r;
                cuts += 1;
            }
        }
        let r = sum / cuts as f64;
        2.0 * r / (1.0 + r)
    }

    /// Jackknife oracle: [`pearson_r`] over all trials between a trial and the mean of the other repeats of
    /// its image (Sensorium's `oracle`; it underestimates the ceiling, for that mean is noisy itself). Images
    /// with a single repeat are left out. NaN without repeats or for a constant neuron (where Sensorium gives
    /// 0).
    pub fn oracle_jackknife(&self) -> f64 {
        let (mut y, mut others) = (Vec::new(), Vec::new());
        for values in self.0.iter().filter(|values| values.len() > 1) {
            let sum: f64 = values.iter().sum();
            y.extend_from_slice(values);
            others.extend(values.iter().map(|v| (sum - v) / (values.len() - 1) as f64));
        }
        pearson_r(&y, &others)
    }
}

/// [`Trials::fev`] and [`Trials::feve`] of sums over images of [`Trials::sums`]; NaN as there.
pub(super) fn explained([trials, sum, squares, noise, repeated, errors]: &[f64; 6]) -> [f64; 2] {
    let total = (squares - sum * sum / trials) / (trials - 1.0);
    let noise = noise / repeated;
    let explainable = total - noise;
    [explainable / total, 1.0 - (errors / trials - noise) / explainable]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn sums_over_images_give_the_same_fractions() {
        let (y, p) = (trials(&(100.0 * example() + 1e4)), [10_300.0, 10_400.0, 10_700.0]);
        let sums = y.sums(Some(&p)).into_iter().fold([0.0; 6], |mut sums, terms| {
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            sums
        });
        let [fev, feve] = explained(&sums);
        assert!((fev - y.fev()).abs() < 1e-12 && (feve - y.feve(&p)).abs() < 1e-12);
        let constant = trials(&array![[0.1, 0.1], [0.1, 0.1]]).sums(None);
        assert!(explained(&constant[0])[0].is_nan());
    }

    fn trials(values: &Array2<f32>) -> Trials {
        Trials::new(values.outer_iter())
    }

    /// 3 images with 2, 2 and 3 repeats.
    fn example() -> Array2<f32> {
        array![[1.0, 3.0, f32::NAN], [f32::NAN, 4.0, 4.0], [7.0, 6.0, 8.0]]
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-14
    }

    #[test]
    fn by_hand() {
        let y = trials(&example());
        assert_eq!(y.averages(), [2.0, 4.0, 7.0]);
        // Trials 1 3 4 4 7 6 8: sum 33, squares 191, so total = (191 - 33^2/7)/6; noise = (2 + 0 + 1)/3 = 1.
        let total = (191.0 - 33.0 * 33.0 / 7.0) / 6.0;
        assert!(close(y.fev(), (total - 1.0) / total));
        // Errors of (2, 4, 6): 1 1 | 0 0 | 1 0 4, MSE = 1, so all that can be explained is.
        assert!(close(y.feve(&[2.0, 4.0, 6.0]), 1.0));
        // Errors of (3, 4, 7): 4 0 | 0 0 | 0 1 1, MSE = 6/7.
        assert!(close(y.feve(&[3.0, 4.0, 7.0]), 1.0 - (6.0 / 7.0 - 1.0) / (total - 1.0)));
        let single = pearson_r(&[1.0, 3.0, 4.0, 4.0, 7.0, 6.0, 8.0], &[3.0, 3.0, 4.0, 4.0, 7.0, 7.0, 7.0]);
        assert!(close(y.single_trial_correlation(&[3.0, 4.0, 7.0]), single));
        assert!(close(y.correlation_to_average(&[4.0, 8.0, 14.0]), 1.0));
        let oracle = pearson_r(&[1.0, 3.0, 4.0, 4.0, 7.0, 6.0, 8.0], &[3.0, 1.0, 4.0, 4.0, 7.0, 7.5, 6.5]);
        assert!(close(y.oracle_jackknife(), oracle));
    }

    #[test]
    fn perfect_repeats_are_wholly_explainable() {
        let y = trials(&array![[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]);
        assert!(close(y.fev(), 1.0) && close(y.feve(&[1.0, 2.0, 5.0]), 1.0));
        assert!(close(y.split_half(1), 1.0) && close(y.oracle_jackknife(), 1.0));
    }

    #[test]
    fn units_do_not_matter() {
        let (y, p) = (example(), [3.0, 4.0, 7.0]);
        let (a, b) = (trials(&y), trials(&y.mapv(|v| 4.0 * v - 2.0)));
        let q = p.map(|p| 4.0 * p - 2.0);
        assert!((a.fev() - b.fev()).abs() < 1e-12 && (a.feve(&p) - b.feve(&q)).abs() < 1e-12);
        assert!((a.split_half(2) - b.split_half(2)).abs() < 1e-12);
    }

    #[test]
    fn split_half_of_two_repeats_is_spearman_browns() {
        // Two repeats can be cut in one way, but for the order of the halves of each image.
        let values = array![[1.0, 1.0], [2.0, 2.0], [3.0, 4.0], [9.0, 9.0]];
        let (a, b) = ([1.0, 2.0, 3.0, 9.0], [1.0, 2.0, 4.0, 9.0]);
        let r = pearson_r(&a, &b);
        assert!(close(trials(&values).split_half(7), 2.0 * r / (1.0 + r)));
        let y = trials(&example());
        assert_eq!(y.split_half(3), y.split_half(3));
    }

    #[test]
    fn reliability_estimates_the_correlation_of_averages_with_an_independent_set() {
        let mut random = Random::stream(5, "test");
        let values = Array2::from_shape_fn((3000, 9), |_| 0.0f32);
        let signal: Vec<f64> = (0..3000).map(|_| random.normal()).collect();
        let noisy = |random: &mut Random| {
            let mut copy = values.clone();
            for (mut row, s) in copy.outer_iter_mut().zip(&signal) {
                row.mapv_inplace(|_| (s + 2.0 * random.normal()) as f32);
            }
            copy
        };
        let (first, second) = (trials(&noisy(&mut random)), trials(&noisy(&mut random)));
        let independent = pearson_r(&first.averages(), &second.averages());
        assert!((first.split_half(0) - independent).abs() < 0.03, "{} {independent}", first.split_half(0));
        // Signal 1, noise 4: FEV is 1/5.
        assert!((first.fev() - 0.2).abs() < 0.02, "{}", first.fev());
        assert!((first.feve(&signal) - 1.0).abs() < 0.02);
    }

    #[test]
    fn without_repeats_or_variance_there_is_no_score() {
        let once = trials(&array![[1.0], [2.0], [5.0]]);
        assert!(!once.has_repeats());
        assert!(once.fev().is_nan() && once.feve(&[1.0, 2.0, 5.0]).is_nan());
        assert!(once.split_half(0).is_nan() && once.oracle_jackknife().is_nan());
        let constant = trials(&array![[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]]);
        assert!(constant.has_repeats() && constant.fev().is_nan() && constant.feve(&[0.0; 3]).is_nan());
        assert!(constant.oracle_jackknife().is_nan() && constant.split_half(0).is_nan());
        assert!(constant.single_trial_correlation(&[1.0, 2.0, 3.0]).is_nan());
        assert!(trials(&Array2::zeros((0, 2))).fev().is_nan());
    }
}
