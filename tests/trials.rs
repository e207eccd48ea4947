//! Readouts of single trials, and with what the animal did as a further input.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table, distance};
use ndarray::{Array2, Array3, Array4, Axis, Ix2, Ix3, s};
use striate::io::npy;
use striate::random::Random;

const IMAGES: usize = 40;
const REPEATS: usize = 4;
const NEURONS: usize = 5;

/// A folder of responses: features of images, responses to them in noise that running adds to, every image
/// four times in an order of its own, a few presentations missing. The images are files of features, so that
/// the truth is known.
struct Recorded {
    here: Scratch,
    /// Image and repeat of each trial, in the order of presentation.
    trials: Vec<(usize, usize)>,
    responses: Array3<f32>,
    running: Vec<f64>,
}

/// How much of a response is the animal's running, in standard deviations of what the image does.
const RUNNING: f64 = 1.0;

fn recorded(name: &str, maps: bool) -> Recorded {
    let here = Scratch::new(name);
    let mut random = Random::stream(7, "recorded trials");
    let features = Array4::from_shape_simple_fn((IMAGES, 3, 2, 2), || random.normal() as f32);
    let flat = features.to_shape((IMAGES, 12)).unwrap().to_owned();
    let weights = Array2::from_shape_simple_fn((NEURONS, 12), || random.normal() / 12f64.sqrt());
    let mut trials: Vec<(usize, usize)> =
        (0..IMAGES).flat_map(|image| (0..REPEATS).map(move |repeat| (image, repeat))).collect();
    // Presentations of two images are missing; repeats are numbered in the order of presentation.
    trials.retain(|(image, repeat)| {
        *repeat < [(3, 2), (30, 3)].iter().find(|few| few.0 == *image).map_or(REPEATS, |few| few.1)
    });
    random.shuffle(&mut trials);
    let mut seen = [0; IMAGES];
    for (image, repeat) in &mut trials {
        *repeat = seen[*image];
        seen[*image] += 1;
    }
    let mut responses = Array3::from_elem((NEURONS, IMAGES, REPEATS), f32::NAN);
    let running: Vec<f64> = trials.iter().map(|_| 10.0 + 5.0 * random.normal()).collect();
    for ((image, repeat), speed) in trials.iter().zip(&running) {
        for neuron in 0..NEURONS {
            let signal = (0..12).map(|f| weights[[neuron, f]] * f64::from(flat[[*image, f]])).sum::<f64>();
            let moved = RUNNING * (speed - 10.0) / 5.0;
            responses[[neuron, *image, *repeat]] = (signal + moved + 0.3 * random.normal()) as f32;
        }
    }
    std::fs::create_dir(here.0.join("e")).unwrap();
    let features = if maps { features.into_dyn() } else { flat.into_dyn() };
    npy::write(&here.0.join("f.npy"), features.view()).unwrap();
    npy::write(&here.0.join("e/responses.npy"), responses.view().into_dyn()).unwrap();
    let tier = |image: usize| if image % 4 == 1 { "test" } else { "train" };
    let rows: String = (0..IMAGES).map(|image| format!("{image},{}\n", tier(image))).collect();
    here.write("e/split.csv", format!("image,tier\n{rows}"));
    let recorded = Recorded { here, trials, responses, running };
    recorded.table(|trial, speed| if trial == 5 { String::new() } else { format!("{speed}") });
    recorded
}

impl Recorded {
    /// Writes trials.csv with this text as running speed.
    fn table(&self, speed: impl Fn(usize, f64) -> String) {
        let row = |(trial, ((image, repeat), running)): (usize, (&(usize, usize), &f64))| {
            format!("{trial},{image},{repeat},{},{},\n", 0.25 * trial as f64, speed(trial, *running))
        };
        let rows: String = self.trials.iter().zip(&self.running).enumerate().map(row).collect();
        self.here.write("e/trials.csv", format!("trial,image,repeat,start,running_speed,pupil\n{rows}"));
    }

    fn fit(&self, out: &str, more: &[&str]) -> serde_json::Value {
        let files = ["fit", "--experiment", "e", "--features", "f.npy", "--out", out, "-q", "--json"];
        self.here.works(&[&files[..], more].concat()).json()
    }

