//! Scores of every layer, size and control on test images, their means over areas, and each neuron's best
//! layer.

use super::super::rows::Rows;
use super::fits::LayerFit;
use super::{LayerMean, ProfiledLayer};
use crate::io::labels::{ALL, Labels};
use crate::io::split::Split;
use crate::ridge::FactorisationTaken;
use crate::scores::bootstrap::Resamples;
use crate::scores::held_out::{HeldOut, HeldOutScores, Measure};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use serde::Serialize;

/// Scores of all neurons with one layer.
pub(super) struct LayerScores {
    pub layer: String,
    pub size: String,
    pub control: &'static str,
    pub scores: Vec<HeldOutScores>,
}

/// Neurons of an area.
pub(super) struct Group {
    pub name: String,
    pub neurons: Vec<usize>,
}

/// All neurons, and those of each area.
pub(super) fn groups(neurons: usize, labels: Option<&Labels>) -> Vec<Group> {
    let mut groups = vec![Group { name: ALL.into(), neurons: (0..neurons).collect() }];
    if let Some(labels) = labels {
        groups.extend(labels.areas().into_iter().map(|name| Group {
            neurons: (0..neurons).filter(|n| labels.area(*n) == Some(name.as_str())).collect(),
            name,
        }));
    }
    groups
}

/// Which image's response stands in each image's place: images change places within their tier.
pub(super) struct Shuffle(Vec<usize>);

impl Shuffle {
    /// As [`Split::shuffled`].
    pub fn new(images: usize, split: &Split, seed: u64) -> Self {
        Shuffle(split.shuffled(images, seed))
    }

    /// (neurons, rows), and below them the same neurons with their images shuffled.
    pub fn below(&self, rows: &Rows) -> Array2<f32> {
        let shuffled = rows.responses.select(Axis(1), &rows.shuffled(&self.0));
        // Both have the same shape.
        concatenate![Axis(0), rows.responses, shuffled]
    }

    /// Predictions for test images, (neurons, test images), each put where the response is that it predicts.
    fn back(&self, predictions: ArrayView2<f32>, test: &[usize]) -> Array2<f32> {
        let mut back = Array2::zeros(predictions.raw_dim());
        for (column, image) in predictions.columns().into_iter().zip(test) {
            // A tier's images stay in the tier.
            if let Ok(place) = test.binary_search(&self.0[*image]) {
                back.column_mut(place).assign(&column);
            }
        }
        back
    }
}

/// What layers are scored with.
pub(super) struct Scoring<'a> {
    pub held_out: HeldOut,
    pub images: Resamples,
    pub groups: &'a [Group],
    pub test: &'a [usize],
    pub shuffle: Option<&'a Shuffle>,
    pub draws: usize,
    pub seed: u64,
}

/// What solved the systems of one layer.
#[derive(Serialize)]
pub(super) struct LayerFactorisation {
    pub size: String,
    pub random_weights: bool,
    pub layer: String,
    /// For each ratio, where weights are smooth; one where they are not.
    pub taken: Vec<FactorisationTaken>,
}

/// Everything that was scored, and how it was fitted.
#[derive(Default)]
pub(super) struct Results {
    pub layers: Vec<LayerScores>,
    pub means: Vec<LayerMean>,
    /// None of readouts that are trained.
    pub factorisations: Vec<LayerFactorisation>,
}

