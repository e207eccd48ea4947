//! Every neuron by itself: what it reaches of its noise ceiling, which penalty it took, all its numbers.

use serde_json::Value;

use super::axis::{Axis, range};
use super::neurons::Reliability;
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Cell, Figure, Grid, Section};
use super::shapes::{diagonal, whole};
use super::statistics::sorted;
use super::svg::Colour;
use super::table::{Sheet, Table, field};
use super::words::{count, counted, number, short};
use crate::error::Result;
use crate::scores::LEAST_FEV;

/// Neurons that the table shows at most.
const MOST_ROWS: usize = 1000;
/// Different penalties that get a bar each at most.
const MOST_BARS: usize = 24;

/// Columns of numbers: in `scores.csv`, and as the page calls them.
const COLUMNS: [(&str, &str); 11] = [
    ("pearson_r", "r"),
    ("pearson_r_low", "r, low"),
    ("pearson_r_high", "r, high"),
    ("ceiling", "noise ceiling"),
    ("normalised_r", "r / ceiling"),
    ("r2", "R2"),
    ("explained_variance", "explained variance"),
    ("single_trial_r2", "R2, single trials"),
    ("feve", "FEVE"),
    ("test_fev", "FEV, test images"),
    ("penalty", "penalty"),
];

/// The section, where there is a fit.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
    let table = fit.needs("scores.csv")?;
    let mut section = Section::new("neurons", "Neurons");
    section.figures.extend(against_ceiling(&table, &mut section.findings)?);
    for (column, what) in [("penalty", "penalty"), ("ratio", "ratio of the Laplacian's penalty to it")] {
        section.figures.extend(taken(&table, column, what, &mut section.findings)?);
    }
    section.findings.extend(shared_penalties(&fit.record.options));
    let reliability = Reliability::read(run)?.filter(|all| all.names.len() == table.len() && !all.of_test);
    section.grids.push(grid(&table, reliability.as_ref())?);
    if table.len() > MOST_ROWS {
        section.say(format!(
            "The table shows the {MOST_ROWS} with the highest r of {}; scores.csv has all.",
            counted(table.len(), "neuron")
        ));
    }
    Ok(Some(section))
}

/// r of each neuron over its noise ceiling.
fn against_ceiling(table: &Table, said: &mut Vec<String>) -> Result<Option<Figure>> {
    let Some(ceiling) = table.numbers_if("ceiling")? else { return Ok(None) };
    let (names, r) = (table.texts("neuron")?, table.numbers("pearson_r")?);
    let fev = table.numbers_if("test_fev")?.unwrap_or_default();
    let points: Vec<(usize, f64, f64)> =
        (0..table.len()).filter_map(|n| Some((n, ceiling[n]?, r[n]?))).collect();
    if points.is_empty() {
        return Ok(None);
    }
    let mut sheet = Sheet::new(&["neuron", "ceiling", "pearson_r", "normalised_r"]);
    let mut marks = Vec::new();
    for (n, ceiling, r) in &points {
        sheet.row([names[*n].to_string(), field(*ceiling), field(*r), field(r / ceiling)]);
        let counts = fev.get(*n).copied().flatten().is_some_and(|fev| fev >= LEAST_FEV);
        let colour = if counts { Colour::Blue } else { Colour::Vermilion };
        marks.push(Mark::Dot { at: (*ceiling, *r), colour, radius: 3.0, opacity: 0.65 });
    }
    let (low, _) = range(points.iter().flat_map(|(_, ceiling, r)| [*ceiling, *r]));
    let x = Axis::linear("noise ceiling of r", low.min(0.0), 1.02);
    let y = Axis::linear("r on test images", low.min(0.0), 1.02);
    marks.push(diagonal(&x));
    let legend =
        vec![(format!("FEV of at least {LEAST_FEV}"), Colour::Blue), ("less".to_string(), Colour::Vermilion)];
    let over = points.iter().filter(|(_, ceiling, r)| r > ceiling).count();
    let without = table.len() - points.len();
    let above = match over {
        0 => String::new(),
        n => format!(" {} above the ceiling, which is chance.", counted(n, "neuron")),
    };
    let mut sentence = format!(
        "The noise ceiling of r is what the true mean response would reach, estimated from halves of the \
         test images' repeats.{above}"
    );
    if without > 0 {
        sentence.push_str(&format!(" {} without a ceiling or an r.", counted(without, "neuron")));
    }
    said.push(sentence);
    let description = format!(
        "A dot for each of {}; on the dashed line a neuron is predicted as well as noise allows. Colours: \
         FEV of its test images.",
        counted(points.len(), "neuron")
    );
    let plot = Plot::new(x, y, marks).with_legend(legend).with_aspect(1.0);
    Figure::new("ceiling", "What noise allows, and what is reached", description, plot, sheet).map(Some)
}

