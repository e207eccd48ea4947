//! A simulated experiment as a folder of files.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{Experiment, Settings};
use crate::error::{Error, Result};
use crate::io::commit::{self, Folder, RECORD};
use crate::io::npy;

const README: &str = "\
A simulated experiment (striate simulate). Its truth is known, so that a fit can be checked against it.

images.npy     (images, height, width) u8: luminance
responses.npy  (neurons, images, repeats) f32: spike counts; NaN where a repeat was not recorded
split.csv      image,tier: which images train and which test
neurons.csv    what each neuron is: area, kind, receptive field (pixels, degrees, cycles per pixel), true FEV
truth.npy      (neurons, images) f32: mean counts, the best prediction there is
record.json    the settings that give this experiment again

Fit it, inside this folder:

    striate fit --images images.npy --responses responses.npy --split split.csv --net pixels --out run

Untuned neurons have a true FEV of 0; nothing predicts them.
";

/// The files of an experiment.
const FILES: [&str; 7] =
    ["images.npy", "responses.npy", "truth.npy", "split.csv", "neurons.csv", "README.txt", RECORD];

#[derive(Serialize)]
struct Record<'a> {
    command: &'static str,
    striate: &'static str,
    settings: &'a Settings,
}

/// Writes the experiment as a folder that appears whole: `images.npy`, `responses.npy`, `split.csv`,
/// `neurons.csv`, `truth.npy`, `README.txt`, `record.json`.
///
/// # Errors
/// When the folder holds anything but an earlier run, or cannot be written.
pub fn write(experiment: &Experiment, folder: &Path) -> Result<()> {
    let to = Folder::create(folder, &FILES)?;
    commit::write(&to.file("images.npy"), &npy::encode_u8(experiment.images.view().into_dyn()))?;
    npy::write(&to.file("responses.npy"), experiment.responses.view().into_dyn())?;
    npy::write(&to.file("truth.npy"), experiment.expected.view().into_dyn())?;
    experiment.split.write(&to.file("split.csv"))?;
    commit::write(&to.file("neurons.csv"), neurons_csv(experiment).as_bytes())?;
    commit::write(&to.file("README.txt"), README.as_bytes())?;
    let record =
        Record { command: "simulate", striate: env!("CARGO_PKG_VERSION"), settings: &experiment.settings };
    let record =
        serde_json::to_vec_pretty(&record).map_err(|why| Error::internal("simulation record", why))?;
    commit::write(&to.file(RECORD), &record)?;
    to.commit().map(drop)
}

/// Fields of untuned neurons are empty: they have no receptive field.
fn neurons_csv(experiment: &Experiment) -> String {
    let mut csv = String::from("neuron,area,kind,x,y,sigma,orientation,frequency,true_fev\n");
    for (at, neuron) in experiment.neurons.iter().enumerate() {
        let field = neuron.field.map_or_else(
            || ",,,,".to_string(),
            |f| format!("{:.3},{:.3},{:.3},{:.2},{:.5}", f.x, f.y, f.sigma, f.orientation, f.frequency),
        );
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{at},{},{},{field},{:.5}", neuron.area, neuron.cell.name(), neuron.true_fev);
    }
    csv
}
