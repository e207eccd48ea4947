//! Plays a recording: cuts it into submissions of about 100 ms by measured speed, and checks each one's sentinel.

use super::device::Gpu;
use super::kernel::{Grid, Kernel, Launch};
use super::pipeline::Pipeline;
use super::recording::Recording;
use super::shader::Access;
use crate::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Watchdogs of desktop drivers stop work that takes seconds, some of them silently.
pub(super) const SUBMISSION_SECONDS: f64 = 0.1;

static SENTINEL: Kernel = Kernel::new("sentinel", include_str!("wgsl/sentinel.wgsl"), &[]);

/// Measured operations per second of each kernel, by which submissions are cut.
pub(super) struct Speeds {
    first_guess: f64,
    measured: Mutex<HashMap<&'static str, f64>>,
    submissions: AtomicU32,
}

impl Speeds {
    pub fn new(is_cpu: bool) -> Self {
        // Low guesses: the first submission is small, and the next ones are cut by what it took.
        let first_guess = if is_cpu { 1e10 } else { 5e10 };
        Speeds { first_guess, measured: Mutex::new(HashMap::new()), submissions: AtomicU32::new(1) }
    }

    pub fn seconds(&self, launch: &Launch) -> f64 {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        launch.operations() / measured.get(launch.name()).copied().unwrap_or(self.first_guess)
    }

    /// Scales the rate of every kernel in the submission by how wrong the estimate was.
    fn learn(&self, launches: &[Launch], estimated: f64, took: f64) {
        // Fixed costs of a submission hide the speed of very short ones.
        if took < 2e-3 && estimated < 2e-3 {
            return;
        }
        let factor = (estimated / took).clamp(1.0 / 16.0, 16.0);
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        for launch in launches.iter().filter(|l| l.operations() > 0.0) {
            if !seen.contains(&launch.name()) {
                seen.push(launch.name());
                let rate = measured.entry(launch.name()).or_insert(self.first_guess);
                *rate = (*rate * factor).clamp(1e6, 1e16);
            }
        }
    }
}

/// What is left of a recording after its names have been looked up.
pub(super) struct Step {
    pipeline: Arc<Pipeline>,
    bindings: wgpu::BindGroup,
    parameters: Vec<u8>,
    groups: [u32; 3],
}

