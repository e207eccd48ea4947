//! Events from traces: optimality conditions, brute force on short traces, and the figures on real ones.

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;
use striate::events::noise::{Decay, Welch, decay_of};
use striate::events::{Model, Oasis, Wanted, allen, ar2, bound, constrain, expand, l0, oopsi, reference};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::random::Random;

mod spikefinder;

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// Calcium of Poisson events in white noise.
fn simulated(random: &mut Random, frames: usize, decay: Decay, rate: f64, noise: f64) -> Vec<f32> {
    let (mut before, mut last) = (0.0, 0.0);
    let mut frame = || {
        let c = decay.g1 * last + decay.g2 * before + random.poisson(rate) as f64;
        (before, last) = (last, c);
        (c + noise * random.normal()) as f32
    };
    (0..frames).map(|_| frame()).collect()
}

fn ar1(g: f64) -> Decay {
    Decay { g1: g, g2: 0.0 }
}

fn rows(traces: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_fn((traces.len(), traces[0].len()), |(r, t)| traces[r][t])
}

fn loaded<'a>(gpu: &'a Gpu, y: &Array2<f32>) -> Oasis<'a> {
    let mut oasis = Oasis::new(gpu, y.nrows(), y.ncols()).expect("room");
    oasis.load(y.view()).expect("traces");
    oasis
}

/// Solves all traces on the device, a batch at a time.
fn solved(gpu: &Gpu, y: &Array2<f32>, models: &[Model]) -> [Array2<f32>; 2] {
    let oasis = loaded(gpu, y);
    oasis.solve(&(0..models.len()).collect::<Vec<_>>(), models).expect("a solution");
    oasis.expand().expect("calcium and events")
}

/// Suffix sums `sum over t >= k of g^(t - k) (x_t - c_t)` of the trace less its penalty: the optimality
/// conditions are that they are nowhere positive, and zero where an event is.
fn multipliers(y: ArrayView1<'_, f32>, c: ArrayView1<'_, f32>, model: &Model) -> Vec<f64> {
    let [g, penalty, baseline, _] = model.words().map(f64::from);
    let (mut sum, mut sums) = (0.0, vec![0.0; y.len()]);
    for t in (0..y.len()).rev() {
        let share = if t + 1 == y.len() { penalty } else { penalty * (1.0 - g) };
        let left = if y[t].is_nan() { 0.0 } else { f64::from(y[t]) - baseline - share - f64::from(c[t]) };
        sum = left + g * sum;
        sums[t] = sum;
    }
    sums
}

/// Rounding moves a residual by no more than the bound of calcium, and a suffix sum by 1 / (1 - g) of these.
#[test]
fn a_thousand_traces_satisfy_the_optimality_conditions() {
    let (gpu, mut random) = (gpu(), Random::stream(4, "events"));
    let (mut traces, mut models) = (Vec::new(), Vec::new());
    for n in 0..1000 {
        let g = random.between(0.5, 0.99);
        let rate = random.between(0.005, 0.2);
        let mut y = simulated(&mut random, 397, ar1(g), rate, 0.3);
        if n % 5 == 0 {
            let start = random.below(390);
            y[start..start + 7].fill(f32::NAN);
        }
        traces.push(y);
        let (penalty, baseline) = (random.between(0.0, 2.0) as f32, random.between(-0.1, 0.3) as f32);
        models.push(Model { decay: g as f32, penalty, baseline, smallest: 0.0 });
    }
    let y = rows(&traces);
    let [calcium, events] = solved(&gpu, &y, &models);
    let (mut worst, mut pools) = (0.0f64, 0);
    for ((y, model), (c, s)) in
        y.rows().into_iter().zip(&models).zip(calcium.rows().into_iter().zip(events.rows()))
    {
        let g = f64::from(model.decay);
        let room = bound(&y.to_vec(), model) / (1.0 - g);
        for (t, sum) in multipliers(y, c, model).into_iter().enumerate() {
            let before = if t > 0 { g * f64::from(c[t - 1]) } else { 0.0 };
            let jump = f64::from(c[t]) - before;
            assert!(c[t] >= 0.0 && s[t] >= 0.0, "negative at {t}");
            assert!(
                t == 0 || (jump - f64::from(s[t])).abs() <= 1e-5 * (1.0 + jump),
                "{jump} is not {}",
                s[t]
            );
            assert!(sum <= room, "frame {t}: {sum} is above {room} for {model:?}");
            let active = s[t] > 0.0 || (t == 0 && c[0] > 0.0);
            assert!(
                !active || sum.abs() <= room,
                "frame {t}, an event: {sum} is beyond {room} for {model:?}"
            );
            pools += usize::from(active);
            worst = worst.max(if active { sum.abs() } else { sum.max(0.0) } / room);
        }
    }
    println!("largest violation {worst:.2e} of the bound; {pools} events");
    assert!(pools > 10_000);
}

