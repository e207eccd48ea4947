//! A study from a recording to the page that compares its parts: figures against a simulated truth, options,
//! resumption.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use command::{Ran, Scratch, Table};
use ndarray::{Array2, Array3, ArrayD, Axis, Ix3};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use striate::io::npy;
use striate::random::Random;

const IMAGES: usize = 120;
const SIDE: usize = 6;
const REPEATS: usize = 6;
const NEURONS: usize = 12;
/// Frames of a presentation, and before the first and after the last.
const FRAMES: usize = 7;
const LEAD: usize = 40;
/// Standard deviations: of what an image does, of what else differs between its trials, of single frames.
const SIGNAL: f64 = 1.0;
const TRIAL: f64 = 1.5;
const FRAME: f64 = 0.8;

/// A recording whose truth is known: images of independent pixels, each neuron's response a sum over a few of
/// them, as named arrays of traces. Events are the response in one frame of each presentation and smaller
/// ones in the others.
struct Recorded {
    here: Scratch,
    dff: Array2<f32>,
    shown: Vec<usize>,
}

/// The options that name the recording's arrays.
const MAP: [&str; 8] = [
    "--experiment",
    "r.npz",
    "--map",
    "images=images",
    "dff=dff",
    "events=events",
    "stimulus=stimulus",
    "start=start",
];

fn recorded(name: &str) -> Recorded {
    let here = Scratch::new(name);
    let mut random = Random::stream(3, "study");
    let pixels = Array3::from_shape_simple_fn((IMAGES, SIDE, SIDE), || {
        (128.0 + 40.0 * random.normal()).round() as f32
    });
    let pixels = pixels.mapv(|v| v.clamp(0.0, 255.0));
    let mut shown: Vec<usize> = (0..IMAGES).flat_map(|image| std::iter::repeat_n(image, REPEATS)).collect();
    random.shuffle(&mut shown);
    let frames = LEAD + FRAMES * shown.len() + LEAD;
    let mut dff = Array2::from_shape_simple_fn((NEURONS, frames), || (FRAME * random.normal()) as f32);
    let mut events = Array2::<f32>::zeros((NEURONS, frames));
    let start: Vec<f32> = (0..shown.len()).map(|trial| (LEAD + FRAMES * trial) as f32).collect();
    for neuron in 0..NEURONS {
        let of: Vec<[usize; 2]> = (0..3).map(|_| [random.below(SIDE), random.below(SIDE)]).collect();
        for (trial, image) in shown.iter().enumerate() {
            let sum: f64 = of.iter().map(|[r, c]| (f64::from(pixels[[*image, *r, *c]]) - 128.0) / 40.0).sum();
            let response = SIGNAL * sum / 3f64.sqrt() + TRIAL * random.normal();
            let first = LEAD + FRAMES * trial;
            for frame in first..first + FRAMES {
                dff[[neuron, frame]] += response as f32;
                events[[neuron, frame]] = (0.1 * random.uniform()) as f32;
            }
            events[[neuron, first + random.below(FRAMES)]] = (5.0 + response) as f32;
        }
    }
    let stimulus: Vec<f32> = shown.iter().map(|image| *image as f32).collect();
    let one = |values: &[f32]| {
        npy::encode(ArrayD::from_shape_vec(vec![values.len()], values.to_vec()).unwrap().view())
    };
    let members = [
        ("images.npy", npy::encode_u8(pixels.mapv(|v| v as u8).view().into_dyn())),
        ("dff.npy", npy::encode(dff.view().into_dyn())),
        ("events.npy", npy::encode(events.view().into_dyn())),
        ("stimulus.npy", one(&stimulus)),
        ("start.npy", one(&start)),
    ];
    here.write("r.npz", builders::zip(&members, true));
    Recorded { here, dff, shown }
}

/// Numbers of the parts of a study, by name.
fn part(document: &serde_json::Value, name: &str, number: &str) -> f64 {
    let parts = document["parts"].as_array().unwrap();
    let part =
        parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("no {name} in {parts:?}"));
    part[number].as_f64().unwrap_or_else(|| panic!("no {number} in {part}"))
}

