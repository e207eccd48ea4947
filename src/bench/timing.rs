//! Seconds of work that is repeated: runs until a budget is spent, their median, outliers, CPU seconds.

use crate::error::Result;
use crate::numbers::median;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// How long a work is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Seconds after which no further run starts.
    pub seconds: f64,
    /// Runs at least.
    pub least: usize,
    /// Runs at most.
    pub most: usize,
}

/// Seconds of one work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// The first run, with all that is prepared once: by the host's clock and with compilation, but for
    /// layers, which have their share of the first pass.
    pub first_s: f64,
    /// Median of the runs after it.
    pub median_s: f64,
    /// The fastest of them.
    pub fastest_s: f64,
    /// Number of runs after the first.
    pub runs: usize,
    /// How many of them have a modified z-score above 3.5.
    pub outliers: usize,
    /// CPU seconds of a run on average, of all threads of this process; on a software adapter these include
    /// its workers. `None` where they cannot be read.
    pub cpu_s: Option<f64>,
}

impl Seconds {
    /// Whether so many runs lie far off that something else must have used the machine: more than a tenth.
    pub fn disturbed(&self) -> bool {
        10 * self.outliers > self.runs
    }
}

impl Budget {
    /// Repeats `run`, which returns the seconds it took by whatever clock it likes. `first` are the seconds
    /// of a run that has already been.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn repeat(&self, first: f64, mut run: impl FnMut() -> Result<f64>) -> Result<Seconds> {
        let mut all = self.repeat_parts(vec![first], || Ok(vec![run()?]))?;
        all.pop().ok_or_else(|| crate::Error::internal("bench", "a work without parts"))
    }

    /// The same for a work of several parts: `run` returns the seconds of each. CPU seconds are those of the
    /// whole.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn repeat_parts(
        &self,
        first: Vec<f64>,
        mut run: impl FnMut() -> Result<Vec<f64>>,
    ) -> Result<Vec<Seconds>> {
        let mut parts = vec![Vec::new(); first.len()];
        let (begin, before, mut runs) = (Instant::now(), cpu_seconds(), 0);
        while runs < self.least || (begin.elapsed().as_secs_f64() < self.seconds && runs < self.most) {
            for (part, seconds) in parts.iter_mut().zip(run()?) {
                part.push(seconds);
            }
            runs += 1;
        }
        let each = 1.0 / runs.max(1) as f64;
        let cpu_s = before.zip(cpu_seconds()).map(|(before, after)| (after.total() - before.total()) * each);
        let summary = |(first, seconds)| summary(first, seconds, cpu_s);
        Ok(first.into_iter().zip(parts).map(summary).collect())
    }

    /// Repeats `work` by the host's clock; its first run is the `first`.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn by_host(&self, mut work: impl FnMut() -> Result<()>) -> Result<Seconds> {
        let mut timed = || {
            let start = Instant::now();
            work().map(|()| start.elapsed().as_secs_f64())
        };
        let first = timed()?;
        self.repeat(first, timed)
    }
}

fn summary(first_s: f64, mut seconds: Vec<f64>, cpu_s: Option<f64>) -> Seconds {
    seconds.sort_by(f64::total_cmp);
    let fastest_s = seconds.first().copied().unwrap_or(first_s);
    let median_s = if seconds.is_empty() { first_s } else { median(seconds.clone()) };
    Seconds { first_s, median_s, fastest_s, runs: seconds.len(), outliers: outliers(&seconds), cpu_s }
}

/// How many of sorted values have a modified z-score above 3.5: 0.6745 times the distance from the median,
/// over the median distance (Iglewicz & Hoaglin 1993, section 3.3).
fn outliers(sorted: &[f64]) -> usize {
    if sorted.len() < 3 {
        return 0;
    }
    let centre = median(sorted.to_vec());
    let distances: Vec<f64> = sorted.iter().map(|v| (v - centre).abs()).collect();
    let typical = median(distances.clone());
    distances.iter().filter(|d| 0.6745 * **d > 3.5 * typical).count()
}

/// CPU seconds of a process, all threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuSeconds {
    /// In its own code and its libraries', drivers of software adapters included.
    pub user: f64,
    /// In the operating system on its behalf.
    pub system: f64,
}

impl CpuSeconds {
    /// Both together.
    pub fn total(&self) -> f64 {
        self.user + self.system
    }
}

/// What this process has used so far, in steps of a hundredth; `None` where the system does not say.
pub fn cpu_seconds() -> Option<CpuSeconds> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, which may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let seconds = |i: usize| Some(fields.get(i)?.parse::<f64>().ok()? / 100.0);
    Some(CpuSeconds { user: seconds(11)?, system: seconds(12)? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn runs_stop_with_the_budget_and_the_first_is_not_among_them() {
        let budget = Budget { seconds: 0.0, least: 3, most: 10 };
        let mut given = [5.0, 1.0, 3.0].into_iter();
        let seconds = budget.repeat(9.0, || Ok(given.next().unwrap())).unwrap();
        assert_eq!((seconds.first_s, seconds.median_s, seconds.fastest_s), (9.0, 3.0, 1.0));
        assert_eq!((seconds.runs, seconds.outliers), (3, 0));
        let endless = Budget { seconds: 1e9, least: 1, most: 7 };
        assert_eq!(endless.repeat(0.0, || Ok(1.0)).unwrap().runs, 7);
    }

    #[test]
    fn a_run_far_off_is_an_outlier() {
        // Distances from the median 1.02: .02 .01 0 .01 .98; their median is .01, and only .98 is beyond 5.19
        // times it.
        assert_eq!(outliers(&[1.0, 1.01, 1.02, 1.03, 2.0]), 1);
        assert_eq!(outliers(&[1.0, 1.01, 1.02, 1.03, 1.04]), 0);
        assert_eq!(outliers(&[1.0, 2.0]), 0);
        let seconds = |outliers| Seconds {
            first_s: 1.0,
            median_s: 1.0,
            fastest_s: 1.0,
            runs: 20,
            outliers,
            cpu_s: None,
        };
        assert!(seconds(3).disturbed() && !seconds(2).disturbed());
    }

    #[test]
    fn cpu_seconds_grow_with_work() {
        let Some(before) = cpu_seconds() else { return };
        let start = Instant::now();
        let mut x = 1u64;
        while start.elapsed().as_secs_f64() < 0.3 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let used = cpu_seconds().unwrap().user - before.user;
        // Other threads of the tests count too; other programs may have had the core.
        assert!(used > 0.02, "{used}");
    }
}
