//! An opened adapter: limits policy, memory budget, self-test, and the place where device errors are kept.

use super::adapter::{self, AdapterChoice, AdapterReport};
use super::bindings::Bindings;
use super::budget::budget;
use super::cooperative;
use super::family::{BROADCAST, Families, Family};
use super::faults::Faults;
use super::flights::Flights;
use super::kernel::{Grid, Kernel, Launch};
use super::memory::Ledger;
use super::pipeline::Pipelines;
use super::recording::Recording;
use super::speeds::Speeds;
use super::staging::Staging;
use super::timing::Clock;
use super::tuning::{Tuner, Tuning};
use crate::error::{Error, Kind, Result};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How to open an adapter.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Budget for GPU memory in bytes; `None` derives one from the adapter.
    pub max_memory: Option<u64>,
    /// The share of the derived budget that this process takes, above 0 and up to 1, where several share an
    /// adapter; `None` is all of it.
    pub memory_share: Option<f64>,
    /// Family of the heavy kernels; `None` chooses by adapter. Where the adapter lacks what it needs, or is
    /// wrong with it, [`Gpu::family_choice`] says so and another family runs.
    pub family: Option<Family>,
    /// How the tiles of the heavy kernels are chosen.
    pub tuning: Tuning,
    /// The folder of this crate's caches; `None` is `striate` in the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Keep the driver's bounds, division and loop checks, which trusted kernels run without.
    pub checked: bool,
}

/// An opened device. Cheap to share by reference; all of its methods take `&self`.
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Pipelines,
    pub(super) speeds: Speeds,
    pub(super) bindings: Arc<Bindings>,
    pub(super) staging: Staging,
    pub(super) flights: Mutex<Flights>,
    pub(super) faults: Faults,
    /// The process that opened it.
    process: u32,
    objects: AtomicU64,
    pub(super) clock: OnceLock<Clock>,
    pub(super) tuner: Tuner,
    report: AdapterReport,
    is_cpu: bool,
    pub(super) families: Families,
    ledger: Arc<Ledger>,
    failure: Arc<Mutex<Option<String>>>,
    max_loop: u32,
}

/// Callbacks of wgpu run in whichever thread polls: one may still be under way in another thread when a wait
/// returns.
pub(super) const CALLBACK: Duration = Duration::from_secs(30);

/// How long a device that failed is given to say why.
const SETTLING: Duration = Duration::from_millis(500);

/// A submission takes about 100 ms where nothing else runs: a device that needs longer than this hangs.
const WORKING: Duration = Duration::from_secs(120);

/// What compilers may take on a machine with much else to do.
pub(super) const COMPILING: Duration = Duration::from_secs(3600);

pub(super) static LOOP_TEST: Kernel = Kernel::new("loop_test", include_str!("wgsl/loop_test.wgsl"), &[]);

/// No kernel of ours loops more often, so that adapters with the 65,535 limit are right too.
pub(crate) const LONGEST_LOOP: u32 = 32_768;

impl Gpu {
    /// Opens an adapter and tests it.
    ///
    /// # Errors
    /// Adapter, if there is none, the choice fits none, the driver refuses a device, or its loops stop early.
    pub fn open(options: &Options) -> Result<Gpu> {
        let (report, adapter) = adapter::choose(&options.adapter)?;
        if !adapter.features().contains(wgpu::Features::IMMEDIATES) {
            return Err(refused(&report, "has no immediates (push constants)"));
        }
        let mut families = Families::new(&adapter, options.family);
        let opened = loop {
            match pollster::block_on(request(&adapter, families.choice.used)) {
                Err(why) if families.choice.used != Family::Tiled => {
                    families
                        .refuse(|used| format!("the driver gives no device with what {used} needs: {why}"));
                }
                other => break other,
            }
        };
        let (device, queue) = opened.map_err(|e| refused(&report, &e.to_string()))?;
        let is_cpu = report.kind == "Cpu";
        let failure = keep_failures(&device);
        let usual = || budget(&report, options.memory_share);
        let budget = options.max_memory.unwrap_or_else(usual);
        let mut gpu = Gpu {
            pipelines: Pipelines::new(options.checked),
            speeds: Speeds::new(is_cpu),
            bindings: Arc::default(),
            staging: Staging::new(budget),
            flights: Mutex::default(),
            faults: Faults::default(),
            process: std::process::id(),
            objects: AtomicU64::new(0),
            clock: OnceLock::new(),
            tuner: Tuner::new(options, &report),
            device,
            queue,
            report,
            is_cpu,
            families,
            ledger: Arc::new(Ledger::new(budget)),
            failure,
            max_loop: 0,
        };
        gpu.test_loops()?;
        gpu.settle_family(Gpu::family_is_right)?;
        Ok(gpu)
    }

