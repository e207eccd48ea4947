//! `striate responses`: what it says, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::path::{Path, PathBuf};

use command::{Scratch, Table};
use ndarray::{Axis, Ix3};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Options, the exit code, and words of the message.
type Refused<'a> = (Vec<&'a str>, i32, &'static str);

fn refused<'a>(file: &'a str, older: &'a str, mouse: &'a str) -> Vec<Refused<'a>> {
    vec![
        (vec!["--definition", "sdk"], 2, "--experiment: is missing; wanted a recording"),
        (
            vec!["--experiment", file],
            2,
            "wanted one of sdk, berget-dff, berget-events, platform-events, custom, auto",
        ),
        (vec!["--experiment", file, "--definition", "best"], 2, "invalid value 'best'"),
        (vec!["--experiment", file, "--definition", "custom"], 2, "--window: is missing"),
        (
            vec!["--experiment", file, "--definition", "sdk", "--window", "0:7"],
            2,
            "--definition sdk says that already",
        ),
        (
            vec!["--experiment", file, "--definition", "auto", "--window", "0:7"],
            2,
            "--window: --definition auto",
        ),
        (vec!["--experiment", file, "--trace", "dff"], 2, "--trace: no definition is named"),
        (
            vec!["--experiment", file, "--definition", "custom", "--window", "7:0"],
            2,
            "the stop must be larger",
        ),
        (
            vec!["--experiment", file, "--definition", "custom", "--window", "0:0.01s"],
            2,
            "hold no frame at 30",
        ),
        (vec!["--experiment", file, "--definition", "berget-events"], 2, "the recording has no events"),
        (
            vec!["--experiment", file, "--definition", "berget-events", "--dff", "median"],
            2,
            "--dff: --definition berget-events takes events",
        ),
        (
            vec!["--experiment", file, "--definition", "berget-dff", "--dff", "percentile:0"],
            2,
            "write median, mode",
        ),
        (
            vec!["--experiment", file, "--definition", "custom", "--window", "0:7", "--baseline", "-9999:0"],
            3,
            "none of its 31 presentations can become a response",
        ),
        (
            vec!["--experiment", older, "--definition", "sdk", "--regress", "pupil"],
            2,
            "has no pupil of any presentation",
        ),
        (
            vec!["--experiment", file, "--definition", "sdk", "--max-memory", "1K"],
            6,
            "of GPU memory; wanted at most",
        ),
        (vec!["--experiment", mouse, "--definition", "sdk"], 2, "holds responses, not traces"),
        (vec!["--experiment", "absent.nwb", "--definition", "sdk"], 3, "absent.nwb: cannot be read"),
        (vec!["--experiment", file, "--definition", "berget-dff", "--trace", "dff"], 2, "says that already"),
    ]
}

#[test]
fn options_that_make_no_sense_are_refused_in_a_sentence() {
    let here = Scratch::new("responses-refused");
    let file = golden("experiments/pipeline_2.0.nwb").display().to_string();
    let older = golden("experiments/pipeline_0.9.nwb").display().to_string();
    let mouse = std::fs::read_dir(golden("experiments/sensorium")).unwrap().next().unwrap().unwrap();
    let mouse = mouse.path().display().to_string();
    let cases = refused(&file, &older, &mouse);
    for (options, code, text) in &cases {
        let ran = here.striate(&[&["responses", "--out", "r"][..], options].concat());
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ran.code == *code && said.contains(text), "{options:?} {ran:?}");
        assert!(!here.0.join("r").exists());
    }
    let alone = here.striate(&["responses", "--experiment", &file, "--definition", "sdk"]);
    assert!(alone.err.contains("--out: is missing"), "{alone:?}");
}

