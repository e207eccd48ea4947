//! What an adapter can do, measured: that its kernels are right, and how fast they can be at best.

use std::time::Instant;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::{Family, Gpu, Matrix, Options, Recording};
use crate::kernels::ALL;
use crate::kernels::gemm::Gemm;
use crate::kernels::multiply_add::MultiplyAdd;
use crate::kernels::relu::Relu;

/// Sides of the matrices of the product: the largest that the time and the memory allow is what counts.
const SIDES: [usize; 4] = [512, 1024, 2048, 4096];
/// A product that takes this many seconds is long enough to hide what a submission costs.
const LONG_ENOUGH: f64 = 0.05;
/// Runs of each measurement, of which the fastest counts.
const RUNS: usize = 6;
/// Launches of the arithmetic measurement in one recording.
const PASSES: usize = 16;
/// Bytes of each of the two buffers of the memory measurement on GPUs, whose largest caches have 256 MiB, and
/// on processors, where more takes long.
const BEYOND_CACHES: [u64; 2] = [512 << 20, 128 << 20];
/// Bytes that a run of the memory measurement reads and writes.
const MOVED: [u64; 2] = [4 << 30, 512 << 20];

/// The best speeds that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// Multiplications and additions in registers, in 10^9 operations per second: the peak.
    pub arithmetic_gflops: f64,
    /// Matrix product, in 10^9 operations per second; a multiplication and an addition are two.
    pub matrix_gflops: f64,
    /// Side of the square matrices at which that was measured.
    pub matrix_side: usize,
    /// Reading and writing device memory, in 10^9 bytes per second, both counted. From one buffer to another
    /// of 512 MiB each, on processors of 128 MiB: beyond the caches. Of less where an eighth of the budget or
    /// the largest binding is less.
    pub memory_gb_per_s: f64,
    /// From the host to the device.
    pub upload_gb_per_s: f64,
    /// From the device to the host.
    pub download_gb_per_s: f64,
    /// Whether something else used the device or the cores meanwhile: runs of the arithmetic did not agree, or a
    /// product was faster than it.
    #[serde(default)]
    pub disturbed: bool,
}

/// Runs of one work whose two fastest differ by this share did not have the device to themselves.
const AGREE: f64 = 0.25;
/// More than the peak by this share is no rounding.
const ABOVE_PEAK: f64 = 1.05;

/// Whether a share of the peak is more than it can be, so that something else used the device while one of the two
/// was measured. Cooperative matrices have units of their own, whose peak is not known.
pub fn above_peak(family: Family, share: f64) -> bool {
    matches!(family, Family::Tiled | Family::Broadcast) && share > ABOVE_PEAK
}

impl Peaks {
    /// The better of each speed: other programs only ever take away from a peak.
    pub fn best(&self, other: &Peaks) -> Peaks {
        let matrix = if other.matrix_gflops > self.matrix_gflops { other } else { self };
        Peaks {
            arithmetic_gflops: self.arithmetic_gflops.max(other.arithmetic_gflops),
            matrix_gflops: matrix.matrix_gflops,
            matrix_side: matrix.matrix_side,
            memory_gb_per_s: self.memory_gb_per_s.max(other.memory_gb_per_s),
            upload_gb_per_s: self.upload_gb_per_s.max(other.upload_gb_per_s),
            download_gb_per_s: self.download_gb_per_s.max(other.download_gb_per_s),
            disturbed: self.disturbed && other.disturbed,
        }
    }
}

/// One family of the heavy kernels on an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FamilyReport {
    /// The family.
    pub family: Family,
    /// What an adapter must have for it.
    pub needs: &'static str,
    /// What of that this adapter does not have; `None` where it has all of it.
    pub lacks: Option<String>,
    /// Why it does not work where nothing is lacking: its product of two small matrices is wrong, say.
    pub fault: Option<String>,
    /// Whether it runs, and that product is right.
    pub right: bool,
    /// Whether it is what runs here.
    pub used: bool,
}