    /// The same by hand: a row a trial, and covariates in channels of their own.
    fn by_hand(&self, folder: &str, covariate: bool) {
        let features = self.here.array("f.npy");
        let images: Vec<usize> = self.trials.iter().map(|(image, _)| *image).collect();
        let mut rows = features.select(Axis(0), &images).into_dimensionality::<ndarray::Ix4>().unwrap();
        if covariate {
            let training = |trial: &usize| images[*trial] % 4 != 1 && *trial != 5;
            let known: Vec<f64> =
                (0..images.len()).filter(training).map(|t| f64::from(self.running[t] as f32)).collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            let deviation =
                (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64).sqrt();
            let value = |trial: usize| match trial {
                5 => 0.0,
                _ => ((f64::from(self.running[trial] as f32) - mean) / deviation) as f32,
            };
            let channel = Array4::from_shape_fn((images.len(), 1, 2, 2), |(trial, ..)| value(trial));
            rows = ndarray::concatenate![Axis(1), rows, channel];
        }
        std::fs::create_dir(self.here.0.join(folder)).unwrap();
        let write = |name: &str, array: ndarray::ArrayViewD<f32>| {
            npy::write(&self.here.0.join(folder).join(name), array).unwrap();
        };
        write("f.npy", rows.view().into_dyn());
        let responses = Array2::from_shape_fn((NEURONS, self.trials.len()), |(neuron, trial)| {
            let (image, repeat) = self.trials[trial];
            self.responses[[neuron, image, repeat]]
        });
        write("responses.npy", responses.view().into_dyn());
        let tier = |image: usize| if image % 4 == 1 { "test" } else { "train" };
        let lines: String =
            images.iter().enumerate().map(|(trial, i)| format!("{trial},{}\n", tier(*i))).collect();
        self.here.write(&format!("{folder}/split.csv"), format!("image,tier\n{lines}"));
    }
}

/// One penalty, so that nothing is chosen on folds, which by hand would be of trials.
const READOUTS: [(&str, &[&str], f32); 6] = [
    ("ridge", &["--lambdas", "absolute:3"], 1e-5),
    ("smooth-ridge", &["--lambdas", "absolute:3", "--ratios", "0.5"], 1e-5),
    ("simple", &["--epochs", "4", "--shuffle", "false", "--learning-rate", "0.01"], 1e-5),
    ("spatial", &["--epochs", "4", "--shuffle", "false", "--laplace", "0.1"], 1e-5),
    ("factored", &["--epochs", "4", "--shuffle", "false"], 1e-5),
    ("mlp", &["--epochs", "4", "--shuffle", "false", "--widths", "6"], 1e-5),
];

/// Which trials stop training is drawn by image; by hand these are named.
fn with_validation(all: &Recorded) {
    let tier = |image: usize| match image % 4 {
        1 => "test",
        2 => "validation",
        _ => "train",
    };
    let rows: String = (0..IMAGES).map(|image| format!("{image},{}\n", tier(image))).collect();
    all.here.write("e/split.csv", format!("image,tier\n{rows}"));
    for folder in ["plain", "moved"] {
        let rows: String =
            all.trials.iter().enumerate().map(|(t, (image, _))| format!("{t},{}\n", tier(*image))).collect();
        all.here.write(&format!("{folder}/split.csv"), format!("image,tier\n{rows}"));
    }
}

