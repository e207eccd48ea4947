//! Labels of neurons: area, layer, or whatever else is known of each.

use std::collections::HashMap;
use std::path::Path;

use super::response_table::broken;
use super::responses::shorten;
use crate::error::{Error, Result};

/// The column that names the neuron.
const NEURON: &str = "neuron";

/// The column of the area, which scores are summarised by.
const AREA: &str = "area";

/// What stands for all neurons together, and can therefore be no area.
pub const ALL: &str = "all";

/// A table of labels, a row for every neuron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Names of the columns, without that of the neuron.
    pub columns: Vec<String>,
    /// (neurons)(columns): empty where a neuron has no such label.
    pub values: Vec<Vec<String>>,
}

impl Labels {
    /// Reads a CSV with a header. A column `neuron` holds names (`names`, those of the responses) or numbers
    /// from 0; without it the rows are the neurons in order. All other columns are labels.
    ///
    /// # Errors
    /// With the line: a neuron that is unknown or named twice, a line of another length, two columns of one
    /// name, an area called `all`; and when a neuron is missing.
    pub fn read(path: &Path, names: Option<&[String]>, neurons: usize) -> Result<Labels> {
        let file = super::file::open(path)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
        let header = reader.headers().map_err(|why| broken(path, why))?.clone();
        let (neuron, kept) = columns(path, &header)?;
        let mut rows: Vec<Option<(u64, Vec<String>)>> = vec![None; neurons];
        let numbers = numbers(names);
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|why| broken(path, why))?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != header.len() {
                let found = format!("line {line} has {} cells", record.len());
                let wanted = format!("{}, as in the first line", header.len());
                return Err(Error::input(
                    path,
                    found,
                    wanted,
                    "Fill up that line; leave unknown labels empty",
                ));
            }
            let number = match neuron {
                Some(column) => find(path, line, &record[column], &numbers, neurons)?,
                None if row < neurons => row,
                None => return Err(too_many(path, line, neurons)),
            };
            let labels = kept.iter().map(|column| record[*column].to_string()).collect();
            if let Some((earlier, _)) = rows[number].replace((line, labels)) {
                let found = format!("line {line} names neuron {number} again, after line {earlier}");
                return Err(Error::input(path, found, "each neuron once", "Delete one of the two lines"));
            }
        }
        if let Some(missing) = rows.iter().position(Option::is_none) {
            let name = names.map_or(String::new(), |names| format!(" ({})", shorten(&names[missing])));
            let found = format!("has no line for neuron {missing}{name}");
            let wanted = format!("a line for each of the {neurons} neurons of the responses");
            return Err(Error::input(
                path,
                found,
                wanted,
                "Add it, with empty labels where nothing is known",
            ));
        }
        let columns = kept.iter().map(|column| header[*column].to_string()).collect();
        let labels =
            Labels { columns, values: rows.into_iter().flatten().map(|(_, labels)| labels).collect() };
        labels.check_areas(path)?;
        Ok(labels)
    }

    fn check_areas(&self, path: &Path) -> Result<()> {
        let Some(neuron) = (0..self.values.len()).find(|n| self.area(*n) == Some(ALL)) else { return Ok(()) };
        let found = format!("neuron {neuron} is of the area '{ALL}', which stands for all neurons together");
        Err(Error::input(path, found, "names of areas", "Leave the area empty, or call it otherwise"))
    }

    /// The area of a neuron, where it has one.
    pub fn area(&self, neuron: usize) -> Option<&str> {
        let column = self.columns.iter().position(|c| c.eq_ignore_ascii_case(AREA))?;
        Some(self.values[neuron][column].as_str()).filter(|area| !area.is_empty())
    }

    /// All areas, in the order in which neurons first have them.
    pub fn areas(&self) -> Vec<String> {
        let mut areas: Vec<String> = Vec::new();
        for area in (0..self.values.len()).filter_map(|neuron| self.area(neuron)) {
            if !areas.iter().any(|known| known == area) {
                areas.push(area.into());
            }
        }
        areas
    }
}

/// The column of the neuron, if there is one, and those of labels.
fn columns(path: &Path, header: &csv::StringRecord) -> Result<(Option<usize>, Vec<usize>)> {
    let neuron = header.iter().position(|name| name.eq_ignore_ascii_case(NEURON));
    let kept: Vec<usize> = (0..header.len()).filter(|column| Some(*column) != neuron).collect();
    if kept.is_empty() {
        let found = "has no column of labels in its first line";
        return Err(Error::input(
            path,
            found,
            "neuron,area or further columns",
            "Add a first line: neuron,area",
        ));
    }
    for (at, name) in header.iter().enumerate() {
        let twice = header.iter().take(at).any(|earlier| earlier.eq_ignore_ascii_case(name));
        if name.is_empty() || twice {
            let found = match twice {
                true => format!("has two columns '{}'", shorten(name)),
                false => format!("has no name for column {}", at + 1),
            };
            return Err(Error::input(
                path,
                found,
                "a name of its own for each column",
                "Correct the first line",
            ));
        }
    }
    Ok((neuron, kept))
}