/// Lawson & Hanson 1974: the smallest `|x - K s|^2` over `s >= 0`, by sets of positive variables.
fn brute(x: &[f64], kernel: &[f64]) -> Vec<f64> {
    let n = x.len();
    let column = |j: usize| (0..n).map(move |t| if t >= j { kernel[t - j] } else { 0.0 });
    let dot = |a: usize, b: usize| column(a).zip(column(b)).map(|(a, b)| a * b).sum::<f64>();
    let gram: Vec<Vec<f64>> = (0..n).map(|a| (0..n).map(|b| dot(a, b)).collect()).collect();
    let right: Vec<f64> = (0..n).map(|a| column(a).zip(x).map(|(a, b)| a * b).sum()).collect();
    let (mut s, mut positive) = (vec![0.0; n], Vec::<usize>::new());
    loop {
        let slope = |j: usize, s: &[f64]| right[j] - (0..n).map(|k| gram[j][k] * s[k]).sum::<f64>();
        let outside = (0..n).filter(|j| !positive.contains(j));
        let Some((j, w)) = outside.map(|j| (j, slope(j, &s))).max_by(|a, b| a.1.total_cmp(&b.1)) else {
            break;
        };
        if w <= 1e-10 {
            break;
        }
        positive.push(j);
        loop {
            let z = gauss(&gram, &right, &positive);
            if z.iter().all(|z| *z > 0.0) {
                s.fill(0.0);
                positive.iter().zip(z).for_each(|(j, z)| s[*j] = z);
                break;
            }
            let ratios =
                positive.iter().zip(&z).filter(|(_, z)| **z <= 0.0).map(|(j, z)| s[*j] / (s[*j] - z));
            let step = ratios.fold(1.0, f64::min);
            positive.iter().zip(&z).for_each(|(j, z)| s[*j] += step * (z - s[*j]));
            positive.retain(|j| s[*j] > 1e-13);
        }
    }
    (0..n).map(|t| (0..=t).map(|j| kernel[t - j] * s[j]).sum()).collect()
}

/// Solves the system of some rows and columns by elimination.
fn gauss(gram: &[Vec<f64>], right: &[f64], of: &[usize]) -> Vec<f64> {
    let n = of.len();
    let mut a: Vec<Vec<f64>> =
        of.iter().map(|r| of.iter().map(|c| gram[*r][*c]).chain([right[*r]]).collect()).collect();
    for k in 0..n {
        for r in k + 1..n {
            let (above, below) = a.split_at_mut(r);
            let factor = below[0][k] / above[k][k];
            below[0].iter_mut().zip(&above[k]).for_each(|(b, a)| *b -= factor * a);
        }
    }
    let mut x = vec![0.0; n];
    for k in (0..n).rev() {
        x[k] = (a[k][n] - (k + 1..n).map(|c| a[k][c] * x[c]).sum::<f64>()) / a[k][k];
    }
    x
}

/// What an event leaves behind, and what a penalty takes off every frame.
fn response(decay: Decay, frames: usize, penalty: f64) -> (Vec<f64>, Vec<f64>) {
    let mut kernel = vec![1.0, decay.g1];
    for k in 2..frames {
        kernel.push(decay.g1 * kernel[k - 1] + decay.g2 * kernel[k - 2]);
    }
    let after = |t: usize, lag: usize, g: f64| if t + lag < frames { g } else { 0.0 };
    let shares = (0..frames).map(|t| penalty * (1.0 - after(t, 1, decay.g1) - after(t, 2, decay.g2)));
    (kernel, shares.collect())
}

#[test]
fn short_traces_equal_brute_force() {
    let (gpu, mut random) = (gpu(), Random::stream(5, "events"));
    let g = 0.9f32;
    let traces: Vec<Vec<f32>> =
        (0..24).map(|_| simulated(&mut random, 100, ar1(f64::from(g)), 0.1, 0.3)).collect();
    let models: Vec<Model> = (0..24)
        .map(|n| Model { decay: g, penalty: 0.25 * (n % 3) as f32, baseline: 0.0625, smallest: 0.0 })
        .collect();
    let [calcium, _] = solved(&gpu, &rows(&traces), &models);
    for ((y, model), c) in traces.iter().zip(&models).zip(calcium.rows()) {
        let decay = ar1(f64::from(g));
        let (kernel, shares) = response(decay, y.len(), f64::from(model.penalty));
        let x: Vec<f64> = y.iter().zip(&shares).map(|(y, p)| f64::from(*y) - 0.0625 - p).collect();
        let want = brute(&x, &kernel);
        let (own, _) = expand(&reference(y, model, 0.0).0, model, y.len());
        let worst = |c: &[f64]| c.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let device: Vec<f64> = c.iter().map(|c| f64::from(*c)).collect();
        assert!(worst(&own) < 1e-9, "the reference is {:.1e} off", worst(&own));
        assert!(worst(&device) <= bound(y, model), "the device is {:.1e} off", worst(&device));
    }
}

