//! From recordings to responses: against plain NumPy, on files of both orders, and what becomes of what is
//! not there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::path::{Path, PathBuf};

use command::{Scratch, Table};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3, s};
use striate::experiment::{self, ExperimentRequest, Trace};
use striate::gpu::{Gpu, Options};
use striate::io::npy;
use striate::io::trials::Covariate;
use striate::responses::{Definition, Span, Statistic};
use striate::scores::agreement::pearson_r;
use striate::tasks::{
    Blanks, DefinitionRequest, Gathered, ResponsesRequest, ResponsesSummary, gather, responses,
};

/// One device waits for one thread.
fn gpu() -> Gpu {
    Gpu::open(&Options::default()).unwrap()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn recording(name: &str) -> ExperimentRequest {
    let path = golden("experiments").join(name);
    let events = name.starts_with("pipeline").then(|| golden("experiments/events.npz"));
    ExperimentRequest { path, events, ..ExperimentRequest::default() }
}

fn request(experiment: ExperimentRequest, definition: Definition) -> ResponsesRequest {
    ResponsesRequest {
        experiment,
        definition: Some(DefinitionRequest::As(definition)),
        blanks: Blanks::Drop,
        covariates_regressed: Vec::new(),
        standardise: false,
        split: None,
        test_fraction: 0.2,
        seed: 0,
        out: PathBuf::new(),
    }
}

fn custom(trace: Trace, window: [i64; 2], baseline: Option<[i64; 2]>, statistic: Statistic) -> Definition {
    let span = |[start, stop]: [i64; 2]| Span::Frames(start, stop);
    let (window, baseline) = (span(window), baseline.map(span));
    Definition { name: "custom", trace, dff: None, window, baseline, statistic }
}

fn gathered(request: &ResponsesRequest) -> Gathered {
    let experiment = experiment::open(&request.experiment).unwrap();
    gather(&gpu(), &experiment, request, &mut |_, _| {}).unwrap()
}

fn made(request: &ResponsesRequest) -> ResponsesSummary {
    responses(&gpu(), request, &mut |_, _| {}).unwrap()
}

/// Largest distance from NumPy's values, relative to the largest of them; missing ones must be missing in
/// both.
fn distance(found: &Array3<f32>, name: &str) -> f64 {
    let file = golden("responses.npz");
    let wanted = npy::read_f64(&file, Some(name)).unwrap().into_dimensionality::<Ix3>().unwrap();
    assert_eq!(found.dim(), wanted.dim(), "{name}");
    let largest = wanted.iter().filter(|v| !v.is_nan()).fold(0.0f64, |m, v| m.max(v.abs()));
    let one = |(found, wanted): (&f32, &f64)| {
        assert_eq!(found.is_nan(), wanted.is_nan(), "{name}");
        if wanted.is_nan() { 0.0 } else { (f64::from(*found) - wanted).abs() / largest }
    };
    found.iter().zip(&wanted).map(one).fold(0.0, f64::max)
}

/// Every definition that tests/golden/responses.npz has: its name there, and what it is.
fn definitions() -> Vec<(&'static str, Definition)> {
    let named = |name| Definition::named(name).unwrap();
    let with = |dff: &str, definition: Definition| Definition {
        trace: if definition.trace == Trace::Dff { Trace::Corrected } else { definition.trace },
        dff: Some(dff.parse().unwrap()),
        ..definition
    };
    let seconds =
        Definition { window: Span::Seconds(0.1, 0.5), ..custom(Trace::Raw, [0, 1], None, Statistic::Mean) };
    vec![
        ("sdk", named("sdk")),
        ("berget-dff", named("berget-dff")),
        ("berget-events", named("berget-events")),
        ("platform-events", named("platform-events")),
        ("seconds", seconds),
        ("maximum", custom(Trace::Raw, [3, 9], Some([-5, -1]), Statistic::Max)),
        ("sum", custom(Trace::Dff, [-2, 5], Some([-9, -2]), Statistic::Sum)),
        ("early", custom(Trace::Dff, [0, 7], Some([-60, 0]), Statistic::Mean)),
        ("late", custom(Trace::Dff, [40, 70], None, Statistic::Mean)),
        ("dff-median", with("median", named("berget-dff"))),
        ("dff-percentile", with("percentile:12.5", named("berget-dff"))),
        ("dff-mode", with("mode", custom(Trace::Raw, [0, 7], Some([-7, 0]), Statistic::Mean))),
    ]
}

#[test]
fn every_definition_equals_numpy_on_files_of_both_orders() {
    let mut compared = 0;
    for file in ["pipeline_2.0.nwb", "converted_nwb2.nwb"] {
        let experiment = experiment::open(&recording(file)).unwrap();
        let experiment::Recorded::Traces(traces) = &experiment.recorded else { panic!("{file}") };
        assert_eq!(traces.time_major(Trace::Dff).unwrap(), file == "converted_nwb2.nwb");
        for (name, definition) in definitions() {
            if !traces.has(definition.trace) {
                assert_eq!((file, definition.trace), ("converted_nwb2.nwb", Trace::Raw));
                continue;
            }
            let found = gathered(&request(recording(file), definition));
            let distance = distance(&found.responses, name);
            println!("{file:<20} {name:<16} {distance:.1e}");
            assert!(distance < 1e-6, "{file} {name}: {distance:e}");
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared}");
    let older = gathered(&request(recording("pipeline_0.9.nwb"), Definition::named("sdk").unwrap()));
    assert!(distance(&older.responses, "sdk-older") < 1e-6);
}

#[test]
fn traces_read_in_small_tiles_give_the_same_bits() {
    // A quarter of it are tiles of 75 frames of all neurons, or of one neuron.
    let small = Gpu::open(&Options { max_memory: Some(4800), ..Options::default() }).unwrap();
    for file in ["pipeline_2.0.nwb", "converted_nwb2.nwb"] {
        let experiment = experiment::open(&recording(file)).unwrap();
        let asked = request(recording(file), Definition::named("sdk").unwrap());
        let mut tiles = 0;
        let cut = gather(&small, &experiment, &asked, &mut |_, _| tiles += 1).unwrap();
        assert!(tiles >= 4, "{file}: {tiles}");
        assert_eq!(cut.responses.mapv(f32::to_bits), gathered(&asked).responses.mapv(f32::to_bits));
        assert!(small.ledger().peak() <= 4800);
    }
}

#[test]
fn presentations_that_windows_do_not_fit_are_left_out_and_counted() {
    let dropped = |definition| {
        let found = gathered(&request(recording("pipeline_2.0.nwb"), definition));
        (found.trials.len(), found.dropped.blanks, found.dropped.too_early, found.dropped.cut_off)
    };
    let all: Vec<_> = definitions().into_iter().map(|(name, d)| (name, dropped(d))).collect();
    for (name, counts) in all {
        let wanted = match name {
            "early" => (26, 3, 2, 0),
            "late" => (26, 3, 0, 2),
            _ => (28, 3, 0, 0),
        };
        assert_eq!(counts, wanted, "{name}");
    }
}

#[test]
fn blanks_are_a_last_image_where_they_are_kept() {
    let mut asked = request(recording("pipeline_2.0.nwb"), Definition::named("berget-dff").unwrap());
    asked.blanks = Blanks::Keep;
    assert!(distance(&gathered(&asked).responses, "blanks") < 1e-6);
    let here = Scratch::new("responses-blanks");
    asked.out = here.0.join("r");
    assert_eq!(made(&asked).n_images, 11);
    let images = npy::read(&here.0.join("r/images.npy"), None).unwrap();
    let truth = npy::read(&golden("experiments/truth.npz"), Some("images")).unwrap();
    assert_eq!(images.slice(s![..10, .., ..]), truth.view().into_dimensionality::<Ix3>().unwrap());
    assert!(images.slice(s![10, .., ..]).iter().all(|v| *v == 127.0));
}

#[test]
fn the_folder_says_everything_and_is_itself_an_experiment() {
    let here = Scratch::new("responses-folder");
    let mut asked = request(recording("pipeline_2.0.nwb"), Definition::named("sdk").unwrap());
    asked.out = here.0.join("r");
    let summary = made(&asked);
    assert_eq!((summary.n_trials, summary.n_repeats, summary.n_missing), (28, [2, 3], 0));
    let record = here.document("r/record.json");
    assert_eq!(record["command"], "responses");
    assert_eq!(record["summary"]["dropped"]["blanks"], 3);
    assert_eq!(record["options"]["definition"]["baseline"]["frames"], serde_json::json!([-28, 0]));
    assert_eq!(record["inputs"].as_array().unwrap().len(), 2);

    // Responses stand where the tables say, in order of presentation.
    let open = |path: &Path| {
        let request = ExperimentRequest { path: path.into(), ..ExperimentRequest::default() };
        experiment::open(&request).unwrap()
    };
    let (folder, original) = (open(&here.0.join("r")), experiment::open(&asked.experiment).unwrap());
    let shown: Vec<_> = original.trials.iter().filter(|t| t.image.is_some()).collect();
    assert_eq!(folder.trials.len(), shown.len());
    for (found, wanted) in folder.trials.iter().zip(shown) {
        assert_eq!(found.image, wanted.image);
        assert!((found.seconds - wanted.seconds).abs() < 1e-9 && found.running_speed == wanted.running_speed);
    }
    assert_eq!(folder.neurons, original.neurons);
    let table = Table::read(&here, "r/trials.csv");
    let (images, repeats) = (table.numbers("image"), table.numbers("repeat"));
    let mut seen = [0.0; 10];
    for (image, repeat) in images.iter().zip(&repeats) {
        assert_eq!(*repeat, seen[*image as usize]);
        seen[*image as usize] += 1.0;
    }
    // What was made once passes through unchanged, tiers too.
    let again = ResponsesRequest {
        experiment: ExperimentRequest { path: here.0.join("r"), ..ExperimentRequest::default() },
        definition: None,
        seed: 9,
        ..asked.clone()
    };
    let (first, second) = (gathered(&asked), gathered(&again));
    assert_eq!(first.responses.mapv(f32::to_bits), second.responses.mapv(f32::to_bits));
    assert_eq!((first.split.test, first.split.train), (second.split.test, second.split.train));
}

#[test]
fn a_mouse_of_the_competition_passes_through_in_its_own_scale() {
    let folder = golden("experiments/sensorium");
    let path = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let experiment = ExperimentRequest { path, ..ExperimentRequest::default() };
    let asked = ResponsesRequest {
        definition: None,
        ..request(experiment.clone(), Definition::named("sdk").unwrap())
    };
    let found = gathered(&asked);
    let open = experiment::open(&experiment).unwrap();
    let experiment::Recorded::Trials(stored) = &open.recorded else { panic!() };
    assert_eq!(found.unit(), "standard deviations, as the recording states them");
    let (scale, all) = (stored.scale().unwrap(), stored.read(0..open.trials.len()).unwrap());
    assert!(found.dropped.hidden > 0 && found.trials.len() + found.dropped.hidden == open.trials.len());
    for (kept, [image, repeat]) in found.trials.iter().zip(&found.arrangement.places) {
        for neuron in 0..all.ncols() {
            let wanted = all[[kept.trial, neuron]] * scale[neuron];
            assert_eq!(found.responses[[neuron, *image, *repeat]], wanted);
        }
        let tier = open.trials[kept.trial].tier.unwrap();
        assert_eq!(found.split.test.contains(image), tier >= experiment::Tier::Test);
    }
}

/// An `.npz` of events that a test makes up, for the later Allen recording: (neurons, frames).
fn with_events(here: &Scratch, events: &Array2<f32>) -> ExperimentRequest {
    let array = npy::encode(events.view().into_dyn());
    let events = here.write("events.npz", builders::zip(&[("ev.npy", array)], true));
    ExperimentRequest { events: Some(events), ..recording("pipeline_2.0.nwb") }
}

fn true_events() -> Array2<f32> {
    let file = golden("experiments/truth.npz");
    npy::read(&file, Some("events")).unwrap().into_dimensionality::<Ix2>().unwrap()
}

#[test]
fn frames_that_are_missing_make_responses_missing() {
    let here = Scratch::new("responses-missing");
    let mut events = true_events();
    // The second frame of the third presentation, of one neuron; and a frame that belongs to none, of all.
    events[[1, 65]] = f32::NAN;
    events.slice_mut(s![.., 10]).fill(f32::NAN);
    events[[2, 330]] = f32::INFINITY;
    let asked = request(with_events(&here, &events), Definition::named("berget-events").unwrap());
    let found = gathered(&asked);
    let clean =
        gathered(&request(recording("pipeline_2.0.nwb"), Definition::named("berget-events").unwrap()));
    let place = found.arrangement.places[found.trials.iter().position(|t| t.start == 64).unwrap()];
    assert_eq!(found.n_missing, 1);
    for ((at, found), clean) in found.responses.indexed_iter().zip(&clean.responses) {
        let hit = at == (1, place[0], place[1]);
        assert!(if hit { found.is_nan() } else { found.to_bits() == clean.to_bits() }, "{at:?}");
    }
}

#[test]
fn auto_finds_the_window_that_has_the_responses() {
    let here = Scratch::new("responses-auto");
    let open = experiment::open(&recording("pipeline_2.0.nwb")).unwrap();
    let mut random = striate::random::Random::stream(3, "auto");
    let mut events = Array2::from_shape_simple_fn((4, 366), || 0.1 * random.normal() as f32);
    let tuning = Array2::from_shape_simple_fn((4, 10), || random.normal() as f32);
    for trial in &open.trials {
        let (Some(start), Some(image)) = (trial.start, trial.image) else { continue };
        for neuron in 0..4 {
            events.slice_mut(s![neuron, start + 6..start + 11]).mapv_inplace(|v| v + tuning[[neuron, image]]);
        }
    }
    let (trace, statistic) = (Trace::Events, Statistic::Mean);
    let asked = ResponsesRequest {
        definition: Some(DefinitionRequest::Auto { trace, dff: None, statistic }),
        out: here.0.join("r"),
        ..request(with_events(&here, &events), Definition::named("sdk").unwrap())
    };
    let summary = made(&asked);
    assert_eq!(summary.candidates.len(), 56);
    assert_eq!(summary.definition.unwrap().window, Span::Frames(6, 11), "{:?}", summary.candidates);
    let best = summary.candidates.iter().find(|c| (c.start, c.stop) == (6, 11)).unwrap();
    assert!(best.reliability > 0.95 && summary.candidates.iter().all(|c| c.reliability <= best.reliability));
    let record = std::fs::read_to_string(here.0.join("r/record.json")).unwrap();
    assert!(record.contains("\"automatic\": true") && record.contains("\"name\": \"auto\""));
}

#[test]
fn running_is_regressed_out_and_the_image_stays() {
    let here = Scratch::new("responses-running");
    let open = experiment::open(&recording("pipeline_2.0.nwb")).unwrap();
    let mut random = striate::random::Random::stream(4, "running");
    let tuning = Array2::from_shape_simple_fn((4, 10), || random.normal() as f32);
    let mut events = Array2::zeros((4, 366));
    for trial in &open.trials {
        let (Some(start), Some(image)) = (trial.start, trial.image) else { continue };
        for neuron in 0..4 {
            let value = tuning[[neuron, image]] + 0.3 * trial.running_speed + 0.1 * random.normal() as f32;
            events.slice_mut(s![neuron, start..start + 7]).fill(value);
        }
    }
    let asked = |regressed| ResponsesRequest {
        covariates_regressed: regressed,
        ..request(with_events(&here, &events), custom(Trace::Events, [0, 7], None, Statistic::Mean))
    };
    let (before, after) = (gathered(&asked(Vec::new())), gathered(&asked(vec![Covariate::RunningSpeed])));
    assert_eq!(after.regressed.unwrap().left_alone, 0);
    // The slope on running speed of what a neuron's images do not explain.
    let left = |found: &Gathered, neuron: usize| {
        let residual = |place: &[usize; 2]| {
            f64::from(found.responses[[neuron, place[0], place[1]]] - tuning[[neuron, place[0]]])
        };
        let residuals: Vec<f64> = found.arrangement.places.iter().map(residual).collect();
        let speeds: Vec<f64> =
            found.trials.iter().map(|t| f64::from(open.trials[t.trial].running_speed)).collect();
        let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
        let square: f64 = speeds.iter().map(|s| (s - mean).powi(2)).sum();
        speeds.iter().zip(residuals).map(|(s, r)| (s - mean) * r).sum::<f64>() / square
    };
    let images = |found: &Gathered, neuron: usize| {
        let means = found.responses.index_axis(Axis(0), neuron).map_axis(Axis(1), |repeats| {
            let present: Vec<f64> = repeats.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
            present.iter().sum::<f64>() / present.len() as f64
        });
        pearson_r(&means.to_vec(), &tuning.row(neuron).mapv(f64::from).to_vec())
    };
    for neuron in 0..4 {
        let [was, is] = [&before, &after].map(|found| left(found, neuron));
        let [image_was, image_is] = [&before, &after].map(|found| images(found, neuron));
        println!("neuron {neuron}: running {was:.2} to {is:.2}, images {image_was:.2} to {image_is:.2}");
        // Noise of 0.1 against running speeds over several cm/s.
        assert!((was - 0.3).abs() < 0.03 && is.abs() < 0.03, "{was} {is}");
        assert!(image_is > 0.95 && image_is > image_was, "{image_was} {image_is}");
    }
}

#[test]
fn trials_are_standardised_by_training_images_only() {
    let standard = ResponsesRequest {
        standardise: true,
        ..request(recording("pipeline_2.0.nwb"), Definition::named("berget-dff").unwrap())
    };
    let found = gathered(&standard);
    assert_eq!(found.n_constant, Some(0));
    for neuron in found.responses.outer_iter() {
        let training = found.split.train.iter().flat_map(|image| neuron.row(*image).to_vec());
        let values: Vec<f64> = training.filter(|v| !v.is_nan()).map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64 - mean * mean;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
    }
}
