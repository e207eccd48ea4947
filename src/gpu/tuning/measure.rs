//! Times a launch with each of its tiles. It only writes its output, so running it more than once is harmless.

use super::store::Choice;
use super::{Class, Known};
use crate::error::Result;
use crate::gpu::device::Gpu;
use crate::gpu::kernel::{Grid, Launch};
use std::time::Instant;

/// Seconds that one run should take at most: longer launches are cut for the measurement.
const RUN_SECONDS: f64 = 0.01;
/// Seconds that a reading should span at least: shorter launches are run several times.
const READING_SECONDS: f64 = 0.002;
/// Readings of each tile, of which the median counts.
const READINGS: usize = 3;
/// Seconds after which no further tile is tried.
const MOST_SECONDS: f64 = 0.4;
/// A tile is taken in place of the rule's only if it saves this share, which noise does not.
const SAVING: f64 = 0.03;

impl Gpu {
    /// Times a launch with every tile, the rule's first, and keeps the fastest.
    pub(super) fn measure_tiles(&self, launch: &Launch) -> Result<()> {
        let class = Class::of(launch);
        let rule = self.by_rule(launch)?;
        let others = (0..launch.kernel.tiles(self.family()).len()).filter(|tile| *tile != rule);
        let sample = self.sample(launch);
        let start = Instant::now();
        let mut times: Vec<(usize, f64)> = Vec::new();
        for tile in std::iter::once(rule).chain(others) {
            if sample.groups(self.family(), tile).is_ok() && start.elapsed().as_secs_f64() < MOST_SECONDS {
                let best = times.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
                times.push((tile, self.median_seconds(&sample, tile, best)?));
            }
        }
        let (fastest, seconds) =
            times.iter().copied().min_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or((rule, 0.0));
        let saves = times.first().is_none_or(|(_, of_rule)| seconds < (1.0 - SAVING) * of_rule);
        let tile = if saves { fastest } else { rule };
        let mut named = Vec::with_capacity(times.len());
        for (tile, seconds) in &times {
            named.push((launch.kernel.tile_name(self.family(), *tile)?, 1e6 * seconds));
        }
        let choice = Choice {
            class: class.to_string(),
            tile: launch.kernel.tile_name(self.family(), tile)?,
            microseconds: named.into_iter().collect(),
        };
        self.tuner.store().add(choice);
        self.tuner.known().insert(class, Known { tile: Some(tile), spent: 0.0 });
        Ok(())
    }

    /// The launch, or as much of its grid as takes a run's time: fewer of the batch first, then fewer columns, then rows.
    fn sample(&self, launch: &Launch) -> Launch {
        let share = RUN_SECONDS / self.speeds.seconds(launch);
        let mut sample = launch.clone();
        if let Grid::Tiles([columns, rows, batch]) = launch.grid
            && share < 1.0
        {
            let part = |size: usize, share: f64, least: usize| {
                size.min(((size as f64 * share) as usize).next_multiple_of(least).max(least))
            };
            let few = part(batch, share, 1);
            // Four of the widest tiles, so that whole tiles are what counts.
            let share = share * batch as f64 / few as f64;
            let narrow = part(columns, share, 1024);
            let share = share * columns as f64 / narrow as f64;
            sample.grid = Grid::Tiles([narrow, part(rows, share, 512), few]);
        }
        sample
    }

    /// The median of some readings, after a run that compiles; fewer, where it is clearly slower than the best so far.
    fn median_seconds(&self, launch: &Launch, tile: usize, best: f64) -> Result<f64> {
        let warm = self.seconds_of(launch, tile, 1)?;
        let once = self.seconds_of(launch, tile, 1)?.min(warm);
        let runs = (READING_SECONDS / once).ceil().clamp(1.0, 64.0) as usize;
        let mut readings = Vec::with_capacity(READINGS);
        while readings.len() < READINGS {
            readings.push(self.seconds_of(launch, tile, runs)? / runs as f64);
            if readings[0] > 1.5 * best {
                break;
            }
        }
        readings.sort_by(f64::total_cmp);
        Ok(readings[readings.len() / 2])
    }

    /// Seconds of a submission that runs the launch so many times.
    fn seconds_of(&self, launch: &Launch, tile: usize, runs: usize) -> Result<f64> {
        let step = self.step_with(launch, tile)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for _ in 0..runs {
                step.dispatch(&mut pass);
            }
        }
        let start = Instant::now();
        self.queue.submit([encoder.finish()]);
        self.wait(launch.name())?;
        Ok(start.elapsed().as_secs_f64())
    }
}
