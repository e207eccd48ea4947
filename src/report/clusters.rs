//! The cluster map: the correlations of all neurons' profiles in the order of the dendrogram.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::Array2;
use plotters::style::RGBColor;

use super::axis::Axis;
use super::picture::{Cells, reduced};
use super::plot::{ColourBar, Mark, Plot};
use super::run::Run;
use super::section::{Figure, Section};
use super::svg::{Colour, SERIES, series};
use super::table::{AGAIN, Sheet};
use super::words::{count, counted, number};
use crate::error::{Error, Result};

/// Joins of the dendrogram that are drawn: the highest ones.
const MOST_JOINS: usize = 250;
/// Height of the dendrogram and of the strip of areas, where the map is 1 high.
const TREE: f64 = 0.25;
const STRIP: f64 = 0.035;

/// Neurons in the order of the dendrogram's leaves.
struct Order {
    /// The rows of the matrix.
    neurons: Vec<usize>,
    areas: Vec<String>,
}

/// The section, where the folder has a matrix and an order.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let path = run.folder.join("correlation_matrix.npy");
    let Some(table) = run.table("cluster_order.csv")?.filter(|_| path.exists()) else { return Ok(None) };
    let n = table.len();
    let Some(matrix) = run.matrix("correlation_matrix.npy", n, "correlations")? else { return Ok(None) };
    if matrix.ncols() != n {
        let found = format!("has {} columns for {n} rows", matrix.ncols());
        return Err(Error::input(&path, found, "as many columns as rows", AGAIN));
    }
    let order = read_order(run, n)?;
    let linkage = run.matrix("linkage.npy", n.saturating_sub(1), "joins")?;
    // The matrix may be large: it is not copied into the order.
    let ordered = |a: usize, b: usize| matrix[[order.neurons[a], order.neurons[b]]];
    let (small, each) = reduced((n, n), ordered);
    let corners = [(0.0, 1.0), (n as f64, 0.0)];
    let mut marks = vec![Mark::Cells { corners, cells: Cells::signed(small.view(), 1.0) }];
    let areas = distinct(&order.areas);
    if areas.len() > 1 {
        marks.push(strip(&order, &areas));
    }
    let joins = match &linkage {
        Some(linkage) => dendrogram(&run.folder.join("linkage.npy"), linkage, &order)?,
        None => Vec::new(),
    };
    let drawn = joins.len();
    marks.extend(joins);
    let mut section = Section::new("clusters", "Cluster map");
    let layers = run.record.summary["layers"].as_array().map_or(0, Vec::len);
    section.findings.extend(super::correlations::few_layers(layers));
    section.say(sentence(&order, ordered));
    let mut description =
        "Correlation of layer profiles, vermilion for 1, grey for 0, blue for \u{2212}1, in the order of \
                           the dendrogram above (average linkage); the strip between them shows areas."
            .to_string();
    if each > 1 {
        description.push_str(&format!(" Each cell is the average over {each} by {each} neurons."));
    }
    if drawn < n.saturating_sub(1) && drawn > 0 {
        description.push_str(&format!(" The {drawn} highest of {} joins are drawn.", count(n - 1)));
    }
    let mut y = Axis::linear("", 0.0, 1.0 + STRIP + TREE + 0.02);
    y.ticks.clear();
    let mut plot = Plot::new(Axis::linear("neurons in the order of the clusters", 0.0, n as f64), y, marks);
    plot.legend = legend(&areas);
    plot.bar = Some(ColourBar { signed: true, most: 1.0 });
    let sheet = numbers(&order);
    section.figures.push(Figure::new("cluster_map", "Cluster map", description, plot.high(520), sheet)?);
    Ok(Some(section))
}