#[test]
fn the_command_says_what_it_would_do_and_what_it_did() {
    let here = Scratch::new("responses-command");
    let file = golden("experiments/converted_nwb2.nwb").display().to_string();
    let options = ["responses", "--experiment", &file, "--definition", "auto", "--out", "r", "--json"];
    let planned = here.works(&[&options[..], &["--dry-run"]].concat());
    let planned = planned.json();
    assert_eq!((planned["dry_run"].as_bool(), planned["n_trials"].as_u64()), (Some(true), Some(28)));
    assert!(!here.0.join("r").exists());
    let ran = here.works(&options).json();
    assert_eq!((ran["n_images"].as_u64(), ran["candidates"].as_array().unwrap().len()), (Some(10), 56));
    let text = here.works(&options[..7]).out;
    for words in
        ["Split-half reliability (median", "28; left out: 3 blank", "auto: mean of dff, frames", "FEV"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let files = here.names("r");
    assert_eq!(files.len(), 7, "{files:?}");
}

/// The largest mean over training images, of any neuron, of responses that are standardised by them.
fn off_centre(here: &Scratch, folder: &str) -> f32 {
    let responses = here.array(&format!("{folder}/responses.npy")).into_dimensionality::<Ix3>().unwrap();
    let split = Table::read(here, &format!("{folder}/split.csv"));
    let rows = split.numbers("image").into_iter().zip(split.texts("tier"));
    let train: Vec<usize> = rows.filter(|(_, tier)| *tier == "train").map(|(row, _)| row as usize).collect();
    let mean = |neuron: ndarray::ArrayView2<f32>| {
        let values: Vec<f32> = neuron.select(Axis(0), &train).into_iter().filter(|v| !v.is_nan()).collect();
        values.iter().sum::<f32>() / values.len() as f32
    };
    responses.outer_iter().map(mean).fold(0.0, |most, mean| mean.abs().max(most))
}

/// What responses learn of training images is of the training images of the fit.
#[test]
fn responses_and_readouts_have_one_split() {
    let here = Scratch::new("one-split");
    let file = golden("experiments/converted_nwb2.nwb").display().to_string();
    let mouse = std::fs::read_dir(golden("experiments/sensorium")).unwrap().next().unwrap().unwrap();
    let mouse = mouse.path().display().to_string();
    let split = "image,tier\n0,test\n1,test\n2,test\n3,test\n4,train\n5,train\n6,train\n7,train\n8,train\n";
    here.write("split.csv", split);
    let fit =
        ["fit", "--net", "pixels", "--lambdas", "absolute:1", "--folds", "2", "--standardise-trials", "-q"];
    let of = |more: &[&str]| here.works(&[&fit[..], more].concat());
    let named = ["--experiment", &file, "--definition", "berget-dff", "--split", "split.csv"];
    of(&[&named[..], &["--out", "file"]].concat());
    assert_eq!(String::from_utf8(here.bytes("file.responses/split.csv")).unwrap(), split);
    assert!(off_centre(&here, "file.responses") < 1e-5);
    let record = here.document("file/record.json");
    assert_eq!([&record["summary"]["n_train"], &record["summary"]["n_test"]], [5, 4]);
    // The recording has tiers, whose place a fraction takes.
    of(&["--experiment", &mouse, "--test-fraction", "0.5", "--out", "drawn"]);
    let tiers = |folder: &str| here.bytes(&format!("{folder}/split.csv"));
    assert!(off_centre(&here, "drawn.responses") < 1e-5);
    of(&["--experiment", &mouse, "--out", "own"]);
    assert!(tiers("own.responses") != tiers("drawn.responses") && off_centre(&here, "own.responses") < 1e-5);
    let record = here.document("drawn/record.json");
    let drawn = Table::read(&here, "drawn.responses/split.csv");
    let train = drawn.texts("tier").iter().filter(|tier| **tier == "train").count();
    assert_eq!(record["summary"]["n_train"], train);
    // Another split is another folder.
    here.write("split.csv", split.replace("3,test", "3,train"));
    of(&[&named[..], &["--out", "file"]].concat());
    assert!(tiers("file.responses") != split.as_bytes() && off_centre(&here, "file.responses") < 1e-5);
    // Responses that are there already keep theirs.
    let asked = |option: &str, value: &str| {
        let of = ["fit", "--experiment", "file.responses", "--net", "pixels", "--out", "x", option, value];
        here.striate(&of).refused(2, &[option, "--standardise-trials", "their own split.csv"]);
    };
    asked("--split", "split.csv");
    asked("--test-fraction", "0.5");
}
