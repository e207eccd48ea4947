//! The folder of responses: arrays, tables, and the record.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::gather::Gathered;
use super::{DefinitionRequest, ResponsesRequest, ResponsesSummary};
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Neuron};
use crate::gpu::Gpu;
use crate::io::commit::{self, Folder, RECORD};
use crate::io::images::scale::Scale;
use crate::io::npy::header_bytes;
use crate::scores::reliability::NeuronReliability;
use crate::tasks::record::{AdapterRecord, InputRecord};
use crate::tasks::recording::SplitRequest;
use crate::tasks::reliability;

/// The files of a folder of responses.
pub(super) const FILES: [&str; 7] =
    ["responses.npy", "images.npy", "trials.csv", "neurons.csv", "split.csv", reliability::FILE, RECORD];

/// Bytes of pixels that are held at once.
const PIXEL_BYTES: usize = 32 << 20;

/// What tables and sentences call neurons: their names in the recording, or their numbers.
pub(super) fn names(neurons: &[Neuron]) -> Vec<String> {
    let name = |(number, neuron): (usize, &Neuron)| match neuron.id.as_str() {
        "" => number.to_string(),
        id => id.to_owned(),
    };
    neurons.iter().enumerate().map(name).collect()
}

/// Writes all but the record.
pub(super) fn write(
    folder: &Folder,
    experiment: &Experiment,
    gathered: &Gathered,
    names: &[String],
    neurons: &[NeuronReliability],
) -> Result<()> {
    let responses = &gathered.responses;
    commit::write_with(&folder.file("responses.npy"), |to: &mut dyn Write| {
        to.write_all(&header_bytes("<f4", responses.shape()))?;
        responses.outer_iter().try_for_each(|neuron| to.write_all(&little_endian(neuron.iter())))
    })?;
    images(folder, experiment, &gathered.arrangement.images)?;
    commit::write(&folder.file("trials.csv"), &trials_table(experiment, gathered)?)?;
    commit::write(&folder.file("neurons.csv"), &neurons_table(&experiment.neurons)?)?;
    gathered.split.write(&folder.file("split.csv"))?;
    commit::write(&folder.file(reliability::FILE), &reliability::table(Some(names), neurons)?)
}

fn little_endian<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|v| v.to_le_bytes()).collect()
}

/// 65535 / 255: from bytes' levels to 16 bits.
const WORDS_PER_LEVEL: f32 = 257.0;

/// The images that were shown, so that they are read again as they were: bytes as u8, other whole numbers as
/// u16, floats as f32; the blank is grey.
fn images(folder: &Folder, experiment: &Experiment, images: &[usize]) -> Result<()> {
    let stimuli = &experiment.stimuli;
    let mut shape = vec![images.len(), stimuli.height, stimuli.width];
    if stimuli.channels > 1 {
        shape.push(stimuli.channels);
    }
    let pixels: usize = shape[1..].iter().product();
    let scale = stimuli.scale()?;
    let element = match scale {
        Scale::BYTES => "|u1",
        Scale::LEVELS => "<u2",
        _ => "<f4",
    };
    // That there is one where there is a blank was checked before.
    let grey = stimuli.grey()?.unwrap_or(f32::NAN);
    let encoded = |values: &mut dyn Iterator<Item = f32>| -> Vec<u8> {
        match scale {
            Scale::BYTES => values.map(|v| v as u8).collect(),
            Scale::LEVELS => {
                values.flat_map(|v| ((v * WORDS_PER_LEVEL).round() as u16).to_le_bytes()).collect()
            }
            _ => values.flat_map(f32::to_le_bytes).collect(),
        }
    };
    let at_once = (PIXEL_BYTES / 4 / pixels.max(1)).max(1);
    let mut failure = None;
    let written = commit::write_with(&folder.file("images.npy"), |to: &mut dyn Write| {
        to.write_all(&header_bytes(element, &shape))?;
        let mut at = 0;
        while at < images.len() {
            let first = images[at];
            if first == stimuli.len() {
                return to.write_all(&encoded(&mut std::iter::repeat_n(grey, pixels)));
            }
            // Images that lie together in the recording are read together.
            let together = images[at..].iter().zip(first..stimuli.len()).take(at_once);
            let count = together.take_while(|(image, next)| **image == *next).count();
            let read = stimuli.read(first..first + count).map_err(|why| {
                failure = Some(why);
                std::io::Error::other("the images could not be read")
            })?;
            to.write_all(&encoded(&mut read.iter().copied()))?;
            at += count;
        }
        Ok(())
    });
    // What stopped the writing says more than the writing's own error.
    failure.map_or(written, Err)
}