#[test]
fn every_readout_of_trials_is_the_one_of_rows_made_by_hand() {
    let all = recorded("by-hand", true);
    all.by_hand("plain", false);
    all.by_hand("moved", true);
    for (readout, options, bound) in READOUTS {
        let trained = !readout.ends_with("ridge");
        if readout == "simple" {
            // From here on training is stopped by named images.
            with_validation(&all);
        }
        for (folder, covariates) in [("plain", &[][..]), ("moved", &["--covariates", "running-speed"])] {
            if trained && folder == "moved" {
                // Scaled over training images alone, which are fewer now: compared in the closed forms.
                continue;
            }
            let own = [&["--readout", readout, "--trials", "single"], options, covariates].concat();
            let found = all.fit("trials", &own);
            assert_eq!(found["n_trials"], all.trials.len(), "{readout}");
            assert_eq!(found["n_images"], IMAGES);
            let [features, responses, split] =
                ["f.npy", "responses.npy", "split.csv"].map(|name| format!("{folder}/{name}"));
            let files = ["--features", &features, "--responses", &responses, "--split", &split];
            let hand = [&["fit", "--out", "hand", "-q", "--readout", readout], &files[..], options].concat();
            all.here.works(&hand);
            let hand = all.here.array("hand/predictions.npy").into_dimensionality::<Ix2>().unwrap();
            let predictions = all.here.array("trials/predictions.npy").into_dimensionality::<Ix2>().unwrap();
            let mut means = Array2::zeros((NEURONS, IMAGES));
            for image in 0..IMAGES {
                let rows: Vec<usize> = (0..all.trials.len()).filter(|t| all.trials[*t].0 == image).collect();
                means.column_mut(image).assign(&hand.select(Axis(1), &rows).mean_axis(Axis(1)).unwrap());
            }
            let apart = distance(&predictions.into_dyn(), &means.into_dyn());
            assert!(apart < bound, "{readout} {folder}: {apart:.1e}");
            if folder == "moved" {
                let each =
                    all.here.array("trials/trial_predictions.npy").into_dimensionality::<Ix3>().unwrap();
                let each = Array2::from_shape_fn((NEURONS, all.trials.len()), |(n, t)| {
                    each[[n, all.trials[t].0, all.trials[t].1]]
                });
                let apart = distance(&each.into_dyn(), &hand.into_dyn());
                assert!(apart < bound, "{readout} {folder}, trials: {apart:.1e}");
            } else {
                assert!(!all.here.names("trials").contains(&"trial_predictions.npy".to_string()));
            }
        }
    }
}

#[test]
fn what_the_animal_does_explains_trials_and_averages_explain_the_image() {
    let all = recorded("running", false);
    let test = |out: &str, more: &[&str]| {
        let found = all.fit(out, more);
        let number = |name: &str| found["test"][name].as_f64().unwrap();
        [number("median_single_trial_r2"), number("median_r2"), number("median_test_fev")]
    };
    let single = test("single", &["--trials", "single"]);
    let moved = test("moved", &["--trials", "single", "--covariates", "running-speed"]);
    let averaged = test("averaged", &[]);
    println!(
        "R2 of trials, of means, FEV: single {single:.3?}, with running {moved:.3?}, means {averaged:.3?}"
    );
    // The image makes 1 of 1 + 1 + 0.09 parts of the variance of a trial.
    let truth = 1.0 / (1.0 + RUNNING.powi(2) + 0.09);
    assert!((single[2] - truth).abs() < 0.25 && single[0] < single[2] + 0.1, "{single:?}");
    assert!(moved[0] > 0.7 && single[0] < 0.4, "running explains most of a trial: {moved:?}");
    assert!(averaged[1] > single[0] + 0.1, "means of repeats are explained better");
    let trial_r = Table::read(&all.here, "moved/scores.csv").numbers("single_trial_correlation");
    assert!(trial_r.iter().all(|r| *r > 0.8), "{trial_r:?}");
    // Of means over trials the running differs less between images, and is still an input.
    let both = test("both", &["--covariates", "running-speed"]);
    assert!(both[1] > averaged[1] + 0.1, "{both:?} {averaged:?}");
    assert!(!all.here.names("both").contains(&"trial_predictions.npy".to_string()));
    let record = all.here.document("moved/record.json");
    let kept = &record["options"]["trials"];
    assert_eq!(
        (kept["single"].as_bool(), &kept["covariates"][0]["covariate"]),
        (Some(true), &"running-speed".into())
    );
    assert!((kept["covariates"][0]["mean"].as_f64().unwrap() - 10.0).abs() < 2.0);
    assert!(record["inputs"].as_array().unwrap().iter().any(|input| input["role"] == "trials"));
}