#[test]
fn figures_of_a_study_are_those_of_the_simulated_truth() {
    let all = recorded("study-truth");
    let here = &all.here;
    let fit = [&["fit", "--net", "pixels", "--readout", "ridge", "-q", "--json"][..], &MAP].concat();
    let both = [&fit[..], &["--definition", "berget-dff,berget-events"]].concat();
    let single = here.works(&[&both[..], &["--trials", "single", "--out", "single"]].concat()).json();
    let averaged = here.works(&[&both[..], &["--out", "averaged"]].concat()).json();

    // Responses are the means of seven frames, in the order of presentation.
    let responses = here.array("single/berget-dff.responses/responses.npy");
    let responses = responses.into_dimensionality::<Ix3>().unwrap();
    assert_eq!(responses.dim(), (NEURONS, IMAGES, REPEATS));
    let (mut seen, mut worst) = ([0; IMAGES], 0f64);
    for (trial, image) in all.shown.iter().enumerate() {
        let first = LEAD + FRAMES * trial;
        for neuron in 0..NEURONS {
            let sum: f64 = (first..first + FRAMES).map(|f| f64::from(all.dff[[neuron, f]])).sum();
            let found = f64::from(responses[[neuron, *image, seen[*image]]]);
            worst = worst.max((found - sum / FRAMES as f64).abs());
        }
        seen[*image] += 1;
    }
    assert!(worst < 1e-6, "{worst:.1e}");

    // The share of the image in a trial's variance, with the frames' noise averaged over seven. Of 12 neurons
    // and 24 test images the median is known to about 0.1.
    let noise = TRIAL.powi(2) + FRAME.powi(2) / FRAMES as f64;
    let truth = SIGNAL.powi(2) / (SIGNAL.powi(2) + noise);
    let fev = Table::read(here, "single/berget-dff.responses/reliability.csv").numbers("fev");
    let mean = fev.iter().sum::<f64>() / fev.len() as f64;
    assert!((mean - truth).abs() < 0.05, "FEV {mean} of all images for {truth}");
    let of = |document, number| part(document, "berget-dff", number);
    assert!((of(&single, "median_test_fev") - truth).abs() < 0.15, "{single}");
    let (trials, means) = (of(&single, "median_single_trial_r2"), of(&averaged, "median_r2"));
    println!(
        "FEV {mean:.3} for {truth:.3}; R2 of single trials {trials:.3}, of means over repeats {means:.3}"
    );
    assert!(trials > 0.1 && trials < truth + 0.1, "R2 of single trials {trials} under a ceiling of {truth}");
    // Of means over six repeats the image explains 1 / (1 + noise / 6).
    let reach = SIGNAL.powi(2) / (SIGNAL.powi(2) + noise / REPEATS as f64);
    assert!(means > trials + 0.2 && means < reach + 0.1, "R2 of means {means}, at most {reach}");
    // The largest event of seven frames is the response, for it is never the smallest.
    assert!((part(&single, "berget-events", "median_test_fev") - 1.0 / (1.0 + TRIAL.powi(2))).abs() < 0.15);

    // Fourteen frames from the start hold the next presentation too, which says nothing of this one.
    let sdk = ["--definition", "custom", "--window", "0:14", "--trace", "dff", "--out", "long"];
    here.works(&[&fit[..], &sdk].concat());
    let long = Table::read(here, "long.responses/reliability.csv").numbers("fev");
    let long = long.iter().sum::<f64>() / long.len() as f64;
    let halves = 0.25 * (2.0 * (SIGNAL.powi(2) + TRIAL.powi(2)) + FRAME.powi(2) * 2.0 / FRAMES as f64);
    let diluted = 0.25 * SIGNAL.powi(2) / halves;
    assert!((long - diluted).abs() < 0.05, "FEV of fourteen frames {long} for {diluted}");

    let page = String::from_utf8(here.bytes("single/report.html")).unwrap();
    for words in ["berget-dff", "berget-events", "median FEV", "R2 of single trials"] {
        assert!(page.contains(words), "no {words} in the comparison");
    }
}

