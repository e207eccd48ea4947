//! Weights as people have them: wrapped by training programs, with batch normalisation, published; and models
//! that belong to their records.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use striate::features::WeightSource;
use striate::io::weights::WeightFile;
use striate::networks::Network;

mod builders;
mod command;

use command::Scratch;

/// A safetensors file of f32 tensors, whose values follow from their name without what is in front of `core`.
fn save(path: &Path, tensors: &[(String, Vec<usize>)], value: impl Fn(&str, usize) -> f32) -> PathBuf {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let from = data.len();
        let count: usize = shape.iter().product();
        data.extend((0..count).flat_map(|at| value(name, at).to_le_bytes()));
        let offsets = [from, data.len()];
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
    }
    fs::write(path, builders::safetensors_of(&Value::Object(header).to_string(), &data)).unwrap();
    path.to_owned()
}

fn first(prefix: &str) -> Vec<(String, Vec<usize>)> {
    [("weight", vec![64, 3, 3, 3]), ("bias", vec![64])]
        .map(|(part, shape)| (format!("{prefix}features.0.{part}"), shape))
        .to_vec()
}

fn wave(name: &str, at: usize) -> f32 {
    let seed: usize = name.bytes().map(usize::from).sum();
    ((at * 7 + seed) as f32 * 0.37).sin() * 0.2
}

#[test]
fn wrappers_of_training_programs_are_taken_off_and_said() {
    let here = Scratch::new("wrapped");
    let own =
        |name: &str, at: usize| wave(&name[name.find("features").unwrap_or(0)..].replace("module.", ""), at);
    let open = |tensors: &[_]| {
        WeightFile::open(&save(&here.0.join("w.safetensors"), tensors, own)).unwrap().as_torchvision()
    };
    let plain = open(&first("")).unwrap();
    assert!(plain.notes().is_empty());
    let want = plain.read("features.0.weight").unwrap();
    for prefix in [
        "state_dict.",
        "model.",
        "model_state_dict.",
        "net.",
        "module.",
        "_orig_mod.",
        "state_dict.model.",
        "state_dict.module._orig_mod.",
        "model.module.net.",
    ] {
        let file = open(&first(prefix)).unwrap();
        assert_eq!(file.read("features.0.weight").unwrap(), want, "{prefix}");
        assert_eq!(file.tensors().len(), 2, "{prefix}");
        let said = file.notes().join(" ");
        assert!(said.contains(&format!("'{prefix}features.0.weight' is read as")), "{said}");
    }
    // A part that is wrapped by itself, as the examples of PyTorch wrap the convolutions of VGG.
    let part: Vec<_> =
        first("").into_iter().map(|(n, s)| (n.replace("features.", "features.module."), s)).collect();
    assert_eq!(open(&part).unwrap().read("features.0.weight").unwrap(), want);
    // Beside averages, an optimiser's state and a head of its own.
    let mut many =
        [first("state_dict.model."), first("state_dict.ema_model."), first("optimizer.state.")].concat();
    many.push(("state_dict.model.head.weight".into(), vec![2, 3]));
    let file = open(&many).unwrap();
    assert_eq!(file.read("features.0.weight").unwrap(), want);
    assert!(file.contains("head.weight") && !file.contains("optimizer.state.features.0.bias"));
    assert!(file.notes()[1].contains("ema_model"), "{:?}", file.notes());
    for several in [["model.", "net."], ["module.", "module._orig_mod."]] {
        let said = open(&several.map(first).concat()).err().unwrap().to_string();
        assert!(said.contains("several networks"), "{said}");
    }
    // What nobody knows is no wrapper: the network is not found, and the error says what is in front.
    let file = open(&first("teacher.")).unwrap();
    assert!(file.contains("teacher.features.0.weight") && file.notes().is_empty());
}

/// Convolution and batch normalisation one after the other, at one pixel, against the two in one.
#[test]
fn batch_normalisation_is_folded_into_the_convolution() {
    let here = Scratch::new("folded");
    let network = Network::named("vgg13_bn").unwrap();
    let layer = network.find("bn1_2").unwrap();
    let tensors: Vec<_> = network.parameters_up_to(layer).iter().flat_map(|p| p.tensors()).collect();
    assert_eq!(tensors.len(), 12);
    let value = |name: &str, at: usize| match name.ends_with("running_var") {
        true => 0.5 + wave(name, at).abs(),
        false => wave(name, at),
    };
    let path = save(&here.0.join("bn.safetensors"), &tensors, value);
    let source = WeightSource::parse(path.to_str().unwrap()).unwrap();
    source.check(&network, layer).unwrap();
    let (weight, bias) = source.parameters(&network, &network.entries[layer]).unwrap();
    assert_eq!(weight.shape(), [64, 64, 3, 3]);
    for channel in [0, 17, 63] {
        let (mut plain, mut folded) = (0.0, f64::from(bias[channel]));
        for at in 0..64 * 9 {
            let x = (at as f64 * 0.91).cos();
            plain += x * f64::from(value("features.3.weight", channel * 576 + at));
            folded += x * f64::from(weight[[channel, at / 9, at % 9 / 3, at % 3]]);
        }
        let of = |part: &str| f64::from(value(&format!("features.4.{part}"), channel));
        plain += f64::from(value("features.3.bias", channel));
        let want =
            (plain - of("running_mean")) / (of("running_var") + 1e-5).sqrt() * of("weight") + of("bias");
        assert!((folded - want).abs() < 1e-6, "channel {channel}: {folded} {want}");
    }
    let negative = |name: &str, at: usize| if name.ends_with("var") { -0.1 } else { value(name, at) };
    let path = save(&here.0.join("negative.safetensors"), &tensors, negative);
    let source = WeightSource::parse(path.to_str().unwrap()).unwrap();
    let said = source.parameters(&network, &network.entries[layer]).unwrap_err().to_string();
    assert!(said.contains("running_var") && said.contains("at least 0"), "{said}");
}

