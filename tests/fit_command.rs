//! From simulated files to a run folder and back, with the real binary.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, distance};
use ndarray::{Array1, Array2, Axis, Ix2};
use serde_json::{Value, json};
use striate::io::npy;
use striate::io::weights::WeightFile;

const FILES: [&str; 4] = ["--responses", "e/responses.npy", "--split", "e/split.csv"];
const PIXELS: [&str; 4] = ["--images", "e/images.npy", "--net", "pixels"];
const VGG: [&str; 10] = [
    "--images",
    "e/images.npy",
    "--net",
    "vgg11",
    "--weights",
    "random:0",
    "--layer",
    "relu1_1",
    "--pool",
    "4",
];

const RUN_FILES: &str = "measured.npy model.safetensors plots predictions.npy record.json reliability.csv report.html scores.csv split.csv";

fn fit<'a>(input: &[&'a str], out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["fit", "--out", out, "-q"], input, &FILES, more].concat()
}

/// The largest distance between the fit's predictions and those of `striate predict`, in standard deviations.
fn predicted_again(here: &Scratch, run: &str, input: &[&str]) -> f32 {
    here.works(&[&["predict", run, "--out", "again.npy", "-q"], input].concat());
    distance(&here.array("again.npy"), &here.array(&format!("{run}/predictions.npy")))
}