fn known(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

fn trials_table(experiment: &Experiment, gathered: &Gathered) -> Result<Vec<u8>> {
    let header = ["trial", "image", "repeat", "start", "running_speed", "pupil"];
    let row = |(kept, place): (&super::KeptTrial, &[usize; 2])| {
        let trial = &experiment.trials[kept.trial];
        let name = if trial.id.is_empty() { kept.trial.to_string() } else { trial.id.clone() };
        let covariates = [trial.running_speed, trial.pupil]
            .map(|v| if v.is_nan() { String::new() } else { v.to_string() });
        let [speed, pupil] = covariates;
        vec![name, place[0].to_string(), place[1].to_string(), known(trial.seconds), speed, pupil]
    };
    let rows = gathered.trials.iter().zip(&gathered.arrangement.places).map(row);
    reliability::csv_table("trials.csv", &header, rows)
}

fn neurons_table(neurons: &[Neuron]) -> Result<Vec<u8>> {
    let header = ["neuron", "id", "area", "layer", "depth", "x", "y", "z"];
    let row = |(number, neuron): (usize, &Neuron)| {
        let own = [&neuron.id, &neuron.area, &neuron.layer].map(String::clone);
        let depth = neuron.depth.map_or(String::new(), known);
        let place = neuron.position.map_or([const { String::new() }; 3], |p| p.map(known));
        [vec![number.to_string()], own.to_vec(), vec![depth], place.to_vec()].concat()
    };
    reliability::csv_table("neurons.csv", &header, neurons.iter().enumerate().map(row))
}

/// The files that responses are made from, with what they are.
pub(super) fn inputs(request: &ResponsesRequest) -> Vec<(&'static str, PathBuf)> {
    let asked = &request.experiment;
    let mut files = vec![("experiment", asked.path.clone())];
    files.extend(asked.events.iter().map(|path| ("events", path.clone())));
    if let Some(SplitRequest::File(path)) = &request.split {
        files.push(("split", path.clone()));
    }
    files
}

/// Writes the record: everything that is needed to make the same again.
pub(super) fn write_record(
    gpu: &Gpu,
    folder: &Folder,
    request: &ResponsesRequest,
    experiment: &Experiment,
    summary: &ResponsesSummary,
    inputs: Vec<InputRecord>,
) -> Result<()> {
    let asked = &request.experiment;
    let automatic = matches!(request.definition, Some(DefinitionRequest::Auto { .. }));
    let facts: serde_json::Map<String, serde_json::Value> =
        experiment.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let record = json!({
        "striate": env!("CARGO_PKG_VERSION"),
        "command": "responses",
        "experiment": {
            "path": asked.path, "events": asked.events, "map": asked.map, "stimulus": asked.stimulus,
            "rescale": asked.rescale,
            "format": experiment.format.name(), "facts": facts,
        },
        "options": {
            "definition": summary.definition,
            "automatic": automatic,
            "blanks": request.blanks,
            "regressed": request.covariates_regressed,
            "standardised": request.standardise,
            "split": request.split,
            "test_fraction": request.test_fraction,
            "seed": request.seed,
            "request": request.asked(),
        },
        "inputs": inputs,
        "summary": summary,
        "adapter": AdapterRecord::of(gpu),
        "seconds": summary.seconds,
    });
    let record = serde_json::to_vec_pretty(&record).map_err(|e| Error::internal(RECORD, e))?;
    commit::write(&folder.file(RECORD), &record)
}