#[test]
fn second_order_traces_equal_brute_force_and_satisfy_the_optimality_conditions() {
    let mut random = Random::stream(6, "events");
    let mut longest = 0;
    for n in 0..60 {
        let (d, r) = (random.between(0.8, 0.98), random.between(0.1, 0.7));
        let decay = Decay { g1: d + r, g2: -d * r };
        let frames = if n < 20 { 100 } else { 3000 };
        let y = simulated(&mut random, frames, decay, 0.05, 0.5);
        let y: Vec<f64> = y.into_iter().map(f64::from).collect();
        let penalty = 0.3 * (n % 3) as f64;
        let (c, s, exchanges) = ar2::solve(&y, decay, penalty).expect("a solution");
        longest = longest.max(exchanges);
        let (kernel, shares) = response(decay, frames, penalty);
        let x: Vec<f64> = y.iter().zip(&shares).map(|(y, p)| y - p).collect();
        if n < 20 {
            let worst = brute(&x, &kernel).iter().zip(&c).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-7, "{worst:.1e} off for {decay:?}");
        }
        // Slopes of the objective along every event: never negative, and zero where one is.
        let (mut next, mut after) = (0.0, 0.0);
        for t in (0..frames).rev() {
            let slope = c[t] - x[t] + decay.g1 * next + decay.g2 * after;
            (after, next) = (next, slope);
            let room = 1e-9 / ((1.0 - d) * (1.0 - r));
            assert!(slope >= -room && s[t] >= 0.0, "frame {t}: slope {slope:.1e}");
            assert!(s[t] == 0.0 || slope.abs() <= room, "frame {t}: slope {slope:.1e} at an event");
        }
    }
    println!("at most {longest} exchanges");
}

/// Every start of the last segment tried at every frame.
fn dynamic_program(y: &[f64], g: f64, penalty: f64) -> f64 {
    let mut best = vec![-penalty];
    for t in 0..y.len() {
        let cost = |s: usize| {
            let (mut a, mut w, mut yy, mut d) = (0.0, 0.0, 0.0, 1.0);
            for v in &y[s..=t] {
                a += v * d;
                w += d * d;
                yy += v * v;
                d *= g;
            }
            best[s] + penalty + (yy - f64::max(a, 0.0).powi(2) / w) / 2.0
        };
        let least = (0..=t).map(cost).fold(f64::INFINITY, f64::min);
        best.push(least);
    }
    best[y.len()]
}

#[test]
fn the_fewest_events_equal_a_dynamic_program() {
    let mut random = Random::stream(7, "events");
    for n in 0..40 {
        let g = random.between(0.3, 0.98);
        let frames = [1, 2, 30, 150, 300][n % 5];
        let y: Vec<f64> = simulated(&mut random, frames, ar1(g), 0.1, 0.4)
            .into_iter()
            .map(|v| f64::from(v) - 0.2)
            .collect();
        let penalty = [0.0, 0.05, 0.5, 2.0][n % 4];
        let solution = l0::solve(&y, g, penalty);
        let want = dynamic_program(&y, g, penalty);
        let close = |a: f64| (a - want).abs() <= 1e-9 * (1.0 + want);
        assert!(close(solution.cost), "{} is not {want}", solution.cost);
        // The cost that it names is that of the calcium it gives.
        let misfit: f64 = y.iter().zip(&solution.calcium).map(|(y, c)| (y - c).powi(2)).sum::<f64>() / 2.0;
        assert!(close(misfit + penalty * (solution.starts.len() - 1) as f64));
    }
}

/// A silent trace outlives every power of g that f64 can hold.
#[test]
fn long_silence_does_not_lose_the_best_segment() {
    let mut y = vec![0.01; 30_000];
    for t in (3..20).chain(25_000..25_020) {
        y[t] = 5.0 * 0.5f64.powi(t as i32 % 25_000 - if t < 25_000 { 3 } else { 0 });
    }
    let solution = l0::solve(&y, 0.5, 1.0);
    assert_eq!(solution.starts, [0, 3, 25_000]);
}

#[test]
fn an_interior_point_never_climbs() {
    let mut random = Random::stream(8, "events");
    for _ in 0..10 {
        let y = simulated(&mut random, 800, ar1(0.95), 0.03, 0.2);
        let y: Vec<f64> = y.into_iter().map(f64::from).collect();
        let options = oopsi::Oopsi { time: 20.0, rate: 0.03 };
        let solution = oopsi::solve(&y, &options);
        assert!(solution.course.len() >= 14);
        for stage in &solution.course {
            assert!(stage.windows(2).all(|pair| pair[1] <= pair[0] + 1e-7), "{stage:?}");
        }
        assert!(solution.events.iter().all(|e| (0.0..=1.0).contains(e)));
    }
}

