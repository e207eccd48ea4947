//! Trials by image and repeat, and responses in units of their own spread.

use std::collections::BTreeMap;

use ndarray::{Array3, Axis};
use rayon::prelude::*;

/// Where each trial stands among images and repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrangement {
    /// The images that were shown, ascending: what rows of responses are called in the recording.
    pub images: Vec<usize>,
    /// For each trial the row of its image, and which repeat of it this is, in order of presentation.
    pub places: Vec<[usize; 2]>,
    /// Most repeats of an image.
    pub repeats: usize,
}

impl Arrangement {
    /// Of the images of trials in order of presentation.
    pub fn new(images: &[usize]) -> Self {
        let mut counts: BTreeMap<usize, usize> = images.iter().map(|image| (*image, 0)).collect();
        let shown: Vec<usize> = counts.keys().copied().collect();
        let rows: BTreeMap<usize, usize> =
            shown.iter().enumerate().map(|(row, image)| (*image, row)).collect();
        let mut places = Vec::with_capacity(images.len());
        for image in images {
            let repeat = counts.entry(*image).or_default();
            places.push([rows[image], *repeat]);
            *repeat += 1;
        }
        let repeats = counts.values().copied().max().unwrap_or(0);
        Arrangement { images: shown, places, repeats }
    }

    /// Fewest repeats of an image.
    pub fn fewest(&self) -> usize {
        let mut counts = vec![0; self.images.len()];
        for [image, _] in &self.places {
            counts[*image] += 1;
        }
        counts.into_iter().min().unwrap_or(0)
    }

    /// Room for responses of neurons: (neurons, images, repeats), all missing.
    pub fn room(&self, neurons: usize) -> Array3<f32> {
        Array3::from_elem((neurons, self.images.len(), self.repeats), f32::NAN)
    }
}

/// Takes each neuron's mean away and divides by its standard deviation (n), both over trials of images that
/// train; NaN is left out. A neuron that is constant there is only centred. Returns how many are.
pub fn standardise(responses: &mut Array3<f32>, trains: &[bool]) -> usize {
    let one = |mut neuron: ndarray::ArrayViewMut2<f32>| {
        let values: Vec<f64> = neuron
            .outer_iter()
            .zip(trains)
            .filter(|(_, trains)| **trains)
            .flat_map(|(repeats, _)| repeats.to_vec())
            .filter(|v| !v.is_nan())
            .map(f64::from)
            .collect();
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let constant = values.windows(2).all(|pair| pair[0] == pair[1]);
        let unit = if constant { 1.0 } else { spread };
        neuron.mapv_inplace(|v| ((f64::from(v) - mean) / unit) as f32);
        usize::from(constant)
    };
    let neurons: Vec<_> = responses.axis_iter_mut(Axis(0)).collect();
    neurons.into_par_iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn repeats_are_in_order_of_presentation_and_images_that_were_not_shown_have_no_row() {
        let found = Arrangement::new(&[7, 2, 7, 7, 5, 2]);
        assert_eq!((found.images.clone(), found.repeats, found.fewest()), (vec![2, 5, 7], 3, 1));
        assert_eq!(found.places, [[2, 0], [0, 0], [2, 1], [2, 2], [1, 0], [0, 1]]);
        assert_eq!(found.room(2).dim(), (2, 3, 3));
    }

    #[test]
    fn only_training_images_say_what_is_standard() {
        let nan = f32::NAN;
        let mut y = array![[[1.0, 3.0], [5.0, nan], [100.0, 7.0]], [[2.0, 2.0], [2.0, 2.0], [9.0, nan]]];
        assert_eq!(standardise(&mut y, &[true, true, false]), 1);
        let sd = (8.0f64 / 3.0).sqrt();
        let wanted = [-2.0 / sd, 0.0, 2.0 / sd, f64::NAN, 97.0 / sd, 4.0 / sd];
        for (found, wanted) in y.index_axis(Axis(0), 0).iter().zip(wanted) {
            assert!((f64::from(*found) - wanted).abs() < 1e-5 || found.is_nan() && wanted.is_nan());
        }
        assert_eq!(y[[1, 2, 0]], 7.0);
    }
}
