//! Small run folders of each kind, file by file, as the commands write them.

#![allow(clippy::unwrap_used, dead_code, reason = "a test may panic, and not every test builds every kind")]

use std::fs;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};
use striate::io::npy;

use crate::builders::{npy_of, safetensors_of};

pub const NEURONS: usize = 8;
pub const IMAGES: usize = 20;
/// A neuron's name that a page must not take for its own text.
pub const HOSTILE: &str = "<script>alert('n7')</script>&\"#0072B2";

/// Numbers between -1 and 1 that look random and are always the same.
pub fn wave(n: usize) -> f64 {
    ((n as f64 + 1.0) * 12.9898).sin() * 0.999
}

fn names() -> Vec<String> {
    (0..NEURONS).map(|n| if n == 7 { HOSTILE.into() } else { format!("n{n}") }).collect()
}

/// A table from rows of fields.
pub fn table(path: &Path, header: &str, rows: impl IntoIterator<Item = Vec<String>>) {
    let mut writer = csv::Writer::from_path(path).unwrap();
    writer.write_record(header.split(',')).unwrap();
    rows.into_iter().for_each(|row| writer.write_record(row).unwrap());
    writer.flush().unwrap();
}

fn fields(values: impl IntoIterator<Item = f64>) -> Vec<String> {
    values.into_iter().map(|v| format!("{v:.6}")).collect()
}

pub fn record(folder: &Path, command: &str, summary: Value) {
    let record = json!({
        "striate": "0.1.0",
        "command": command,
        "input": {"features": {"file": "feats.npy", "subsample": null}},
        "options": {
            "responses": "resp's.npy", "responses_layout": null, "split": {"file": "split.csv"}, "folds": 5,
            "shuffled_folds": true, "penalties": {"relative": [0.1, 1.0]}, "intercept": true, "seed": 3,
        },
        "inputs": [{"role": "responses", "path": "resp's.npy", "sha256": "ab".repeat(32)}],
        "summary": summary,
        "adapter": {"name": "test adapter"},
        "seconds": {"reading": 0.25, "total": 1.5},
    });
    fs::write(folder.join("record.json"), record.to_string()).unwrap();
}

fn reliability(folder: &Path) {
    let header = "neuron,fev,fev_low,fev_high,split_half,oracle_jackknife,p_value,tuned";
    let row = |(n, name): (usize, String)| {
        let fev = 0.02 + 0.01 * n as f64;
        let numbers = fields([fev, fev - 0.02, fev + 0.02, 0.3, 0.2, 0.01]);
        [vec![name], numbers, vec![(n != 2).to_string()]].concat()
    };
    table(&folder.join("reliability.csv"), header, names().into_iter().enumerate().map(row));
}

fn responses(seed: usize) -> ArrayD<f32> {
    let values = (0..NEURONS * IMAGES).map(|n| (wave(n) + 0.4 * wave(n * 7 + seed)) as f32).collect();
    ArrayD::from_shape_vec(IxDyn(&[NEURONS, IMAGES]), values).unwrap()
}

/// Tensors of f32 in a safetensors file.
fn model(path: &Path, tensors: &[(&str, &[usize])]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let from = data.len();
        let count: usize = shape.iter().product();
        data.extend((0..count).flat_map(|n| (wave(n) as f32).to_le_bytes()));
        header.insert(
            (*name).into(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}),
        );
    }
    fs::write(path, safetensors_of(&Value::Object(header).to_string(), &data)).unwrap();
}

/// Curves of explained variance and loss of some configurations.
fn curves(folder: &Path, configurations: usize) {
    let mut rows = Vec::new();
    for configuration in 0..configurations {
        for epoch in 0..12 {
            for (tier, share) in [("train", 0.6), ("validation", 0.4)] {
                let learnt = share * (1.0 - (-0.4 * epoch as f64).exp()) + 0.02 * configuration as f64;
                for (measure, value) in
                    [("explained_variance", learnt), ("loss", 100.0 * (1.0 - learnt).powi(9))]
                {
                    let names = [configuration.to_string(), epoch.to_string(), tier.into(), measure.into()];
                    rows.push([names.to_vec(), fields([value, 0.5 * value, value, 1.5 * value])].concat());
                }
            }
        }
    }
    table(&folder.join("curves.csv"), "configuration,epoch,tier,measure,mean,low,median,high", rows);
}

