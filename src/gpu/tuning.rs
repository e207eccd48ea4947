//! Which tile a launch of a heavy kernel runs with. No tile changes a bit of a result, so this is about time
//! alone.
//!
//! The first launch of a class of shapes that is worth it is timed with every tile, and what was fastest is
//! kept in a file of the user's cache folder, so that it is the same in every later run.

mod class;
mod measure;
mod store;

use super::adapter::AdapterReport;
use super::device::{Gpu, Options};
use super::kernel::Launch;
use crate::error::Result;
use class::Class;
use etcetera::base_strategy::{BaseStrategy, choose_base_strategy};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
pub use store::Choice;
use store::Store;

/// A class of shapes is timed when its launches have taken this many seconds together: of less, nothing can
/// be won back.
pub(super) const WORTH_SECONDS: f64 = 0.1;

/// How tiles are chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tuning {
    /// The fastest, measured once for each adapter, driver, kernel and class of shapes, and kept in the
    /// user's cache folder: what the command does. Never the default, for it takes whatever else uses the
    /// machine for the adapter's.
    Measured,
    /// By a rule: the largest tile that still gives the adapter enough workgroups.
    #[default]
    Rule,
    /// Always the tile of this number in [`super::Kernel::tiles`], or the last one. For tests.
    Tile(usize),
}

/// What was tuned, for `striate doctor`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TuningReport {
    /// Whether tiles are measured here, rather than chosen by the rule.
    pub measured: bool,
    /// The file of this adapter and driver, whether it is there yet or not; `None` without a cache folder.
    pub file: Option<PathBuf>,
    /// Why the file could not be written, if it could not.
    pub problem: Option<String>,
    /// Every choice of this adapter and driver, of earlier runs, too.
    pub choices: Vec<Choice>,
}

/// Chooses tiles for one device.
pub(super) struct Tuner {
    tuning: Tuning,
    enough: usize,
    known: Mutex<HashMap<Class, Known>>,
    store: Mutex<Store>,
}

/// What is known of a class.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The tile that was measured to be the fastest.
    tile: Option<usize>,
    /// Seconds that its launches should have taken so far, or since it was last measured.
    spent: f64,
    /// How often it was measured while something else used the device.
    tries: u32,
}