/// `scores.csv` as rows.
fn scores(here: &Scratch, run: &str) -> Vec<Vec<String>> {
    let bytes = here.bytes(&format!("{run}/scores.csv"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
    reader.records().map(|row| row.unwrap().iter().map(String::from).collect()).collect()
}

fn has_all(document: &Value, fields: &[&str]) {
    for field in fields {
        let value = document.pointer(&format!("/{}", field.replace('.', "/")));
        assert!(value.is_some_and(|v| !v.is_null()), "no {field} in {document:#}");
    }
}

#[test]
fn a_run_folder_is_complete_and_predicts_what_it_predicted() {
    let here = Scratch::new("run");
    here.experiment("e");
    for (run, input) in [("pixels", &PIXELS[..]), ("vgg", &VGG[..])] {
        let document = here.works(&fit(input, run, &["--json"])).json();
        has_all(
            &document,
            &[
                "readout",
                "n_images",
                "n_train",
                "n_test",
                "n_features",
                "n_neurons",
                "adapter",
                "test.median_r",
                "test.mean_r",
                "test.median_r2",
                "test.median_feve",
                "seconds.total",
            ],
        );
        assert_eq!((&document["n_train"], &document["n_test"]), (&16.into(), &4.into()));
        assert_eq!(here.names(run).join(" "), RUN_FILES);
        assert_eq!(here.array(&format!("{run}/predictions.npy")).shape(), [6, 20]);
        let average = here.array("e/responses.npy").mean_axis(Axis(2)).unwrap();
        assert!(distance(&average, &here.array(&format!("{run}/measured.npy"))) < 1e-6);
        let shape = if run == "vgg" { [64, 4, 4] } else { [3, 16, 16] };
        assert_eq!(document["feature_shape"], json!(shape));
        let table = scores(&here, run);
        assert_eq!((table.len(), &table[0][3][..], &table[6][0][..]), (7, "pearson_r", "5"));
        let worst = predicted_again(&here, run, &input[..2]);
        assert!(worst < 1e-5, "{run}: {worst}");
    }
    assert_eq!(here.bytes("pixels/split.csv"), here.bytes("e/split.csv"));
    assert_eq!(here.works(&["info", "vgg", "--json"]).json()["kind"], "run");
}

#[test]
fn the_record_says_everything() {
    let here = Scratch::new("record");
    here.experiment("e");
    here.works(&fit(&VGG, "run", &["--seed", "9", "--normalise", "data"]));
    let record = here.document("run/record.json");
    assert_eq!(record["striate"], env!("CARGO_PKG_VERSION"));
    has_all(
        &record,
        &[
            "options.plan.slabs",
            "options.penalties_absolute",
            "options.penalty_unit",
            "options.intercept",
            "options.folds",
            "summary.test.median_r",
            "adapter.name",
            "adapter.driver",
            "adapter.backend",
            "adapter.max_buffer_bytes",
            "adapter.max_binding_bytes",
            "adapter.memory_peak_bytes",
            "adapter.loop_rounds",
            "seconds.features",
            "seconds.ridge",
            "seconds.total",
        ],
    );
    assert_eq!(record["options"]["seed"], 9);
    let network = &record["input"]["network"];
    assert_eq!((&network["layers"], &network["pool"]), (&json!(["relu1_1"]), &4.into()));
    // What `data` became: the statistics of the training images.
    assert!(network["normalise"]["as"]["channels"]["mean"].is_array(), "{network}");
    let inputs = record["inputs"].as_array().unwrap();
    let roles: Vec<&str> = inputs.iter().map(|input| input["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["images", "responses", "split"]);
    for input in inputs {
        let file = here.0.join(input["path"].as_str().unwrap());
        assert_eq!(input["sha256"].as_str().unwrap(), striate::io::hash::sha256_file(&file).unwrap());
    }
    assert!(predicted_again(&here, "run", &VGG[..2]) < 1e-5);
}

/// The model is what it says: `y = (x - feature_means) weightsᵀ + intercepts`.
#[test]
fn the_model_file_holds_the_readout() {
    let here = Scratch::new("model");
    here.experiment("e");
    here.works(&["features", "-q", "--images", "e/images.npy", "--net", "pixels", "--out", "f.npy"]);
    let features = ["--features", "f.npy"];
    here.works(&fit(&features, "run", &[]));
    let model = WeightFile::open(&here.0.join("run/model.safetensors")).unwrap();
    let weights: Array2<f32> = model.read("weights").unwrap().into_dimensionality().unwrap();
    let vector = |name: &str| -> Array1<f32> { model.read(name).unwrap().into_dimensionality().unwrap() };
    let x: Array2<f32> = here.array("f.npy").into_dimensionality::<Ix2>().unwrap();
    assert_eq!((x.dim(), weights.dim()), ((20, 768), (6, 768)));
    let y = (x - vector("feature_means")).dot(&weights.t()) + vector("intercepts");
    let worst = distance(&y.reversed_axes().into_dyn(), &here.array("run/predictions.npy"));
    assert!(worst < 1e-5, "{worst}");
    assert_eq!(vector("penalties").len(), 6);
    assert!(predicted_again(&here, "run", &features) < 1e-5);
    // The same features from the images give the same readout.
    here.works(&fit(&PIXELS, "direct", &[]));
    assert!(distance(&here.array("direct/predictions.npy"), &here.array("run/predictions.npy")) < 1e-6);
    assert!(predicted_again(&here, "direct", &features) < 1e-5, "features of images serve a run of images");
    let images = ["predict", "run", "--images", "e/images.npy", "--out", "p.npy"];
    here.striate(&images).refused(2, &["--features FILE.npy"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let here = Scratch::new("again");
    here.experiment("e");
    let random = |out: &str, seed: &str| {
        here.works(&[&["fit", "-q", "--seed", seed, "--out", out], &VGG[..], &FILES[..2]].concat());
        ["predictions.npy", "scores.csv", "split.csv", "model.safetensors"]
            .map(|file| here.bytes(&format!("{out}/{file}")))
    };
    let first = random("a", "3");
    assert!(first == random("b", "3"));
    assert!(first[2] != random("c", "4")[2], "another seed draws another split");
    // An earlier run is replaced whole.
    assert!(first == random("c", "3"));
    assert_eq!(here.names("."), ["a", "b", "c", "e"]);
}

#[test]
fn a_configuration_is_as_good_as_options() {
    let here = Scratch::new("config-fit");
    here.experiment("e");
    here.works(&fit(&VGG, "a", &["--lambdas", "0.01,1,100"]));
    let text = "images = \"e/images.npy\"\nnet = \"vgg11\"\nweights = \"random:0\"\nlayer = [\"relu1_1\"]\npool = 4\n\
                responses = \"e/responses.npy\"\nsplit = \"e/split.csv\"\nlambdas = [0.01, 1, 100]\nout = \"b\"\n";
    here.write("fit.toml", text);
    here.works(&["fit", "-q", "--config", "fit.toml"]);
    assert!(here.bytes("a/predictions.npy") == here.bytes("b/predictions.npy"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let here = Scratch::new("dry");
    here.experiment("e");
    let document = here.works(&fit(&VGG, "run", &["--dry-run", "--json"])).json();
    has_all(&document, &["plan.gpu_bytes", "plan.passes", "estimated_seconds", "adapter", "n_neurons"]);
    let operations = &document["plan"]["operations"];
    assert_eq!(operations["weights"], 2.0 * 20.0 * 1024.0 * 6.0);
    // Five folds of the 16 training images, 15 penalties.
    let losses = operations["readout_losses"].as_f64().unwrap();
    assert!((2.0 * 16.0 * 12.0 * 6.0 * 15.0..=2.0 * 16.0 * 13.0 * 6.0 * 15.0).contains(&losses), "{losses}");
    let text = here.works(&fit(&VGG, "run", &["--dry-run"])).out;
    assert!(text.contains("readout on disk") && text.contains("losses"), "{text}");
    let features = [&["features", "--out", "f.npy", "--dry-run", "-q", "--json"], &VGG[..]].concat();
    assert_eq!(
        here.works(&features).json()["layers"][0],
        json!({"layer": "relu1_1", "n_features": 1024, "shape": [64, 4, 4],
        "file_bytes": 4 * 20 * 1024})
    );
    assert_eq!(here.names("."), ["e"]);
    here.works(&fit(&VGG, "run", &[]));
    let model = document["plan"]["model_bytes"].as_u64().unwrap();
    assert_eq!(model, here.bytes("run/model.safetensors").len() as u64);
    // What a fit would find missing, a dry run finds.
    let absent = ["fit", "--out", "run", "--responses", "none.npy", "--dry-run", "-q"];
    here.striate(&[&absent[..], &PIXELS[..]].concat()).refused(3, &["none.npy"]);
}

#[test]
fn several_layers_come_in_a_folder_and_equal_themselves_alone() {
    let here = Scratch::new("layers");
    here.experiment("e");
    let base = ["-q", "--images", "e/images.npy", "--net", "vgg11", "--weights", "random:7"];
    let features = |layers: &str, out: &str, more: &[&str]| {
        here.works(&[&["features"], &base[..], &["--layer", layers, "--out", out], more].concat())
    };
    features("conv1_1,relu1_1,pool1", "all", &[]);
    assert_eq!(here.names("all"), ["conv1_1.npy", "pool1.npy", "record.json", "relu1_1.npy"]);
    assert_eq!(here.array("all/pool1.npy").shape(), [20, 64 * 8 * 8]);
    for layer in ["conv1_1", "relu1_1", "pool1"] {
        features(layer, "one.npy", &[]);
        assert_eq!(here.array("one.npy"), here.array(&format!("all/{layer}.npy")), "{layer}");
    }
    let rectified = here.array("all/conv1_1.npy").mapv(|v| v.max(0.0));
    assert_eq!(rectified, here.array("all/relu1_1.npy"));
    features("pool1", "few.npy", &["--subsample", "50", "--subsample-seed", "3"]);
    let (few, pool1) = (here.array("few.npy"), here.array("all/pool1.npy"));
    let columns = |array: &ndarray::ArrayD<f32>| -> Vec<Vec<u32>> {
        array.columns().into_iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect()
    };
    let (few, pool1) = (columns(&few), columns(&pool1));
    assert_eq!(few.len(), 50);
    assert!(few.iter().all(|column| pool1.contains(column)), "a sample is of the layer's own features");
    let again = [&["features"], &base[..], &["--layer", "relu1_1,pool1", "--out", "all"]].concat();
    here.striate(&again).refused(4, &["all", "conv1_1.npy", "would be lost"]);
}

#[test]
fn options_of_the_readout_do_what_they_say() {
    let here = Scratch::new("options");
    here.experiment("e");
    let rows: String =
        (0..20).map(|i| format!("{i},{}\n", ["train", "validation", "test"][i % 10 / 8 + i / 15])).collect();
    here.write("tiers.csv", format!("image,tier\n{rows}"));
    let record = |out: &str| here.document(&format!("{out}/record.json"));
    let tiers = ["--responses", "e/responses.npy", "--split", "tiers.csv"];
    here.works(&[&["fit", "-q", "--out", "tiers"], &PIXELS[..], &tiers[..]].concat());
    let summary = &record("tiers")["summary"];
    assert_eq!(
        (&summary["n_train"], &summary["n_validation"], &summary["n_test"]),
        (&13.into(), &5.into(), &2.into())
    );
    assert_eq!(summary["n_fitted"], 18, "training and validation images together");
    here.works(&fit(&PIXELS, "plain", &["--no-intercept"]));
    let model = WeightFile::open(&here.0.join("plain/model.safetensors")).unwrap();
    for vector in ["intercepts", "feature_means"] {
        assert!(model.read(vector).unwrap().iter().all(|v| *v == 0.0), "{vector}");
    }
    assert!(predicted_again(&here, "plain", &PIXELS[..2]) < 1e-5);
    here.works(&fit(&PIXELS, "absolute", &["--lambdas", "absolute:0.5,50,5"]));
    assert_eq!(record("absolute")["options"]["penalties_absolute"], json!([0.5, 5.0, 50.0]));
    assert!(scores(&here, "absolute")[1..].iter().all(|row| ["5e-1", "5e0", "5e1"].contains(&&row[1][..])));
    here.works(&fit(&VGG, "sample", &["--subsample", "100"]));
    assert_eq!(record("sample")["summary"]["n_features"], 100);
    assert!(predicted_again(&here, "sample", &VGG[..2]) < 1e-5);
    here.works(&fit(&PIXELS, "resized", &["--size", "7x9", "--filter", "bicubic", "--normalise", "none"]));
    assert_eq!(record("resized")["summary"]["n_features"], 3 * 7 * 9);
    assert!(predicted_again(&here, "resized", &PIXELS[..2]) < 1e-5);
    here.striate(&fit(&PIXELS, "none", &["--adapter", "nonsense"])).refused(5, &["--adapter", "'nonsense'"]);
}

/// Weights decide what features mean: a readout is not used with others, and never with a damaged model.
#[test]
fn predict_wants_the_weights_of_the_fit_and_a_whole_model() {
    let here = Scratch::new("weights");
    here.experiment("e");
    let header = r#"{"features.0.weight":{"dtype":"F32","shape":[64,3,3,3],"data_offsets":[0,6912]},"features.0.bias":{"dtype":"F32","shape":[64],"data_offsets":[6912,7168]}}"#;
    let weights = |scale: f32| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend((0..1792).flat_map(|i| (scale * (i as f32 * 1.7).sin()).to_le_bytes()));
        file
    };
    here.write("own.safetensors", weights(0.2));
    let input =
        ["--images", "e/images.npy", "--net", "vgg11", "--weights", "own.safetensors", "--layer", "relu1_1"];
    for out in [&["features", "--out", "own.safetensors", "-q"][..], &fit(&[], "own.safetensors", &[])] {
        here.striate(&[out, &input].concat()).refused(2, &["own.safetensors (weights)"]);
    }
    here.works(&fit(&input, "run", &[]));
    let inputs = here.document("run/record.json")["inputs"].clone();
    assert_eq!(inputs[1]["role"], "weights");
    std::fs::rename(here.0.join("own.safetensors"), here.0.join("moved.safetensors")).unwrap();
    assert!(
        predicted_again(&here, "run", &["--images", "e/images.npy", "--weights", "moved.safetensors"]) < 1e-5
    );
    let predict = |more: &[&str]| {
        let _ = std::fs::remove_file(here.0.join("again.npy"));
        let ran = here.striate(
            &[&["predict", "run", "--images", "e/images.npy", "--out", "again.npy", "-q"], more].concat(),
        );
        assert!(!here.0.join("again.npy").exists());
        ran
    };
    predict(&[]).refused(3, &["own.safetensors", "Check the path"]);
    here.write("own.safetensors", weights(0.3));
    predict(&[]).refused(3, &["own.safetensors", "is not what the readout was fitted with"]);
    predict(&["--weights", "random:1"]).refused(3, &["random:1", "fitted with"]);
    here.write("own.safetensors", weights(0.2));
    // What another program saves may lie in another order, and is read by name or not at all.
    let model = here.bytes("run/model.safetensors");
    let damaged = |change: &dyn Fn(&mut Vec<u8>), said: &[&str]| {
        let mut bytes = model.clone();
        change(&mut bytes);
        here.write("run/model.safetensors", bytes);
        predict(&[]).refused(3, said);
    };
    damaged(&|b| b.truncate(2000), &["model.safetensors", "promises"]);
    damaged(&|b| b.clear(), &["model.safetensors", "empty"]);
    damaged(&|b| b[800..804].copy_from_slice(&f32::NAN.to_le_bytes()), &["record.json", "another model"]);
    here.write("run/model.safetensors", &model);
    assert!(predicted_again(&here, "run", &["--images", "e/images.npy"]) < 1e-5);
    npy::write(&here.0.join("few.npy"), ndarray::ArrayD::zeros(vec![3, 8]).view()).unwrap();
    here.striate(&["predict", "run", "--features", "few.npy", "--out", "again.npy"])
        .refused(3, &["run", "features"]);
}

/// Nothing that is read is replaced by what is written.
#[test]
fn inputs_are_not_written_over() {
    let here = Scratch::new("keep");
    here.experiment("e");
    here.works(&fit(&PIXELS, "run", &[]));
    for out in ["e/images.npy", "run/model.safetensors", "run/scores.csv", "run/record.json"] {
        let before = here.bytes(out);
        here.striate(&["predict", "run", "--images", "e/images.npy", "--out", out, "-q"]).refused(2, &[out]);
        assert!(here.bytes(out) == before, "{out}");
    }
    here.works(&["predict", "run", "--images", "e/images.npy", "--out", "run/new.npy", "-q"]);
    std::fs::remove_file(here.0.join("run/new.npy")).unwrap();
    // The folder of an earlier fit would be replaced whole, and the split or the responses in it.
    let own = |responses: &str, split: &str| {
        let files = ["--responses", responses, "--split", split];
        here.striate(&[&["fit", "--out", "run", "-q"], &PIXELS[..], &files].concat())
    };
    own("e/responses.npy", "run/split.csv").refused(2, &["run/split.csv"]);
    own("run/predictions.npy", "e/split.csv").refused(2, &["run/predictions.npy"]);
    std::fs::create_dir(here.0.join("images")).unwrap();
    for name in ["1.png", "2.png"] {
        image::GrayImage::new(8, 6).save(here.0.join("images").join(name)).unwrap();
    }
    let pixels = ["features", "-q", "--images", "images", "--net", "pixels", "--out"];
    here.striate(&[&pixels[..], &["images/1.png"]].concat()).refused(2, &["images/1.png"]);
    here.works(&[&pixels[..], &["images/features.npy"]].concat());
}

/// The record says the size that images had, so that those of another shape are resized to it even where they
/// happen to have as many features.
#[test]
fn images_of_another_size_are_resized_to_that_of_the_fit() {
    let here = Scratch::new("sizes");
    here.experiment("e");
    let write = |name: &str, height: usize, width: usize| {
        let values = (0..20 * height * width).map(|i| ((i * i) as f32 * 0.37).sin() * 0.5 + 0.5);
        let array = ndarray::ArrayD::from_shape_vec(vec![20, height, width], values.collect()).unwrap();
        npy::write(&here.0.join(name), array.view()).unwrap();
    };
    write("upright.npy", 16, 8);
    write("lying.npy", 8, 16);
    let upright = ["--images", "upright.npy", "--net", "pixels"];
    here.works(&fit(&upright, "run", &[]));
    let size = &here.document("run/record.json")["input"]["network"]["size"];
    assert_eq!(size, &json!({"height": 16, "width": 8}));
    here.works(&fit(&upright, "asked", &["--size", "16x8"]));
    assert!(here.bytes("run/predictions.npy") == here.bytes("asked/predictions.npy"));
    assert!(predicted_again(&here, "run", &upright[..2]) < 1e-5);
    let lying = |run: &str, input: &[&str]| {
        here.works(&[&["predict", run, "--out", "lying-predicted.npy", "-q"], input].concat());
        here.array("lying-predicted.npy")
    };
    let resized =
        ["features", "-q", "--images", "lying.npy", "--net", "pixels", "--size", "16x8", "--out", "f.npy"];
    here.works(&resized);
    let (from_images, from_features) =
        (lying("run", &["--images", "lying.npy"]), lying("run", &["--features", "f.npy"]));
    assert!(distance(&from_images, &from_features) < 1e-5);
}
