//! A table of responses: numbers, with optional names of its rows and columns.
//!
//! Whether the first line and the first column are headers is told from what stands in them, by one rule. They are
//! - if they hold a word; or if the cell in the corner is empty or names an index (`image`, `Unnamed: 0`, ...);
//! - if they hold three distinct whole numbers or more, and the values beside them are not all whole, or there is
//!   one line or column more than images; or if they count 0, 1, 2, ... or 1, 2, 3, ... over eight cells or more.
//!
//! Other distinct whole numbers beside whole numbers, as spike counts are, may be either: the table is refused.

use std::collections::HashSet;
use std::path::Path;

use ndarray::Array2;
use serde::Serialize;

use super::table::{Decimals, Table, counted_from, shown, whole};
use crate::error::{Error, Result};

/// From this many cells on, whole numbers are not distinct or counting by chance.
const SURE: usize = 8;

/// Fewer are distinct by chance.
const FEW: usize = 3;

/// What the corner of a table is called above an index: letters and digits alone.
const INDICES: [&str; 35] = [
    "",
    "image",
    "images",
    "imageid",
    "imageindex",
    "imagenumber",
    "imagename",
    "img",
    "imgid",
    "stimulus",
    "stimuli",
    "stimulusid",
    "stim",
    "stimid",
    "picture",
    "frame",
    "frames",
    "trial",
    "trials",
    "index",
    "idx",
    "id",
    "name",
    "names",
    "file",
    "filename",
    "neuron",
    "neurons",
    "neuronid",
    "cell",
    "cellid",
    "unit",
    "unitid",
    "roi",
    "row",
];

/// Indices that count something else than images.
const TIMES: [&str; 4] = ["frame", "frames", "trial", "trials"];

/// Which edges of a table are headers, where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Headers {
    /// All cells are values.
    None,
    /// The first line.
    Row,
    /// The first column.
    Column,
    /// Both.
    Both,
}

impl Headers {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Headers); 4] = [
        ("none", Headers::None),
        ("row", Headers::Row),
        ("column", Headers::Column),
        ("both", Headers::Both),
    ];
}

/// A table of numbers.
#[derive(Debug)]
pub(super) struct ResponseTable {
    /// (rows, columns); NaN where a cell is empty, `NaN` or `NA`.
    pub values: Array2<f64>,
    /// The first column, when it holds names.
    pub row_names: Option<Vec<String>>,
    /// The first row, when it is a header.
    pub column_names: Option<Vec<String>>,
    /// Whether the first column counts frames or trials.
    pub of_times: bool,
}

/// The first row or the first column, without the corner.
struct Edge<'a> {
    what: &'static str,
    cells: Vec<&'a str>,
    /// Rows or columns of the table, and how many values are wanted along them.
    length: usize,
    wanted: Option<usize>,
}

/// What stands beside the edges.
#[derive(Clone, Copy)]
struct Inside {
    /// Whether all values are whole.
    whole: bool,
    /// Whether the corner says that both edges are headers.
    labelled: bool,
}