impl Scoring<'_> {
    /// Scores the layers of one run, its shuffled neurons apart.
    pub fn add(&self, results: &mut Results, run: (&str, bool), layers: &[ProfiledLayer], fits: &[LayerFit]) {
        let (size, random) = run;
        for (layer, fit) in layers.iter().zip(fits) {
            let neurons = fit.predictions.nrows() / if self.shuffle.is_some() { 2 } else { 1 };
            let (real, shuffled) = fit.predictions.view().split_at(Axis(0), neurons);
            let control = if random { "random" } else { "none" };
            if !fit.factorisations.is_empty() {
                results.factorisations.push(LayerFactorisation {
                    size: size.into(),
                    random_weights: random,
                    layer: layer.layer.clone(),
                    taken: fit.factorisations.clone(),
                });
            }
            self.add_layer(results, size, control, &layer.layer, real);
            // Shuffled images tell nothing new of random weights.
            if let Some(shuffle) = self.shuffle.filter(|_| !random) {
                let back = shuffle.back(shuffled, self.test);
                self.add_layer(results, size, "shuffled", &layer.layer, back.view());
            }
        }
    }

    fn add_layer(
        &self,
        results: &mut Results,
        size: &str,
        control: &'static str,
        layer: &str,
        predictions: ArrayView2<f32>,
    ) {
        let scored = self.held_out.score(predictions, &self.images);
        for group in self.groups {
            for measure in Measure::ALL {
                let score = scored.mean(measure, &group.neurons, self.draws, self.seed);
                results.means.push(LayerMean {
                    size: size.into(),
                    control,
                    area: group.name.clone(),
                    layer: layer.into(),
                    measure: measure.name(),
                    score,
                });
            }
        }
        let (layer, size) = (layer.into(), size.into());
        results.layers.push(LayerScores { layer, size, control, scores: scored.scores });
    }
}

/// The best layer of a neuron.
pub(super) struct Best {
    /// By the held-out loss on folds of the training images; the earlier of equal ones.
    pub layer: usize,
    /// By the loss of each fold alone.
    pub folds: Vec<usize>,
}

/// The layer of each neuron that predicts best the images held out of the training images' folds. Test images
/// play no part, so that the score of that layer on these is nobody's choice.
pub(super) fn best_layers(fits: &[LayerFit], neurons: usize) -> Vec<Best> {
    let smallest = |losses: &mut dyn Iterator<Item = f64>| {
        let start = (0, f64::INFINITY);
        losses.enumerate().fold(start, |best, (i, loss)| if loss < best.1 { (i, loss) } else { best }).0
    };
    let folds = fits.first().map_or(0, |fit| fit.fold_losses.nrows());
    let one = |neuron: usize| Best {
        layer: smallest(&mut fits.iter().map(|fit| fit.fold_losses.slice(s![.., neuron]).sum())),
        folds: (0..folds)
            .map(|fold| smallest(&mut fits.iter().map(|fit| fit.fold_losses[[fold, neuron]])))
            .collect(),
    };
    (0..neurons).map(one).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::image_names::ImageNames;
    use crate::io::responses::Responses;
    use crate::tasks::TrialsRequest;
    use ndarray::array;

    #[test]
    fn shuffled_images_stay_in_their_tier_and_come_back() {
        let split = Split::random(50, 0.3, 4).unwrap();
        let shuffle = Shuffle::new(50, &split, 1);
        for tier in [&split.train, &split.test] {
            let mut rows: Vec<usize> = tier.iter().map(|i| shuffle.0[*i]).collect();
            assert_ne!(&rows, tier);
            rows.sort_unstable();
            assert_eq!(&rows, tier);
        }
        let responses = Array2::from_shape_fn((2, 50), |(n, i)| (100 * n + i) as f32);
        let repeats = responses.clone().insert_axis(Axis(2));
        let recording = Responses { offsets: vec![0.0; repeats.dim().0], repeats, neuron_names: None };
        let rows =
            Rows::new(&recording, &TrialsRequest::default(), &ImageNames::counted(50), &split.train).unwrap();
        let both = shuffle.below(&rows);
        assert_eq!(both.nrows(), 4);
        // A perfect prediction of the shuffled responses is, put back, one of the responses.
        let predicted = both.slice(s![2.., ..]).select(Axis(1), &split.test);
        let back = shuffle.back(predicted.view(), &split.test);
        assert_eq!(back, responses.select(Axis(1), &split.test));
    }

    #[test]
    fn the_best_layer_has_the_smallest_loss_over_folds() {
        let fit = |fold_losses| LayerFit {
            predictions: Array2::zeros((2, 1)),
            fold_losses,
            factorisations: Vec::new(),
        };
        let fits = [
            fit(array![[1.0, 2.0], [1.0, 2.0]]),
            fit(array![[0.0, 2.0], [3.0, 2.0]]),
            fit(array![[0.5, 9.0], [0.9, 0.0]]),
        ];
        let best = best_layers(&fits, 2);
        assert_eq!((best[0].layer, &best[0].folds[..]), (2, &[1, 2][..]));
        assert_eq!((best[1].layer, &best[1].folds[..]), (0, &[0, 2][..]));
    }
}
