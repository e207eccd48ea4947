//! Several runs side by side.

use std::collections::BTreeMap;
use std::path::Path;

use super::PAGE;
use super::distributions::{LEAST_SHOWN, MEASURES, values};
use super::links::address;
use super::neurons::Reliability;
use super::paired::{self, Paired};
use super::run::{Command, Run};
use super::section::{Cell, Figure, Grid, Section, slug};
use super::shapes::{Violin, violins};
use super::statistics::{mean, median, quantile, sorted};
use super::svg::series;
use super::words::{counted, number};
use crate::error::{Error, Kind, Result};
use crate::io::image_names::ImageNames;
use crate::io::split::Split;

/// What is compared of one run.
struct Scores {
    name: String,
    /// Ascending, by the column of the measure.
    values: BTreeMap<&'static str, Vec<f64>>,
    /// Of the test images.
    test_fev: Vec<f64>,
    paired: Paired,
}

impl Scores {
    fn of(&self, column: &str) -> &[f64] {
        self.values.get(column).map_or(&[], Vec::as_slice)
    }
}

/// A table of the scores of all runs as seen from `page`, their distributions, and the best neuron by neuron
/// against the others.
///
/// # Errors
/// Input, where a table is damaged; Usage, where no run has scores.
pub(super) fn sections(runs: &[Run], page: &Path) -> Result<Vec<Section>> {
    let all: Vec<Scores> =
        runs.iter().zip(names(runs)).map(|(run, name)| scores(run, name)).collect::<Result<_>>()?;
    if all.iter().all(|one| one.values.values().all(Vec::is_empty)) {
        let found = "none of the runs has scores";
        return Err(Error::new(Kind::Usage, "--out", found, "runs with scores to compare", ""));
    }
    let mut section = Section::new("comparison", "Scores of the runs");
    section.findings.extend(sentence(&all));
    section.grids.push(table(runs, &all, page)?);
    section.say(
        "FEV is the share of the variance of single trials that images explain: without further \
        inputs their R2 cannot be larger.",
    );
    for measure in &MEASURES {
        let with: Vec<Violin> = all
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.of(measure.column).is_empty())
            .map(|(at, one)| Violin {
                name: one.name.clone(),
                values: one.of(measure.column).to_vec(),
                colour: series(at),
            })
            .collect();
        if with.is_empty() {
            continue;
        }
        let (plot, sheet) = violins(measure.name, &with, LEAST_SHOWN);
        let description = "A small dot for each neuron, where there are not too many, inside the outline of \
            their density. Large dot: median; thick line: quartiles; thin line: 5th to 95th percentile. \
            What lies below \u{2212}1 is drawn there.";
        let mut title = measure.name.to_string();
        title[..1].make_ascii_uppercase();
        let name = format!("comparison_{}", slug(measure.column));
        section.figures.push(Figure::new(name, title, description, plot, sheet)?);
    }
    let pairs: Vec<Paired> = all.into_iter().map(|one| one.paired).collect();
    Ok([Some(section), paired::section(&pairs)?].into_iter().flatten().collect())
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
    let none = || Paired { run: name.clone(), neurons: Vec::new(), r: Vec::new(), test: Vec::new() };
    let table = match run.fitted() {
        Some(fit) => Some((fit.needs("scores.csv")?, fit, "pearson_r")),
        None if run.record.command == Command::Profile => {
            run.table("best_layers.csv")?.map(|table| (table, run, "nested_r"))
        }
        None => None,
    };
    let Some((table, folder, r)) = table else {
        return Ok(Scores { paired: none(), name, values: BTreeMap::new(), test_fev: Vec::new() });
    };
    let own = |column: &'static str| if column == "pearson_r" { r } else { column };
    let measures = MEASURES.iter().map(|measure| Ok((measure.column, values(&table, own(measure.column))?)));
    let values = measures.collect::<Result<_>>()?;
    let neurons = table.texts("neuron")?.into_iter().map(str::to_string).collect();
    let (split, images) =
        (folder.folder.join("split.csv"), folder.count("n_images").or(run.count("n_images")));
    let test = match images.filter(|_| split.exists()) {
        Some(images) => Split::read(&split, &ImageNames::counted(images))?.test,
        None => Vec::new(),
    };
    let paired = Paired { neurons, r: table.numbers(r)?, test, ..none() };
    let test_fev = sorted(table.numbers_if("test_fev")?.unwrap_or_default());
    Ok(Scores { paired, name, values, test_fev })
}

/// The best and the worst, by median and by mean.
fn sentence(all: &[Scores]) -> Option<String> {
    let ends = |of: fn(&[f64]) -> f64| -> Option<[(&str, f64); 2]> {
        let scored = all.iter().filter(|one| !one.of("pearson_r").is_empty());
        let mut scored: Vec<(&str, f64)> =
            scored.map(|one| (&one.name[..], of(one.of("pearson_r")))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        (scored.len() > 1).then_some([*scored.first()?, *scored.last()?])
    };
    let count = all.iter().filter(|one| !one.of("pearson_r").is_empty()).count();
    let [(best, most), (worst, least)] = ends(median)?;
    let [(by_mean, highest), _] = ends(mean)?;
    let and = match best == by_mean {
        true => format!("and the highest mean r ({})", number(highest)),
        false => format!("and {by_mean} the highest mean r ({})", number(highest)),
    };
    Some(format!(
        "Of {} {best} has the highest median r ({}) {and}; {worst} has the lowest median r ({}).",
        counted(count, "run"),
        number(most),
        number(least)
    ))
}

fn table(runs: &[Run], all: &[Scores], page: &Path) -> Result<Grid> {
    let header = [
        "run",
        "readout",
        "neurons",
        "median r",
        "mean r",
        "r, 5 % to 95 %",
        "median r / ceiling",
        "median R2",
        "median explained variance",
        "median FEVE",
        "median R2 of single trials",
        "median FEV of test images",
        "median FEV of all images",
    ];
    let mut grid = Grid::new("Scores on test images, over neurons", &header);
    for (run, scores) in runs.iter().zip(all) {
        let record = &run.fitted().unwrap_or(run).record;
        let readout = record.summary.get("readout").and_then(serde_json::Value::as_str).unwrap_or("");
        let fev =
            Reliability::read(run)?.filter(|all| !all.of_test).map_or(Vec::new(), |all| sorted(all.fev));
        let said = |value: f64| if value.is_finite() { number(value) } else { String::new() };
        let middle = |column: &str| said(median(scores.of(column)));
        let r = scores.of("pearson_r");
        let ends = [0.05, 0.95].map(|q| number(quantile(r, q)));
        let file = run.folder.join(PAGE);
        let link = address(page, &file).filter(|_| file.is_file());
        let name = Cell { link, ..Cell::from(scores.name.clone()) };
        let rest = [
            readout.to_string(),
            scores.values.values().map(Vec::len).max().unwrap_or(0).to_string(),
            said(median(r)),
            said(mean(r)),
            if r.is_empty() { String::new() } else { ends.join(" to ") },
            middle("normalised_r"),
            middle("r2"),
            middle("explained_variance"),
            middle("feve"),
            middle("single_trial_r2"),
            said(median(&scores.test_fev)),
            said(median(&fev)),
        ];
        grid.row([name].into_iter().chain(rest.map(Cell::from)));
    }
    Ok(grid)
}
