//! The tables of `striate bench`, as wide as the terminal.

use std::fmt::Write;
use std::path::Path;

use striate::bench::{Bound, Comparison, Measured, Report, Row, Section};
use striate::gpu::Clock;

/// Columns where stdout is no terminal.
const WIDE: usize = 140;
/// Columns of the first column.
const FIRST: usize = 19;

/// The whole report, for a terminal of this width.
pub fn table(report: &Report) -> String {
    let width = terminal_size::terminal_size().map_or(WIDE, |(width, _)| usize::from(width.0));
    Page { report, width, text: String::new() }.write()
}

struct Page<'a> {
    report: &'a Report,
    width: usize,
    text: String,
}

impl Page<'_> {
    fn write(mut self) -> String {
        self.head();
        let sections =
            [(Section::Kernels, "Kernels"), (Section::Layers, "Layers"), (Section::Tasks, "Whole works")];
        for (section, title) in sections {
            let rows: Vec<&Row> = self.report.rows.iter().filter(|row| row.section == section).collect();
            if !rows.is_empty() {
                self.section(section, title, &rows);
            }
        }
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn head(&mut self) {
        let (report, p) = (self.report, &self.report.peaks);
        let adapter = &report.adapter;
        let clock = match report.clock {
            Clock::Device => "the device's timestamps",
            Clock::Host => "the host's clock around each launch",
        };
        self.line(&format!("{} ({}, {})", adapter.name, adapter.backend, adapter.driver));
        self.line(&format!(
            "  peaks    {:.0} GFLOP/s in registers, {:.1} GB/s of memory, measured",
            p.arithmetic_gflops, p.memory_gb_per_s
        ));
        self.line(&format!(
            "  product  {:.0} GFLOP/s, {:.0} % of the peak (matrices of side {})",
            p.matrix_gflops,
            100.0 * p.matrix_gflops / p.arithmetic_gflops,
            p.matrix_side
        ));
        self.line(&format!(
            "  copies   {:.1} GB/s to the device, {:.1} GB/s back",
            p.upload_gb_per_s, p.download_gb_per_s
        ));
        self.line(&format!("  clock    {clock}; whole works by the host's"));
    }

    fn section(&mut self, section: Section, title: &str, rows: &[&Row]) {
        let cpu = if self.report.software { format!("{:>9}", "cpu") } else { String::new() };
        self.line("");
        let (first, last) = if section == Section::Layers { ("", "") } else { ("", "case") };
        let title = format!("{title:FIRST$}{first}");
        self.line(&format!(
            "{title}{:>9}{:>9}{:>8}{:>7}{:>8}{:>8}{cpu}  {last}",
            "time", "first", "Gop/s", "GB/s", "peak", "error"
        ));
        let mut before = "";
        for row in rows {
            let (label, tail) = match section {
                Section::Layers => (row.case.as_str(), ""),
                _ => (row.name.as_str(), row.case.as_str()),
            };
            if section == Section::Layers && before != row.name {
                self.line(&row.name);
                before = &row.name;
            }
            let indent = if section == Section::Layers { "  " } else { "" };
            self.row(&format!("{indent}{label}"), tail, row);
        }
    }

    fn row(&mut self, label: &str, tail: &str, row: &Row) {
        match &row.measured {
            Some(measured) => {
                let note = measured.note.iter().map(|note| format!("; {note}")).collect::<String>();
                let numbers = self.numbers(measured);
                self.wrapped(&format!("{label:FIRST$}{numbers}"), &format!("{tail}{note}"));
            }
            None => {
                let why = row.skipped.as_deref().unwrap_or_default();
                let tail = if tail.is_empty() { String::new() } else { format!("{tail}, ") };
                self.wrapped(&format!("{label:FIRST$}"), &format!("{tail}left out: {why}"));
            }
        }
        if let Some(wrong) = &row.wrong {
            self.wrapped("  WRONG", wrong);
        }
    }

    /// A tail that does not fit stands on lines of its own.
    fn wrapped(&mut self, start: &str, tail: &str) {
        if start.chars().count() + 2 + tail.chars().count() <= self.width {
            return self.line(&format!("{start}  {tail}"));
        }
        self.line(start);
        let mut line = String::from("   ");
        for word in tail.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > self.width && !line.trim().is_empty() {
                self.line(&std::mem::replace(&mut line, "   ".into()));
            }
            line = format!("{line} {word}");
        }
        self.line(&line);
    }

    fn numbers(&self, m: &Measured) -> String {
        let number = |value: Option<f64>| value.map_or("-".into(), three_digits);
        let flag = if m.seconds.disturbed() { "!" } else { " " };
        let share = match (m.share, m.bound) {
            (Some(share), Some(Bound::Arithmetic)) => format!("{:.0} % A", 100.0 * share),
            (Some(share), Some(Bound::Memory)) => format!("{:.0} % M", 100.0 * share),
            _ => "-".into(),
        };
        let error = match m.error {
            Some(0.0) => "0".into(),
            Some(error) => format!("{error:.0e}"),
            None => "-".into(),
        };
        let cpu = match (self.report.software, m.seconds.cpu_s) {
            (true, Some(cpu)) => format!("{:>9}", seconds(cpu)),
            (true, None) => format!("{:>9}", "-"),
            _ => String::new(),
        };
        format!(
            "{:>8}{flag}{:>9}{:>8}{:>7}{share:>8}{error:>8}{cpu}",
            seconds(m.seconds.median_s),
            seconds(m.seconds.first_s),
            number(m.gop_per_s),
            number(m.gb_per_s),
        )
    }
}

/// Three digits and a unit.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 0.9995 => format!("{} s", three_digits(s)),
        s if s >= 0.9995e-3 => format!("{} ms", three_digits(1e3 * s)),
        s => format!("{} us", three_digits(1e6 * s)),
    }
}

/// Three digits, more before the point if there are more; small numbers keep two behind it.
fn three_digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How the report compares with another.
pub fn compared(comparison: &Comparison, other: &Path) -> String {
    let mut text = format!("\nAgainst {}\n", other.display());
    let mut line = |line: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    };
    for difference in &comparison.differences {
        line(format!("  different {difference}"));
    }
    if !comparison.ratios.is_empty() {
        line(format!("  {:>7}{:>9}{:>10}{:>10}  row", "ratio", "cpu", "now", "then"));
    }
    for ratio in &comparison.ratios {
        let cpu = ratio.cpu_ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
        let (now, then) = (seconds(ratio.median_s), seconds(ratio.other_median_s));
        line(format!("  {:>7.2}{cpu:>9}{now:>10}{then:>10}  {}", ratio.ratio, ratio.row));
    }
    if let Some(mean) = comparison.geometric_mean {
        line(format!(
            "  {mean:>7.2}  geometric mean of {} rows; below 1 is faster now",
            comparison.ratios.len()
        ));
    }
    for (rows, place) in [(&comparison.only_here, "only here"), (&comparison.only_there, "only there")] {
        for row in rows {
            line(format!("  {place}: {row}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, wanted) in [
            (12.345, "12.3 s"),
            (0.99949, "999 ms"),
            (0.9996, "1.00 s"),
            (0.0123, "12.3 ms"),
            (1.5e-6, "1.50 us"),
            (123.4, "123 s"),
        ] {
            assert_eq!(seconds(value), wanted);
        }
    }
}
