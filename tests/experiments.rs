//! Recordings in the layouts of published files, written by h5py, pynwb and NumPy: every series and table
//! against what was put in, and what is said of files that are wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Ix2};
use striate::experiment::{
    self, Experiment, ExperimentRequest, Format, Recorded, Tier, Trace, Traces, TrialResponses,
};
use striate::io::images::scale::Scale;
use striate::io::npy;

/// The folder that `tools/experiments/make.py` wrote.
fn folder() -> PathBuf {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments");
    std::env::var_os("STRIATE_EXPERIMENTS").map_or(stored, PathBuf::from)
}

fn request(path: &Path) -> ExperimentRequest {
    ExperimentRequest { path: path.to_path_buf(), ..ExperimentRequest::default() }
}

fn open(name: &str) -> Experiment {
    experiment::open(&request(&folder().join(name))).unwrap()
}

fn truth(name: &str) -> ArrayD<f64> {
    npy::read_f64(&folder().join("truth.npz"), Some(name)).unwrap()
}

fn mouse_truth(name: &str) -> ArrayD<f64> {
    npy::read_f64(&folder().join("sensorium_truth.npz"), Some(name)).unwrap()
}

fn traces(experiment: &Experiment) -> &Traces {
    match &experiment.recorded {
        Recorded::Traces(traces) => traces,
        Recorded::Trials(_) => panic!("no traces"),
    }
}

fn trials(experiment: &Experiment) -> &TrialResponses {
    match &experiment.recorded {
        Recorded::Trials(trials) => trials,
        Recorded::Traces(_) => panic!("traces"),
    }
}

/// The same bits, NaN being NaN.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// A trace as a whole, and in blocks of all kinds, against what was put in.
fn assert_trace(traces: &Traces, trace: Trace, name: &str) {
    let wanted = truth(name).mapv(|v| v as f32).into_dimensionality::<Ix2>().unwrap();
    let (neurons, frames) = wanted.dim();
    assert_eq!((traces.neurons, traces.frames), (neurons, frames));
    let check = |a: std::ops::Range<usize>, t: std::ops::Range<usize>| {
        let block = traces.block(trace, a.clone(), t.clone()).unwrap();
        let wanted = wanted.slice(ndarray::s![a.clone(), t.clone()]);
        let equal = block.dim() == wanted.dim() && block.iter().zip(&wanted).all(|(x, y)| same(*x, *y));
        assert!(equal, "{name}, neurons {a:?}, frames {t:?}");
    };
    check(0..neurons, 0..frames);
    check(1..2, 0..frames);
    check(0..neurons, 99..103);
    check(2..neurons, frames - 1..frames);
    check(0..0, 5..5);
    assert!(traces.block(trace, 0..neurons + 1, 0..1).is_err());
    assert!(traces.block(trace, 0..1, frames..frames + 1).is_err());
}

/// The mean of a series over the time of each presentation.
fn assert_behaviour(
    experiment: &Experiment,
    found: impl Fn(usize) -> f32,
    times: &[f64],
    values: &[f64],
    what: &str,
) {
    let clock = truth("timestamps");
    for (at, trial) in experiment.trials.iter().enumerate() {
        let (from, to) = (clock[trial.start.unwrap()], clock[trial.end.unwrap()]);
        let inside = times.iter().zip(values).filter(|(t, v)| **t >= from && **t < to && v.is_finite());
        let (sum, count) = inside.fold((0.0, 0.0), |(sum, count), (_, v)| (sum + v, count + 1.0));
        let (wanted, found) = ((sum / count) as f32, found(at));
        let near = (wanted - found).abs() <= 1e-6 * wanted.abs() || (wanted.is_nan() && found.is_nan());
        assert!(near, "{what} of presentation {at}: {found}, wanted {wanted}");
    }
}

