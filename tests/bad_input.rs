//! Whatever a file holds: one line that names it and says what to do, and nothing half-written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::time::{Duration, Instant};

use builders::{npy_of, safetensors_of};
use command::{Ran, Scratch};
use ndarray::{Array, ArrayD};
use striate::io::npy;

/// Images of 40 x 16 x 16 between 0 and 1, features 40 x 10, responses of 5 neurons.
fn small(name: &str) -> Scratch {
    let here = Scratch::new(name);
    save(&here, "images.npy", &[40, 16, 16], |_| ());
    save(&here, "features.npy", &[40, 10], |_| ());
    save(&here, "responses.npy", &[5, 40], |_| ());
    here
}

/// Uneven numbers between 0 and 1, changed as asked.
fn save(here: &Scratch, name: &str, shape: &[usize], change: impl Fn(&mut ArrayD<f32>)) {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> =
        (0..count).map(|i| (i as f32 * 0.731 + (i % 17) as f32 * 0.37).sin().abs()).collect();
    let mut array = Array::from_shape_vec(shape.to_vec(), values).unwrap();
    change(&mut array);
    npy::write(&here.0.join(name), array.view()).unwrap();
}

const FEATURES: [&str; 4] = ["--features", "features.npy", "--responses", "responses.npy"];
const IMAGES: [&str; 6] = ["--images", "images.npy", "--net", "pixels", "--responses", "responses.npy"];

/// Runs a fit to `out`, which must fail with one line that says all of `said`, and leave nothing behind.
fn refused(here: &Scratch, arguments: &[&str], code: i32, said: &[&str]) {
    let before = here.names(".");
    let ran = here.striate(&[&["fit", "--out", "out", "-q"], arguments].concat());
    ran.refused(code, said);
    assert_eq!(here.names("."), before, "{ran:?}");
}

/// The same arguments with one of them replaced.
fn with<'a>(arguments: &[&'a str], from: &str, to: &'a str) -> Vec<&'a str> {
    arguments.iter().map(|argument| if *argument == from { to } else { argument }).collect()
}

