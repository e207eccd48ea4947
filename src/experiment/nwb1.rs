//! Allen Brain Observatory, Visual Coding 2P, NWB 1: all releases of its pipeline.
//!
//! From release 2.0 of the pipeline on, traces of overlapping neurons were demixed, and the neuropil has a
//! group of its own; before, it lay beside the raw traces. Stimuli are counted in imaging frames.
//!
//! What series say of themselves counts as in NWB 2 (see [`super::nwb2`]).

use std::sync::Arc;

use ndarray::Ix2;

use super::clock::Clock;
use super::presentations::{Behaviour, Presentations, Shown};
use super::series::{self, Scale, Series};
use super::traces::{Trace, Traces};
use super::{Experiment, ExperimentRequest, Format, Recorded, Stimuli, nwb, place, wording};
use crate::error::{Error, Kind, Result};
use crate::io::store::Store;

const PIPELINE: &str = "processing/brain_observatory_pipeline";
const FLUORESCENCE: &str = "processing/brain_observatory_pipeline/Fluorescence/imaging_plane_1";
const PLANE: &str = "general/optophysiology/imaging_plane_1";
const PRESENTATIONS: &str = "stimulus/presentation";

const FACTS: [(&str, &str); 12] = [
    ("session type", "general/session_type"),
    ("session", "general/session_id"),
    ("experiment container", "general/experiment_container_id"),
    ("specimen", "general/specimen_name"),
    ("genotype", "general/subject/genotype"),
    ("age", "general/subject/age"),
    ("sex", "general/subject/sex"),
    ("area", "general/optophysiology/imaging_plane_1/location"),
    ("depth", "general/optophysiology/imaging_plane_1/imaging depth"),
    ("indicator", "general/optophysiology/imaging_plane_1/indicator"),
    ("excitation", "general/optophysiology/imaging_plane_1/excitation_lambda"),
    ("field of view", "general/fov"),
];

/// Whether a file is of this kind.
pub(super) fn recognise(store: &dyn Store) -> Result<bool> {
    nwb::has_group(store, PIPELINE)
}

/// Opens a recording.
pub(super) fn open(store: &Arc<dyn Store>, request: &ExperimentRequest) -> Result<Experiment> {
    let file = &**store;
    let ids = nwb::ids(file, &format!("{PIPELINE}/ImageSegmentation/cell_specimen_ids"))?;
    let mut warnings = Vec::new();
    let dff = format!("{PIPELINE}/DfOverF/imaging_plane_1");
    let frames = frames(file, &dff)?;
    let clock = Clock::new(series::clock(file, &dff, frames, &mut warnings)?);
    let pipeline = pipeline(file)?;
    let mut traces = Traces::on(ids.len(), clock.clone());
    add_traces(&mut traces, store, pipeline, &mut warnings)?;
    nwb::add_events(&mut traces, request.events.as_deref())?;
    let stimulus = nwb::wanted_stimulus(request);
    let presentations = presentations(file, stimulus)?;
    let stack = format!("stimulus/templates/{stimulus}_image_stack/data");
    if !file.has_array(&stack)? {
        let advice = "Choose a stimulus of images, such as natural_scenes or natural_movie_one";
        let found = format!("the stimulus {stimulus} has no images");
        return Err(Error::new(Kind::Input, place(file, &stack), found, "an array of images", advice));
    }
    let stimuli = Stimuli::stack(store, &stack)?;
    let trials = presentations.trials(stimuli.len(), &clock, &behaviour(file, &mut warnings)?)?;
    let mut facts = nwb::facts(file, &FACTS)?;
    facts.push(("pipeline".into(), format!("{pipeline:.1}")));
    let area = nwb::fact(file, &format!("{PLANE}/location"))?.unwrap_or_default();
    let depth = nwb::fact(file, &format!("{PLANE}/imaging depth"))?;
    let depth = depth.and_then(|text| wording::depth(&text));
    let area = wording::area(&area).unwrap_or_default();
    Ok(Experiment {
        path: request.path.clone(),
        format: Format::AllenNwb1,
        facts,
        warnings,
        neurons: nwb::neurons(&ids, &area, depth),
        trials,
        stimuli,
        recorded: Recorded::Traces(traces),
    })
}

