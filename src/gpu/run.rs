//! Plays a recording: cuts it into submissions of about 100 ms by measured speed, a few of which are under
//! way at once.

use super::device::{COMPILING, Gpu};
use super::flights::{Departure, Flights};
use super::kernel::{Grid, Kernel, Launch};
use super::pipeline::Pipeline;
use super::recording::Recording;
use super::shader::Access;
use super::speeds::Estimate;
use super::tuning::WORTH_SECONDS;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

static SENTINEL: Kernel = Kernel::new("sentinel", include_str!("wgsl/sentinel.wgsl"), &[]);

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
        self.dispatch_groups(pass, self.groups);
    }

    fn dispatch_groups(&self, pass: &mut wgpu::ComputePass<'_>, [x, y, z]: [u32; 3]) {
        pass.set_pipeline(&self.pipeline.raw);
        pass.set_bind_group(0, &self.bindings, &[]);
        if !self.parameters.is_empty() {
            pass.set_immediates(0, &self.parameters);
        }
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Gpu {
    /// Runs a recording and waits for it, and for all work that was started before.
    ///
    /// # Errors
    /// Internal, if a launch does not fit its kernel; Device, if the device fails, is lost, or a sentinel is
    /// wrong.
    pub fn run(&self, recording: &Recording) -> Result<()> {
        self.start(recording)?;
        self.finish()
    }

    /// Starts a recording, after all that was started before. It waits only while several submissions are
    /// under way. Whatever is downloaded or run later comes after it; [`Gpu::finish`] waits for it.
    ///
    /// # Errors
    /// As [`Gpu::run`]; what fails on the device is an error of a later call, with the name of
    /// the submission's first launch.
    pub fn start(&self, recording: &Recording) -> Result<()> {
        self.start_proved_by(&SENTINEL, recording)
    }

    fn start_proved_by(&self, sentinel: &'static Kernel, recording: &Recording) -> Result<()> {
        let mut launches = recording.launches();
        while !launches.is_empty() {
            let (most, _) = self.speeds.cut(launches);
            let ready = self.tune(&launches[..most], WORTH_SECONDS)?;
            let (count, estimate) = self.speeds.cut(&launches[..ready]);
            let guessed = self.speeds.is_guess(&estimate);
            self.submit(sentinel, &launches[..count], estimate)?;
            if guessed {
                self.finish()?;
            }
            launches = &launches[count..];
        }
        Ok(())
    }

    /// Operations of a kernel that take about as long as a submission should, at the speed measured so far: a
    /// launch cannot be cut, so callers size theirs by this.
    pub fn affordable(&self, kernel: &Kernel) -> f64 {
        self.speeds.affordable(kernel)
    }

    pub(super) fn step(&self, launch: &Launch) -> Result<Step> {
        self.step_with(launch, self.tile(launch)?)
    }

    /// The step of a launch with the tile of this number.
    pub(super) fn step_with(&self, launch: &Launch, tile: usize) -> Result<Step> {
        let family = launch.kernel.family(self.family());
        let (_, interface) = launch.kernel.source(family)?;
        // Says what is wrong with a launch in our words, before the driver does in its own.
        let parameters = launch.pack(family)?;
        let pipeline = self.pipeline(launch, tile)?;
        let mut buffers = Vec::with_capacity(interface.bindings.len());
        for binding in &interface.bindings {
            let found = launch.buffers.iter().find(|(n, ..)| *n == binding.name);
            let (_, buffer, _) = found.ok_or_else(|| Error::internal(launch.name(), "a binding vanished"))?;
            buffers.push((binding.index, buffer));
        }
        let key = (Arc::as_ptr(&pipeline) as usize, buffers.iter().map(|(_, b)| b.key()).collect());
        let bindings = self.bindings.get(key, || {
            let mut entries = Vec::with_capacity(buffers.len());
            for (binding, buffer) in &buffers {
                let resource = wgpu::BindingResource::Buffer(buffer.binding());
                entries.push(wgpu::BindGroupEntry { binding: *binding, resource });
            }
            self.bind_group(launch.name(), &pipeline, &entries)
        });
        Ok(Step { pipeline, bindings, parameters, groups: launch.groups(family, tile)? })
    }

    /// Some drivers compile a pipeline when it is first dispatched, lavapipe does: it is dispatched once without
    /// a workgroup, so that no time of work has the compiler's in it.
    pub(super) fn compile_first(&self, steps: &[Step]) -> Result<()> {
        let cold = |step: &&Step| !step.pipeline.dispatched.load(Ordering::Relaxed);
        let cold: Vec<&Step> = steps.iter().filter(cold).collect();
        if cold.is_empty() {
            return Ok(());
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            cold.iter().for_each(|step| step.dispatch_groups(&mut pass, [0; 3]));
        }
        let index = self.send(encoder.finish());
        self.wait_for(Some(index), "compiling kernels", COMPILING)?;
        cold.iter().for_each(|step| step.pipeline.dispatched.store(true, Ordering::Relaxed));
        Ok(())
    }

    fn bind_group(
        &self,
        name: &str,
        pipeline: &Pipeline,
        entries: &[wgpu::BindGroupEntry<'_>],
    ) -> wgpu::BindGroup {
        self.count_object();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(name),
            layout: &pipeline.layout,
            entries,
        })
    }

    /// One submission, which takes the uploads along that wait for it.
    fn submit(&self, last: &'static Kernel, launches: &[Launch], estimate: Estimate) -> Result<()> {
        self.check(launches.first().map_or("nothing", Launch::name))?;
        let mut steps = launches.iter().map(|l| self.step(l)).collect::<Result<Vec<_>>>()?;
        let mut flights = self.flights();
        let flights: &mut Flights = &mut flights;
        let departure = self.depart(flights, launches, estimate)?;
        steps.push(self.sentinel_step(last, &departure, launches)?);
        self.compile_first(&steps)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let uploads = self.take_uploads(&mut encoder);
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in &steps {
                step.dispatch(&mut pass);
            }
        }
        encoder.copy_buffer_to_buffer(&departure.sentinel.written, 0, &departure.read, 0, 8);
        let index = self.send(encoder.finish());
        uploads.recall();
        self.departed(flights, departure, launches, index);
        Ok(())
    }

    fn sentinel_step(
        &self,
        kernel: &'static Kernel,
        departure: &Departure,
        launches: &[Launch],
    ) -> Result<Step> {
        let launch = Launch::new(kernel, Grid::Items(1));
        let written =
            launches.last().and_then(|l| l.buffers.iter().find(|(.., access)| *access == Access::Write));
        let (_, written, _) = written.ok_or_else(|| Error::internal("submission", "nothing is written"))?;
        let pipeline = self.pipeline(&launch, 0)?;
        let own = &departure.sentinel;
        // All of it, so that one bind group serves whatever part was written.
        let written = written.whole();
        let key = (Arc::as_ptr(&pipeline) as usize, vec![[own.number, 0, 0], written.key()]);
        let bindings = self.bindings.get(key, || {
            let written = wgpu::BindingResource::Buffer(written.binding());
            let entries = [
                wgpu::BindGroupEntry { binding: 0, resource: own.written.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: written },
            ];
            self.bind_group("sentinel", &pipeline, &entries)
        });
        Ok(Step { pipeline, bindings, parameters: departure.expected().to_vec(), groups: [1, 1, 1] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::gpu::{Buffer, Options};
    use std::time::Instant;

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

    /// With a text that no driver's cache knows. What compiles, early or late, takes much longer than a step.
    #[test]
    fn kernels_are_compiled_before_their_first_work() {
        let lines: String =
            (0..400).map(|i| format!("v = v * v + sin(v * {i}.{}) ;\n", std::process::id())).collect();
        let text = format!(
            "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
             @compute @workgroup_size(1) fn main() {{ var v = y[0]; {lines} y[0] = v; }}"
        );
        let kernel: &'static Kernel = Box::leak(Box::new(Kernel::new("long", text.leak(), &[])));
        let gpu = Gpu::open(&Options::default()).unwrap();
        let y = gpu.allocate("y", 4).unwrap();
        gpu.flush("before").unwrap();
        let launch = Launch::new(kernel, Grid::Items(1)).write("y", &y);
        let start = Instant::now();
        let steps = [gpu.step(&launch).unwrap()];
        let made = start.elapsed();
        gpu.compile_first(&steps).unwrap();
        let compiling = start.elapsed();
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        steps[0].dispatch(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
        let start = Instant::now();
        gpu.send(encoder.finish());
        gpu.wait("work").unwrap();
        let working = start.elapsed();
        eprintln!(
            "compiled in {compiling:?}, {:?} of it at the first dispatch; worked {working:?}",
            compiling - made
        );
        assert!(working < compiling / 4, "{working:?} after {compiling:?}");
    }

    /// A driver that gives up without a word is found by what it did not write, by whatever waits next, and
    /// no later call trusts the device, whoever makes it.
    #[test]
    fn a_submission_that_does_not_reach_its_end_is_an_error() {
        type Wait = fn(&Gpu, &Recording, &Buffer) -> Result<()>;
        let waits: [Wait; 3] = [
            |gpu, _, _| gpu.finish(),
            |gpu, recording, _| gpu.run(recording),
            |gpu, _, y| gpu.download::<u32>(y).map(drop),
        ];
        for wait in waits {
            let gpu = Gpu::open(&Options::default()).unwrap();
            let y = gpu.upload("y", &[0u32; 4]).unwrap();
            let mut recording = Recording::new();
            recording.add(Launch::new(&ADD, Grid::Items(1)).write("y", &y));
            gpu.start_proved_by(&SILENT, &recording).unwrap();
            let why = wait(&gpu, &recording, &y).unwrap_err();
            let text = why.to_string();
            assert!(
                why.kind() == Kind::Device && text.starts_with("add one: the device stopped before"),
                "{text}"
            );
            std::thread::scope(|scope| {
                let later = scope.spawn(|| waits.map(|wait| wait(&gpu, &recording, &y).unwrap_err()));
                for why in later.join().unwrap() {
                    let text = why.to_string();
                    assert!(text.contains("began with add one"), "{text}");
                }
            });
        }
    }
}
