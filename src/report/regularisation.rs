//! What a sweep found: explained variance by penalties, the best configurations, each hyper-parameter by
//! itself.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::configurations::Configurations;
use super::distributions::LEAST_SHOWN;
use super::plot::{Mark, Plot};
use super::run::{Command, Run};
use super::section::{Figure, Grid, Section, slug};
use super::shapes::{Violin, violins};
use super::statistics::{mean, median, sorted};
use super::svg::{Colour, series};
use super::table::{Sheet, field};
use super::words::{count, counted, list, number};
use crate::error::{Error, Result};

/// Violins of one figure at most.
const MOST_GROUPS: usize = 14;
/// Rows of the table of the best.
const BEST: usize = 10;
/// Hyper-parameters that get a figure at most.
const MOST_FIGURES: usize = 8;

/// The section, for a sweep.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    if run.record.command != Command::Sweep {
        return Ok(None);
    }
    let all = Configurations::read(run)?;
    let mut section = Section::new("regularisation", "Configurations");
    section.say(what_was_tried(&all));
    if let Some(best) = all.best() {
        section.say(format!(
            "The best by validation is configuration {} ({}): validation r {}, median r on test images {}.",
            all.names[best],
            all.describe(best),
            number(all.validation_r[best].unwrap_or(f64::NAN)),
            number(all.test_r[best].unwrap_or(f64::NAN))
        ));
    }
    let neurons = explained_variance(run, &all)?;
    if let Some(neurons) = &neurons {
        let (figure, sentence) = by_penalties(&all, neurons)?;
        section.figures.push(figure);
        section.say(sentence);
    }
    for (name, _) in all.varying.iter().filter(|(name, _)| *name != "seed").take(MOST_FIGURES) {
        section.figures.push(by_parameter(&all, name)?);
    }
    section.grids.push(best_table(&all));
    section.grids.extend(summary_table(&all));
    Ok(Some(section))
}

fn what_was_tried(all: &Configurations) -> String {
    let failed: Vec<&str> =
        all.diverged.iter().zip(&all.names).filter(|(d, _)| **d).map(|(_, name)| &name[..]).collect();
    let varied: Vec<String> =
        all.varying.iter().map(|(name, levels)| format!("{name} with {} values", levels.len())).collect();
    let varied = if varied.is_empty() { "nothing varied".into() } else { list(&varied, 12) };
    let ending = match failed.len() {
        0 => "none diverged".into(),
        n => format!("{} diverged: {}", count(n), list(&failed, 20)),
    };
    format!("{} were fitted ({varied}); {ending}.", counted(all.names.len(), "configuration"))
}

/// Explained variance of the neurons of each configuration.
fn explained_variance(run: &Run, all: &Configurations) -> Result<Option<Vec<Vec<f64>>>> {
    let Some(table) = run.table("sweep_neurons.csv")? else { return Ok(None) };
    let values = table.numbers("explained_variance")?;
    let places: BTreeMap<&str, usize> =
        all.names.iter().enumerate().map(|(n, name)| (&name[..], n)).collect();
    let mut grouped = vec![Vec::new(); all.names.len()];
    for (name, value) in table.texts("configuration")?.into_iter().zip(values) {
        if let Some(place) = places.get(name) {
            grouped[*place].push(value);
        }
    }
    let grouped: Vec<Vec<f64>> = grouped.into_iter().map(sorted).collect();
    Ok(Some(grouped).filter(|grouped| grouped.iter().any(|values| !values.is_empty())))
}

