//! `striate sweep`: grids that make no sense, results, kills and resumes, a full disk, the studies of the
//! repository.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use command::{Ran, Scratch};

/// A simulated experiment, and options that suit it.
fn experiment(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let size = ["--images", "60", "--size", "16", "--neurons", "8", "--repeats", "4"];
    scratch.works(&[&["simulate", "--out", "experiment"], &size[..]].concat());
    scratch
}

/// What all grids of these tests have above their tables.
const HEAD: &str = "images = \"experiment/images.npy\"\nresponses = \"experiment/responses.npy\"\n\
    split = \"experiment/split.csv\"\nnet = \"pixels\"\nbatch = 8\nadapter = \"cpu\"\n";

fn sweep(scratch: &Scratch, grid: &str, more: &[&str]) -> Ran {
    scratch.write("grid.toml", format!("{HEAD}{grid}"));
    scratch.striate(&[&["sweep", "--config", "grid.toml", "--quiet"], more].concat())
}

/// Rows of a table by the names of their columns.
fn table(scratch: &Scratch, file: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(scratch.0.join(file)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// A table without its column of seconds, which no run repeats.
fn timeless(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    let seconds = rows[0].iter().position(|name| name == "seconds").unwrap();
    let keep = |row: &csv::StringRecord| {
        row.iter().enumerate().filter(|(at, _)| *at != seconds).map(|(_, v)| v.to_string()).collect()
    };
    rows.iter().map(keep).collect()
}

/// Files of both sweeps that must be the same to the last byte.
fn same_results(scratch: &Scratch, one: &str, other: &str) {
    assert_eq!(scratch.names(one), scratch.names(other));
    let tables = [one, other].map(|run| timeless(&scratch.bytes(&format!("{run}/sweep.csv"))));
    assert_eq!(tables[0], tables[1]);
    let mut files: Vec<String> =
        ["sweep_neurons.csv", "curves.csv", "measured.npy"].map(String::from).to_vec();
    files.extend(scratch.names(&format!("{one}/best")).iter().map(|name| format!("best/{name}")));
    assert!(files.len() > 8, "{files:?}");
    // Records and pages hold times.
    let timed = |name: &String| name.ends_with("record.json") || name.ends_with("report.html");
    for file in files.iter().filter(|name| !timed(name)) {
        let path = |run: &str| format!("{run}/{file}");
        if scratch.0.join(path(one)).is_file() {
            assert!(scratch.bytes(&path(one)) == scratch.bytes(&path(other)), "{file} differs");
        }
    }
}

#[test]
fn grids_that_make_no_sense_are_refused() {
    let scratch = experiment("sweep-refused");
    for (grid, said) in [
        ("", &["grid.toml", "has no grid", "[[stages]]"][..]),
        ("[grid]\nlerning-rate = [1]\n", &["grid.toml: grid", "'lerning-rate' cannot vary", "learning-rate"]),
        ("[grid]\nl1 = { from = 2, to = 1, count = 5 }\n", &["grid.toml: grid: l1", "from 2 to 1 is empty"]),
        ("[grid]\nl1 = []\n", &["grid.toml: grid: l1 = [] is empty"]),
        ("[grid]\nl1 = [1, -1]\n", &["grid.toml: configuration 1: l1: -1", "0 or more"]),
        ("[grid]\nlearning-rate = [0]\n", &["configuration 0: learning-rate: 0"]),
        ("[grid]\nreadout = [\"simple\", \"ridge\"]\n", &["configuration 1: readout: ridge", "striate fit"]),
        ("[grid]\npool = [40]\n", &["--pool", "cannot be averaged to 40"]),
        ("[grid]\nl1 = 1\n[[stages]]\nl1 = 1\n", &["has grid and stages"]),
        (
            "[grid]\nl1 = { from = 1, to = 2, count = 90000 }\nseed = [1, 2]\n",
            &["180000 configurations", "100000"],
        ),
        ("[[stages]]\nl1 = [1]\n[[stages]]\nmomentum = [0.5]\n", &["configuration 1: momentum", "Adam"]),
        (
            "[[stages]]\noptimiser = [\"sgd\", \"adam\"]\n[[stages]]\nmomentum = [0.5]\n",
            &["configuration 2: momentum", "Adam"],
        ),
        ("rate = 3\n[grid]\nl1 = 1\n", &["'rate' is no option of striate sweep", "stages"]),
        ("l1 = [1, 2]\n[grid]\nl2 = 1\n", &["grid.toml", "'1,2'", "under [grid]"]),
        ("loss = \"poisson\"\n[grid]\nl2 = 1\n", &["nonlinearity: identity", "softplus"]),
    ] {
        sweep(&scratch, grid, &["--out", "run"]).refused(2, said);
        assert_eq!(scratch.names("."), ["experiment", "grid.toml"], "{grid}");
    }
    let without = scratch.striate(&["sweep", "--out", "run", "--responses", "experiment/responses.npy"]);
    without.refused(2, &["--config"]);
}

#[test]
fn a_dry_run_counts() {
    let scratch = experiment("sweep-dry");
    let grid = "[[stages]]\nl1 = { from = 1e-3, to = 1, count = 4 }\npool = [6, 12]\nbatch = [4, 8]\n[[stages]]\n\
        l2 = [0, 1]\n";
    let plan = sweep(&scratch, grid, &["--out", "run", "--dry-run", "--json"]).json()["plan"].clone();
    assert_eq!(plan["configurations"], serde_json::json!([16, 2]));
    assert_eq!((plan["inputs"].as_u64(), plan["groups"].as_u64()), (Some(2), Some(4)));
    assert!(!scratch.0.join("run").exists() && !scratch.0.join("run.partial").exists());
}

#[test]
fn a_rate_that_diverges_stands_beside_good_ones() {
    let scratch = experiment("sweep-diverges");
    let grid =
        "optimiser = \"sgd\"\nepochs = 4\n[grid]\nlearning-rate = [0.001, 1e30, 0.01]\nl2 = [0, 0.1]\n";
    let ran = sweep(&scratch, grid, &["--out", "run", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let summary = ran.json();
    assert_eq!((summary["configurations"].as_u64(), summary["diverged"].as_u64()), (Some(6), Some(2)));
    let rows = table(&scratch, "run/sweep.csv");
    let status: Vec<&str> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(status, ["done", "done", "diverged", "diverged", "done", "done"]);
    assert_eq!((rows[2]["validation_r"].as_str(), rows[2]["learning_rate"].parse()), ("", Ok(1e30)));
    let best: Vec<&str> =
        rows.iter().filter(|r| r["best"] == "true").map(|r| r["configuration"].as_str()).collect();
    assert_eq!(best, [summary["best"].to_string()]);
    let r = |row: &BTreeMap<String, String>| row["validation_r"].parse().unwrap_or(f64::MIN);
    let most = rows.iter().map(r).fold(f64::MIN, f64::max);
    assert_eq!(r(&rows[best[0].parse::<usize>().unwrap()]), most);

    // What came out is no hyper-parameter, although it differs where some diverged.
    let page = String::from_utf8(scratch.bytes("run/report.html")).unwrap();
    assert!(page.contains("By learning_rate"), "the page does not compare what varied");
    assert!(!page.contains("By neurons") && !page.contains("By stage"), "a result is compared as an option");

    // The best once more, by itself: the same bits as among the others.
    let of_best: Vec<_> = table(&scratch, "run/sweep_neurons.csv")
        .into_iter()
        .filter(|row| row["configuration"] == best[0])
        .collect();
    let alone = table(&scratch, "run/best/scores.csv");
    assert_eq!(of_best.len(), alone.len());
    for (among, alone) in of_best.iter().zip(&alone) {
        for score in ["pearson_r", "r2", "explained_variance", "feve"] {
            assert_eq!(among[score], alone[score], "{score}");
        }
    }
    let record = scratch.document("run/best/record.json");
    assert_eq!(record["summary"]["out"], "run/best");
    let images = ["--images", "experiment/images.npy", "--adapter", "cpu", "--quiet"];
    scratch.works(&[&["predict", "run/best", "--out", "again.npy"], &images[..]].concat());

    let text = sweep(&scratch, grid, &["--out", "run"]);
    assert!(text.out.contains("Best by validation") && text.out.contains("by chance too"), "{text:?}");
    let all = "optimiser = \"sgd\"\nepochs = 2\n[grid]\nlearning-rate = [1e29, 1e30]\n";
    let ran = sweep(&scratch, all, &["--out", "none"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("all 2 configurations diverged") && ran.err.contains("learning-rate"),
        "{ran:?}"
    );
    assert_eq!(table(&scratch, "none/sweep.csv").len(), 2);
    assert!(!scratch.0.join("none/best").exists() && !scratch.0.join("none.partial").exists());
}

/// Enough that a run is under way for some time. The rates of the first stage are so low that the second one
/// wins.
const LONG: &str = "epochs = 40\npatience = 40\n[[stages]]\nlearning-rate = [1e-5, 3e-5, 1e-4]\nl1 = [0, 0.1]\n\
    reduction = [\"mean\", \"sum\"]\n[[stages]]\nlearning-rate = [0.003]\nl2 = [0, 1]\n\
    readout = [\"factored\", \"simple\"]\n";

/// Starts a sweep, and kills it as soon as `path` exists and holds something. Whether it was killed in time.
fn killed(scratch: &Scratch, path: &Path, more: &[&str]) -> bool {
    let arguments =
        [&["sweep", "--config", "grid.toml", "--quiet", "--checkpoint-every", "0"], more].concat();
    let mut child = scratch.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (start, before) = (Instant::now(), std::fs::metadata(path).map_or(0, |there| there.len()));
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(300), "the sweep does not end");
        if std::fs::metadata(path).is_ok_and(|there| there.len() > before) {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[cfg(unix)]
#[test]
fn a_killed_sweep_goes_on_to_the_same_bits() {
    let scratch = experiment("sweep-killed");
    let whole = sweep(&scratch, LONG, &["--out", "whole"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let partial = scratch.0.join("run.partial");
    assert!(killed(&scratch, &partial.join("checkpoint"), &["--out", "run"]), "too fast to be killed");
    let left = scratch.names("run.partial");
    assert!(left.contains(&"checkpoint".into()) && !scratch.0.join("run").exists(), "{left:?}");

    // Without --resume, and with another grid, files or options, nothing is touched.
    sweep(&scratch, LONG, &["--out", "run"]).refused(2, &["unfinished", "--resume", "--out"]);
    let other = LONG.replace("3e-5", "4e-5");
    sweep(&scratch, &other, &["--out", "run", "--resume"]).refused(2, &["differs in: grid"]);
    let options = ["--out", "run", "--resume", "--patience", "41"];
    sweep(&scratch, LONG, &options).refused(2, &["differs in: options"]);
    scratch.works(&[
        "simulate",
        "--out",
        "more",
        "--images",
        "60",
        "--size",
        "16",
        "--neurons",
        "8",
        "--seed",
        "1",
    ]);
    let other = ["--out", "run", "--resume", "--responses", "more/responses.npy"];
    sweep(&scratch, LONG, &other).refused(2, &["differs in: files"]);
    assert_eq!(scratch.names("run.partial"), left);

    // Killed again with every result that is new.
    sweep_file(&scratch);
    let mut kills = 0;
    while kills < 12 && killed(&scratch, &partial.join("results.jsonl"), &["--out", "run", "--resume"]) {
        kills += 1;
    }
    assert!(kills > 1, "killed only {kills} times");
    let ran = sweep(&scratch, LONG, &["--out", "run", "--resume"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    same_results(&scratch, "whole", "run");
    assert!(!partial.exists());
    let rows = table(&scratch, "run/sweep.csv");
    assert!(rows.iter().any(|row| row["best"] == "true" && row["stage"] == rows[rows.len() - 1]["stage"]));
    // Once it is finished, going on says what there is.
    let again = sweep(&scratch, LONG, &["--out", "run", "--resume", "--json"]);
    assert_eq!(
        (again.code, again.json()["best"].clone()),
        (0, scratch.document("run/record.json")["summary"]["best"].clone())
    );
}

/// The long grid as the file that `killed` reads.
fn sweep_file(scratch: &Scratch) {
    scratch.write("grid.toml", format!("{HEAD}{LONG}"));
}

#[cfg(unix)]
#[test]
fn memory_does_not_change_the_bits() {
    let scratch = experiment("sweep-memory");
    let grid = "epochs = 3\n[grid]\nlearning-rate = [0.001, 0.003, 0.01]\nl1 = [0, 0.1]\n";
    for (out, memory) in [("large", "1G"), ("small", "2M")] {
        let ran = sweep(&scratch, grid, &["--out", out, "--max-memory", memory]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    same_results(&scratch, "large", "small");
    // Where nothing fits nothing is left.
    sweep(&scratch, grid, &["--out", "none", "--max-memory", "20K"]).refused(6, &["of GPU memory"]);
    assert!(!scratch.0.join("none.partial").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_was_reported() {
    let scratch = experiment("sweep-full");
    sweep_file(&scratch);
    let whole = sweep(&scratch, LONG, &["--out", "whole"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    // No file may be longer than so many blocks of 512 bytes; the signal that says so is ignored.
    let script = format!(
        "trap '' XFSZ; ulimit -f 12; exec '{}' sweep --config grid.toml --quiet --out run",
        env!("CARGO_BIN_EXE_striate")
    );
    let mut command = scratch.command(&[]);
    let (folder, variables) = (
        scratch.0.clone(),
        command.get_envs().map(|(k, v)| (k.to_owned(), v.map(|v| v.to_owned()))).collect::<Vec<_>>(),
    );
    command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(folder).stdin(Stdio::null());
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let full = Ran::of(command.output().unwrap());
    full.refused(4, &["run.partial", "cannot be written", "--resume"]);
    assert!(!scratch.0.join("run").exists());
    let ran = sweep(&scratch, LONG, &["--out", "run", "--resume"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    same_results(&scratch, "whole", "run");
}

/// The studies as they stand in the repository, made small by options and by nothing else.
#[test]
fn the_studies_run_on_a_simulated_experiment() {
    let scratch = experiment("sweep-studies");
    let study = |command: &str, name: &str, more: &[&str]| {
        let file = format!("{}/studies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let common =
            [command, "--config", &file, "--weights", "random:0", "--adapter", "cpu", "--quiet", "--json"];
        let out = ["--out", name];
        let ran = scratch.striate(&[&common[..], &out, more].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    };
    let cocjin = study("sweep", "cocjin", &["--size", "63", "--layer", "relu1", "--epochs", "2"]);
    assert_eq!(cocjin["configurations"], 5);
    let rows = table(&scratch, "cocjin/sweep.csv");
    let penalties: Vec<[&str; 4]> =
        rows.iter().map(|row| ["readout", "l2", "l1", "laplace"].map(|name| row[name].as_str())).collect();
    let simple = |l2, l1| ["simple", l2, l1, ""];
    let wanted = [
        simple("1", "1"),
        simple("10", "1"),
        simple("1", "10"),
        simple("10", "10"),
        ["spatial", "0", "0", "1"],
    ];
    assert_eq!(penalties, wanted);
    assert!(
        rows.iter().take(4).all(|row| row["subsample"].starts_with("1000 "))
            && rows[4]["subsample"].is_empty()
    );

    let small = ["--size", "16", "--layer", "relu1_1", "--pool", "2", "--widths", "8,4", "--epochs", "2"];
    let berget = study("fit", "berget", &small);
    assert_eq!(
        (&berget["parts"][0]["name"], &berget["parts"][0]["configurations"]),
        (&"relu1_1".into(), &140.into())
    );
    let rows = table(&scratch, "berget/relu1_1/sweep.csv");
    let distinct = |stage: &str, name: &str| {
        let values = rows.iter().filter(|row| row["stage"] == stage).map(|row| row[name].clone());
        values.collect::<std::collections::BTreeSet<String>>().len()
    };
    let counts = ["learning_rate", "initialisation", "activation", "momentum", "l2"];
    assert_eq!(counts.map(|name| distinct("1", name)), [20, 3, 2, 1, 1]);
    assert_eq!(counts.map(|name| distinct("2", name)), [1, 1, 1, 10, 1]);
    assert_eq!(counts.map(|name| distinct("3", name)), [1, 1, 1, 1, 10]);
}
