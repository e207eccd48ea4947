//! What a bench found, as plain data: a row for each thing that was timed or left out.

use super::timing::Seconds;
use crate::doctor::Peaks;
use crate::error::{Error, Result};
use crate::features::Convolution;
use crate::gpu::{AdapterReport, Clock, Family, Gpu};
use crate::io::file::{self, LONGEST_RECORD};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Each kernel at the cases of its tests.
    Kernels,
    /// Each layer of the networks.
    Layers,
    /// Whole jobs: features, ridge with cross-validation, an epoch of readouts.
    Tasks,
    /// Time and memory against size.
    Growth,
}

/// What keeps a row from being faster: whichever of arithmetic and memory would take longer at its peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Operations at the peak of the registers.
    Arithmetic,
    /// Bytes at the peak of device memory.
    Memory,
}

/// What was measured of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds of a run.
    #[serde(flatten)]
    pub seconds: Seconds,
    /// The clock of all but the first run.
    pub clock: Clock,
    /// Operations of a run; for convolutions those of the direct sum, whatever the algorithm. `None` where
    /// nothing is counted.
    pub operations: Option<f64>,
    /// Bytes that a run moves at least: of kernels everything that is bound, once a launch; of layers the
    /// maps read and written, and the weights. `None` for whole jobs.
    pub bytes: Option<f64>,
    /// 10^9 operations a second.
    pub gop_per_s: Option<f64>,
    /// 10^9 bytes a second.
    pub gb_per_s: Option<f64>,
    /// What bounds it.
    pub bound: Option<Bound>,
    /// Share of the measured peak of what bounds it. Above 1 where caches serve what counts as memory, or an
    /// algorithm needs fewer operations than are counted.
    pub share: Option<f64>,
    /// Distance from f64: of kernels the largest, over the largest value; of layers the root of the squared
    /// distances over the squared values, on outputs drawn at random; of ridge that of the mean R2 of a few
    /// neurons. `None` of whole networks, of features, readouts and growth, which are made of these kernels
    /// and layers.
    pub error: Option<f64>,
    /// Most GPU memory in use meanwhile, in bytes; of whole jobs.
    pub memory_bytes: Option<u64>,
    /// Further results in words.
    pub note: Option<String>,
}

impl Measured {
    /// Seconds of so many operations and bytes, by a clock.
    pub fn new(seconds: Seconds, clock: Clock, operations: Option<f64>, bytes: Option<f64>) -> Self {
        let some = |amount: Option<f64>| amount.filter(|amount| *amount > 0.0);
        let (operations, bytes) = (some(operations), some(bytes));
        let rate = |amount: Option<f64>| amount.map(|a| a / seconds.median_s / 1e9);
        let (gop_per_s, gb_per_s) = (rate(operations), rate(bytes));
        let (bound, share, error, memory_bytes, note) = (None, None, None, None, None);
        Measured {
            seconds,
            clock,
            operations,
            bytes,
            gop_per_s,
            gb_per_s,
            bound,
            share,
            error,
            memory_bytes,
            note,
        }
    }
}

/// One thing that was timed, or why it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Where it belongs.
    pub section: Section,
    /// The kernel, the network and its image size, or the work.
    pub name: String,
    /// The case, the layer, or the sizes.
    pub case: String,
    /// Its size, in a series of sizes.
    pub size: Option<usize>,
    /// What was measured.
    pub measured: Option<Measured>,
    /// Why nothing was.
    pub skipped: Option<String>,
    /// How the result differs from f64 by more than its bound.
    pub wrong: Option<String>,
}

impl Row {
    /// A row that was measured.
    pub fn new(section: Section, name: &str, case: &str, measured: Measured) -> Self {
        let (name, case) = (name.to_owned(), case.to_owned());
        Row { section, name, case, size: None, measured: Some(measured), skipped: None, wrong: None }
    }

    /// A row that was not.
    pub fn skipped(section: Section, name: &str, case: &str, why: String) -> Self {
        let (name, case) = (name.to_owned(), case.to_owned());
        Row { section, name, case, size: None, measured: None, skipped: Some(why), wrong: None }
    }

    /// What makes it the same row in another report.
    pub fn key(&self) -> (Section, &str, &str) {
        (self.section, &self.name, &self.case)
    }
}

/// Everything that one bench found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Version of Striate.
    pub striate: String,
    /// The commit it was built of, where `STRIATE_COMMIT` named it at build time.
    pub commit: Option<String>,
    /// The adapter and its driver.
    pub adapter: AdapterReport,
    /// Whether it is a software adapter.
    pub software: bool,
    /// Family of the heavy kernels.
    pub kernel_family: Family,
    /// Whether the tiles of heavy kernels are measured, rather than chosen by the rule.
    pub tuned: bool,
    /// What launches are timed by.
    pub clock: Clock,
    /// How convolutions of networks are computed.
    pub convolution: Convolution,
    /// The best speeds that were measured.
    pub peaks: Peaks,
    /// Rows, in the order in which they ran.
    pub rows: Vec<Row>,
    /// How time and memory grow in each series of sizes.
    pub slopes: Vec<Slope>,
}

/// Exponents of time and memory against size: the slope of a line through the logarithms. None where fewer
/// than two sizes were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The series.
    pub name: String,
    /// Of the fastest runs: whatever else uses the machine only ever adds.
    pub time: Option<f64>,
    /// Of the most GPU memory in use.
    pub memory: Option<f64>,
}

impl Report {
    /// Of an open device, without rows.
    ///
    /// # Errors
    /// As [`Gpu::clock`].
    pub fn new(gpu: &Gpu, peaks: Peaks, convolution: Convolution) -> Result<Self> {
        Ok(Report {
            striate: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("STRIATE_COMMIT").map(str::to_owned),
            adapter: gpu.report().clone(),
            software: gpu.is_cpu(),
            kernel_family: gpu.family(),
            tuned: gpu.tuning().measured,
            clock: gpu.clock()?,
            convolution,
            peaks,
            rows: Vec::new(),
            slopes: Vec::new(),
        })
    }

    /// Reads what `--json` or `--out` wrote.
    ///
    /// # Errors
    /// Input, if the file cannot be read or is no such document.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file::read(path, LONGEST_RECORD)?;
        serde_json::from_slice(&bytes).map_err(|why| {
            let wanted = "a document that striate bench wrote";
            Error::input(path, why, wanted, "Write one with striate bench --out FILE.json")
        })
    }

    /// The rows whose results are wrong.
    pub fn wrong(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.wrong.is_some())
    }

    /// Takes the best of these peaks and those before, and says of every row what bounds it, and how near it
    /// comes.
    pub fn relate(&mut self, peaks: &Peaks) {
        self.peaks = self.peaks.best(peaks);
        let peaks = self.peaks;
        for row in self.rows.iter_mut().filter_map(|row| row.measured.as_mut()) {
            let at_peak = |amount: Option<f64>, peak: f64| amount.map_or(0.0, |a| a / 1e9 / peak);
            let arithmetic = at_peak(row.operations, peaks.arithmetic_gflops);
            let memory = at_peak(row.bytes, peaks.memory_gb_per_s);
            let (least, bound) = match memory > arithmetic {
                true => (memory, Bound::Memory),
                false => (arithmetic, Bound::Arithmetic),
            };
            row.bound = (least > 0.0).then_some(bound);
            row.share = (least > 0.0).then_some(least / row.seconds.median_s);
        }
    }
}