/// The recording that h5py wrote, and its events.
fn golden() -> [String; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments");
    ["pipeline_2.0.nwb", "events.npz"].map(|name| folder.join(name).to_string_lossy().into_owned())
}

/// A study like the seed's, made small.
const STUDY: &str = "definition = [\"berget-dff\", \"berget-events\"]\ntrials = \"single\"\nnet = \"vgg19\"\n\
    weights = \"random:0\"\nlayer = [\"pool1\", \"pool2\"]\nsize = 16\npool = 4\nreadout = \"mlp\"\nwidths = [8, 6]\n\
    optimiser = \"sgd\"\nbatch = 8\nepochs = 6\nmomentum = 0.9\ntest-fraction = 0.3\nvalidation-fraction = 0.3\n\
    [[stages]]\ninitialisation = [\"he\", \"plain\"]\nlearning-rate = [1e-5, 1e-3, 1e-2]\n[[stages]]\nl2 = [1e-4, 1e-2]\n";

fn study(here: &Scratch, more: &[&str]) -> Ran {
    let [recording, events] = golden();
    here.write("study.toml", STUDY);
    let common = ["fit", "--config", "study.toml", "--experiment", &recording, "--events", &events, "-q"];
    here.striate(&[&common[..], more].concat())
}

const PARTS: [&str; 4] =
    ["berget-dff-pool1", "berget-dff-pool2", "berget-events-pool1", "berget-events-pool2"];

/// What of a part must not depend on how often it was stopped; seconds do.
fn results(here: &Scratch, part: &str) -> Vec<Vec<u8>> {
    ["sweep_neurons.csv", "best/predictions.npy", "best/model.safetensors"]
        .map(|name| here.bytes(&format!("{part}/{name}")))
        .to_vec()
}