/// The table of presentations, images, neurons and clock, which all three files share.
fn assert_recording(experiment: &Experiment) {
    // NWB 2 has no ends: of a presentation that nothing follows at once it is the usual one.
    let lost = experiment.format == Format::AllenNwb2;
    let (order, starts, ends, clock) = (truth("order"), truth("start"), truth("end"), truth("timestamps"));
    assert_eq!(experiment.trials.len(), order.len());
    for (at, trial) in experiment.trials.iter().enumerate() {
        let image = (order[at] >= 0.0).then_some(order[at] as usize);
        assert_eq!(trial.image, image, "image of presentation {at}");
        assert_eq!(trial.start, Some(starts[at] as usize), "start of presentation {at}");
        let follows = at + 1 < starts.len() && starts[at + 1] == ends[at];
        let end = if lost && !follows { starts[at] + 7.0 } else { ends[at] };
        assert_eq!(trial.end, Some(end as usize), "end of presentation {at}");
        assert_eq!(trial.seconds, clock[starts[at] as usize]);
        assert_eq!(trial.tier, None);
    }
    let pictures = truth("images").mapv(|v| v as f32);
    let stimuli = &experiment.stimuli;
    let shape = [stimuli.len(), stimuli.height, stimuli.width];
    assert_eq!(pictures.shape(), shape);
    assert_eq!(stimuli.channels, 1);
    assert_eq!(stimuli.read(0..stimuli.len()).unwrap(), pictures);
    assert_eq!(stimuli.read(3..5).unwrap(), pictures.slice_axis(Axis(0), (3..5).into()));
    assert_eq!(stimuli.scale().unwrap(), Scale::BYTES);
    assert!(stimuli.read(0..stimuli.len() + 1).is_err());
    let ids: Vec<String> = truth("cell_ids").iter().map(|id| format!("{id}")).collect();
    assert_eq!(experiment.neurons.iter().map(|n| n.id.clone()).collect::<Vec<_>>(), ids);
    assert!(experiment.neurons.iter().all(|n| n.area == "VISp" && n.depth == Some(275.0)));
    let rate = (clock.len() - 1) as f64 / (clock[clock.len() - 1] - clock[0]);
    assert!((traces(experiment).rate - rate).abs() < 1e-12);
}

#[test]
fn nwb_1_of_an_early_release() {
    let experiment = open("pipeline_0.9.nwb");
    assert_eq!(experiment.format, Format::AllenNwb1);
    assert_recording(&experiment);
    let traces = traces(&experiment);
    assert_trace(traces, Trace::Dff, "dff");
    assert_trace(traces, Trace::Raw, "raw");
    assert_trace(traces, Trace::Neuropil, "neuropil");
    assert_trace(traces, Trace::Corrected, "corrected_from_raw");
    assert_eq!(traces.present(), [Trace::Dff, Trace::Corrected, Trace::Raw, Trace::Neuropil]);
    assert!(!traces.time_major(Trace::Dff).unwrap());
    let error = traces.block(Trace::Events, 0..1, 0..1).unwrap_err().to_string();
    assert!(error.contains("no events") && error.contains("--events"), "{error}");
    // Shorter than the traces at both ends, and one column.
    let (clock, running) = (truth("timestamps"), truth("running"));
    let (clock, running) = (clock.as_slice().unwrap(), running.as_slice().unwrap());
    let kept = 5..running.len() - 9;
    let speed = |at: usize| experiment.trials[at].running_speed;
    assert_behaviour(&experiment, speed, &clock[kept.clone()], &running[kept], "running speed");
    assert!(experiment.trials.iter().all(|t| t.pupil.is_nan() && t.pupil_centre[0].is_nan()));
    let fact = |name: &str| experiment.facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(fact("session type"), Some("three_session_B"));
    assert_eq!(fact("pipeline"), Some("0.9"));
    assert_eq!(fact("indicator"), Some("GCaMP6f"));
}

#[test]
fn nwb_1_of_a_later_release() {
    let experiment = open("pipeline_2.0.nwb");
    assert_eq!(experiment.format, Format::AllenNwb1);
    assert_recording(&experiment);
    let traces = traces(&experiment);
    for (trace, name) in [
        (Trace::Dff, "dff"),
        (Trace::Raw, "raw"),
        (Trace::Neuropil, "neuropil"),
        (Trace::Demixed, "demixed"),
        (Trace::Corrected, "corrected_from_demixed"),
    ] {
        assert_trace(traces, trace, name);
    }
    assert_pupil(&experiment);
    let fact = |name: &str| experiment.facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(fact("pipeline"), Some("2.0"));
    assert_eq!(fact("experiment container"), Some("511510667"));
}

