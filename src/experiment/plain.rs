//! A folder of images, responses and tables: what `striate simulate` and `striate responses` write, and what
//! is put together by hand.
//!
//! `images.npy`, `images.npz`, a folder `images`, or picture files in the folder itself; `responses.npy`,
//! `.npz` or `.csv`, (neurons, images[, repeats]), NaN where a repeat is missing; optionally `neurons.csv`
//! (neuron,id,area,layer,depth,x,y,z), `trials.csv` (trial,image,repeat,start,running_speed,pupil: in order
//! of presentation) and `split.csv` (image,tier).

use std::path::{Path, PathBuf};

use super::trials::{Place, Source};
use super::{Experiment, ExperimentRequest, Format, Neuron, Recorded, Stimuli, Tier, Trial, TrialResponses};
use crate::error::{Error, Result};
use crate::io::image_names::ImageNames;
use crate::io::labels;
use crate::io::responses::Responses;
use crate::io::split::Split;
use crate::io::table::Table;
use crate::io::trials;

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
    let names = ImageNames::named(stimuli.ids.clone());
    let layout = request.layout.as_deref().map(str::parse).transpose()?;
    let responses = Responses::read(&file, layout, None, Some(&names))?;
    let neurons = neurons(&folder.join("neurons.csv"), &responses)?;
    let (mut trials, places) = presentations(&folder.join("trials.csv"), &responses, &names)?;
    let split = folder.join("split.csv");
    if split.exists() {
        let tiers = tiers(&split, &names)?;
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
fn tiers(path: &Path, images: &ImageNames) -> Result<Vec<Option<Tier>>> {
    let split = Split::read(path, images)?;
    let mut tiers = vec![None; images.count()];
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
    if table.rows() != count + 1 {
        let found = format!("it has {} lines of neurons", table.rows() - 1);
        return Err(Error::input(path, found, format!("one for each of the {count} neurons"), ""));
    }
    let numbered = labels::numbers(&table, labels::neuron_column(&table), names, count)?;
    let wanted = ["id", "area", "layer", "depth", "x", "y", "z"].map(|name| table.column(name));
    let [id, area, layer, depth, x, y, z] = wanted;
    let place = [x, y, z].map(|column| column.filter(|_| z.is_some()));
    let quantities: Vec<usize> = place.iter().chain([&depth]).copied().flatten().collect();
    let decimals = table.decimals(&quantities)?;
    let mut seen = vec![false; count];
    for (row, number) in (1..).zip(numbered) {
        if std::mem::replace(&mut seen[number], true) {
            let found = format!("line {} is of neuron {number}, as is a line before", table.line(row));
            return Err(Error::input(path, found, format!("each of the {count} neurons once"), ""));
        }
        let neuron = &mut neurons[number];
        let text = |column: Option<usize>| column.map_or("", |column| table.text(row, column)).to_string();
        let quantity = |column: Option<usize>| match column {
            Some(column) => {
                trials::number(&table, row, column, decimals).map(|v| Some(v).filter(|v| !v.is_nan()))
            }
            None => Ok(None),
        };
        neuron.id = Some(text(id)).filter(|id| !id.is_empty()).unwrap_or(name(number));
        (neuron.area, neuron.layer) = (text(area), text(layer));
        neuron.depth = quantity(depth)?;
        neuron.position = match [quantity(place[0])?, quantity(place[1])?, quantity(place[2])?] {
            [Some(x), Some(y), Some(z)] => Some([x, y, z]),
            _ => None,
        };
    }
    Ok(neurons)
}

/// Trials and their places (image, repeat) in the responses: those of the table, else every place where any
/// neuron was recorded, one repeat of all images after the other.
fn presentations(path: &Path, responses: &Responses, names: &ImageNames) -> Result<(Vec<Trial>, Vec<Place>)> {
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
    let places = trials::places(&table, names, repeats)?;
    let columns = ["start", "running_speed", "pupil"].map(|name| table.column(name));
    let decimals = table.decimals(&columns.iter().flatten().copied().collect::<Vec<_>>())?;
    let id = table.column("trial");
    let mut seen = vec![false; images * repeats];
    let mut trials = Vec::new();
    for (row, [image, repeat]) in (1..).zip(&places) {
        seen[image * repeats + repeat] = true;
        let quantity = |column: Option<usize>| {
            column.map_or(Ok(f64::NAN), |column| trials::number(&table, row, column, decimals))
        };
        trials.push(Trial {
            image: Some(*image),
            seconds: quantity(columns[0])?,
            running_speed: quantity(columns[1])? as f32,
            pupil: quantity(columns[2])? as f32,
            id: id.map_or("", |id| table.text(row, id)).into(),
            ..Trial::default()
        });
    }
    let places: Vec<Place> = places.into_iter().map(|[image, repeat]| (image, repeat)).collect();
    let missing = (0..images * repeats).find(|at| !seen[*at] && recorded(at / repeats, at % repeats));
    if let Some(at) = missing {
        let found =
            format!("no line is of repeat {} of image {}, which has responses", at % repeats, at / repeats);
        return Err(Error::input(path, found, "a line for each repeat that was recorded", ""));
    }
    go_forward(path, &trials)?;
    Ok((trials, places))
}

/// Trials must be in the order of their time, where it is known.
fn go_forward(path: &Path, trials: &[Trial]) -> Result<()> {
    let back = trials.windows(2).position(|pair| pair[1].seconds < pair[0].seconds);
    let Some(at) = back else { return Ok(()) };
    let (before, after) = (trials[at].seconds, trials[at + 1].seconds);
    let found = format!("trial {} begins at {after} s, the one before it at {before} s", at + 1);
    Err(Error::input(path, found, "trials in the order of their time", "Sort the table by start"))
}
