//! Scores by layer, area and image size, with the nulls beside them.

use super::axis::Axis;
use super::plot::{Mark, Plot};
use super::run::{Command, Run};
use super::section::{Figure, Grid, Section};
use super::shapes::interval;
use super::statistics::{median, sorted};
use super::svg::{Colour, SERIES, series};
use super::table::{AGAIN, Sheet, Table, field};
use super::words::{count, number};
use crate::error::{Error, Result};

/// The name of what is over all areas.
const ALL: &str = "all";

const MEASURES: [(&str, &str); 3] =
    [("pearson_r", "Pearson's r"), ("normalised_r", "r over the noise ceiling"), ("feve", "FEVE")];

/// One row of `layers.csv`.
#[derive(Clone)]
struct Row {
    size: String,
    control: String,
    area: String,
    layer: String,
    measure: String,
    mean: f64,
    neurons: Option<(f64, f64)>,
    images: Option<(f64, f64)>,
}

/// The section, for a profile.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    if run.record.command != Command::Profile {
        return Ok(None);
    }
    let table = run.needs("layers.csv")?;
    let rows = read(&table)?;
    let sizes = distinct(&rows, |row| &row.size);
    let mut section = Section::new("layers", "Layers and areas");
    for (measure, name) in MEASURES {
        for size in &sizes {
            let shown: Vec<&Row> =
                rows.iter().filter(|row| row.measure == measure && row.size == *size).collect();
            section.figures.extend(by_layer(&shown, measure, name, size, sizes.len() > 1)?);
        }
        if sizes.len() > 1 {
            section.figures.extend(by_size(&rows, measure, name, &sizes)?);
        }
    }
    section.findings.extend(sentences(&rows));
    if let Some(best) = run.table("best_layers.csv")? {
        let (grid, sentence) = best_layers(&best, &distinct(&rows, |row| &row.layer))?;
        section.grids.push(grid);
        section.findings.extend(sentence);
    }
    Ok(Some(section))
}

fn read(table: &Table) -> Result<Vec<Row>> {
    let text = |name: &str| table.texts(name);
    let (size, control, area) = (text("size")?, text("control")?, text("area")?);
    let (layer, measure, mean) = (text("layer")?, text("measure")?, table.numbers("mean")?);
    let pair = |low: &str, high: &str| -> Result<Vec<Option<(f64, f64)>>> {
        let (low, high) = (table.numbers(low)?, table.numbers(high)?);
        Ok(low.into_iter().zip(high).map(|(low, high)| Some((low?, high?))).collect())
    };
    let (neurons, images) = (pair("neurons_low", "neurons_high")?, pair("images_low", "images_high")?);
    let row = |n: usize| {
        let owned = |column: &[&str]| column[n].to_string();
        Some(Row {
            size: owned(&size),
            control: owned(&control),
            area: owned(&area),
            layer: owned(&layer),
            measure: owned(&measure),
            mean: mean[n]?,
            neurons: neurons[n],
            images: images[n],
        })
    };
    let rows: Vec<Row> = (0..table.len()).filter_map(row).collect();
    if rows.iter().any(|row| row.control == "none") {
        return Ok(rows);
    }
    let found = "no layer has a mean score";
    Err(Error::input(table.path(), found, "at least one number", AGAIN))
}

/// Different values in the order in which they come.
fn distinct(rows: &[Row], of: impl Fn(&Row) -> &String) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for row in rows {
        if !values.contains(of(row)) {
            values.push(of(row).clone());
        }
    }
    values
}

/// A point of a row: mean, interval over neurons (strong) and over images (faint).
fn point(x: f64, row: &Row, colour: Colour) -> Vec<Mark> {
    let mut marks = Vec::new();
    if let Some((low, high)) = row.images {
        let corners = [(x - 0.05, low), (x + 0.05, high)];
        marks.push(Mark::Bar { corners, colour, opacity: 0.28 });
    }
    if let Some((low, high)) = row.neurons {
        marks.push(interval(x, low, high, colour, 1.75));
    }
    marks.push(Mark::Dot { at: (x, row.mean), colour, radius: 3.5, opacity: 1.0 });
    marks
}

