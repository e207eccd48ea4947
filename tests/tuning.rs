//! Which tile runs: the rule, what is measured, and the file that keeps it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use striate::gpu::{AdapterChoice, Family, Gpu, Launch, Matrix, Options, Recording, Tuning};
use striate::kernels::gemm::Gemm;
use striate::kernels::relu::Relu;

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("striate-tuning-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn open(tuning: Tuning, cache: &Path) -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let family = Some(Family::Tiled);
    Gpu::open(&Options { adapter, family, tuning, cache: Some(cache.to_path_buf()), ..Options::default() })
        .unwrap()
}

/// A product of the given shape, and its matrices.
fn product(gpu: &Gpu, rows: usize, columns: usize, depth: usize) -> (Launch, Matrix) {
    let values = |rows: usize, seed: usize| {
        Array2::from_shape_fn((rows, depth), |(r, c)| ((r * 7 + c * 13 + seed) as f32 * 0.7).sin())
    };
    let a = Matrix::upload(gpu, "a", values(rows, 1).view()).unwrap();
    let b = Matrix::upload(gpu, "b", values(columns, 2).view()).unwrap();
    let c = Matrix::zeros(gpu, "c", rows, columns).unwrap();
    (Gemm::of(&a, &b, &c).launch().unwrap(), c)
}

fn run(gpu: &Gpu, launch: &Launch, times: usize) {
    let mut recording = Recording::new();
    (0..times).for_each(|_| recording.add(launch.clone()));
    gpu.run(&recording).unwrap();
}

/// Runs a launch until its class was tuned: ever more often at a time, for a fast GPU needs tens of thousands
/// of these small launches before tuning is worth it.
fn until(gpu: &Gpu, launch: &Launch, tuned: impl Fn() -> bool) {
    for round in 0..200 {
        run(gpu, launch, 4 << (round / 2).min(8));
        if tuned() {
            return;
        }
    }
    panic!("not tuned: {:?}", gpu.tuning());
}

/// The same of the first class, and returns the tile.
fn tune(gpu: &Gpu, launch: &Launch) -> String {
    until(gpu, launch, || !gpu.tuning().choices.is_empty());
    gpu.tuning().choices[0].tile.clone()
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cache.join("tuning")) else { return Vec::new() };
    entries.map(|e| e.unwrap().path()).collect()
}

#[test]
fn the_rule_takes_the_largest_tile_that_gives_enough_workgroups() {
    let cache = scratch("rule");
    let gpu = open(Tuning::Rule, &cache);
    let area = |rows, columns| {
        let (launch, _) = product(&gpu, rows, columns, 8);
        let groups = launch.groups(Family::Tiled, gpu.tile(&launch).unwrap()).unwrap();
        rows * columns / groups.iter().map(|g| *g as usize).product::<usize>()
    };
    assert_eq!(area(1024, 1024), 128 * 128);
    assert_eq!(area(1024, 64), if gpu.is_cpu() { 128 * 64 } else { 32 * 64 }, "no half-empty tiles");
    assert_eq!(area(64, 64), 32 * 64, "as many workgroups as there can be");
    let (launch, _) = product(&gpu, 512, 512, 512);
    run(&gpu, &launch, 8);
    let report = gpu.tuning();
    assert!(!report.measured && report.choices.is_empty() && files(&cache).is_empty());
    fs::remove_dir_all(cache).unwrap();
}