    fn test_loops(&mut self) -> Result<()> {
        self.max_loop = self.count_loop(100_000)?;
        if self.count_loop(LONGEST_LOOP)? != LONGEST_LOOP {
            let found = format!("stops loops before {LONGEST_LOOP} rounds: its results would be wrong");
            return Err(refused(&self.report, &found));
        }
        Ok(())
    }

    pub(super) fn count_loop(&self, rounds: u32) -> Result<u32> {
        let counted = self.allocate("loop self-test", 4)?;
        let mut recording = Recording::new();
        let launch = Launch::new(&LOOP_TEST, Grid::Items(1)).set("rounds", rounds as usize);
        recording.add(launch.write("counted", &counted));
        self.run(&recording)?;
        Ok(self.download::<u32>(&counted)?[0])
    }

    /// The adapter that works here.
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// Whether it is a software adapter.
    pub fn is_cpu(&self) -> bool {
        self.is_cpu
    }

    /// Rounds that the self-test's loop of 100,000 made: fewer mean a driver that stops loops early.
    pub fn loop_rounds(&self) -> u32 {
        self.max_loop
    }

    /// The memory ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Largest single binding in bytes; a multiple of 256.
    pub fn max_binding_bytes(&self) -> u64 {
        self.report.max_binding_bytes.min(self.report.max_buffer_bytes).min(u64::from(u32::MAX)) & !255
    }

    /// One line for the user: which adapter works.
    pub fn describe(&self) -> String {
        let AdapterReport { name, backend, driver, pci, .. } = &self.report;
        let pci = pci.as_ref().map_or(String::new(), |pci| format!(", pci:{pci}"));
        format!("{name} ({backend}, {driver}{pci})")
    }

    /// An error if the device has ever failed: what it computes after that cannot be trusted.
    pub(super) fn check(&self, step: &str) -> Result<()> {
        if self.is_forked() {
            let found =
                "this process was forked from the one that opened the device, and has none of its threads";
            let advice =
                "Open the device after the fork, or start processes anew (\"spawn\" instead of \"fork\")";
            return Err(Error::new(Kind::Device, step, found, "the process that opened it", advice));
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.as_deref() {
            None => Ok(()),
            Some(text) => Err(Error::new(
                Kind::Device,
                step,
                text.trim(),
                "",
                "Try again; if it fails again, lower --max-memory or choose another --adapter",
            )),
        }
    }

    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Marks the device as failed for every later call, in whatever thread: it is the only one told of what
    /// it waited for.
    pub(super) fn fail(&self, why: String) {
        keep(&self.failure, why);
    }

    /// Device objects made so far: buffers, bind groups and pipelines. Work that is repeated makes none.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    pub(super) fn count_object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until all submitted work is done.
    pub(super) fn wait(&self, step: &str) -> Result<()> {
        self.wait_for(None, step, WORKING)
    }

    /// The same up to one submission.
    pub(super) fn wait_until(&self, index: wgpu::SubmissionIndex, step: &str) -> Result<()> {
        self.wait_for(Some(index), step, WORKING)
    }

    /// A finite wait: a driver that hangs is reported, not waited for.
    pub(super) fn wait_for(
        &self,
        submission_index: Option<wgpu::SubmissionIndex>,
        step: &str,
        most: Duration,
    ) -> Result<()> {
        let poll = wgpu::PollType::Wait { submission_index, timeout: Some(most) };
        if let Err(e) = self.device.poll(poll) {
            let found = format!("the device did not answer: {e}");
            let advice = "Choose another --adapter, or restart the driver";
            let error = self.cause(step, Error::new(Kind::Device, step, &found, "", advice));
            keep(&self.failure, found);
            self.abandon();
            return Err(error);
        }
        self.check(step)
    }

    /// The loss of the device, if that is what an error follows from.
    pub(super) fn cause(&self, step: &str, error: Error) -> Error {
        // A loss is reported when the work before it has ended.
        let settled = wgpu::PollType::Wait { submission_index: None, timeout: Some(SETTLING) };
        let _ = self.device.poll(settled);
        self.check(step).err().unwrap_or(error)
    }

    /// wgpu waits without end for a queue that is dropped with work on it; this one is never dropped.
    fn abandon(&self) {
        std::mem::forget((self.device.clone(), self.queue.clone()));
    }

    /// Sends what was written and waits for it, so that staged copies do not pile up.
    ///
    /// # Errors
    /// Device, if the device fails.
    pub fn flush(&self, step: &str) -> Result<()> {
        self.push_uploads();
        self.finish()?;
        self.wait(step)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.is_forked() {
            self.abandon();
        }
    }
}

fn refused(report: &AdapterReport, found: &str) -> Error {
    Error::new(
        Kind::Adapter,
        format!("adapter {}", report.name),
        found,
        "a device with WebGPU's default limits and immediates",
        "Update the GPU driver, or choose another with --adapter",
    )
}

/// Features that are taken where the adapter has them.
const WELCOME: wgpu::Features = BROADCAST.union(wgpu::Features::TIMESTAMP_QUERY);

/// A kernel sees WebGPU's defaults, so that it fails here if it would fail on a laptop; memory is the
/// adapter's.
fn request(
    adapter: &wgpu::Adapter,
    family: Family,
) -> impl Future<Output = std::result::Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError>> {
    let limits = wgpu::Limits {
        max_buffer_size: adapter.limits().max_buffer_size,
        max_storage_buffer_binding_size: adapter.limits().max_storage_buffer_binding_size,
        max_immediate_size: 128,
        ..wgpu::Limits::default()
    };
    adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("striate"),
        required_features: wgpu::Features::IMMEDIATES
            | (adapter.features() & WELCOME)
            | cooperative::features(family),
        experimental_features: cooperative::consent(family),
        required_limits: limits,
        ..Default::default()
    })
}