/// The pupil, with its gap, and the running speed without its last two samples.
fn assert_pupil(experiment: &Experiment) {
    let series = ["timestamps", "running", "pupil_times", "pupil"].map(truth);
    let [clock, running, times, pupil] = series.each_ref().map(|s| s.as_slice().unwrap());
    let kept = ..running.len() - 2;
    assert_behaviour(
        experiment,
        |at| experiment.trials[at].running_speed,
        &clock[kept],
        &running[kept],
        "running speed",
    );
    assert_behaviour(experiment, |at| experiment.trials[at].pupil, times, pupil, "pupil");
    let location = truth("pupil_location");
    for axis in 0..2 {
        let column: Vec<f64> = location.index_axis(Axis(1), axis).iter().copied().collect();
        assert_behaviour(
            experiment,
            |at| experiment.trials[at].pupil_centre[axis],
            times,
            &column,
            "pupil centre",
        );
    }
    assert!(experiment.trials.iter().any(|trial| trial.pupil.is_nan()));
}

#[test]
fn nwb_2_as_pynwb_writes_it() {
    let experiment = open("converted_nwb2.nwb");
    assert_eq!(experiment.format, Format::AllenNwb2);
    assert_recording(&experiment);
    let traces = traces(&experiment);
    for (trace, name) in [
        (Trace::Dff, "dff"),
        (Trace::Corrected, "corrected_from_demixed"),
        (Trace::Neuropil, "neuropil"),
        (Trace::Demixed, "demixed"),
        (Trace::Events, "events"),
    ] {
        assert!(traces.time_major(trace).unwrap());
        assert_trace(traces, trace, name);
    }
    assert!(!traces.has(Trace::Raw));
    assert_pupil(&experiment);
    assert_eq!(experiment.stimuli.ids[9], "NaturalScene9");
}

#[test]
fn events_lie_in_a_file_of_their_own() {
    let events = |name: &str, file: &Path| {
        let path = folder().join(name);
        experiment::open(&ExperimentRequest { events: Some(file.to_path_buf()), ..request(&path) })
    };
    let file = folder().join("events.npz");
    let opened = events("pipeline_2.0.nwb", &file).unwrap();
    assert_trace(traces(&opened), Trace::Events, "events");
    // Those of a file take the place of those within.
    let opened = events("converted_nwb2.nwb", &file).unwrap();
    assert!(!traces(&opened).time_major(Trace::Events).unwrap());
    assert_trace(traces(&opened), Trace::Events, "events");
    let said = |file: PathBuf| events("pipeline_2.0.nwb", &file).unwrap_err().to_string();
    let error = said(folder().join("truth.npz"));
    assert!(error.contains("truth.npz: it has no array 'ev'") && error.contains("/dff"), "{error}");
    let error = said(folder().join("absent.npz"));
    assert!(error.contains("absent.npz"), "{error}");
    let error = said(folder().join("pipeline_0.9.nwb"));
    assert!(error.contains("no array 'ev'"), "{error}");
}

