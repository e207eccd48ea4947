//! How much of the responses any model can explain. It comes before every score.

use super::axis::Axis;
use super::neurons::Reliability;
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Figure, Grid, Section};
use super::shapes::{band, histogram, interval};
use super::statistics::{median, quantile, sorted};
use super::svg::Colour;
use super::table::{Sheet, field};
use super::words::{count, counted, list, number, percent};
use crate::error::Result;

/// Neurons that are named in a sentence at most.
const NAMED: usize = 24;
/// Neurons that get an interval each; more of them get a band.
const SINGLE: usize = 120;

/// The section, where the folder knows anything of it.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(reliability) = Reliability::read(run)? else { return Ok(None) };
    let mut section = Section::new("explainable", "How much can be explained");
    let mean = run.fitted().unwrap_or(run).number("/reliability/recording/mean_repeats");
    let repeats = mean.or_else(|| run.number("/n_repeats"));
    let fev = sorted(reliability.fev.iter().copied());
    if reliability.is_known() {
        section.say(what_noise_means(median(&fev), repeats));
        section.say(format!(
            "The fraction of explainable variance (FEV) on single trials, of {}, runs from {} to {} (5th to \
             95th percentile of {}).",
            reliability.images(),
            number(quantile(&fev, 0.05)),
            number(quantile(&fev, 0.95)),
            counted(fev.len(), "neuron")
        ));
        section.figures.push(fev_histogram(&fev, reliability.images())?);
        section.figures.extend(fev_intervals(&reliability)?);
        section.figures.extend(halves(&reliability)?);
    } else if run.fitted().unwrap_or(run).number("/reliability/with_repeats").is_some_and(|n| n > 0.0) {
        section.say(
            "Every neuron responds the same in every trial: there is no variance to explain, and no score \
             has a value.",
        );
    } else {
        section.say(
            "Each image was shown once: how much of the responses is noise, and so the ceiling of every \
             score, is unknown. A low score may be the fault of the noise as well as of the model.",
        );
    }
    section.findings.extend(who_is_tuned(&reliability));
    section.findings.extend(features_and_images(run));
    section.grids.push(numbers(run, &reliability));
    Ok(Some(section))
}

/// What the median neuron's noise means for a score.
fn what_noise_means(fev: f64, repeats: Option<f64>) -> String {
    let share = fev.clamp(0.0, 1.0);
    let start = format!("The median neuron's responses are {} noise on single trials", percent(1.0 - share));
    if share < 0.005 {
        return format!(
            "{start}: an R2 of 0 is all that any model can reach there, and averages over a few repeats \
             hardly help."
        );
    }
    let reach = format!("an R2 of {} is all that any model can reach on single trials", number(share));
    match repeats.filter(|n| *n > 1.0) {
        None => format!("{start}: {reach}."),
        Some(n) => {
            // The noise's variance falls with the number of repeats, the signal's stays.
            let averaged = share / (share + (1.0 - share) / n);
            let ending =
                format!("of averages over {} repeats {} can be explained", shortest(n), percent(averaged));
            match share < 0.5 {
                true => format!("{start}: {reach}. Score the averages: {ending}."),
                false => format!("{start}: {reach}; {ending}."),
            }
        }
    }
}

/// A number of repeats: whole where it is.
fn shortest(repeats: f64) -> String {
    if repeats.fract() == 0.0 { format!("{repeats:.0}") } else { format!("{repeats:.1}") }
}

fn who_is_tuned(reliability: &Reliability) -> Vec<String> {
    let known = reliability.tuned.iter().flatten().count();
    if known == 0 {
        return Vec::new();
    }
    let pairs = reliability.names.iter().zip(&reliability.tuned);
    let untuned: Vec<&String> =
        pairs.filter(|(_, tuned)| **tuned == Some(false)).map(|(name, _)| name).collect();
    if untuned.is_empty() {
        return vec![format!("All {} respond to images (permutation test).", counted(known, "neuron"))];
    }
    vec![format!(
        "{} of {} respond to images (permutation test). Of {} it cannot be shown, and what is noise alone \
         no model can predict: {}.",
        count(known - untuned.len()),
        counted(known, "neuron"),
        count(untuned.len()),
        list(&untuned, NAMED)
    )]
}

fn features_and_images(run: &Run) -> Option<String> {
    let summary = run.fitted().unwrap_or(run);
    // The masks and weights of a factored readout are far fewer than its features.
    if summary.record.summary["readout"] == "factored" {
        return None;
    }
    let (features, images) = (summary.count("n_features")?, summary.count("n_fitted")?);
    let (more, against) = (features as f64 / images.max(1) as f64, counted(images, "fitted image"));
    let meaning = if more > 1.0 {
        "without a penalty it would fit any responses exactly, noise included"
    } else {
        "there are enough images for every weight, if the features are not redundant"
    };
    Some(format!(
        "The readout has {} for {against}, {} features an image: {meaning}.",
        counted(features, "feature"),
        number(more)
    ))
}

