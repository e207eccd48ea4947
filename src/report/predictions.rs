//! Predicted against measured responses of a few neurons, on test images.

use ndarray::Array2;

use super::axis::Axis;
use super::neurons::{Chosen, chosen};
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Figure, Section};
use super::svg::Colour;
use super::table::{AGAIN, Sheet, field};
use super::words::{counted, number, short};
use crate::error::{Error, Result};
use crate::io::split::Split;

/// Dots of a figure at most; the numbers are all in its file.
const MOST_DOTS: usize = 1500;

/// The section, where the folder has predictions and what was measured.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
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
        Split::read(&split, predicted.ncols())?.test
    } else {
        (0..predicted.ncols()).collect()
    };
    let neurons = chosen(run, fit)?;
    if neurons.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("predictions", "Predicted and measured");
    section.say(sentence(&neurons, &predicted, &measured, &test));
    for one in &neurons {
        section.figures.push(figure(one, &predicted, &measured, &test)?);
    }
    Ok(Some(section))
}

fn deviation(values: &[f64]) -> f64 {
    let mean = super::statistics::mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn pairs(
    n: usize,
    predicted: &Array2<f32>,
    measured: &Array2<f32>,
    test: &[usize],
) -> Vec<(usize, f64, f64)> {
    let value = |of: &Array2<f32>, image: &usize| f64::from(of[[n, *image]]);
    let pair = |image: &usize| (*image, value(predicted, image), value(measured, image));
    test.iter().map(pair).filter(|(_, p, m)| p.is_finite() && m.is_finite()).collect()
}

fn sentence(neurons: &[Chosen], predicted: &Array2<f32>, measured: &Array2<f32>, test: &[usize]) -> String {
    let said = |one: &Chosen| {
        let pairs = pairs(one.neuron, predicted, measured, test);
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

fn figure(one: &Chosen, predicted: &Array2<f32>, measured: &Array2<f32>, test: &[usize]) -> Result<Figure> {
    let pairs = pairs(one.neuron, predicted, measured, test);
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
    let (low, high) = super::axis::range(pairs.iter().flat_map(|(_, p, m)| [*p, *m]));
    marks.push(Mark::Dashes { from: (low, low), to: (high, high), colour: Colour::Ink });
    let x = Axis::around("predicted", pairs.iter().map(|pair| pair.1));
    let y = Axis::around("measured, mean of repeats", pairs.iter().map(|pair| pair.2));
    // The diagonal only where both axes show it.
    let (from, to) = (x.low.max(y.low), x.high.min(y.high));
    if let Some(Mark::Dashes { from: a, to: b, .. }) = marks.last_mut() {
        (*a, *b) = ((from, from), (to, to));
    }
    if from >= to {
        marks.pop();
    }
    let mut title = format!("{} neuron: {}, r = {}", one.rank, short(&one.name, 24), number(one.r));
    title[..1].make_ascii_uppercase();
    let shown = if every > 1 { format!(" (each {every}th drawn)") } else { String::new() };
    let description =
        format!("{}{shown}; on the dashed line both are the same.", counted(pairs.len(), "test image"));
    Figure::new(format!("predicted_{}", one.rank), title, description, Plot::new(x, y, marks), sheet)
}
