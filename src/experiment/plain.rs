//! A folder of images, responses and tables: what `striate simulate` and `striate responses` write, and what
//! is put together by hand.
//!
//! `images.npy`, `images.npz`, a folder `images`, or picture files in the folder itself; `responses.npy`,
//! `.npz` or `.csv`, (neurons, images[, repeats]), NaN where a repeat is missing; optionally `neurons.csv`
//! (neuron,id,area,layer,depth,x,y,z), `trials.csv` (trial,image,repeat,start,running_speed,pupil: in order
//! of presentation) and `split.csv` (image,tier).

use std::path::{Path, PathBuf};

use super::tables::{self, Table};
use super::trials::{Place, Source};
use super::{Experiment, ExperimentRequest, Format, Neuron, Recorded, Stimuli, Tier, Trial, TrialResponses};
use crate::error::{Error, Result};
use crate::io::responses::Responses;
use crate::io::split::Split;

const IMAGES: [&str; 3] = ["images.npy", "images.npz", "images"];
const RESPONSES: [&str; 3] = ["responses.npy", "responses.npz", "responses.csv"];

/// The first of some names that a folder has.
fn first(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.exists())
}

/// Whether a folder is of this kind.
pub(super) fn recognise(folder: &Path) -> bool {
    first(folder, &RESPONSES).is_some()
}

/// Opens a folder.
pub(super) fn open(request: &ExperimentRequest) -> Result<Experiment> {
    let folder = &request.path;
    let Some(file) = first(folder, &RESPONSES) else {
        let wanted = RESPONSES.join(", ");
        return Err(Error::input(folder, "it has no responses", wanted, "Name the file responses.npy"));
    };
    let images = first(folder, &IMAGES).unwrap_or_else(|| folder.clone());
    let stimuli = Stimuli::images(&images)?;
    let layout = request.layout.as_deref().map(str::parse).transpose()?;
    let responses = Responses::read(&file, layout, Some(stimuli.len()))?;
    let neurons = neurons(&folder.join("neurons.csv"), &responses)?;
    let (mut trials, places) = trials(&folder.join("trials.csv"), &responses)?;
    let split = folder.join("split.csv");
    if split.exists() {
        let tiers = tiers(&split, stimuli.len())?;
        for trial in &mut trials {
            trial.tier = trial.image.and_then(|image| tiers[image]);
        }
    }
    let responses = TrialResponses::new(responses.n_neurons(), Source::Repeats(responses.repeats, places));
    Ok(Experiment {
        path: folder.clone(),
        format: Format::Plain,
        facts: Vec::new(),
        warnings: Vec::new(),
        neurons,
        trials,
        stimuli,
        recorded: Recorded::Trials(responses),
    })
}

/// The tier of each image that the split names.
fn tiers(path: &Path, images: usize) -> Result<Vec<Option<Tier>>> {
    let split = Split::read(path, images)?;
    let mut tiers = vec![None; images];
    for (rows, tier) in
        [(&split.train, Tier::Train), (&split.validation, Tier::Validation), (&split.test, Tier::Test)]
    {
        for row in rows {
            tiers[*row] = Some(tier);
        }
    }
    Ok(tiers)
}

/// The neurons of a table, in the order of the responses; their numbers where there is none. Positions are
/// read where all of x, y and z are there: a simulation's x and y are those of receptive fields.
fn neurons(path: &Path, responses: &Responses) -> Result<Vec<Neuron>> {
    let count = responses.n_neurons();
    let names = responses.neuron_names.as_deref();
    let name = |n: usize| names.map_or_else(|| n.to_string(), |names| names[n].clone());
    let mut neurons: Vec<Neuron> = (0..count).map(|n| Neuron { id: name(n), ..Neuron::default() }).collect();
    if !path.exists() {
        return Ok(neurons);
    }
    let table = Table::read(path)?;
    if table.rows.len() != count {
        let found = format!("it has {} lines of neurons", table.rows.len());
        return Err(Error::input(path, found, format!("one for each of the {count} neurons"), ""));
    }
    let key = table.column("neuron");
    let mut seen = vec![false; count];
    for (at, row) in table.rows.iter().enumerate() {
        let number = match key {
            None => at,
            Some(column) => {
                let text = row.cells[column].as_str();
                let by_name = names.and_then(|names| names.iter().position(|name| name == text));
                let number = by_name.or_else(|| text.parse().ok().filter(|n| *n < count));
                number.filter(|n| !seen[*n]).ok_or_else(|| {
                    let found = format!("line {} is of neuron '{}'", row.line, text.escape_debug());
                    Error::input(path, found, format!("each of the {count} neurons once, from 0"), "")
                })?
            }
        };
        seen[number] = true;
        let neuron = &mut neurons[number];
        let text = |name: &str| table.text(row, name);
        if let Some(id) = text("id").filter(|id| !id.is_empty()) {
            neuron.id = id.into();
        }
        neuron.area = text("area").unwrap_or_default().into();
        neuron.layer = text("layer").unwrap_or_default().into();
        neuron.depth = table.number(row, "depth")?;
        if table.column("z").is_some() {
            let at = [table.number(row, "x")?, table.number(row, "y")?, table.number(row, "z")?];
            neuron.position = match at {
                [Some(x), Some(y), Some(z)] => Some([x, y, z]),
                _ => None,
            };
        }
    }
    Ok(neurons)
}

/// Trials and their places (image, repeat) in the responses: those of the table, else every place where any
/// neuron was recorded, one repeat of all images after the other.
fn trials(path: &Path, responses: &Responses) -> Result<(Vec<Trial>, Vec<Place>)> {
    let (images, repeats) = (responses.n_images(), responses.n_repeats());
    let recorded = |image: usize, repeat: usize| {
        responses.repeats.slice(ndarray::s![.., image, repeat]).iter().any(|v| !v.is_nan())
    };
    if !path.exists() {
        let mut places = Vec::new();
        for repeat in 0..repeats {
            places.extend((0..images).filter(|image| recorded(*image, repeat)).map(|image| (image, repeat)));
        }
        let trial = |&(image, _): &Place| Trial { image: Some(image), ..Trial::default() };
        return Ok((places.iter().map(trial).collect(), places));
    }
    let table = Table::read(path)?;
    let (mut trials, mut places) = (Vec::new(), Vec::new());
    let mut seen = vec![false; images * repeats];
    for row in &table.rows {
        let (image, repeat) = (table.index(row, "image", images)?, table.index(row, "repeat", repeats)?);
        if std::mem::replace(&mut seen[image * repeats + repeat], true) {
            let found =
                format!("line {} is of repeat {repeat} of image {image}, as is a line before", row.line);
            return Err(Error::input(path, found, "each repeat of an image once", ""));
        }
        let float = |name: &str| Ok(table.number(row, name)?.unwrap_or(f64::NAN));
        trials.push(Trial {
            image: Some(image),
            seconds: float("start")?,
            running_speed: float("running_speed")? as f32,
            pupil: float("pupil")? as f32,
            id: table.text(row, "trial").unwrap_or_default().into(),
            ..Trial::default()
        });
        places.push((image, repeat));
    }
    let missing = (0..images * repeats).find(|at| !seen[*at] && recorded(at / repeats, at % repeats));
    if let Some(at) = missing {
        let found =
            format!("no line is of repeat {} of image {}, which has responses", at % repeats, at / repeats);
        return Err(Error::input(path, found, "a line for each repeat that was recorded", ""));
    }
    tables::go_forward(path, &trials)?;
    Ok((trials, places))
}
