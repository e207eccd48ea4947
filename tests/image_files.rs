//! TIFF files as laboratories have them, against values that tifffile wrote (tools/reference/tiff.py).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use striate::experiment::{self, ExperimentRequest};
use striate::io::images::scale::Scale;
use striate::io::images::{Filter, Images, Normalise, Preparation};
use striate::io::npy;

mod builders;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images").join(name)
}

fn truth(name: &str) -> ArrayD<f32> {
    npy::read(&golden("truth.npz"), Some(name)).unwrap()
}

/// Red, green and blue of all pixels, white at 1 where white is known.
fn read(path: &Path) -> Vec<[f32; 3]> {
    let images = Images::open(path).unwrap();
    let normalise = Normalise::Channels { mean: [0.0; 3], std: [1.0; 3] };
    let preparation = Preparation { size: None, filter: Filter::Bilinear, normalise };
    let batch = images.batch(0..images.len(), &preparation).unwrap();
    batch.pixels.iter().map(|p| [p[0], p[1], p[2]]).collect()
}

fn same(name: &str, want: impl Iterator<Item = [f32; 3]>) {
    let (got, want) = (read(&golden(name)), want.collect::<Vec<_>>());
    assert_eq!(got.len(), want.len(), "{name}");
    for (at, (got, want)) in got.iter().zip(&want).enumerate() {
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{name} {at}: {got:?} {want:?}");
    }
}

fn grey(name: &str, white: f32) {
    same(name, truth(name).iter().map(|value| [value / white; 3]));
}

#[test]
fn pages_are_images() {
    for name in ["12_bit", "big", "big_endian", "deflated", "imagej"] {
        let name = format!("stack_{name}.tif");
        grey(&name, 4095.0);
        let images = Images::open(&golden(&name)).unwrap();
        assert_eq!(images.names(), ["0", "1", "2", "3", "4"], "{name}");
        let (bits, notes) = images.reading().unwrap();
        assert!(bits == Some(12) && notes[0].contains("4095") && notes[0].contains(&name), "{notes:?}");
        // One page alone is read on the scale of all.
        let none = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
        let one = images.batch(1..2, &none).unwrap();
        let want = truth(&name)[[1, 0, 0]] * 255.0 / 4095.0;
        assert!((one.pixels[0][0] - want).abs() < 1e-3);
    }
    // Whose pages its writer calls channels.
    grey("stack_imagej_plain.tif", 1023.0);
    let values = truth("stack_rgb.tif");
    same(
        "stack_rgb.tif",
        values.as_slice().unwrap().chunks(3).map(|p| [p[0], p[1], p[2]].map(|v| v / 255.0)),
    );
}

#[test]
fn samples_of_every_kind_are_read() {
    for name in ["float_16.tif", "float_32.tif", "float_32_tiled.tif", "float_64.tif"] {
        grey(name, 1.0);
    }
    grey("int_16.tif", 4095.0);
    grey("uint_32.tif", 65_535.0);
    // Its values alone would be 10 bits.
    assert!(truth("says_12_bits.tif").iter().all(|value| *value < 512.0));
    grey("says_12_bits.tif", 4095.0);
    same("white_is_zero.tif", truth("white_is_zero.tif").iter().map(|value| [(255.0 - value) / 255.0; 3]));
    let planes = truth("planar_rgb.tif");
    let pixels = (0..42).map(|at| [0, 1, 2].map(|c| planes[[c, at / 7, at % 7]] / 255.0));
    same("planar_rgb.tif", pixels);
}

#[test]
fn packed_bits_are_spread_over_a_byte() {
    for bits in [1, 2, 4] {
        let (name, white) = (format!("packed_{bits}.tif"), ((1 << bits) - 1) as f32);
        same(&name, truth(&name).iter().map(|value| [(value * 255.0 / white).floor() / 255.0; 3]));
    }
}