#[test]
fn what_was_measured_is_kept_and_read_again() {
    let cache = scratch("kept");
    let gpu = open(Tuning::Measured, &cache);
    let (launch, c) = product(&gpu, 256, 192, 256);
    run(&gpu, &launch, 1);
    assert!(files(&cache).is_empty(), "one small launch is not worth it");
    let first = gpu.download::<u32>(&c.buffer).unwrap();
    let tile = tune(&gpu, &launch);
    assert!(gpu.download::<u32>(&c.buffer).unwrap() == first, "tuning changes no bit");
    let report = gpu.tuning();
    assert_eq!(report.problem, None);
    assert_eq!(files(&cache), [report.file.clone().unwrap()]);
    assert_eq!(report.choices[0].microseconds.len(), 4, "{report:?}");
    assert!(report.choices[0].microseconds.contains_key(&tile));
    assert!(report.choices[0].class.starts_with("gemm 256x256x256"), "{report:?}");

    // The same file, the same choices, without measuring again.
    let text = fs::read_to_string(&files(&cache)[0]).unwrap();
    for chosen in ["128x128", "32x64"] {
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["choices"][0]["tile"] = chosen.into();
        fs::write(&files(&cache)[0], document.to_string()).unwrap();
        let again = open(Tuning::Measured, &cache);
        let (launch, c) = product(&again, 256, 192, 256);
        run(&again, &launch, 40);
        assert_eq!(again.tuning().choices[0].tile, chosen);
        let groups = launch.groups(Family::Tiled, again.tile(&launch).unwrap()).unwrap();
        assert_eq!(groups, if chosen == "128x128" { [2, 2, 1] } else { [3, 8, 1] });
        assert!(again.download::<u32>(&c.buffer).unwrap() == first);
        assert_eq!(fs::read_to_string(&files(&cache)[0]).unwrap(), document.to_string(), "not written again");
    }
    fs::remove_dir_all(cache).unwrap();
}

/// A kernel that has changed since is tuned anew: its file's name of a class is another.
#[test]
fn choices_of_another_text_of_the_kernel_do_not_count() {
    let cache = scratch("changed");
    let gpu = open(Tuning::Measured, &cache);
    let (launch, _) = product(&gpu, 256, 192, 256);
    tune(&gpu, &launch);
    let file = files(&cache)[0].clone();
    let mut document: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let class = document["choices"][0]["class"].as_str().unwrap().to_owned();
    let (shape, fingerprint) = class.rsplit_once(' ').unwrap();
    assert_eq!(fingerprint.len(), 8, "{class}");
    document["choices"][0]["class"] = format!("{shape} 00000000").into();
    fs::write(&file, document.to_string()).unwrap();
    let again = open(Tuning::Measured, &cache);
    let (launch, _) = product(&again, 256, 192, 256);
    until(&again, &launch, || again.tuning().choices.iter().any(|choice| choice.class == class));
    fs::remove_dir_all(cache).unwrap();
}

/// Tuning a launch overwrites its output: what stands before it in the recording must have read the old one.
#[test]
fn what_is_tuned_overwrites_nothing_that_is_still_needed() {
    let cache = scratch("order");
    let gpu = open(Tuning::Measured, &cache);
    let (launch, c) = product(&gpu, 256, 192, 256);
    // As many as it takes to learn a fast GPU's speed.
    run(&gpu, &launch, 4);
    let product = gpu.download::<f32>(&c.buffer).unwrap();
    let kept = Matrix::zeros(&gpu, "kept", 256, 192).unwrap();
    let before: Vec<f32> = (0..c.buffer.words()).map(|i| i as f32 + 1.0).collect();
    let source = gpu.upload("before", &before).unwrap();
    let (mut fill, mut recording) = (Recording::new(), Recording::new());
    fill.add(Relu { x: &source, y: &c.buffer }.launch().unwrap());
    recording.add(Relu { x: &c.buffer, y: &kept.buffer }.launch().unwrap());
    recording.add(launch);
    let mut tuned = 0;
    for round in 0..200 {
        gpu.run(&fill).unwrap();
        // The clock's launches are tuned as soon as the kernel's speed is known, others once it is worth it.
        if round < 20 {
            gpu.run(&recording).unwrap();
        } else {
            gpu.timed(&recording).unwrap();
        }
        assert!(gpu.download::<f32>(&kept.buffer).unwrap() == before);
        assert!(gpu.download::<f32>(&c.buffer).unwrap() == product);
        tuned = gpu.tuning().choices.len();
        if tuned > 0 {
            break;
        }
    }
    assert_eq!(tuned, 1, "the launch was tuned on the way");
    fs::remove_dir_all(cache).unwrap();
}

