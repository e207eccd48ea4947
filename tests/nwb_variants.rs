//! NWB files that use what the schemas allow and Visual Coding's do not (`tools/experiments/variants.py`), against
//! what NumPy says is in them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::path::{Path, PathBuf};

use command::{Scratch, Table};
use ndarray::{ArrayD, Axis, Ix2, Ix3, s};
use striate::experiment::{self, Experiment, ExperimentRequest, Outside, Recorded, Trace, Traces, Trial};
use striate::io::npy;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments/variants").join(name)
}

fn expected(name: &str) -> ArrayD<f64> {
    npy::read_f64(&file("expected.npz"), Some(name)).unwrap()
}

fn request(name: &str) -> ExperimentRequest {
    ExperimentRequest { path: file(name), ..ExperimentRequest::default() }
}

fn traces(experiment: &Experiment) -> &Traces {
    match &experiment.recorded {
        Recorded::Traces(traces) => traces,
        Recorded::Trials(_) => panic!("no traces"),
    }
}

/// A trace as a whole and in parts against an array (neurons, frames).
fn assert_trace(experiment: &Experiment, trace: Trace, name: &str) {
    let traces = traces(experiment);
    let wanted = expected(name).into_dimensionality::<Ix2>().unwrap();
    assert_eq!((traces.neurons, traces.frames), wanted.dim());
    let (neurons, frames) = wanted.dim();
    for (a, t) in
        [(0..neurons, 0..frames), (1..neurons, 7..9), (0..1, 0..frames), (neurons - 1..neurons, 3..4)]
    {
        let found = traces.block(trace, a.clone(), t.clone()).unwrap();
        let wanted = wanted.slice(s![a.clone(), t.clone()]);
        let near = |(x, y): (&f32, &f64)| (f64::from(*x) - y).abs() <= 1e-6 * y.abs().max(1e-3);
        assert!(found.dim() == wanted.dim() && found.iter().zip(&wanted).all(near), "{name} {a:?} {t:?}");
    }
    assert!(traces.block(trace, 0..neurons, 0..frames + 1).is_err());
    assert!(traces.block(trace, 0..neurons + 1, 0..1).is_err());
}

fn ids(experiment: &Experiment) -> Vec<f64> {
    experiment.neurons.iter().map(|neuron| neuron.id.parse().unwrap()).collect()
}

#[test]
fn scales_regions_clocks_by_rate_and_orders_of_images() {
    let experiment = experiment::open(&request("scaled.nwb")).unwrap();
    assert_trace(&experiment, Trace::Dff, "scaled_dff");
    assert_trace(&experiment, Trace::Neuropil, "scaled_neuropil");
    assert_eq!(ids(&experiment), expected("scaled_ids").into_raw_vec_and_offset().0);
    assert!(experiment.neurons.iter().all(|n| n.area == "VISl" && n.depth == Some(175.0)));
    assert_eq!(experiment.stimuli.ids, ["zebra", "apple", "mango_7", "fig_1"]);
    assert_eq!(
        experiment.stimuli.read(0..4).unwrap(),
        expected("scaled_images").mapv(|v| v as f32),
        "images in their order"
    );
    assert!((traces(&experiment).rate - 12.5).abs() < 1e-9);
    let (order, start) = (expected("scaled_order"), expected("scaled_start"));
    let of = |name: &str, column: usize| expected(name).into_shape_with_order((order.len(), column)).unwrap();
    let (speed, pupil, centre) = (of("scaled_speed", 1), of("scaled_pupil", 1), of("scaled_centre", 2));
    for (at, trial) in experiment.trials.iter().enumerate() {
        assert_eq!(trial.image, Some(order[at] as usize));
        assert_eq!(trial.start, Some(start[at] as usize));
        let close =
            |found: f32, wanted: f64| (f64::from(found) - wanted).abs() < 1e-5 * wanted.abs().max(1.0);
        assert!(
            close(trial.running_speed, speed[[at, 0]]),
            "{at}: {} {}",
            trial.running_speed,
            speed[[at, 0]]
        );
        assert!(close(trial.pupil, pupil[[at, 0]]), "{at}: {} {}", trial.pupil, pupil[[at, 0]]);
        assert!((0..2).all(|axis| close(trial.pupil_centre[axis], centre[[at, axis]])), "{at}");
    }
    assert!(experiment.warnings.is_empty(), "{:?}", experiment.warnings);
}

