//! Traces as recordings have them: in any unit, imaged in turn, with gaps, resampled.

use ndarray::{Array2, ArrayView1, s};
use std::f64::consts::PI;
use striate::events::noise::{Welch, decay_of};
use striate::events::{DecayFrom, Inferred, Method, infer};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::random::Random;
use striate::tasks::{EventsRequest, EventsSource, EventsWarning, MethodRequest, events};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// Calcium that decays by `g` a frame after random events of 1, in noise; a row of other noise each.
fn traces(rows: usize, frames: usize, g: f64) -> Array2<f32> {
    let mut random = Random::stream(12, "traces");
    let mut y = Array2::zeros((rows, frames));
    for (row, mut trace) in y.rows_mut().into_iter().enumerate() {
        let (mut c, noise) = (0.0, 0.04 * (row + 1) as f64);
        for value in &mut trace {
            c = g * c + if random.uniform() < 0.012 { 1.0 } else { 0.0 };
            *value = (c + noise * random.normal()) as f32;
        }
    }
    y
}

const METHODS: [Method; 4] = [
    Method::Oasis { decay: DecayFrom::Trace, penalty: None, smallest: 0.0 },
    Method::OasisAr2 { decay: DecayFrom::Trace, penalty: None },
    Method::Oopsi { decay: 0.6 },
    Method::L0 { half_life: 315.0, penalty: None, is_change: true },
];

#[test]
fn events_do_not_depend_on_the_unit() {
    let (gpu, y) = (gpu(), traces(4, 1600, 0.95));
    for method in METHODS {
        let found = infer(&gpu, y.view(), 30.0, &method).expect("events");
        // The largest event of fast-OOPSI is 1 in any unit.
        let unit = |scale: f32| if matches!(method, Method::Oopsi { .. }) { 1.0 } else { scale };
        for scale in [1e-3, 0.07, 1e4] {
            let scaled = infer(&gpu, (&y * scale).view(), 30.0, &method).expect("events");
            for (a, b) in found.events.iter().zip(&scaled.events) {
                assert!((a - b / unit(scale)).abs() < 2e-5, "{} x {scale}: {a}, {b}", method.name());
                assert!((*a > 1e-4) <= (*b > 0.0), "{} x {scale}: {a}, {b}", method.name());
            }
            for (a, b) in found.neurons.iter().zip(&scaled.neurons) {
                let ratio = b.noise / a.noise / f64::from(scale);
                assert!((ratio - 1.0).abs() < 1e-5, "{} x {scale}: noise x {ratio}", method.name());
            }
        }
    }
}

/// And the penalty is the smallest: a little less leaves smaller ones.
#[test]
fn no_event_is_below_two_deviations_of_the_noise() {
    let (gpu, y) = (gpu(), traces(5, 1500, 0.93));
    for scale in [1.0, 1e-3, 300.0] {
        let y = &y * scale;
        let l0 = |penalty| Method::L0 { half_life: 315.0, penalty, is_change: true };
        let found = infer(&gpu, y.view(), 30.0, &l0(None)).expect("events");
        let small = |found: &Inferred, row: usize| {
            let least = 2.0 * found.neurons[row].noise;
            found
                .events
                .row(row)
                .iter()
                .filter(|e| **e > 0.0 && f64::from(**e) < least * (1.0 - 1e-6))
                .count()
        };
        for row in 0..5 {
            let penalty = found.neurons[row].penalty;
            assert!(found.events.row(row).iter().any(|e| *e > 0.0) && small(&found, row) == 0);
            let less = infer(&gpu, y.view(), 30.0, &l0(Some(penalty * 0.999))).expect("events");
            assert!(small(&less, row) > 0, "{row}: {penalty} is not the smallest");
        }
    }
}

/// A trace of `y`'s frames, put on every `every`-th frame from `first` on.
fn in_turn(y: ArrayView1<'_, f32>, every: usize, first: usize, frames: usize) -> Vec<f32> {
    let mut trace = vec![f32::NAN; frames];
    trace.iter_mut().skip(first).step_by(every).zip(y).for_each(|(to, value)| *to = *value);
    trace
}

/// Neurons of several planes in one array: each has the events of its own frames alone.
#[test]
fn planes_imaged_in_turn_are_taken_at_their_rate() {
    let (gpu, mut y) = (gpu(), traces(5, 900, 0.9));
    y.slice_mut(s![2, 300..340]).fill(f32::NAN);
    y.slice_mut(s![4, ..;9]).fill(f32::NAN);
    let turns = [(3, 0), (3, 2), (3, 1), (4, 3), (2, 1)];
    let frames = 2700;
    let rows = y.rows().into_iter().zip(turns);
    let rows: Vec<f32> = rows.flat_map(|(y, (every, first))| in_turn(y, every, first, frames)).collect();
    let all = Array2::from_shape_vec((5, frames), rows).expect("traces");
    for method in METHODS {
        let found = infer(&gpu, all.view(), 30.0, &method).expect("events");
        for (row, (every, first)) in turns.into_iter().enumerate() {
            let imaged = all.slice(s![row..row + 1, first..;every]);
            let alone = infer(&gpu, imaged, 30.0 / every as f64, &method).expect("events");
            let name = method.name();
            assert_eq!(found.events.slice(s![row, first..;every]), alone.events.row(0), "{name} {row}");
            assert_eq!(found.calcium.slice(s![row, first..;every]), alone.calcium.row(0), "{name} {row}");
            let (mut events, fitted) = (found.events.row(row).to_owned(), found.neurons[row]);
            assert!(events.iter().any(|e| *e > 0.0) && fitted.every == every);
            events.slice_mut(s![first..;every]).fill(0.0);
            assert!(events.iter().all(|e| *e == 0.0), "{name} {row}: an event where nothing was imaged");
            // The slower root, of a frame and of a turn.
            let root = |[g1, g2]: [f64; 2]| g1 / 2.0 + (g1 * g1 / 4.0 + g2).max(0.0).sqrt();
            let [slow, own] = [root(fitted.decay), root(alone.neurons[0].decay)];
            assert!((slow.powi(every as i32) - own).abs() < 1e-9, "{name} {row}: {slow}, {own}");
            let c = |t: usize| f64::from(found.calcium[[row, t]]);
            let t = first + every * 200;
            assert!((c(t + 1) - slow * c(t)).abs() < 1e-5 * (1.0 + c(t)), "{name} {row}");
        }
    }
}

