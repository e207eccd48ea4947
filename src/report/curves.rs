//! Training and validation curves.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::configurations::Configurations;
use super::plot::{Mark, Plot};
use super::run::{Command, Run};
use super::section::{Figure, Section};
use super::shapes::band;
use super::svg::Colour;
use super::table::{Sheet, Table, field};
use super::words::{count, counted, number};
use crate::error::Result;

/// Configurations of a sweep that get figures of their own.
const SINGLE: usize = 3;
/// From this ratio on a loss is shown on a logarithmic axis.
const WIDE: f64 = 20.0;
/// Points of a line at most; of longer ones every second, third and so on is drawn.
const POINTS: usize = 400;

const MEASURES: [(&str, &str); 3] =
    [("loss", "loss"), ("explained_variance", "explained variance"), ("pearson_r", "Pearson's r")];

/// One line of `curves.csv`.
#[derive(Clone, Copy)]
struct Point {
    epoch: f64,
    mean: f64,
    low: f64,
    high: f64,
}

/// Points by configuration, measure and tier.
struct Curves(BTreeMap<(String, String, String), Vec<Point>>);

/// The section, where the folder has curves.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(table) = run.table("curves.csv")? else { return Ok(None) };
    let curves = Curves::read(&table)?;
    let mut section = Section::new("curves", "Training");
    let sweep = match run.record.command {
        Command::Sweep => Some(Configurations::read(run)?),
        _ => None,
    };
    let configurations = match &sweep {
        Some(all) => all.order().into_iter().map(|n| all.names[n].clone()).take(SINGLE).collect(),
        None => curves.configurations(),
    };
    for configuration in &configurations {
        for (measure, name) in MEASURES {
            section.figures.extend(curves.figure(configuration, measure, name, sweep.is_some())?);
        }
    }
    if let Some(first) = configurations.first() {
        section.findings.extend(curves.sentence(first, sweep.is_some()));
    }
    if sweep.is_some() {
        let best = configurations.first().map_or("", String::as_str);
        for (measure, name) in MEASURES {
            section.figures.extend(curves.all(measure, name, best)?);
        }
    }
    Ok((!section.figures.is_empty()).then_some(section))
}

impl Curves {
    fn read(table: &Table) -> Result<Curves> {
        let (configuration, tier) = (table.texts("configuration")?, table.texts("tier")?);
        let (measure, epoch) = (table.texts("measure")?, table.numbers("epoch")?);
        let [mean, low, high] = [table.numbers("mean")?, table.numbers("low")?, table.numbers("high")?];
        let mut curves: BTreeMap<_, Vec<Point>> = BTreeMap::new();
        for row in 0..table.len() {
            let (Some(epoch), Some(mean)) = (epoch[row], mean[row]) else { continue };
            let key = (configuration[row].to_string(), measure[row].to_string(), tier[row].to_string());
            let (low, high) = (low[row].unwrap_or(mean), high[row].unwrap_or(mean));
            curves.entry(key).or_default().push(Point { epoch, mean, low, high });
        }
        for points in curves.values_mut() {
            points.sort_by(|a, b| a.epoch.total_cmp(&b.epoch));
        }
        Ok(Curves(curves))
    }

    fn configurations(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().map(|(name, _, _)| name.clone()).collect();
        names.dedup();
        names
    }

