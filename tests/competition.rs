//! Sensorium's scores and its file, of a mouse that NumPy wrote and of folders of responses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table};
use ndarray::{Array2, ArrayD, Axis, Ix1, Ix2, s};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use striate::io::npy;

fn mouse() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(
        "tests/golden/experiments/sensorium/static20457-5-9-GrayImageNet-94c6ff995dac583098847cfecd43e7b6",
    )
}

/// What the mouse's files hold, by the order of presentation.
struct Truth {
    /// Image id, trial id and tier of each trial.
    trials: Vec<(i64, i64, String)>,
    /// (neurons, trials), over each neuron's standard deviation.
    responses: Array2<f32>,
    /// Ids of the images, ascending, and a file of each.
    images: BTreeMap<i64, PathBuf>,
}

fn truth() -> Truth {
    let meta = |name: &str| mouse().join("meta").join(name);
    let whole = |name: &str| -> Vec<i64> {
        npy::read_f64(&meta(&format!("trials/{name}.npy")), None).unwrap().iter().map(|v| *v as i64).collect()
    };
    let (images, ids) = (whole("frame_image_id"), whole("trial_idx"));
    let tiers = npy::read_labels(&meta("trials/tiers.npy")).unwrap();
    let deviations = npy::read(&meta("statistics/responses/all/std.npy"), None).unwrap();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|file| ids[*file]);
    let file = |series: &str, k: usize| mouse().join(format!("data/{series}/{k}.npy"));
    let neurons = deviations.len();
    let mut responses = Array2::zeros((neurons, order.len()));
    for (at, k) in order.iter().enumerate() {
        let row = npy::read(&file("responses", *k), None).unwrap();
        let row = (row / &deviations).into_dimensionality::<Ix1>().unwrap();
        responses.column_mut(at).assign(&row);
    }
    let shown = images.iter().enumerate().map(|(k, id)| (*id, file("images", k))).collect();
    let trials = order.iter().map(|k| (images[*k], ids[*k], tiers[*k].clone())).collect();
    Truth { trials, responses, images: shown }
}

impl Truth {
    /// Places of a tier's trials.
    fn tier(&self, name: &str) -> Vec<usize> {
        (0..self.trials.len()).filter(|at| self.trials[*at].2 == name).collect()
    }

    /// All images as an array: (images, height, width).
    fn stack(&self) -> ArrayD<f32> {
        let read = |path: &PathBuf| npy::read(path, None).unwrap();
        let images: Vec<ArrayD<f32>> = self.images.values().map(read).collect();
        ndarray::concatenate(Axis(0), &images.iter().map(|image| image.view()).collect::<Vec<_>>()).unwrap()
    }
}

fn write(here: &Scratch, name: &str, array: &Array2<f32>) {
    npy::write(&here.0.join(name), array.view().into_dyn()).unwrap();
}

fn score(here: &Scratch, predictions: &str, more: &[&str]) -> command::Ran {
    let mouse = mouse().to_string_lossy().into_owned();
    here.striate(&[&["score", "--experiment", &mouse, "--predictions", predictions, "-q"][..], more].concat())
}