fn ends(row: &Row) -> Vec<f64> {
    [Some((row.mean, row.mean)), row.neurons, row.images]
        .into_iter()
        .flatten()
        .flat_map(|(a, b)| [a, b])
        .collect()
}

/// Areas in their order, those beyond the colours left out; `all` has the ink.
fn coloured(areas: &[String]) -> Vec<(String, Colour)> {
    let named = areas.iter().filter(|area| *area != ALL).take(SERIES.len());
    let mut coloured: Vec<(String, Colour)> =
        named.enumerate().map(|(n, area)| (area.clone(), series(n))).collect();
    if areas.iter().any(|area| area == ALL) {
        coloured.push((ALL.to_string(), Colour::Ink));
    }
    coloured
}

fn by_layer(rows: &[&Row], measure: &str, name: &str, size: &str, several: bool) -> Result<Option<Figure>> {
    let owned: Vec<Row> = rows.iter().map(|row| (*row).clone()).collect();
    let real: Vec<Row> = owned.iter().filter(|row| row.control == "none").cloned().collect();
    if real.is_empty() {
        return Ok(None);
    }
    let layers = distinct(&owned, |row| &row.layer);
    let areas = coloured(&distinct(&real, |row| &row.area));
    let mut sheet = Sheet::new(&[
        "layer",
        "area",
        "control",
        "mean",
        "neurons_low",
        "neurons_high",
        "images_low",
        "images_high",
    ]);
    for row in &owned {
        let pair = |p: Option<(f64, f64)>| [field(p.map(|p| p.0)), field(p.map(|p| p.1))];
        let names = [&row.layer, &row.area, &row.control].map(String::clone);
        sheet
            .row(names.into_iter().chain([field(row.mean)]).chain(pair(row.neurons)).chain(pair(row.images)));
    }
    let place = |layer: &str| layers.iter().position(|other| other == layer).unwrap_or(0) as f64;
    let mut marks = Vec::new();
    let mut legend = areas.clone();
    for (n, (area, colour)) in areas.iter().enumerate() {
        let aside = 0.6 * ((n as f64 + 0.5) / areas.len() as f64 - 0.5);
        let of_area: Vec<&Row> = real.iter().filter(|row| row.area == *area).collect();
        let points = of_area.iter().map(|row| (place(&row.layer) + aside, row.mean)).collect();
        marks.push(Mark::Line { points, colour: *colour, width: 1.25 });
        marks.extend(of_area.iter().flat_map(|row| point(place(&row.layer) + aside, row, *colour)));
    }
    let (nulls, named) = nulls(&owned, place);
    marks.extend(nulls);
    legend.extend(named);
    let y = Axis::around(name, owned.iter().flat_map(ends).chain([0.0]));
    let plot = Plot::new(Axis::named("", layers), y, marks).with_legend(legend).high(330);
    let description = "Means over neurons. Thin lines: 95\u{a0}% interval over neurons; wide faint bars: \
    over images. Nulls are over all areas; where images are shuffled, covariates stay with the responses.";
    let (file, title) = match several {
        true => {
            (format!("layers_{measure}_size_{}", super::section::slug(size)), format!("{name}, size {size}"))
        }
        false => (format!("layers_{measure}"), format!("By layer: {name}")),
    };
    Figure::new(file, title, description, plot, sheet).map(Some)
}

/// The nulls over all areas, as dashes between layers; and what their colours mean.
fn nulls(rows: &[Row], place: impl Fn(&str) -> f64) -> (Vec<Mark>, Vec<(String, Colour)>) {
    let (mut marks, mut legend) = (Vec::new(), Vec::new());
    for (control, colour, said) in
        [("shuffled", Colour::Vermilion, "shuffled images"), ("random", Colour::Purple, "random weights")]
    {
        let nulls: Vec<&Row> = rows.iter().filter(|row| row.control == control && row.area == ALL).collect();
        for pair in nulls.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|row| (place(&row.layer), row.mean));
            marks.push(Mark::Dashes { from, to, colour });
        }
        let dot =
            |row: &&Row| Mark::Dot { at: (place(&row.layer), row.mean), colour, radius: 2.5, opacity: 1.0 };
        marks.extend(nulls.iter().map(dot));
        if !nulls.is_empty() {
            legend.push((said.to_string(), colour));
        }
    }
    (marks, legend)
}

