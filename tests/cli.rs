//! The command as people run it: what it prints where, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use command::{Ran, Scratch};
use serde_json::Value;

#[test]
fn help_and_version_go_to_stdout() {
    let here = Scratch::new("help");
    let help = here.striate(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for words in ["Exit codes", "doctor", "simulate", "--max-memory", "Examples"] {
        assert!(help.out.contains(words), "{words}");
    }
    for subcommand in ["doctor", "info", "features", "fit", "predict", "simulate", "completions"] {
        let help = here.striate(&[subcommand, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{subcommand}");
        assert!(subcommand == "doctor" || help.out.contains("Example"), "{subcommand}");
    }
    let version = here.striate(&["--version"]);
    assert_eq!(version.out.trim(), format!("striate {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_the_command_line_may_not_say_ends_with_2() {
    let here = Scratch::new("usage");
    let wrong: [&[&str]; 8] = [
        &[],
        &["fit", "--frobnicate"],
        &["frobnicate"],
        &["fit", "--size", "0"],
        &["fit", "--lambdas", "1:2"],
        &["simulate", "--max-memory", "lots", "--out", "x"],
        &["features", "--net", "resnet"],
        &["simulate"],
    ];
    for arguments in wrong {
        let ran = here.striate(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?} {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    let ran = here.striate(&["fit", "--frobnicate", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["exit_code"]), (2, &Value::from(2)));
    assert!(ran.json()["error"]["found"].as_str().unwrap().contains("--frobnicate"), "{ran:?}");
}

#[test]
fn options_that_do_not_fit_each_other_are_named() {
    let here = Scratch::new("combinations");
    let net = ["--images", "x", "--net", "vgg19"];
    let with = |more: &[&str]| here.striate(&[&["fit"], &net[..], more].concat());
    with(&[]).refused(2, &["--weights", "random:0"]);
    with(&["--weights", "random:0"]).refused(2, &["--layer", "is missing"]);
    with(&["--weights", "random:0", "--layer", "relu3_9"]).refused(2, &["relu3_9", "Did you mean relu3_"]);
    with(&["--weights", "random:0", "--layer", "relu3_1"]).refused(2, &["--responses", "is missing"]);
    with(&["--weights", "random:0", "--layer", "relu3_1,relu3_2"]).refused(2, &["one layer"]);
    with(&["--features", "f.npy"]).refused(2, &["--images", "--features"]);
    here.striate(&["fit", "--features", "f.npy", "--responses", "r.npy"]).refused(2, &["--out"]);
    let pixels = ["features", "--images", "x", "--net", "pixels", "--out", "f.npy"];
    here.striate(&[&pixels[..], &["--layer", "relu1"]].concat()).refused(2, &["--layer", "pixels"]);
    here.striate(&[&pixels[..], &["--subsample-seed", "1"]].concat()).refused(2, &["--subsample"]);
    let both = [
        "fit",
        "--features",
        "f",
        "--responses",
        "r",
        "--out",
        "o",
        "--split",
        "s",
        "--test-fraction",
        "0.5",
    ];
    here.striate(&both).refused(2, &["--test-fraction", "--split"]);
    here.striate(&["predict", "run", "--images", "x"]).refused(2, &["--out"]);
    here.striate(&["predict", "run", "--images", "x", "--features", "y"]).refused(2, &["--features"]);
}

/// Records and documents are JSON, which cannot hold such a name.
#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_refused_with_2() {
    use std::os::unix::ffi::OsStrExt;
    let here = Scratch::new("not-utf-8");
    here.experiment("e");
    let strange = std::ffi::OsStr::from_bytes(b"e/\xff.npy");
    std::fs::copy(here.0.join("e/responses.npy"), here.0.join(strange)).unwrap();
    let pixels = ["--images", "e/images.npy", "--net", "pixels", "--split", "e/split.csv"];
    let fit = [&["fit", "--out", "run", "-q"], &pixels[..], &["--responses"]].concat();
    let features = ["features", "-q", "--images", "e/images.npy", "--net", "pixels", "--out"];
    for before in [&fit[..], &features[..], &["simulate", "--out"], &["info", "--json"]] {
        let ran = Ran::of(here.command(before).arg(strange).output().unwrap());
        ran.refused(2, &["UTF-8", "Rename"]);
    }
    assert!(!here.0.join("run").exists());
}

#[test]
fn missing_files_are_named_with_3() {
    let here = Scratch::new("missing");
    here.striate(&["info", "nowhere.npy"]).refused(3, &["nowhere.npy", "Check the path"]);
    here.striate(&["predict", "nowhere", "--images", "x", "--out", "y"]).refused(3, &["nowhere"]);
    here.striate(&["features", "--images", "nowhere", "--net", "pixels", "--out", "f"])
        .refused(3, &["nowhere"]);
    here.striate(&["fit", "--config", "nowhere.toml"]).refused(3, &["nowhere.toml"]);
    let ran = here.striate(&["info", "nowhere.npy", "--json"]);
    let error = &ran.json()["error"];
    assert_eq!((error["kind"].as_str(), error["place"].as_str()), (Some("input"), Some("nowhere.npy")));
    assert_eq!(error["exit_code"], 3);
    for field in ["found", "wanted", "advice"] {
        assert!(error[field].is_string(), "{field}");
    }
}

#[test]
fn a_configuration_stands_in_for_options_and_the_command_line_wins() {
    let here = Scratch::new("config");
    here.experiment("e");
    here.write(
        "fit.toml",
        "images = \"e/images.npy\"\nresponses = \"e/responses.npy\"\nnet = \"vgg11\"\nweights = \"random:3\"\n\
         layer = \"relu1_1\"\nlambdas = [0.1, 10, 1]\npool = 4\ntest-fraction = 0.25\ndry-run = true\n\
         no-intercept = true\nquiet = false\nout = \"run\"\n",
    );
    let ran = here.striate(&["fit", "--config", "fit.toml", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let document = ran.json();
    assert_eq!(document["penalties"]["relative"], serde_json::json!([0.1, 1.0, 10.0]));
    assert_eq!(
        (&document["intercept"], &document["input"]["network"]["weights"]),
        (&false.into(), &"random:3".into())
    );
    assert_eq!(document["split"], serde_json::json!({"train": 15, "validation": 0, "test": 5, "unused": 0}));
    assert_eq!((&document["n_neurons"], &document["n_repeats"]), (&6.into(), &4.into()));
    let plan = &document["plan"];
    assert_eq!((&plan["n_features"], &plan["form"]), (&(64 * 4 * 4).into(), &"dual".into()));
    assert!(plan["gpu_bytes"].as_u64().unwrap() <= plan["gpu_budget_bytes"].as_u64().unwrap());
    let won = ["--json", "fit", "--config", "fit.toml", "--pool", "2", "--layer", "relu2_1"];
    assert_eq!(here.striate(&won).json()["plan"]["n_features"], 128 * 2 * 2);
    assert!(!here.0.join("run").exists(), "a dry run writes nothing");
    let wrong = |text: &str, said: &[&str]| {
        here.write("wrong.toml", text);
        here.striate(&["fit", "--config", "wrong.toml"]).refused(2, said);
    };
    wrong("lamdas = 1", &["wrong.toml", "'lamdas'", "lambdas"]);
    wrong("shell = \"bash\"", &["'shell'"]);
    wrong("config = \"other.toml\"", &["'config'"]);
    wrong("size = \"huge\"", &["wrong.toml", "huge"]);
    wrong("dry-run = 1", &["dry-run", "true or false"]);
    wrong("net = { name = \"vgg11\" }", &["net", "a text"]);
    wrong("images = 1\nnet == 2", &["line 2"]);
}

#[test]
fn simulations_are_written_whole_described_and_not_overwritten_with_their_runs() {
    let here = Scratch::new("simulate");
    here.experiment("e");
    let ran = here.striate(&["simulate", "--images", "20", "--size", "16", "--out", "e"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let last = ran.out.trim_end().lines().last().unwrap();
    assert!(last.starts_with("striate fit --images e/images.npy --responses e/responses.npy"), "{last}");
    // The command that it names must be right.
    let next: Vec<&str> = last.split(' ').skip(1).chain(["--dry-run"]).collect();
    assert_eq!(here.striate(&next).code, 0, "{last}");
    let info = |path: &str| here.striate(&["info", path, "--json"]).json();
    assert_eq!(info("e")["kind"], "simulated experiment");
    assert_eq!(info("e")["record"]["settings"]["images"], 20);
    let responses = &info("e/responses.npy")["arrays"][0]["responses"];
    assert_eq!((&responses["neurons"], &responses["repeats"]), (&60.into(), &10.into()));
    assert!(responses["missing"].as_u64().unwrap() > 0);
    assert!((0.2..1.0).contains(&responses["median_fev"].as_f64().unwrap()), "{responses}");
    assert_eq!(info("e/images.npy")["arrays"][0]["images"]["count"], 20);
    assert_eq!((&info("e/split.csv")["train"], &info("e/split.csv")["test"]), (&16.into(), &4.into()));
    assert_eq!(info("e/neurons.csv")["kind"], "labels");
    std::fs::create_dir(here.0.join("e/run")).unwrap();
    here.striate(&["simulate", "--out", "e"]).refused(4, &["run", "lost"]);
    assert!(here.0.join("e/run").is_dir());
    let ran = here.striate(&["simulate", "--images", "3", "--out", "f", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["kind"]), (2, &"usage".into()));
    assert!(!here.0.join("f").exists());
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let here = Scratch::new("seed");
    let simulate = |out: &str, seed: &str| {
        let size = ["--images", "12", "--size", "16", "--neurons", "3"];
        let ran = here.striate(&[&["simulate", "--out", out, "--seed", seed], &size[..]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        std::fs::read(here.0.join(out).join("responses.npy")).unwrap()
    };
    let first = simulate("a", "5");
    assert_eq!(first, simulate("b", "5"));
    assert_ne!(first, simulate("c", "6"));
}

#[test]
fn hostile_files_are_refused_in_one_line() {
    let here = Scratch::new("hostile");
    let huge =
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9999), }";
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend([0xff; 100]);
    let mut tensors = 0x7fff_ffff_ffff_ffffu64.to_le_bytes().to_vec();
    tensors.extend(b"{}");
    let mut short = 200u64.to_le_bytes().to_vec();
    short.extend(b"{\"a\":");
    let files: [(&str, &[u8]); 14] = [
        ("empty", b""),
        ("empty.npy", b""),
        ("empty.csv", b""),
        ("huge.npy", huge),
        ("cut.npy", b"\x93NUMPY"),
        ("archive.npz", &zip),
        ("archive.pth", &zip),
        ("pickle.pth", b"\x80\x02cos\nsystem\n(S'true'\ntR."),
        ("length.safetensors", &tensors),
        ("short.safetensors", &short),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"),
        ("cut.jpg", b"\xff\xd8\xff\xe0"),
        ("split.csv", b"image,tier\n99999999999999,train\n0,test\n"),
        ("noise", &[0xa7, 3, 0, 0, 9, 200, 0, 1, 2, 3, 4]),
    ];
    for (name, content) in files {
        here.write(name, content);
        here.striate(&["info", name]).refused(3, &[name]);
    }
    let golden = |name: &str| format!("{}/tests/golden/store/{name}", env!("CARGO_MANIFEST_DIR"));
    let listed = here.works(&["info", "--json", &golden("links_new.h5")]).json();
    let wanted: Value =
        serde_json::from_slice(&std::fs::read(golden("listing_links_new.json")).unwrap()).unwrap();
    let paths = |of: &Value, key: &str| -> Vec<String> {
        let all = of.as_array().unwrap().iter();
        all.map(|member| member.get(key).unwrap_or(&member[0]).as_str().unwrap().to_string()).collect()
    };
    assert_eq!(paths(&listed["members"], "path"), paths(&wanted, "path"));
    let text = here.works(&["info", &golden("texts_old.h5")]).out;
    assert!(text.contains("/fixed/scalar") && text.contains("text: \"scalar text\""), "{text}");
    let text = here.works(&["info", &golden("odd.h5")]).out;
    assert!(text.contains("float32 10 x 10, chunks of 5 x 5, lzf"), "{text}");
    here.write("data.h5", b"\x89HDF\r\n\x1a\n");
    here.striate(&["info", "data.h5"]).refused(3, &["data.h5: it is damaged", "HDF5"]);
    std::fs::create_dir(here.0.join("run")).unwrap();
    here.striate(&["info", "run"]).refused(3, &["no image among", "no record.json"]);
    here.write("run/record.json", "{ \"command\": ");
    here.striate(&["info", "run"]).refused(3, &["record.json", "damaged"]);
    here.write(
        "run/record.json",
        "{\"command\": \"fit\", \"scores\": {\"median_r\": 0.5}, \"list\": [1, 2]}",
    );
    let ran = here.striate(&["info", "run"]);
    assert!(ran.code == 0 && ran.out.contains("scores.median_r") && ran.out.contains("0.5"), "{ran:?}");
}

#[test]
fn a_folder_of_images_and_a_weight_file_are_described() {
    let here = Scratch::new("info");
    std::fs::create_dir(here.0.join("images")).unwrap();
    for name in ["b.png", "a.png"] {
        image::GrayImage::new(8, 6).save(here.0.join("images").join(name)).unwrap();
    }
    let images = here.striate(&["info", "images", "--json"]).json();
    assert_eq!((&images["kind"], &images["images"]["count"]), (&"images".into(), &2.into()));
    let header = br#"{"features.0.weight":{"dtype":"F32","shape":[1,3,1,1],"data_offsets":[0,12]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0; 12]);
    here.write("own.safetensors", file);
    let weights = here.striate(&["info", "own.safetensors", "--json"]).json();
    assert_eq!((&weights["kind"], &weights["format"]), (&"weights".into(), &"safetensors".into()));
    assert_eq!(weights["tensors"][0]["shape"], serde_json::json!([1, 3, 1, 1]));
    assert_eq!(weights["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn completions_name_the_options() {
    let here = Scratch::new("completions");
    for shell in ["bash", "zsh", "fish"] {
        let ran = here.striate(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("max-memory") && ran.err.is_empty(), "{shell}");
    }
    assert_eq!(here.striate(&["completions", "sh"]).code, 2);
}

#[test]
fn without_an_adapter_doctor_says_what_to_install() {
    if !cfg!(target_os = "linux") {
        eprintln!("passed over: only Vulkan's loader can be told that there is no driver");
        return;
    }
    let here = Scratch::new("no-adapter");
    let bare = |arguments: &[&str]| {
        let mut command = here.command(arguments);
        command.env("VK_DRIVER_FILES", "/nonexistent.json").env("VK_ICD_FILENAMES", "/nonexistent.json");
        Ran::of(command.output().unwrap())
    };
    let ran = bare(&["doctor"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let install = "sudo apt-get install -y libvulkan1 mesa-vulkan-drivers";
    assert!(ran.out.contains(install) && ran.err.contains(install), "{ran:?}");
    assert!(ran.out.contains("unset VK_DRIVER_FILES"), "{ran:?}");
    // What is wrong with the files is said before an adapter is looked for, and before anything is written.
    here.experiment("e");
    here.write("short.csv", "image,tier\n0,train\n");
    let fit = ["fit", "-q", "--images", "e/images.npy", "--net", "pixels", "--out", "run"];
    let with = |files: &[&str]| bare(&[&fit[..], files].concat());
    with(&["--responses", "e/truth.csv"]).refused(3, &["truth.csv"]);
    with(&["--responses", "e/responses.npy", "--split", "short.csv"]).refused(3, &["short.csv"]);
    with(&["--responses", "e/responses.npy", "--split", "e/split.csv"]).refused(5, &["adapter"]);
    assert!(!here.0.join("run").exists());
    let document = bare(&["doctor", "--json"]).json();
    assert_eq!((&document["error"]["exit_code"], &document["adapters"]), (&5.into(), &Value::Array(vec![])));
}

#[test]
fn doctor_tests_and_measures_the_adapter() {
    let here = Scratch::new("doctor");
    // Mesa's own cache stays where it is.
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let ran = Ran::of(
        here.command(&["doctor", "--json", "--quiet", "--no-tuning"])
            .env("XDG_CACHE_HOME", here.0.join("cache"))
            .env("MESA_SHADER_CACHE_DIR", own.unwrap_or_else(std::env::temp_dir))
            .output()
            .unwrap(),
    );
    let document = ran.json();
    assert_eq!(document["tuning"]["measured"], false);
    let file = PathBuf::from(document["tuning"]["file"].as_str().unwrap());
    assert!(cfg!(windows) || file.starts_with(here.0.join("cache/striate/tuning")), "{file:?}");
    assert!(!here.0.join("cache/striate").exists(), "nothing was tuned, nothing is written");
    assert_eq!(ran.code, 0, "{ran:?}");
    let test = &document["self_test"];
    assert!(test["cases"].as_u64().unwrap() > 10 && test["cases"] == test["right"], "{test}");
    let families = document["families"].as_array().unwrap();
    assert_eq!(families.len(), 3);
    for family in families {
        assert_eq!(
            family["lacks"].is_null(),
            family["right"] == true,
            "there and right, or not there: {family}"
        );
        assert_eq!(family["used"] == true, family["family"] == document["kernel_family"], "{family}");
    }
    assert_eq!(document["kernel_family_choice"]["used"], document["kernel_family"]);
    for peak in ["matrix_gflops", "memory_gb_per_s", "upload_gb_per_s", "download_gb_per_s"] {
        let speed = document["peaks"][peak].as_f64().unwrap();
        assert!(speed > 0.01 && speed < 1e6, "{peak} {speed}");
    }
    here.striate(&["doctor", "--quiet", "--adapter", "no such adapter"]).refused(5, &["no such adapter"]);
    let ran = Ran::of(here.command(&["doctor", "-q"]).env("STRIATE_ADAPTER", "99").output().unwrap());
    ran.refused(5, &["99"]);
    here.striate(&["doctor", "--quiet", "--max-memory", "1M"]).refused(6, &["--max-memory"]);
}

/// A reader that stops, such as `head`, is no reason to panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    let here = Scratch::new("pipe");
    let mut child =
        here.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    if Path::new("/dev/full").exists() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = here.command(&["completions", "zsh"]).stdout(full).output().unwrap();
        Ran::of(ran).refused(4, &["stdout"]);
    }
}
