//! Traces as a table: a column for each cell, a line for each frame, as Spikefinder's files have them.
//! Cells that were recorded for a shorter time have empty fields at their ends.

use std::path::Path;

use ndarray::Array2;

use super::trace_file::rate;
use crate::error::{Error, Result};
use crate::io::file;

/// Columns of these names count frames, and are no traces.
const INDEX: [&str; 4] = ["", "index", "frame", "unnamed: 0"];
/// Columns of these names are the times of frames in seconds.
const TIME: [&str; 4] = ["time", "times", "timestamps", "t"];

/// Traces (cells, frames), NaN where a field is empty; the cells' names; frames a second, where there are
/// times.
pub(super) fn read(path: &Path) -> Result<(Array2<f32>, Vec<String>, Option<f64>)> {
    let rows = fields(path)?;
    let Some((first, _)) = rows.first() else {
        return Err(Error::input(path, "it is empty", "a column for each cell", "Check how it was written"));
    };
    let header = is_header(first);
    let width = first.len();
    let names: Vec<String> =
        if header { first.clone() } else { (0..width).map(|column| column.to_string()).collect() };
    let is = |known: &[&str], name: &str| header && known.iter().any(|k| name.eq_ignore_ascii_case(k));
    let traces: Vec<usize> =
        (0..width).filter(|&at| !is(&INDEX, &names[at]) && !is(&TIME, &names[at])).collect();
    let body = &rows[usize::from(header)..];
    let mut values = Array2::from_elem((traces.len(), body.len()), f32::NAN);
    for (frame, (cells, line)) in body.iter().enumerate() {
        for (trace, &column) in traces.iter().enumerate() {
            values[[trace, frame]] = number(path, *line, &cells[column])? as f32;
        }
    }
    let clock = (0..width).find(|&column| is(&TIME, &names[column]));
    let per_second = match clock {
        None => None,
        Some(column) => {
            let times = body.iter().map(|(cells, line)| number(path, *line, &cells[column]));
            Some(rate(&times.collect::<Result<Vec<f64>>>()?)).filter(|rate| rate.is_finite())
        }
    };
    Ok((values, traces.into_iter().map(|column| names[column].clone()).collect(), per_second))
}

/// All lines, and where each begins in the file.
fn fields(path: &Path) -> Result<Vec<(Vec<String>, u64)>> {
    let broken = |found: String| {
        let advice = "Save it as UTF-8 text, with commas, semicolons or tabs between fields";
        Error::input(path, found, "a column for each cell", advice)
    };
    let bytes = file::read(path, u64::MAX)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let separator = [b'\t', b';', b','].into_iter().find(|byte| line.contains(byte)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text);
    let mut rows: Vec<(Vec<String>, u64)> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|why| broken(format!("it is no table ({why})")))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<String> = record.iter().map(str::to_string).collect();
        if let Some((first, _)) = rows.first()
            && first.len() != cells.len()
        {
            let wanted = first.len();
            return Err(broken(format!("line {line} has {} fields and the first has {wanted}", cells.len())));
        }
        rows.push((cells, line));
    }
    Ok(rows)
}

/// Whether a first line names columns: it has a field that is no number, or counts 0, 1, 2 ... or 1, 2, 3
/// ...
fn is_header(first: &[String]) -> bool {
    if first.iter().any(|field| !is_missing(field) && field.parse::<f64>().is_err()) {
        return true;
    }
    let counts = |from: usize| {
        first.iter().enumerate().all(|(at, field)| field.parse::<usize>().is_ok_and(|n| n == at + from))
    };
    first.len() > 1 && (counts(0) || counts(1))
}

fn is_missing(field: &str) -> bool {
    field.is_empty() || field.eq_ignore_ascii_case("nan") || field.eq_ignore_ascii_case("na")
}

fn number(path: &Path, line: u64, field: &str) -> Result<f64> {
    if is_missing(field) {
        return Ok(f64::NAN);
    }
    field.parse().map_err(|_| {
        let short: String = field.chars().take(40).collect();
        let found = format!("line {line} has '{}'", short.escape_debug());
        Error::input(path, found, "numbers with decimal points, or empty fields", "Correct that line")
    })
}
