//! Marks that several plots are made of.

use super::axis::{Axis, range};
use super::plot::{Mark, Plot};
use super::statistics::{Histogram, density, median, quantile};
use super::svg::Colour;
use super::table::{Sheet, field};

/// Bins of a histogram, whose number grows as twice the cube root of the values (Rice's rule).
const BINS: [usize; 2] = [5, 40];
/// A violin of at most so many values also has a dot for each.
const DOTS: usize = 250;
/// A violin of fewer values has no outline.
const LEAST_OUTLINED: usize = 5;
/// Places at which the outline of a violin is computed.
const OUTLINE: usize = 60;

/// A histogram of sorted values, with a line at the median; and its bins. `low` and `high` are at most
/// shown; what lies beyond them is counted in the bars at the ends.
pub(super) fn histogram(label: &str, values: &[f64], low: f64, high: f64) -> (Plot, Sheet, Histogram) {
    let (first, last) = range(values.iter().map(|v| v.clamp(low, high)));
    let room = 0.02 * (last - first);
    let bins = (2.0 * (values.len() as f64).cbrt()).ceil() as usize;
    let histogram = Histogram::new(values, first - room, last + room, bins.clamp(BINS[0], BINS[1]));
    let mut sheet = Sheet::new(&["bin_low", "bin_high", "neurons"]);
    let mut marks = Vec::new();
    let gap = 0.06 * histogram.width;
    for (left, right, count) in histogram.bins() {
        sheet.row([field(left), field(right), count.to_string()]);
        let corners = [(left + gap, count as f64), (right - gap, 0.0)];
        if count > 0 {
            marks.push(Mark::Bar { corners, colour: Colour::Blue, opacity: 0.85 });
        }
    }
    let most = histogram.counts.iter().max().copied().unwrap_or(0) as f64;
    let x = Axis::linear(label, first - room, last + room);
    let y = Axis::linear("neurons", 0.0, 1.08 * most.max(1.0));
    let middle = median(values).clamp(low, high);
    marks.push(Mark::Dashes { from: (middle, 0.0), to: (middle, y.high), colour: Colour::Ink });
    (Plot::new(x, whole(y), marks).high(250), sheet, histogram)
}

/// Only ticks at whole numbers: half a neuron is none.
pub(super) fn whole(mut axis: Axis) -> Axis {
    axis.ticks.retain(|(at, _)| (at - at.round()).abs() < 1e-9);
    for (at, text) in &mut axis.ticks {
        *text = super::words::count(at.round() as usize);
    }
    axis
}

/// One group of values, as a violin that lies on its side.
pub(super) struct Violin {
    pub name: String,
    /// Ascending.
    pub values: Vec<f64>,
    pub colour: Colour,
}

/// Violins, the first at the top: outlines of the densities, a box between the quartiles, a dot at the
/// median. Values below `low` are drawn at `low`.
pub(super) fn violins(label: &str, groups: &[Violin], low: f64) -> (Plot, Sheet) {
    let all = groups.iter().flat_map(|group| group.values.iter().map(|v| v.max(low)));
    let (first, last) = range(all);
    let room = 0.06 * (last - first);
    let (first, last) = (first - room, last + room);
    let mut sheet = Sheet::new(&["group", "values", "p5", "p25", "median", "p75", "p95"]);
    let mut marks = Vec::new();
    for (row, group) in groups.iter().enumerate() {
        let at = |q: f64| quantile(&group.values, q);
        let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| field(at(q)));
        sheet.row([group.name.clone(), group.values.len().to_string()].into_iter().chain(quantiles));
        if group.values.is_empty() {
            continue;
        }
        marks.extend(violin(row as f64, group, first, last, low));
    }
    let x = Axis::linear(label, first, last);
    let y = Axis::named("", groups.iter().map(|group| group.name.clone())).reversed();
    let height = 60 + 42 * groups.len() as u32;
    (Plot::new(x, y, marks).high(height.max(150)), sheet)
}

fn violin(row: f64, group: &Violin, first: f64, last: f64, low: f64) -> Vec<Mark> {
    let shown: Vec<f64> = group.values.iter().map(|v| v.max(low)).collect();
    let colour = group.colour;
    let mut marks = Vec::new();
    // An outline ends where the values end: what it showed beyond them nobody measured.
    let ends = (shown.first().copied().unwrap_or(first), shown.last().copied().unwrap_or(last));
    if shown.len() >= LEAST_OUTLINED && ends.0 < ends.1 {
        let density = density(&shown, first, last, OUTLINE);
        let most = density.iter().map(|(_, d)| *d).fold(f64::MIN_POSITIVE, f64::max);
        let inside = density.iter().map(|(x, d)| (x.clamp(ends.0, ends.1), 0.42 * d / most));
        let inside: Vec<(f64, f64)> = inside.collect();
        let side = |sign: f64| inside.iter().map(move |(x, d)| (*x, row + sign * d));
        let outline = side(-1.0).chain(side(1.0).rev()).collect();
        marks.push(Mark::Area { outline, colour, opacity: 0.35 });
    }
    if shown.len() <= DOTS {
        // Aside by the golden ratio, which lets neighbours stand apart, and always the same.
        let aside = |n: usize| 0.3 * ((n as f64 * 0.618_034).fract() - 0.5);
        let dot = |(n, v): (usize, &f64)| Mark::Dot {
            at: (*v, row + aside(n)),
            colour,
            radius: 1.75,
            opacity: 0.8,
        };
        marks.extend(shown.iter().enumerate().map(dot));
    }
    let at = |q: f64| quantile(&shown, q);
    marks.extend([
        Mark::Line { points: vec![(at(0.05), row), (at(0.95), row)], colour, width: 1.5 },
        Mark::Line { points: vec![(at(0.25), row), (at(0.75), row)], colour, width: 5.0 },
        Mark::Dot { at: (at(0.5), row), colour: Colour::Ink, radius: 3.5, opacity: 1.0 },
    ]);
    marks
}

/// Where both axes say the same, from one end of an axis to the other.
pub(super) fn diagonal(axis: &Axis) -> Mark {
    Mark::Dashes { from: (axis.low, axis.low), to: (axis.high, axis.high), colour: Colour::Ink }
}

/// The area between two lines, given as (x, low, high).
pub(super) fn band(points: &[(f64, f64, f64)], colour: Colour) -> Mark {
    let upper = points.iter().map(|(x, _, high)| (*x, *high));
    let lower = points.iter().rev().map(|(x, low, _)| (*x, *low));
    Mark::Area { outline: upper.chain(lower).collect(), colour, opacity: 0.18 }
}

/// An upright interval.
pub(super) fn interval(x: f64, low: f64, high: f64, colour: Colour, width: f64) -> Mark {
    Mark::Line { points: vec![(x, low), (x, high)], colour, width }
}
