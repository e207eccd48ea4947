//! Times whole works against the peers': features of networks, and ridge with cross-validation, with the error beside
//! the time.
//!
//! `STRIATE_PEERS=CACHE cargo bench --bench tasks [-- --peers RESULTS.jsonl]`: CACHE is the peers' folder of weights,
//! inputs and f64 references, RESULTS the lines that their run printed; with it each work's fastest and median time is
//! given as a ratio to every peer's.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use std::path::{Path, PathBuf};
use std::time::Instant;
use striate::features::{LayerRequest, NetworkSource, Slab, WeightSource};
use striate::gpu::{AdapterChoice, Gpu, Matrix, Options};
use striate::io::images::{Filter, Images, Normalise, Preparation};
use striate::io::npy;
use striate::io::split::folds;
use striate::io::weights::WeightFile;
use striate::networks::Network;
use striate::ridge::{Penalties, Plan, Space, fit};
use striate::routines::Gram;

/// Seconds of a work, run for some seconds and at least three times.
struct Timing {
    first: f64,
    fastest: f64,
    median: f64,
    cpu: f64,
}

fn time(mut work: impl FnMut()) -> Timing {
    let start = Instant::now();
    work();
    let first = start.elapsed().as_secs_f64();
    let (mut seconds, cpu, begin) = (Vec::new(), cpu_seconds(), Instant::now());
    while seconds.len() < 3 || (begin.elapsed().as_secs_f64() < 5.0 && seconds.len() < 20) {
        let start = Instant::now();
        work();
        seconds.push(start.elapsed().as_secs_f64());
    }
    let cpu = (cpu_seconds() - cpu) / seconds.len() as f64;
    seconds.sort_by(f64::total_cmp);
    Timing { first, fastest: seconds[0], median: seconds[seconds.len() / 2], cpu }
}

/// CPU seconds of this process in user mode, all threads, a CPU driver's workers included; 0 where it cannot be read.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields.get(11).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}

/// The peers' lines: (peer, work, fastest, median).
fn peers(file: Option<&String>) -> Vec<(String, String, f64, f64)> {
    let text = file.map(|f| std::fs::read_to_string(f).expect("the peers' results")).unwrap_or_default();
    let line = |line: &str| {
        let v: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| v[key].as_str().map(str::to_owned);
        Some((text("peer")?, text("work")?, v["min_s"].as_f64()?, v["median_s"].as_f64()?))
    };
    text.lines().filter_map(line).collect()
}

fn report(work: &str, t: &Timing, what: &str, peers: &[(String, String, f64, f64)]) {
    println!(
        "{work:<26} first {:7.3} s, fastest {:8.4} s, median {:8.4} s, cpu {:8.4} s  {what}",
        t.first, t.fastest, t.median, t.cpu
    );
    for (peer, _, fastest, median) in peers.iter().filter(|p| p.1 == work) {
        println!(
            "    {:.2} of {peer}'s fastest, {:.2} of its median",
            t.fastest / fastest,
            t.median / median
        );
    }
}