#[test]
fn one_of_several_series_is_named() {
    let said = |series: Option<&str>| {
        let request = ExperimentRequest { series: series.map(str::to_string), ..request("two_series.nwb") };
        experiment::open(&request).map_err(|why| why.to_string())
    };
    let error = said(None).unwrap_err();
    for words in ["2 series of dF/F", "/processing/ophys/DfOverF/left", "DfOverF/right", "--series"] {
        assert!(error.contains(words), "{error}");
    }
    assert!(said(Some("middle")).unwrap_err().contains("no series middle, but"));
    for name in ["left", "right"] {
        let experiment = said(Some(&format!("DfOverF/{name}"))).unwrap();
        assert_trace(&experiment, Trace::Dff, &format!("two_series_{name}_dff"));
        assert_eq!(ids(&experiment), expected(&format!("two_series_{name}_ids")).into_raw_vec_and_offset().0);
        // The size of a region is no area, and a plane of 400 um is not 2 or 400 um deep.
        assert!(experiment.neurons.iter().all(|n| n.area.is_empty() && n.depth.is_none()));
    }
    let here = Scratch::new("variants-series");
    let two = file("two_series.nwb").display().to_string();
    let base = ["responses", "--experiment", &two, "--definition", "berget-dff", "--out", "r"];
    here.striate(&base).refused(3, &["2 series of dF/F", "--series"]);
    let found = here.works(&[&base[..], &["--series", "right", "--json"]].concat());
    assert_eq!(found.json()["n_neurons"], 3);
    // At 8 Hz the seven frames of a definition of 30 Hz are another window.
    assert!(found.err.contains("its window is 0.00 to 0.88 s and not 0.00 to 0.23 s"), "{found:?}");
}

/// Where each presentation of the recording with a pause begins, by its own times: the last frame that had begun.
fn frame(times: &ArrayD<f64>, shown: f64) -> usize {
    times.iter().filter(|t| **t <= shown).count() - 1
}

