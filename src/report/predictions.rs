//! Predicted against measured responses of a few neurons, on test images.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::axis::Axis;
use super::neurons::{Chosen, chosen};
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Figure, Section};
use super::shapes::diagonal;
use super::svg::Colour;
use super::table::{AGAIN, Sheet, field};
use super::words::{counted, number, short};
use crate::error::{Error, Result};
use crate::io::image_names::ImageNames;
use crate::io::split::Split;

/// Dots of a figure at most; the numbers are all in its file.
const MOST_DOTS: usize = 1500;

/// Predicted and measured responses, (neurons, images), and which images were held out.
pub(super) struct Tested {
    predicted: Array2<f64>,
    measured: Array2<f64>,
    test: Vec<usize>,
}

impl Tested {
    /// Reads them, where the folder has both.
    ///
    /// # Errors
    /// Input, where a file is damaged or does not fit the others.
    pub(super) fn read(run: &Run, fit: &Run) -> Result<Option<Tested>> {
        let neurons = fit.needs("scores.csv")?.len();
        let Some(predicted) = fit.matrix("predictions.npy", neurons, "predictions")? else { return Ok(None) };
        let measured = match fit.matrix("measured.npy", neurons, "responses")? {
            Some(measured) => measured,
            // A sweep has measured once for all its configurations.
            None => match run.matrix("measured.npy", neurons, "responses")? {
                Some(measured) => measured,
                None => return Ok(None),
            },
        };
        if measured.dim() != predicted.dim() {
            let found = format!("has {} images, predictions.npy {}", measured.ncols(), predicted.ncols());
            let path = fit.folder.join("measured.npy");
            return Err(Error::input(&path, found, "the same images in both", AGAIN));
        }
        let split = fit.folder.join("split.csv");
        let test = if split.exists() {
            Split::read(&split, &ImageNames::counted(predicted.ncols()))?.test
        } else {
            (0..predicted.ncols()).collect()
        };
        Ok(Some(Tested { predicted, measured, test }))
    }

    /// Images that there are, test images or not.
    pub(super) fn images(&self) -> usize {
        self.predicted.ncols()
    }

    /// Test images with a neuron's predicted and measured response.
    fn pairs(&self, neuron: usize) -> Vec<(usize, f64, f64)> {
        let value = |of: &Array2<f64>, image: &usize| of[[neuron, *image]];
        let pair = |image: &usize| (*image, value(&self.predicted, image), value(&self.measured, image));
        self.test.iter().map(pair).filter(|(_, p, m)| p.is_finite() && m.is_finite()).collect()
    }

    /// The same, the largest measured response first.
    pub(super) fn strongest(&self, neuron: usize) -> Vec<(usize, f64, f64)> {
        let mut pairs = self.pairs(neuron);
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
        pairs
    }

    /// For each test image the mean over neurons of the squared error, in units of the variance of the
    /// neuron's measured responses to test images; neurons without variance are left out.
    pub(super) fn errors(&self) -> Vec<(usize, f64)> {
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for neuron in 0..self.predicted.nrows() {
            let pairs = self.pairs(neuron);
            let spread = deviation(&pairs.iter().map(|pair| pair.2).collect::<Vec<_>>());
            for (image, p, m) in pairs.into_iter().filter(|_| spread > 0.0) {
                let sum = sums.entry(image).or_default();
                *sum = (sum.0 + ((p - m) / spread).powi(2), sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(image, (sum, count))| (image, sum / count)).collect()
    }
}

/// The section, where the folder has predictions and what was measured.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
    let Some(tested) = Tested::read(run, fit)? else { return Ok(None) };
    let neurons = chosen(fit)?;
    if neurons.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("predictions", "Predicted and measured");
    let scored = fit.needs("scores.csv")?.numbers("pearson_r")?;
    let with = scored.iter().flatten().count();
    let without = match scored.len() - with {
        0 => String::new(),
        n => format!("; {} without one are left out", counted(n, "neuron")),
    };
    section.say(format!(
        "Best, median and worst are of the {} with an r on test images, tuned or not{without}.",
        counted(with, "neuron")
    ));
    section.say(sentence(&neurons, &tested));
    for one in &neurons {
        section.figures.push(figure(one, &tested)?);
    }
    Ok(Some(section))
}

fn deviation(values: &[f64]) -> f64 {
    let mean = super::statistics::mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn sentence(neurons: &[Chosen], tested: &Tested) -> String {
    let said = |one: &Chosen| {
        let pairs = tested.pairs(one.neuron);
        let spread = deviation(&pairs.iter().map(|p| p.1).collect::<Vec<_>>())
            / deviation(&pairs.iter().map(|p| p.2).collect::<Vec<_>>());
        let spread = if spread.is_finite() {
            format!("{} times as wide", number(spread))
        } else {
            "of no width".into()
        };
        format!("{spread} for neuron {} ({}, r = {})", one.name, one.rank, number(one.r))
    };
    let said: Vec<String> = neurons.iter().map(said).collect();
    format!("On test images predictions are spread, compared with responses, {}.", said.join(", "))
}

fn figure(one: &Chosen, tested: &Tested) -> Result<Figure> {
    let pairs = tested.pairs(one.neuron);
    let mut sheet = Sheet::new(&["image", "predicted", "measured"]);
    for (image, p, m) in &pairs {
        sheet.row([image.to_string(), field(*p), field(*m)]);
    }
    let every = pairs.len().div_ceil(MOST_DOTS).max(1);
    let dot = |(_, p, m): &(usize, f64, f64)| Mark::Dot {
        at: (*p, *m),
        colour: Colour::Blue,
        radius: 3.0,
        opacity: 0.6,
    };
    let mut marks: Vec<Mark> = pairs.iter().step_by(every).map(dot).collect();
    let both = || pairs.iter().flat_map(|(_, p, m)| [*p, *m]);
    let (x, y) = (Axis::around("predicted", both()), Axis::around("measured, mean of repeats", both()));
    marks.push(diagonal(&x));
    let mut title = format!("{} neuron: {}, r = {}", one.rank, short(&one.name, 24), number(one.r));
    title[..1].make_ascii_uppercase();
    let shown = if every > 1 { format!(" (each {every}th drawn)") } else { String::new() };
    let description =
        format!("{}{shown}; on the dashed line both are the same.", counted(pairs.len(), "test image"));
    Figure::new(
        format!("predicted_{}", one.rank),
        title,
        description,
        Plot::new(x, y, marks).with_aspect(1.0),
        sheet,
    )
}
