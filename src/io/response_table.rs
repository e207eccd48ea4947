//! A table of numbers with optional names of its rows and columns.

use std::path::Path;

use csv::StringRecord;
use ndarray::Array2;

use super::responses::shorten;
use crate::error::{Error, Result};

/// From this many columns on, a first row 0, 1, 2, ... without a label is a header and not a row of values.
const COUNTING_COLUMNS: usize = 8;

/// A table of numbers.
#[derive(Debug)]
pub(super) struct Table {
    /// (rows, columns); NaN where a cell is empty, `NaN` or `NA`.
    pub values: Array2<f64>,
    /// The first column, when it holds names.
    pub row_names: Option<Vec<String>>,
    /// The first row, when it is a header.
    pub column_names: Option<Vec<String>>,
}

/// A table as it stands in the file, before it is known what its first row and first column are.
#[derive(Default)]
struct Raw {
    first: StringRecord,
    /// Values of the later rows, without their first cells.
    values: Vec<f64>,
    /// First cells of the later rows, end to end: a `String` each would cost many times the file.
    corner: String,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// The line each of these rows starts in.
    lines: Vec<u64>,
}

impl Raw {
    fn read(path: &Path) -> Result<Raw> {
        let file = super::file::open(path)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
        let mut raw = Raw::default();
        if !reader.read_record(&mut raw.first).map_err(|why| broken(path, why))? {
            let advice = "Check how the file was written";
            return Err(Error::input(path, "is empty", "a row for each neuron", advice));
        }
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(|why| broken(path, why))? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != raw.first.len() {
                let found = format!("line {line} has {} cells", record.len());
                let wanted = format!("{}, as in the first line", raw.first.len());
                let advice = "Fill up that line; write NaN where there is no number";
                return Err(Error::input(path, found, wanted, advice));
            }
            raw.corner.push_str(record.get(0).unwrap_or("").trim());
            raw.ends.push(raw.corner.len());
            raw.lines.push(line);
            for (column, cell) in record.iter().enumerate().skip(1) {
                raw.values.push(number(cell).ok_or_else(|| no_number(path, line, column, cell))?);
            }
        }
        Ok(raw)
    }

    /// The first cells of the later rows.
    fn corners(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.corner[start..end])
    }
}

/// Reads a table. `columns`, the number of columns of values, decides where it is known whether the first
/// column holds names; else it does when one of them is no number, or when the header's first cell is empty
/// or `neuron`.
pub(super) fn read(path: &Path, columns: Option<usize>) -> Result<Table> {
    let raw = Raw::read(path)?;
    let width = raw.first.len();
    let named = match columns {
        Some(columns) if columns == width => false,
        Some(columns) if columns.checked_add(1) == Some(width) => true,
        _ => {
            let corner = raw.first.get(0).unwrap_or("").trim();
            is_label(corner) || raw.corners().any(|cell| number(cell).is_none())
        }
    };
    let skip = usize::from(named);
    let is_header = has_header(&raw.first, skip);
    let rows = raw.ends.len() + usize::from(!is_header);
    if rows == 0 || width == skip {
        let found = format!("has {rows} rows and {} columns of values", width - skip);
        return Err(Error::input(path, found, "at least one of each", "Check how the file was written"));
    }
    let mut values = Vec::with_capacity(rows * (width - skip));
    if !is_header {
        values.extend(raw.first.iter().skip(skip).filter_map(number));
    }
    let mut inner = raw.values.iter();
    for (corner, &line) in raw.corners().zip(&raw.lines) {
        if !named {
            values.push(number(corner).ok_or_else(|| no_number(path, line, 0, corner))?);
        }
        values.extend(inner.by_ref().take(width - 1));
    }
    let values = Array2::from_shape_vec((rows, width - skip), values);
    let text = |cell: &str| cell.trim().to_string();
    let names = || {
        let first = raw.first.get(0).filter(|_| !is_header);
        first.into_iter().chain(raw.corners()).map(text).collect()
    };
    Ok(Table {
        values: values.map_err(|why| Error::internal(path.display(), why))?,
        row_names: named.then(names),
        column_names: is_header.then(|| raw.first.iter().skip(skip).map(text).collect()),
    })
}

