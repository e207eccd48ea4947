//! Trained readouts against what is known: the truth of simulated experiments, the closed form, and real
//! recordings.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table, distance};
use ndarray::{Array2, Array4, Axis, Ix3};
use std::path::{Path, PathBuf};
use std::time::Instant;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::io::weights::WeightFile;
use striate::random::Random;
use striate::training::{
    Data, Initialisation, Model, Optimiser, Penalties, Reduction, Resident, Settings, Shared, Standardise,
    Trainer,
};

const SIZE: usize = 32;

/// Penalties and rates that suit a factored readout of standardised features and responses.
const FACTORED: [&str; 14] = [
    "--readout",
    "factored",
    "--feature-norm",
    "product",
    "--l1",
    "0.004",
    "--l2",
    "0.04",
    "--laplace",
    "0.004",
    "--learning-rate",
    "0.006",
    "--feature-learning-rate",
    "0.002",
];

/// An experiment, and a fit of a layer of a network with random weights, whose filters are small and of all
/// kinds.
fn simulated(name: &str, images: &str) -> Scratch {
    let here = Scratch::new(name);
    let counts = ["--neurons", "40", "--repeats", "10", "--size", "32", "--seed", "11"];
    here.works(&[&["simulate", "--out", "e", "-q", "--images", images], &counts[..]].concat());
    let files = ["--images", "e/images.npy", "--responses", "e/responses.npy", "--split", "e/split.csv"];
    let network = ["--net", "vgg19", "--weights", "random:0", "--layer", "pool2"];
    here.works(&[&["fit", "--out", "run", "-q"], &files[..], &network, &FACTORED].concat());
    here
}

/// The centre of a squared mask, in pixels of the image.
fn centre(mask: ndarray::ArrayView2<'_, f32>) -> [f64; 2] {
    let step = SIZE as f64 / mask.nrows() as f64;
    let (mut sums, mut total) = ([0.0; 2], 0.0);
    for ((row, column), value) in mask.indexed_iter() {
        let weight = f64::from(*value).powi(2);
        total += weight;
        sums[0] += weight * row as f64;
        sums[1] += weight * column as f64;
    }
    sums.map(|sum| (sum / total + 0.5) * step - 0.5)
}