fn numbers(run: &Run, reliability: &Reliability) -> Grid {
    let mut grid = Grid::new("Data", &["what", "number"]);
    let summary = run.fitted().unwrap_or(run);
    let keys = [
        ("neurons", "n_neurons"),
        ("images", "n_images"),
        ("images fitted", "n_fitted"),
        ("images tested", "n_test"),
        ("repeats at most", "n_repeats"),
        ("features", "n_features"),
    ];
    for (what, key) in keys {
        if let Some(value) = summary.count(key).or_else(|| run.count(key)) {
            grid.row([what.into(), count(value)]);
        }
    }
    let with = |wanted: Option<bool>| reliability.tuned.iter().filter(|tuned| **tuned == wanted).count();
    if with(None) < reliability.tuned.len() {
        grid.row(["tuned neurons".into(), count(with(Some(true)))]);
        grid.row(["untuned neurons".into(), count(with(Some(false)))]);
    }
    let medians =
        [("median FEV", &reliability.fev), ("median split-half reliability", &reliability.split_half)];
    for (what, values) in medians {
        let values = sorted(values.iter().copied());
        if !values.is_empty() {
            grid.row([format!("{what}, {}", reliability.images()), number(median(&values))]);
        }
    }
    grid
}

fn fev_histogram(fev: &[f64], images: &str) -> Result<Figure> {
    let (plot, sheet, histogram) = histogram(&format!("FEV of {images}"), fev, -0.2, 1.0);
    let below = match histogram.below {
        0 => String::new(),
        n => format!(" {} below the axis stand in the first bar.", counted(n, "neuron")),
    };
    let description = format!(
        "Histogram over {}; the dashed line is the median, {}.{below}",
        counted(fev.len(), "neuron"),
        number(median(fev))
    );
    Figure::new("fev", "Explainable share of the variance", description, plot, sheet)
}

/// Neurons in the order of their FEV, each with its interval.
fn fev_intervals(reliability: &Reliability) -> Result<Option<Figure>> {
    let Some([low, high]) = &reliability.interval else { return Ok(None) };
    let mut order: Vec<(usize, f64, f64, f64)> = (0..reliability.fev.len())
        .filter_map(|n| Some((n, reliability.fev[n]?, low[n]?, high[n]?)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    if order.is_empty() {
        return Ok(None);
    }
    let mut sheet = Sheet::new(&["neuron", "fev", "fev_low", "fev_high", "tuned"]);
    let mut marks = Vec::new();
    if order.len() > SINGLE {
        let points: Vec<_> = order.iter().enumerate().map(|(x, o)| (x as f64, o.2, o.3)).collect();
        marks.push(band(&points, Colour::Blue));
        let points = order.iter().enumerate().map(|(x, o)| (x as f64, o.1)).collect();
        marks.push(Mark::Line { points, colour: Colour::Blue, width: 2.0 });
    }
    for (x, (n, fev, low, high)) in order.iter().enumerate() {
        let tuned = reliability.tuned[*n];
        let word = tuned.map_or(String::new(), |tuned| tuned.to_string());
        sheet.row([reliability.names[*n].clone(), field(*fev), field(*low), field(*high), word]);
        let colour = if tuned == Some(false) { Colour::Vermilion } else { Colour::Blue };
        if order.len() <= SINGLE {
            marks.push(interval(x as f64, *low, *high, colour, 1.5));
            marks.push(Mark::Dot { at: (x as f64, *fev), colour, radius: 2.5, opacity: 1.0 });
        }
    }
    let x = Axis::linear("neurons in the order of FEV", -1.0, order.len() as f64);
    let label = format!("FEV of {}", reliability.images());
    let y = Axis::around(&label, order.iter().flat_map(|o| [o.2, o.3]).chain([0.0]));
    marks.push(Mark::Dashes { from: (x.low, 0.0), to: (x.high, 0.0), colour: Colour::Ink });
    let mut plot = Plot::new(x, y, marks).high(250);
    let untuned = order.len() <= SINGLE && reliability.tuned.contains(&Some(false));
    if untuned {
        plot = plot.with_legend(vec![("tuned".into(), Colour::Blue), ("untuned".into(), Colour::Vermilion)]);
    }
    let sure = order.iter().filter(|o| o.2 > 0.0).count();
    let description = format!(
        "FEV with its 95\u{a0}% interval over images; the dashed line stands at 0; for {} of {} the \
         interval lies above 0.",
        count(sure),
        counted(order.len(), "neuron")
    );
    Figure::new("fev_intervals", "How surely it is known", description, plot, sheet).map(Some)
}

fn halves(reliability: &Reliability) -> Result<Option<Figure>> {
    let values = sorted(reliability.split_half.iter().copied());
    if values.is_empty() {
        return Ok(None);
    }
    let (plot, sheet, _) =
        histogram(&format!("split-half reliability of {}", reliability.images()), &values, -1.0, 1.0);
    let description = format!(
        "Correlation of the averages over halves of the repeats, corrected to all of them; the dashed line \
         is the median, {}.",
        number(median(&values))
    );
    Figure::new("split_half", "Agreement between repeats", description, plot, sheet).map(Some)
}
