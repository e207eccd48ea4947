//! Seconds of each launch by the device's own clock, where that can be believed; by the host's otherwise.

use super::device::{Gpu, LONGEST_LOOP, LOOP_TEST};
use super::kernel::{Grid, Launch};
use super::recording::Recording;
use crate::error::{Error, Kind, Result};
use std::time::Instant;

/// Launches of one timed submission: a query set of WebGPU has 4,096 slots, and a launch takes two.
const MOST_LAUNCHES: usize = 1024;

/// What times are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Timestamps that the device writes at both ends of each launch.
    Device,
    /// The host's clock around a submission of each launch alone, with what a submission costs.
    Host,
}

/// What one timed submission gave.
struct Stamps {
    /// Beginning and end of each launch, in the device's ticks.
    ticks: Vec<[u64; 2]>,
    /// From the submission to its end, by the host's clock.
    wall: f64,
}

impl Stamps {
    /// Whether the device wrote every slot, in order: a slot that it left out is 0.
    fn whole(&self) -> bool {
        let ends = self.ticks.windows(2).all(|pair| pair[0][1] <= pair[1][1]);
        ends && self.ticks.iter().all(|[begin, end]| *begin > 0 && begin <= end)
    }

    /// Ticks of each launch. Drivers may write the beginning while the launch before still runs, so a launch
    /// counts from the end of that one at the earliest.
    fn durations(&self) -> Vec<u64> {
        let mut before = 0;
        let since = |[begin, end]: &[u64; 2]| {
            let from = before.max(*begin);
            before = *end;
            end.saturating_sub(from)
        };
        self.ticks.iter().map(since).collect()
    }
}

impl Gpu {
    /// The clock that [`Gpu::timed`] reads: the device's, if its timestamps agree with the host's clock on a
    /// short piece of work, which is tried once.
    ///
    /// # Errors
    /// As [`Gpu::run`].
    pub fn clock(&self) -> Result<Clock> {
        if let Some(clock) = self.clock.get() {
            return Ok(*clock);
        }
        let able = self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let clock = if able && self.stamps_agree()? { Clock::Device } else { Clock::Host };
        Ok(*self.clock.get_or_init(|| clock))
    }

    /// Runs a recording and returns the seconds of each launch, by [`Gpu::clock`]. Each launch is a pass of
    /// its own, so the whole takes somewhat longer than [`Gpu::run`]; compilation is never counted. Where
    /// tiles are measured, those of the launches are measured first, however little they do, so that times do
    /// not hang on what ran before.
    ///
    /// # Errors
    /// As [`Gpu::run`].
    pub fn timed(&self, recording: &Recording) -> Result<Vec<f64>> {
        self.finish()?;
        match self.clock()? {
            Clock::Device => self.timed_by_device(recording.launches()),
            Clock::Host => recording.launches().iter().map(|launch| self.timed_by_host(launch)).collect(),
        }
    }