/// Whatever is wrong with the file is ignored, and the file written anew.
#[test]
fn a_damaged_file_is_ignored_and_replaced() {
    let cache = scratch("damaged");
    let gpu = open(Tuning::Measured, &cache);
    let (launch, _) = product(&gpu, 256, 192, 256);
    tune(&gpu, &launch);
    let file = files(&cache)[0].clone();
    let whole = fs::read_to_string(&file).unwrap();
    let foreign = whole.replacen(env!("CARGO_PKG_VERSION"), "0.0.0", 1);
    assert_ne!(foreign, whole);
    let damages = [
        String::new(),
        "{".into(),
        whole[..whole.len() / 2].into(),
        whole.replace("tile\"", "tile!\""),
        foreign,
    ];
    for damaged in damages {
        fs::write(&file, &damaged).unwrap();
        let again = open(Tuning::Measured, &cache);
        assert!(again.tuning().choices.is_empty(), "{damaged}");
    }
    // A tile that no longer exists is measured again.
    let mut document: serde_json::Value = serde_json::from_str(&whole).unwrap();
    document["choices"][0]["tile"] = "1x1".into();
    fs::write(&file, document.to_string()).unwrap();
    let again = open(Tuning::Measured, &cache);
    let (launch, _) = product(&again, 256, 192, 256);
    let read = || -> serde_json::Value { serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap() };
    until(&again, &launch, || read()["choices"][0]["tile"] != "1x1");
    let read = read();
    assert_ne!(read["choices"][0]["tile"], "1x1");
    assert_eq!(files(&cache), [file], "nothing else is left behind");
    fs::remove_dir_all(cache).unwrap();
}

/// No folder to write to: tuned all the same, for this run, and said.
#[test]
fn a_folder_that_cannot_be_written_costs_nothing_but_the_file() {
    let cache = scratch("closed");
    // A file where the folder should be: root may write to folders that are read-only.
    fs::write(cache.join("tuning"), "in the way").unwrap();
    let gpu = open(Tuning::Measured, &cache);
    let (launch, _) = product(&gpu, 256, 192, 256);
    tune(&gpu, &launch);
    assert!(gpu.tuning().problem.is_some());
    assert_eq!(fs::read_to_string(cache.join("tuning")).unwrap(), "in the way");
    fs::remove_dir_all(cache).unwrap();
}

/// Threads that share a device, and devices that share a file: every choice arrives, and every result is
/// right.
#[test]
fn threads_and_devices_share_a_file() {
    let cache = scratch("shared");
    let gpus = [open(Tuning::Measured, &cache), open(Tuning::Measured, &cache)];
    let sizes = [(128, 128, 512), (256, 128, 256), (128, 512, 256), (512, 128, 512)];
    std::thread::scope(|scope| {
        for (i, (rows, columns, depth)) in sizes.into_iter().enumerate() {
            let gpu = &gpus[i % 2];
            scope.spawn(move || {
                let (launch, c) = product(gpu, rows, columns, depth);
                run(gpu, &launch, 1);
                let first = gpu.download::<u32>(&c.buffer).unwrap();
                let name = format!("gemm {rows}x{columns}x{depth}");
                let tuned = || gpu.tuning().choices.iter().any(|choice| choice.class.starts_with(&name));
                until(gpu, &launch, tuned);
                assert!(gpu.download::<u32>(&c.buffer).unwrap() == first, "{name}");
            });
        }
    });
    let third = open(Tuning::Measured, &cache);
    assert_eq!(third.tuning().choices.len(), sizes.len(), "{:?}", third.tuning());
    assert_eq!(files(&cache).len(), 1);
    fs::remove_dir_all(cache).unwrap();
}
