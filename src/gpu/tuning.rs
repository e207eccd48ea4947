//! Which tile a launch of a heavy kernel runs with. No tile changes a bit of a result, so this is about time alone.

use super::adapter::AdapterReport;
use super::device::Gpu;
use super::kernel::Launch;
use crate::error::Result;

/// How tiles are chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tuning {
    /// By a rule: the largest tile that still gives the adapter enough workgroups.
    #[default]
    Rule,
    /// Always the tile of this number in [`super::Kernel::tiles`], or the last one. For tests.
    Tile(usize),
}

/// Chooses tiles for one device.
pub(super) struct Tuner {
    tuning: Tuning,
    enough: usize,
}

impl Tuner {
    pub fn new(tuning: &Tuning, report: &AdapterReport) -> Self {
        // Two workgroups for each of the multiprocessors, which no driver counts for us: what is common of each kind.
        let enough = match report.kind.as_str() {
            "DiscreteGpu" => 128,
            "Cpu" => 8,
            _ => 32,
        };
        Tuner { tuning: tuning.clone(), enough }
    }
}

impl Gpu {
    /// The number of the tile, in [`super::Kernel::tiles`], that a launch would run with now.
    ///
    /// # Errors
    /// Internal, if the kernel's WGSL is not valid, or its grid is empty or too large.
    pub fn tile(&self, launch: &Launch) -> Result<usize> {
        let tiles = launch.kernel.tiles(self.family()).len();
        match self.tuner.tuning {
            _ if tiles < 2 => Ok(0),
            Tuning::Tile(number) => Ok(number.min(tiles - 1)),
            Tuning::Rule => self.by_rule(launch, tiles),
        }
    }

    /// The largest tile that gives enough workgroups and reaches hardly further beyond the edges than the smallest; the
    /// one with the most workgroups, where none gives enough.
    fn by_rule(&self, launch: &Launch, tiles: usize) -> Result<usize> {
        let mut best = (0, 0);
        let covered = |tile: usize| -> Result<(usize, f64)> {
            let groups = launch.groups(self.family(), tile)?.map(|g| g as usize);
            let tile = launch.kernel.tiles(self.family())[tile];
            let count = groups.iter().product::<usize>();
            Ok((count, count as f64 * f64::from(tile.rows * tile.columns)))
        };
        let least =
            (0..tiles).map(|t| covered(t).map(|c| c.1)).try_fold(f64::MAX, |l, c| c.map(|c| l.min(c)))?;
        for tile in 0..tiles {
            let (count, area) = covered(tile)?;
            if count >= self.tuner.enough && area <= 1.25 * least {
                return Ok(tile);
            }
            if count > best.1 {
                best = (tile, count);
            }
        }
        Ok(best.0)
    }
}