/// Coefficients are of all frames, whichever were imaged.
#[test]
fn a_given_decay_is_of_every_frame() {
    let (gpu, y) = (gpu(), traces(1, 600, 0.8));
    let trace = in_turn(y.row(0), 2, 1, 1200);
    let trace = Array2::from_shape_vec((1, 1200), trace).expect("a trace");
    let g = DecayFrom::Coefficients(0.9, None);
    let method = Method::Oasis { decay: g, penalty: Some(0.1), smallest: 0.0 };
    let found = infer(&gpu, trace.view(), 30.0, &method).expect("events").neurons[0].decay[0];
    assert!((found - 0.9).abs() < 1e-6, "{found}");
}

/// Frames 0 and 3 of every 7 lie on no regular grid, and no two of them are neighbours.
#[test]
fn decay_is_told_from_the_lags_that_there_are() {
    let mut y = traces(1, 20_000, 0.95).row(0).to_vec();
    let whole = decay_of(&y, 0.04, 1).g1;
    y.iter_mut().enumerate().filter(|(t, _)| ![0, 3].contains(&(t % 7))).for_each(|(_, v)| *v = f32::NAN);
    let gaps = decay_of(&y, 0.04, 1).g1;
    assert!((whole - 0.95).abs() < 0.03 && (gaps - 0.95).abs() < 0.06, "{whole}, {gaps}");
}

/// Ten values a frame, by the function without anything above half the old rate.
fn resampled(y: &[f32]) -> Vec<f32> {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    // Tapered, so that it ends.
    let taper = |x: f64| if x.abs() < 60.0 { 0.5 + 0.5 * (PI * x / 60.0).cos() } else { 0.0 };
    let at = |t: f64| {
        let near = (t as usize).saturating_sub(60)..(t as usize + 60).min(y.len());
        near.map(|k| f64::from(y[k]) * sinc(t - k as f64) * taper(t - k as f64)).sum::<f64>() as f32
    };
    (0..10 * y.len()).map(|t| at(t as f64 / 10.0)).collect()
}

#[test]
fn resampled_traces_are_told_and_recorded_ones_are_not() {
    let y = traces(3, 900, 0.87);
    let folder = std::env::temp_dir().join(format!("striate-resampled-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("traces.npy");
    let method = MethodRequest::Oasis { decay: DecayFrom::Trace, penalty: None, smallest: 0.0 };
    let warned = |y: &Array2<f32>, rate: f64| {
        npy::write(&path, y.view().into_dyn()).expect("an array");
        let source = EventsSource::Array { path: path.clone(), rate: Some(rate) };
        let request = EventsRequest { source, trace: None, method, out: folder.join("events.npz") };
        events(&gpu(), &request, &mut |_, _| ()).expect("events").warnings
    };
    assert_eq!(warned(&y, 10.0), []);
    let fine: Vec<f32> = y.rows().into_iter().flat_map(|row| resampled(&row.to_vec())).collect();
    let fine = Array2::from_shape_vec((3, 9000), fine).expect("traces");
    let found = warned(&fine, 100.0);
    let [EventsWarning::Smooth { neurons: 3, above, native_rate }] = found[..] else { panic!("{found:?}") };
    assert!((4.5..5.6).contains(&above) && native_rate == 2.0 * above, "{found:?}");
    // Each value three times, as a camera that is read too fast gives them: noise of lower frequencies is
    // left, too little for what there is.
    let held = Array2::from_shape_fn((3, 2700), |(n, t)| y[[n, t / 3]] + 0.5 * (t as f32 * 0.01).sin());
    let found = warned(&held, 30.0);
    assert!(matches!(found[..], [EventsWarning::Dense { neurons }] if neurons > 0), "{found:?}");
    // A second of calcium that rises slowly and decays is no edge, with noise or without.
    let slow = Array2::from_shape_fn((1, 3000), |(_, t)| {
        let age = (t % 300) as f32;
        (-age / 20.0).exp() - (-age / 6.0).exp()
    });
    assert_eq!(Welch::new(3000).edge(&slow.row(0).to_vec()), None);
    std::fs::remove_dir_all(folder).expect("the folder");
}