/// The families that need something which few adapters have: whether it is there, and right. Those that are
/// there and do not run on `gpu` are tried on a second device, opened by the same `options`.
pub fn families(gpu: &Gpu, options: &Options) -> Vec<FamilyReport> {
    let report = |family: Family| {
        let lacks = gpu.lacks(family).map(str::to_owned);
        let used = gpu.family() == family;
        let refused = gpu.family_choice().refused == Some(family);
        let tried = || match Gpu::open(&Options { family: Some(family), ..options.clone() }) {
            Ok(other) if other.family() == family => None,
            Ok(other) => Some(other.family_choice().why.clone()),
            Err(why) => Some(why.to_string()),
        };
        let fault = match lacks {
            Some(_) => None,
            None if used => None,
            // A second device says nothing new of what the first has tried.
            None if refused => Some(gpu.family_choice().why.clone()),
            None => tried(),
        };
        FamilyReport {
            family,
            needs: family.needs(),
            right: fault.is_none() && lacks.is_none(),
            lacks,
            fault,
            used,
        }
    };
    let all = Family::ALL.into_iter().map(|(_, family)| family);
    all.filter(|family| !family.needs().is_empty()).map(report).collect()
}

/// What the comparison of the kernels with their oracles gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTest {
    /// For each kernel its name, how many cases ran, and how many were right.
    pub kernels: Vec<(&'static str, usize, usize)>,
    /// One line for each case that was wrong.
    pub failures: Vec<String>,
}

impl SelfTest {
    /// How many cases ran, and how many of them were right.
    pub fn counts(&self) -> (usize, usize) {
        self.kernels.iter().fold((0, 0), |(ran, right), kernel| (ran + kernel.1, right + kernel.2))
    }
}

/// Compares every kernel with its oracle in f64 on the small cases of its tests. `progress` hears how many
/// kernels of [`ALL`] are done.
///
/// # Errors
/// When the device fails; a wrong result is no error but a failure in the answer.
pub fn self_test(gpu: &Gpu, progress: impl Fn(usize)) -> Result<SelfTest> {
    let mut test = SelfTest { kernels: Vec::new(), failures: Vec::new() };
    for (done, entry) in ALL.iter().enumerate() {
        progress(done);
        let (mut ran, mut right) = (0, 0);
        for case in (entry.cases)().into_iter().filter(|case| !case.timed) {
            ran += 1;
            match (case.build)(gpu)?.check(gpu)? {
                Ok(_) => right += 1,
                Err(why) => test.failures.push(format!("{} {}: {why}", entry.kernel.name(), case.label)),
            }
        }
        test.kernels.push((entry.kernel.name(), ran, right));
    }
    Ok(test)
}

/// Measures the best speeds, in a second or two.
///
/// # Errors
/// [`crate::Kind::Memory`] when the budget is below some 50 MiB; otherwise when the device fails.
pub fn peaks(gpu: &Gpu) -> Result<Peaks> {
    let (arithmetic_gflops, agree) = arithmetic(gpu)?;
    let (matrix_gflops, matrix_side) = matrix_product(gpu)?;
    let memory_gb_per_s = memory(gpu)?;
    // 16 or 64 MiB: much longer than it takes to begin.
    let side = if gpu.is_cpu() { 2048 } else { 4096 };
    let (upload_gb_per_s, download_gb_per_s) = transfers(gpu, side * side)?;
    Ok(Peaks {
        arithmetic_gflops,
        matrix_gflops,
        matrix_side,
        memory_gb_per_s,
        upload_gb_per_s,
        download_gb_per_s,
        disturbed: !agree || above_peak(gpu.family(), matrix_gflops / arithmetic_gflops),
    })
}

/// The fastest of several runs, in seconds; one more before them prepares pipelines and wakes the device.
fn fastest(run: impl FnMut() -> Result<()>) -> Result<f64> {
    Ok(two_fastest(run)?[0])
}

