//! Text tables: the one reader of all of them, and the one writer.
//!
//! Cells are separated by commas, semicolons or tabs, by whichever every line has; quotes hold a cell
//! together. Text is UTF-8, with or without a byte-order mark. Lines that begin with `#` and blank lines are
//! skipped, and so are lines and columns of nothing but separators at the end. All other lines have as many
//! cells as the first; it may have one fewer, as R writes the names of columns beside names of rows. The
//! last comment before the table names the columns if it has a cell for each and the first line has none, as
//! NumPy writes them.

mod decimals;
mod guard;
mod separators;
mod whole;

use std::io::Read;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::responses::shorten;
use crate::error::{Error, Result};
pub use decimals::Decimals;
pub use guard::{guarded, unguarded, write};
pub(crate) use whole::{counted_from, whole};

/// A table as text. Its cells lie end to end: a `String` each would cost many times the file.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    text: String,
    /// Where each cell ends, row by row.
    ends: Vec<u32>,
    /// The line of the file that each row begins in.
    lines: Vec<u32>,
    width: usize,
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// Input, with the line where there is one: a file that cannot be read or is no UTF-8 text, an empty
    /// one, lines of different lengths, separators or comments that cannot be told.
    pub fn read(path: &Path) -> Result<Table> {
        let text = decoded(path)?;
        let start = separators::find(path, &text)?;
        let mut table = Table {
            path: path.into(),
            text: String::with_capacity(text.len()),
            ends: Vec::new(),
            lines: Vec::new(),
            width: 0,
        };
        table.fill(&text, &start)?;
        if table.lines.is_empty() {
            let advice = "Check how the file was written";
            return Err(Error::input(path, "is empty", "a table of at least one line", advice));
        }
        table.drop_blank_ends();
        if let Some(names) = start.comment {
            table.take_comment(path, &names)?;
        }
        Ok(table)
    }

    fn fill(&mut self, text: &str, start: &separators::Start) -> Result<()> {
        let body = &text[start.offset..];
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(start.separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(body.as_bytes());
        let mut record = StringRecord::new();
        let path = self.path.clone();
        let failed = |why: csv::Error| Error::input(&path, format!("cannot be read: {why}"), "a table", "");
        while reader.read_record(&mut record).map_err(failed)? {
            let (byte, before) =
                record.position().map_or((0, 1), |at| (at.byte() as usize, at.line() as usize));
            // Blank lines before it are counted as its own.
            let own = body[byte..].trim_start_matches(['\r', '\n', ' ']);
            let skipped = body[byte..body.len() - own.len()].matches('\n').count();
            let line = start.line + before - 1 + skipped;
            if own.starts_with('#') {
                self.check_comment(&record, line)?;
            } else {
                self.push(&record, line)?;
            }
        }
        Ok(())
    }

    /// A comment that could as well be a row is neither.
    fn check_comment(&self, record: &StringRecord, line: usize) -> Result<()> {
        if record.len() < 2 || record.len() != self.width || !are_numbers(record) {
            return Ok(());
        }
        let found = format!("line {line} begins with # and has as many numbers as the other lines");
        let advice = "Delete that line if it is a comment, or put its first cell in quotes";
        Err(Error::input(&self.path, found, "comments and rows that can be told from each other", advice))
    }

    fn push(&mut self, record: &StringRecord, line: usize) -> Result<()> {
        let mut cells = record.len();
        if self.lines.is_empty() {
            self.width = cells;
        }
        while cells > self.width && record.get(cells - 1).is_some_and(|cell| cell.trim().is_empty()) {
            cells -= 1;
        }
        if self.lines.len() == 1 && cells == self.width + 1 {
            // Names of columns beside names of rows: the corner is missing.
            self.ends.insert(0, 0);
            self.width = cells;
        }
        if cells != self.width {
            let found = format!("line {line} has {cells} cells");
            let wanted = format!("{}, as in the first line", self.width);
            let advice = "Fill up that line; write decimal points, or separate cells by semicolons";
            return Err(Error::input(&self.path, found, wanted, advice));
        }
        for cell in record.iter().take(cells) {
            self.text.push_str(unquoted(cell.trim()));
            self.ends.push(self.text.len() as u32);
        }
        self.lines.push(line as u32);
        Ok(())
    }

    /// Drops rows and columns at the end that have nothing but separators.
    fn drop_blank_ends(&mut self) {
        while self.rows() > 1 && (0..self.width).all(|column| self.cell(self.rows() - 1, column).is_empty()) {
            self.lines.pop();
            self.ends.truncate(self.lines.len() * self.width);
        }
        let mut width = self.width;
        while width > 1 && (0..self.rows()).all(|row| self.cell(row, width - 1).is_empty()) {
            width -= 1;
        }
        if width < self.width {
            let kept = self.ends.chunks_exact(self.width).flat_map(|row| row[..width].iter().copied());
            self.ends = kept.collect();
            self.width = width;
        }
    }

    /// Makes a comment the first row, if it names every column and the first row names none.
    fn take_comment(&mut self, path: &Path, names: &StringRecord) -> Result<()> {
        let mut first = (0..self.width).map(|column| self.cell(0, column));
        let has_numbers = first.any(|cell| !cell.is_empty() && decimals::looks_like_number(cell));
        // What a spreadsheet fills up with empty cells names nothing.
        let names_none = names.iter().skip(1).all(|cell| cell.trim().is_empty());
        if names.len() != self.width || self.width < 2 || names_none || !has_numbers {
            return Ok(());
        }
        if are_numbers(names) {
            let found = "has a comment before its first line with a number for each column";
            let advice = "Delete the # before it if it names the columns, or the comment if it does not";
            return Err(Error::input(
                path,
                found,
                "comments and rows that can be told from each other",
                advice,
            ));
        }
        let mut text: String = names.iter().map(|cell| unquoted(cell.trim())).collect();
        let mut at = 0;
        let first = names.iter().map(|cell| {
            at += unquoted(cell.trim()).len() as u32;
            at
        });
        let mut ends: Vec<u32> = first.collect();
        ends.extend(self.ends.iter().map(|end| end + at));
        text.push_str(&self.text);
        (self.text, self.ends) = (text, ends);
        self.lines.insert(0, self.lines[0].saturating_sub(1).max(1));
        Ok(())
    }

    /// Rows, the first one included; never 0.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Cells of each row; never 0.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line of the file that a row begins in.
    pub fn line(&self, row: usize) -> u32 {
        self.lines[row]
    }

    /// A cell, without blanks around it.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.width + column;
        // Leading cells that were put in before have no text.
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[at] as usize]
    }

    /// A cell as text: without the quote that keeps spreadsheets from taking it for a formula.
    pub fn text(&self, row: usize, column: usize) -> &str {
        unguarded(self.cell(row, column))
    }

    /// The column that the first row names so, in whichever case.
    pub fn column(&self, name: &str) -> Option<usize> {
        (0..self.width).find(|column| self.cell(0, *column).eq_ignore_ascii_case(name))
    }

    /// A column that must be there; `wanted` are all of them.
    ///
    /// # Errors
    /// Input, if the first row does not name it.
    pub fn needed(&self, name: &str, wanted: &str, advice: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let found = format!("has no column '{name}' in its first line");
            Error::input(&self.path, found, format!("the columns {wanted}"), advice)
        })
    }

    /// How numbers in some columns are written, below the first row.
    ///
    /// # Errors
    /// Input, if it cannot be told.
    pub fn decimals(&self, columns: &[usize]) -> Result<Decimals> {
        let cells = (1..self.rows()).flat_map(|row| columns.iter().map(move |column| (row, *column)));
        Decimals::of(self, cells)
    }
}

