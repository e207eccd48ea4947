//! One report against another: how many times as long each row took.

use super::report::{Measured, Report, Row};

/// A row of both.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Ratio {
    /// Section, name and case.
    pub row: String,
    /// Median seconds now.
    pub median_s: f64,
    /// Median seconds of the other.
    pub other_median_s: f64,
    /// The first over the second: below 1 is faster now.
    pub ratio: f64,
    /// The same of CPU seconds, where both have them.
    pub cpu_ratio: Option<f64>,
}

/// What differs between two reports.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Comparison {
    /// What makes the comparison one of unlike things: adapters, drivers, families, tiles, clocks, versions.
    pub differences: Vec<String>,
    /// Rows measured in both, in the order of this report.
    pub ratios: Vec<Ratio>,
    /// Geometric mean of the ratios, if there are any.
    pub geometric_mean: Option<f64>,
    /// Rows measured only here.
    pub only_here: Vec<String>,
    /// Rows measured only there.
    pub only_there: Vec<String>,
}

fn label(row: &Row) -> String {
    format!("{} {}", row.name, row.case)
}

/// The same row of another report, if it was measured there.
fn measured<'a>(report: &'a Report, row: &Row) -> Option<&'a Measured> {
    report.rows.iter().filter(|other| other.key() == row.key()).find_map(|other| other.measured.as_ref())
}

/// Compares `here` with `there`.
pub fn compare(here: &Report, there: &Report) -> Comparison {
    let alone = |one: &Report, other: &Report| {
        let rows = one.rows.iter().filter(|row| row.measured.is_some());
        rows.filter(|row| measured(other, row).is_none()).map(label).collect::<Vec<_>>()
    };
    let ratio = |row: &Row| {
        let (here, there) = (row.measured.as_ref()?, measured(there, row)?);
        let cpu = here.seconds.cpu_s.zip(there.seconds.cpu_s).filter(|(_, there)| *there > 0.0);
        Some(Ratio {
            row: label(row),
            median_s: here.seconds.median_s,
            other_median_s: there.seconds.median_s,
            ratio: here.seconds.median_s / there.seconds.median_s,
            cpu_ratio: cpu.map(|(here, there)| here / there),
        })
    };
    let ratios: Vec<Ratio> = here.rows.iter().filter_map(ratio).collect();
    let logs: Vec<f64> = ratios.iter().map(|r| r.ratio.ln()).filter(|log| log.is_finite()).collect();
    Comparison {
        differences: differences(here, there),
        geometric_mean: (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp()),
        ratios,
        only_here: alone(here, there),
        only_there: alone(there, here),
    }
}

fn differences(here: &Report, there: &Report) -> Vec<String> {
    let adapter = |r: &Report| format!("{} ({})", r.adapter.name, r.adapter.backend);
    let version =
        |r: &Report| format!("{} {}", r.striate, r.commit.as_deref().unwrap_or("")).trim().to_owned();
    let texts = |r: &Report| {
        [
            ("adapter", adapter(r)),
            ("driver", r.adapter.driver.clone()),
            ("kernel family", r.kernel_family.to_string()),
            ("tiles", if r.tuned { "measured" } else { "by the rule" }.into()),
            ("clock", format!("{:?}", r.clock).to_lowercase()),
            ("convolution", format!("{:?}", r.convolution).to_lowercase()),
            ("striate", version(r)),
        ]
    };
    let pairs = texts(here).into_iter().zip(texts(there));
    let unlike = pairs.filter(|((_, here), (_, there))| here != there);
    unlike.map(|((what, here), (_, there))| format!("{what}: {here} here, {there} there")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::Section;
    use super::super::timing::Seconds;
    use super::*;
    use crate::doctor::Peaks;
    use crate::features::Convolution;
    use crate::gpu::{AdapterReport, Clock, Family};

    fn report(rows: &[(&str, f64)]) -> Report {
        let mut report = Report {
            striate: "1".into(),
            commit: None,
            adapter: AdapterReport {
                index: 0,
                name: "one".into(),
                backend: "Vulkan".into(),
                kind: "Cpu".into(),
                driver: "driver 1".into(),
                pci: None,
                memory_bytes: None,
                subgroup: [8, 8],
                max_buffer_bytes: 1,
                max_binding_bytes: 1,
            },
            software: true,
            kernel_family: Family::Broadcast,
            tuned: true,
            clock: Clock::Device,
            convolution: Convolution::Auto,
            peaks: Peaks {
                arithmetic_gflops: 100.0,
                matrix_gflops: 50.0,
                matrix_side: 512,
                memory_gb_per_s: 10.0,
                disturbed: false,
                upload_gb_per_s: 1.0,
                download_gb_per_s: 1.0,
            },
            rows: Vec::new(),
            slopes: Vec::new(),
        };
        for (name, median_s) in rows {
            let (first_s, fastest_s) = (*median_s, *median_s);
            let seconds = Seconds {
                first_s,
                median_s: *median_s,
                fastest_s,
                runs: 3,
                outliers: 0,
                cpu_s: Some(*median_s),
            };
            let measured = Measured::new(seconds, Clock::Device, Some(1e9), Some(3e9));
            report.rows.push(Row::new(Section::Kernels, name, "case", measured));
        }
        let peaks = report.peaks;
        report.relate(&peaks);
        report
    }

    #[test]
    fn rows_are_found_by_name_and_what_is_missing_is_named() {
        let here = report(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
        let mut there = report(&[("b", 1.0), ("d", 4.0), ("a", 2.0)]);
        there.adapter.driver = "driver 2".into();
        there.tuned = false;
        there.rows.push(Row::skipped(Section::Kernels, "c", "case", "too long".into()));
        let found = compare(&here, &there);
        let ratios: Vec<f64> = found.ratios.iter().map(|r| r.ratio).collect();
        assert_eq!(ratios, [0.5, 2.0]);
        assert!((found.geometric_mean.unwrap_or(0.0) - 1.0).abs() < 1e-12);
        assert_eq!((found.only_here, found.only_there), (vec!["c case".into()], vec!["d case".into()]));
        assert_eq!(
            found.differences,
            ["driver: driver 1 here, driver 2 there", "tiles: measured here, by the rule there",]
        );
    }

    /// 1e9 operations at 100e9 a second are .01 s, 3e9 bytes at 10e9 a second .3 s: memory bounds it.
    #[test]
    fn the_share_is_that_of_what_bounds_it() {
        let report = report(&[("a", 0.6)]);
        let measured = report.rows[0].measured.clone().expect("a row");
        assert_eq!(measured.bound, Some(super::super::Bound::Memory));
        assert!((measured.share.unwrap_or(0.0) - 0.5).abs() < 1e-12, "{measured:?}");
        assert_eq!(measured.gb_per_s, Some(5.0));
    }
}
