//! Several runs side by side.

use super::distributions::{LEAST_SHOWN, MEASURES, values};
use super::neurons::Reliability;
use super::run::{Command, Run};
use super::section::{Figure, Grid, Section, slug};
use super::shapes::{Violin, violins};
use super::statistics::{median, quantile, sorted};
use super::svg::series;
use super::words::{counted, number};
use crate::error::{Error, Kind, Result};

/// Scores of one run, ascending, by measure.
struct Scores {
    name: String,
    values: Vec<Vec<f64>>,
}

/// A table of the scores of all runs, and their distributions.
///
/// # Errors
/// Input, where a table is damaged; Usage, where no run has scores.
pub(super) fn sections(runs: &[Run]) -> Result<Vec<Section>> {
    let all: Vec<Scores> =
        runs.iter().zip(names(runs)).map(|(run, name)| scores(run, name)).collect::<Result<_>>()?;
    if all.iter().all(|one| one.values.iter().all(Vec::is_empty)) {
        let found = "none of the runs has scores";
        return Err(Error::new(Kind::Usage, "--out", found, "runs with scores to compare", ""));
    }
    let mut section = Section::new("comparison", "Scores of the runs");
    section.findings.extend(sentence(&all));
    section.grids.push(table(runs, &all)?);
    for (n, measure) in MEASURES.iter().enumerate() {
        let with: Vec<Violin> = all
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.values[n].is_empty())
            .map(|(at, one)| Violin {
                name: one.name.clone(),
                values: one.values[n].clone(),
                colour: series(at),
            })
            .collect();
        if with.is_empty() {
            continue;
        }
        let (plot, sheet) = violins(measure.name, &with, LEAST_SHOWN);
        let description = "Violins over neurons. Dot: median; thick line: quartiles; thin line: 5th to 95th \
        percentile. What lies below \u{2212}1 is drawn there.";
        let mut title = measure.name.to_string();
        title[..1].make_ascii_uppercase();
        let name = format!("comparison_{}", slug(measure.column));
        section.figures.push(Figure::new(name, title, description, plot, sheet)?);
    }
    Ok(vec![section])
}

/// Names of the folders, with the folder above where two have the same.
fn names(runs: &[Run]) -> Vec<String> {
    let same = |name: &str| runs.iter().filter(|run| run.name == name).count() > 1;
    let name = |run: &Run| {
        if same(&run.name) { run.folder.display().to_string() } else { run.name.clone() }
    };
    runs.iter().map(name).collect()
}

/// Of a fit its scores, of a sweep those of the best configuration, of a profile those of each neuron's best
/// layer chosen on other images.
fn scores(run: &Run, name: String) -> Result<Scores> {
    let table = match run.fitted() {
        Some(fit) => Some((fit.needs("scores.csv")?, false)),
        None if run.record.command == Command::Profile => {
            run.table("best_layers.csv")?.map(|table| (table, true))
        }
        None => None,
    };
    let Some((table, nested)) = table else {
        return Ok(Scores { name, values: vec![Vec::new(); MEASURES.len()] });
    };
    let column = |own: &'static str| match (nested, own) {
        (true, "pearson_r") => "nested_r",
        _ => own,
    };
    let values = MEASURES.iter().map(|measure| values(&table, column(measure.column)));
    Ok(Scores { name, values: values.collect::<Result<_>>()? })
}

fn sentence(all: &[Scores]) -> Option<String> {
    let mut medians: Vec<(&str, f64)> = all
        .iter()
        .filter(|one| !one.values[0].is_empty())
        .map(|one| (&one.name[..], median(&one.values[0])))
        .collect();
    medians.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ((best, most), (worst, least)) = (medians.first()?, medians.last()?);
    if medians.len() < 2 {
        return None;
    }
    Some(format!(
        "Of {} {best} has the highest median r ({}), {worst} the lowest ({}).",
        counted(medians.len(), "run"),
        number(*most),
        number(*least)
    ))
}

fn table(runs: &[Run], all: &[Scores]) -> Result<Grid> {
    let header = [
        "run",
        "readout",
        "neurons",
        "median FEV: what images explain of single trials",
        "median R2 of single trials",
        "median r",
        "r, 5 % to 95 %",
        "median R2",
        "median explained variance",
        "median FEVE",
    ];
    let mut grid = Grid::new("Scores on test images, over neurons", &header);
    for (run, scores) in runs.iter().zip(all) {
        let record = &run.fitted().unwrap_or(run).record;
        let readout = record.summary.get("readout").and_then(serde_json::Value::as_str).unwrap_or("");
        let fev = Reliability::read(run)?.map_or(Vec::new(), |all| sorted(all.fev));
        let middle = |values: &[f64]| if values.is_empty() { String::new() } else { number(median(values)) };
        let r = &scores.values[0];
        let ends = [0.05, 0.95].map(|q| number(quantile(r, q)));
        grid.row([
            scores.name.clone(),
            readout.to_string(),
            scores.values.iter().map(Vec::len).max().unwrap_or(0).to_string(),
            middle(&fev),
            middle(&scores.values[4]),
            middle(r),
            if r.is_empty() { String::new() } else { ends.join(" to ") },
            middle(&scores.values[1]),
            middle(&scores.values[2]),
            middle(&scores.values[3]),
        ]);
    }
    Ok(grid)
}