/// Whether all cells but the first are numbers, and not all of them missing.
fn are_numbers(record: &StringRecord) -> bool {
    let mut cells = record.iter().skip(1).map(str::trim);
    cells.clone().any(|cell| !cell.is_empty()) && cells.all(decimals::looks_like_number)
}

/// A cell that stood in quotes after a blank.
fn unquoted(cell: &str) -> &str {
    cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell)
}

/// The text of a file.
fn decoded(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let file = super::file::open(path)?;
    // One byte more than a table may have.
    let read = file.take(u64::from(u32::MAX) + 1).read_to_end(&mut bytes);
    read.map_err(|why| Error::unreadable(path, &why))?;
    let refused = |found: String| {
        let advice = "Save the table as UTF-8 text, which spreadsheets call CSV UTF-8";
        Error::input(path, found, "a table in UTF-8", advice)
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refused("is UTF-16".into()));
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error::input(path, "has 4 GiB or more", "a smaller table", "Save the array as .npy"));
    }
    let line = |bytes: &[u8]| 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = line(&bytes[..at]);
        return Err(refused(format!("line {line} has a zero byte: the file is UTF-16 or no text")));
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|why| {
        let line = line(&why.as_bytes()[..why.utf8_error().valid_up_to()]);
        refused(format!("line {line} is not UTF-8 text"))
    })
}

/// A cell as it may stand in an error.
pub(crate) fn shown(cell: &str) -> String {
    format!("'{}'", shorten(cell))
}

#[cfg(test)]
mod tests;