/// Keeps the first failure.
fn keep(slot: &Mutex<Option<String>>, text: String) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
}

/// wgpu panics on errors that nobody catches, and reports a lost device only through a callback: keep both.
fn keep_failures(device: &wgpu::Device) -> Arc<Mutex<Option<String>>> {
    let failure = Arc::new(Mutex::new(None));
    let slot = failure.clone();
    device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| keep(&slot, e.to_string())));
    let slot = failure.clone();
    device.set_device_lost_callback(move |reason, text| {
        keep(&slot, format!("the device was lost ({reason:?}): {text}"));
    });
    failure
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_an_error_of_every_later_step() {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let buffer = gpu.upload("words", &[1u32, 2, 3, 4]).unwrap();
        assert_eq!(gpu.download::<u32>(&buffer).unwrap(), [1, 2, 3, 4]);
        gpu.device.destroy();
        drop(gpu.wait("the end"));
        for _ in 0..2 {
            let error = gpu.allocate("more", 4).unwrap_err();
            assert_eq!(error.kind(), Kind::Device);
            assert!(error.to_string().contains("lost"), "{error}");
            assert_eq!(gpu.download::<u32>(&buffer).unwrap_err().kind(), Kind::Device);
        }
    }

    #[test]
    fn an_error_that_nobody_catches_is_kept_instead_of_a_panic() {
        let gpu = Gpu::open(&Options::default()).unwrap();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
        let wrong = wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
        drop(gpu.device.create_buffer(&wrong));
        let error = gpu.check("a step").unwrap_err().to_string();
        assert!(error.starts_with("a step: "), "{error}");
    }

    #[test]
    fn the_choice_of_an_adapter_that_is_not_there_lists_those_that_are() {
        let options = Options { adapter: AdapterChoice::parse("no such adapter"), ..Options::default() };
        let error = Gpu::open(&options).err().unwrap();
        assert_eq!(error.kind(), Kind::Adapter);
        assert!(error.to_string().contains("0: "), "{error}");
    }

    /// What a child of fork has: everything but the threads.
    #[test]
    fn another_process_is_told_that_it_has_no_device() {
        let mut gpu = Gpu::open(&Options::default()).unwrap();
        let buffer = gpu.upload("words", &[1u32; 4]).unwrap();
        gpu.process += 1;
        let errors = [
            gpu.allocate("more", 4).unwrap_err(),
            gpu.download::<u32>(&buffer).unwrap_err(),
            gpu.write(&buffer, 0, &[2u32]).unwrap_err(),
            gpu.count_loop(3).unwrap_err(),
            gpu.finish().unwrap_err(),
        ];
        for why in errors {
            assert!(why.kind() == Kind::Device && why.to_string().contains("forked"), "{why}");
        }
        gpu.process -= 1;
        assert_eq!(gpu.download::<u32>(&buffer).unwrap(), [1; 4]);
    }
}