#[test]
fn what_is_no_image_or_more_than_one_is_refused() {
    let none = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
    for (name, said) in [
        ("two_channels.tif", "cannot be decoded"),
        ("imagej_channels.tif", "2 channels of each image"),
        ("pages_differ.tif", "page 1"),
        ("packed_12.tif", "of 12 bits"),
    ] {
        let error = Images::open(&golden(name)).and_then(|images| images.batch(0..1, &none));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(name), "{error}");
    }
    let folder = std::env::temp_dir().join(format!("striate-pages-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(golden("stack_12_bit.tif"), folder.join("a.tif")).unwrap();
    let error = Images::open(&folder).unwrap().batch(0..1, &none).unwrap_err().to_string();
    assert!(error.contains("a.tif") && error.contains("5 pages"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// An array of four images, 4 x 5, as NumPy writes it: its type, and each element's bytes.
fn array(descr: &str, element: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (4, 4, 5), }}");
    builders::npy_of(&header, &(0..80).flat_map(element).collect::<Vec<u8>>())
}

#[test]
fn an_experiment_has_the_pixels_of_its_file() {
    let folder = std::env::temp_dir().join(format!("striate-pixels-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let none = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
    let level = |at: usize| (at * 37 % 256) as u8;
    let binary = |at: usize| u8::from(at % 3 == 1);
    let floats = |value: f32| value.to_le_bytes().to_vec();
    let white = |at: usize| f32::from(level(at)) / 255.0;
    // Its kind, the bytes of a file, the scale it is read on, and what the second pixel is there.
    let cases = [
        ("bool", array("|b1", |at| vec![binary(at)]), Scale::BYTES, 255.0),
        ("ones", array("<f4", |at| floats(f32::from(binary(at)))), Scale::UNIT, 1.0),
        ("unit", array("<f8", |at| f64::from(white(at)).to_le_bytes().to_vec()), Scale::UNIT, 37.0 / 255.0),
        ("bytes", array("|u1", |at| vec![level(at)]), Scale::BYTES, 37.0),
        ("whole", array("<f4", |at| floats(f32::from(level(at)))), Scale::BYTES, 37.0),
        ("own", array("<f4", |at| floats(f32::from(level(at)) - 100.5)), Scale::OWN, -63.5),
        ("long", array("<i8", |at| i64::from(level(at)).to_le_bytes().to_vec()), Scale::BYTES, 37.0),
        (
            "deep",
            array("<u2", |at| (16 * u16::from(level(at)) + 5).to_le_bytes().to_vec()),
            Scale::LEVELS,
            597.0 * 255.0 / 4095.0,
        ),
    ];
    for (name, images, scale, second) in cases {
        let alone = folder.join(format!("{name}.npy"));
        std::fs::write(&alone, &images).unwrap();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }";
        let responses = builders::npy_of(header, &[0; 32]);
        let path = folder.join(format!("{name}.npz"));
        let members = [("images.npy", images), ("responses.npy", responses)];
        std::fs::write(&path, builders::zip(&members, true)).unwrap();
        let map = ["images", "responses"].map(|key| (key.to_string(), key.to_string())).to_vec();
        let request = ExperimentRequest { path, map, ..ExperimentRequest::default() };
        let stimuli = experiment::open(&request).unwrap().stimuli;
        assert_eq!(stimuli.scale().unwrap(), scale, "{name}");
        let images = Images::open(&alone).unwrap();
        let want: Vec<f32> = images.batch(0..4, &none).unwrap().pixels.iter().map(|pixel| pixel[0]).collect();
        assert_eq!(stimuli.read(0..4).unwrap().iter().copied().collect::<Vec<f32>>(), want, "{name}");
        assert!((want[1] - second).abs() < 1e-4, "{name}: {}", want[1]);
        let grey = stimuli.grey().unwrap();
        let gray = if scale == Scale::UNIT { 127.0 / 255.0 } else { 127.0 };
        assert_eq!(grey, (scale != Scale::OWN).then_some(gray), "{name}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