/// A fit of a linear readout of 2 channels x 3 x 4; `factored` with masks, feature weights and curves.
pub fn fit(folder: &Path, factored: bool) {
    fs::create_dir_all(folder).unwrap();
    let readout = if factored { "factored" } else { "ridge" };
    let summary = json!({
        "readout": readout, "n_images": IMAGES, "n_fitted": 14, "n_test": 6, "n_features": 24,
    "n_neurons": NEURONS,
        "n_repeats": 4, "feature_shape": [2, 3, 4], "adapter": "test adapter", "out": "run",
    });
    record(folder, "fit", summary);
    reliability(folder);
    let header = "neuron,penalty,constant,pearson_r,r2,explained_variance,test_fev,feve,test_split_half,\
                  pearson_r_low,pearson_r_high,ceiling,normalised_r";
    let row = |(n, name): (usize, String)| {
        let r = 0.1 * n as f64 - 0.1;
        let ceiling = 0.6f64.sqrt();
        let r2 = r - 3.0 * (n == 0) as u8 as f64;
        let scores = fields([r, r2, r, 0.3, 0.5, 0.6, r - 0.2, r + 0.2, ceiling, r / ceiling]);
        [vec![name, "1e2".into(), "false".into()], scores].concat()
    };
    table(&folder.join("scores.csv"), header, names().into_iter().enumerate().map(row));
    let tier = |n: usize| vec![n.to_string(), if n.is_multiple_of(3) { "test" } else { "train" }.to_string()];
    table(&folder.join("split.csv"), "image,tier", (0..IMAGES).map(tier));
    npy::write(&folder.join("measured.npy"), responses(1).view()).unwrap();
    npy::write(&folder.join("predictions.npy"), responses(2).view()).unwrap();
    let path = folder.join("model.safetensors");
    if factored {
        let masks = ("spatial_masks", &[NEURONS, 3, 4][..]);
        model(&path, &[masks, ("feature_weights", &[NEURONS, 2]), ("weights", &[NEURONS, 24])]);
        curves(folder, 1);
    } else {
        model(&path, &[("weights", &[NEURONS, 24])]);
    }
}

/// A sweep of two penalties with two values each, one configuration diverged.
pub fn sweep(folder: &Path) {
    fit(&folder.join("best"), true);
    fs::remove_file(folder.join("best/measured.npy")).unwrap();
    record(folder, "sweep", json!({"n_neurons": NEURONS, "n_images": IMAGES, "n_repeats": 4}));
    reliability(folder);
    npy::write(&folder.join("measured.npy"), responses(1).view()).unwrap();
    curves(folder, 4);
    let header = "configuration,readout,learning_rate,l1,l2,status,epochs,best_epoch,seconds,validation_loss,\
                  validation_r,test_median_r,test_mean_r,test_median_r2,test_median_explained_variance,\
                  test_low_explained_variance,test_high_explained_variance,test_median_feve,best";
    let row = |c: usize| {
        let start = [
            c.to_string(),
            "factored".into(),
            "0.01".into(),
            (c / 2).to_string(),
            (10 * (c % 2)).to_string(),
        ];
        let diverged = c == 3;
        let score = 0.2 + 0.1 * c as f64;
        let numbers = if diverged { vec![String::new(); 9] } else { fields([score; 9]) };
        let status = [if diverged { "diverged" } else { "done" }, "12", "9"].map(String::from);
        let best = if c == 2 { "true" } else { "" }.to_string();
        [&start[..], &status[..], &fields([1.0])[..], &numbers[..], &[best][..]].concat()
    };
    table(&folder.join("sweep.csv"), header, (0..4).map(row));
    let neuron = |n: usize| {
        let (c, neuron) = (n / NEURONS, n % NEURONS);
        let score = if n == 0 { -5.0 } else { 0.3 * wave(n) + 0.1 * c as f64 };
        [vec![c.to_string(), names()[neuron].clone()], fields([score; 5])].concat()
    };
    let header = "configuration,neuron,validation_r,pearson_r,r2,explained_variance,feve";
    table(&folder.join("sweep_neurons.csv"), header, (0..3 * NEURONS).map(neuron));
}