    fn points(&self, configuration: &str, measure: &str, tier: &str) -> &[Point] {
        let key = (configuration.to_string(), measure.to_string(), tier.to_string());
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Both tiers of one configuration, each with its band.
    fn figure(&self, configuration: &str, measure: &str, name: &str, sweep: bool) -> Result<Option<Figure>> {
        let tiers = [("train", Colour::Blue), ("validation", Colour::Orange)];
        let tiers = tiers.map(|(tier, colour)| (tier, colour, self.points(configuration, measure, tier)));
        let every: Vec<f64> =
            tiers.iter().flat_map(|(_, _, points)| *points).flat_map(|p| [p.low, p.mean, p.high]).collect();
        if every.is_empty() {
            return Ok(None);
        }
        let scale = Scale::of(measure, &every);
        let mut sheet = Sheet::new(&["epoch", "tier", "mean", "p5", "p95"]);
        let (mut marks, mut legend, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for (tier, colour, points) in tiers {
            for p in points {
                let tier = tier.to_string();
                sheet.row([field(p.epoch), tier, field(p.mean), field(p.low), field(p.high)]);
            }
            let points: Vec<Point> = thinned(points);
            if points.is_empty() {
                continue;
            }
            let edges: Vec<_> = points.iter().map(|p| (p.epoch, scale.at(p.low), scale.at(p.high))).collect();
            marks.push(band(&edges, colour));
            let points = points.iter().map(|p| (p.epoch, scale.at(p.mean))).collect();
            lines.push(Mark::Line { points, colour, width: 2.0 });
            legend.push((tier.to_string(), colour));
        }
        marks.extend(lines);
        let plot = Plot::new(self.epochs(measure), scale.axis(name, &every), marks).with_legend(legend);
        let description =
            "Mean over neurons; the band runs from the 5th to the 95th percentile of the neurons."
                .to_string();
        let (file, title) = match sweep {
            true => (
                format!("curve_{}_{measure}", super::section::slug(configuration)),
                format!("Configuration {configuration}: {name}"),
            ),
            false => (format!("curve_{measure}"), format!("By epoch: {name}")),
        };
        Figure::new(file, title, description, plot, sheet).map(Some)
    }

    /// The means of all configurations, on the validation tier where there is one.
    fn all(&self, measure: &str, name: &str, best: &str) -> Result<Option<Figure>> {
        let of_measure = |wanted: &str| -> Vec<(&str, &Vec<Point>)> {
            let of_tier = self.0.iter().filter(|((_, m, tier), _)| m == measure && tier == wanted);
            of_tier.map(|((configuration, _, _), points)| (configuration.as_str(), points)).collect()
        };
        let (mut tier, mut curves) = ("validation", of_measure("validation"));
        if curves.is_empty() {
            (tier, curves) = ("train", of_measure("train"));
        }
        if curves.is_empty() {
            return Ok(None);
        }
        // The best is drawn last, above the others.
        curves.sort_by_key(|(configuration, _)| *configuration == best);
        let every: Vec<f64> = curves.iter().flat_map(|(_, points)| points.iter().map(|p| p.mean)).collect();
        let scale = Scale::of(measure, &every);
        let mut sheet = Sheet::new(&["configuration", "epoch", "mean"]);
        let mut marks = Vec::new();
        for (configuration, points) in &curves {
            for p in *points {
                sheet.row([(*configuration).to_string(), field(p.epoch), field(p.mean)]);
            }
            let (colour, width) =
                if *configuration == best { (Colour::Vermilion, 2.5) } else { (Colour::Sky, 0.75) };
            let points = thinned(points).iter().map(|p| (p.epoch, scale.at(p.mean))).collect();
            marks.push(Mark::Line { points, colour, width });
        }
        let legend =
            vec![("each configuration".into(), Colour::Sky), (format!("best ({best})"), Colour::Vermilion)];
        let plot = Plot::new(self.epochs(measure), scale.axis(name, &every), marks).with_legend(legend);
        let description =
            format!("Means over neurons ({tier}) of {}.", counted(curves.len(), "configuration"));
        let title = format!("All configurations: {name}");
        Figure::new(format!("curves_{measure}"), title, description, plot, sheet).map(Some)
    }

    fn epochs(&self, measure: &str) -> Axis {
        let of_measure = self.0.iter().filter(|((_, m, _), _)| m == measure);
        let (low, high) =
            super::axis::range(of_measure.flat_map(|(_, points)| points.iter().map(|p| p.epoch)));
        let mut axis = Axis::linear("epoch", low, high);
        axis.ticks.retain(|(at, _)| at.fract().abs() < 1e-9);
        axis
    }

    /// How far training and validation came apart in one configuration.
    fn sentence(&self, configuration: &str, sweep: bool) -> Option<String> {
        let (measure, name) = MEASURES.into_iter().rev().find(|(measure, _)| {
            ["train", "validation"].iter().all(|t| !self.points(configuration, measure, t).is_empty())
        })?;
        let validation = self.points(configuration, measure, "validation");
        let better = |a: &&Point, b: &&Point| {
            let order = a.mean.total_cmp(&b.mean);
            if measure == "loss" { order.reverse() } else { order }
        };
        let best = validation.iter().max_by(better)?;
        let train = self.points(configuration, measure, "train").iter().find(|p| p.epoch >= best.epoch)?;
        let last = validation.last()?;
        let subject = if sweep { format!("In configuration {configuration} the") } else { "The".into() };
        Some(format!(
            "{subject} mean validation {name} is best in epoch {} ({}), where that of the training images \
             is {}; the last of {} epochs gives {}.",
            count(best.epoch as usize),
            number(best.mean),
            number(train.mean),
            count(validation.len()),
            number(last.mean)
        ))
    }
}

/// Whether values or their logarithms are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Logarithmic,
    /// As they are.
    Linear,
    /// What lies below an R2 of -1 is drawn there.
    Clamped,
}

impl Scale {
    fn of(measure: &str, values: &[f64]) -> Scale {
        let (low, high) = super::axis::range(values.iter().copied());
        match measure {
            "loss" if low > 0.0 && high / low > WIDE => Scale::Logarithmic,
            "loss" => Scale::Linear,
            _ => Scale::Clamped,
        }
    }

    fn at(self, value: f64) -> f64 {
        match self {
            Scale::Logarithmic => value.log10(),
            Scale::Linear => value,
            Scale::Clamped => value.max(super::distributions::LEAST_SHOWN),
        }
    }

    fn axis(self, name: &str, values: &[f64]) -> Axis {
        let shown = values.iter().map(|v| self.at(*v));
        if self == Scale::Logarithmic { Axis::logarithmic(name, shown) } else { Axis::around(name, shown) }
    }
}

fn thinned(points: &[Point]) -> Vec<Point> {
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().checked_sub(1).filter(|last| last % every != 0);
    points.iter().step_by(every).chain(last.map(|last| &points[last])).copied().collect()
}