/// Damaged in every way that a file may be, whatever it should have been.
fn damaged(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let flipped = good.iter().enumerate().map(|(i, b)| if i < 6 { b ^ 0x5a } else { *b }).collect();
    vec![
        ("empty", Vec::new()),
        ("short", good[..good.len().min(7)].to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("wrong", flipped),
        ("noise", (0..good.len()).map(|i| (i * i * 37 % 251) as u8).collect()),
    ]
}

#[test]
fn damaged_arrays_are_named() {
    let here = small("arrays");
    for (file, arguments) in
        [("images.npy", &IMAGES[..]), ("features.npy", &FEATURES[..]), ("responses.npy", &FEATURES[..])]
    {
        refused(&here, &with(arguments, file, "absent.npy"), 3, &["absent.npy", "Check the path"]);
        for (how, bytes) in damaged(&here.bytes(file)) {
            let name = format!("{how}.npy");
            here.write(&name, bytes);
            refused(&here, &with(arguments, file, &name), 3, &[&name, "wanted"]);
        }
        let lies =
            ["(400000, 16, 16)", "(4294967296, 4294967296, 4294967296)", "(-1, 3)", "(40, 99999999999)"];
        for shape in lies {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            here.write("lie.npy", npy_of(&header, &[7; 400]));
            refused(&here, &with(arguments, file, "lie.npy"), 3, &["lie.npy"]);
        }
    }
}

#[test]
fn damaged_tables_and_configurations_are_named() {
    let here = small("tables");
    let csv = |name: &str, text: &str, said: &[&str]| {
        here.write(name, text);
        refused(&here, &with(&FEATURES, "responses.npy", name), 3, &[&[name], said].concat());
    };
    csv("empty.csv", "", &[]);
    csv("short.csv", "n,a,b,c\nn1,1,2,3\nn2,1,2,4\n", &["40"]);
    csv("words.csv", &format!("n{0}\nn1{0}\n", ",much".repeat(40)), &["much"]);
    csv("ragged.csv", &format!("n1{}\nn2{}\n", ",1".repeat(40), ",1".repeat(39)), &[]);
    csv("infinite.csv", &format!("n1,inf{}\n", ",1".repeat(39)), &[]);
    refused(&here, &with(&FEATURES, "responses.npy", "none.csv"), 3, &["none.csv", "Check the path"]);
    let split = |text: &[u8], said: &[&str]| {
        here.write("split.csv", text);
        refused(
            &here,
            &[&FEATURES[..], &["--split", "split.csv"]].concat(),
            3,
            &[&["split.csv"], said].concat(),
        );
    };
    split(b"", &[]);
    split(b"image,tier\n0,train\n0,test\n", &["image 0 again"]);
    split(b"image,tier\n0,train\n40,test\n", &["'40'", "0 to 39"]);
    split(b"image,tier\n0,train\n1,tset\n", &["'tset'", "train, validation or test"]);
    split(b"image,tier\n0,train\n1,train\n2,train\n", &["no test images"]);
    split(b"tier\ntrain\n", &["'image'"]);
    split(b"image,tier\n\xff\xfe,train\n", &[]);
    here.write("split.csv", "image,tier\n0,train\n1,train\n2,test\n");
    refused(
        &here,
        &[&FEATURES[..], &["--split", "split.csv"]].concat(),
        2,
        &["--folds", "2 training images"],
    );
    refused(&here, &[&FEATURES[..], &["--split", "none.csv"]].concat(), 3, &["none.csv"]);
    for (text, said) in
        [("net = ", "line 1"), ("net", "line 1"), ("images = \"\\ud800\"", "line 1"), ("a = 1", "'a'")]
    {
        here.write("c.toml", text);
        refused(&here, &["--config", "c.toml"], 2, &["c.toml", said]);
    }
    here.write("c.toml", [0xff, 0xfe, 0, 1]);
    refused(&here, &["--config", "c.toml"], 3, &["c.toml"]);
}

#[test]
fn numbers_that_are_none_are_found_where_they_are() {
    let here = small("numbers");
    for (value, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        save(&here, "bad.npy", &[40, 16, 16], |a| a[[11, 3, 5]] = value);
        for normalise in ["imagenet", "none", "data"] {
            let arguments =
                [&with(&IMAGES, "images.npy", "bad.npy")[..], &["--normalise", normalise]].concat();
            refused(&here, &arguments, 3, &["bad.npy", "image 11", "row 3, column 5", word]);
        }
        save(&here, "bad.npy", &[40, 10], |a| a[[20, 5]] = value);
        refused(
            &here,
            &with(&FEATURES, "features.npy", "bad.npy"),
            3,
            &["bad.npy", "image 20, feature 5", word],
        );
    }
    save(&here, "bad.npy", &[5, 40], |a| a[[1, 37]] = f32::NEG_INFINITY);
    refused(&here, &with(&FEATURES, "responses.npy", "bad.npy"), 3, &["bad.npy", "neuron 1 to image 37"]);
    save(&here, "bad.npy", &[5, 40], |a| a[[4, 0]] = f32::NAN);
    refused(&here, &with(&FEATURES, "responses.npy", "bad.npy"), 3, &["neuron 4 to image 0 is missing"]);
    // What f32 cannot hold is said and not written as NaN.
    for scale in [1e-30, 3e38] {
        save(&here, "bad.npy", &[40, 10], |a| *a *= scale);
        refused(&here, &with(&FEATURES, "features.npy", "bad.npy"), 3, &["single precision", "Scale"]);
    }
}

#[test]
fn counts_and_shapes_that_do_not_fit_are_said() {
    let here = small("shapes");
    save(&here, "wrong.npy", &[5, 39], |_| ());
    refused(&here, &with(&FEATURES, "responses.npy", "wrong.npy"), 3, &["wrong.npy", "5 x 39", "40"]);
    save(&here, "wrong.npy", &[40, 5], |_| ());
    let turned = with(&FEATURES, "responses.npy", "wrong.npy");
    refused(&here, &turned, 3, &["wrong.npy", "--responses-layout images,neurons"]);
    let named =
        [&["fit", "-q", "--out", "out", "--responses-layout", "images,neurons"], &turned[..]].concat();
    here.works(&named);
    std::fs::remove_dir_all(here.0.join("out")).unwrap();
    save(&here, "wrong.npy", &[40, 40], |_| ());
    refused(&here, &with(&FEATURES, "responses.npy", "wrong.npy"), 3, &["wrong.npy", "more than one axis"]);
    for (count, code) in [(1, 2), (2, 2), (4, 2)] {
        save(&here, "few.npy", &[count, 10], |_| ());
        save(&here, "answers.npy", &[5, count], |_| ());
        let few =
            ["--features", "few.npy", "--responses", "answers.npy", "--responses-layout", "neurons,images"];
        refused(&here, &few, code, &["images", "wanted at least 2"]);
    }
    save(&here, "none.npy", &[0, 10], |_| ());
    refused(&here, &with(&FEATURES, "features.npy", "none.npy"), 3, &["none.npy"]);
    save(&here, "same.npy", &[40, 10], |a| a.fill(2.5));
    refused(&here, &with(&FEATURES, "features.npy", "same.npy"), 3, &["the same for all", "images"]);
    refused(&here, &[&FEATURES[..], &["--subsample", "11"]].concat(), 2, &["--subsample", "1 to 10"]);
    refused(&here, &[&IMAGES[..], &["--pool", "17"]].concat(), 2, &["--pool", "16 x 16"]);
    refused(&here, &[&IMAGES[..], &["--pool", "5000000000"]].concat(), 2, &["--pool"]);
    refused(&here, &[&FEATURES[..], &["--folds", "33"]].concat(), 2, &["33 folds of 32"]);
}

#[test]
fn constant_neurons_are_no_error() {
    let here = small("constant");
    save(&here, "flat.npy", &[5, 40], |a| a.slice_mut(ndarray::s![2, ..]).fill(7.0));
    let ran =
        here.works(&[&["fit", "--out", "out"], &with(&FEATURES, "responses.npy", "flat.npy")[..]].concat());
    assert!(ran.err.contains("1 of 5 neurons have constant"), "{ran:?}");
    let scores = String::from_utf8(here.bytes("out/scores.csv")).unwrap();
    assert!(
        scores.lines().nth(3).unwrap().starts_with("2,")
            && scores.lines().nth(3).unwrap().contains(",true,,")
    );
    assert!(
        here.array("out/predictions.npy").slice(ndarray::s![2, ..]).iter().all(|v| (v - 7.0).abs() < 1e-5)
    );
}

#[test]
fn folders_of_images_name_the_image() {
    let here = small("folder");
    std::fs::create_dir(here.0.join("images")).unwrap();
    let draw = |name: &str, side: u32, seed: u32| {
        let pixel = |x: u32, y: u32| image::Luma([(x * 31 * seed + y * 17 + seed * 7) as u8]);
        image::GrayImage::from_fn(side, side, pixel).save(here.0.join("images").join(name)).unwrap();
    };
    for number in 0..40 {
        draw(&format!("{number}.png"), 16, number);
    }
    let arguments = with(&IMAGES, "images.npy", "images");
    here.works(&[&["fit", "-q", "--out", "out"], &arguments[..]].concat());
    std::fs::remove_dir_all(here.0.join("out")).unwrap();
    let whole = here.bytes("images/23.png");
    here.write("images/23.png", &whole[..whole.len() - 20]);
    refused(&here, &arguments, 3, &["23.png"]);
    here.write("images/23.png", "no picture at all");
    refused(&here, &arguments, 3, &["23.png"]);
    draw("23.png", 20, 23);
    refused(&here, &arguments, 3, &["23.png", "--size"]);
    here.works(&[&["fit", "-q", "--out", "out", "--size", "12"], &arguments[..]].concat());
    refused(&here, &with(&IMAGES, "images.npy", "out"), 3, &["no image"]);
}

#[test]
fn weights_must_be_those_of_the_network() {
    let here = small("weights");
    let header = |name: &str, shape: &str, bytes: usize| {
        format!(
            r#"{{"{name}.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{bytes}]}},"{name}.bias":{{"dtype":"F32","shape":[64],"data_offsets":[{bytes},{}]}}}}"#,
            bytes + 256
        )
    };
    let good = safetensors_of(&header("features.0", "[64,3,3,3]", 6912), &[0; 7168]);
    let fit = |layer: &str, code: i32, said: &[&str]| {
        let from = ["--net", "vgg11", "--weights", "w.safetensors", "--pool", "2", "--layer", layer];
        let arguments = [&from[..], &["--images", "images.npy", "--responses", "responses.npy"]].concat();
        refused(&here, &arguments, code, said);
    };
    fit("relu1_1", 3, &["w.safetensors", "Check the path"]);
    for (_, bytes) in damaged(&good) {
        here.write("w.safetensors", bytes);
        fit("relu1_1", 3, &["w.safetensors", "wanted"]);
    }
    for lie in ["[64,3,4294967295,4294967295]", "[18446744073709551615,3,3,3]", "[64,3,3,4]"] {
        here.write("w.safetensors", safetensors_of(&header("features.0", lie, 6912), &[0; 7168]));
        fit("relu1_1", 3, &["w.safetensors"]);
    }
    here.write(
        "w.safetensors",
        safetensors_of(&header("features.0", "[64,3,3,3]", 6912).replace("7168", "9e9"), &[0; 7168]),
    );
    fit("relu1_1", 3, &["w.safetensors"]);
    here.write(
        "w.safetensors",
        safetensors_of(&header("features.0", "[64,3,3,3]", 6912).replace("7168", "70000000"), &[0; 7168]),
    );
    fit("relu1_1", 3, &["w.safetensors"]);
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    here.write("w.safetensors", nan);
    fit("relu1_1", 3, &["w.safetensors", "features.0.bias", "NaN"]);
    here.write("w.safetensors", &good);
    fit("relu1_1", 3, &["the same for all"]);
    fit("relu2_1", 3, &["w.safetensors", "features.3.weight", "reaches as far as conv1_1"]);
    fit("relu1_9", 2, &["relu1_9", "Did you mean relu1_1"]);
    here.write("w.safetensors", safetensors_of(&header("features.0", "[64,3,11,11]", 92928), &[0; 93184]));
    fit("relu1_1", 3, &["w.safetensors", "weights of alexnet"]);
    here.write("w.pth", b"\x80\x02cos\nsystem\n(S'true'\ntR.");
    let torch = ["--net", "vgg11", "--weights", "w.pth", "--layer", "relu1_1"];
    refused(
        &here,
        &[&torch[..], &["--images", "images.npy", "--responses", "responses.npy"]].concat(),
        3,
        &["w.pth"],
    );
}

#[test]
fn what_does_not_fit_into_memory_is_said_at_once() {
    let here = small("memory");
    save(&here, "images.npy", &[40, 64, 64], |_| ());
    let start = Instant::now();
    refused(
        &here,
        &[&IMAGES[..], &["--max-memory", "100K"]].concat(),
        6,
        &["fit", "GPU memory", "--max-memory"],
    );
    let vgg = ["--net", "vgg19", "--weights", "random:0", "--layer", "relu5_1", "--max-memory", "1M"];
    refused(
        &here,
        &[&vgg[..], &["--images", "images.npy", "--responses", "responses.npy"]].concat(),
        6,
        &["fit"],
    );
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let ran =
        here.striate(&[&["features", "-q", "--out", "f.npy", "--images", "images.npy"], &vgg[..]].concat());
    ran.refused(6, &["features", "GPU memory"]);
    assert!(!here.0.join("f.npy").exists());
}

#[test]
fn without_an_adapter_it_says_what_to_install() {
    if !cfg!(target_os = "linux") {
        eprintln!("passed over: only Vulkan's loader can be told that there is no driver");
        return;
    }
    let here = small("no-adapter");
    let mut command = here.command(&[&["fit", "--out", "out"], &FEATURES[..]].concat());
    command.env("VK_DRIVER_FILES", "/nonexistent.json").env("VK_ICD_FILENAMES", "/nonexistent.json");
    let install = "sudo apt-get install -y libvulkan1 mesa-vulkan-drivers";
    Ran::of(command.output().unwrap()).refused(5, &["adapter", install]);
    assert!(!here.0.join("out").exists());
}

#[test]
fn results_never_replace_what_is_not_theirs() {
    let here = small("foreign");
    let fit = |out: &str| here.striate(&[&["fit", "-q", "--out", out], &FEATURES[..]].concat());
    std::fs::create_dir(here.0.join("thesis")).unwrap();
    here.write("thesis/chapter.tex", "dear");
    fit("thesis").refused(4, &["thesis", "not a Striate run"]);
    here.write("notes.txt", "dear");
    fit("notes.txt").refused(4, &["notes.txt", "is a file"]);
    fit("features.npy").refused(2, &["features.npy", "another place"]);
    fit("features.npy/run").refused(4, &["features.npy"]);
    assert_eq!(fit("run").code, 0);
    here.write("run/figure.png", "dear");
    fit("run").refused(4, &["run", "holds figure.png, which would be lost"]);
    here.experiment("e");
    fit("e").refused(4, &["would be lost"]);
    assert_eq!(here.names("thesis"), ["chapter.tex"]);
    assert!(here.names("run").contains(&"figure.png".to_string()) && here.names("e").len() == 7);
    if std::path::Path::new("/proc/self").exists() {
        fit("/proc/run").refused(4, &["/proc/run", "cannot be written"]);
    }
    let features = ["features", "-q", "--images", "images.npy", "--net", "pixels", "--out"];
    here.striate(&[&features[..], &["nowhere/f.npy"]].concat())
        .refused(4, &["nowhere/f.npy", "Make the folder"]);
    here.striate(&[&features[..], &["images.npy"]].concat()).refused(2, &["images.npy", "another"]);
}

/// A fit that is killed leaves no run folder; the next one clears what it left.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_fit_leaves_no_half_written_folder() {
    let here = small("killed");
    save(&here, "images.npy", &[40, 96, 96], |_| ());
    let net = [
        "--net",
        "vgg19",
        "--weights",
        "random:0",
        "--layer",
        "relu3_1",
        "--pool",
        "2",
        "-q",
        "--out",
        "out",
    ];
    let arguments = [&["fit", "--images", "images.npy", "--responses", "responses.npy"], &net[..]].concat();
    let mut child = here.command(&arguments).spawn().unwrap();
    let start = Instant::now();
    let partial = |names: &[String]| names.iter().any(|name| name.starts_with(".out.partial-"));
    while !partial(&here.names(".")) && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = here.names(".");
    assert!(partial(&left) && !left.contains(&"out".to_string()), "{left:?}");
    here.works(&[&["fit", "-q", "--out", "out"], &FEATURES[..]].concat());
    let left = here.names(".");
    assert!(!partial(&left) && left.contains(&"out".to_string()), "{left:?}");
}
