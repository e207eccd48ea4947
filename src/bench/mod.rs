//! How fast this adapter is at everything that Striate does: what `striate bench` shows. The error stands
//! beside the time of every kernel, every layer, and ridge.
//!
//! Kernels run at the cases of their tests, networks layer by layer with random weights, and whole jobs on
//! data from a seed, so that no file is needed and a row means the same on every machine. Nothing is dropped
//! silently: what does not fit the memory or would take too long has a row that says so.

mod compare;
pub mod features;
mod growth;
mod kernels;
mod layers;
mod networks;
pub mod readout;
mod report;
pub mod ridge;
mod selection;
mod tasks;
mod timing;

pub use compare::{Comparison, Ratio, compare};
pub use report::{Bound, Measured, Report, Row, Section, Slope};
pub use selection::Selection;
pub use timing::{Budget, CpuSeconds, Seconds, cpu_seconds};

use crate::doctor;
use crate::error::{Kind, Result};
use crate::features::Convolution;
use crate::gpu::{Clock, Gpu};
use std::time::Instant;

/// How much is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Few runs of the smaller works.
    Quick,
    /// What says most in a few minutes on a software adapter, or seconds on a GPU.
    Usual,
    /// Every case of every kernel, and every work however long.
    All,
}

/// What to time.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which sections, and which rows of them.
    pub selection: Selection,
    /// How much.
    pub effort: Effort,
    /// Images that pass through a network together; `None` chooses.
    pub batch: Option<usize>,
    /// How convolutions of networks are computed.
    pub convolution: Convolution,
    /// Seed of weights and data.
    pub seed: u64,
}

/// A device with its peaks, and how long rows may take.
struct Bench<'a> {
    gpu: &'a Gpu,
    request: &'a Request,
    budget: Budget,
    report: Report,
}

/// Expected seconds of all runs of a row, above which it is left out unless everything was asked for.
const PATIENCE: f64 = 25.0;

/// Seconds that a GPU works before its runs count.
const WARM_UP: f64 = 0.3;

impl Bench<'_> {
    /// Why a work of so many operations is left out, if it would take too long here. It is judged by the
    /// speed of the matrix product, which is about that of whole jobs.
    fn too_long(&self, operations: f64) -> Option<String> {
        let expected = (1 + self.budget.least) as f64 * operations / (1e9 * self.report.peaks.matrix_gflops);
        let asked = self.request.effort == Effort::All;
        (!asked && expected > PATIENCE)
            .then(|| format!("would take about {expected:.0} s on this adapter; --all times it"))
    }

    /// Repeats a work until the clocks of a GPU have gone up: they are low after a pause, and the device's
    /// own clock is not, so the first runs seem slow. A processor is busy all the time.
    fn warm_up<T>(&self, mut run: impl FnMut() -> Result<T>) -> Result<()> {
        let start = Instant::now();
        let sleepy = self.report.clock == Clock::Device && !self.gpu.is_cpu();
        while sleepy && start.elapsed().as_secs_f64() < WARM_UP {
            run()?;
        }
        Ok(())
    }

    /// Adds the rows of a work. What does not fit the memory is a row that says so.
    fn add(&mut self, section: Section, name: &str, case: &str, rows: Result<Vec<Row>>) -> Result<()> {
        match rows {
            Ok(rows) => self.report.rows.extend(rows),
            Err(why) if why.kind() == Kind::Memory => {
                self.report.rows.push(Row::skipped(section, name, case, why.to_string()));
            }
            Err(why) => return Err(why),
        }
        Ok(())
    }
}

/// One thing to do, which gives one row or several.
struct Job {
    section: Section,
    name: String,
    case: String,
    work: Box<Measure>,
}

/// Gives the rows of a job.
type Measure = dyn FnOnce(&Bench<'_>) -> Result<Vec<Row>>;

/// Times what was asked for. `progress` hears what is under way and the share that is done.
///
/// # Errors
/// Usage, if a name fits nothing; Device, if the device fails. A wrong result is no error but stands in its
/// row.
pub fn run(gpu: &Gpu, request: &Request, progress: &mut dyn FnMut(String, f64)) -> Result<Report> {
    request.selection.check()?;
    progress("peaks of this adapter".into(), 0.0);
    let report = Report::new(gpu, doctor::peaks(gpu)?, request.convolution)?;
    let budget = match request.effort {
        Effort::Quick => Budget { seconds: 0.1, least: 3, most: 100 },
        Effort::Usual => Budget { seconds: 0.3, least: 3, most: 200 },
        Effort::All => Budget { seconds: 1.0, least: 5, most: 500 },
    };
    let mut bench = Bench { gpu, request, budget, report };
    let jobs: Vec<Job> =
        [kernels::jobs(request), layers::jobs(&bench), tasks::jobs(&bench), growth::jobs(request)]
            .into_iter()
            .flatten()
            .filter(|job| request.selection.has(job.section))
            .collect();
    let count = jobs.len() as f64;
    for (done, job) in jobs.into_iter().enumerate() {
        let Job { section, name, case, work } = job;
        progress(format!("{name} {case}"), done as f64 / count);
        let rows = work(&bench);
        bench.add(section, &name, &case, rows)?;
    }
    let mut report = bench.report;
    report.relate(&doctor::peaks(gpu)?);
    report.slopes = growth::slopes(&report.rows);
    Ok(report)
}
