//! Seconds of the steps of a job, for its record.

use std::collections::BTreeMap;
use std::time::Instant;

/// Measures the seconds of named steps.
pub(super) struct Clock {
    start: Instant,
    last: Instant,
    seconds: BTreeMap<String, f64>,
}

impl Clock {
    pub fn new() -> Self {
        Clock { start: Instant::now(), last: Instant::now(), seconds: BTreeMap::new() }
    }

    pub fn done(&mut self, step: &str) {
        self.seconds.insert(step.into(), self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    pub fn finish(mut self) -> BTreeMap<String, f64> {
        self.seconds.insert("total".into(), self.start.elapsed().as_secs_f64());
        self.seconds
    }
}
