//! Real recordings with known spikes, where `STRIATE_DATA` has them: correlations beside the published ones.

use super::{gpu, loaded};
use ndarray::Array2;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use striate::events::noise::{Decay, Welch, decay_of};
use striate::events::{Wanted, ar2, constrain, filled, oopsi};

/// Frames a second of the challenge's files.
const RATE: f64 = 100.0;

fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(std::env::var("STRIATE_DATA").unwrap_or_else(|_| "../shared/data".into()));
    let path = path.join("spikefinder");
    let there = path.is_dir();
    if !there {
        println!("STRIATE_DATA: {} is absent, so this test shows nothing", path.display());
    }
    there.then_some(path)
}

/// Columns of a table, empty fields at the end left out.
fn columns(path: &Path) -> Vec<Vec<f32>> {
    let text = std::fs::read_to_string(path).expect("a table");
    let mut columns = vec![Vec::new(); text.lines().next().expect("a header").split(',').count()];
    for line in text.lines().skip(1) {
        for (column, field) in columns.iter_mut().zip(line.split(',')) {
            column.extend(field.parse::<f32>().ok().filter(|v| !v.is_nan()));
        }
    }
    columns
}

/// Pearson's r of sums over four frames each.
fn correlation(events: &[f64], spikes: &[f32]) -> f64 {
    let sums =
        |values: &[f64]| -> Vec<f64> { values.chunks_exact(4).map(|four| four.iter().sum()).collect() };
    let spikes: Vec<f64> = spikes.iter().map(|v| f64::from(*v)).collect();
    let length = events.len().min(spikes.len());
    let (a, b) = (sums(&events[..length]), sums(&spikes[..length]));
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(&a, ma, &b, mb) / (product(&a, ma, &a, ma) * product(&b, mb, &b, mb)).sqrt()
}

/// Mean over cells of the challenge's own run of fast-OOPSI; none for sets that it did not score.
fn published(folder: &Path, set: usize) -> Option<f64> {
    let text =
        std::fs::read_to_string(folder.join("published_results_25Hz.csv")).expect("the published scores");
    let of = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let ours = fields[2] == "oopsi"
            && fields[4] == set.to_string()
            && fields[5] == "corr"
            && fields[6] == "train";
        ours.then(|| fields[7].parse::<f64>().ok()).flatten()
    };
    let scores: Vec<f64> = text.lines().skip(1).filter_map(of).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Events of OASIS with the noise's penalty and a free baseline; decay of a second where it is not estimated.
fn oasis_events(traces: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let gpu = gpu();
    let frames = traces.iter().map(Vec::len).max().expect("traces");
    // Shorter ones end in missing frames.
    let y =
        Array2::from_shape_fn((traces.len(), frames), |(r, t)| traces[r].get(t).copied().unwrap_or(f32::NAN));
    let wanted: Vec<Wanted> = traces
        .iter()
        .map(|y| {
            let noise = Welch::new(y.len()).noise(y);
            let mut sorted = y.clone();
            sorted.sort_by(f32::total_cmp);
            let decay = Decay::of_times(RATE, None).g1 as f32;
            Wanted { decay, noise, smallest: 0.0, baseline: sorted[y.len() * 15 / 100].into(), penalty: None }
        })
        .collect();
    let oasis = loaded(&gpu, &y);
    constrain(&oasis, &wanted, true).expect("models");
    let [_, events] = oasis.expand().expect("events");
    events.rows().into_iter().map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
}

fn oopsi_events(traces: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let options = oopsi::Oopsi { time: RATE, rate: 1.0 / RATE };
    let one = |y: &Vec<f32>| oopsi::solve(&filled(y).expect("a trace"), &options).events;
    traces.par_iter().map(one).collect()
}

fn ar2_events(traces: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let one = |y: &Vec<f32>| {
        let noise = Welch::new(y.len()).noise(y);
        let decay = decay_of(y, noise, 2);
        let mut sorted = y.clone();
        sorted.sort_by(f32::total_cmp);
        let baseline = f64::from(sorted[y.len() * 15 / 100]);
        let y: Vec<f64> = y.iter().map(|v| f64::from(*v) - baseline).collect();
        ar2::solve(&y, decay, 0.0).expect("a solution").1
    };
    traces.par_iter().map(one).collect()
}

#[test]
fn events_follow_spikes_as_published() {
    let Some(folder) = folder() else { return };
    for set in [4, 5, 6] {
        let calcium = columns(&folder.join(format!("{set}.train.calcium.csv")));
        let spikes = columns(&folder.join(format!("{set}.train.spikes.csv")));
        let mean = |events: Vec<Vec<f64>>| {
            let scores = events.iter().zip(&spikes).zip(&calcium);
            let scores: Vec<f64> = scores.map(|((e, s), y)| correlation(&e[..y.len()], s)).collect();
            scores.iter().sum::<f64>() / scores.len() as f64
        };
        let [oasis, oopsi, second] =
            [oasis_events(&calcium), oopsi_events(&calcium), ar2_events(&calcium)].map(mean);
        let published = published(&folder, set);
        println!(
            "set {set}: OASIS {oasis:.3}, fast-OOPSI {oopsi:.3} (published {published:.3?}), AR(2) {second:.3}"
        );
        assert!(
            oasis > 0.15 && (oopsi - published.unwrap_or(0.55)).abs() < 0.05,
            "set {set}: {oasis} and {oopsi}"
        );
    }
}
