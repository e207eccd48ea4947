//! Tables: a split, responses, or any other.

use std::path::Path;

use serde_json::json;
use striate::io::image_names::ImageNames;
use striate::io::labels::Labels;
use striate::io::responses::Responses;
use striate::io::split::Split;
use striate::io::table::Table;
use striate::{Error, Result};

use super::{Findings, arrays};

/// Names of columns that the text shows.
const SHOWN: usize = 20;

/// What a first reading of a table tells.
struct Survey {
    columns: Vec<String>,
    rows: usize,
    /// The column `image`.
    images: Vec<String>,
    /// The column `neuron`.
    neurons: Vec<String>,
}

/// Describes a table.
pub fn look(path: &Path) -> Result<Findings> {
    let survey = survey(path)?;
    let has = |name: &str| survey.columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    if has("image") && has("tier") {
        return split(path, &survey);
    }
    if has("area") && survey.rows > 0 {
        return labels(path, &survey);
    }
    match Responses::read(path, None, None, None) {
        Ok(responses) => {
            let mut findings = Findings::new("responses", json!({}));
            findings.document["responses"] = arrays::describe_responses(&responses, &mut findings);
            findings.usable(super::RESPONSES);
            Ok(findings)
        }
        Err(why) if survey.rows == 0 => Err(why),
        Err(why) => Ok(other(&survey, &why)),
    }
}

impl Survey {
    /// The images that a split names: its own, where there are names, else at most `most` by number.
    fn images(&self, most: usize) -> ImageNames {
        let numbers = self.images.iter().map(|image| image.parse::<f64>().ok()).collect::<Option<Vec<_>>>();
        match numbers {
            Some(numbers) => {
                let last = numbers.into_iter().fold(0.0, f64::max);
                ImageNames::counted((last as usize).saturating_add(1).min(most))
            }
            None => ImageNames::named(self.images.clone()),
        }
    }
}

fn survey(path: &Path) -> Result<Survey> {
    let table = Table::read(path)?;
    let column = |name: &str| {
        let column = table.column(name)?;
        Some((1..table.rows()).map(|row| table.text(row, column).to_string()).collect())
    };
    Ok(Survey {
        columns: (0..table.width()).map(|column| table.text(0, column).to_string()).collect(),
        rows: table.rows() - 1,
        images: column("image").unwrap_or_default(),
        neurons: column("neuron").unwrap_or_default(),
    })
}

fn split(path: &Path, survey: &Survey) -> Result<Findings> {
    let length = std::fs::metadata(path).map_err(|why| Error::unreadable(path, &why))?.len();
    // A number in the file must not decide how much memory is taken.
    let images = survey.images(usize::try_from(length).unwrap_or(usize::MAX));
    let split = Split::read(path, &images)?;
    let [train, validation, test] = [&split.train, &split.validation, &split.test].map(Vec::len);
    let last = images.count() - 1;
    let mut findings = Findings::new(
        "split",
        json!({"train": train, "validation": validation, "test": test, "skipped": split.unused,
            "last_image": last}),
    );
    findings.usable("split: --split of fit, sweep and profile");
    findings.row("train", format!("{train} images"));
    findings.row("validation", format!("{validation} images"));
    findings.row("test", format!("{test} images"));
    if split.unused > 0 {
        findings.row("skipped", format!("{} images up to image {last}", split.unused));
    }
    Ok(findings)
}

fn labels(path: &Path, survey: &Survey) -> Result<Findings> {
    let names = (survey.neurons.len() == survey.rows).then_some(survey.neurons.as_slice());
    let labels = Labels::read(path, names, survey.rows)?;
    let count = |area: &String| (0..survey.rows).filter(|n| labels.area(*n) == Some(area)).count();
    let areas: Vec<(String, usize)> =
        labels.areas().into_iter().map(|area| (area.clone(), count(&area))).collect();
    let document = json!({"neurons": survey.rows, "columns": labels.columns, "areas": areas});
    let mut findings = Findings::new("labels", document);
    findings.usable("labels of neurons: --labels of profile");
    findings.row("neurons", survey.rows.to_string());
    let areas = areas.iter().map(|(area, count)| format!("{} {count}", area.escape_debug()));
    findings.row("areas", areas.take(SHOWN).collect::<Vec<_>>().join(", "));
    findings.row("columns", labels.columns.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "));
    Ok(findings)
}

fn other(survey: &Survey, why: &Error) -> Findings {
    let reason = why.parts()[1].1;
    let document = json!({"columns": survey.columns, "rows": survey.rows, "no_responses_because": reason});
    let mut findings = Findings::new("table", document);
    let mut names: Vec<String> =
        survey.columns.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
    if survey.columns.len() > SHOWN {
        names.push(format!("and {} more", survey.columns.len() - SHOWN));
    }
    findings.row("columns", names.join(", "));
    findings.row("rows", survey.rows.to_string());
    findings.row("no responses", reason);
    findings
}