/// Numbers of named neurons.
fn numbers(names: Option<&[String]>) -> HashMap<&str, usize> {
    let names = names.unwrap_or_default();
    names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect()
}

/// A neuron by its name, or by its number where no neuron is called so.
fn find(path: &Path, line: u64, text: &str, names: &HashMap<&str, usize>, neurons: usize) -> Result<usize> {
    let by_number = || text.parse::<usize>().ok().filter(|number| *number < neurons);
    names.get(text).copied().or_else(by_number).ok_or_else(|| {
        let found = format!("line {line} is of neuron '{}', which the responses do not have", shorten(text));
        let wanted = match names.is_empty() {
            true => format!("a number from 0 to {}", neurons.saturating_sub(1)),
            false => format!("a name of the responses, or a number from 0 to {}", neurons.saturating_sub(1)),
        };
        Error::input(path, found, wanted, "Give the labels that belong to these responses")
    })
}

fn too_many(path: &Path, line: u64, neurons: usize) -> Error {
    let found = format!("line {line} is of one neuron more than the responses have");
    let advice = "Give the labels that belong to these responses, or name the neurons in a column neuron";
    Error::input(path, found, format!("{neurons} lines of labels"), advice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    fn labels(name: &str, text: impl AsRef<[u8]>, names: Option<&[String]>) -> Result<Labels> {
        let path = scratch(&format!("labels-{name}")).join("neurons.csv");
        std::fs::write(&path, text).unwrap();
        Labels::read(&path, names, 3)
    }

    #[test]
    fn neurons_are_found_by_number_name_or_order() {
        let wanted = ["V1", "", "LM"];
        let names = ["b".to_string(), "a".into(), "1".into()];
        let tables = [
            ("number", "neuron,area,depth\n2,LM,1\n0,V1,\n1,,x\n", None),
            ("order", "Area,depth\nV1,\n,x\nLM,1\n", None),
            ("name", "depth,neuron,area\n1,1,LM\nx,a,\n,b,V1\n", Some(&names[..])),
        ];
        for (name, text, names) in tables {
            let found = labels(name, text, names).unwrap();
            let areas: Vec<&str> = (0..3).map(|n| found.area(n).unwrap_or("")).collect();
            assert_eq!(
                (areas, found.areas()),
                (wanted.to_vec(), vec!["V1".to_string(), "LM".into()]),
                "{name}"
            );
            assert!(found.columns.iter().any(|c| c == "depth"));
        }
        assert_eq!(labels("plain", "kind\nx\ny\nz\n", None).unwrap().area(0), None);
    }

    #[test]
    fn wrong_tables_name_the_line() {
        let message = |name: &str, text: &[u8]| labels(name, text, None).unwrap_err().to_string();
        let cases: [(&str, &[u8], &str); 12] = [
            ("twice", b"neuron,area\n0,a\n0,b\n", "line 3 names neuron 0 again, after line 2"),
            ("unknown", b"neuron,area\n7,a\n", "line 2 is of neuron '7', which the responses do not have"),
            ("word", b"neuron,area\nx,a\n", "'x'"),
            ("few", b"neuron,area\n0,a\n1,a\n", "has no line for neuron 2"),
            ("short", b"area\na\nb\n", "no line for neuron 2"),
            ("many", b"area\na\nb\nc\nd\n", "line 5 is of one neuron more"),
            ("ragged", b"neuron,area\n0,a,b\n", "line 2 has 3 cells; wanted 2"),
            ("columns", b"neuron,area,Area\n", "two columns 'Area'"),
            ("nameless", b"neuron,\n", "no name for column 2"),
            ("none", b"neuron\n0\n", "no column of labels"),
            ("all", b"area\nall\nb\nc\n", "stands for all neurons"),
            ("binary", b"area\n\xff\nb\nc\n", "is not text"),
        ];
        for (name, text, said) in cases {
            let found = message(name, text);
            assert!(found.contains(said) && found.contains("neurons.csv"), "{name}: {found}");
        }
        assert!(message("empty", b"").contains("no column of labels"));
    }
}
