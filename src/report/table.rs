//! A CSV table of a run folder, its columns by name.

use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::error::{Error, Result};
use crate::io::table::{self, unguarded};

/// What to do about a file that a run did not leave whole.
pub(super) const AGAIN: &str = "The folder is damaged or a copy of it was cut short: copy it or run again";

/// A table, read whole.
pub(super) struct Table {
    path: PathBuf,
    header: StringRecord,
    rows: Vec<StringRecord>,
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// A file that cannot be read, and a row with another number of fields than the first line, by its line.
    pub(super) fn read(path: &Path) -> Result<Table> {
        let file = crate::io::file::open(path)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let damaged = |why: csv::Error| {
            Error::input(path, format!("is no table ({why})"), "a table that Striate wrote", AGAIN)
        };
        let header = reader.headers().map_err(damaged)?.clone();
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(damaged)?;
            if row.len() != header.len() {
                let line = row.position().map_or(0, csv::Position::line);
                let found = format!("line {line} has {} fields", row.len());
                return Err(Error::input(path, found, format!("{}, as the first line", header.len()), AGAIN));
            }
            rows.push(row);
        }
        Ok(Table { path: path.into(), header, rows })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Names of the columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.header.iter()
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    fn needed(&self, name: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let found = format!("has no column '{name}' in its first line");
            Error::input(&self.path, found, "the columns that Striate writes", AGAIN)
        })
    }

    /// A column as text.
    ///
    /// # Errors
    /// Where there is no such column.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let at = self.needed(name)?;
        Ok(self.rows.iter().map(|row| unguarded(row.get(at).unwrap_or(""))).collect())
    }

    /// A column of numbers; none where a field is empty or not finite.
    ///
    /// # Errors
    /// Where there is no such column, or a field is no number, by its line.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let at = self.needed(name)?;
        let number = |row: &StringRecord| {
            let text = row.get(at).unwrap_or("").trim();
            if text.is_empty() {
                return Ok(None);
            }
            let parsed = text.parse::<f64>().map_err(|_| {
                let line = row.position().map_or(0, csv::Position::line);
                let short: String = text.chars().take(40).collect();
                let found = format!("line {line}: '{}' in column '{name}'", short.escape_debug());
                Error::input(&self.path, found, "a number", AGAIN)
            })?;
            Ok(Some(parsed).filter(|v| v.is_finite()))
        };
        self.rows.iter().map(number).collect()
    }

    /// [`Table::numbers`] of a column that need not be there.
    ///
    /// # Errors
    /// Where a field is no number.
    pub(super) fn numbers_if(&self, name: &str) -> Result<Option<Vec<Option<f64>>>> {
        self.column(name).map(|_| self.numbers(name)).transpose()
    }

    /// Refuses a table with another number of rows.
    pub(super) fn expect_rows(&self, wanted: usize, what: &str) -> Result<()> {
        if self.len() == wanted {
            return Ok(());
        }
        let found = format!("has {} rows", self.len());
        Err(Error::input(&self.path, found, format!("{wanted}, one for each of the {what}"), AGAIN))
    }
}

/// Writes a table: numbers as short as they can be read back.
pub(super) struct Sheet(Vec<Vec<String>>);

impl Sheet {
    /// A table with these columns.
    pub(super) fn new(header: &[&str]) -> Sheet {
        Sheet(vec![header.iter().map(|name| (*name).to_string()).collect()])
    }

    /// Adds a row.
    pub(super) fn row(&mut self, fields: impl IntoIterator<Item = String>) {
        self.0.push(fields.into_iter().collect());
    }

    /// The file.
    ///
    /// # Errors
    /// Internal, where a row has another number of fields than the header.
    pub(super) fn bytes(mut self) -> Result<Vec<u8>> {
        let header = self.0.remove(0);
        table::write("the numbers of a plot", &header, self.0.into_iter())
    }
}

/// A number as a field of a table: six significant digits, empty for none.
pub(super) fn field(value: impl Into<Option<f64>>) -> String {
    match value.into().filter(|v| v.is_finite()) {
        None => String::new(),
        Some(0.0) => "0".into(),
        Some(v) if !(1e-4..1e9).contains(&v.abs()) => format!("{v:.5e}"),
        Some(v) => format!("{v:.6}"),
    }
}
