//! Seconds of the steps of a job, for its record.

use std::collections::BTreeMap;
use std::time::Instant;

/// Measures the seconds of named steps.
pub(super) struct Clock {
    last: Instant,
    seconds: BTreeMap<String, f64>,
}

impl Clock {
    pub fn new() -> Self {
        Clock { last: Instant::now(), seconds: BTreeMap::new() }
    }

    /// What passed since the last step counts for this one.
    pub fn done(&mut self, step: &str) {
        *self.seconds.entry(step.into()).or_default() += self.last.elapsed().as_secs_f64();
        self.skip();
    }

    /// What passed since the last step counts for none.
    pub fn skip(&mut self) {
        self.last = Instant::now();
    }

    pub fn finish(mut self) -> BTreeMap<String, f64> {
        let total = self.seconds.values().sum();
        self.seconds.insert("total".into(), total);
        self.seconds
    }
}
