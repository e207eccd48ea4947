//! A profile of a recording, where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::Scratch;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A session of macaque V4 and weights of VGG19, where there are any.
fn recording() -> Option<[PathBuf; 2]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = root.join(std::env::var("STRIATE_DATA").unwrap_or_else(|_| "../shared/data".into()));
    let files = ["v4/210325", "weights/vgg19_normalised_conv3_1.safetensors"].map(|name| data.join(name));
    let there = files.iter().all(|file| file.exists());
    if !there {
        println!("STRIATE_DATA: {} is absent, so this test shows nothing", files[0].display());
    }
    there.then_some(files)
}

/// Macaque V4: the deeper of the early layers of VGG19 predict better, and nothing predicts shuffled images.
#[test]
fn deeper_layers_predict_v4_better() {
    let Some([session, weights]) = recording() else { return };
    let here = Scratch::new("profile-v4");
    let at = |path: PathBuf| path.canonicalize().unwrap().display().to_string();
    let [images, responses, split] =
        ["images", "responses_repeats.npy", "split.csv"].map(|name| at(session.join(name)));
    let layers = ["relu1_1", "relu2_1", "pool2", "relu3_1"];
    let start = Instant::now();
    let document = here
        .works(&[
            "profile",
            "-q",
            "--json",
            "--out",
            "p",
            "--images",
            &images,
            "--responses",
            &responses,
            "--split",
            &split,
            "--net",
            "vgg19",
            "--weights",
            &at(weights),
            "--layer",
            &layers.join(","),
            "--size",
            "56",
            "--pool",
            "7",
            "--controls",
            "shuffled",
        ])
        .json();
    let seconds = start.elapsed().as_secs_f64();
    let mean = |layer: &str, control: &str, field: &str| {
        let means = document["means"].as_array().unwrap();
        let own = |m: &&Value| {
            m["layer"] == layer
                && m["control"] == control
                && m["measure"] == "pearson_r"
                && m["area"] == "all"
        };
        means.iter().find(own).unwrap().pointer(field).unwrap().as_f64().unwrap()
    };
    let found: Vec<String> = layers.iter().map(|l| format!("{l} {:.3}", mean(l, "none", "/mean"))).collect();
    println!("V4 210325, mean r at size 56: {}; {seconds:.1} s", found.join(", "));
    // Beyond what other neurons would have changed.
    assert!(mean("relu3_1", "none", "/over_neurons/low") > mean("relu1_1", "none", "/mean"));
    assert!(mean("relu3_1", "none", "/mean") > 0.5 && mean("relu1_1", "none", "/mean") > 0.35);
    assert!(mean("relu3_1", "shuffled", "/over_images/low") < 0.0);
    assert!(mean("relu3_1", "shuffled", "/over_images/high") > 0.0);
    // The last of the layers in order.
    assert!(document["best_layers"][3]["neurons"].as_u64().unwrap() > 25, "{}", document["best_layers"]);
}