#[test]
fn presentations_without_frames_are_left_out_and_counted() {
    let experiment = experiment::open(&request("paused.nwb")).unwrap();
    assert_trace(&experiment, Trace::Dff, "paused_dff");
    assert!(!traces(&experiment).time_major(Trace::Dff).unwrap());
    let [warning] = &experiment.warnings[..] else { panic!("{:?}", experiment.warnings) };
    assert!(warning.contains("201 times for 200 samples: the first 200"), "{warning}");
    let outside: Vec<_> = experiment.trials.iter().filter_map(|trial| trial.outside).collect();
    assert_eq!(outside, [Outside::Before, Outside::Pause, Outside::After]);

    let here = Scratch::new("variants-paused");
    let paused = file("paused.nwb").display().to_string();
    let options = ["--definition", "custom", "--window", "0:5", "--baseline", "-3:0", "--out", "r", "--json"];
    let found = here.works(&[&["responses", "--experiment", &paused][..], &options].concat()).json();
    assert_eq!(found["n_trials"], 7);
    let dropped = &found["dropped"];
    assert_eq!([&dropped["too_early"], &dropped["in_pause"], &dropped["cut_off"]], [1, 2, 2]);
    assert!(found["warnings"][0].as_str().unwrap().contains("201 times"));
    // Every response is of frames within 1.5 periods of where its window has them.
    let (times, shown, dff) = (expected("paused_times"), expected("paused_shown"), expected("paused_dff"));
    let table = Table::read(&here, "r/trials.csv");
    let responses = here.array("r/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let rows = table.numbers("image").into_iter().zip(table.numbers("repeat")).zip(table.numbers("start"));
    for ((image, repeat), start) in rows {
        let at = shown.iter().map(|t| frame(&times, t.max(times[0]))).find(|at| times[*at] == start).unwrap();
        for k in 0..8 {
            let late = times[at - 3 + k] - times[at - 3] - 0.1 * k as f64;
            assert!(late.abs() < 0.15, "frame {k} of the one at {start} is {late} s late");
        }
        let mean =
            |from: usize, to: usize| dff.slice_axis(Axis(1), (from..to).into()).mean_axis(Axis(1)).unwrap();
        let wanted = mean(at, at + 5) - mean(at - 3, at);
        let found = responses.slice(s![.., image as usize, repeat as usize]);
        assert!(found.iter().zip(&wanted).all(|(x, y)| (f64::from(*x) - y).abs() < 1e-5), "at {start}");
    }
}

#[test]
fn a_clock_that_jitters_keeps_every_presentation_within_the_traces() {
    let here = Scratch::new("variants-jitter");
    let scaled = file("scaled.nwb").display().to_string();
    let options = ["--definition", "custom", "--window", "0:0.4s", "--out", "r", "--json"];
    let found = here.works(&[&["responses", "--experiment", &scaled][..], &options].concat()).json();
    assert_eq!((&found["n_trials"], &found["dropped"]["in_pause"]), (&28.into(), &0.into()));
    assert_eq!(found["warnings"].as_array().unwrap().len(), 0);
}

#[test]
fn nwb_1_with_scales_and_presentations_beyond_its_ends() {
    let experiment = experiment::open(&request("pipeline.nwb")).unwrap();
    assert_trace(&experiment, Trace::Dff, "pipeline_dff");
    let of = |trial: &Trial| (trial.start, trial.outside);
    let found: Vec<_> = experiment.trials.iter().map(of).collect();
    let inside = |start| (Some(start), None);
    assert_eq!(
        found,
        [(None, Some(Outside::Before)), inside(3), inside(40), inside(88), (None, Some(Outside::After))]
    );
    for (trial, wanted) in experiment.trials[1..3].iter().zip(expected("pipeline_speed")) {
        assert!((f64::from(trial.running_speed) - wanted).abs() < 1e-6 * wanted.abs().max(1.0));
    }
    assert_eq!(experiment.neurons[0].depth, Some(275.0));
    assert!(experiment.warnings[0].contains("91 times for 90 samples"), "{:?}", experiment.warnings);
}

#[test]
fn arrays_that_are_named_keep_their_scale_and_clock() {
    let pipeline = "/processing/brain_observatory_pipeline";
    let map = [
        ("images", "/stimulus/templates/natural_scenes_image_stack/data".to_string()),
        ("dff", format!("{pipeline}/DfOverF/imaging_plane_1/data")),
        ("timestamps", format!("{pipeline}/DfOverF/imaging_plane_1/timestamps")),
        ("stimulus", "/stimulus/presentation/natural_scenes/data".into()),
        ("start", "/analysis/first_frames".into()),
    ];
    let map = map.map(|(key, path)| (key.to_string(), path)).to_vec();
    let experiment = experiment::open(&ExperimentRequest { map, ..request("pipeline.nwb") }).unwrap();
    assert_trace(&experiment, Trace::Dff, "pipeline_dff");
    assert!(experiment.warnings[0].contains("91 times for 90 samples"), "{:?}", experiment.warnings);
    assert!((traces(&experiment).rate - 30.0).abs() < 1e-9);
}

/// A file with some bytes changed, and what is said of it.
fn changed(case: &str, request: ExperimentRequest, from: &[u8], to: &[u8]) -> String {
    let here = Scratch::new(&format!("variants-{case}"));
    let mut bytes = std::fs::read(&request.path).unwrap();
    let found: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
    assert!(!found.is_empty(), "{case}");
    found.iter().for_each(|at| bytes[*at..*at + to.len()].copy_from_slice(to));
    let path = here.write("changed.nwb", bytes);
    experiment::open(&ExperimentRequest { path, ..request }).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_right_is_refused() {
    let number = |case: &str, from: f64, to: f64| {
        changed(case, request("scaled.nwb"), &from.to_le_bytes(), &to.to_le_bytes())
    };
    let zero = number("zero", 0.002, 0.0);
    assert!(zero.contains("RoiResponseSeries/data: its conversion is 0"), "{zero}");
    let endless = number("endless", 0.002, f64::INFINITY);
    assert!(endless.contains("its conversion is inf"), "{endless}");
    let still = number("still", 12.5, -1.0);
    assert!(still.contains("starting_time: its rate is -1"), "{still}");
    let left = || ExperimentRequest { series: Some("left".into()), ..request("two_series.nwb") };
    let unit = changed("unit", left(), b"seconds", b"fathoms");
    assert!(unit.contains("timestamps: its unit is 'fathoms'; wanted times in seconds"), "{unit}");
    let rows = [1_i64.to_le_bytes(), 0_i64.to_le_bytes()].concat();
    let twice = changed("twice", left(), &rows, &[0; 16]);
    assert!(twice.contains("left/rois: it names row 0 twice"), "{twice}");
    let beyond = changed("beyond", left(), &rows, &[1, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert!(beyond.contains("left/rois: it names row 2"), "{beyond}");
}