    fn timed_by_host(&self, launch: &Launch) -> Result<f64> {
        let mut alone = Recording::new();
        alone.add(launch.clone());
        self.tune(alone.launches(), 0.0)?;
        self.pipeline(launch, self.tile(launch)?)?;
        let start = Instant::now();
        self.run(&alone)?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn timed_by_device(&self, launches: &[Launch]) -> Result<Vec<f64>> {
        let period = f64::from(self.queue.get_timestamp_period()) * 1e-9;
        let mut seconds = Vec::with_capacity(launches.len());
        while seconds.len() < launches.len() {
            let rest = &launches[seconds.len()..];
            let (count, _) = self.speeds.cut(&rest[..rest.len().min(MOST_LAUNCHES)]);
            let count = self.tune(&rest[..count], 0.0)?;
            let stamps = self.stamps(&rest[..count])?;
            if !stamps.whole() {
                let found = "the device wrote no timestamps, or left its work without saying so";
                let advice = "Try again, or choose another --adapter";
                return Err(Error::new(
                    Kind::Device,
                    rest[0].name(),
                    found,
                    "a timestamp of each launch",
                    advice,
                ));
            }
            seconds.extend(stamps.durations().into_iter().map(|ticks| ticks as f64 * period));
        }
        Ok(seconds)
    }

    /// Whether the timestamps of a known piece of work, milliseconds of counting, span about what the host's
    /// clock says. The host also sees what a submission costs and how long the processor was away, so it is
    /// asked a few times.
    fn stamps_agree(&self) -> Result<bool> {
        let period = f64::from(self.queue.get_timestamp_period()) * 1e-9;
        let counted = self.allocate("clock check", 4)?;
        let count = Launch::new(&LOOP_TEST, Grid::Items(1)).set("rounds", LONGEST_LOOP as usize);
        let launches = vec![count.write("counted", &counted); 128];
        self.flush("clock check")?;
        for _ in 0..3 {
            let stamps = self.stamps(&launches)?;
            let ticks: u64 = stamps.durations().iter().sum();
            let share = ticks as f64 * period / stamps.wall;
            if stamps.whole() && (0.3..=1.02).contains(&share) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Submits launches with a pass and two timestamps each, and waits for them.
    fn stamps(&self, launches: &[Launch]) -> Result<Stamps> {
        self.push_uploads();
        let name = launches.first().map_or("nothing", Launch::name);
        let steps = launches.iter().map(|launch| self.step(launch)).collect::<Result<Vec<_>>>()?;
        self.compile_first(&steps)?;
        let slots = 2 * steps.len() as u32;
        let query_set = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count: slots,
        });
        let buffer = |usage| self.raw_buffer("timestamps", 8 * u64::from(slots), usage);
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC)?;
        let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (slot, step) in (0..slots).step_by(2).zip(&steps) {
            let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                query_set: &query_set,
                beginning_of_pass_write_index: Some(slot),
                end_of_pass_write_index: Some(slot + 1),
            });
            let timed = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            step.dispatch(&mut encoder.begin_compute_pass(&timed));
        }
        encoder.resolve_query_set(&query_set, 0..slots, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, 8 * u64::from(slots));
        let commands = encoder.finish();
        let start = Instant::now();
        self.send(commands);
        let bytes = self.map(&staging, name)?;
        let wall = start.elapsed().as_secs_f64();
        let word =
            |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0)));
        let ticks = (0..steps.len()).map(|launch| [word(16 * launch), word(16 * launch + 8)]).collect();
        Ok(Stamps { ticks, wall })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::{AdapterChoice, Kernel, Options};

    fn gpu() -> Gpu {
        let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
        Gpu::open(&Options { adapter, ..Options::default() }).unwrap()
    }

    #[test]
    fn a_launch_counts_from_the_end_of_the_one_before() {
        let stamps = |ticks: &[[u64; 2]]| Stamps { ticks: ticks.to_vec(), wall: 1.0 };
        assert_eq!(stamps(&[[5, 9], [6, 12], [20, 21]]).durations(), [4, 3, 1]);
        assert!(stamps(&[[5, 9], [6, 12]]).whole());
        for broken in [&[[5, 9], [0, 0]], &[[5, 9], [0, 12]], &[[5, 9], [13, 12]], &[[5, 9], [3, 8]]] {
            assert!(!stamps(broken).whole(), "{broken:?}");
        }
    }

    static STEPS: Kernel = Kernel::new(
        "steps",
        "struct Params { rounds: u32 }
         var<immediate> p: Params;
         @group(0) @binding(0) var<storage, read_write> y: array<u32>;
         @compute @workgroup_size(1) fn main() {
             for (var i = 0u; i < p.rounds; i++) { y[0] = y[0] * 3u + i; }
         }",
        &[],
    );

    /// Work is done once and in order, and the times of its launches are theirs: together what the host sees,
    /// and a launch that does far more takes longer.
    #[test]
    fn times_belong_to_their_launches() {
        let gpu = gpu();
        let y = gpu.upload("y", &[1u32; 4]).unwrap();
        let launch = |rounds: usize| Launch::new(&STEPS, Grid::Items(1)).write("y", &y).set("rounds", rounds);
        let mut recording = Recording::new();
        for index in 0..3000 {
            recording.add(launch(if index % 2 == 0 { 4 } else { 30_000 }).cost(1e3));
        }
        gpu.timed(&recording).unwrap();
        gpu.write(&y, 0, &[1u32]).unwrap();
        let start = Instant::now();
        let seconds = gpu.timed(&recording).unwrap();
        let wall = start.elapsed().as_secs_f64();
        let bits = gpu.download::<u32>(&y).unwrap()[0];
        gpu.write(&y, 0, &[1u32]).unwrap();
        gpu.run(&recording).unwrap();
        assert_eq!(bits, gpu.download::<u32>(&y).unwrap()[0]);
        assert_eq!(seconds.len(), 3000);
        // Half of them: on a busy machine some launches wait for a processor, short ones as long as long
        // ones.
        let median = |odd: usize| {
            let mut every: Vec<f64> = seconds.iter().skip(odd).step_by(2).copied().collect();
            every.sort_by(f64::total_cmp);
            every[every.len() / 2]
        };
        let (short, long, total) = (median(0), median(1), seconds.iter().sum::<f64>());
        let said =
            format!("{:?}: short {short}, long {long}, all {total}, host {wall}", gpu.clock().unwrap());
        assert!(total <= wall && long > 2.0 * short, "{said}");
    }
}