/// A profile of two areas over three layers and two sizes, with both nulls.
pub fn profile(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    record(
        folder,
        "profile",
        json!({"readout": "ridge", "n_neurons": NEURONS, "n_images": IMAGES, "layers": [1, 2, 3]}),
    );
    reliability(folder);
    let area = |n: usize| ["V4", "<i>IT"][n % 2].to_string();
    let layers = ["relu1_1", "relu2_1", "pool5"];
    let mut rows = Vec::new();
    for n in 0..2 * 3 * 3 * 3 {
        let (size, control) = (["56", "112"][n % 2], ["none", "shuffled", "random"][n / 2 % 3]);
        let (area, layer) = (["all", "V4", "<i>IT"][n / 6 % 3], layers[n / 18]);
        let mean = if control == "none" { 0.3 + 0.2 * wave(n) } else { 0.02 * wave(n) };
        for measure in ["pearson_r", "normalised_r"] {
            let names = [size, control, area, layer, measure, "4"].map(String::from).to_vec();
            rows.push([names, fields([mean, mean - 0.05, mean + 0.05, mean - 0.1, mean + 0.1])].concat());
        }
    }
    let header =
        "size,control,area,layer,measure,neurons,mean,neurons_low,neurons_high,images_low,images_high";
    table(&folder.join("layers.csv"), header, rows);
    let best =
        |n: usize| [names()[n].clone(), area(n), layers[n % 3].into(), "0.4".into(), "pool5 pool5".into()];
    let header = "neuron,area,best_layer,nested_r,folds";
    table(&folder.join("best_layers.csv"), header, (0..NEURONS).map(|n| best(n).to_vec()));
    let mut rows = Vec::new();
    for (first, second, kind) in
        [("V4", "V4", "within"), ("<i>IT", "<i>IT", "within"), ("V4", "<i>IT", "between")]
    {
        for bin in 0..10 {
            let low = -1.0 + 0.2 * bin as f64;
            let names = [first, second, kind].map(String::from).to_vec();
            rows.push([names, fields([low, low + 0.2]), vec![(bin % 4).to_string()]].concat());
        }
    }
    table(&folder.join("correlations.csv"), "first_area,second_area,kind,bin_low,bin_high,count", rows);
    let order = |n: usize| vec![n.to_string(), names()[n].clone(), area(n)];
    table(&folder.join("cluster_order.csv"), "position,neuron,area", (0..NEURONS).map(order));
    let matrix =
        (0..NEURONS * NEURONS).map(|n| if n % (NEURONS + 1) == 0 { 1.0 } else { wave(n) as f32 }).collect();
    let matrix = ArrayD::from_shape_vec(IxDyn(&[NEURONS, NEURONS]), matrix).unwrap();
    npy::write(&folder.join("correlation_matrix.npy"), matrix.view()).unwrap();
    // A chain: each join adds the next neuron.
    let join = |n: usize| {
        let first = if n == 0 { 0 } else { NEURONS + n - 1 };
        [first as f64, n as f64 + 1.0, 0.1 * (n + 1) as f64, n as f64 + 2.0]
    };
    let data: Vec<u8> = (0..NEURONS - 1).flat_map(join).flat_map(f64::to_le_bytes).collect();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, 4), }}", NEURONS - 1);
    fs::write(folder.join("linkage.npy"), npy_of(&header, &data)).unwrap();
}
