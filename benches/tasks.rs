//! Times whole jobs against the peers': features of networks, and ridge with cross-validation, with the
//! error beside the time.
//!
//! `STRIATE_PEERS=CACHE cargo bench --bench tasks [-- --peers RESULTS.jsonl]`: CACHE is the peers' folder of
//! weights, inputs and f64 references, RESULTS the lines that their run printed; with it each work's fastest
//! and median time is given as a ratio to every peer's.

use ndarray::{Array2, Axis, s};
use std::path::{Path, PathBuf};
use striate::bench::{self, Budget, Seconds, cpu_seconds};
use striate::features::{Convolution, WeightSource};
use striate::gpu::{AdapterChoice, Gpu, Options, Tuning};
use striate::io::images::Images;
use striate::io::npy;
use striate::io::weights::WeightFile;

/// At least five runs of every work, more of short ones.
const BUDGET: Budget = Budget { seconds: 5.0, least: 5, most: 50 };

/// Seconds of a work, and CPU seconds in user mode: the median of all runs but the first, as the peers count
/// theirs.
fn time(mut work: impl FnMut()) -> (Seconds, f64) {
    let mut user = Vec::new();
    let run = || {
        let before = cpu_seconds();
        work();
        user.extend(before.zip(cpu_seconds()).map(|(before, after)| after.user - before.user));
        Ok(())
    };
    let seconds = BUDGET.by_host(run).expect("a work that runs");
    let mut user: Vec<f64> = user.into_iter().skip(1).collect();
    user.sort_by(f64::total_cmp);
    (seconds, user.get(user.len() / 2).copied().unwrap_or(f64::NAN))
}

/// A peer's line for a work.
struct Peer {
    name: String,
    work: String,
    fastest: f64,
    median: f64,
    /// CPU seconds in user mode, median of its runs.
    cpu: f64,
}

fn peers(file: Option<&String>) -> Vec<Peer> {
    let text = file.map(|f| std::fs::read_to_string(f).expect("the peers' results")).unwrap_or_default();
    let line = |line: &str| {
        let v: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| v[key].as_str().map(str::to_owned);
        let number = |key: &str| v[key].as_f64();
        Some(Peer {
            name: text("peer")?,
            work: text("work")?,
            fastest: number("min_s")?,
            median: number("median_s")?,
            cpu: number("user_s")?,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Our seconds, and how many times a peer's they are.
fn report(work: &str, (t, cpu): &(Seconds, f64), what: &str, peers: &[Peer]) {
    println!("{work:<26} {:>9} {:>9} {:>9} {:>9}  {what}", "first", "fastest", "median", "user");
    let name = format!("  ours, {} runs", t.runs);
    println!("{name:<26} {:9.4} {:9.4} {:9.4} {cpu:9.4}  seconds", t.first_s, t.fastest_s, t.median_s);
    for peer in peers.iter().filter(|peer| peer.work == work) {
        println!(
            "  {:<24} {:>9} {:9.2} {:9.2} {:9.2}  times as long takes ours",
            peer.name,
            "",
            t.fastest_s / peer.fastest,
            t.median_s / peer.median,
            cpu / peer.cpu
        );
    }
}

fn features(gpu: &Gpu, cache: &Path, peers: &[Peer]) {
    let works = [
        ("vgg19_5", "vgg19", "pool1", 48, [1, 16]),
        ("alexnet", "alexnet", "pool5", 224, [1, 16]),
        ("vgg19", "vgg19", "pool5", 64, [1, 16]),
        ("vgg19", "vgg19", "pool5", 224, [1, 1]),
    ];
    for (work, network, layer, side, batches) in works {
        let path = |name: String| cache.join("features").join(name);
        let file = WeightFile::open(&path(format!("{network}.safetensors"))).expect("weights");
        let images = Images::open(&path(format!("in_{work}_{side}.npy"))).expect("images");
        let weights = WeightSource::File(file);
        let layer = [network, layer];
        let problem = bench::features::Problem::new(gpu, images, layer, weights, Convolution::default());
        let mut problem = problem.expect("weights that fit");
        let want = npy::read_f64(&path(format!("ref_{work}_{side}_f64.npy")), None).expect("a reference");
        let mut last = 0;
        for batch in batches.into_iter().filter(|b| std::mem::replace(&mut last, *b) != *b) {
            let slab = problem.slab(gpu, batch).expect("memory");
            let mut got = Array2::zeros((0, 0));
            let timing = time(|| {
                problem.solve(gpu, &slab).expect("features");
                got = slab.matrix.download(gpu).expect("features");
            });
            let (mut off, mut norm) = (0.0, 0.0);
            for (g, w) in got.iter().zip(want.iter()) {
                off += (f64::from(*g) - w).powi(2);
                norm += w * w;
            }
            let gflop = problem.operations(gpu).expect("an estimate") * batch as f64 / 1e9;
            let what =
                format!("relative L2 {:.1e}, {:.1} GFLOP/s", (off / norm).sqrt(), gflop / timing.0.median_s);
            report(&format!("{work}_{side}_b{batch}"), &timing, &what, peers);
        }
    }
}

fn ridge(gpu: &Gpu, cache: &Path, peers: &[Peer]) {
    for n in [118usize, 1000] {
        let file = WeightFile::open(&cache.join(format!("ridge/n{n}.safetensors"))).expect("data");
        let read = |name: &str| -> Array2<f32> {
            file.read(name).expect("data").into_dimensionality().expect("two axes")
        };
        let x =
            ndarray::concatenate(Axis(0), &[read("X_train").view(), read("X_test").view()]).expect("columns");
        let y =
            ndarray::concatenate(Axis(0), &[read("Y_train").view(), read("Y_test").view()]).expect("columns");
        let mut works = Vec::new();
        for p in [9216, 36864] {
            for t in [212, 5000] {
                works.push((format!("n{n}_p{p}_t{t}"), p, t, false));
            }
        }
        if n == 118 {
            works.push(("n118_p36864_t212_centred".into(), 36864, 212, true));
        }
        for (work, p, t, centred) in works {
            let centre = |m: Array2<f32>| {
                let mean = m.slice(s![..n, ..]).mean_axis(Axis(0)).expect("rows");
                if centred { m - &mean } else { m }
            };
            let features = centre(x.slice(s![.., ..p]).to_owned());
            let responses =
                centre(y.slice(s![.., ..t]).to_owned()).reversed_axes().as_standard_layout().into_owned();
            let penalties = bench::ridge::PENALTIES;
            let problem = bench::ridge::Problem { features, responses, train: n, penalties };
            let mut found = None;
            let timing = time(|| found = Some(problem.solve(gpu).expect("a fit")));
            let what = found
                .map(|f| format!("R2 mean {:.6}, log10 lambda mean {:.4}", f.mean_r2(), f.mean_log_penalty));
            report(&work, &timing, &what.unwrap_or_default(), peers);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(cache) = std::env::var_os("STRIATE_PEERS").map(PathBuf::from).filter(|p| p.is_dir()) else {
        println!("STRIATE_PEERS names no folder of the peers' data, so there is nothing to time");
        return;
    };
    let results = peers(arguments.iter().position(|a| a == "--peers").and_then(|i| arguments.get(i + 1)));
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    // As the command runs.
    let gpu =
        Gpu::open(&Options { adapter, tuning: Tuning::Measured, ..Options::default() }).expect("an adapter");
    println!("{}", gpu.describe());
    if cache.join("features").is_dir() {
        features(&gpu, &cache, &results);
    }
    if cache.join("ridge").is_dir() {
        ridge(&gpu, &cache, &results);
    }
}