/// White noise is measured as it is; the residual has the noise's variance, and the baseline is found.
#[test]
fn a_penalty_leaves_the_noise() {
    let (gpu, mut random) = (gpu(), Random::stream(9, "events"));
    let mut traces: Vec<Vec<f32>> = (0..20)
        .map(|_| simulated(&mut random, 3000, ar1(0.93), 0.02, 0.25).iter().map(|v| v + 1.5).collect())
        .collect();
    traces[3][100..110].fill(f32::NAN);
    let welch = Welch::new(3000);
    let noises: Vec<f64> = traces.iter().map(|y| welch.noise(y)).collect();
    // Events are not smooth either, and count as a little noise.
    assert!(noises.iter().all(|n| (0.24..0.28).contains(n)), "{noises:?}");
    let estimated: Vec<f64> = traces.iter().zip(&noises).map(|(y, n)| decay_of(y, *n, 1).g1).collect();
    assert!(estimated.iter().all(|g| (g - 0.93).abs() < 0.06), "{estimated:?}");
    let wanted: Vec<Wanted> = noises
        .iter()
        .map(|n| Wanted { decay: 0.93, noise: *n, smallest: 0.0, baseline: 1.3, penalty: None })
        .collect();
    let y = rows(&traces);
    let oasis = loaded(&gpu, &y);
    let models = constrain(&oasis, &wanted, true).expect("models");
    let [calcium, _] = oasis.expand().expect("calcium");
    for (((y, c), model), noise) in y.rows().into_iter().zip(calcium.rows()).zip(&models).zip(&noises) {
        let there = || y.iter().zip(c).filter(|(y, _)| !y.is_nan());
        let left = there().map(|(y, c)| f64::from(y - c - model.baseline).powi(2)).sum::<f64>();
        let ratio = left / (noise * noise * there().count() as f64);
        assert!((ratio - 1.0).abs() < 2e-4, "{ratio} for {model:?}");
        assert!((model.baseline - 1.5).abs() < 0.2 && model.penalty > 0.0, "{model:?}");
    }
}

#[test]
fn a_long_trace_is_taken_in_pieces() {
    let (gpu, mut random) = (gpu(), Random::stream(10, "events"));
    let y = simulated(&mut random, 120_003, ar1(0.97), 0.02, 0.3);
    let model = Model { decay: 0.97, penalty: 0.5, baseline: 0.0, smallest: 0.0 };
    let [calcium, _] = solved(&gpu, &rows(std::slice::from_ref(&y)), &[model]);
    let (want, _) = expand(&reference(&y, &model, 0.0).0, &model, y.len());
    let worst = calcium.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    println!("{worst:.1e} of {:.1e}", bound(&y, &model));
    assert!(worst <= bound(&y, &model));
}

/// Events of Allen's pipeline on a simulated trace: those that were put in, none below two noise deviations
/// but for 1e-4 of the penalty.
#[test]
fn allens_pipeline_finds_what_was_put_in() {
    let (gpu, mut random) = (gpu(), Random::stream(11, "events"));
    let g = allen::decay_of_half_life(allen::HALF_LIFE, 30.0);
    let mut truth = vec![Vec::new(); 3];
    let traces: Vec<Vec<f32>> = (0..3)
        .map(|n| {
            let mut c = 0.0;
            let mut frame = |t: usize| {
                c *= g;
                if random.uniform() < 0.004 {
                    c += 0.5;
                    truth[n].push(t);
                }
                (200.0 * (1.0 + c + 0.05 * random.normal())) as f32
            };
            (0..4000).map(&mut frame).collect()
        })
        .collect();
    let (changes, noises) = allen::change(&gpu, rows(&traces).view(), 30.0, false).expect("medians");
    let found: Vec<_> = (0..3)
        .into_par_iter()
        .map(|n| {
            let y: Vec<f64> = changes.row(n).iter().map(|v| f64::from(*v)).collect();
            l0::without_small_events(&y, g, 2.0 * noises[n])
        })
        .collect();
    for ((solution, penalty), (truth, noise)) in found.iter().zip(truth.iter().zip(&noises)) {
        let found: Vec<usize> = (0..4000).filter(|t| solution.events[*t] > 0.25).collect();
        let hit = truth.iter().filter(|t| found.iter().any(|f| f.abs_diff(**t) <= 1)).count();
        println!(
            "{hit} of {} events, {} found; noise {noise:.4}, penalty {penalty:.4}",
            truth.len(),
            found.len()
        );
        assert!((noise - 0.05).abs() < 0.01 && hit * 10 >= truth.len() * 8 && found.len() <= truth.len() + 2);
    }
}
