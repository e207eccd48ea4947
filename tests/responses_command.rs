//! `striate responses`: what it says, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::path::{Path, PathBuf};

use command::Scratch;

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