fn no_number(path: &Path, line: u64, column: usize, cell: &str) -> Error {
    let found = format!("line {line}, column {}: '{}'", column + 1, shorten(cell));
    Error::input(path, found, "a number", "Use commas between cells and decimal points")
}

/// An error of the CSV reader in our words.
pub(super) fn broken(path: &Path, why: csv::Error) -> Error {
    let line = why.position().map_or(0, csv::Position::line);
    match why.into_kind() {
        csv::ErrorKind::Io(why) => Error::unreadable(path, &why),
        csv::ErrorKind::Utf8 { .. } => {
            let advice = "Save the table as UTF-8 text";
            Error::input(path, format!("line {line} is not text"), "a CSV table", advice)
        }
        other => {
            let found = format!("line {line} cannot be read: {other:?}");
            Error::input(path, found, "a CSV table", "Save the table as CSV again")
        }
    }
}

/// Whether the first row names the columns: a cell is no number, or the cells count up from 0 or 1.
fn has_header(first: &StringRecord, skip: usize) -> bool {
    let cells: Vec<Option<f64>> = first.iter().skip(skip).map(number).collect();
    if cells.iter().any(Option::is_none) {
        return true;
    }
    let labelled = skip == 1 && is_label(first.get(0).unwrap_or("").trim());
    let counts_from = |start: usize| {
        cells.iter().enumerate().all(|(at, cell)| cell.is_some_and(|cell| cell == (start + at) as f64))
    };
    labelled || cells.len() >= COUNTING_COLUMNS && (counts_from(0) || counts_from(1))
}

fn is_label(corner: &str) -> bool {
    ["", "neuron", "neurons", "image", "images", "name", "id"].iter().any(|w| corner.eq_ignore_ascii_case(w))
}

/// A cell as a number; NaN for an empty one and for `NA`.
fn number(cell: &str) -> Option<f64> {
    match cell.trim() {
        "" | "NA" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    fn table(name: &str, text: &[u8], columns: Option<usize>) -> Result<Table> {
        let path = scratch(&format!("table-{name}")).join("table.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, columns)
    }

    #[test]
    fn headers_and_names_are_found() {
        let plain = table("plain", b"1,2\n3,4\n", None).unwrap();
        assert_eq!((plain.values.dim(), plain.row_names, plain.column_names), ((2, 2), None, None));
        let full = table("full", b"\xef\xbb\xbfneuron,0,1\n7,1,2\r\n8,3,4e1", None).unwrap();
        assert_eq!((full.values.dim(), full.values[[1, 1]]), ((2, 2), 40.0));
        assert_eq!(full.row_names, Some(vec!["7".to_string(), "8".to_string()]));
        assert_eq!(full.column_names, Some(vec!["0".to_string(), "1".to_string()]));
        let named = table("named", b"a,1,2\nb,3,4\n", None).unwrap();
        assert_eq!((named.values.dim(), named.column_names), ((2, 2), None));
        let header = table("header", b"x.png,y.png\n1,2\n", Some(2)).unwrap();
        assert_eq!((header.values.dim(), header.row_names), ((1, 2), None));
        let numbered = table("numbered", b"5,1,2\n6,3,4\n", Some(2)).unwrap();
        assert_eq!((numbered.values[[0, 0]], numbered.row_names.unwrap().len()), (1.0, 2));
        let counting = table("counting", b"1,2,3,4,5,6,7,8\n0,0,0,0,0,0,0,0\n", None).unwrap();
        assert_eq!(counting.values.dim(), (1, 8));
        assert_eq!(table("short", b"1,2,3\n0,0,0\n", None).unwrap().values.dim(), (2, 3));
        assert!(table("gaps", b"1,,NA\n1,nan,2\n", None).unwrap().values[[0, 2]].is_nan());
    }

    #[test]
    fn damaged_tables_name_the_line() {
        let message = |name: &str, text: &[u8]| table(name, text, None).unwrap_err().to_string();
        assert!(message("ragged", b"1,2\n3,4\n5\n").contains("line 3 has 1 cells; wanted 2"));
        assert!(message("word", b"1,2\n3,x\n").contains("line 2, column 2: 'x'; wanted a number"));
        assert!(message("binary", b"1,2\n3,\xff\n").contains("line 2 is not text"));
        assert!(message("empty", b"").contains("is empty"));
        assert!(message("header-only", b"a.png,b.png\n").contains("has 0 rows"));
    }
}