#[test]
fn masks_lie_where_the_receptive_fields_are_and_more_images_explain_more() {
    let here = simulated("masks", "800");
    let neurons = Table::read(&here, "e/neurons.csv");
    let model = WeightFile::open(&here.0.join("run/model.safetensors")).unwrap();
    let masks = model.read("spatial_masks").unwrap().into_dimensionality::<Ix3>().unwrap();
    let (x, y) = (neurons.numbers("x"), neurons.numbers("y"));
    let pixel = SIZE as f64 / masks.dim().1 as f64;
    let driven: Vec<usize> = (0..x.len()).filter(|n| x[*n].is_finite()).collect();
    let off = |n: usize| {
        let [row, column] = centre(masks.index_axis(Axis(0), n));
        (row - y[n]).hypot(column - x[n]) / pixel
    };
    let near = driven.iter().filter(|n| off(**n) < 1.0).count();
    assert!(driven.len() > 30 && 10 * near >= 9 * driven.len(), "{near} of {}", driven.len());

    let explained = |here: &Scratch| {
        let feve = Table::read(here, "run/scores.csv").numbers("feve");
        let mut values: Vec<f64> = driven.iter().map(|n| feve[*n]).filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let grown =
        [explained(&simulated("fewest", "100")), explained(&simulated("fewer", "280")), explained(&here)];
    println!("median FEVE of driven neurons with 80, 224 and 640 training images: {grown:.3?}");
    assert!(grown[0] + 0.03 < grown[1] && grown[1] + 0.03 < grown[2] && grown[2] > 0.5, "{grown:?}");
}

#[test]
fn predict_repeats_what_every_readout_predicted() {
    let here = Scratch::new("trained-predict");
    here.works(&[
        "simulate",
        "--out",
        "e",
        "-q",
        "--images",
        "60",
        "--neurons",
        "6",
        "--size",
        "16",
        "--repeats",
        "2",
    ]);
    let files = ["--images", "e/images.npy", "--responses", "e/responses.npy", "--split", "e/split.csv"];
    let network = ["--net", "vgg19", "--weights", "random:0", "--layer", "pool1", "--epochs", "3"];
    let counts = ["--loss", "poisson", "--nonlinearity", "softplus", "--standardise-responses", "false"];
    for (name, more) in [
        ("simple", &["--readout", "simple", "--l1", "0.01", "--proximal"][..]),
        ("spatial", &["--readout", "spatial", "--laplace", "1", "--refit"]),
        ("factored", &["--readout", "factored", "--non-negative", "--half-features"]),
        ("poisson", &[&["--readout", "factored"][..], &counts].concat()),
        ("mlp", &["--readout", "mlp", "--widths", "9,6", "--activation", "tanh", "--initialisation", "he"]),
        (
            "mlp-sgd",
            &["--readout", "mlp", "--widths", "7", "--optimiser", "sgd", "--initialisation", "xavier"],
        ),
    ] {
        here.works(&[&["fit", "--out", "run", "-q"][..], &files, &network, more].concat());
        here.works(&["predict", "run", "--images", "e/images.npy", "--out", "again.npy", "-q"]);
        let apart = distance(&here.array("again.npy"), &here.array("run/predictions.npy"));
        // Half-precision features are rounded in the fit, and not in the prediction.
        let bound = if name == "factored" { 1e-2 } else { 1e-4 };
        assert!(apart < bound, "{name}: {apart:.1e}");
        let curves = Table::read(&here, "run/curves.csv");
        assert!(curves.texts("tier").contains(&"validation"), "{name}");
        assert!(curves.numbers("epoch").iter().all(|e| (1.0..=3.0).contains(e)), "{name}");
    }
}

/// What the closed form minimises, minimised by gradient descent until nothing moves.
#[test]
fn converged_descent_is_smooth_ridge() {
    let (images, shape, neurons) = (24, [2, 3, 4], 4);
    let features = shape.iter().product::<usize>();
    let here = Scratch::new("converged");
    let mut random = Random::stream(5, "converged");
    let maps =
        Array4::from_shape_simple_fn((images, shape[0], shape[1], shape[2]), || random.normal() as f32);
    let responses = Array2::from_shape_fn((neurons, images), |(n, i)| {
        (f64::from(maps[[i, 0, 1, 1]]) + f64::from(maps[[i, 1, 2, n]]) + 0.5 * random.normal()) as f32
    });
    npy::write(&here.0.join("maps.npy"), maps.view().into_dyn()).unwrap();
    npy::write(&here.0.join("responses.npy"), responses.view().into_dyn()).unwrap();
    let rows: String =
        (0..images).map(|i| format!("{i},{}\n", if i < 20 { "train" } else { "test" })).collect();
    here.write("split.csv", format!("image,tier\n{rows}"));
    let (l2, ratio) = (2.0, 0.25);
    here.works(&[
        "fit",
        "-q",
        "--features",
        "maps.npy",
        "--responses",
        "responses.npy",
        "--split",
        "split.csv",
        "--readout",
        "smooth-ridge",
        "--lambdas",
        "absolute:2",
        "--ratios",
        "0.25",
        "--out",
        "run",
    ]);
    let closed = here.array("run/predictions.npy");

    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).unwrap();
    let shared = Shared {
        model: Model::Spatial,
        reduction: Reduction::Sum,
        optimiser: Optimiser::Sgd,
        batch: 20,
        epochs: 1500,
        decay: 1.0,
        standardise: Standardise::None,
        standardise_responses: false,
        ..Shared::default()
    };
    let penalties = Penalties { l1: 0.0, l2, laplace: l2 * ratio };
    let settings = Settings {
        learning_rate: 0.003,
        momentum: 0.9,
        penalties,
        initialisation: Initialisation::Flat,
        ..Settings::default()
    };
    let flat = maps.to_shape((images, features)).unwrap();
    let train: Vec<usize> = (0..20).collect();
    let resident = Resident::new(&gpu, flat.view(), shape, &train, &shared).unwrap();
    let data = Data { features: &resident, responses: responses.view(), train: &train, validation: &[] };
    let mut trainer = Trainer::new(&gpu, data, &shared, &[settings]).unwrap();
    let mut outcome = None;
    while !trainer.done() {
        outcome = trainer.epoch().unwrap().pop();
    }
    let linear = outcome.unwrap().readout.linear().unwrap();
    let mut predicted = linear.weights.dot(&flat.t());
    predicted += &linear.intercepts.insert_axis(Axis(1));
    let apart = distance(&predicted.into_dyn(), &closed);
    assert!(apart < 1e-4, "{apart:.1e}");
}

