//! `striate events` from file to file: recordings whose spikes are known, arrays, and what is refused.

use ndarray::{Array2, ArrayD, Axis};
use std::path::{Path, PathBuf};
use striate::events::noise::decay_of;
use striate::events::{DecayFrom, Method, infer};
use striate::experiment::{self, ExperimentRequest, Recorded, Trace};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::tasks::{EventsRequest, EventsSource, MethodRequest, events};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments").join(name)
}

/// A fresh folder for one test.
fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("striate-events-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

const OASIS: MethodRequest =
    MethodRequest::Oasis { decay: DecayFrom::Times(0.4, None), penalty: None, smallest: 0.0 };

/// Pearson's r of sums over ten frames, all neurons together.
fn agreement(events: &ArrayD<f32>, spikes: &ArrayD<f64>) -> f64 {
    let mut pairs = Vec::new();
    for (e, s) in events.axis_iter(Axis(0)).zip(spikes.axis_iter(Axis(0))) {
        let (e, s): (Vec<f64>, Vec<f64>) =
            (e.iter().map(|v| f64::from(*v)).collect(), s.iter().copied().collect());
        pairs.extend(
            e.chunks_exact(10).zip(s.chunks_exact(10)).map(|(e, s)| (e.iter().sum(), s.iter().sum())),
        );
    }
    let n = pairs.len() as f64;
    let (me, ms) =
        (pairs.iter().map(|p: &(f64, f64)| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let both = sum(&|p| (p.0 - me) * (p.1 - ms));
    both / (sum(&|p| (p.0 - me).powi(2)) * sum(&|p| (p.1 - ms).powi(2))).sqrt()
}

#[test]
fn recordings_give_the_spikes_that_were_put_in() {
    let (gpu, folder) = (gpu(), scratch("recordings"));
    let spikes = npy::read_f64(&golden("truth.npz"), Some("spikes")).expect("the truth");
    let second = MethodRequest::OasisAr2 { decay: DecayFrom::Times(0.4, Some(0.01)), penalty: None };
    let methods = [
        (OASIS, Trace::Dff),
        (second, Trace::Dff),
        (MethodRequest::Oopsi { decay: 0.4 }, Trace::Dff),
        (MethodRequest::L0 { half_life: 277.0, penalty: None }, Trace::Corrected),
    ];
    for recording in ["pipeline_2.0.nwb", "converted_nwb2.nwb"] {
        for (method, usual) in methods {
            let source = EventsSource::Experiment(ExperimentRequest {
                path: golden(recording),
                ..ExperimentRequest::default()
            });
            let out = folder.join("events.npz");
            let request = EventsRequest { source, trace: None, method, out: out.clone() };
            let summary = events(&gpu, &request, &mut |_, _| ()).expect("events");
            assert_eq!(summary.trace, usual.name());
            let found = npy::read(&out, Some("ev")).expect("its events");
            assert_eq!(found.shape(), spikes.shape());
            let r = agreement(&found, &spikes);
            println!("{recording} {}: r {r:.3}", summary.method);
            assert!(r > 0.6, "{recording} {method:?}: {r}");
            let names: Vec<_> =
                npy::info(&out).expect("an archive").into_iter().filter_map(|i| i.name).collect();
            assert_eq!(names, ["ev", "calcium", "baseline", "lambda", "noise", "g"]);
            assert!(summary.record.is_file());
        }
    }
    // What was written is a recording's events.
    let (path, events) = (golden("pipeline_2.0.nwb"), Some(folder.join("events.npz")));
    let open = experiment::open(&ExperimentRequest { path, events, ..ExperimentRequest::default() });
    let Recorded::Traces(traces) = open.expect("a recording").recorded else { panic!("no traces") };
    let block = traces.block(Trace::Events, 0..traces.neurons, 0..traces.frames).expect("its events");
    assert_eq!(block.into_dyn(), npy::read(&folder.join("events.npz"), Some("ev")).expect("its events"));
    std::fs::remove_dir_all(folder).expect("the folder");
}

/// Runs on an array that is written first; the error's text, and what lies in the folder afterwards.
fn refused(name: &str, y: &ArrayD<f32>, change: impl Fn(&mut EventsRequest)) -> (String, Vec<String>) {
    let folder = scratch(name);
    let path = folder.join("traces.npy");
    npy::write(&path, y.view()).expect("an array");
    let source = EventsSource::Array { path, rate: Some(30.0) };
    let mut request = EventsRequest { source, trace: None, method: OASIS, out: folder.join("events.npz") };
    change(&mut request);
    let error = events(&gpu(), &request, &mut |_, _| ()).expect_err("an error").to_string();
    let left = std::fs::read_dir(&folder).expect("the folder");
    let left = left.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    std::fs::remove_dir_all(folder).expect("the folder");
    (error, left)
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_nothing() {
    let fine = Array2::from_shape_fn((3, 400), |(n, t)| ((n * 7 + t * 13) % 11) as f32).into_dyn();
    let mut infinite = fine.clone();
    infinite[[1, 7]] = f32::INFINITY;
    let times = |decay| MethodRequest::Oasis { decay, penalty: None, smallest: 0.0 };
    type Change = Box<dyn Fn(&mut EventsRequest)>;
    let method = |m: MethodRequest| -> Change { Box::new(move |r: &mut EventsRequest| r.method = m) };
    let same: Change = Box::new(|_| ());
    let elsewhere: Change = Box::new(|r| r.out = r.out.with_extension("npy"));
    let itself: Change = Box::new(|r| {
        std::fs::rename(r.out.with_file_name("traces.npy"), &r.out).expect("a file");
        r.source = EventsSource::Array { path: r.out.clone(), rate: Some(30.0) };
    });
    let record: Change = Box::new(|r| {
        r.out = r.out.with_file_name("other.npz");
        std::fs::write(r.out.with_extension("json"), r#"{"command": "fit"}"#).expect("a file");
    });
    let mouse: Change = Box::new(|r| {
        let path = golden("sensorium/static20457-5-9-GrayImageNet-94c6ff995dac583098847cfecd43e7b6");
        r.source = EventsSource::Experiment(ExperimentRequest { path, ..ExperimentRequest::default() });
    });
    let cube =
        ArrayD::from_shape_vec(vec![3, 20, 20], fine.iter().copied().collect()).expect("the same values");
    let cases = [
        ("cube", &cube, same, "two axes, neurons and frames"),
        ("infinite", &infinite, Box::new(|_: &mut EventsRequest| ()) as Change, "neuron 1 is inf at frame 7"),
        ("elsewhere", &fine, elsewhere, "does not end in .npz"),
        ("itself", &fine, itself, "is what is read"),
        ("mouse", &fine, mouse, "no traces"),
        ("record", &fine, record, "other.json would be replaced"),
        ("g of f32", &fine, method(times(DecayFrom::Coefficients(0.999_999_99, None))), "a decay between 0"),
        ("short", &fine, method(MethodRequest::L0 { half_life: 0.05, penalty: None }), "--half-life"),
        ("tau", &fine, method(times(DecayFrom::Times(-1.0, None))), "a decay between 0 and 1"),
        ("g", &fine, method(times(DecayFrom::Coefficients(1.5, None))), "a decay between 0 and 1"),
        (
            "roots",
            &fine,
            method(MethodRequest::OasisAr2 {
                decay: DecayFrom::Coefficients(1.0, Some(-0.5)),
                penalty: None,
            }),
            "two roots",
        ),
        ("half-life", &fine, method(MethodRequest::L0 { half_life: f64::NAN, penalty: None }), "--half-life"),
        (
            "lambda",
            &fine,
            method(MethodRequest::L0 { half_life: 300.0, penalty: Some(-1.0) }),
            "--lambda: is -1",
        ),
        (
            "rate",
            &fine,
            Box::new(|r: &mut EventsRequest| {
                if let EventsSource::Array { rate, .. } = &mut r.source {
                    *rate = Some(0.0);
                }
            }),
            "--rate: is not known",
        ),
    ];
    for (name, y, change, wanted) in cases {
        let (error, left) = refused(name, y, change);
        assert!(error.contains(wanted), "{name}: {error}");
        assert_eq!(left.len(), 1 + usize::from(name == "record"), "{name} left {left:?}");
    }
}

/// Traces of nothing, of one value, of missing frames, and short ones.
#[test]
fn strange_traces_are_no_error() {
    let (gpu, folder) = (gpu(), scratch("strange"));
    let path = folder.join("traces.npy");
    for frames in [2, 40, 700] {
        let mut y = Array2::from_shape_fn((5, frames), |(n, t)| ((n * 7 + t * t * 13) % 17) as f32);
        y.row_mut(0).fill(f32::NAN);
        y.row_mut(1).fill(2.5);
        y.row_mut(2).fill(0.0);
        y[[3, 0]] = f32::NAN;
        npy::write(&path, y.view().into_dyn()).expect("an array");
        for method in [
            MethodRequest::Oasis { decay: DecayFrom::Trace, penalty: None, smallest: 0.5 },
            MethodRequest::OasisAr2 { decay: DecayFrom::Trace, penalty: None },
            MethodRequest::Oopsi { decay: 1.0 },
            MethodRequest::L0 { half_life: 315.0, penalty: None },
        ] {
            let source = EventsSource::Array { path: path.clone(), rate: Some(30.0) };
            let out = folder.join("events.npz");
            let request = EventsRequest { source, trace: None, method, out: out.clone() };
            let summary =
                events(&gpu, &request, &mut |_, _| ()).unwrap_or_else(|e| panic!("{frames} {method:?}: {e}"));
            let found = npy::read(&out, Some("ev")).expect("events");
            let oopsi = matches!(method, MethodRequest::Oopsi { .. });
            assert_eq!(summary.median_events_per_second.is_none(), oopsi);
            assert!(frames == 2 || summary.n_without_trace == 1, "{frames} {method:?}");
            let row = |n: usize| found.index_axis(Axis(0), n).to_owned();
            assert!(row(0).iter().all(|v| v.is_nan()), "{method:?}");
            assert!(found.iter().all(|v| v.is_nan() || *v >= 0.0));
            assert!(frames < 700 || row(4).iter().all(|v| v.is_finite()), "{method:?}");
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder");
}

/// What stands at the first frame that is there is no event, whatever it is; and missing frames do not change
/// what the decay is.
#[test]
fn calcium_of_the_first_frame_is_no_event() {
    let gpu = gpu();
    for method in [
        Method::Oasis { decay: DecayFrom::Times(0.4, None), penalty: Some(0.0), smallest: 0.0 },
        Method::OasisAr2 { decay: DecayFrom::Times(0.4, Some(0.05)), penalty: Some(0.0) },
    ] {
        for missing in [0, 7] {
            let noise = |t: usize| ((t * t * 13) % 17) as f32 * 0.01;
            let mut y = Array2::from_shape_fn((1, 400), |(_, t)| {
                if t < 60 { 10.0 * (-(t as f32) / 12.0).exp() + noise(t) } else { noise(t) }
            });
            y.slice_mut(ndarray::s![0, ..missing]).fill(f32::NAN);
            let found = infer(&gpu, y.view(), 30.0, &method).expect("events");
            let largest = found.events.iter().fold(0.0f32, |m, e| m.max(*e));
            assert!(found.calcium[[0, missing]] > 2.0, "{method:?}");
            assert!(largest < 1.0, "{method:?}, {missing} missing: {largest}");
        }
    }
}

#[test]
fn missing_frames_leave_the_decay_as_it_is() {
    let mut y: Vec<f32> = (0..4000).map(|t| 3.0 * 0.9f32.powi(t % 50)).collect();
    let whole = decay_of(&y, 0.0, 1).g1;
    y.iter_mut().skip(1).step_by(2).for_each(|v| *v = f32::NAN);
    y.iter_mut()
        .skip(3)
        .step_by(6)
        .enumerate()
        .for_each(|(k, v)| *v = 3.0 * 0.9f32.powi((6 * k as i32 + 3) % 50));
    let gaps = decay_of(&y, 0.0, 1).g1;
    assert!((whole - gaps).abs() < 0.03, "{whole}, {gaps}");
}
