//! What records of runs say of how ridge was solved: of a fit, and of every layer of a profile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::Scratch;
use serde_json::{Value, json};

const INPUT: [&str; 12] = [
    "--images",
    "e/images.npy",
    "--net",
    "vgg19",
    "--weights",
    "random:1",
    "--pool",
    "4",
    "--split",
    "e/split.csv",
    "--responses",
    "e/responses.npy",
];

/// Layer by layer, as the record of a fit of the layer has it.
#[test]
fn the_record_says_what_solved_each_layer() {
    let here = Scratch::new("ridge-record");
    let size = ["--images", "60", "--size", "16", "--neurons", "6", "--repeats", "4"];
    here.works(&[&["simulate", "--out", "e", "-q"], &size[..]].concat());
    let asked = ["--factorisation", "tridiagonal"];
    let profiled = |out: &str, more: &[&str]| {
        let command = ["profile", "--out", out, "--layer", "relu1_1,pool1"];
        let ran = here.works(&[&command, &INPUT[..], &asked, more].concat());
        let record = here.document(&format!("{out}/record.json"));
        (
            record["options"].clone(),
            record["summary"].clone(),
            ran.err.contains("--factorisation was not kept"),
        )
    };
    let kept = json!({"search": "tridiagonal", "refit": "tridiagonal"});
    let (options, summary, warned) = profiled("p", &["--controls", "random", "--sizes", "16,20"]);
    let layer = |size: &str, random: bool, layer: &str| {
        let mut found = json!({"size": size, "layer": layer, "taken": [kept]});
        found["random_weights"] = random.into();
        found
    };
    let all: Vec<_> = [("16", false), ("16", true), ("20", false), ("20", true)]
        .iter()
        .flat_map(|(size, random)| ["relu1_1", "pool1"].map(|name| layer(size, *random, name)))
        .collect();
    assert_eq!(options["factorisation_taken"], Value::Array(all));
    assert_eq!((&options["factorisation"], warned), (&"tridiagonal".into(), false));
    assert!(summary.get("factorisation_not_kept").is_none());
    // Fewer features than images are decomposed, with a warning; so they are by a fit.
    let few = ["--subsample", "20"];
    let (options, summary, warned) = profiled("few", &few);
    assert_eq!((&summary["factorisation_not_kept"], warned), (&true.into(), true));
    here.works(&[&["fit", "--out", "f", "--layer", "pool1"], &INPUT[..], &asked, &few].concat());
    let fit = here.document("f/record.json")["options"]["factorisation_taken"].clone();
    assert_eq!(fit, json!([{"search": "eigen", "refit": "eigen"}]));
    assert_eq!(options["factorisation_taken"][1]["taken"], fit);
    // One for each ratio.
    let (options, ..) = profiled("smooth", &["--readout", "smooth-ridge", "--ratios", "0,1,10"]);
    let taken = options["factorisation_taken"][0]["taken"].as_array().unwrap();
    assert_eq!(taken.len(), 3);
    assert!(taken.iter().all(|taken| taken["search"] == "tridiagonal"));
}