/// The release of the pipeline: the last of the texts in `general/generated_by`, 0.9 where there is none.
fn pipeline(store: &dyn Store) -> Result<f64> {
    let name = "general/generated_by";
    if !store.has_array(name)? {
        return Ok(0.9);
    }
    let texts = store.texts(name)?;
    let last = texts.last().map_or("", String::as_str);
    let version = last.rsplit(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or("");
    // Of 2.0.1 the first two numbers.
    let short: Vec<&str> = version.split('.').take(2).collect();
    short.join(".").parse().map_err(|_| {
        let found = format!("it ends with '{}'", last.escape_debug());
        Error::new(Kind::Input, place(store, name), found, "the version of the pipeline, such as 2.0", "")
    })
}

/// The frames of dF/F, (neurons, frames).
fn frames(store: &dyn Store, dff: &str) -> Result<usize> {
    let data = format!("{dff}/data");
    let shape = store.array(&data)?.shape;
    shape.get(1).copied().filter(|_| shape.len() == 2).ok_or_else(|| {
        let found = format!("it has the shape {shape:?}");
        Error::new(Kind::Input, place(store, &data), found, "(neurons, frames)", "Check the recording")
    })
}

fn add_traces(
    traces: &mut Traces,
    store: &Arc<dyn Store>,
    pipeline: f64,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let file = &**store;
    let mut add = |traces: &mut Traces, trace, name: &str| {
        let scale = Scale::read(file, name, warnings)?;
        traces.add_scaled(trace, store, name, scale)
    };
    add(traces, Trace::Dff, &format!("{PIPELINE}/DfOverF/imaging_plane_1/data"))?;
    let raw = format!("{FLUORESCENCE}/data");
    if file.has_array(&raw)? {
        add(traces, Trace::Raw, &raw)?;
    }
    let demixed = format!("{FLUORESCENCE}_demixed_signal/data");
    if file.has_array(&demixed)? {
        add(traces, Trace::Demixed, &demixed)?;
    }
    let places = [
        (format!("{FLUORESCENCE}_neuropil_response/data"), format!("{FLUORESCENCE}_neuropil_response/r")),
        (format!("{FLUORESCENCE}/neuropil_traces"), format!("{FLUORESCENCE}/r")),
    ];
    for (neuropil, shares) in places {
        if !file.has_array(&neuropil)? {
            continue;
        }
        add(traces, Trace::Neuropil, &neuropil)?;
        // Some converted files have the shares at their old place only.
        let old = format!("{FLUORESCENCE}/r");
        let shares = if file.has_array(&shares)? { shares } else { old };
        let from = if pipeline >= 2.0 { Trace::Demixed } else { Trace::Raw };
        if file.has_array(&shares)? && traces.has(from) {
            traces.correct(from, shares_of(file, &shares, traces.neurons)?)?;
        }
        break;
    }
    Ok(())
}

/// Each neuron's share of the neuropil.
pub(super) fn shares_of(store: &dyn Store, name: &str, neurons: usize) -> Result<Vec<f64>> {
    let array = store.array(name)?;
    if array.shape != [neurons] {
        let found = format!("it has the shape {:?}", array.shape);
        let wanted = format!("[{neurons}], a share of the neuropil for each neuron");
        return Err(Error::new(Kind::Input, place(store, name), found, wanted, ""));
    }
    Ok(store.doubles(name, &array.all())?.into_raw_vec_and_offset().0)
}

fn behaviour(store: &dyn Store, warnings: &mut Vec<String>) -> Result<Behaviour> {
    let speed = format!("{PIPELINE}/BehavioralTimeSeries/running_speed");
    let running_speed = Series::read(store, &speed, 1, series::centimetres_a_second, warnings)?;
    let mut series = |name: &str, columns| {
        Series::read(store, &format!("{PIPELINE}/{name}"), columns, series::own_unit, warnings)
    };
    Ok(Behaviour {
        running_speed,
        pupil: series("PupilTracking/pupil_size", 1)?,
        pupil_centre: match series("EyeTracking/pupil_location", 2)? {
            Some(location) => Some(location),
            None => series("EyeTracking/pupil_location_spherical", 2)?,
        },
    })
}

/// The table of a stimulus, whose group has the suffix `_stimulus` or not.
fn presentations(store: &dyn Store, stimulus: &str) -> Result<Presentations> {
    let mut group = None;
    for name in [format!("{PRESENTATIONS}/{stimulus}_stimulus"), format!("{PRESENTATIONS}/{stimulus}")] {
        if group.is_none() && nwb::has_group(store, &name)? {
            group = Some(name);
        }
    }
    let Some(group) = group else { return Err(nwb::no_stimulus(store, stimulus, PRESENTATIONS)?) };
    let (data, durations) = (format!("{group}/data"), format!("{group}/frame_duration"));
    let (shown, lasts) = (store.array(&data)?.shape, store.array(&durations)?.shape);
    let shaped = |name: &str, shape: &[usize], wanted: String| {
        let found = format!("it has the shape {shape:?}");
        let advice = "Choose a stimulus of images, such as natural_scenes";
        Err(Error::new(Kind::Input, place(store, name), found, wanted, advice))
    };
    let [count] = shown[..] else {
        return shaped(&data, &shown, "one axis: an image number for each presentation".into());
    };
    if lasts != [count, 2] {
        let wanted =
            format!("[{count}, 2]: first and last imaging frame of each of the {count} presentations");
        return shaped(&durations, &lasts, wanted);
    }
    let frames = store.integers(&durations, &[0..count, 0..2])?.into_dimensionality::<Ix2>();
    let frames = frames.map_err(|why| Error::internal(place(store, &durations), why))?;
    Ok(Presentations {
        place: place(store, &group),
        images: store.integers(&data, std::slice::from_ref(&(0..count)))?.into_raw_vec_and_offset().0,
        shown: frames.rows().into_iter().map(|row| Shown::Frames(row[0], row[1])).collect(),
    })
}