#[test]
fn sweeps_train_on_trials_and_keep_images_together() {
    let all = recorded("sweep-trials", true);
    all.here.write("grid.toml", "[grid]\nl1 = [0, 0.001]\nseed = [1, 2]\n");
    let sweep =
        ["sweep", "--experiment", "e", "--features", "f.npy", "--config", "grid.toml", "-q", "--json"];
    let options =
        ["--trials", "single", "--covariates", "running-speed", "--epochs", "3", "--readout", "simple"];
    let found = all.here.works(&[&sweep[..], &options, &["--out", "sweep"]].concat()).json();
    assert_eq!(
        (found["n_trials"].as_u64(), found["n_images"].as_u64()),
        (Some(all.trials.len() as u64), Some(40))
    );
    // The best configuration alone has the same scores as among the others.
    let best = found["best"].as_u64().unwrap();
    let table = Table::read(&all.here, "sweep/sweep_neurons.csv");
    let of_best: Vec<f64> = table
        .numbers("configuration")
        .iter()
        .zip(table.numbers("pearson_r"))
        .filter(|(number, _)| **number == best as f64)
        .map(|(_, r)| r)
        .collect();
    assert_eq!(of_best, Table::read(&all.here, "sweep/best/scores.csv").numbers("pearson_r"));
    let stopped = all.here.document("sweep/best/record.json")["options"]["stopped_by"].clone();
    let stopped: Vec<u64> = serde_json::from_value(stopped).unwrap();
    assert!(stopped.iter().all(|image| *image < 40 && image % 4 != 1), "{stopped:?}");
    // Another reading of the trials is another sweep.
    let again = [&sweep[..], &["--trials", "averaged", "--epochs", "3", "--readout", "simple"]].concat();
    let other = all.here.works(&[&again[..], &["--out", "averaged"]].concat()).json();
    assert!(other.get("n_trials").is_none());
}

