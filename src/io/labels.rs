//! Labels of neurons: area, layer, or whatever else is known of each.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::responses::shorten;
use super::table::{Table, counted_from, shown, whole};
use crate::error::{Error, Result};

/// The column that names the neuron.
const NEURON: &str = "neuron";

/// What columns that number neurons are called too: letters and digits alone.
const IDS: [&str; 12] = [
    "neuronid",
    "neuronindex",
    "neuronnumber",
    "neurons",
    "cell",
    "cellid",
    "cellindex",
    "cellnumber",
    "unit",
    "unitid",
    "roi",
    "roiid",
];

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
    /// Reads a table with a header. A column `neuron` holds names (`names`, those of the responses) or numbers from
    /// 0, or all numbers from 1; without it a column of indices without a name, as pandas writes it, or one, kept as
    /// a label too, of the neurons' names, or of such numbers and called as `cell_id`; or else the rows are the
    /// neurons in order. All other columns are labels.
    ///
    /// # Errors
    /// With the line: a neuron that is unknown or named twice, a line of another length, two columns of one
    /// name, an area called `all`; and when a neuron is missing.
    pub fn read(path: &Path, names: Option<&[String]>, neurons: usize) -> Result<Labels> {
        let table = Table::read(path)?;
        let kept = columns(&table)?;
        let column = neuron_column(&table).or_else(|| telling(&table, names.unwrap_or_default()));
        let numbers = numbers(&table, column, names, neurons)?;
        let mut rows: Vec<Option<u32>> = vec![None; neurons];
        let mut values = vec![Vec::new(); neurons];
        for (row, number) in (1..).zip(numbers) {
            values[number] = kept.iter().map(|column| table.text(row, *column).to_string()).collect();
            if let Some(earlier) = rows[number].replace(table.line(row)) {
                let line = table.line(row);
                let found = format!("line {line} names neuron {number} again, after line {earlier}");
                return Err(Error::input(path, found, "each neuron once", "Delete one of the two lines"));
            }
        }
        if let Some(missing) = rows.iter().position(Option::is_none) {
            let name = names.map_or(String::new(), |names| format!(" ({})", shorten(&names[missing])));
            let found = format!("has no line for neuron {missing}{name}");
            let wanted = format!("a line for each of the {neurons} neurons of the responses");
            let advice = "Add it, with empty labels where nothing is known";
            return Err(Error::input(path, found, wanted, advice));
        }
        let columns = kept.iter().map(|column| table.text(0, *column).to_string()).collect();
        let labels = Labels { columns, values };
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

/// Whether a column is the index that pandas writes.
fn is_index(name: &str) -> bool {
    name.is_empty() || name.to_ascii_lowercase().starts_with("unnamed: ")
}

/// The column that tells the neuron, if there is one: `neuron`, or the index that pandas writes.
pub(crate) fn neuron_column(table: &Table) -> Option<usize> {
    table.column(NEURON).or_else(|| index(table))
}

fn index(table: &Table) -> Option<usize> {
    (0..table.width()).find(|column| {
        let numbers: Option<Vec<usize>> =
            (1..table.rows()).map(|row| whole(table.cell(row, *column))).collect();
        is_index(table.cell(0, *column)) && numbers.is_some_and(|numbers| counted_from(&numbers).is_some())
    })
}

/// A column that tells neurons though it is not called `neuron`.
fn telling(table: &Table, names: &[String]) -> Option<usize> {
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    (0..table.width()).find(|column| {
        let called: String = table.cell(0, *column).chars().filter(|c| c.is_alphanumeric()).collect();
        let cells = || (1..table.rows()).map(|row| table.text(row, *column));
        let numbers: Option<Vec<usize>> = cells().map(whole).collect();
        match numbers {
            Some(numbers) if IDS.contains(&called.to_lowercase().as_str()) => {
                counted_from(&numbers).is_some() || cells().all(|cell| known.contains(cell))
            }
            Some(_) => false,
            None => cells().all(|cell| known.contains(cell)),
        }
    })
}

/// The columns of labels.
fn columns(table: &Table) -> Result<Vec<usize>> {
    let path = table.path();
    let (named, index) = (table.column(NEURON), index(table));
    let kept: Vec<usize> = (0..table.width()).filter(|c| Some(*c) != named && Some(*c) != index).collect();
    if kept.is_empty() {
        let found = "has no column of labels in its first line";
        let advice = "Add a first line: neuron,area";
        return Err(Error::input(path, found, "neuron,area or further columns", advice));
    }
    let refused = |found: String| {
        let advice = "Correct the first line";
        Err(Error::input(path, found, "a name of its own for each column", advice))
    };
    for column in &kept {
        let name = table.cell(0, *column);
        if name.is_empty() {
            return refused(format!("has no name for column {}", column + 1));
        }
        if kept.iter().any(|other| other < column && table.cell(0, *other).eq_ignore_ascii_case(name)) {
            return refused(format!("has two columns '{}'", shorten(name)));
        }
    }
    Ok(kept)
}

/// The neuron of each row: by name if all rows are names of neurons, else by number.
pub(crate) fn numbers(
    table: &Table,
    column: Option<usize>,
    names: Option<&[String]>,
    neurons: usize,
) -> Result<Vec<usize>> {
    let rows = table.rows() - 1;
    let Some(column) = column else {
        if rows > neurons {
            let advice =
                "Give the labels that belong to these responses, or name the neurons in a column neuron";
            let found =
                format!("line {} is of one neuron more than the responses have", table.line(neurons + 1));
            return Err(Error::input(table.path(), found, format!("{neurons} lines of labels"), advice));
        }
        return Ok((0..rows).collect());
    };
    let cells = || (1..=rows).map(|row| table.text(row, column));
    let places = names.unwrap_or_default().iter().enumerate();
    let places: HashMap<&str, usize> = places.map(|(number, name)| (name.as_str(), number)).collect();
    let named: Option<Vec<usize>> = cells().map(|cell| places.get(cell).copied()).collect();
    if let Some(named) = named {
        return Ok(named);
    }
    let numbers: Vec<Option<usize>> = cells().map(whole).collect();
    let all: Option<Vec<usize>> = numbers.iter().copied().collect();
    if let Some(all) = all.filter(|all| all.len() == neurons && counted_from(all) == Some(1)) {
        return Ok(all.into_iter().map(|number| number - 1).collect());
    }
    let known = |at: usize| numbers[at].filter(|number| *number < neurons);
    (0..rows)
        .map(|at| {
            known(at).ok_or_else(|| {
                let cell = shown(table.text(at + 1, column));
                let last = neurons.saturating_sub(1);
                let (found, wanted) = match places.is_empty() {
                    true => (format!("neuron {cell}"), format!("a number from 0 to {last}")),
                    false => (
                        format!("neuron {cell}"),
                        format!("names of the responses throughout, or numbers from 0 to {last} throughout"),
                    ),
                };
                let found =
                    format!("line {} is of {found}, which the responses do not have", table.line(at + 1));
                let advice = "Give the labels that belong to these responses";
                Error::input(table.path(), found, wanted, advice)
            })
        })
        .collect()
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
            ("named otherwise", "depth,of,area\n1,1,LM\nx,a,\n,b,V1\n", Some(&names[..])),
            ("numbered otherwise", "cell_id,area,depth\n2,LM,1\n0,V1,\n1,,x\n", None),
            ("from 1", "Unit,area,depth\n3,LM,1\n1,V1,\n2,,x\n", None),
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
            ("ragged", b"neuron,area\n0,a,b\n", "line 2 is of neuron 'a'"),
            ("columns", b"neuron,area,Area\n", "two columns 'Area'"),
            ("nameless", b"neuron,,area\n0,a,V1\n", "no name for column 2"),
            ("none", b"neuron\n0\n", "no column of labels"),
            ("all", b"area\nall\nb\nc\n", "stands for all neurons"),
            ("binary", b"area\n\xff\nb\nc\n", "is not UTF-8 text"),
        ];
        for (name, text, said) in cases {
            let found = message(name, text);
            assert!(found.contains(said) && found.contains("neurons.csv"), "{name}: {found}");
        }
        assert!(message("empty", b"").contains("is empty"));
    }
}