#[test]
fn a_mouse_of_sensorium() {
    let mice = experiment::several(&folder().join("sensorium")).unwrap();
    assert_eq!(mice.len(), 1);
    let experiment = experiment::open(&request(&mice[0])).unwrap();
    assert_eq!(experiment.format, Format::Sensorium);
    assert_eq!(experiment.facts, [("data key".to_string(), "20457-5-9".to_string())]);
    let index = mouse_truth("trial_idx");
    let mut files: Vec<usize> = (0..index.len()).collect();
    files.sort_by_key(|k| index[*k] as i64);
    assert_ne!(files, (0..index.len()).collect::<Vec<_>>());
    assert_eq!(experiment.trials.len(), files.len());
    let responses = trials(&experiment);
    let found = responses.read(0..files.len()).unwrap();
    let (put, image, ids) = (mouse_truth("responses"), mouse_truth("image"), mouse_truth("image_ids"));
    let (behaviour, centre) = (mouse_truth("behaviour"), mouse_truth("pupil_centre"));
    let pictures = truth("images").mapv(|v| v as f32);
    let shown = experiment.stimuli.read(0..experiment.stimuli.len()).unwrap();
    for (at, &file) in files.iter().enumerate() {
        let trial = &experiment.trials[at];
        assert_eq!(trial.id, format!("{}", index[file]));
        let own = trial.image.unwrap();
        assert_eq!(experiment.stimuli.ids[own], format!("{}", ids[file]));
        assert_eq!(shown.index_axis(Axis(0), own), pictures.index_axis(Axis(0), image[file] as usize));
        let wanted = put.index_axis(Axis(0), file).mapv(|v| v as f32);
        assert_eq!(found.row(at).to_vec(), wanted.iter().copied().collect::<Vec<_>>());
        assert!(same(trial.pupil, behaviour[[file, 0]] as f32));
        assert!(same(trial.running_speed, behaviour[[file, 2]] as f32));
        assert!((0..2).all(|axis| same(trial.pupil_centre[axis], centre[[file, axis]] as f32)));
        assert_eq!(trial.start, None);
    }
    assert_eq!(responses.read(2..4).unwrap(), found.slice(ndarray::s![2..4, ..]));
    assert_mouse(&experiment, &put);
}

/// Tiers, neurons and statistics of the mouse.
fn assert_mouse(experiment: &Experiment, put: &ArrayD<f64>) {
    let responses = trials(experiment);
    let of = |tier| experiment.trials.iter().filter(|t| t.tier == Some(tier)).count();
    assert!(Tier::ALL.iter().all(|tier| of(*tier) > 0));
    assert_eq!(responses.hidden(), [Tier::FinalTest]);
    let neurons = &experiment.neurons;
    assert_eq!(
        (neurons[1].id.as_str(), neurons[1].area.as_str(), neurons[1].layer.as_str()),
        ("6", "V1", "L2/3")
    );
    assert_eq!(neurons[0].layer, "L4");
    let positions = mouse_truth("positions");
    let at = |n: usize| [positions[[n, 0]], positions[[n, 1]], positions[[n, 2]]];
    assert!((0..neurons.len()).all(|n| neurons[n].position == Some(at(n))));
    let deviations: Vec<f64> = put.axis_iter(Axis(1)).map(|c| c.std(0.0)).collect();
    let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
    for (scale, deviation) in responses.scale().unwrap().iter().zip(&deviations) {
        let wanted = 1.0 / deviation.max(0.01 * mean);
        assert!((f64::from(*scale) - wanted).abs() < 1e-6 * wanted);
    }
    let statistics = responses.statistics().unwrap();
    let behaviour = mouse_truth("behaviour");
    let speed = behaviour.index_axis(Axis(1), 2).std(0.0);
    assert!((f64::from(statistics.behaviour.unwrap()[2]) - speed).abs() < 1e-5 * speed);
    assert!(statistics.pupil_centre.is_some() && experiment.stimuli.normalisation.is_some());
}

#[test]
fn a_long_recording_in_little_memory() {
    let Some(path) = std::env::var_os("STRIATE_LARGE").map(PathBuf::from) else {
        eprintln!("skipped: STRIATE_LARGE names no file of tools/experiments/large.py");
        return;
    };
    let begun = std::time::Instant::now();
    let experiment = experiment::open(&request(&path)).unwrap();
    let traces = traces(&experiment);
    // As responses are made: corrected traces (two arrays), a few neurons over all frames at a time.
    let step = (1 << 24) / traces.frames;
    let mut sum = 0.0;
    for first in (0..traces.neurons).step_by(step) {
        let block =
            traces.block(Trace::Corrected, first..(first + step).min(traces.neurons), 0..traces.frames);
        sum += block.unwrap().sum();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim).unwrap_or("");
    println!("sum {sum}, {:.1} s, peak {peak}", begun.elapsed().as_secs_f64());
    let peak: usize = peak.trim_end_matches(" kB").parse().unwrap_or(0);
    assert!(peak < 1 << 20, "{peak} kB");
}
