//! A list of launches, to be run in order.

use super::kernel::Launch;

/// Work as plain data: it can be counted, printed, timed and run again.
#[derive(Clone, Default, Debug)]
pub struct Recording {
    launches: Vec<Launch>,
}

impl Recording {
    /// An empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a launch.
    pub fn add(&mut self, launch: Launch) {
        self.launches.push(launch);
    }

    /// The launches, in order.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// Sum of the launches' operations.
    pub fn operations(&self) -> f64 {
        self.launches.iter().map(Launch::operations).sum()
    }

    /// Sum of the launches' [bytes](Launch::bytes).
    pub fn bytes(&self) -> f64 {
        self.launches.iter().map(Launch::bytes).sum()
    }
}