fn features(gpu: &Gpu, cache: &Path, peers: &[(String, String, f64, f64)]) {
    let works = [
        ("vgg19_5", "vgg19", "pool1", 48, [1, 16]),
        ("alexnet", "alexnet", "pool5", 224, [1, 16]),
        ("vgg19", "vgg19", "pool5", 64, [1, 16]),
        ("vgg19", "vgg19", "pool5", 224, [1, 1]),
    ];
    for (work, network, layer, side, batches) in works {
        let path = |name: String| cache.join("features").join(name);
        let file = WeightFile::open(&path(format!("{network}.safetensors"))).expect("weights");
        let network = Network::named(network).expect("a network");
        let request = LayerRequest::new(&network, Some(layer), None).expect("a layer");
        let preparation = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
        let images = Images::open(&path(format!("in_{work}_{side}.npy"))).expect("images");
        let weights = WeightSource::File(file);
        let mut source =
            NetworkSource::new(images, preparation, network, weights, vec![request]).expect("a source");
        source.load(gpu).expect("weights that fit");
        let want = npy::read_f64(&path(format!("ref_{work}_{side}_f64.npy")), None).expect("a reference");
        let mut last = 0;
        for batch in batches.into_iter().filter(|b| std::mem::replace(&mut last, *b) != *b) {
            let columns = source.features(0);
            let matrix = Matrix::zeros(gpu, "features", batch, columns).expect("memory");
            let slabs = [Slab { layer: 0, columns: 0..columns, matrix, means: Vec::new() }];
            let mut got = Array2::zeros((0, 0));
            let timing = time(|| {
                source.fill(gpu, 0..batch, &slabs, &mut |_| ()).expect("features");
                got = slabs[0].matrix.download(gpu).expect("features");
            });
            let (mut off, mut norm) = (0.0, 0.0);
            for (g, w) in got.iter().zip(want.iter()) {
                off += (f64::from(*g) - w).powi(2);
                norm += w * w;
            }
            let gflop = source.estimate(gpu).expect("an estimate").operations * batch as f64 / 1e9;
            let what =
                format!("relative L2 {:.1e}, {:.1} GFLOP/s", (off / norm).sqrt(), gflop / timing.median);
            report(&format!("{work}_{side}_b{batch}"), &timing, &what, peers);
        }
    }
}

/// R2 of every target on held-out rows, averaged: `predictions` and `targets` are (targets, rows).
fn mean_r2(targets: ArrayView2<f32>, predictions: ArrayView2<f32>) -> f64 {
    let one = |y: Array1<f64>, p: Array1<f64>| {
        let mean = y.mean().expect("rows");
        1.0 - (&y - &p).mapv(|e| e * e).sum() / y.mapv(|v| (v - mean).powi(2)).sum()
    };
    let pairs = targets.outer_iter().zip(predictions.outer_iter());
    pairs.map(|(y, p)| one(y.mapv(f64::from), p.mapv(f64::from))).sum::<f64>() / targets.nrows() as f64
}

/// Fit, prediction and R2 of one work of the peers, from arrays in memory.
fn ridge_work(gpu: &Gpu, x: &Array2<f32>, y: &Array2<f32>, train: usize) -> (f64, f64) {
    let rows: Vec<usize> = (0..train).collect();
    let gram = Gram::new(gpu, x.nrows()).expect("memory");
    for slab in x.axis_chunks_iter(Axis(1), 16_384) {
        let matrix = Matrix::upload(gpu, "features", slab).expect("memory");
        gram.add(gpu, &matrix).expect("a device that works");
    }
    let plan = Plan {
        fit: rows.clone(),
        folds: folds(&rows, 5, None).expect("folds"),
        penalties: "absolute:-2:7:20".parse::<Penalties>().expect("penalties"),
        intercept: false,
    };
    let space = Space::Kernel(gram.finish(gpu).expect("a device that works"));
    let fitted = fit(gpu, &space, y.view(), &plan, &mut |_| ()).expect("a fit");
    let log =
        fitted.chosen.iter().map(|c| fitted.penalties[*c].log10()).sum::<f64>() / fitted.chosen.len() as f64;
    (mean_r2(y.slice(s![.., train..]), fitted.predictions.slice(s![.., train..])), log)
}

fn ridge(gpu: &Gpu, cache: &Path, peers: &[(String, String, f64, f64)]) {
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
            let mut found = (0.0, 0.0);
            let timing = time(|| found = ridge_work(gpu, &features, &responses, n));
            report(
                &work,
                &timing,
                &format!("R2 mean {:.6}, log10 lambda mean {:.4}", found.0, found.1),
                peers,
            );
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
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter");
    println!("{}", gpu.describe());
    if cache.join("features").is_dir() {
        features(&gpu, &cache, &results);
    }
    if cache.join("ridge").is_dir() {
        ridge(&gpu, &cache, &results);
    }
}
