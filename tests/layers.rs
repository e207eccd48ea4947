//! Imports go downward only: every `crate::` path of the library and `striate::` path of the command, against
//! a table.

use std::path::{Path, PathBuf};

/// A module and what it may import, which must stand below it. `cli` is the command; it imports the library.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "tasks",
            "report",
            "bench",
            "doctor",
            "ridge",
            "training",
            "responses",
            "events",
            "simulate",
            "scores",
            "kernels",
            "gpu",
            "experiment",
            "io",
            "networks",
            "host",
            "error",
            "numbers",
        ],
    ),
    (
        "tasks",
        &[
            "report",
            "features",
            "ridge",
            "training",
            "responses",
            "events",
            "scores",
            "routines",
            "kernels",
            "gpu",
            "experiment",
            "io",
            "networks",
            "host",
            "error",
            "numbers",
        ],
    ),
    ("report", &["scores", "io", "networks", "error"]),
    (
        "bench",
        &[
            "doctor", "features", "ridge", "training", "routines", "kernels", "gpu", "io", "networks",
            "error", "numbers", "random",
        ],
    ),
    ("doctor", &["kernels", "gpu", "error"]),
    ("features", &["routines", "kernels", "gpu", "io", "networks", "host", "error", "random"]),
    ("ridge", &["routines", "kernels", "gpu", "host", "error"]),
    ("training", &["scores", "kernels", "gpu", "host", "error", "random"]),
    ("responses", &["routines", "scores", "kernels", "gpu", "experiment", "error", "numbers"]),
    ("events", &["routines", "kernels", "gpu", "error", "numbers"]),
    ("simulate", &["io", "error", "random"]),
    ("scores", &["error", "numbers", "random"]),
    ("routines", &["kernels", "gpu", "host", "error", "numbers"]),
    ("kernels", &["gpu", "error", "numbers"]),
    ("gpu", &["host", "error"]),
    ("experiment", &["io", "error"]),
    ("io", &["host", "error", "random"]),
    ("networks", &["error"]),
    ("host", &["error"]),
    ("error", &[]),
    ("numbers", &[]),
    ("random", &[]),
];

/// What tests and comments name does not count; tests stand last in a file.
fn code(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// First words of all paths that begin with `root`, `root::{one, other}` included.
fn names(code: &str, root: &str) -> Vec<String> {
    let word =
        |path: &str| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    let paths = code.match_indices(root).map(|(at, _)| &code[at + root.len()..]);
    let lists = paths.map(|path| match path.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or(list).split(',').filter_map(word).collect(),
        None => Vec::from_iter(word(path)),
    });
    lists.flatten().filter(|name| !name.is_empty()).collect()
}

/// What a file of a module imports although it must not.
fn complaints(module: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{module} is not in the table")];
    };
    let code = code(text);
    let mut wrong = Vec::new();
    for root in ["crate::", "striate::"] {
        // Inside the command `crate::` is the command itself.
        let imported = if module == "cli" && root == "crate::" { Vec::new() } else { names(&code, root) };
        for name in imported {
            let name = if ["Error", "Kind", "Result"].contains(&name.as_str()) { "error" } else { &name };
            if name != module && !allowed.contains(&name) {
                wrong.push(format!("{module} imports {name}"));
            }
        }
    }
    let drivers = ["wgpu::", "naga::"].into_iter().filter(|driver| module != "gpu" && code.contains(driver));
    wrong.extend(drivers.map(|driver| format!("{module} says {driver}, which is for gpu alone")));
    wrong
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("its entry").path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs")).collect()
}

#[test]
fn imports_go_downward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (src, kernels) = (root.join("src"), root.join("kernels"));
    let files = [rust_files(&src), rust_files(&kernels)].concat();
    assert!(files.len() > 50, "only {} files", files.len());
    let mut wrong = Vec::new();
    for file in files.iter().filter(|f| **f != src.join("lib.rs") && **f != src.join("main.rs")) {
        let first = file.strip_prefix(&src).ok().and_then(|f| f.components().next());
        let module = first.map_or("kernels".into(), |f| f.as_os_str().to_string_lossy().replace(".rs", ""));
        let text = std::fs::read_to_string(file).expect("a source file");
        wrong.extend(complaints(&module, &text).iter().map(|why| format!("{}: {why}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What tests can have fail: all changes to the disk, but for the cache of tile timings.
#[test]
fn one_module_changes_the_disk() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let changes = ["fs::File::create", "File::options", "fs::write(", "fs::rename(", "fs::create_dir"];
    for path in rust_files(&src) {
        let text = code(&std::fs::read_to_string(&path).expect("a source file"));
        let place = path.to_string_lossy().replace('\\', "/");
        if place.ends_with("tests.rs") {
            continue;
        }
        // A claim is opened to be locked, and what was moved aside is moved back.
        let own = ["io/disk.rs", "gpu/tuning/store.rs", "io/commit/claim.rs", "io/commit/folder.rs"];
        let here = own.iter().any(|own| place.ends_with(own));
        assert!(
            here || !changes.iter().any(|change| text.contains(change)),
            "{place} changes the disk by itself"
        );
        let plain = text.contains("use std::fs::File") || text.contains("use std::fs::{self, File}");
        assert!(here || !plain || !text.contains("File::create"), "{place} makes a file by itself");
    }
}

#[test]
fn one_folder_knows_the_reader_of_hdf5() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let says = |file: &PathBuf| std::fs::read_to_string(file).expect("a source file").contains("hdf5_reader");
    let wrong: Vec<_> = rust_files(&src).into_iter().filter(says).collect();
    assert!(
        wrong.iter().all(|file| file.to_string_lossy().replace('\\', "/").contains("io/store/hdf5")),
        "{wrong:?}"
    );
    assert!(!wrong.is_empty());
}

#[test]
fn the_table_goes_downward_and_is_whole() {
    for (place, (module, allowed)) in LAYERS.iter().enumerate() {
        for name in *allowed {
            let below = LAYERS[place + 1..].iter().any(|(other, _)| other == name);
            assert!(below, "{name} does not stand below {module}");
        }
    }
    for line in include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(LAYERS.iter().any(|(name, _)| *name == module), "{module} is not in the table");
    }
}

#[test]
fn the_check_sees_imports() {
    assert_eq!(complaints("io", "use crate::gpu::Gpu;"), ["io imports gpu"]);
    assert_eq!(complaints("gpu", "fn f() { crate::kernels::gemm::of(); }"), ["gpu imports kernels"]);
    assert_eq!(
        complaints("scores", "use crate::{\n    error::Result,\n    tasks,\n};"),
        ["scores imports tasks"]
    );
    assert_eq!(complaints("cli", "use striate::routines::Gram;"), ["cli imports routines"]);
    assert_eq!(complaints("ridge", "let b: wgpu::Buffer;"), ["ridge says wgpu::, which is for gpu alone"]);
    assert_eq!(complaints("unknown", ""), ["unknown is not in the table"]);
    let fine = "use crate::{Error, random::Random};\n// crate::gpu\n#[cfg(test)]\nuse crate::gpu::Gpu;";
    assert!(complaints("io", fine).is_empty());
}
