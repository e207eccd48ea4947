//! The known answer: a simulated experiment, fitted with the real command, against the truth it was made
//! from.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table};
use ndarray::{Array3, Axis, Ix2, Ix3};
use striate::io::weights::WeightFile;
use striate::scores::agreement::pearson_r;
use striate::scores::score;

const SIZE: usize = 32;

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.into_iter().collect();
    all.iter().sum::<f64>() / all.len() as f64
}

fn simulated() -> Scratch {
    let here = Scratch::new("simulation");
    let counts = ["--images", "500", "--neurons", "40", "--repeats", "10", "--size", "32", "--seed", "11"];
    here.works(&[&["simulate", "--out", "e", "-q"], &counts[..]].concat());
    let files = ["--images", "e/images.npy", "--responses", "e/responses.npy", "--split", "e/split.csv"];
    here.works(&[&["fit", "--net", "pixels", "--out", "run", "-q"], &files[..]].concat());
    here
}

#[test]
fn a_fit_finds_what_the_simulation_hid() {
    let here = simulated();
    let (neurons, scores) = (Table::read(&here, "e/neurons.csv"), Table::read(&here, "run/scores.csv"));
    let (true_fev, fev) = (neurons.numbers("true_fev"), scores.numbers("test_fev"));
    let error = mean(true_fev.iter().zip(&fev).map(|(a, b)| (a - b).abs()));
    assert!(pearson_r(&true_fev, &fev) > 0.95 && error < 0.06, "{error}: {true_fev:?} {fev:?}");

    let kinds = neurons.texts("kind");
    let of = |kind: &'static str| {
        let kinds = kinds.clone();
        (0..kinds.len()).filter(move |n| kinds[*n] == kind)
    };
    let r = scores.numbers("pearson_r");
    assert_eq!((of("untuned").count(), of("simple").count(), of("complex").count()), (4, 22, 14));
    for n in of("untuned") {
        // 100 test images: the deviation of r is 0.1.
        assert!(
            fev[n].abs() < 0.06 && (r[n].is_nan() || r[n].abs() < 0.35),
            "neuron {n}: FEV {} r {}",
            fev[n],
            r[n]
        );
    }
    let (simple, complex) = (mean(of("simple").map(|n| r[n])), mean(of("complex").map(|n| r[n])));
    eprintln!("mean r from pixels: {simple:.3} simple, {complex:.3} complex");
    assert!(simple > 0.75, "{simple}");
    assert!(complex < 0.3, "pixels are linear: complex cells are beyond them, {complex}");
    receptive_fields(&here, &neurons, &r);
    the_truth_explains_everything(&here);
}

/// Where the readout's weights on pixels lie is where the neuron looks.
fn receptive_fields(here: &Scratch, neurons: &Table, r: &[f64]) {
    let model = WeightFile::open(&here.0.join("run/model.safetensors")).unwrap();
    let weights = model.read("weights").unwrap().into_dimensionality::<Ix2>().unwrap();
    let (x, y, sigma) = (neurons.numbers("x"), neurons.numbers("y"), neurons.numbers("sigma"));
    let mut found = 0;
    for (n, kind) in neurons.texts("kind").into_iter().enumerate() {
        if kind != "simple" || r[n] < 0.6 {
            continue;
        }
        let maps: Array3<f32> = weights.row(n).to_owned().into_shape_with_order((3, SIZE, SIZE)).unwrap();
        let map = maps.sum_axis(Axis(0));
        // Squared energy: the noise that ridge spreads over the image weighs little against the field.
        let energy = map.mapv(|w| f64::from(w).powi(4));
        let total = energy.sum();
        let column = energy.indexed_iter().map(|((_, c), e)| c as f64 * e).sum::<f64>() / total;
        let row = energy.indexed_iter().map(|((l, _), e)| l as f64 * e).sum::<f64>() / total;
        let off = (column - x[n]).hypot(row - y[n]);
        eprintln!("neuron {n}: r {:.2}, {off:.2} pixels off, sigma {:.2}", r[n], sigma[n]);
        assert!(
            off < (0.6 * sigma[n]).max(1.0),
            "neuron {n}: {column:.1}, {row:.1} for {:.1}, {:.1}",
            x[n],
            y[n]
        );
        found += 1;
    }
    assert!(found >= 15, "{found} fields");
}

/// Scored against the recorded counts, the true rates explain all that can be explained.
fn the_truth_explains_everything(here: &Scratch) {
    let truth = here.array("e/truth.npy").into_dimensionality::<Ix2>().unwrap();
    let responses = here.array("e/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let scores = score(responses.view(), truth.view(), 0).unwrap();
    let feve: Vec<f64> = scores.iter().filter(|s| s.is_explainable()).map(|s| s.feve.unwrap()).collect();
    assert!(feve.len() >= 30 && feve.iter().all(|f| (f - 1.0).abs() < 0.1), "{feve:?}");
    assert!((mean(feve.iter().copied()) - 1.0).abs() < 0.02, "{feve:?}");
}
