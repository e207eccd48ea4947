//! The tables of `striate bench`, as wide as the terminal.

use std::fmt::Write;
use std::path::Path;

use striate::bench::{Bound, Comparison, Measured, Report, Row, Section};
use striate::doctor::above_peak;
use striate::gpu::Clock;
use terminal_size::terminal_size_of;

use super::doctor::share_of_peak;
use super::output::mebibytes;

/// Columns where stdout is no terminal.
const WIDE: usize = 140;
/// Columns of the first column.
const FIRST: usize = 21;

/// The whole report, as wide as the terminal that stdout is.
pub fn table(report: &Report) -> String {
    let width = terminal_size_of(std::io::stdout()).map_or(WIDE, |(width, _)| usize::from(width.0));
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
        let sections = [
            (Section::Kernels, "Kernels"),
            (Section::Layers, "Layers"),
            (Section::Tasks, "Whole jobs"),
            (Section::Growth, "Growth"),
        ];
        for (section, title) in sections {
            let rows: Vec<&Row> = self.report.rows.iter().filter(|row| row.section == section).collect();
            if !rows.is_empty() {
                self.section(section, title, &rows);
            }
        }
        for slope in &self.report.slopes {
            let power = |power: Option<f64>| power.map_or("none".into(), |power| format!("{power:.2}"));
            let (name, time, memory) = (&slope.name, power(slope.time), power(slope.memory));
            self.line(&format!("{name:23}  time grows by the power {time}, memory by {memory}"));
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
        self.line(&format!("  kernels  the {} family", report.kernel_family));
        self.line(&format!(
            "  peaks    {:.0} GFLOP/s in registers, {:.1} GB/s of memory, measured",
            p.arithmetic_gflops, p.memory_gb_per_s
        ));
        self.line(&format!(
            "  product  {:.0} GFLOP/s (matrices of side {}), {}",
            p.matrix_gflops,
            p.matrix_side,
            share_of_peak(p)
        ));
        self.line(&format!(
            "  copies   {:.1} GB/s to the device, {:.1} GB/s back",
            p.upload_gb_per_s, p.download_gb_per_s
        ));
        self.line(&format!("  clock    {clock}; whole jobs by the host's"));
    }

    fn section(&mut self, section: Section, title: &str, rows: &[&Row]) {
        let cpu = if self.report.software { format!("{:>8}", "cpu") } else { String::new() };
        self.line("");
        let last = if section == Section::Layers { "kernels" } else { "case" };
        let [time, first, operations, bytes, peak, error] =
            ["time", "first", "Gop/s", "GB/s", "peak", "error"];
        let columns = format!("{time:>9}{first:>9}{operations:>8}{bytes:>7}{peak:>9}{error:>8}{cpu}");
        let columns = format!("{title:FIRST$}{columns}");
        let last = if self.width < 100 { "" } else { last };
        self.line(&format!("{columns}  {last}"));
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
                let memory = measured.memory_bytes.map(|bytes| format!("; {}", mebibytes(bytes)));
                let note = measured.note.as_ref().map(|note| format!("; {note}"));
                let above = row.section == Section::Kernels && self.is_above(measured);
                let disturbed = above.then(|| "; disturbed: above the peak".to_string());
                let note = [memory, note, disturbed].into_iter().flatten().collect::<String>();
                let start = format!("{label:FIRST$}{}", self.numbers(measured, above));
                let tail = format!("{tail}{note}");
                let tail = tail.trim_start_matches("; ");
                // Which kernels make a layer is not worth a line of its own.
                let fits = start.chars().count() + 2 + tail.chars().count() <= self.width;
                let worth = fits || row.section != Section::Layers;
                self.wrapped(&start, if worth { tail } else { "" });
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
        if tail.is_empty() || start.chars().count() + 2 + tail.chars().count() <= self.width {
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

    /// Whether a row is faster than anything can be, so that its peak or itself was disturbed.
    fn is_above(&self, m: &Measured) -> bool {
        let above = |share| above_peak(self.report.kernel_family, share);
        m.bound == Some(Bound::Arithmetic) && m.share.is_some_and(above)
    }

    fn numbers(&self, m: &Measured, above: bool) -> String {
        let number = |value: Option<f64>| value.map_or("-".into(), three_digits);
        let flag = if m.seconds.disturbed() { "!" } else { " " };
        let share = match (m.share, m.bound) {
            _ if above => "-".into(),
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
            (true, Some(cpu)) => format!("{:>8}", seconds(cpu)),
            (true, None) => format!("{:>8}", "-"),
            _ => String::new(),
        };
        format!(
            "{:>8}{flag}{:>9}{:>8}{:>7}{share:>9}{error:>8}{cpu}",
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

/// Rows without a counterpart that are named.
const NAMED: usize = 20;

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
        for row in rows.iter().take(NAMED) {
            line(format!("  {place}: {row}"));
        }
        if rows.len() > NAMED {
            line(format!("  {place}: {} more, which --json names", rows.len() - NAMED));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A report with long cases, rows that were left out, and every flag.
    fn report() -> Report {
        let row = |section: &str, name: &str, case: &str, disturbed: bool| {
            let outliers = if disturbed { 9 } else { 0 };
            json!({"section": section, "name": name, "case": case, "measured": {
                "first_s": 123.0, "median_s": 0.1234, "fastest_s": 0.1, "runs": 20, "outliers": outliers,
                "cpu_s": 99.9, "clock": "device", "operations": 1e12, "bytes": 1e9, "gop_per_s": 12345.0,
                "gb_per_s": 1234.0, "bound": "memory", "share": 12.34, "error": 1.2e-7,
                "memory_bytes": 1 << 30, "note": "mean R2 0.123456"}})
        };
        let case =
            "[2, 64, 24, 24] to 128 channels, [3, 3] stride 1 padding 1 groups 1 relu, many words of it";
        let left_out = json!({"section": "tasks", "name": "ridge", "case": case,
            "skipped": "would take about 57 s on this adapter; --all times it"});
        let document = json!({"striate": "0.1.0", "adapter": {"index": 0, "name": "an adapter", "backend": "Vulkan",
                "kind": "Cpu", "driver": "1", "subgroup": [8, 8], "max_buffer_bytes": 1, "max_binding_bytes": 1},
            "software": true, "kernel_family": "broadcast", "tuned": true,
            "clock": "device", "convolution": "auto",
            "peaks": {"arithmetic_gflops": 100.0, "matrix_gflops": 50.0, "matrix_side": 512,
                "memory_gb_per_s": 10.0, "upload_gb_per_s": 1.0, "download_gb_per_s": 1.0},
            "rows": [row("kernels", "adaptive_average_pool", case, true), left_out,
                row("layers", "vgg19 224x224, batch 16", "conv1_1 to relu1_1", false)],
            "slopes": [{"name": "ridge by images", "time": 2.0, "memory": 1.0}]});
        serde_json::from_value(document).expect("a report")
    }

    #[test]
    fn the_table_fits_the_terminal_and_loses_no_word() {
        for width in [80, 140] {
            let text = Page { report: &report(), width, text: String::new() }.write();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            let words = "adaptive_average_pool of it, --all times vgg19 224x224, conv1_1 2.00, 123 ms! 1e-7";
            for word in words.split(' ') {
                let there = text.split_whitespace().any(|found| found == word);
                assert!(there, "no {word:?} in {text}");
            }
            assert!(!text.contains("\n\n\n"), "{text}");
        }
    }

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