/// The score of each area's best layer, by image size.
fn by_size(rows: &[Row], measure: &str, name: &str, sizes: &[String]) -> Result<Option<Figure>> {
    let real: Vec<Row> =
        rows.iter().filter(|row| row.measure == measure && row.control == "none").cloned().collect();
    let areas = coloured(&distinct(&real, |row| &row.area));
    let mut sheet = Sheet::new(&["area", "size", "best_layer", "mean"]);
    let mut marks = Vec::new();
    let mut every = Vec::new();
    for (n, (area, colour)) in areas.iter().enumerate() {
        let aside = 0.4 * ((n as f64 + 0.5) / areas.len() as f64 - 0.5);
        let mut points = Vec::new();
        for (x, size) in sizes.iter().enumerate() {
            let Some(row) = best(real.iter().filter(|row| row.area == *area && row.size == *size)) else {
                continue;
            };
            sheet.row([area.clone(), size.clone(), row.layer.clone(), field(row.mean)]);
            points.push((x as f64 + aside, row.mean));
            every.extend(ends(row));
            marks.extend(point(x as f64 + aside, row, *colour));
        }
        marks.push(Mark::Line { points, colour: *colour, width: 1.25 });
    }
    if every.is_empty() {
        return Ok(None);
    }
    let x = Axis::named("image size in pixels", sizes.iter().cloned());
    let plot = Plot::new(x, Axis::around(name, every), marks).with_legend(areas);
    let description = "The mean score of each area's best layer at that size, with intervals as above.";
    Figure::new(format!("sizes_{measure}"), format!("By image size: {name}"), description, plot, sheet)
        .map(Some)
}

fn best<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<&'a Row> {
    rows.max_by(|a, b| a.mean.total_cmp(&b.mean))
}

fn sentences(rows: &[Row]) -> Vec<String> {
    let of = |control: &'static str| {
        rows.iter().filter(move |row| row.measure == "pearson_r" && row.control == control)
    };
    let real: Vec<Row> = of("none").cloned().collect();
    let several = distinct(&real, |row| &row.size).len() > 1;
    let mut said = Vec::new();
    for area in distinct(&real, |row| &row.area) {
        let Some(row) = best(real.iter().filter(|row| row.area == area)) else { continue };
        let subject = if area == ALL { "All neurons together are".into() } else { format!("{area} is") };
        let at = if several { format!(" at size {}", row.size) } else { String::new() };
        let interval = row.neurons.map_or(String::new(), |(low, high)| {
            format!(" (95\u{a0}% interval over neurons {} to {})", number(low), number(high))
        });
        said.push(format!(
            "{subject} predicted best by {}{at}: mean r {}{interval}.",
            row.layer,
            number(row.mean)
        ));
    }
    for (control, what) in [("shuffled", "Shuffled images"), ("random", "Random weights")] {
        if let Some(row) = best(of(control).filter(|row| row.area == ALL)) {
            said.push(format!("{what} give at most {} ({}).", number(row.mean), row.layer));
        }
    }
    said
}

/// How many neurons of each area have which best layer.
fn best_layers(table: &Table, layers: &[String]) -> Result<(Grid, Option<String>)> {
    let (area, layer) = (table.texts("area")?, table.texts("best_layer")?);
    let nested = sorted(table.numbers("nested_r")?);
    let mut areas: Vec<&str> = area.clone();
    areas.sort_unstable();
    areas.dedup();
    let header: Vec<&str> = ["best layer"].into_iter().chain(areas.iter().copied()).collect();
    let mut grid = Grid::new("Neurons by their best layer (chosen on training images)", &header);
    for name in layers {
        let of = |wanted: &&str| {
            area.iter().zip(&layer).filter(|(area, layer)| *area == wanted && *layer == name).count()
        };
        grid.row([name.clone()].into_iter().chain(areas.iter().map(of).map(count)));
    }
    let sentence = (!nested.is_empty()).then(|| {
        format!(
            "With each neuron's layer chosen on other images than it is scored on, the median neuron \
             reaches r = {}.",
            number(median(&nested))
        )
    });
    Ok((grid, sentence))
}