/// Reads a table. `wanted` are numbers of rows and of columns of values, where they are known.
pub(super) fn read(
    path: &Path,
    headers: Option<Headers>,
    wanted: [Option<usize>; 2],
) -> Result<ResponseTable> {
    let table = Table::read(path)?;
    let (rows, width) = (table.rows(), table.width());
    let everywhere = (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
    let decimals = Decimals::of(&table, everywhere)?;
    let corner: String = table.cell(0, 0).chars().filter(|c| c.is_alphanumeric()).collect();
    let corner = corner.to_lowercase();
    let labelled = INDICES.contains(&corner.as_str()) || corner.starts_with("unnamed");
    let [row, column] = match headers {
        Some(said) => [Headers::Row, Headers::Column].map(|edge| said == edge || said == Headers::Both),
        None => {
            // Values are all whole, to the right of the first column or with it.
            let whole = |left: usize| {
                let cells = (1..rows).flat_map(|row| (left..width).map(move |column| (row, column)));
                let mut numbers = cells.map(|(row, column)| decimals.number(table.cell(row, column)));
                numbers.all(|number| number.is_some_and(|v| v.is_nan() || v.fract() == 0.0))
            };
            let cells = (1..rows).map(|row| table.cell(row, 0)).collect();
            let first = Edge { what: "the first column", cells, length: width, wanted: wanted[1] };
            // A table of one line has a name there if it is the only word.
            let words = |left: usize| (left..width).any(|c| decimals.number(table.cell(0, c)).is_none());
            let named = rows == 1 && width > 1 && words(0) && !words(1);
            let inside = Inside { whole: whole(1), labelled };
            let column = named || is_header(&table, &first, inside, decimals)?;
            let left = usize::from(column);
            let cells = (left..width).map(|column| table.cell(0, column)).collect();
            let first = Edge { what: "the first line", cells, length: rows, wanted: wanted[0] };
            let inside = Inside { whole: whole(left), labelled };
            [is_header(&table, &first, inside, decimals)?, column]
        }
    };
    values(&table, [usize::from(row), usize::from(column)], decimals, &corner)
}

fn values(table: &Table, skip: [usize; 2], decimals: Decimals, corner: &str) -> Result<ResponseTable> {
    let (rows, width) = (table.rows(), table.width());
    let [first, left] = skip;
    if rows == first || width == left {
        let found = format!("has {} rows and {} columns of values", rows - first, width - left);
        return Err(Error::input(
            table.path(),
            found,
            "at least one of each",
            "Check how the file was written",
        ));
    }
    let mut values = Vec::with_capacity((rows - first) * (width - left));
    for row in first..rows {
        for column in left..width {
            let cell = table.cell(row, column);
            values.push(decimals.number(cell).ok_or_else(|| {
                let found = format!("line {}, column {}: {}", table.line(row), column + 1, shown(cell));
                let advice = "Correct that cell; leave it empty where there is no value";
                Error::input(table.path(), found, "a number", advice)
            })?);
        }
    }
    let values = Array2::from_shape_vec((rows - first, width - left), values);
    let name = |row: usize, column: usize| table.text(row, column).to_string();
    Ok(ResponseTable {
        values: values.map_err(|why| Error::internal(table.path().display(), why))?,
        row_names: (left == 1).then(|| (first..rows).map(|row| name(row, 0)).collect()),
        column_names: (first == 1).then(|| (left..width).map(|column| name(0, column)).collect()),
        of_times: left == 1 && first == 1 && TIMES.contains(&corner),
    })
}

/// Whether an edge is a header.
fn is_header(table: &Table, edge: &Edge<'_>, inside: Inside, decimals: Decimals) -> Result<bool> {
    let words = edge.cells.iter().any(|cell| decimals.number(cell).is_none());
    // What is left without it has no values.
    if edge.length < 2 || words {
        return Ok(words);
    }
    if inside.labelled {
        return Ok(true);
    }
    let numbers: Option<Vec<usize>> = edge.cells.iter().map(|cell| whole(cell)).collect();
    let distinct = |numbers: &Vec<usize>| numbers.iter().collect::<HashSet<_>>().len() == numbers.len();
    let Some(numbers) = numbers.filter(distinct) else { return Ok(false) };
    let sure = numbers.len() >= SURE;
    let counting = sure && numbers.is_sorted() && counted_from(&numbers).is_some();
    // One more than wanted is a header, as many as wanted are values; what fits neither says nothing.
    let counted = edge.wanted.and_then(|wanted| match edge.length.checked_sub(wanted) {
        Some(more @ (0 | 1)) => Some(more == 1),
        _ => None,
    });
    match (counted, inside.whole) {
        (Some(true), _) => Ok(true),
        (None, _) if numbers.len() < FEW => Ok(false),
        (None, false) => Ok(true),
        (None, true) if counting => Ok(true),
        (Some(false), false) if !sure => Ok(false),
        (Some(false), true) if !counting => Ok(false),
        _ => {
            let found =
                format!("{} holds distinct whole numbers, which may be a header or values", edge.what);
            let advice = "Say --responses-header none, row, column or both";
            Err(Error::input(table.path(), found, "headers that can be told from values", advice))
        }
    }
}

#[cfg(test)]
mod tests;
