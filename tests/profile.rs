//! Profiles of several layers: the whole command on a simulated experiment.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::Scratch;
use ndarray::{Array3, Ix3};
use serde_json::{Value, json};
use std::collections::HashMap;
use striate::io::npy;
use striate::random::Random;

/// Rows of a table by the names of their columns.
type Row = HashMap<String, String>;

fn table(here: &Scratch, name: &str) -> Vec<Row> {
    let bytes = here.bytes(name);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    let row =
        |record: csv::StringRecord| header.iter().cloned().zip(record.iter().map(String::from)).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or(f64::NAN)
}

const LAYERS: [&str; 4] = ["relu1_1", "pool1", "relu2_1", "pool2"];
const NEURONS: usize = 16;
/// The neuron whose trials are dealt out to images at random.
const UNTUNED: usize = 3;

const INPUT: [&str; 12] = [
    "--images",
    "e/images.npy",
    "--net",
    "vgg19",
    "--weights",
    "random:1",
    "--pool",
    "8",
    "--split",
    "e/split.csv",
    "--responses",
    "responses.npy",
];

/// A simulated experiment of two areas in which one neuron responds to nothing.
fn experiment(name: &str) -> Scratch {
    let here = Scratch::new(name);
    let size = ["--images", "150", "--size", "32", "--neurons", "16", "--repeats", "6", "--seed", "5"];
    here.works(&[&["simulate", "--out", "e", "-q"], &size[..]].concat());
    let mut responses: Array3<f32> = here.array("e/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let mut neuron = responses.index_axis_mut(ndarray::Axis(0), UNTUNED);
    let mut trials: Vec<f32> = neuron.iter().copied().filter(|v| !v.is_nan()).collect();
    Random::stream(2, "test").shuffle(&mut trials);
    for value in neuron.iter_mut().filter(|v| !v.is_nan()) {
        *value = trials.pop().unwrap();
    }
    npy::write(&here.0.join("responses.npy"), responses.view().into_dyn()).unwrap();
    let rows: String =
        (0..NEURONS).rev().map(|n| format!("{n},{},L{}\n", ["V1", "LM"][n % 2], 2 + n % 3)).collect();
    here.write("neurons.csv", format!("neuron,area,layer\n{rows}"));
    here
}

fn profile<'a>(out: &'a str, layers: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["profile", "-q", "--out", out, "--layer", layers], &INPUT[..], more].concat()
}

fn all_layers() -> String {
    LAYERS.join(",")
}

#[test]
fn a_profile_is_whole_and_its_tables_agree() {
    let here = experiment("profile");
    let (layers, more) = (all_layers(), ["--labels", "neurons.csv", "--controls", "shuffled,random"]);
    let ran = here.works(&profile("p", &layers, &more));
    let files = [
        "best_layers.csv",
        "cluster_order.csv",
        "correlation_matrix.npy",
        "correlations.csv",
        "layers.csv",
        "linkage.npy",
        "measured.npy",
        "plots",
        "profile.csv",
        "record.json",
        "reliability.csv",
        "report.html",
        "split.csv",
    ];
    assert_eq!(here.names("p"), files);
    let rows = table(&here, "p/profile.csv");
    assert_eq!(rows.len(), LAYERS.len() * 3 * NEURONS);
    assert!(rows.iter().all(|row| row["size"] == "32" && !row["label_layer"].is_empty()));
    agree(&here, &rows);
    clusters(&here);
    // How much can be explained at all comes first, and names the neuron that responds to nothing.
    let first: Vec<&str> = ran.out.lines().take(3).collect();
    assert!(first[0].contains("at most") && first[2].contains("not known to: "), "{}", ran.out);
    let reliability = table(&here, "p/reliability.csv");
    assert_eq!(reliability[UNTUNED]["tuned"], "false");
    assert!(
        number(&reliability[UNTUNED], "fev_low") < 0.0 && number(&reliability[UNTUNED], "fev_high") > 0.0
    );
    let untuned = first[2].split("not known to: ").nth(1).unwrap();
    assert!(untuned.trim_end_matches('.').split(", ").any(|n| n == UNTUNED.to_string()), "{untuned}");
    assert!(ran.out.contains("shuffled images") && ran.out.contains("random weights"), "{}", ran.out);
    let document = here.document("p/record.json");
    assert_eq!((&document["command"], &document["summary"]["passes"]), (&"profile".into(), &2.into()));
    assert_eq!(here.works(&["info", "p", "--json"]).json()["kind"], "run");
    let labels = here.works(&["info", "neurons.csv", "--json"]).json();
    assert_eq!((&labels["kind"], &labels["areas"]), (&"labels".into(), &json!([["LM", 8], ["V1", 8]])));
    // Shuffled images are a null: no interval over images leaves out 0, but for one in twenty.
    let null =
        |row: &&Row| row["control"] == "shuffled" && row["measure"] == "pearson_r" && row["area"] == "all";
    let means = table(&here, "p/layers.csv");
    let null: Vec<&Row> = means.iter().filter(null).collect();
    assert_eq!(null.len(), LAYERS.len());
    for row in null {
        assert!(number(row, "images_low") < 0.0 && number(row, "images_high") > 0.0, "{row:?}");
        assert!(number(row, "neurons_low") < number(row, "mean"), "{row:?}");
    }
}