#[test]
fn published_weights_are_listed_and_found_by_name() {
    let here = Scratch::new("published");
    let run = |arguments: &[&str]| {
        command::Ran::of(
            here.command(arguments).env("XDG_CACHE_HOME", here.0.join("cache")).output().unwrap(),
        )
    };
    let listed = run(&["weights", "--json"]).json();
    let files = listed["files"].as_array().unwrap();
    assert_eq!(files.len(), 9);
    for file in files {
        let (network, name) = (file["network"].as_str().unwrap(), file["file"].as_str().unwrap());
        let said = format!("curl -fLO {} && striate weights add {name}", file["address"].as_str().unwrap());
        let input =
            ["features", "--images", "none.npy", "--net", network, "--weights", network, "--layer", "relu1"];
        let layer = if network == "alexnet" { "relu1" } else { "relu1_1" };
        let input = [&input[..8], &[layer, "--out", "f.npy"]].concat();
        run(&input).refused(3, &[&said]);
    }
    here.write("vgg19-dcbb9e9d.pth", "<html>");
    run(&["weights", "add", "vgg19-dcbb9e9d.pth"]).refused(3, &["SHA-256", "wanted dcbb9e9d", "again"]);
    run(&["weights", "add", "none.pth"]).refused(3, &["none.pth"]);
    assert!(!here.0.join("cache/striate/weights").exists());
    // As `add` would have put it there.
    fs::create_dir_all(here.0.join("cache/striate/weights")).unwrap();
    save(&here.0.join("cache/striate/weights/vgg11-8a719046.pth"), &first(""), wave);
    let shape = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8), }";
    here.write("images.npy", builders::npy_of(shape, &[90; 128]));
    for name in ["vgg11", "vgg11-8a719046", "vgg11-8a719046.pth"] {
        let input =
            ["features", "--images", "images.npy", "--net", "vgg11", "--layer", "relu1_1", "--out", "f.npy"];
        let ran = run(&[&input[..], &["--weights", name]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn a_model_and_its_record_belong_to_each_other() {
    let here = Scratch::new("bound");
    here.experiment("e");
    let fit = |out: &str, layer: &str| {
        let input = ["--images", "e/images.npy", "--net", "vgg11", "--weights", "random:1", "--layer", layer];
        let rest = ["--responses", "e/responses.npy", "--pool", "2", "--out", out, "-q"];
        here.works(&[&["fit"], &input[..], &rest].concat());
    };
    fit("a", "relu1_1");
    fit("b", "conv1_1");
    let predict = || {
        let _ = fs::remove_file(here.0.join("p.npy"));
        let ran = here.striate(&["predict", "a", "--images", "e/images.npy", "--out", "p.npy", "-q"]);
        assert_eq!(here.0.join("p.npy").exists(), ran.code == 0);
        ran
    };
    let (record, model) = (here.document("a/record.json"), here.bytes("a/model.safetensors"));
    assert_eq!(predict().code, 0);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut record = record.clone();
        change(&mut record);
        here.write("a/record.json", record.to_string());
        predict()
    };
    // What a person may note there, and how it is laid out, is free.
    assert_eq!(changed(&|record| record["summary"]["remark"] = json!("mine")).code, 0);
    let other = ["another model, or one of the two was changed"];
    changed(&|record| record["input"]["network"]["layers"][0] = json!("conv1_1")).refused(3, &other);
    changed(&|record| record["input"]["network"]["weights"] = json!("random:2")).refused(3, &other);
    changed(&|record| record["input"]["network"]["size"]["height"] = json!(17)).refused(3, &other);
    changed(&|record| record["command"] = json!("sweep")).refused(3, &other);
    changed(&|record| record["options"]["seed"] = json!(9)).refused(3, &other);
    changed(&|record| record["binding"] = json!("")).refused(3, &["does not say which model", "fit` again"]);
    here.write("a/record.json", record.to_string());
    here.write("a/model.safetensors", here.bytes("b/model.safetensors"));
    predict().refused(3, &other);
    let mut huge = model.clone();
    let length = huge.len();
    huge[length - 4..].copy_from_slice(&3e38f32.to_le_bytes());
    here.write("a/model.safetensors", huge);
    predict().refused(3, &other);
    here.write("a/model.safetensors", model);
    assert_eq!(predict().code, 0);
}
