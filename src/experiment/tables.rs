//! Small tables (`.csv`) with a header: neurons and trials.

use std::path::{Path, PathBuf};

use super::Trial;
use crate::error::{Error, Result};

/// A table whose columns are found by name.
pub(super) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// A line of a table; it has as many cells as the header.
pub(super) struct Row {
    pub line: u64,
    pub cells: Vec<String>,
}

impl Table {
    pub fn read(path: &Path) -> Result<Table> {
        let file = crate::io::file::open(path)?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let broken = |why: csv::Error| {
            let found = format!("it is not a table ({why})");
            Error::input(path, found, "lines of as many cells as the first one, separated by commas", "")
        };
        let columns = reader.headers().map_err(broken)?.iter().map(str::to_ascii_lowercase).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push(Row { line, cells: record.iter().map(str::to_string).collect() });
        }
        Ok(Table { path: path.to_path_buf(), columns, rows })
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// A cell; none where the table has no such column.
    pub fn text<'a>(&self, row: &'a Row, name: &str) -> Option<&'a str> {
        self.column(name).map(|column| row.cells[column].as_str())
    }

    /// A number; none where the cell is empty or the column absent.
    pub fn number(&self, row: &Row, name: &str) -> Result<Option<f64>> {
        let Some(text) = self.text(row, name).filter(|text| !text.is_empty()) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) => Ok(Some(number).filter(|n| !n.is_nan())),
            Err(_) => {
                let found = format!("line {} has '{}' for {name}", row.line, text.escape_debug());
                Err(Error::input(&self.path, found, "a number, or nothing where it is unknown", ""))
            }
        }
    }

    /// A whole number below `count`, which must be there.
    pub fn index(&self, row: &Row, name: &str, count: usize) -> Result<usize> {
        let Some(text) = self.text(row, name) else {
            let found = format!("it has no column {name}");
            return Err(Error::input(&self.path, found, "trial,image,repeat,start,running_speed,pupil", ""));
        };
        text.parse().ok().filter(|index| *index < count).ok_or_else(|| {
            let found = format!("line {} has '{}' for {name}", row.line, text.escape_debug());
            Error::input(&self.path, found, format!("a whole number below {count}"), "")
        })
    }
}

/// Trials must be in the order of their time, where it is known.
pub(super) fn go_forward(path: &Path, trials: &[Trial]) -> Result<()> {
    let back = trials.windows(2).position(|pair| pair[1].seconds < pair[0].seconds);
    let Some(at) = back else { return Ok(()) };
    let (before, after) = (trials[at].seconds, trials[at + 1].seconds);
    let found = format!("trial {} begins at {after} s, the one before it at {before} s", at + 1);
    Err(Error::input(path, found, "trials in the order of their time", "Sort the table by start"))
}
