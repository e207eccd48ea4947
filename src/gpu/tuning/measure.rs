//! Times a launch with each of its tiles. It only writes its output, so running it more than once is
//! harmless.

use super::store::Choice;
use super::{Class, Known};
use crate::error::Result;
use crate::gpu::device::Gpu;
use crate::gpu::kernel::{Grid, Launch};
use crate::gpu::run::Step;
use std::time::Instant;

/// Seconds that one run should take at most: longer launches are cut for the measurement.
const RUN_SECONDS: f64 = 0.01;
/// Launches that cannot be cut to this are left to the rule.
const LONGEST_RUN: f64 = 0.1;
/// Seconds that a reading should span at least: shorter launches are run several times.
const READING_SECONDS: f64 = 0.002;
/// Readings of each tile, in turns with the others.
const ROUNDS: usize = 3;
/// Seconds after which no further round is begun.
const MOST_SECONDS: f64 = 0.3;
/// A tile so many times slower than the fastest is not timed again.
const SLOW: f64 = 1.5;
/// A tile is taken in place of the rule's only if it saves this share, which noise does not.
const SAVING: f64 = 0.03;

/// The two fastest readings of the tile that is taken differ by no more than this share, or it is not kept.
const AGREE: f64 = 0.25;

/// A tile under measurement.
struct Candidate {
    tile: usize,
    step: Step,
    /// The fastest reading: other programs and waking clocks only ever add.
    seconds: f64,
    /// The one after it.
    second: f64,
}

impl Candidate {
    fn add(&mut self, seconds: f64) {
        self.second = self.second.min(seconds.max(self.seconds));
        self.seconds = self.seconds.min(seconds);
    }
}

impl Gpu {
    /// Whether a launch can be timed in reasonable time.
    pub(super) fn measurable(&self, launch: &Launch) -> bool {
        self.speeds.seconds(launch) * share(launch.grid, self.sample(launch).grid) <= LONGEST_RUN
    }

    /// Times a launch with every tile and keeps the fastest.
    pub(super) fn measure_tiles(&self, launch: &Launch) -> Result<()> {
        let class = Class::of(launch);
        let rule = self.by_rule(launch)?;
        let mut candidates = self.candidates(&self.sample(launch))?;
        let start = Instant::now();
        let name = launch.name();
        let once = candidates.first().map_or(Ok(1.0), |first| self.seconds_of(name, &first.step, 1))?;
        let runs = (READING_SECONDS / once).ceil().clamp(1.0, 64.0) as usize;
        for round in 0..ROUNDS {
            if round > 1 && start.elapsed().as_secs_f64() > MOST_SECONDS {
                break;
            }
            let best = fastest(&candidates);
            for candidate in candidates.iter_mut().filter(|c| round == 0 || c.seconds < SLOW * best) {
                let seconds = self.seconds_of(name, &candidate.step, runs)? / runs as f64;
                candidate.add(seconds);
            }
        }
        let best = fastest(&candidates);
        let saves = |c: &&Candidate| c.tile == rule && (1.0 - SAVING) * c.seconds <= best;
        let first = candidates.iter().find(|c| c.seconds <= best);
        let tile = candidates.iter().find(saves).or(first).map_or(rule, |c| c.tile);
        let mut microseconds = std::collections::BTreeMap::new();
        for candidate in &candidates {
            let name = launch.kernel.tile_name(self.family(), candidate.tile)?;
            microseconds.insert(name, (1e7 * candidate.seconds).round() / 10.0);
        }
        let tile_name = launch.kernel.tile_name(self.family(), tile)?;
        // What was measured on a busy machine is not kept, and measured again after ever more work.
        if !candidates.iter().find(|c| c.tile == tile).is_some_and(settled) {
            let tries = 1 + self.tuner.known().get(&class).map_or(0, |known| known.tries);
            self.tuner.known().insert(class, Known { tile: None, spent: 0.0, tries });
            return Ok(());
        }
        self.tuner.store().add(Choice {
            class: self.stored_name(&class, launch)?,
            tile: tile_name,
            microseconds,
        });
        self.tuner.known().insert(class, Known { tile: Some(tile), spent: 0.0, tries: 0 });
        Ok(())
    }

    /// Every tile that the launch's grid has room for, compiled and run once.
    fn candidates(&self, launch: &Launch) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for tile in 0..launch.kernel.tiles(self.family()).len() {
            if launch.groups(self.family(), tile).is_ok() {
                let step = self.step_with(launch, tile)?;
                self.compile_first(std::slice::from_ref(&step))?;
                self.seconds_of(launch.name(), &step, 1)?;
                candidates.push(Candidate { tile, step, seconds: f64::INFINITY, second: f64::INFINITY });
            }
        }
        Ok(candidates)
    }

    /// The launch, or as much of its grid as takes a run's time: fewer of the batch first, then fewer
    /// columns, then rows.
    fn sample(&self, launch: &Launch) -> Launch {
        let whole = RUN_SECONDS / self.speeds.seconds(launch);
        let mut sample = launch.clone();
        if let Grid::Tiles([columns, rows, batch]) = launch.grid
            && whole < 1.0
        {
            let part = |size: usize, share: f64, least: usize| {
                size.min(((size as f64 * share) as usize).next_multiple_of(least).max(least))
            };
            let mut left = whole;
            let few = part(batch, left, 1);
            left *= batch as f64 / few as f64;
            // Whole tiles of any size.
            let narrow = part(columns, left, 256);
            left *= columns as f64 / narrow as f64;
            sample.grid = Grid::Tiles([narrow, part(rows, left, 128), few]);
        }
        sample
    }

    /// Seconds of a submission that runs a step so many times.
    fn seconds_of(&self, name: &str, step: &Step, runs: usize) -> Result<f64> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            (0..runs).for_each(|_| step.dispatch(&mut pass));
        }
        let start = Instant::now();
        self.send(encoder.finish());
        self.wait(name)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

/// Whether two readings of a tile agree, as they do where nothing else uses the device.
fn settled(candidate: &Candidate) -> bool {
    candidate.second <= (1.0 + AGREE) * candidate.seconds
}

fn fastest(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|c| c.seconds).fold(f64::INFINITY, f64::min)
}

/// How much of a grid another one is.
fn share(whole: Grid, part: Grid) -> f64 {
    match (whole, part) {
        (Grid::Tiles(whole), Grid::Tiles(part)) => {
            whole.iter().zip(part).map(|(whole, part)| part as f64 / *whole as f64).product()
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_share_of_the_grid() {
        assert!((share(Grid::Tiles([512, 256, 8]), Grid::Tiles([256, 128, 2])) - 1.0 / 16.0).abs() < 1e-12);
    }
}
