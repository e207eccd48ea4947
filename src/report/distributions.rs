//! Distributions of the scores of a fit over neurons.

use super::run::Run;
use super::section::{Figure, Grid, Section};
use super::shapes::histogram;
use super::statistics::{mean, median, quantile, sorted};
use super::table::{AGAIN, Table};
use super::words::{count, counted, number};
use crate::error::{Error, Result};
use crate::scores::LEAST_FEV;

/// Below it an R2 is as bad as any: histograms end there.
pub(super) const LEAST_SHOWN: f64 = -1.0;

/// A score: its column, its name, and where its axis ends at most.
pub(super) struct Measure {
    pub column: &'static str,
    pub name: &'static str,
}

/// The scores that are shown.
pub(super) const MEASURES: [Measure; 6] = [
    Measure { column: "pearson_r", name: "Pearson's r" },
    Measure { column: "normalised_r", name: "normalised r" },
    Measure { column: "r2", name: "R2" },
    Measure { column: "explained_variance", name: "explained variance" },
    Measure { column: "feve", name: "FEVE" },
    Measure { column: "single_trial_r2", name: "R2 of single trials" },
];

/// The section, where the folder has a fit.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
    let table = fit.needs("scores.csv")?;
    if let Some(neurons) = fit.count("n_neurons") {
        table.expect_rows(neurons, "neurons")?;
    }
    let title = if std::ptr::eq(fit, run) { "Scores" } else { "Scores of the best configuration" };
    let mut section = Section::new("scores", title);
    let mut grid = Grid::new(
        "Scores on test images, over neurons",
        &["score", "neurons", "5 %", "median", "mean", "95 %"],
    );
    for measure in &MEASURES {
        let values = values(&table, measure.column)?;
        if values.is_empty() {
            continue;
        }
        let numbers = [quantile(&values, 0.05), median(&values), mean(&values), quantile(&values, 0.95)];
        let cells = [measure.name.to_string(), count(values.len())];
        grid.row(cells.into_iter().chain(numbers.map(number)));
        section.figures.push(figure(measure, &values)?);
    }
    if section.figures.is_empty() {
        if table.texts("constant")?.iter().all(|constant| *constant == "true") {
            section.say("Responses or predictions are the same for all test images: no neuron has a score.");
            return Ok(Some(section));
        }
        let found = "holds no score of any neuron";
        return Err(Error::input(table.path(), found, "at least one number", AGAIN));
    }
    section.findings.extend(sentences(fit, &table)?);
    section.grids.push(grid);
    Ok(Some(section))
}

/// Scores that are shares of what can be explained.
const SHARES: [&str; 2] = ["feve", "normalised_r"];

/// The numbers of a score, ascending; of FEVE and normalised r those of neurons with enough explainable
/// variance, as in the summary of a fit.
pub(super) fn values(table: &Table, column: &str) -> Result<Vec<f64>> {
    let mut values = table.numbers_if(column)?.unwrap_or_default();
    if let (true, Some(fev)) = (SHARES.contains(&column), table.numbers_if("test_fev")?) {
        for (value, fev) in values.iter_mut().zip(fev) {
            *value = value.filter(|_| fev.is_some_and(|fev| fev >= LEAST_FEV));
        }
    }
    Ok(sorted(values))
}

fn sentences(fit: &Run, table: &Table) -> Result<Vec<String>> {
    let r = table.numbers("pearson_r")?;
    let values = sorted(r.iter().copied());
    let mut said = Vec::new();
    if values.is_empty() {
        said.push("No neuron has a correlation: predictions are the same for all test images.".to_string());
        return Ok(said);
    }
    let images = fit.count("n_test").map_or(String::new(), |n| format!(" on {}", counted(n, "test image")));
    let negative = values.iter().filter(|v| **v < 0.0).count();
    said.push(format!(
        "The median neuron's responses are predicted with r = {}{images} (5th to 95th percentile {} to {}); \
         {} of {} are below 0.",
        number(median(&values)),
        number(quantile(&values, 0.05)),
        number(quantile(&values, 0.95)),
        count(negative),
        count(values.len())
    ));
    if let Some(low) = table.numbers_if("pearson_r_low")? {
        let sure = low.iter().flatten().filter(|low| **low > 0.0).count();
        said.push(format!(
            "For {} of {} the 95\u{a0}% interval of r, over test images, lies above 0.",
            count(sure),
            counted(values.len(), "neuron")
        ));
    }
    let missing = r.len() - values.len();
    if missing > 0 {
        said.push(format!(
            "{} without a correlation: constant responses or predictions.",
            counted(missing, "neuron")
        ));
    }
    Ok(said)
}

fn figure(measure: &Measure, values: &[f64]) -> Result<Figure> {
    let (plot, sheet, histogram) = histogram(measure.name, values, LEAST_SHOWN, 1.5);
    let below = match histogram.below {
        0 => String::new(),
        n => format!(" {} below \u{2212}1 stand in the first bar.", counted(n, "neuron")),
    };
    let only = match measure.column {
        "normalised_r" => format!(
            " r over the noise ceiling, of neurons whose test images have an FEV of at least {LEAST_FEV} \
             only."
        ),
        "feve" => {
            format!(" Neurons whose test images have an FEV of at least {LEAST_FEV} only.")
        }
        _ => String::new(),
    };
    let description = format!(
        "Histogram over {}; the dashed line is the median, {}.{below}{only}",
        counted(values.len(), "neuron"),
        number(median(values))
    );
    let mut title = measure.name.to_string();
    title[..1].make_ascii_uppercase();
    Figure::new(measure.column, title, description, plot, sheet)
}
