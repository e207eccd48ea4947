//! What separates the cells of a table, and where it begins.

use std::path::Path;

use csv::StringRecord;

use super::decimals;
use crate::error::{Error, Result};

/// A mixture of them: advice.
const ONE_KIND: &str = "Save the table with one kind of separator, and put cells that contain it in quotes";

const KINDS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];

/// Where a table begins, and how it goes on.
pub(super) struct Start {
    /// In bytes, after comments and Excel's `sep=`.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    pub separator: u8,
    /// The cells of the last comment before it.
    pub comment: Option<StringRecord>,
}

/// Looks at all lines.
pub(super) fn find(path: &Path, text: &str) -> Result<Start> {
    let (mut offset, mut line) = (0, 1);
    let (mut said, mut comment) = (None, None);
    for one in text.split_inclusive('\n') {
        let content = one.trim();
        if line == 1 && content.len() == 5 && content[..4].eq_ignore_ascii_case("sep=") {
            said = content.bytes().last();
        } else if content.starts_with('#') {
            comment = Some(content.trim_start_matches('#').trim());
        } else if !content.is_empty() {
            break;
        }
        offset += one.len();
        line += 1;
    }
    let separator = match said {
        Some(separator) => separator,
        None => of_lines(path, &text[offset..], line)?,
    };
    let comment = comment.and_then(|text| {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.delimiter(separator).has_headers(false).from_reader(text.as_bytes());
        reader.records().next()?.ok()
    });
    Ok(Start { offset, line, separator, comment })
}

/// How often each kind stands in a line outside quotes.
#[derive(Clone, Copy, Default)]
struct Counts([usize; 3]);

/// The separator of lines, of which the first is `first` of the file.
fn of_lines(path: &Path, text: &str, first: usize) -> Result<u8> {
    let mut lines = 0;
    let mut with = [0; 3];
    // A line that has the kind, for errors.
    let mut example = [None; 3];
    for (number, counts) in Lines::new(text, first) {
        lines += 1;
        for (kind, count) in counts.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            with[kind] += usize::from(*count > 0);
            example[kind].get_or_insert(number);
        }
    }
    let everywhere: Vec<usize> = (0..3).filter(|kind| lines > 0 && with[*kind] == lines).collect();
    let somewhere: Vec<usize> = (0..3).filter(|kind| with[*kind] > 0).collect();
    let mixed = |kinds: &[usize]| {
        let place = |kind: &usize| format!("{} in line {}", KINDS[*kind].1, example[*kind].unwrap_or(first));
        let found = format!("has {}", kinds.iter().map(place).collect::<Vec<_>>().join(" and "));
        Error::input(path, found, "one separator of cells throughout", ONE_KIND)
    };
    match (&everywhere[..], &somewhere[..]) {
        ([], []) => one_column(path, text, first),
        ([one], _) | ([], [one]) => Ok(KINDS[*one].0),
        ([0, one], _) if decimal_commas(text, KINDS[*one].0) => Ok(KINDS[*one].0),
        ([], kinds) | (kinds, _) => Err(mixed(kinds)),
    }
}

/// Whether all commas are those of numbers between other separators.
fn decimal_commas(text: &str, separator: u8) -> bool {
    let mut cells = text.lines().flat_map(|line| line.split(char::from(separator)));
    cells.all(|cell| !cell.contains(',') || decimals::looks_like_number(cell.trim().trim_matches('"')))
}

/// A table of one column has no separator; others are named.
fn one_column(path: &Path, text: &str, first: usize) -> Result<u8> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    let refused = |what: &str| {
        let found = format!("line {first} separates its cells by {what}");
        Err(Error::input(path, found, "commas, semicolons or tabs", ONE_KIND))
    };
    if lines.peek().is_some() && lines.clone().all(|line| line.contains('|')) {
        return refused("|");
    }
    let numbers = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        cells.len() > 1 && cells.iter().skip(1).all(|cell| decimals::looks_like_number(cell))
    };
    if lines.peek().is_some() && lines.skip(1).all(numbers) && text.trim().contains(' ') {
        return refused("blanks");
    }
    Ok(b',')
}

/// Lines that are no comments and not blank, by their numbers. A quoted cell may span several.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, first: usize) -> Self {
        Lines { rest: text.as_bytes(), number: first }
    }

    /// Takes one line, with the cells in it that are not empty.
    fn take(&mut self) -> (Counts, bool) {
        let (mut counts, mut filled, mut quoted, mut begins) = (Counts::default(), false, false, true);
        let mut at = 0;
        while at < self.rest.len() {
            let byte = self.rest[at];
            at += 1;
            self.number += usize::from(byte == b'\n');
            let kind = KINDS.iter().position(|(kind, _)| *kind == byte);
            match (byte, kind) {
                (b'"', _) if quoted || begins => quoted = !quoted,
                (_, _) if quoted => {}
                (b'\n' | b'\r', _) => break,
                (_, Some(kind)) => counts.0[kind] += 1,
                _ => filled |= byte != b' ',
            }
            filled |= quoted && byte != b'"';
            begins = kind.is_some() || (begins && byte == b' ');
        }
        self.rest = &self.rest[at..];
        (counts, filled)
    }
}

impl Iterator for Lines<'_> {
    type Item = (usize, Counts);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let number = self.number;
            let comment = self.rest.starts_with(b"#");
            let (counts, filled) = self.take();
            if filled && !comment {
                return Some((number, counts));
            }
        }
        None
    }
}
