//! How fast kernels are here, by which recordings are cut into submissions.

use super::kernel::{Kernel, Launch};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Watchdogs of desktop drivers stop work that takes seconds, some of them silently.
const SUBMISSION_SECONDS: f64 = 0.1;

/// Below this the fixed costs of a submission hide the speed of its kernels.
const SHORT: f64 = 2e-3;

/// Measured operations per second of each kernel.
pub(super) struct Speeds {
    first_guess: f64,
    measured: Mutex<HashMap<&'static str, f64>>,
}

/// What a submission was thought to take, and by which kernels.
pub(super) struct Estimate {
    pub seconds: f64,
    kernels: Vec<&'static str>,
}

impl Speeds {
    pub fn new(is_cpu: bool) -> Self {
        // Low guesses: the first submission is small, and the next ones are cut by what it took.
        let first_guess = if is_cpu { 1e10 } else { 5e10 };
        Speeds { first_guess, measured: Mutex::new(HashMap::new()) }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<&'static str, f64>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds that a launch should take.
    pub fn seconds(&self, launch: &Launch) -> f64 {
        launch.operations() / self.of(launch.name())
    }

    /// The speed of a kernel as far as it is known.
    fn of(&self, kernel: &'static str) -> f64 {
        self.table().get(kernel).copied().unwrap_or(self.first_guess)
    }

    /// Whether the launch's kernel has been timed.
    pub fn knows(&self, launch: &Launch) -> bool {
        self.table().contains_key(launch.name())
    }

    /// Operations of a kernel that take about as long as a submission should.
    pub fn affordable(&self, kernel: &Kernel) -> f64 {
        SUBMISSION_SECONDS * self.of(kernel.name())
    }

    /// As many of the launches as go together into a submission, at least one.
    pub fn cut(&self, launches: &[Launch]) -> (usize, Estimate) {
        let mut seconds = 0.0;
        let mut count = 0;
        for launch in launches {
            let more = self.seconds(launch);
            if count > 0 && seconds + more > SUBMISSION_SECONDS {
                break;
            }
            seconds += more;
            count += 1;
        }
        let mut kernels = Vec::new();
        for launch in launches[..count].iter().filter(|launch| launch.operations() > 0.0) {
            if !kernels.contains(&launch.name()) {
                kernels.push(launch.name());
            }
        }
        (count, Estimate { seconds, kernels })
    }

    /// Whether the estimate is long, and rests on a kernel that has never been timed: what follows should
    /// wait for what it really takes.
    pub fn is_guess(&self, estimate: &Estimate) -> bool {
        let table = self.table();
        estimate.seconds >= SHORT && estimate.kernels.iter().any(|kernel| !table.contains_key(kernel))
    }

    /// Scales the rate of every kernel in the submission by how wrong the estimate was.
    pub fn learn(&self, estimate: &Estimate, took: f64) {
        if took < SHORT && estimate.seconds < SHORT {
            return;
        }
        let factor = (estimate.seconds / took).clamp(1.0 / 16.0, 16.0);
        let mut table = self.table();
        for kernel in &estimate.kernels {
            let rate = table.entry(kernel).or_insert(self.first_guess);
            *rate = (*rate * factor).clamp(1e6, 1e16);
        }
    }
}
