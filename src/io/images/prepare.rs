//! From decoded samples to the numbers a network takes: checked, resized, normalised.

use std::path::Path;

use super::picture::{Picture, Samples};
use super::scale::WHITE;
use crate::error::{Error, Kind, Result};
use crate::io::resize::{Filter, Resizer, Size};

/// torchvision's constants for networks trained on ImageNet, for RGB in 0..1.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Caffe's mean of ILSVRC-2012 (`ilsvrc_2012_mean.npy`, averaged over the image): blue, green, red, for
/// 0..255.
const CAFFE_MEAN: [f32; 3] = [104.00699, 116.66877, 122.67892];

/// What happens to an image between its file and the network.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preparation {
    /// Size of the network's input; `None` keeps the images' own, which must then all be the same.
    pub size: Option<Size>,
    /// How images are resized.
    pub filter: Filter,
    /// How samples become numbers.
    pub normalise: Normalise,
}

/// How samples become the numbers that a network was trained on.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalise {
    /// torchvision's: samples from 0 (black) to 1 (white) minus mean .485 .456 .406, over standard deviation
    /// .229 .224 .225. Floats on a scale of their own are refused.
    Imagenet,
    /// Caffe's: blue, green, red from 0 (black) to 255 (white) minus the mean of ILSVRC-2012. Floats on a scale
    /// of their own must lie in 0..255.
    Caffe,
    /// Whole numbers from 0 (black) to 255 (white), floats as they are.
    None,
    /// Whole numbers from 0 (black) to 1 (white), floats as they are; minus a mean and over a standard deviation of each channel.
    Channels {
        /// Mean of red, green, blue.
        mean: [f32; 3],
        /// Standard deviation of red, green, blue; more than 0.
        std: [f32; 3],
    },
}

/// Output channel `c` is (sample of channel `order[c]` * `factor` / `divisor` - `mean[c]`) / `std[c]`.
struct Terms {
    order: [usize; 3],
    factor: f32,
    divisor: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Normalise {
    /// For samples whose white is `white`, if that is known.
    fn terms(self, white: Option<f32>) -> Terms {
        let divisor = white.unwrap_or(1.0);
        let (order, factor) = ([0, 1, 2], 1.0);
        match self {
            Normalise::Imagenet => Terms { order, factor, divisor, mean: IMAGENET_MEAN, std: IMAGENET_STD },
            Normalise::Caffe => {
                let factor = WHITE / white.unwrap_or(WHITE);
                Terms { order: [2, 1, 0], factor, divisor: 1.0, mean: CAFFE_MEAN, std: [1.0; 3] }
            }
            Normalise::None => Terms { order, factor, divisor: 1.0, mean: [0.0; 3], std: [1.0; 3] },
            Normalise::Channels { mean, std } => Terms { order, factor, divisor, mean, std },
        }
    }

    /// What floats must lie in: smallest, largest, how the limits are said, what to do.
    fn range(self) -> (f32, f32, &'static str, &'static str) {
        match self {
            Normalise::Imagenet => (
                -0.001,
                1.001,
                "whole numbers, or floats in 0..1, for imagenet normalisation",
                "Divide the images by what white is among them (255 of bytes)",
            ),
            Normalise::Caffe => (
                -0.5,
                255.5,
                "whole numbers, or floats in 0..1 or 0..255, for caffe normalisation",
                "Scale the images to 0..255",
            ),
            Normalise::None | Normalise::Channels { .. } => (f32::MIN, f32::MAX, "a finite number", ""),
        }
    }

    /// Refuses means and deviations that would give infinities.
    pub(super) fn check(self) -> Result<()> {
        let Normalise::Channels { mean, std } = self else { return Ok(()) };
        if mean.iter().all(|x| x.is_finite()) && std.iter().all(|x| x.is_finite() && *x > 0.0) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Usage,
            "normalisation",
            format!("mean {mean:?}, standard deviation {std:?}"),
            "finite means and standard deviations greater than 0",
            "A channel that is the same everywhere has deviation 0: give its deviation as 1",
        ))
    }
}

impl Picture {
    /// Refuses NaN, infinities and floats on another scale than `normalise` wants. `place` names the image.
    pub(super) fn check(&self, normalise: Normalise, place: &str) -> Result<()> {
        let Samples::Floats { values: samples, white } = &self.samples else { return Ok(()) };
        let (low, high, wanted, advice) = match white {
            // Within its scale, as was seen when that was found; NaN and infinity are none of it.
            Some(_) => Normalise::None.range(),
            None => normalise.range(),
        };
        let Some(at) = samples.iter().position(|x| !(low..=high).contains(x)) else { return Ok(()) };
        let (pixel, channel) = (at / self.channels, at % self.channels);
        let (row, column) = (pixel / self.size.width, pixel % self.size.width);
        let (wanted, advice) = match samples[at].is_finite() {
            true => (wanted, advice),
            false => ("a finite number", "Leave this image out, or repair it"),
        };
        Err(Error::input(
            Path::new(&format!("{place}, row {row}, column {column}, channel {channel}")),
            format!("found {:?}", samples[at]),
            wanted,
            advice,
        ))
    }

