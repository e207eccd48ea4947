//! How a table writes numbers.

use super::{Table, shown};
use crate::error::{Error, Result};

/// What is written where a number is missing.
const MISSING: [&str; 9] = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "None"];

/// The mark before the decimals of a table's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// 1.5
    Point,
    /// 1,5
    Comma,
}

/// What the commas of a cell say.
enum Commas {
    /// 1,5 or 0,567: decimals follow.
    Decimal,
    /// 1,234,567 or 1,234.5 or 1.234,5: digits are grouped.
    Grouped,
    /// 1,234 is either.
    Either,
}

impl Decimals {
    /// How the cells (row, column) of a table are written.
    ///
    /// # Errors
    /// Input, naming cells that contradict each other, or of which none tells.
    pub(in crate::io) fn of(
        table: &Table,
        cells: impl Iterator<Item = (usize, usize)> + Clone,
    ) -> Result<Decimals> {
        let commas = |(row, column): &(usize, usize)| commas(table.cell(*row, *column));
        if !cells.clone().any(|cell| commas(&cell).is_some()) {
            return Ok(Decimals::Point);
        }
        let first = |wanted: fn(&Commas) -> bool| {
            cells.clone().find(|cell| commas(cell).is_some_and(|found| wanted(&found)))
        };
        let place = |(row, column): (usize, usize)| {
            format!("{} in line {}", shown(table.cell(row, column)), table.line(row))
        };
        let refused = |found: String, advice: &str| {
            Err(Error::input(table.path(), found, "numbers as 1234.5 or 1234,5 throughout", advice))
        };
        let plain = "Write numbers without separators of thousands";
        if let Some(cell) = first(|found| matches!(found, Commas::Grouped)) {
            return refused(format!("has {}, whose digits are grouped", place(cell)), plain);
        }
        let point = |(row, column): &(usize, usize)| {
            let cell = table.cell(*row, *column);
            cell.contains('.') && !cell.contains(',') && cell.parse::<f64>().is_ok()
        };
        let either = first(|found| matches!(found, Commas::Either));
        match (first(|found| matches!(found, Commas::Decimal)), cells.clone().find(point), either) {
            (Some(comma), Some(point), _) | (None, Some(point), Some(comma)) => {
                let found = format!("has {}, and {}", place(comma), place(point));
                refused(
                    found,
                    "Write all decimals by points or all by commas, and no separators of thousands",
                )
            }
            (None, None, Some(cell)) => {
                let found = format!("has {}, which may be a thousand or a decimal comma", place(cell));
                refused(found, plain)
            }
            _ => Ok(Decimals::Comma),
        }
    }

    /// A cell as a number: NaN where it is missing, none where it is no number.
    pub fn number(self, cell: &str) -> Option<f64> {
        if MISSING.contains(&cell) {
            return Some(f64::NAN);
        }
        match (self, cell.contains(',')) {
            (Decimals::Comma, true) => cell.replacen(',', ".", 1).parse().ok(),
            _ => cell.parse().ok(),
        }
    }
}

/// Whether a cell is a number in any of the ways to write one.
pub(super) fn looks_like_number(cell: &str) -> bool {
    Decimals::Point.number(cell).is_some() || commas(cell).is_some()
}

/// What the commas of a cell say; none where it has none or is no number.
fn commas(cell: &str) -> Option<Commas> {
    if !cell.contains(',') {
        return None;
    }
    let unsigned = cell.trim_start_matches(['+', '-']);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str, mark: char| {
        let mut groups = text.split(mark);
        groups.next().is_some_and(|first| digits(first) && first.len() <= 3 && !first.starts_with('0'))
            && groups.all(|group| digits(group) && group.len() == 3)
    };
    if let Some((whole, decimals)) = unsigned.split_once('.') {
        let (american, german) = (grouped(whole, ','), unsigned.rsplit_once(','));
        let german = german.is_some_and(|(whole, decimals)| grouped(whole, '.') && digits(decimals));
        let decimals = decimals.is_empty() || digits(decimals);
        return ((american && decimals) || german).then_some(Commas::Grouped);
    }
    if grouped(unsigned, ',') {
        let single = unsigned.matches(',').count() == 1;
        return Some(if single { Commas::Either } else { Commas::Grouped });
    }
    let number = Decimals::Comma.number(cell).filter(|_| cell.matches(',').count() == 1);
    number.map(|_| Commas::Decimal)
}