/// A violin for each combination of penalties; the best ones where there are too many.
fn by_penalties(all: &Configurations, neurons: &[Vec<f64>]) -> Result<(Figure, String)> {
    let mut groups: Vec<(String, Vec<f64>)> = Vec::new();
    for (n, values) in neurons.iter().enumerate() {
        let name = all.penalties(n);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, all)) => all.extend(values),
            None => groups.push((name, values.clone())),
        }
    }
    let total = groups.len();
    let mut groups: Vec<(String, Vec<f64>)> =
        groups.into_iter().map(|(name, values)| (name, sorted(values.into_iter().map(Some)))).collect();
    groups.sort_by(|a, b| median(&b.1).total_cmp(&median(&a.1)));
    groups.retain(|(_, values)| !values.is_empty());
    let below = |values: &[f64]| values.iter().filter(|v| **v < 0.0).count() as f64 / values.len() as f64;
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else {
        return Err(Error::internal("the violins of a sweep", "no group has values"));
    };
    let sentence = format!(
        "Explained variance by regularisation: the median is {} with {} and {} with {}; below 0 are {} of \
         the neurons with the former and {} with the latter. These are test images: choose by validation, \
         for the best of many is good by chance too.",
        number(median(&first.1)),
        first.0,
        number(median(&last.1)),
        last.0,
        super::words::percent(below(&first.1)),
        super::words::percent(below(&last.1))
    );
    groups.truncate(MOST_GROUPS);
    let clipped = groups.iter().flat_map(|(_, values)| values).filter(|v| **v < LEAST_SHOWN).count();
    let violin =
        |(n, (name, values)): (usize, (String, Vec<f64>))| Violin { name, values, colour: series(n) };
    let shown: Vec<Violin> = groups.into_iter().enumerate().map(violin).collect();
    let (plot, sheet) = violins("explained variance", &shown, LEAST_SHOWN);
    let mut description = format!(
        "Violins over neurons and configurations, {} of {} combinations of penalties, the best median at \
         the top. Small dots: neurons, where there are not too many; large dot: median; thick line: \
         quartiles; thin line: 5th to 95th percentile.",
        shown.len(),
        total
    );
    if clipped > 0 {
        description.push_str(&format!(" {} below \u{2212}1 are drawn there.", counted(clipped, "value")));
    }
    let title = "Explained variance by regularisation";
    Ok((Figure::new("explained_variance_by_penalty", title, description, plot, sheet)?, sentence))
}

/// Validation r of all configurations over the levels of one hyper-parameter.
fn by_parameter(all: &Configurations, name: &str) -> Result<Figure> {
    let levels = &all.varying[name];
    let mut sheet = Sheet::new(&[name, "configuration", "validation_r"]);
    let mut marks = Vec::new();
    let mut means = Vec::new();
    let mut every = Vec::new();
    for (x, level) in levels.iter().enumerate() {
        let of_level = all.with_level(name, level);
        let values: Vec<f64> = of_level.iter().filter_map(|n| all.validation_r[*n]).collect();
        for n in &of_level {
            sheet.row([level.clone(), all.names[*n].clone(), field(all.validation_r[*n])]);
        }
        for value in &values {
            marks.push(Mark::Dot {
                at: (x as f64, *value),
                colour: Colour::Blue,
                radius: 3.0,
                opacity: 0.55,
            });
        }
        if !values.is_empty() {
            means.push((x as f64, mean(&values)));
        }
        every.extend(values);
    }
    marks.push(Mark::Line { points: means, colour: Colour::Vermilion, width: 2.0 });
    let x = Axis::named(name, levels.iter().cloned());
    let plot = Plot::new(x, Axis::around("validation r", every), marks).high(260);
    let plot =
        plot.with_legend(vec![("a configuration".into(), Colour::Blue), ("mean".into(), Colour::Vermilion)]);
    let description = format!("Each configuration's mean validation r, over the values of {name}.");
    Figure::new(format!("validation_by_{}", slug(name)), format!("By {name}"), description, plot, sheet)
}

fn best_table(all: &Configurations) -> Grid {
    let names: Vec<&str> = all.varying.keys().map(String::as_str).collect();
    let scores = ["validation r", "test median r", "test median explained variance", "epochs"];
    let header: Vec<&str> =
        ["configuration"].into_iter().chain(names.iter().copied()).chain(scores).collect();
    let mut grid = Grid::new("The best configurations by validation r", &header);
    for n in all.order().into_iter().take(BEST) {
        let levels = names.iter().map(|name| all.level(name, n).to_string());
        let scores = [all.validation_r[n], all.test_r[n], all.test_explained[n]];
        let scores = scores.map(|v| v.map_or(String::new(), number));
        let epochs = all.epochs[n].map_or(String::new(), |epochs| count(epochs as usize));
        grid.row([all.names[n].clone()].into_iter().chain(levels).chain(scores).chain([epochs]));
    }
    grid
}

fn summary_table(all: &Configurations) -> Option<Grid> {
    let header =
        ["hyper-parameter", "value", "configurations", "diverged", "best validation r", "mean validation r"];
    let mut grid = Grid::new("By hyper-parameter", &header);
    for (name, levels) in &all.varying {
        for level in levels {
            let of_level = all.with_level(name, level);
            let values = sorted(of_level.iter().map(|n| all.validation_r[*n]));
            let diverged = of_level.iter().filter(|n| all.diverged[**n]).count();
            grid.row([
                name.clone(),
                level.clone(),
                count(of_level.len()),
                count(diverged),
                values.last().map_or(String::new(), |v| number(*v)),
                if values.is_empty() { String::new() } else { number(mean(&values)) },
            ]);
        }
    }
    (!grid.rows.is_empty()).then_some(grid)
}
