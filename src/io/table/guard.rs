//! Text that spreadsheets would take for a formula, and how tables are written.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// What a formula begins with, and what spreadsheets pass over before it.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn risky(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA)
}

/// A cell as a table has it: with a single quote before text that a spreadsheet would take for a formula, numbers
/// excepted. [`unguarded`] takes it off.
pub fn guarded(text: &str) -> Cow<'_, str> {
    match risky(text) && text.parse::<f64>().is_err() {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

/// The text of a cell that may have been [`guarded`].
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| risky(cell)).unwrap_or(cell)
}

/// A table in CSV from its header and rows, with its text guarded. `file` names it in errors.
///
/// # Errors
/// Internal, if a row has another number of cells than the header.
pub fn write<S: AsRef<str>>(
    file: &str,
    header: &[S],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |why: &dyn std::fmt::Display| Error::internal(file, why);
    let guard = |cell: &str| guarded(cell).into_owned();
    table.write_record(header.iter().map(|cell| guard(cell.as_ref()))).map_err(|e| failed(&e))?;
    for row in rows {
        table.write_record(row.iter().map(|cell| guard(cell))).map_err(|e| failed(&e))?;
    }
    table.into_inner().map_err(|e| failed(&e))
}
