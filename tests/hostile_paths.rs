//! Pipes, devices, sockets and folders in place of input files: refused at once and by name.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use command::{Ran, Scratch};
use ndarray::{ArrayD, Dimension};
use striate::io::npy;

/// Features and responses of 12 images, and each kind of thing that is no file.
fn scratch(name: &str) -> Scratch {
    let here = Scratch::new(name);
    for (name, shape) in
        [("features.npy", &[12, 3][..]), ("responses.npy", &[2, 12]), ("images.npy", &[2, 8, 8])]
    {
        let values = ArrayD::from_shape_fn(shape, |at| {
            let at: usize = at.slice().iter().fold(1, |all, i| all * 31 + i);
            (at as f32 * 0.37).sin()
        });
        npy::write(&here.0.join(name), values.view()).unwrap();
    }
    std::fs::create_dir(here.0.join("folder.npy")).unwrap();
    for pipe in ["pipe", "pipe.csv", "pipe.toml", "pipe.png"] {
        let made = std::process::Command::new("mkfifo").arg(here.0.join(pipe)).status().unwrap();
        assert!(made.success());
    }
    here
}

/// Runs a command that must end soon, refused with these words.
fn refused(here: &Scratch, arguments: &[&str], said: &[&str]) {
    ended(here, arguments).refused(3, said);
}

/// Runs a command that must end soon.
fn ended(here: &Scratch, arguments: &[&str]) -> Ran {
    let mut child = here.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{arguments:?} waits for ever");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert!(ran.code != 0, "{arguments:?} {ran:?}");
    ran
}

#[test]
fn no_input_is_read_from_a_pipe_a_device_or_a_folder() {
    let here = scratch("hostile-paths");
    let fit = |option: &str, name: &str, said: &str| {
        let mut arguments = vec!["fit", "-q", "--out", "out"];
        for (given, value) in [("--features", "features.npy"), ("--responses", "responses.npy")] {
            arguments.extend([given, if given == option { name } else { value }]);
        }
        if !arguments.contains(&option) {
            arguments.extend([option, name]);
        }
        refused(&here, &arguments, &[name, said]);
    };
    for option in ["--features", "--responses", "--split", "--config"] {
        fit(option, "pipe", "it is a pipe");
        fit(option, "/dev/zero", "it is a device");
    }
    fit("--responses", "pipe.csv", "it is a pipe");
    fit("--responses", "folder.npy", "it is a folder");
    let net = ["features", "-q", "--net", "vgg11", "--layer", "relu1_1", "--out", "f.npy", "--images"];
    let weights = ["images.npy", "--weights", "pipe"];
    refused(&here, &[&net[..], &weights].concat(), &["pipe", "it is a pipe"]);
    let pixels = ["features", "-q", "--net", "pixels", "--out", "f.npy", "--images"];
    std::fs::create_dir(here.0.join("images")).unwrap();
    symlink(here.0.join("pipe.png"), here.0.join("images/1.png")).unwrap();
    for images in ["pipe.png", "images"] {
        refused(&here, &[&pixels[..], &[images]].concat(), &["it is a pipe"]);
    }
    let events = ["events", "-q", "--rate", "30", "--out", "e.npz", "--traces"];
    refused(&here, &[&events[..], &["pipe"]].concat(), &["it is a pipe"]);
    refused(&here, &["responses", "-q", "--experiment", "pipe", "--out", "r"], &["it is a pipe"]);
}

#[test]
fn links_of_a_run_folder_lead_to_files_only_and_records_are_short() {
    let here = scratch("hostile-run");
    here.works(&["fit", "-q", "--features", "features.npy", "--responses", "responses.npy", "--out", "run"]);
    let predict = ["predict", "run", "-q", "--features", "features.npy", "--out", "p.npy"];
    let behind_link = |name: &str, said: &str| {
        let file = here.0.join("run").join(name);
        let kept = here.bytes(&format!("run/{name}"));
        std::fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        refused(&here, &predict, &[name, said]);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(file, kept).unwrap();
    };
    behind_link("record.json", "it is a device");
    behind_link("model.safetensors", "it is a device");
    // 600 MB without a byte on the disk.
    std::fs::File::create(here.0.join("run/record.json")).unwrap().set_len(600 << 20).unwrap();
    refused(&here, &predict, &["record.json", "longer than"]);
    refused(&here, &["report", "run", "--out", "r.html"], &["record.json", "longer than"]);
}

#[test]
fn a_report_follows_no_link_that_a_run_folder_brings() {
    let here = scratch("hostile-report");
    here.works(&["fit", "-q", "--features", "features.npy", "--responses", "responses.npy", "--out", "run"]);
    std::fs::write(here.0.join("mine"), "kept").unwrap();
    for (name, target) in [("report.html", "mine"), ("report.html", "pipe"), ("plots/pearson_r.svg", "mine")]
    {
        let file = here.0.join("run").join(name);
        let kept = here.bytes(&format!("run/{name}"));
        std::fs::remove_file(&file).unwrap();
        symlink(here.0.join(target), &file).unwrap();
        ended(&here, &["report", "run", "-q"]).refused(4, &[name, "is a link"]);
        assert_eq!(here.bytes("mine"), b"kept");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(file, kept).unwrap();
    }
    here.works(&["report", "run", "-q"]);
}

#[test]
fn where_files_may_not_grow_a_run_ends_with_a_sentence() {
    let here = scratch("hostile-growth");
    let line = "ulimit -f 2 && exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_striate");
    let fit = ["fit", "-q", "--features", "features.npy", "--responses", "responses.npy", "--out", "run"];
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", line, "bash", program]).args(fit).current_dir(&here.0);
    let ran = Ran::of(shell.output().unwrap());
    ran.refused(4, &["run", "cannot be written"]);
    let left: Vec<_> = std::fs::read_dir(&here.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("run")), "{left:?}");
}