/// The same, and the second fastest.
fn two_fastest(mut run: impl FnMut() -> Result<()>) -> Result<[f64; 2]> {
    run()?;
    let mut all = [0.0; RUNS];
    for seconds in &mut all {
        let start = Instant::now();
        run()?;
        *seconds = start.elapsed().as_secs_f64();
    }
    all.sort_by(f64::total_cmp);
    Ok([all[0], all[1]])
}

/// Multiplications and additions in registers; values stay small. And whether runs agree.
fn arithmetic(gpu: &Gpu) -> Result<(f64, bool)> {
    let words = if gpu.is_cpu() { 1 << 16 } else { 1 << 22 };
    let y = gpu.upload("arithmetic measurement", &vec![1f32; words])?;
    let mut recording = Recording::new();
    for _ in 0..PASSES {
        recording.add(MultiplyAdd { y: &y, rounds: 64, factor: 0.5, term: 1.0 }.launch()?);
    }
    let [best, second] = two_fastest(|| gpu.run(&recording))?;
    Ok((recording.operations() / best / 1e9, second <= (1.0 + AGREE) * best))
}

/// The fastest matrix product, in 10^9 operations per second: what estimates of time are made from.
///
/// # Errors
/// As [`peaks`].
pub fn matrix_speed(gpu: &Gpu) -> Result<f64> {
    Ok(matrix_product(gpu)?.0)
}

fn matrix_product(gpu: &Gpu) -> Result<(f64, usize)> {
    let mut best = (0.0, 0);
    for side in SIDES {
        let needed = 3 * 4 * (side * side) as u64;
        if best.1 > 0 && needed > gpu.ledger().free() / 2 {
            break;
        }
        let matrix = |what| Matrix::upload(gpu, what, Array2::from_elem((side, side), 0.5).view());
        let (a, b, c) = (matrix("left factor")?, matrix("right factor")?, matrix("product")?);
        let mut recording = Recording::new();
        recording.add(Gemm::of(&a, &b, &c).launch()?);
        let seconds = fastest(|| gpu.run(&recording))?;
        let rate = 2.0 * (side as f64).powi(3) / seconds / 1e9;
        if rate > best.0 {
            best = (rate, side);
        }
        if seconds > LONG_ENOUGH {
            break;
        }
    }
    Ok(best)
}

/// Every word is read once and written once by [`Relu`].
fn memory(gpu: &Gpu) -> Result<f64> {
    let kind = usize::from(gpu.is_cpu());
    let bytes = BEYOND_CACHES[kind].min(gpu.ledger().budget() / 8).min(gpu.max_binding_bytes());
    let words = (bytes / 256 * 64).max(64) as usize;
    let passes = (MOVED[kind] / (8 * words as u64)).clamp(2, 64) as usize;
    let x = gpu.allocate("memory measurement, read", words)?;
    let y = gpu.allocate("memory measurement, written", words)?;
    let mut recording = Recording::new();
    for _ in 0..passes {
        recording.add(Relu { x: &x, y: &y }.launch()?);
    }
    let seconds = fastest(|| gpu.run(&recording))?;
    Ok((2 * 4 * words * passes) as f64 / seconds / 1e9)
}

fn transfers(gpu: &Gpu, words: usize) -> Result<(f64, f64)> {
    let host = vec![0.5f32; words];
    let buffer = gpu.allocate("transfer measurement", words)?;
    let start = buffer.slice(0, 4);
    let gigabytes = 4.0 * words as f64 / 1e9;
    let upload = fastest(|| {
        gpu.write(&buffer, 0, &host)?;
        // Uploads are queued: reading a few words waits for them.
        gpu.download::<f32>(&start).map(drop)
    })?;
    let download = fastest(|| gpu.download::<f32>(&buffer).map(drop))?;
    Ok((gigabytes / upload, gigabytes / download))
}
