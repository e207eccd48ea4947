#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn data(relative: &str) -> Option<PathBuf> {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("STRIATE_DATA").map_or(fallback, PathBuf::from).join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent (STRIATE_DATA)", path.display());
    None
}

#[test]
fn published_vgg_equals_its_conversion() {
    let Some(legacy) = data("weights/vgg_normalised_conv3_1.pth") else { return };
    let Some(converted) = data("weights/vgg19_normalised_conv3_1.safetensors") else { return };
    let legacy = WeightFile::open(&legacy).unwrap();
    assert_eq!((legacy.format(), legacy.tensors().len()), ("torch legacy", 12));
    assert_eq!(legacy.tensors()[0].name, "0.weight");
    assert_eq!(legacy.read("16.weight").unwrap().shape(), [256, 128, 3, 3]);
    let legacy = legacy.as_torchvision().unwrap();
    let converted = WeightFile::open(&converted).unwrap().as_torchvision().unwrap();
    assert_eq!(legacy.tensors().len(), converted.tensors().len());
    for tensor in converted.tensors() {
        let (ours, theirs) = (legacy.read(&tensor.name).unwrap(), converted.read(&tensor.name).unwrap());
        assert_eq!(ours.shape(), theirs.shape());
        let largest = theirs.iter().fold(0_f32, |m, v| m.max(v.abs()));
        let worst = ours.iter().zip(&theirs).fold(0_f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= 1e-6 * largest, "{}: {worst} of {largest}", tensor.name);
    }
    assert!(!legacy.contains("0.weight") && legacy.read("0.weight").is_err());
}

#[test]
fn reads_real_zip_checkpoints() {
    for (name, count) in [("ln", 31), ("sota", 39)] {
        let Some(path) = data(&format!("sensorium/sensorium_{name}_model.pth")) else { return };
        let file = WeightFile::open(&path).unwrap();
        assert_eq!((file.format(), file.tensors().len()), ("torch zip", count));
        for tensor in file.tensors() {
            match tensor.element.as_str() {
                "f32" => assert_eq!(file.read(&tensor.name).unwrap().shape(), tensor.shape),
                _ => assert!(file.read(&tensor.name).unwrap_err().to_string().contains("i64")),
            }
        }
    }
}

#[test]
fn distance_counts_changes() {
    let letters = |word: &str| word.chars().collect::<Vec<_>>();
    assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
    assert_eq!(distance(&[], &letters("abc")), 3);
}