#[test]
fn predictions_of_trials_images_and_the_whole_experiment_are_told_apart() {
    let (here, truth) = (Scratch::new("score-shapes"), truth());
    let test = truth.tier("test");
    // The mean of its trials is the best that can be said of an image.
    let number: BTreeMap<i64, usize> = truth.images.keys().enumerate().map(|(n, id)| (*id, n)).collect();
    let mut means = Array2::<f32>::zeros((truth.responses.nrows(), truth.images.len()));
    for (id, image) in &number {
        let of: Vec<usize> = (0..truth.trials.len()).filter(|t| truth.trials[*t].0 == *id).collect();
        means.column_mut(*image).assign(&truth.responses.select(Axis(1), &of).mean_axis(Axis(1)).unwrap());
    }
    let of_trials: Vec<usize> = truth.trials.iter().map(|(id, ..)| number[id]).collect();
    let everywhere = means.select(Axis(1), &of_trials);
    write(&here, "images.npy", &means);
    write(&here, "all.npy", &everywhere);
    write(&here, "tier.npy", &everywhere.select(Axis(1), &test));
    let documents = ["images.npy", "all.npy", "tier.npy"].map(|name| score(&here, name, &["--json"]).json());
    assert!(documents.iter().all(|d| d == &documents[0]), "{documents:?}");
    let found = &documents[0];
    assert_eq!((found["n_trials"].as_u64(), found["n_images"].as_u64()), (Some(test.len() as u64), Some(2)));
    // Two images: their means are predicted exactly, but for the 1e-8 of the definition.
    assert!((found["correlation_to_average"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{found}");

    // Exact predictions of single trials: what noise cannot take away is counted above 1.
    write(&here, "exact.npy", &truth.responses.select(Axis(1), &test));
    let exact = score(&here, "exact.npy", &["--json", "--out", "neurons.csv"]).json();
    assert!((exact["single_trial_correlation"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{exact}");
    let table = Table::read(&here, "neurons.csv");
    assert_eq!(
        (table.texts("id"), table.texts("neuron")),
        (vec!["1", "6", "11", "16"], vec!["0", "1", "2", "3"])
    );
    let (mut counted, mut sum) = (0.0, 0.0);
    for neuron in 0..truth.responses.nrows() {
        let of = |id: i64| -> Vec<f64> {
            let trials = test.iter().filter(|t| truth.trials[**t].0 == id);
            trials.map(|t| f64::from(truth.responses[[neuron, *t]])).collect()
        };
        let variance = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
        };
        let mut ids: Vec<i64> = test.iter().map(|t| truth.trials[*t].0).collect();
        ids.dedup();
        ids.sort_unstable();
        ids.dedup();
        let all: Vec<f64> = ids.iter().flat_map(|id| of(*id)).collect();
        let noise = ids.iter().map(|id| variance(&of(*id))).sum::<f64>() / ids.len() as f64;
        let (total, explainable) = (variance(&all), variance(&all) - noise);
        assert!((table.numbers("fev")[neuron] - explainable / total).abs() < 1e-5);
        assert!((table.numbers("feve")[neuron] - (1.0 + noise / explainable)).abs() < 1e-4);
        if explainable / total >= 0.15 {
            counted += 1.0;
            sum += 1.0 + noise / explainable;
        }
    }
    assert_eq!(exact["feve_neurons"].as_f64(), Some(counted));
    assert!((exact["feve"].as_f64().unwrap() - sum / counted).abs() < 1e-4, "{exact}");
}

#[test]
fn a_run_predicts_every_trial_and_is_handed_in() {
    let (here, truth) = (Scratch::new("submission"), truth());
    let mouse = mouse().to_string_lossy().into_owned();
    let fit =
        ["fit", "--experiment", &mouse, "--net", "pixels", "--size", "8", "--lambdas", "absolute:1", "-q"];
    here.works(&[&fit[..], &["--out", "run"]].concat());
    here.write("images.npy", npy::encode_u8(truth.stack().mapv(|v| v as u8).view()));
    here.works(&["predict", "run", "--images", "images.npy", "--out", "p.npy", "-q"]);
    let (of_run, of_file) =
        (score(&here, "run", &["--json"]).json(), score(&here, "p.npy", &["--json"]).json());
    for name in ["single_trial_correlation", "correlation_to_average", "feve"] {
        let apart = of_run[name].as_f64().unwrap() - of_file[name].as_f64().unwrap();
        assert!(apart.abs() < 1e-4, "{name}: {of_run} {of_file}");
    }

    let submit = ["submission", "--experiment", &mouse, "--predictions", "run", "-q", "--out", "s.csv"];
    here.works(&[&submit[..], &["--tier", "final_test"]].concat());
    let table = Table::read(&here, "s.csv");
    let last = truth.tier("final_test");
    let ids = |of: fn(&(i64, i64, String)) -> i64| -> Vec<String> {
        last.iter().map(|at| of(&truth.trials[*at]).to_string()).collect()
    };
    assert_eq!((table.texts("trial_indices"), table.texts("image_ids")), {
        let (trials, images) = (ids(|t| t.1), ids(|t| t.0));
        let own =
            |all: &[String]| all.iter().map(|id| Box::leak(id.clone().into_boxed_str()) as &str).collect();
        (own(&trials), own(&images))
    });
    assert!(table.texts("neuron_ids").iter().all(|ids| *ids == "[1, 6, 11, 16]"));
    let predicted = here.array("p.npy").into_dimensionality::<Ix2>().unwrap();
    for (row, at) in table.texts("prediction").iter().zip(&last) {
        let found: Vec<f32> = serde_json::from_str(row).unwrap();
        let image = truth.images.keys().position(|id| *id == truth.trials[*at].0).unwrap();
        let wanted = predicted.slice(s![.., image]);
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{row}");
    }
    here.works(&[&submit[..], &["--tier", "test"]].concat());
    assert_eq!(Table::read(&here, "s.csv").texts("trial_indices").len(), truth.tier("test").len());

    // Behaviour of every trial is an input of its own prediction.
    let moved = ["--covariates", "pupil,running-speed", "--trials", "single", "--out", "moved"];
    here.works(&[&fit[..], &moved].concat());
    let submit = ["submission", "--experiment", &mouse, "--predictions", "moved", "-q", "--out", "m.csv"];
    here.works(&[&submit[..], &["--tier", "test"]].concat());
    let table = Table::read(&here, "m.csv");
    let distinct: std::collections::BTreeSet<&str> = table.texts("prediction").into_iter().collect();
    assert_eq!(distinct.len(), truth.tier("test").len(), "trials of an image differ");
    // As the fit predicted the same trials itself.
    let trials = Table::read(&here, "moved.responses/trials.csv");
    let own = here.array("moved/trial_predictions.npy").into_dimensionality::<ndarray::Ix3>().unwrap();
    for (id, row) in table.texts("trial_indices").iter().zip(table.texts("prediction")) {
        let at = trials.texts("trial").iter().position(|trial| trial == id).unwrap();
        let [image, repeat] = ["image", "repeat"].map(|name| trials.numbers(name)[at] as usize);
        let found: Vec<f32> = serde_json::from_str(row).unwrap();
        let wanted = own.slice(s![.., image, repeat]);
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{id}: {row}");
    }
}

#[test]
fn wrong_predictions_are_refused_in_a_sentence() {
    let (here, truth) = (Scratch::new("score-wrong"), truth());
    let test = truth.tier("test");
    let good = truth.responses.select(Axis(1), &test);
    write(&here, "good.npy", &good);
    assert_eq!(score(&here, "good.npy", &[]).code, 0);
    score(&here, "good.npy", &["--tier", "final_test"])
        .refused(3, &["withholds the responses", "submission"]);
    let before = here.bytes("good.npy");
    score(&here, "good.npy", &["--out", "good.npy"]).refused(2, &["--out", "good.npy", "predictions"]);
    let (recorded, out) = (mouse().to_string_lossy().into_owned(), ["--out", "good.npy", "--tier", "test"]);
    let submit = ["submission", "--experiment", &recorded, "--predictions", "good.npy"];
    here.striate(&[&submit[..], &out].concat()).refused(2, &["--out", "good.npy", "predictions"]);
    assert_eq!(here.bytes("good.npy"), before);
    score(&here, "none.npy", &[]).refused(3, &["none.npy"]);
    write(&here, "turned.npy", &good.t().to_owned());
    score(&here, "turned.npy", &[]).refused(3, &["is 6 x 4", "4 neurons x 6 trials", "Transpose it"]);
    write(&here, "few.npy", &good.slice(s![.., ..5]).to_owned());
    score(&here, "few.npy", &[]).refused(3, &["is 4 x 5", "10 images"]);
    let mut gap = good.clone();
    gap[[2, 3]] = f32::NAN;
    write(&here, "gap.npy", &gap);
    score(&here, "gap.npy", &[]).refused(3, &["neuron 2 in trial 3", "NaN"]);
    here.striate(&["score", "--predictions", "good.npy"]).refused(2, &["--experiment"]);
    here.striate(&["submission", "--experiment", "x", "--predictions", "good.npy", "--out", "s.csv"])
        .refused(2, &["--tier"]);
}

#[test]
fn folders_of_responses_are_scored_and_wrong_ones_refused() {
    let (here, truth) = (Scratch::new("score-folders"), truth());
    write(&here, "good.npy", &truth.responses.select(Axis(1), &truth.tier("test")));
    // A folder of responses: its split says which trials test, and nothing is withheld there.
    here.experiment("e");
    let of = |predictions: &str, more: &[&str]| {
        here.striate(
            &[&["score", "--experiment", "e", "--predictions", predictions, "-q"][..], more].concat(),
        )
    };
    of("good.npy", &["--tier", "final_test"]).refused(3, &["no trial of the tier final_test", "test, train"]);
    here.works(&["fit", "--experiment", "e", "--net", "pixels", "--out", "run", "-q"]);
    assert_eq!(of("run", &[]).code, 0);
    let [of_run, of_file] = ["run", "run/predictions.npy"].map(|p| of(p, &["--json"]).json());
    let r = |d: &serde_json::Value| d["single_trial_correlation"].as_f64().unwrap();
    assert!((r(&of_run) - r(&of_file)).abs() < 1e-5);
    here.striate(&[
        "submission",
        "--experiment",
        "e",
        "--predictions",
        "run",
        "--tier",
        "test",
        "--out",
        "s.csv",
        "-q",
    ])
    .refused(3, &["trial 0 of the tier has no id"]);
    assert!(!here.0.join("s.csv").exists());
    score(&here, "run", &[]).refused(3, &["predicts 6 neurons", "the 4 of"]);
    here.works(&["features", "--images", "e/images.npy", "--net", "pixels", "--out", "f.npy", "-q"]);
    here.works(&["fit", "--experiment", "e", "--features", "f.npy", "--out", "features", "-q"]);
    of("features", &[]).refused(3, &["was fitted from a file of features"]);
    // Traces are no responses yet.
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments/pipeline_2.0.nwb");
    let recording = recording.to_string_lossy().into_owned();
    here.striate(&["score", "--experiment", &recording, "--predictions", "good.npy", "-q"])
        .refused(3, &["pipeline_2.0.nwb", "has no trial of the tier test"]);
    // A column may mean an image or a trial, where these are as many and in another order.
    let four = Array2::from_shape_fn((2, 4), |(n, i)| (n * 4 + i) as f32);
    std::fs::create_dir(here.0.join("o")).unwrap();
    for name in ["o/responses.npy", "o/p.npy"] {
        write(&here, name, &four);
    }
    let pictures = ArrayD::from_shape_fn(vec![4, 5, 5], |at| (at[0] + at[1] * at[2]) as f32);
    npy::write(&here.0.join("o/images.npy"), pictures.view()).unwrap();
    here.write("o/split.csv", "image,tier\n0,train\n1,train\n2,test\n3,test\n");
    let both = ["score", "--experiment", "o", "--predictions", "o/p.npy", "-q"];
    assert_eq!(here.striate(&both).code, 0);
    here.write("o/trials.csv", "trial,image,repeat\na,3,0\nb,1,0\nc,0,0\nd,2,0\n");
    here.striate(&both).refused(3, &["is 2 x 4", "means more than one of these"]);
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let there = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &there) } else { std::fs::copy(&entry, &there).map(drop).unwrap() }
    }
}

/// A mouse of the competition itself, of which no test image has responses.
#[test]
fn where_all_test_tiers_are_withheld_the_validation_tier_tests() {
    let here = Scratch::new("withheld");
    let folder = here.0.join(mouse().file_name().unwrap());
    copy(&mouse(), &folder);
    let tiers = npy::read_labels(&folder.join("meta/trials/tiers.npy")).unwrap();
    let withheld: Vec<usize> = (0..tiers.len()).filter(|k| tiers[*k].contains("test")).collect();
    for k in &withheld {
        let file = folder.join(format!("data/responses/{k}.npy"));
        let zeros = ArrayD::zeros(npy::read(&file, None).unwrap().shape().to_vec());
        npy::write(&file, zeros.view()).unwrap();
    }
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let fit = ["fit", "--experiment", &name, "--net", "pixels", "--lambdas", "absolute:1", "--folds", "2"];
    let ran = here.works(&[&fit[..], &["--out", "run"]].concat());
    assert!(ran.err.contains("the responses to all test images are withheld"), "{ran:?}");
    let responses = here.document("run.responses/record.json");
    assert_eq!(responses["summary"]["validation_tests"], true);
    assert_eq!(responses["summary"]["dropped"]["hidden"], withheld.len());
    let split = Table::read(&here, "run.responses/split.csv");
    let count = |tier: &str| split.texts("tier").iter().filter(|one| **one == tier).count();
    assert!(count("train") > 0 && count("test") > 0 && count("validation") == 0);
    assert_eq!(here.document("run/record.json")["summary"]["n_test"], count("test"));
}

#[test]
fn several_mice_become_a_folder_each() {
    let here = Scratch::new("mice");
    let name = mouse().file_name().unwrap().to_str().unwrap().to_owned();
    copy(&mouse(), &here.0.join("mice").join(&name));
    copy(&mouse(), &here.0.join("mice").join(name.replace("20457-5-9", "1-2-3")));
    let both = ["responses", "--experiment", "mice", "--out", "responses", "--json"];
    let planned = here.striate(&[&both[..], &["--dry-run"]].concat()).json();
    assert_eq!(planned["experiments"].as_array().unwrap().len(), 2);
    assert!(!here.0.join("responses").exists());
    let made = here.striate(&both).json();
    let outs: Vec<&str> =
        made["experiments"].as_array().unwrap().iter().map(|one| one["out"].as_str().unwrap()).collect();
    assert_eq!(outs, ["responses/1-2-3", "responses/20457-5-9"]);
    let bytes = |out: &str| std::fs::read(here.0.join(out).join("responses.npy")).unwrap();
    assert_eq!(bytes(outs[0]), bytes(outs[1]));
    // One that is damaged is said before anything is written of the others.
    std::fs::remove_file(here.0.join("mice").join(&name).join("data/responses/3.npy")).unwrap();
    let again = ["responses", "--experiment", "mice", "--out", "again"];
    here.striate(&again).refused(3, &["data/responses/3.npy"]);
    assert!(!here.0.join("again").exists());
}