/// `cluster_order.csv`: neurons are found in the matrix by the order of `reliability.csv`, or are its rows'
/// numbers.
fn read_order(run: &Run, n: usize) -> Result<Order> {
    let table = run.needs("cluster_order.csv")?;
    let positions = table.numbers("position")?;
    let (texts, areas) = (table.texts("neuron")?, table.texts("area")?);
    let reliability = run.table("reliability.csv")?;
    let names = reliability.as_ref().map(|table| table.texts("neuron")).transpose()?.unwrap_or_default();
    let places: BTreeMap<&str, usize> = names.into_iter().enumerate().map(|(n, name)| (name, n)).collect();
    let row = |text: &str| places.get(text).copied().or_else(|| text.parse().ok()).filter(|row| *row < n);
    let mut rows: Vec<(f64, usize, String)> = Vec::new();
    for at in 0..n {
        let (Some(position), Some(neuron)) = (positions[at], row(texts[at])) else {
            let found = format!("line {} names no neuron of the matrix", at + 2);
            return Err(Error::input(
                table.path(),
                found,
                "a position and a neuron of reliability.csv",
                AGAIN,
            ));
        };
        rows.push((position, neuron, areas[at].to_string()));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let neurons: Vec<usize> = rows.iter().map(|row| row.1).collect();
    let mut seen = neurons.clone();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() != n {
        return Err(Error::input(table.path(), "names a neuron twice", "each neuron once", AGAIN));
    }
    Ok(Order { neurons, areas: rows.into_iter().map(|row| row.2).collect() })
}

fn distinct(areas: &[String]) -> Vec<String> {
    let mut areas: Vec<String> = areas.iter().filter(|area| !area.is_empty()).cloned().collect();
    areas.sort_unstable();
    areas.dedup();
    areas
}

fn colour_of(area: &str, areas: &[String]) -> Colour {
    let place = areas.iter().position(|other| other == area);
    place.filter(|place| *place < SERIES.len()).map_or(Colour::Ink, series)
}

fn legend(areas: &[String]) -> Vec<(String, Colour)> {
    if areas.len() < 2 {
        return Vec::new();
    }
    let mut legend: Vec<(String, Colour)> =
        areas.iter().take(SERIES.len()).map(|area| (area.clone(), colour_of(area, areas))).collect();
    if areas.len() > SERIES.len() {
        legend.push(("other areas".into(), Colour::Ink));
    }
    legend
}

fn strip(order: &Order, areas: &[String]) -> Mark {
    let rgb = |area: &String| {
        let RGBColor(r, g, b) = colour_of(area, areas).plain();
        (r, g, b)
    };
    let corners = [(0.0, 1.0 + STRIP), (order.areas.len() as f64, 1.005)];
    Mark::Cells { corners, cells: Cells::strip(order.areas.iter().map(rgb)) }
}

/// The joins as brackets, the highest only. Rows of SciPy's linkage: two clusters, their distance, their
/// size.
fn dendrogram(path: &Path, linkage: &Array2<f64>, order: &Order) -> Result<Vec<Mark>> {
    let n = order.neurons.len();
    let damaged = |found: String| Error::input(path, found, "the linkage of the neurons, as SciPy's", AGAIN);
    if linkage.ncols() != 4 {
        return Err(damaged(format!("has {} columns", linkage.ncols())));
    }
    // Place along the axis, and height, of every cluster.
    let mut clusters = vec![(0.0, 0.0); n];
    for (place, neuron) in order.neurons.iter().enumerate() {
        clusters[*neuron] = (place as f64 + 0.5, 0.0);
    }
    let mut joins = Vec::new();
    for (row, join) in linkage.outer_iter().enumerate() {
        let cluster = |value: f64| clusters.get(value as usize).copied().filter(|_| value >= 0.0);
        let (Some(a), Some(b)) = (cluster(join[0]), cluster(join[1])) else {
            return Err(damaged(format!("row {row} joins clusters that are not there yet")));
        };
        if !join[2].is_finite() {
            return Err(damaged(format!("row {row} has the distance {}", join[2])));
        }
        joins.push((a, b, join[2]));
        clusters.push((0.5 * (a.0 + b.0), join[2]));
    }
    let most = joins.iter().map(|join| join.2).fold(f64::MIN_POSITIVE, f64::max);
    joins.sort_by(|a, b| b.2.total_cmp(&a.2));
    joins.truncate(MOST_JOINS);
    let height = |distance: f64| 1.0 + STRIP + 0.01 + TREE * (distance / most).max(0.0);
    let bracket = |(a, b, distance): ((f64, f64), (f64, f64), f64)| {
        let top = height(distance);
        let points = vec![(a.0, height(a.1)), (a.0, top), (b.0, top), (b.0, height(b.1))];
        Mark::Line { points, colour: Colour::Ink, width: 0.75 }
    };
    Ok(joins.into_iter().map(bracket).collect())
}

/// How much more alike neighbours in the map are than any two neurons, and whether they share areas.
fn sentence(order: &Order, correlation: impl Fn(usize, usize) -> f64) -> String {
    let n = order.neurons.len();
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.filter(|v| v.is_finite()).fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
        sum / n
    };
    let neighbours = mean(&mut (1..n).map(|row| correlation(row, row - 1)));
    let all = mean(
        &mut (0..n * n).map(|at| (at / n, at % n)).filter(|(a, b)| a > b).map(|(a, b)| correlation(a, b)),
    );
    let start = format!(
        "{}: two neurons' profiles correlate by {} on average, neighbours in the map by {}",
        counted(n, "neuron"),
        number(all),
        number(neighbours)
    );
    let areas = distinct(&order.areas);
    if areas.len() < 2 || n < 2 {
        return format!("{start}.");
    }
    let same = order.areas.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64 / (n - 1) as f64;
    let share = |area: &String| order.areas.iter().filter(|other| *other == area).count() as f64 / n as f64;
    let chance: f64 = areas.iter().map(|area| share(area).powi(2)).sum();
    let (same, chance) = (super::words::percent(same), super::words::percent(chance));
    format!("{start}; {same} of neighbours are of the same area, where chance gives {chance}.")
}

fn numbers(order: &Order) -> Sheet {
    let mut sheet = Sheet::new(&["position", "row", "area"]);
    for (position, (neuron, area)) in order.neurons.iter().zip(&order.areas).enumerate() {
        sheet.row([position.to_string(), neuron.to_string(), area.clone()]);
    }
    sheet
}
