//! A progress bar with rate and time left.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A progress bar on stderr; hidden where stderr is no terminal. It vanishes when it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    step: &'static str,
}

/// Rounded: digits behind the point would only flicker.
fn rate(state: &ProgressState, to: &mut dyn Write) {
    // Writing to the bar cannot fail.
    let _ = write!(to, "{:.0}/s", state.per_sec());
}

/// Parts that a step is cut into.
const PARTS: f64 = 1000.0;

impl Progress {
    /// Counts `total` things called `unit`.
    pub fn new(unit: &'static str, total: usize, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let template = "{msg:9} {bar:30} {pos}/{len}, {rate}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", rate));
        }
        // Seen before anything is done.
        bar.set_message(if unit.is_empty() { "starting" } else { unit });
        bar.tick();
        Progress { bar, step: unit }
    }

    /// Counts shares of a whole.
    pub fn shares(quiet: bool) -> Self {
        let progress = Progress::new("", PARTS as usize, quiet);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}%, {eta} left; {msg}") {
            progress.bar.set_style(style);
        }
        progress
    }

    /// What is going on, and the share of the whole that is done.
    pub fn tell(&self, what: String, share: f64) {
        self.bar.set_message(what);
        self.bar.set_position((share * PARTS) as u64);
    }

    /// So many are done by now.
    pub fn at(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// A share of a step is done; the first step counts `total` things, those after it shares of their own
    /// work.
    pub fn share(&mut self, step: &'static str, share: f64) {
        if step != self.step {
            let first = self.step.is_empty();
            self.step = step;
            self.bar.set_message(step);
            if !first {
                self.bar.set_length(PARTS as u64);
            }
            self.bar.reset();
        }
        let length = self.bar.length().unwrap_or(PARTS as u64);
        self.bar.set_position((share * length as f64) as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
