//! Times OASIS AR(1): 10,000 traces of 10,000 frames from and to the host's memory, against one core that
//! runs the published algorithm in f64, on the same traces in the same run; with the largest difference
//! between the two.
//!
//! `cargo bench --bench events [-- TRACES FRAMES]`. Wall and CPU seconds, for an adapter may use several
//! cores.

use ndarray::{Array2, ArrayView2};
use std::time::Instant;
use striate::bench::cpu_seconds;
use striate::events::{Model, Oasis, bound};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::random::Random;

/// Wall and CPU seconds of several works.
#[derive(Default, Clone, Copy)]
struct Seconds {
    wall: f64,
    cpu: f64,
}

impl Seconds {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let cpu = || cpu_seconds().map_or(0.0, |seconds| seconds.total());
        let (start, before) = (Instant::now(), cpu());
        let result = work();
        self.wall += start.elapsed().as_secs_f64();
        self.cpu += cpu() - before;
        result
    }
}

/// A pool of the published algorithm: sums, first frame, length; and for the second referee what is left
/// after it.
struct Pool {
    v: f64,
    w: f64,
    first: usize,
    length: usize,
    d: f64,
}

/// Friedrich, Zhou & Paninski 2017, algorithm 1 with the penalty's shares, as published: g to a power is an
/// exponential. `keep` holds that power in the pool instead, which nobody published, so that it is a product.
fn published(y: &[f32], model: &Model, keep: bool, c: &mut [f64], events: &mut [f64]) {
    let [g, penalty, baseline, smallest] = model.words().map(f64::from);
    let log = g.ln();
    let power = |pool: &Pool| if keep { pool.d } else { (log * pool.length as f64).exp() };
    let mut pools: Vec<Pool> = Vec::new();
    for (first, value) in y.iter().enumerate() {
        let share = if first + 1 == y.len() { penalty } else { penalty * (1.0 - g) };
        let mut last = Pool { v: f64::from(*value) - baseline - share, w: 1.0, first, length: 1, d: g };
        while let Some(before) = pools.last_mut() {
            let d = power(before);
            if before.v / before.w * d + smallest <= last.v / last.w {
                break;
            }
            before.v += d * last.v;
            before.w += d * d * last.w;
            before.length += last.length;
            before.d *= last.d;
            if let Some(joined) = pools.pop() {
                last = joined;
            }
        }
        pools.push(last);
    }
    for pool in &pools {
        let mut value = (pool.v / pool.w).max(0.0);
        for c in &mut c[pool.first..pool.first + pool.length] {
            *c = value;
            value *= g;
        }
    }
    events[0] = 0.0;
    for t in 1..y.len() {
        events[t] = c[t] - g * c[t - 1];
    }
}

/// Poisson events of one in fifty frames, in white noise of three tenths.
fn traces(random: &mut Random, rows: usize, frames: usize) -> Array2<f32> {
    let mut y = Array2::zeros((rows, frames));
    for mut row in y.rows_mut() {
        let mut c = 0.0;
        for value in &mut row {
            c = 0.95 * c + if random.uniform() < 0.02 { 1.0 } else { 0.0 };
            *value = (c + 0.3 * random.normal()) as f32;
        }
    }
    y
}

/// Ours, from host to host.
fn device(
    oasis: &mut Oasis<'_>,
    y: ArrayView2<'_, f32>,
    models: &[Model],
    parts: &mut [Seconds; 3],
) -> [Array2<f32>; 2] {
    parts[0].time(|| oasis.load(y)).expect("room on the device");
    let all: Vec<usize> = (0..y.nrows()).collect();
    parts[1].time(|| oasis.solve(&all, models)).expect("pools");
    parts[2].time(|| oasis.expand()).expect("calcium and events")
}

/// A referee's calcium of all traces, one after the other.
fn one_core(y: ArrayView2<'_, f32>, model: &Model, keep: bool, seconds: &mut Seconds) -> Array2<f64> {
    let (mut calcium, mut events) = (Array2::zeros(y.dim()), Array2::zeros(y.dim()));
    seconds.time(|| {
        for (row, y) in y.rows().into_iter().enumerate() {
            let (mut c, mut e) = (calcium.row_mut(row), events.row_mut(row));
            if let (Some(y), Some(c), Some(e)) = (y.to_slice(), c.as_slice_mut(), e.as_slice_mut()) {
                published(y, model, keep, c, e);
            }
        }
    });
    calcium
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (count, frames) =
        (numbers.first().copied().unwrap_or(10_000), numbers.get(1).copied().unwrap_or(10_000));
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter");
    println!("{}", gpu.describe());
    let at_once = Oasis::traces_at_once(&gpu, frames).min(count);
    println!("{count} traces of {frames} frames, {at_once} at once");
    let mut random = Random::stream(1, "events bench");
    // Compilation is not counted.
    let few = traces(&mut random, 8, frames);
    let model = Model { decay: 0.95, penalty: 0.5, baseline: 0.0, smallest: 0.0 };
    let mut oasis = Oasis::new(&gpu, at_once.max(8), frames).expect("room on the device");
    device(&mut oasis, few.view(), &[model; 8], &mut [Seconds::default(); 3]);
    let (mut ours, mut parts) = (Seconds::default(), [Seconds::default(); 3]);
    let mut theirs = [Seconds::default(); 2];
    let (mut worst, mut allowed) = (0.0f64, 0.0f64);
    for first in (0..count).step_by(at_once) {
        let rows = at_once.min(count - first);
        let y = traces(&mut random, rows, frames);
        let models = vec![model; rows];
        let [calcium, _] = ours.time(|| device(&mut oasis, y.view(), &models, &mut parts));
        for (referee, seconds) in theirs.iter_mut().enumerate() {
            let c = one_core(y.view(), &model, referee == 1, seconds);
            worst = calcium.iter().zip(&c).map(|(a, b)| (f64::from(*a) - b).abs()).fold(worst, f64::max);
        }
        allowed = y.rows().into_iter().map(|row| bound(&row.to_vec(), &model)).fold(allowed, f64::max);
    }
    let samples = (count * frames) as f64;
    let line = |name: &str, s: &Seconds| {
        println!("{name:<44} {:8.3} s {:8.2} cpu s {:7.2} ns a frame", s.wall, s.cpu, 1e9 * s.wall / samples);
    };
    for (name, seconds) in ["  upload", "  pools", "  calcium, events, download"].iter().zip(&parts) {
        line(name, seconds);
    }
    line("this adapter, host to host", &ours);
    for (name, seconds) in
        ["one core, as published", "one core, powers kept in the pools"].iter().zip(&theirs)
    {
        line(name, seconds);
        println!(
            "{:<44} {:8.2} times {:7.2} times in cpu seconds",
            "  takes of ours",
            seconds.wall / ours.wall,
            seconds.cpu / ours.cpu
        );
    }
    println!("largest difference {worst:.1e}, allowed {allowed:.1e}");
}