/// A simulated experiment in which areas lack repeats of their own, so that neurons are missing in single
/// trials.
#[test]
fn a_profile_of_trials_scores_what_a_fit_of_each_layer_scores() {
    let here = Scratch::new("profile-trials");
    here.experiment("e");
    let responses = here.array("e/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let (_, images, repeats) = responses.dim();
    let all = (0..repeats).flat_map(|repeat| (0..images).map(move |image| (image, repeat)));
    let row = |(at, (image, repeat)): (usize, (usize, usize))| format!("{image},{repeat},{}\n", at * 7 % 11);
    let rows: String = all.enumerate().map(row).collect();
    here.write("e/trials.csv", format!("image,repeat,running_speed\n{rows}"));
    let files = ["--experiment", "e", "--net", "vgg19", "--weights", "random:0", "--pool", "4", "-q"];
    let trials = ["--trials", "single", "--covariates", "running-speed", "--lambdas", "absolute:5"];
    let profile = ["profile", "--layer", "pool1,pool2", "--controls", "shuffled", "--out", "p"];
    here.works(&[&profile[..], &files, &trials].concat());
    let table = Table::read(&here, "p/profile.csv");
    for layer in ["pool1", "pool2"] {
        let fit = ["fit", "--layer", layer, "--out", "f", "--json"];
        let found = here.works(&[&fit[..], &files, &trials].concat()).json();
        assert_eq!(found["feature_shape"][0], if layer == "pool1" { 65 } else { 129 });
        let missing = responses.iter().filter(|v| v.is_nan()).count();
        let whole = (0..images * repeats)
            .filter(|at| responses.slice(s![.., at / repeats, at % repeats]).iter().all(|v| v.is_nan()));
        let filled = missing - whole.count() * responses.dim().0;
        assert_eq!(found["n_filled"].as_u64().unwrap_or(0), filled as u64);
        let wanted = Table::read(&here, "f/scores.csv").numbers("pearson_r");
        let of = |control: &str| -> Vec<f64> {
            let names = table.texts("layer").into_iter().zip(table.texts("control"));
            let both = names.zip(table.numbers("pearson_r"));
            both.filter(|((l, c), _)| *l == layer && *c == control).map(|(_, r)| r).collect()
        };
        let apart = of("none").iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
        assert!(apart < 2e-4, "{layer}: {apart}");
        assert!(of("shuffled").len() == wanted.len() && of("shuffled") != of("none"));
    }
    let options = here.document("p/record.json")["options"]["trials"].clone();
    assert_eq!(
        (options["single"].as_bool(), options["covariates"].as_array().unwrap().len()),
        (Some(true), 1)
    );
}

#[test]
fn predict_repeats_runs_of_trials() {
    let all = recorded("predict-trials", true);
    for (readout, options, _) in READOUTS {
        let own = [&["--readout", readout, "--trials", "single"], options].concat();
        all.fit("run", &own);
        let predict = ["predict", "run", "--features", "f.npy", "--out", "p.npy"];
        all.here.works(&[&predict[..], &["-q"]].concat());
        let apart = distance(&all.here.array("p.npy"), &all.here.array("run/predictions.npy"));
        assert!(apart < 1e-4, "{readout}: {apart:.1e}");
    }
    all.fit("run", &["--trials", "single", "--covariates", "running-speed", "--lambdas", "absolute:1"]);
    let ran = all.here.works(&["predict", "run", "--features", "f.npy", "--out", "p.npy", "--json"]);
    assert_eq!(ran.json()["covariates_at_mean"][0], "running-speed");
    assert!(ran.err.contains("running-speed as further inputs; they are held at their means"), "{ran:?}");
    // At the mean of running a linear readout predicts what it predicts of a trial without a known speed.
    let trials = all.here.array("run/trial_predictions.npy").into_dimensionality::<Ix3>().unwrap();
    let (image, repeat) = all.trials[5];
    let found = all.here.array("p.npy").into_dimensionality::<Ix2>().unwrap();
    let apart = distance(
        &found.column(image).to_owned().into_dyn(),
        &trials.slice(s![.., image, repeat]).to_owned().into_dyn(),
    );
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn the_command_in_a_page_repeats_a_fit_of_trials() {
    let all = recorded("page-trials", true);
    all.fit("run", &["--trials", "single", "--covariates", "running-speed", "--seed", "3"]);
    let page = String::from_utf8(all.here.bytes("run/report.html")).unwrap();
    let command = page.split("<pre><code>").nth(1).and_then(|rest| rest.split("</code>").next()).unwrap();
    let command = command.replace("--out run", "--out again").replace("\\\n", " ");
    let words: Vec<&str> = command.strip_prefix("striate ").unwrap().split_whitespace().collect();
    assert!(words.contains(&"--trial-table") && words.contains(&"single"), "{command}");
    all.here.works(&words);
    for file in ["scores.csv", "trial_predictions.npy"] {
        assert_eq!(
            all.here.bytes(&format!("run/{file}")),
            all.here.bytes(&format!("again/{file}")),
            "{file}"
        );
    }
}

#[test]
fn wrong_trials_are_refused_in_a_sentence() {
    let all = recorded("wrong-trials", true);
    let fit = ["fit", "--features", "f.npy", "--out", "run", "-q"];
    let asked = |more: &[&str]| all.here.striate(&[&fit[..], more].concat());
    let folder = ["--experiment", "e", "--trials", "single"];
    asked(&["--experiment", "e", "--responses", "e/responses.npy"])
        .refused(2, &["--responses", "--experiment"]);
    asked(&["--experiment", "e", "--images", "e"]).refused(2, &["--images", "--experiment"]);
    asked(&["--experiment", "none"]).refused(3, &["none: cannot be read"]);
    asked(&["--experiment", "."]).refused(3, &["no experiment that Striate knows"]);
    let responses = ["--responses", "e/responses.npy", "--split", "e/split.csv"];
    asked(&[&responses[..], &["--covariates", "pupil"]].concat())
        .refused(2, &["--covariates", "--experiment"]);
    let twice = ["--covariates", "pupil,pupil"];
    asked(&[&folder[..], &twice].concat()).refused(2, &["pupil is named twice"]);
    asked(&[&folder[..], &["--covariates", "pupil"]].concat())
        .refused(3, &["trials.csv", "has no pupil of any training trial", "Leave pupil out"]);
    let running = [&folder[..], &["--covariates", "running-speed"]].concat();
    all.table(|_, _| "1.5".into());
    asked(&running).refused(3, &["the same running-speed in all training trials"]);
    all.table(|trial, _| if trial == 9 { "fast".into() } else { "1".into() });
    asked(&running).refused(3, &["line 11: 'fast' is no number"]);
    all.table(|_, _| "1".into());
    let lines = String::from_utf8(all.here.bytes("e/trials.csv")).unwrap();
    let short: Vec<&str> = lines.lines().take(20).collect();
    all.here.write("e/trials.csv", short.join("\n"));
    asked(&folder).refused(3, &["has no line for repeat", "trials.csv"]);
    // Without the table repeats stand in their order, and without covariates nothing else is missed.
    std::fs::remove_file(all.here.0.join("e/trials.csv")).unwrap();
    asked(&running).refused(2, &["--covariates: no table of trials"]);
    let found = all.fit("run", &["--trials", "single"]);
    assert_eq!(found["n_trials"], all.trials.len());
    let ran = asked(&[&folder[..], &["--dry-run"]].concat());
    assert!(ran.code == 0 && ran.out.contains("157 single trials"), "{ran:?}");
}
