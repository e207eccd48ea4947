//! Times the training of factored readouts: the peers' works with the curve of the loss beside the time, and
//! one configuration against sixteen.
//!
//! `STRIATE_PEERS=CACHE cargo bench --bench readout [-- --peers RESULTS.jsonl]`: CACHE is the peers' folder,
//! whose `readout/data.safetensors` has features, responses and the common start; RESULTS the lines that
//! their run printed.

use ndarray::{Array2, s};
use std::path::Path;
use std::time::Instant;
use striate::bench::cpu_seconds;
use striate::bench::readout::{Problem, SHAPE, losses, operations, settings, shared};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::weights::WeightFile;
use striate::training::{Data, Resident, Settings, Trainer};

/// Seconds of an epoch: fastest, median, CPU; and the loss of each, the mean over configurations. The first
/// is warm-up.
struct Run {
    fastest: f64,
    median: f64,
    cpu: f64,
    losses: Vec<f64>,
}

fn train(trainer: &mut Trainer<'_>) -> Run {
    let (mut seconds, mut cpu, mut curves) = (Vec::new(), 0.0, Vec::new());
    while !trainer.done() {
        let user = || cpu_seconds().map_or(0.0, |seconds| seconds.user);
        let (start, before) = (Instant::now(), user());
        curves.extend(trainer.epoch().expect("an epoch").iter().map(losses));
        if trainer.epochs() > 1 {
            cpu += user() - before;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let count = curves.len() as f64;
    let losses = (0..curves[0].len()).map(|e| curves.iter().map(|c| c[e]).sum::<f64>() / count).collect();
    cpu /= seconds.len() as f64;
    seconds.sort_by(f64::total_cmp);
    Run { fastest: seconds[0], median: seconds[seconds.len() / 2], cpu, losses }
}

/// A peer's line for a work: its name, fastest and median seconds, and losses.
fn peers(file: Option<&String>, work: &str) -> Vec<(String, f64, f64, Vec<f64>)> {
    let text = file.map(|f| std::fs::read_to_string(f).expect("the peers' results")).unwrap_or_default();
    let line = |line: &str| {
        let v: serde_json::Value = serde_json::from_str(line).ok()?;
        let losses = v["check"]["loss"].as_array()?.iter().filter_map(serde_json::Value::as_f64).collect();
        let name = v["peer"].as_str()?.to_owned();
        (v["work"] == work).then_some((name, v["min_s"].as_f64()?, v["median_s"].as_f64()?, losses))
    };
    text.lines().filter_map(line).collect()
}

fn report(work: &str, gflop: f64, run: &Run, file: Option<&String>) {
    let curve: Vec<String> = run.losses.iter().map(|l| format!("{l:.6}")).collect();
    println!(
        "{work:<16} {:8.3} s  {:8.3} s median  {:8.3} cpu s  {:6.1} GFLOP/s  loss {}",
        run.fastest,
        run.median,
        run.cpu,
        gflop / run.median,
        curve.join(" ")
    );
    for (name, fastest, median, losses) in peers(file, work) {
        let apart = run.losses.iter().zip(&losses).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
        println!(
            "  {name:<28} {median:8.3} s median, ours takes {:.2} of its fastest, {:.2} of its median; losses apart {apart:.1e}",
            run.fastest / fastest,
            run.median / median
        );
    }
}

fn works(gpu: &Gpu, cache: &Path, file: Option<&String>) {
    let data = WeightFile::open(&cache.join("readout/data.safetensors")).expect("the peers' data");
    let two = |name: &str| -> Array2<f32> {
        data.read(name).expect("a tensor").into_dimensionality().expect("two axes")
    };
    let maps = data.read("r").expect("features");
    let images = maps.shape()[0];
    let features = Array2::from_shape_vec((images, SHAPE.iter().product()), maps.iter().copied().collect())
        .expect("maps");
    let (y, masks, weights) = (two("y"), two("m0"), two("w0"));
    let all: Vec<usize> = (0..images).collect();
    let grid: Vec<Settings> = [0.0, 1e-5, 1e-4, 1e-3]
        .iter()
        .flat_map(|l1| [0.0, 1e-4, 1e-3, 1e-2].map(|laplace| settings(*l1, laplace)))
        .collect();
    let one = vec![settings(1e-4, 1e-3)];
    for (work, neurons, all_settings) in
        [("l212", 212, &one), ("l2000", 2000, &one), ("g16_l212_stacked", 212, &grid)]
    {
        let shared = shared(6);
        let resident = Resident::new(gpu, features.view(), SHAPE, &all, &shared).expect("features");
        let responses = y.slice(s![.., ..neurons]).t().to_owned();
        let data = Data { features: &resident, responses: responses.view(), train: &all, validation: &[] };
        let mut trainer = Trainer::new(gpu, data, &shared, all_settings).expect("a trainer");
        let (m, w) = (masks.slice(s![.., ..neurons]), weights.slice(s![.., ..neurons]));
        trainer.start_from(m, w, &vec![0.0; neurons]).expect("a start");
        let run = train(&mut trainer);
        let columns = neurons * all_settings.len();
        report(work, 1e-9 * operations(images, columns), &run, file);
    }
}

/// Sixteen configurations against one, where few neurons leave the adapter idle and where many fill it.
fn growth(gpu: &Gpu) {
    for neurons in [4, 16, 64, 212] {
        let problem = Problem::simulated(gpu, 256, neurons, 1).expect("features");
        let seconds = |count: usize| {
            let many: Vec<Settings> =
                (0..count).map(|c| Settings { seed: c as u64, ..settings(1e-4, 1e-3) }).collect();
            train(&mut problem.trainer(gpu, 6, &many).expect("a trainer"))
        };
        let (one, many) = (seconds(1), seconds(16));
        println!(
            "{neurons:4} neurons: one configuration {:.4} s an epoch, sixteen {:.4} s: {:.1} times (cpu {:.1})",
            one.median,
            many.median,
            many.median / one.median,
            many.cpu / one.cpu
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let file = arguments.iter().position(|a| a == "--peers").and_then(|at| arguments.get(at + 1));
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter");
    println!("{}", gpu.describe());
    match std::env::var("STRIATE_PEERS") {
        Ok(cache) => works(&gpu, Path::new(&cache), file),
        Err(_) => println!("STRIATE_PEERS is not set: no works of peers"),
    }
    growth(&gpu);
}