    /// The picture at another size. `usual` is used when it fits, so that its weights are computed only once.
    pub(super) fn resized(self, to: Size, filter: Filter, usual: &Resizer) -> Result<Picture> {
        if self.size == to {
            return Ok(self);
        }
        let own;
        let resizer = if usual.from() == self.size && usual.to() == to {
            usual
        } else {
            own = Resizer::new(self.size, to, filter)?;
            &own
        };
        let samples = match &self.samples {
            Samples::Bytes(x) => Samples::Bytes(resizer.bytes(self.channels, x)?),
            Samples::Floats { values, white } => {
                Samples::Floats { values: resizer.floats(self.channels, values)?, white: *white }
            }
        };
        Ok(Picture { size: to, channels: self.channels, samples })
    }

    /// Writes the normalised pixels; grey is repeated for the three channels, the fourth number is 0.
    pub(super) fn write(&self, normalise: Normalise, output: &mut [[f32; 4]]) {
        match &self.samples {
            Samples::Bytes(samples) => {
                let Terms { order, divisor, mean, std, .. } = normalise.terms(Some(WHITE));
                let table: [[f32; 256]; 3] =
                    std::array::from_fn(|c| std::array::from_fn(|x| (x as f32 / divisor - mean[c]) / std[c]));
                self.spread(samples, order, output, |c, x| table[c][usize::from(x)]);
            }
            Samples::Floats { values, white } => {
                let Terms { order, factor, divisor, mean, std } = normalise.terms(*white);
                self.spread(values, order, output, |c, x| (x * factor / divisor - mean[c]) / std[c]);
            }
        }
    }

    fn spread<T: Copy>(
        &self,
        samples: &[T],
        order: [usize; 3],
        output: &mut [[f32; 4]],
        value: impl Fn(usize, T) -> f32,
    ) {
        let order = if self.channels == 1 { [0; 3] } else { order };
        for (pixel, input) in output.iter_mut().zip(samples.chunks_exact(self.channels)) {
            *pixel = [value(0, input[order[0]]), value(1, input[order[1]]), value(2, input[order[2]]), 0.0];
        }
    }

    /// Number, mean and sum of squared deviations of each channel, on the scale 0..1 where white is known.
    pub(super) fn moments(&self) -> Moments {
        match &self.samples {
            Samples::Bytes(x) => self.moments_of(x, |x| f64::from(x) / f64::from(WHITE)),
            Samples::Floats { values, white } => {
                let white = f64::from(white.unwrap_or(1.0));
                self.moments_of(values, |x| f64::from(x) / white)
            }
        }
    }

    fn moments_of<T: Copy>(&self, samples: &[T], value: impl Fn(T) -> f64) -> Moments {
        let count = (samples.len() / self.channels) as f64;
        let channel =
            |c: usize| samples.iter().skip(c % self.channels).step_by(self.channels).map(|x| value(*x));
        let mean = std::array::from_fn(|c| channel(c).sum::<f64>() / count);
        let squares = std::array::from_fn(|c| channel(c).map(|x| (x - mean[c]).powi(2)).sum());
        Moments { count, mean, squares }
    }
}

/// Running statistics of the three channels.
#[derive(Clone, Default)]
pub(super) struct Moments {
    count: f64,
    mean: [f64; 3],
    squares: [f64; 3],
}

impl Moments {
    /// Joins two sets (Chan, Golub and LeVeque 1983), without the cancellation of sums of squares.
    pub(super) fn join(mut self, other: &Moments) -> Self {
        let count = self.count + other.count;
        if other.count > 0.0 {
            for c in 0..3 {
                let difference = other.mean[c] - self.mean[c];
                self.mean[c] += difference * other.count / count;
                self.squares[c] +=
                    other.squares[c] + difference * difference * self.count * other.count / count;
            }
        }
        self.count = count;
        self
    }

    /// Mean and standard deviation (over all samples, divided by their number) of each channel.
    pub(super) fn mean_and_deviation(&self) -> ([f32; 3], [f32; 3]) {
        (self.mean.map(|x| x as f32), self.squares.map(|x| (x / self.count).sqrt() as f32))
    }
}