impl Step {
    /// Dispatches it in a pass.
    pub fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.raw);
        pass.set_bind_group(0, &self.bindings, &[]);
        if !self.parameters.is_empty() {
            pass.set_immediates(0, &self.parameters);
        }
        let [x, y, z] = self.groups;
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Gpu {
    /// Runs a recording and waits for it.
    ///
    /// # Errors
    /// Internal, if a launch does not fit its kernel; Device, if the device fails, is lost, or a sentinel is wrong.
    pub fn run(&self, recording: &Recording) -> Result<()> {
        self.run_proved_by(&SENTINEL, recording)
    }

    fn run_proved_by(&self, sentinel: &'static Kernel, recording: &Recording) -> Result<()> {
        let launches = recording.launches();
        let mut from = 0;
        while from < launches.len() {
            let mut to = from + 1;
            let mut estimated = self.speeds.seconds(&launches[from]);
            while to < launches.len() {
                let more = self.speeds.seconds(&launches[to]);
                if estimated + more > SUBMISSION_SECONDS {
                    break;
                }
                estimated += more;
                to += 1;
            }
            let took = self.submit(sentinel, &launches[from..to])?;
            self.speeds.learn(&launches[from..to], estimated, took);
            from = to;
        }
        Ok(())
    }

    /// Operations of a kernel that take about as long as a submission should, at the speed measured so far: a launch
    /// cannot be cut, so callers size theirs by this.
    pub fn affordable(&self, kernel: &Kernel) -> f64 {
        let measured = self.speeds.measured.lock().unwrap_or_else(PoisonError::into_inner);
        SUBMISSION_SECONDS * measured.get(kernel.name()).copied().unwrap_or(self.speeds.first_guess)
    }

    pub(super) fn step(&self, launch: &Launch) -> Result<Step> {
        let family = launch.kernel.family(self.family());
        let (_, interface) = launch.kernel.source(family)?;
        // Says what is wrong with a launch in our words, before the driver does in its own.
        let parameters = launch.pack(family)?;
        let pipeline = self.pipeline(launch)?;
        let mut entries = Vec::with_capacity(interface.bindings.len());
        for binding in &interface.bindings {
            let found = launch.buffers.iter().find(|(n, ..)| *n == binding.name);
            let (_, buffer, _) = found.ok_or_else(|| Error::internal(launch.name(), "a binding vanished"))?;
            let resource = wgpu::BindingResource::Buffer(buffer.binding());
            entries.push(wgpu::BindGroupEntry { binding: binding.index, resource });
        }
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(launch.name()),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Ok(Step { pipeline, bindings, parameters, groups: launch.groups(family)? })
    }

    /// One submission. Returns the seconds it took.
    fn submit(&self, last: &'static Kernel, launches: &[Launch]) -> Result<f64> {
        let name = launches.first().map_or("nothing", Launch::name);
        let mut steps = launches.iter().map(|l| self.step(l)).collect::<Result<Vec<_>>>()?;
        let number = self.speeds.submissions.fetch_add(1, Ordering::Relaxed);
        let sentinel = self.sentinel_buffers();
        steps.push(self.sentinel_step(last, &sentinel.0, number, launches)?);

        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in &steps {
                step.dispatch(&mut pass);
            }
        }
        encoder.copy_buffer_to_buffer(&sentinel.0, 0, &sentinel.1, 0, 8);
        let start = Instant::now();
        self.queue.submit([encoder.finish()]);
        let bytes = self.map(&sentinel.1, name)?;
        let took = start.elapsed().as_secs_f64();
        let expected = [number.to_le_bytes(), (launches.len() as u32).to_le_bytes()].concat();
        if bytes.get(..8) != Some(expected.as_slice()) {
            return Err(Error::new(
                Kind::Device,
                name,
                "the device stopped before the end of a submission without saying so",
                "the submission's sentinel",
                "A watchdog may have stopped it: close other GPU programs, or choose another --adapter",
            ));
        }
        Ok(took)
    }

    fn sentinel_buffers(&self) -> (wgpu::Buffer, wgpu::Buffer) {
        let make = |usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("sentinel"),
                size: 16,
                usage,
                mapped_at_creation: false,
            })
        };
        (
            make(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC),
            make(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        )
    }

    fn sentinel_step(
        &self,
        kernel: &'static Kernel,
        buffer: &wgpu::Buffer,
        number: u32,
        launches: &[Launch],
    ) -> Result<Step> {
        let launch = Launch::new(kernel, Grid::Items(1));
        let written =
            launches.last().and_then(|l| l.buffers.iter().find(|(.., access)| *access == Access::Write));
        let (_, written, _) = written.ok_or_else(|| Error::internal("submission", "nothing is written"))?;
        let pipeline = self.pipeline(&launch)?;
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("sentinel"),
            layout: &pipeline.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::Buffer(written.binding()),
                },
            ],
        });
        let parameters = [number.to_le_bytes(), (launches.len() as u32).to_le_bytes()].concat();
        Ok(Step { pipeline, bindings, parameters, groups: [1, 1, 1] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::gpu::Options;

    static SILENT: Kernel = Kernel::new(
        "silent sentinel",
        "struct Params { submission: u32, launches: u32 }
         var<immediate> p: Params;
         @group(0) @binding(0) var<storage, read_write> sentinel: array<u32>;
         @group(0) @binding(1) var<storage, read> last: array<u32>;
         @compute @workgroup_size(1) fn main() { if p.launches == 0u { sentinel[0] = p.submission + last[0]; } }",
        &[],
    );
    static ADD: Kernel = Kernel::new(
        "add one",
        "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
         @compute @workgroup_size(1) fn main() { y[0] += 1u; }",
        &[],
    );

    /// A driver that gives up without a word is found by what it did not write.
    #[test]
    fn a_submission_that_does_not_reach_its_end_is_an_error() {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let y = gpu.upload("y", &[0u32; 4]).unwrap();
        let mut recording = Recording::new();
        recording.add(Launch::new(&ADD, Grid::Items(1)).write("y", &y));
        let why = gpu.run_proved_by(&SILENT, &recording).unwrap_err();
        let text = why.to_string();
        assert!(
            why.kind() == Kind::Device && text.starts_with("add one: the device stopped before"),
            "{text}"
        );
        gpu.run(&recording).unwrap();
        assert_eq!(gpu.download::<u32>(&y).unwrap()[0], 2, "the work itself was done both times");
    }
}