/// Berget's study: dense layers on single trials that are nearly all noise explain nothing, and the report
/// says why; the same responses averaged over repeats, with ridge, show what is there.
#[test]
fn single_trials_of_noise_explain_nothing_and_their_averages_do() {
    let here = Scratch::new("berget");
    let (images, repeats) = (118, 50);
    let counts = ["--images", "118", "--neurons", "24", "--repeats", "50", "--size", "16", "--seed", "3"];
    here.works(&[&["simulate", "--out", "e", "-q"][..], &counts].concat());
    // Noise of calcium traces: a few per cent of the variance of a single trial are the image's.
    let mut random = Random::stream(9, "noise of traces");
    let clean = here.array("e/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let noisy = clean.mapv(|v| v + 20.0 * random.normal() as f32);
    npy::write(&here.0.join("noisy.npy"), noisy.view().into_dyn()).unwrap();
    // As he trained: every presentation a row of its own. Here eight of fifty, and test images of their own.
    npy::write(&here.0.join("eight.npy"), noisy.slice(ndarray::s![.., .., ..8]).into_dyn()).unwrap();
    here.works(&[
        "features",
        "--images",
        "e/images.npy",
        "--net",
        "vgg19",
        "--weights",
        "random:0",
        "--layer",
        "pool1",
        "--out",
        "f.npy",
        "-q",
    ]);
    let tier = |image: usize| if image.is_multiple_of(5) { "test" } else { "train" };
    let rows: String = (0..images).map(|image| format!("{image},{}\n", tier(image))).collect();
    here.write("images.csv", format!("image,tier\n{rows}"));
    let head = [
        "--readout",
        "mlp",
        "--widths",
        "64,32",
        "--optimiser",
        "sgd",
        "--learning-rate",
        "0.001",
        "--batch",
        "16",
        "--l2",
        "0.001",
        "--decay",
        "1",
    ];
    let his =
        ["--features", "f.npy", "--responses", "eight.npy", "--split", "images.csv", "--trials", "single"];
    let ran = here.works(&[&["fit", "--out", "his", "-q", "--json"][..], &his, &head].concat());
    let r2 = ran.json()["test"]["median_single_trial_r2"].as_f64().unwrap();
    assert!(r2.abs() < 0.08, "{r2}");

    let averaged = ["--features", "f.npy", "--responses", "noisy.npy", "--split", "images.csv"];
    let ran = here.works(&[&["fit", "--out", "ours", "-q", "--json"][..], &averaged].concat());
    let test = ran.json()["test"].clone();
    let (r, fev) = (test["median_r"].as_f64().unwrap(), test["median_test_fev"].as_f64().unwrap());
    println!("single trials: R2 {r2:.3}; averages of {repeats}: r {r:.3}, FEV of single trials {fev:.3}");
    assert!(r > 0.25 && fev < 0.1, "r {r}, FEV {fev}");
    let page = String::from_utf8(here.bytes("ours/report.html")).unwrap();
    assert!(page.contains("is all that any model can reach on single trials"), "the report does not say why");
}

/// A recording of V4 with the weights that fit it, or a line that says it is absent.
fn recording(session: &str) -> Option<(PathBuf, PathBuf)> {
    let data = std::env::var("STRIATE_DATA").unwrap_or_else(|_| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").to_string_lossy().into_owned()
    });
    let data = std::fs::canonicalize(data).unwrap_or_default();
    let found = (data.join("v4").join(session), data.join("weights/vgg19_normalised_conv3_1.safetensors"));
    let there = found.0.is_dir() && found.1.is_file();
    if !there {
        println!("no recording {session}: set STRIATE_DATA to test on it");
    }
    there.then_some(found)
}

#[test]
fn v4_is_predicted_by_factored_and_spatial_readouts() {
    let Some((folder, weights)) = recording("210325") else { return };
    let here = Scratch::new("v4-trained");
    let [images, responses, split, weights] =
        [folder.join("images"), folder.join("responses_mean.npy"), folder.join("split.csv"), weights]
            .map(|path| path.to_string_lossy().into_owned());
    let files = ["--images", &images, "--responses", &responses, "--split", &split, "--weights", &weights];
    let network = ["--net", "vgg19", "--layer", "relu3_1", "--size", "56"];
    let spatial = [
        "--readout",
        "spatial",
        "--learning-rate",
        "2e-4",
        "--laplace",
        "24",
        "--batch",
        "64",
        "--epochs",
        "10",
        "--decay",
        "0.75",
    ];
    let pooled = [&FACTORED[..], &["--pool", "7"]].concat();
    // Masks of four times as many positions move further at the same rate.
    let whole = [&FACTORED[..10], &["--learning-rate", "0.003", "--feature-learning-rate", "0.002"]].concat();
    for (name, more, least) in
        [("factored, pooled", &pooled[..], 0.59), ("factored", &whole, 0.59), ("spatial", &spatial, 0.57)]
    {
        let start = Instant::now();
        let ran =
            here.works(&[&["fit", "--out", "run", "-q", "--json"][..], &files, &network, more].concat());
        let r = ran.json()["test"]["median_r"].as_f64().unwrap();
        println!("{name}: median r {r:.4} in {:.1} s", start.elapsed().as_secs_f64());
        assert!(r >= least, "{name}: {r}");
    }
}
