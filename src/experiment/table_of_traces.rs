//! Traces as a table: a column for each cell, a line for each frame, as Spikefinder's files have them.
//! Cells that were recorded for a shorter time have empty fields at their ends.
//!
//! The first line is a header if it has a field that is no number, or distinct whole numbers: those from 0 or 1
//! on, or any where every column has fractions below. A first column that counts lines from 0 or 1 is an index.

use std::path::Path;

use ndarray::Array2;

use super::trace_file::rate;
use crate::error::{Error, Result};
use crate::io::table::{Decimals, Table, counted_from, shown, whole};

/// Columns of these names count frames, and are no traces.
const INDEX: [&str; 3] = ["index", "frame", "frames"];
/// Columns of these names are no traces if they count frames, or go up as times do.
const NAMELESS: [&str; 2] = ["", "unnamed: 0"];
/// Columns of these names are the times of frames.
const TIME: [&str; 5] = ["time", "times", "timestamp", "timestamps", "t"];
/// From so many frames on a first column that always goes up is no trace.
const RISING: usize = 10;

/// Traces (cells, frames), NaN where a field is empty; the cells' names; frames a second, where there are
/// times.
pub(super) fn read(path: &Path) -> Result<(Array2<f32>, Vec<String>, Option<f64>)> {
    let table = Table::read(path)?;
    let columns: Vec<usize> = (0..table.width()).collect();
    let decimals = table.decimals(&columns)?;
    let body = usize::from(is_header(&table, decimals));
    let column = |at: usize| -> Result<Vec<f64>> {
        (body..table.rows()).map(|row| number(&table, decimals, row, at)).collect()
    };
    let (mut names, mut traces) = (Vec::new(), Vec::new());
    let mut per_second = None;
    for at in columns {
        let name = if body == 1 { table.text(0, at) } else { "" }.to_lowercase();
        if INDEX.contains(&&*name) {
            continue;
        }
        let values = column(at)?;
        if let Some(seconds) = unit_of_times(&name) {
            per_second = per_second.or(Some(rate(&values) / seconds).filter(|rate| rate.is_finite()));
            continue;
        }
        if at == 0 && table.width() > 1 && (counts_lines(&values) || rises(&values)) {
            if counts_lines(&values) || (body == 1 && NAMELESS.contains(&&*name)) {
                continue;
            }
            return Err(rising(&table, &name));
        }
        names.push(if body == 1 && !name.is_empty() { table.text(0, at).into() } else { at.to_string() });
        traces.extend(values.into_iter().map(|value| value as f32));
    }
    let frames = table.rows() - body;
    let traces = Array2::from_shape_vec((names.len(), frames), traces);
    Ok((traces.map_err(|why| Error::internal(path.display(), why))?, names, per_second))
}

/// Whether the first line names columns.
fn is_header(table: &Table, decimals: Decimals) -> bool {
    // The corner above an index is empty.
    let corner = table.width() > 1 && table.cell(0, 0).is_empty();
    let names = usize::from(corner)..table.width();
    if names.clone().any(|at| decimals.number(table.cell(0, at)).is_none()) {
        return true;
    }
    let numbers: Option<Vec<usize>> = names.clone().map(|at| whole(table.cell(0, at))).collect();
    let Some(mut numbers) = numbers.filter(|_| table.width() > 1 && table.rows() > 1) else { return false };
    let ascending = counted_from(&numbers).is_some() && numbers.is_sorted();
    numbers.sort_unstable();
    numbers.dedup();
    let fraction = |row, at| decimals.number(table.cell(row, at)).is_some_and(|v| v.fract().abs() > 0.0);
    let fractions = names.clone().all(|at| (1..table.rows()).any(|row| fraction(row, at)));
    ascending || (numbers.len() == names.len() && fractions)
}

/// Seconds of a unit of times; none where a name is not that of times.
fn unit_of_times(name: &str) -> Option<f64> {
    let end = name.find(['(', '[', '_', ' ']).unwrap_or(name.len());
    let unit = name[end..].trim_matches(|c: char| !c.is_alphanumeric());
    let seconds = match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1e-3,
        _ => return None,
    };
    TIME.contains(&&name[..end]).then_some(seconds)
}

fn counts_lines(values: &[f64]) -> bool {
    let from = |base: f64| values.iter().enumerate().all(|(at, value)| *value == at as f64 + base);
    values.len() > 2 && (from(0.0) || from(1.0))
}

fn rises(values: &[f64]) -> bool {
    values.len() >= RISING && values.windows(2).all(|pair| pair[0] < pair[1])
}

fn rising(table: &Table, name: &str) -> Error {
    let name = if name.is_empty() { String::new() } else { format!(", {},", shown(name)) };
    let found = format!("its first column{name} goes up in every line, as times or numbers of frames do");
    let advice = "Call it time (in seconds) or frame in a first line of names, or delete it";
    Error::input(table.path(), found, "a column for each cell", advice)
}

fn number(table: &Table, decimals: Decimals, row: usize, at: usize) -> Result<f64> {
    let cell = table.cell(row, at);
    decimals.number(cell).ok_or_else(|| {
        let found = format!("line {} has {}", table.line(row), shown(cell));
        Error::input(table.path(), found, "numbers, or empty fields", "Correct that line")
    })
}
