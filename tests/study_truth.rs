//! Responses and ceilings of an NWB file against what was put into it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table};
use ndarray::{ArrayD, Ix1, Ix2, Ix3};
use std::path::{Path, PathBuf};
use striate::io::npy;

/// The folder that `tools/experiments/make.py` wrote.
fn folder() -> PathBuf {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments");
    std::env::var_os("STRIATE_EXPERIMENTS").map_or(stored, PathBuf::from)
}

fn truth(name: &str) -> ArrayD<f64> {
    npy::read_f64(&folder().join("truth.npz"), Some(name)).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

#[test]
fn responses_and_their_ceiling_are_those_of_the_windows_that_were_put_in() {
    let here = Scratch::new("study-nwb");
    let file = folder().join("pipeline_2.0.nwb").to_string_lossy().into_owned();
    here.works(&["responses", "--experiment", &file, "--definition", "berget-dff", "--out", "r", "-q"]);
    let responses = here.array("r/responses.npy").into_dimensionality::<Ix3>().unwrap();
    let fev = Table::read(&here, "r/reliability.csv").numbers("fev");
    let dff = truth("dff").into_dimensionality::<Ix2>().unwrap();
    let [order, start] = ["order", "start"].map(|name| truth(name).into_dimensionality::<Ix1>().unwrap());
    for neuron in 0..dff.nrows() {
        let mut windows = vec![Vec::new(); responses.dim().1];
        for (image, first) in order.iter().zip(&start).filter(|(image, _)| **image >= 0.0) {
            let seven: Vec<f64> = (0..7).map(|f| dff[[neuron, *first as usize + f]]).collect();
            windows[*image as usize].push(mean(&seven));
        }
        for (image, repeats) in windows.iter().enumerate() {
            for (repeat, wanted) in repeats.iter().enumerate() {
                let found = f64::from(responses[[neuron, image, repeat]]);
                assert!((found - wanted).abs() < 1e-5, "{neuron} {image} {repeat}: {found} for {wanted}");
            }
        }
        let noise: Vec<f64> = windows.iter().filter(|w| w.len() > 1).map(|w| variance(w)).collect();
        let total = variance(&windows.concat());
        let wanted = (total - mean(&noise)) / total;
        assert!((fev[neuron] - wanted).abs() < 1e-4, "FEV of neuron {neuron}: {} for {wanted}", fev[neuron]);
    }
}
