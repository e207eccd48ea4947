//! The command killed, stopped by a person, and run twice at once: a folder is whole or not there, and what
//! was left never stands in the way.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::Scratch;
use ndarray::{Array2, ArrayD};
use striate::io::npy;
use striate::random::Random;

/// A simulated experiment.
fn experiment(name: &str) -> Scratch {
    let here = Scratch::new(name);
    here.experiment("e");
    here
}

const FIT: [&str; 8] = ["fit", "--experiment", "e", "--net", "pixels", "--quiet", "--out", "run"];

fn started(here: &Scratch, arguments: &[&str]) -> Child {
    here.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Names in the scratch folder and not in `before`.
fn more(here: &Scratch, before: &[String]) -> Vec<String> {
    here.names(".").into_iter().filter(|name| !before.contains(name)).collect()
}

#[test]
fn a_killed_fit_leaves_a_whole_folder_or_none() {
    let here = experiment("kills-fit");
    let before = here.names(".");
    let start = Instant::now();
    here.works(&FIT);
    let (whole, took) = (here.names("run"), start.elapsed());
    assert!(whole.contains(&"report.html".into()) && whole.contains(&"plots".into()), "{whole:?}");
    let plots = here.names("run/plots");
    std::fs::remove_dir_all(here.0.join("run")).unwrap();
    let mut random = Random::stream(11, "kills");
    for trial in 0..8 {
        let mut child = started(&here, &FIT);
        // Most of them near the end, where everything is written.
        let moment = if trial < 2 { random.uniform() } else { 0.6 + 0.5 * random.uniform() };
        std::thread::sleep(took.mul_f64(moment));
        // It may have ended already.
        let _ = child.kill();
        child.wait().unwrap();
        if here.0.join("run").exists() {
            assert_eq!((here.names("run"), here.names("run/plots")), (whole.clone(), plots.clone()));
        }
    }
    // A page that a killed `striate report` left half.
    here.works(&FIT);
    here.write("run/.report.html.partial-1-0", "half");
    here.works(&FIT);
    assert_eq!((more(&here, &before), here.names("run")), (vec!["run".into()], whole));
}

/// Of two that write the same folder one at least is done, whoever else had to end says why, and what is there
/// is of one of them. In namespaces of their own both have the same pid, and neither sees the other.
#[test]
fn two_at_once_are_never_mixed() {
    let here = experiment("kills-two");
    let before = here.names(".");
    let fit = |seed: &'static str| [&FIT[..], &["--test-fraction", "0.3", "--seed", seed]].concat();
    let result = || ["split.csv", "predictions.npy"].map(|name| here.bytes(&format!("run/{name}")));
    let alone = ["1", "2"].map(|seed| {
        here.works(&fit(seed));
        let found = (result(), here.names("run"));
        std::fs::remove_dir_all(here.0.join("run")).unwrap();
        found
    });
    assert_ne!(alone[0].0, alone[1].0);
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let apart =
        Command::new("unshare").args(namespace).arg("true").output().is_ok_and(|ran| ran.status.success());
    if !apart {
        println!("no namespaces here: only with pids of their own");
    }
    let mut refused = 0;
    for trial in 0..6 {
        let children = ["1", "2"].map(|seed| {
            let command = here.command(&fit(seed));
            let mut command = if apart && trial % 2 == 0 { within(&command, &namespace) } else { command };
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let ended = children.map(|child| child.wait_with_output().unwrap());
        let codes = ended.each_ref().map(|ran| ran.status.code().unwrap());
        assert!(codes.contains(&0) && codes.iter().all(|code| [0, 4].contains(code)), "{ended:?}");
        for ran in ended.iter().filter(|ran| ran.status.code() == Some(4)) {
            let text = String::from_utf8_lossy(&ran.stderr);
            assert!(
                text.starts_with("error: run: is being written by process ") && text.lines().count() == 1,
                "{text}"
            );
            refused += 1;
        }
        let found = (result(), here.names("run"));
        assert!(alone.contains(&found), "trial {trial}: {:?}", found.1);
        assert_eq!(more(&here, &before), ["run"]);
        // The next trial has nothing to replace, or the folder of this one.
        if trial < 4 {
            std::fs::remove_dir_all(here.0.join("run")).unwrap();
        }
    }
    assert!(refused > 0, "none met another");
}

/// The same command inside new namespaces.
fn within(command: &Command, namespace: &[&str]) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(namespace).arg(command.get_program()).args(command.get_args());
    inside.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// A fit that no machine ends within minutes: epochs without end.
fn long_fit(here: &Scratch) -> Vec<&'static str> {
    let mut random = Random::stream(3, "kills");
    let mut array = |rows, columns| -> ArrayD<f32> {
        Array2::from_shape_simple_fn((rows, columns), || random.normal() as f32).into_dyn()
    };
    npy::write(&here.0.join("features.npy"), array(600, 2000).view()).unwrap();
    npy::write(&here.0.join("responses.npy"), array(20, 600).view()).unwrap();
    let epochs = ["--readout", "simple", "--epochs", "1000000", "--patience", "1000000"];
    let files = ["--features", "features.npy", "--responses", "responses.npy", "--out", "long"];
    [&["fit"], &epochs[..], &files].concat()
}

/// Stopped wherever it is, a command ends within a second and leaves nothing.
#[test]
fn ctrl_c_ends_at_once_and_leaves_nothing() {
    let here = experiment("kills-cancel");
    let fit = long_fit(&here);
    let before = here.names(".");
    for (name, after, json) in [("INT", 100, false), ("TERM", 1000, false), ("INT", 2000, true)] {
        let arguments = [&fit[..], if json { &["--json"] } else { &[] }].concat();
        let mut child = started(&here, &arguments);
        std::thread::sleep(Duration::from_millis(after));
        assert!(child.try_wait().unwrap().is_none(), "too fast to be stopped");
        let sent = Instant::now();
        signal(&child, name);
        let ran = child.wait_with_output().unwrap();
        let (took, code) = (sent.elapsed(), ran.status.code());
        let text = String::from_utf8_lossy(&ran.stderr);
        // In the first moments a signal does what it always does.
        if after > 100 || code.is_some() {
            assert_eq!(code, Some(130), "{name} after {after} ms: {text}");
            let last = text.lines().last().unwrap_or_default();
            assert!(last.starts_with("error: cancelled: ") && !text.contains("panicked"), "{text}");
        }
        assert!(took < Duration::from_secs(1), "{name} took {took:?}");
        assert_eq!(here.names("."), before);
        if json {
            let document: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
            assert_eq!(
                (&document["error"]["kind"], &document["error"]["exit_code"]),
                (&"cancelled".into(), &130.into())
            );
        }
    }
}

/// What a sweep had finished stays when it is stopped, and it goes on to the same bits.
#[test]
fn a_stopped_sweep_goes_on() {
    let here = experiment("kills-sweep");
    here.write("grid.toml", "[grid]\nlearning-rate = [0.001, 0.003]\nl2 = [0, 0.1, 1]\nbatch = [4, 8]\n");
    let sweep = |out| {
        let options =
            ["--experiment", "e", "--net", "pixels", "--epochs", "30", "--patience", "30", "--quiet"];
        [&["sweep", "--config", "grid.toml", "--out", out], &options[..]].concat()
    };
    here.works(&sweep("whole"));
    let child = started(&here, &sweep("run"));
    let (results, start) = (here.0.join("run.partial/results.jsonl"), Instant::now());
    while std::fs::metadata(&results).map_or(0, |there| there.len()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing has finished");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "INT");
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(130), "{ran:?}");
    let text = String::from_utf8_lossy(&ran.stderr);
    assert!(text.contains("--resume"), "{text}");
    let left = here.names(".").into_iter().filter(|name| name.contains("run"));
    assert_eq!(left.collect::<Vec<_>>(), ["run.partial"]);
    here.works(&[&sweep("run")[..], &["--resume"]].concat());
    for file in ["sweep_neurons.csv", "best/predictions.npy", "best/model.safetensors"] {
        assert!(here.bytes(&format!("run/{file}")) == here.bytes(&format!("whole/{file}")), "{file}");
    }
    assert_eq!(here.names("run"), here.names("whole"));
}

/// A study that is killed while it makes its first responses begins again.
#[test]
fn a_study_killed_in_its_first_responses_begins_again() {
    let here = Scratch::new("kills-study");
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments");
    let recording = golden.join("pipeline_2.0.nwb").to_string_lossy().into_owned();
    let events = golden.join("events.npz").to_string_lossy().into_owned();
    let study = [
        "fit",
        "--definition",
        "sdk,berget-events",
        "--net",
        "pixels",
        "--size",
        "8",
        "--quiet",
        "--out",
        "s",
    ];
    let study = [&study[..], &["--experiment", &recording, "--events", &events]].concat();
    let mut child = started(&here, &study);
    let start = Instant::now();
    let begun = || here.0.join("s").exists() && here.names("s").iter().any(|name| name.contains(".partial-"));
    while !begun() {
        assert!(start.elapsed() < Duration::from_secs(60), "no responses are begun");
        assert!(child.try_wait().unwrap().is_none(), "too fast to be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = here.names("s");
    assert!(left.iter().any(|name| name.starts_with(".sdk.responses.partial-")), "{left:?}");
    here.works(&study);
    let names = here.names("s");
    assert!(
        names.iter().all(|name| !name.starts_with('.')) && names.contains(&"report.html".into()),
        "{names:?}"
    );
}