impl Tuner {
    pub fn new(options: &Options, report: &AdapterReport) -> Self {
        // Two workgroups for each of the multiprocessors, which no driver counts for us: what is common of
        // each kind.
        let enough = match report.kind.as_str() {
            "DiscreteGpu" => 128,
            "Cpu" => 8,
            _ => 32,
        };
        let users = || choose_base_strategy().ok().map(|base| base.cache_dir().join("striate"));
        let store = Mutex::new(Store::new(options.cache.clone().or_else(users), report));
        Tuner { tuning: options.tuning.clone(), enough, known: Mutex::default(), store }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Class, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gpu {
    /// The number of the tile, in [`super::Kernel::tiles`], that a launch runs with now.
    ///
    /// # Errors
    /// Internal, if the kernel's WGSL is not valid, or its grid is empty or too large.
    pub fn tile(&self, launch: &Launch) -> Result<usize> {
        let tiles = launch.kernel.tiles(self.family()).len();
        if tiles < 2 {
            return Ok(0);
        }
        match self.tuner.tuning {
            Tuning::Tile(number) => Ok(number.min(tiles - 1)),
            Tuning::Rule => self.by_rule(launch),
            Tuning::Measured => {
                let seconds = self.speeds.seconds(launch);
                match self.known(launch, seconds)?.tile {
                    // A launch of the class may still be too large for the grid of a small tile.
                    Some(tile) if launch.groups(self.family(), tile).is_ok() => Ok(tile),
                    _ => self.by_rule(launch),
                }
            }
        }
    }

    /// Rows x columns of the tile that a launch runs with now; `None` where its kernel has none to choose
    /// from.
    ///
    /// # Errors
    /// As [`Gpu::tile`].
    pub fn tile_name(&self, launch: &Launch) -> Result<Option<String>> {
        match launch.kernel.tiles(self.family()).len() {
            0 | 1 => Ok(None),
            _ => launch.kernel.tile_name(self.family(), self.tile(launch)?).map(Some),
        }
    }

    /// Everything that was tuned on this adapter, and where it is kept.
    pub fn tuning(&self) -> TuningReport {
        self.tuner.store().report(self.tuner.tuning == Tuning::Measured)
    }

    /// What is known of a launch's class, after `seconds` more were spent in it. The file is read when the
    /// first class is met.
    fn known(&self, launch: &Launch, seconds: f64) -> Result<Known> {
        let class = Class::of(launch);
        let mut all = self.tuner.known();
        if let Some(known) = all.get_mut(&class) {
            known.spent += seconds;
            return Ok(*known);
        }
        let wanted = self.tuner.store().tile(&self.stored_name(&class, launch)?);
        let mut known = Known { tile: None, spent: seconds, tries: 0 };
        for number in 0..launch.kernel.tiles(self.family()).len() {
            if wanted.as_deref() == Some(launch.kernel.tile_name(self.family(), number)?.as_str()) {
                known.tile = Some(number);
            }
        }
        all.insert(class, known);
        Ok(known)
    }

    /// What the file calls a class: with the kernel's fingerprint, so that one that has changed is tuned
    /// anew.
    fn stored_name(&self, class: &Class, launch: &Launch) -> Result<String> {
        Ok(format!("{class} wgsl {}", launch.kernel.fingerprint(self.family())?))
    }

    /// The largest tile that gives enough workgroups and reaches hardly further beyond the edges than the
    /// best does; the one with the most workgroups, where none gives enough.
    fn by_rule(&self, launch: &Launch) -> Result<usize> {
        let tiles = launch.kernel.tiles(self.family());
        let mut sizes = Vec::with_capacity(tiles.len());
        for (number, tile) in tiles.iter().enumerate() {
            // A grid that is too large for one tile may fit another.
            if let Ok(groups) = launch.groups(self.family(), number) {
                let count: usize = groups.iter().map(|g| *g as usize).product();
                sizes.push((number, count, count as f64 * f64::from(tile.rows * tile.columns)));
            }
        }
        let least = sizes.iter().map(|(.., area)| *area).fold(f64::INFINITY, f64::min);
        let fits = sizes.iter().find(|(_, count, area)| *count >= self.tuner.enough && *area <= 1.25 * least);
        let most = || sizes.iter().rev().max_by_key(|(_, count, _)| *count);
        match fits.or_else(most) {
            Some((number, ..)) => Ok(*number),
            // None fits: the first says why.
            None => launch.groups(self.family(), 0).map(|_| 0),
        }
    }

    /// How many of the launches of a submission may go before one is to be tuned, after the first was, if it
    /// is that one. Everything before it has to be done then, so that what it overwrites is no longer needed.
    /// Classes are tuned that have taken `worth` seconds.
    pub(super) fn tune(&self, launches: &[Launch], worth: f64) -> Result<usize> {
        let tuned = |launch: &Launch| launch.kernel.tiles(self.family()).len() > 1;
        if self.tuner.tuning != Tuning::Measured || !launches.iter().any(tuned) {
            return Ok(launches.len());
        }
        if self.wants_tuning(&launches[0], worth)? {
            self.finish()?;
            self.measure_tiles(&launches[0])?;
        }
        for (count, launch) in launches.iter().enumerate().skip(1) {
            if tuned(launch) && self.wants_tuning(launch, worth)? {
                return Ok(count);
            }
        }
        Ok(launches.len())
    }

    fn wants_tuning(&self, launch: &Launch, worth: f64) -> Result<bool> {
        if launch.kernel.tiles(self.family()).len() < 2 || !self.speeds.knows(launch) {
            return Ok(false);
        }
        let known = self.known(launch, 0.0)?;
        let worth = known.spent + self.speeds.seconds(launch) >= worth * f64::from(known.tries + 1).powi(3);
        Ok(known.tile.is_none() && worth && self.measurable(launch))
    }
}