#[test]
fn a_study_runs_from_the_file_to_the_page_and_goes_on_where_it_was_stopped() {
    let here = Scratch::new("study-resumed");
    let plan = study(&here, &["--out", "s", "--dry-run", "--json"]);
    assert_eq!((plan.code, plan.json()["parts"].clone()), (0, serde_json::json!(PARTS)), "{plan:?}");
    assert!(!here.0.join("s").exists());
    let whole = study(&here, &["--out", "s", "--json"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let document = whole.json();
    for name in PARTS {
        let all = [part(&document, name, "configurations"), part(&document, name, "n_images")];
        assert_eq!((all, part(&document, name, "n_trials")), ([8.0, 10.0], 28.0), "{name}");
        let record = here.document(&format!("s/{name}/best/record.json"));
        assert_eq!(record["options"]["trials"]["single"], true);
    }
    assert!(here.names("s").contains(&"berget-events.responses".to_string()));
    let page = String::from_utf8(here.bytes("s/report.html")).unwrap();
    assert!(PARTS.iter().all(|name| page.contains(name)));
    // The same again has nothing to do.
    let before =
        std::fs::metadata(here.0.join("s/berget-dff-pool1/record.json")).unwrap().modified().unwrap();
    let again = study(&here, &["--out", "s", "--json"]);
    assert_eq!(again.json()["parts"], document["parts"]);
    let after = std::fs::metadata(here.0.join("s/berget-dff-pool1/record.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);

    // Killed in its second part, and begun again.
    let [recording, events] = golden();
    let arguments = [
        "fit",
        "--config",
        "study.toml",
        "--experiment",
        &recording,
        "--events",
        &events,
        "-q",
        "--out",
        "k",
    ];
    let mut child = here.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (begun, limit) = (here.0.join("k/berget-dff-pool2.partial/results.jsonl"), Instant::now());
    while !begun.exists() && limit.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = here.names("k");
    assert!(
        left.contains(&"berget-dff-pool1".to_string()) && !left.contains(&"report.html".to_string()),
        "{left:?}"
    );
    let resumed = study(&here, &["--out", "k", "--json"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    for name in PARTS {
        assert_eq!(results(&here, &format!("s/{name}")), results(&here, &format!("k/{name}")), "{name}");
    }
    assert!(here.names("k").iter().all(|name| !name.ends_with(".partial")));
}

#[test]
fn what_the_author_asks_for_is_one_option_each() {
    let here = Scratch::new("study-options");
    let ran = |out: &str, more: &[&str]| {
        let ran = study(&here, &[&["--out", out, "--json"], more].concat());
        assert_eq!(ran.code, 0, "{more:?} {ran:?}");
        ran.json()
    };
    // What the file says of trained readouts does not count for others, and a readout of its own needs no
    // grid.
    here.write("refit.toml", "refit = true\nepochs = 3\nnet = \"pixels\"\n");
    let [recording, _] = golden();
    let fit =
        ["fit", "--config", "refit.toml", "--experiment", &recording, "--definition", "berget-dff", "-q"];
    here.works(&[&fit[..], &["--readout", "ridge", "--lambdas", "absolute:1", "--out", "refit"]].concat());
    let linear = ran("linear", &["--readout", "ridge"]);
    for name in PARTS {
        assert_eq!(linear["parts"][0]["readout"], "ridge");
        assert!(!here.0.join(format!("linear/{name}/sweep.csv")).exists());
        assert_eq!(part(&linear, name, "n_trials"), 28.0);
    }
    let moved = ran("moved", &["--readout", "ridge", "--covariates", "running-speed,pupil"]);
    assert_eq!(part(&moved, PARTS[0], "n_trials"), 28.0);
    let record = here.document("moved/berget-dff-pool1/record.json");
    // 64 channels of pool1, 4 x 4, and two more.
    assert_eq!(record["summary"]["feature_shape"], serde_json::json!([66, 4, 4]));
    assert!(here.0.join("moved/berget-dff-pool1/trial_predictions.npy").exists());
    ran("large", &["--readout", "ridge", "--size", "32", "--layer", "pool1"]);
    let record = here.document("large/berget-dff-pool1/record.json");
    assert_eq!(record["input"]["network"]["size"]["height"], 32);
    let means = ran("means", &["--readout", "ridge", "--trials", "averaged"]);
    assert!(means["parts"][0]["n_trials"].is_null());
    let ceiling = part(&means, PARTS[2], "median_test_fev");
    assert_eq!(
        ceiling,
        part(&linear, PARTS[2], "median_test_fev"),
        "the ceiling does not depend on the readout"
    );
    // Text for people has the ceiling beside the score.
    let text = study(&here, &["--out", "means", "--readout", "ridge", "--trials", "averaged"]);
    assert!(text.out.contains("FEV of test images") && text.out.contains("berget-events-pool2"), "{text:?}");
}

#[test]
fn wrong_studies_are_refused_in_a_sentence() {
    let here = Scratch::new("study-wrong");
    let [recording, events] = golden();
    here.write("study.toml", STUDY);
    let fit = ["fit", "--config", "study.toml", "-q", "--out", "s"];
    let asked = |more: &[&str]| here.striate(&[&fit[..], more].concat());
    let given = ["--experiment", &recording, "--events", &events];
    asked(&["--experiment", &recording]).refused(2, &["--events", "_events.npz", "striate events"]);
    asked(&[&given[..], &["--images", "x"]].concat()).refused(2, &["--images", "--experiment"]);
    asked(&[&given[..], &["--layer", "pool9"]].concat()).refused(2, &["pool9"]);
    asked(&[&given[..], &["--refit"]].concat()).refused(2, &["--refit", "grids"]);
    asked(&[&given[..], &["--lambdas", "1"]].concat()).refused(2, &["--lambdas"]);
    // What can be said before the recording is read leaves no responses behind.
    asked(&[&given[..], &["--weights", "none.pth"]].concat()).refused(3, &["berget-dff-pool1", "none.pth"]);
    asked(&[&given[..], &["--layer", "pool1,pool2,pool1"]].concat()).refused(2, &["--layer", "named twice"]);
    asked(&[&given[..], &["--definition", "sdk,sdk"]].concat()).refused(2, &["--definition", "named twice"]);
    asked(&["--experiment", "none.nwb"]).refused(3, &["none.nwb"]);
    assert!(!here.0.join("s").exists());
    // Several definitions are for fit alone.
    here.write("plain.toml", "net = \"pixels\"\ndefinition = [\"sdk\", \"berget-dff\"]\n");
    let out = ["--config", "plain.toml", "--experiment", &recording, "--out", "p"];
    here.striate(&[&["profile"], &out[..]].concat()).refused(2, &["--definition", "2 definitions"]);
    here.striate(
        &[&["responses"], &["--experiment", &recording, "--definition", "sdk,berget-dff", "--out", "p"][..]]
            .concat(),
    )
    .refused(2, &["--definition", "2 definitions"]);
    here.striate(&[
        "fit",
        "--definition",
        "sdk",
        "--features",
        "f.npy",
        "--responses",
        "r.npy",
        "--out",
        "p",
    ])
    .refused(2, &["--experiment", "--definition says what a response is"]);
    // A folder of something else is left alone.
    std::fs::create_dir(here.0.join("s")).unwrap();
    here.write("s/notes.txt", "mine");
    asked(&given).refused(4, &["holds files that are not a study"]);
    assert_eq!((here.bytes("s/notes.txt"), here.names("s").len()), (b"mine".to_vec(), 1));
    // A folder of responses has one definition already, and says so.
    std::fs::remove_dir_all(here.0.join("s")).unwrap();
    here.experiment("e");
    let ran = here.striate(&[
        "fit",
        "--config",
        "study.toml",
        "--out",
        "s",
        "--experiment",
        "e",
        "--readout",
        "ridge",
    ]);
    assert!(
        ran.code == 0 && ran.err.contains("e holds responses as they are; --definition is left out"),
        "{ran:?}"
    );
    assert!(here.names("s").contains(&"pool1".to_string()), "{:?}", here.names("s"));
    // What would make other responses is no option there.
    for option in ["--standardise-trials", "--rescale"] {
        here.striate(&["fit", "--experiment", "e", "--net", "pixels", "--out", "t", option])
            .refused(2, &[option, "holds responses as they are"]);
    }
}

/// Responses that are made once: a second job takes those that are there, another request or recording makes
/// its own.
#[test]
fn responses_beside_a_result_are_made_once() {
    let all = recorded("study-once");
    let fit = [&["fit", "--net", "pixels", "--lambdas", "absolute:1", "--out", "run"][..], &MAP].concat();
    let ran = |more: &[&str]| {
        let ran = all.here.works(&[&fit[..], more].concat());
        ran.err.contains("as they were made before")
    };
    let before = ["--definition", "berget-dff"];
    assert!(!ran(&before) && ran(&before));
    assert!(
        ran(&["--definition", "berget-dff", "--trials", "single"]),
        "the rows of a fit are not of its responses"
    );
    assert!(!ran(&["--definition", "berget-events"]) && ran(&["--definition", "berget-events"]));
    assert!(!ran(&["--definition", "berget-events", "--blanks", "keep"]));
    let average = all.here.array("run/measured.npy");
    assert_eq!(average.len_of(Axis(0)), NEURONS);
    let sweep =
        ["sweep", "--net", "pixels", "--out", "run-sweep", "--config", "grid.toml", "--epochs", "2", "-q"];
    all.here.write("grid.toml", "[grid]\nl2 = [0, 0.1]\n");
    all.here.works(&[&sweep[..], &MAP, &before].concat());
    assert!(all.here.0.join("run-sweep.responses/record.json").exists());
    let other = ["--definition", "custom", "--window", "1:5", "--dry-run"];
    let dry = all.here.works(&[&fit[..], &other].concat());
    assert!(dry.out.contains("run.responses"), "{dry:?}");
}