/// The penalties of a readout that is trained, which are the same for all neurons.
fn shared_penalties(options: &Value) -> Option<String> {
    let settings = options.get("settings").filter(|settings| settings.is_object())?;
    let mut named = Vec::new();
    for (group, prefix) in [("penalties", ""), ("feature_penalties", "feature-")] {
        for (name, value) in settings.get(group)?.as_object()? {
            let value = value.as_f64().filter(|value| *value != 0.0);
            named.extend(value.map(|value| format!("{prefix}{name} {}", number(value))));
        }
    }
    Some(match named.is_empty() {
        true => "The readout was trained without penalties.".into(),
        false => format!("All neurons share their penalties: {}.", named.join(", ")),
    })
}

/// How many neurons took which value of a grid.
fn taken(table: &Table, column: &str, what: &str, said: &mut Vec<String>) -> Result<Option<Figure>> {
    let values = sorted(table.numbers_if(column)?.unwrap_or_default());
    let mut levels: Vec<(f64, usize)> = Vec::new();
    for value in &values {
        match levels.last_mut() {
            Some((last, count)) if last == value => *count += 1,
            _ => levels.push((*value, 1)),
        }
    }
    if levels.is_empty() {
        return Ok(None);
    }
    let often = levels.iter().max_by_key(|level| level.1).copied().unwrap_or_default();
    let (first, last) = (levels[0], levels[levels.len() - 1]);
    said.push(format!(
        "The {what} that neurons took runs from {} to {}; most often it is {} ({} of {}).",
        number(first.0),
        number(last.0),
        number(often.0),
        count(often.1),
        counted(values.len(), "neuron")
    ));
    if levels.len() > MOST_BARS {
        return Ok(None);
    }
    let mut sheet = Sheet::new(&[column, "neurons"]);
    let mut marks = Vec::new();
    for (at, (value, neurons)) in levels.iter().enumerate() {
        sheet.row([field(*value), neurons.to_string()]);
        let corners = [(at as f64 - 0.4, *neurons as f64), (at as f64 + 0.4, 0.0)];
        marks.push(Mark::Bar { corners, colour: Colour::Blue, opacity: 0.85 });
    }
    let x = Axis::named(what, levels.iter().map(|(value, _)| number(*value)));
    let y = whole(Axis::linear("neurons", 0.0, 1.08 * often.1 as f64));
    let description = format!("Values that at least one of {} took.", counted(values.len(), "neuron"));
    let title = format!("Chosen {column}");
    Figure::new(format!("chosen_{column}"), title, description, Plot::new(x, y, marks).high(260), sheet)
        .map(Some)
}

/// A row a neuron, the highest r first; columns without any value are left out.
fn grid(table: &Table, reliability: Option<&Reliability>) -> Result<Grid> {
    let names = table.texts("neuron")?;
    let mut columns: Vec<(&str, Vec<Option<f64>>)> = Vec::new();
    for (column, name) in COLUMNS.into_iter().chain([("ratio", "ratio")]) {
        columns.extend(table.numbers_if(column)?.map(|values| (name, values)));
    }
    if let Some(all) = reliability {
        let at = columns.iter().position(|(name, _)| *name == "penalty").unwrap_or(columns.len());
        columns.insert(at, ("FEV, all images", all.fev.clone()));
    }
    columns.retain(|(_, values)| values.iter().any(Option::is_some));
    let tuned = reliability.filter(|all| all.tuned.iter().any(Option::is_some)).map(|all| &all.tuned);
    let header: Vec<&str> = ["neuron"]
        .into_iter()
        .chain(columns.iter().map(|(name, _)| *name))
        .chain(tuned.map(|_| "responds to images"))
        .collect();
    let mut grid = Grid::new("Each neuron (r, low and high: 95\u{a0}% interval over test images)", &header);
    grid.sortable = true;
    let r = table.numbers("pearson_r")?;
    let mut order: Vec<usize> = (0..table.len()).collect();
    let key = |n: usize| r[n].unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| key(*b).total_cmp(&key(*a)));
    for n in order.into_iter().take(MOST_ROWS) {
        let name = Cell::from(short(names[n], 40));
        let numbers = columns.iter().map(|(_, values)| Cell::from(values[n]));
        let word = |tuned: &Vec<Option<bool>>| match tuned[n] {
            Some(true) => "yes".to_string(),
            Some(false) => "not known to".into(),
            None => String::new(),
        };
        grid.row([name].into_iter().chain(numbers).chain(tuned.map(|tuned| Cell::from(word(tuned)))));
    }
    Ok(grid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn penalties_of_trained_readouts_are_said_where_there_are_any() {
        let settings = |l1: f64, feature: f64| json!({"settings": {"penalties": {"l1": l1, "l2": 0.0}, "feature_penalties": {"l2": feature}}});
        let said = shared_penalties(&settings(0.004, 2.5)).unwrap();
        assert_eq!(said, "All neurons share their penalties: l1 0.004, feature-l2 2.50.");
        assert!(shared_penalties(&settings(0.0, 0.0)).unwrap().ends_with("without penalties."));
        assert!(shared_penalties(&json!({"settings": null})).is_none());
    }
}