/// Means are of the rows that they are said to be of, and best layers score what these rows say.
fn agree(here: &Scratch, rows: &[Row]) {
    for mean in table(here, "p/layers.csv") {
        let own = |row: &&Row| {
            row["layer"] == mean["layer"]
                && row["control"] == mean["control"]
                && (mean["area"] == "all" || row["area"] == mean["area"])
        };
        if mean["measure"] == "pearson_r" {
            let values: Vec<f64> =
                rows.iter().filter(own).map(|row| number(row, "pearson_r")).filter(|r| !r.is_nan()).collect();
            let expected = values.iter().sum::<f64>() / values.len() as f64;
            assert!((number(&mean, "mean") - expected).abs() < 2e-6, "{mean:?} {expected}");
            assert_eq!(mean["neurons"], values.len().to_string());
        }
        let [low, high] = ["images_low", "images_high"].map(|column| number(&mean, column));
        assert!(low < high && number(&mean, "neurons_low") < number(&mean, "neurons_high"), "{mean:?}");
    }
    for row in rows.iter().filter(|row| !row["normalised_r"].is_empty()) {
        let expected = number(row, "pearson_r") / number(row, "ceiling");
        assert!((number(row, "normalised_r") - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{row:?}");
    }
    for best in table(here, "p/best_layers.csv") {
        let own = |row: &&Row| {
            row["layer"] == best["best_layer"] && row["control"] == "none" && row["neuron"] == best["neuron"]
        };
        assert_eq!(rows.iter().find(own).unwrap()["pearson_r"], best["nested_r"]);
        let folds: Vec<&str> = best["folds"].split(' ').collect();
        assert!(folds.len() == 5 && folds.iter().all(|layer| LAYERS.contains(layer)), "{best:?}");
    }
}

/// Correlations, linkage and order belong together.
fn clusters(here: &Scratch) {
    let matrix = here.array("p/correlation_matrix.npy");
    assert_eq!(matrix.shape(), [NEURONS, NEURONS]);
    assert_eq!(matrix, matrix.t().to_owned());
    assert!((0..NEURONS).all(|n| matrix[[n, n]] == 1.0));
    let linkage = npy::read_f64(&here.0.join("p/linkage.npy"), None).unwrap();
    assert_eq!((linkage.shape(), linkage[[NEURONS - 2, 3]]), (&[NEURONS - 1, 4][..], NEURONS as f64));
    let closest = 1.0 - f64::from(matrix[[linkage[[0, 0]] as usize, linkage[[0, 1]] as usize]]);
    assert!((linkage[[0, 2]] - closest).abs() < 1e-6);
    let order = table(here, "p/cluster_order.csv");
    let mut neurons: Vec<usize> = order.iter().map(|row| row["neuron"].parse().unwrap()).collect();
    neurons.sort_unstable();
    assert_eq!(neurons, (0..NEURONS).collect::<Vec<_>>());
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in table(here, "p/correlations.csv") {
        let pair = format!("{} {} {}", row["first_area"], row["second_area"], row["kind"]);
        *counts.entry(pair).or_default() += row["count"].parse::<usize>().unwrap();
    }
    let expected =
        [("all all within", 120), ("V1 V1 within", 28), ("LM LM within", 28), ("LM V1 between", 64)];
    for (pair, count) in expected {
        let turned = pair.replace("LM V1", "V1 LM");
        assert_eq!(counts.get(pair).or(counts.get(&turned)), Some(&count), "{pair}: {counts:?}");
    }
}

/// A layer of a profile scores what a fit of that layer scores, with every readout and in as many passes as
/// memory wants.
#[test]
fn layers_score_as_they_do_alone() {
    let here = experiment("profile-alone");
    let layers = all_layers();
    for (readout, more) in [("ridge", &[][..]), ("smooth-ridge", &["--ratios", "0,1,10"][..])] {
        let more = [&["--readout", readout, "--controls", "shuffled"], more].concat();
        here.works(&profile("p", &layers, &more));
        let rows = table(&here, "p/profile.csv");
        for layer in ["relu1_1", "pool2"] {
            let fit = ["fit", "-q", "--out", "f", "--layer", layer, "--readout", readout];
            let ratios = if readout == "ridge" { &[][..] } else { &["--ratios", "0,1,10"][..] };
            here.works(&[&fit, &INPUT[..], ratios].concat());
            let scores = table(&here, "f/scores.csv");
            let own = rows.iter().filter(|row| row["layer"] == layer && row["control"] == "none");
            for (row, score) in own.zip(&scores) {
                for column in ["pearson_r", "feve", "explained_variance"] {
                    assert_eq!(row[column], score[column], "{readout} {layer} {row:?}");
                }
            }
            assert_eq!(here.bytes("f/reliability.csv"), here.bytes("p/reliability.csv"));
            // The neuron that responds to nothing is predicted by nothing.
            let untuned = &scores[UNTUNED];
            let [low, high] = ["pearson_r_low", "pearson_r_high"].map(|column| number(untuned, column));
            assert!(low < 0.0 && high > 0.0, "{untuned:?}");
        }
        let small = ["--max-memory", "20M"];
        here.works(&profile("q", &layers, &[&more[..], &small].concat()));
        let passes = here.document("q/record.json")["summary"]["passes"].as_u64().unwrap();
        assert!(passes > 1, "{readout}: {passes}");
        assert!(here.bytes("p/profile.csv") == here.bytes("q/profile.csv"), "{readout}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let here = experiment("profile-seed");
    let layers = all_layers();
    let run = |out: &str, seed: &str| {
        let more = ["--seed", seed, "--controls", "shuffled", "--sizes", "32,40", "--bootstrap", "200"];
        here.works(&profile(out, &layers, &more));
        here.names(out)
            .into_iter()
            // Records and pages hold times.
            .filter(|name| !["record.json", "report.html", "plots"].contains(&&name[..]))
            .map(|name| (here.bytes(&format!("{out}/{name}")), name))
            .collect::<Vec<_>>()
    };
    let first = run("a", "3");
    assert!(first == run("b", "3"));
    let other = run("c", "4");
    assert!(first.iter().zip(&other).any(|(a, b)| a.1 == "layers.csv" && a.0 != b.0));
    let rows = table(&here, "a/profile.csv");
    assert_eq!(rows.len(), 2 * 2 * LAYERS.len() * NEURONS);
    assert!(rows[0]["size"] == "32" && rows.last().unwrap()["size"] == "40");
    // An earlier profile is replaced whole.
    assert!(first == run("c", "3"));
}

#[test]
fn few_layers_have_no_clusters_and_say_so() {
    let here = experiment("profile-few");
    let ran = here.works(&profile("p", "relu1_1,pool1", &[]));
    assert!(ran.out.contains("no clusters") && ran.out.contains("at least 3 layers"), "{}", ran.out);
    assert_eq!(
        here.names("p"),
        [
            "best_layers.csv",
            "layers.csv",
            "measured.npy",
            "plots",
            "profile.csv",
            "record.json",
            "reliability.csv",
            "report.html",
            "split.csv"
        ]
    );
    let dry = here.works(&profile("q", "relu1_1,pool1", &["--dry-run", "--json", "--sizes", "32,40"])).json();
    assert_eq!(dry["plan"]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(dry["plan"]["runs"][0]["layers"][1]["n_features"], 64 * 64);
    assert_eq!(here.names("."), ["e", "neurons.csv", "p", "responses.npy"]);
    let pixels = ["--images", "e/images.npy", "--net", "pixels", "--responses", "responses.npy"];
    here.works(&[&["profile", "-q", "--out", "pixels"], &pixels[..]].concat());
    here.striate(&[&["profile", "-q", "--out", "pixels", "--controls", "random"], &pixels[..]].concat())
        .refused(2, &["--controls", "pixels"]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let here = experiment("profile-refused");
    let refused = |code: i32, more: &[&str], said: &[&str]| {
        here.striate(&profile("p", "relu1_1,pool1,pool2", more)).refused(code, said);
        assert!(!here.0.join("p").exists(), "{more:?}");
    };
    let labels = |text: &str, said: &str| {
        here.write("wrong.csv", text);
        refused(3, &["--labels", "wrong.csv"], &["wrong.csv", said]);
    };
    labels("neuron,area\n0,V1\n", "has no line for neuron 1");
    labels("neuron,area\n0,V1\n0,V1\n", "again");
    labels("neuron,area\n99,V1\n", "'99'");
    labels("neuron,area\n0\n", "line 2");
    labels("neuron\n0\n", "no column of labels");
    refused(3, &["--labels", "absent.csv"], &["absent.csv", "Check the path"]);
    refused(2, &["--sizes", "32,32"], &["--sizes", "twice"]);
    refused(2, &["--sizes", "32", "--size", "32"], &["--sizes", "--size"]);
    refused(2, &["--bootstrap", "3"], &["--bootstrap", "100"]);
    refused(2, &["--sizes", "4"], &["--pool", "4 x 4"]);
    refused(6, &["--max-memory", "1M"], &["GPU memory"]);
    refused(2, &["--readout", "smooth-ridge", "--subsample", "10"], &["smooth-ridge"]);
    refused(2, &["--readout", "factored", "--refit"], &["--refit", "folds"]);
    refused(2, &["--readout", "factored", "--l1", "-1"], &["--l1", "0 or more"]);
    here.works(&profile("p", "relu1_1,pool1,pool2", &[]));
    here.striate(&[&profile("p", "relu1_1", &[])[..], &["--labels", "p/best_layers.csv"]].concat())
        .refused(2, &["p/best_layers.csv"]);
}

/// A trained readout for each layer and fold; the null has a group of its own, and does not touch the scores
/// of neurons.
#[test]
fn trained_readouts_are_profiled_as_well() {
    let here = experiment("profile-trained");
    let factored = ["--readout", "factored", "--epochs", "6", "--folds", "3", "--l2", "0.01"];
    here.works(&profile("alone", &all_layers(), &factored));
    here.works(&profile("both", &all_layers(), &[&factored[..], &["--controls", "shuffled"]].concat()));
    let scores = |out: &str, control: &str| -> Vec<String> {
        let rows =
            table(&here, &format!("{out}/profile.csv")).into_iter().filter(|row| row["control"] == control);
        rows.map(|row| row["pearson_r"].clone()).collect()
    };
    let alone = scores("alone", "none");
    assert_eq!((alone.len(), &alone), (LAYERS.len() * NEURONS, &scores("both", "none")));
    let mean = |all: Vec<String>| {
        let all: Vec<f64> = all.iter().filter_map(|r| r.parse().ok()).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let (real, null) = (mean(alone), mean(scores("both", "shuffled")));
    assert!(real > 0.15 && null.abs() < 0.1, "{real} {null}");
    let record = here.document("both/record.json");
    assert_eq!((&record["options"]["folds"], &record["summary"]["readout"]), (&3.into(), &"factored".into()));
    assert_eq!(record["options"]["factorisation_taken"], Value::Null);
}
