//! The conversion of Visual Coding 2P to NWB 2: traces with time first, an image a scene, presentations in
//! seconds.
//!
//! The conversion kept when presentations begin, not when they end. They follow each other without a gap, so
//! one lasts until the next begins; where that is more than a frame later than usual (the blocks of a
//! session, its end), it lasts as long as usual: the median distance, which is 7 frames for natural scenes.

use std::sync::Arc;

use super::presentations::{Behaviour, Presentations};
use super::series::{self, Series};
use super::traces::{Trace, Traces};
use super::{Experiment, ExperimentRequest, Format, Recorded, Stimuli, nwb, nwb1, place};
use crate::error::{Error, Kind, Result};
use crate::io::store::{ArrayMember, Store};

const DFF: &str = "processing/ophys/DfOverF/DfOverF";
const EVENTS: &str = "processing/ophys/DfOverF/DfOverFEvents/data";
const FLUORESCENCE: &str = "processing/ophys/Fluorescence";
const CELLS: &str = "processing/ophys/ImageSegmentation/PlaneSegmentation";
const SHARES: &str = "processing/ophys/ContaminationRatios/ratios";
const PLANE: &str = "general/optophysiology/ImagingPlane";
const PRESENTATIONS: &str = "stimulus/presentation";
/// Frames at the beginning that are compared to tell corrected from raw fluorescence.
const COMPARED: usize = 64;
/// A time this part of a frame before a frame's own still belongs to that frame: clocks are rounded when
/// converted.
const EARLY: f64 = 0.01;

const FACTS: [(&str, &str); 9] = [
    ("session", "general/session_id"),
    ("notes", "general/notes"),
    ("subject", "general/subject/subject_id"),
    ("genotype", "general/subject/genotype"),
    ("age", "general/subject/age"),
    ("sex", "general/subject/sex"),
    ("area", "general/optophysiology/ImagingPlane/location"),
    ("indicator", "general/optophysiology/ImagingPlane/indicator"),
    ("plane", "general/optophysiology/ImagingPlane/description"),
];

/// Whether a file is of this kind.
pub(super) fn recognise(store: &dyn Store) -> Result<bool> {
    nwb::has_group(store, "processing/ophys")
}

/// Whether such a file has the traces that every conversion has.
pub(super) fn is_complete(store: &dyn Store) -> Result<bool> {
    store.has_array(&format!("{DFF}/data"))
}

/// Opens a recording.
pub(super) fn open(store: &Arc<dyn Store>, request: &ExperimentRequest) -> Result<Experiment> {
    let file = &**store;
    if !is_complete(file)? {
        return Err(nwb::lacks(
            file,
            &format!("{DFF}/data"),
            "dF/F (frames, neurons) of a converted recording",
        ));
    }
    let ids = cell_ids(file)?;
    let times = series::times(file, &format!("{DFF}/timestamps"))?;
    let mut traces = Traces::new(ids.len(), times.len(), series::rate(&times));
    let mut facts = nwb::facts(file, &FACTS)?;
    add_traces(&mut traces, store, &mut facts)?;
    nwb::add_events(&mut traces, request.events.as_deref())?;
    let stimulus = nwb::wanted_stimulus(request);
    let presentations = presentations(file, stimulus, &times)?;
    let stimuli = Stimuli::each(store, images(file, stimulus)?)?;
    let trials = presentations.trials(stimuli.len(), &times, &behaviour(file)?)?;
    let area = nwb::fact(file, &format!("{PLANE}/location"))?.unwrap_or_default();
    let depth = nwb::fact(file, &format!("{PLANE}/description"))?;
    let depth = depth.filter(|text| text.contains("micron") || text.contains("um"));
    let depth = depth.and_then(|text| nwb::first_number(&text));
    Ok(Experiment {
        path: request.path.clone(),
        format: Format::AllenNwb2,
        facts,
        neurons: nwb::neurons(&ids, &area, depth),
        trials,
        stimuli,
        recorded: Recorded::Traces(traces),
    })
}

/// Ids of cells across sessions, under the names that releases of the conversion gave them; else the rows'
/// own.
fn cell_ids(store: &dyn Store) -> Result<Vec<i64>> {
    for column in ["global_roi_id", "cell_specimen_id", "cell_specimen_ids"] {
        let name = format!("{CELLS}/{column}");
        if store.has_array(&name)? {
            return nwb::ids(store, &name);
        }
    }
    nwb::ids(store, &format!("{CELLS}/id"))
}

fn add_traces(traces: &mut Traces, store: &Arc<dyn Store>, facts: &mut Vec<(String, String)>) -> Result<()> {
    let file = &**store;
    traces.add(Trace::Dff, store, &format!("{DFF}/data"), true)?;
    for (trace, name) in
        [(Trace::Corrected, "Corrected"), (Trace::Neuropil, "Neuropil"), (Trace::Demixed, "Demixed")]
    {
        let name = format!("{FLUORESCENCE}/{name}/data");
        if file.has_array(&name)? {
            traces.add(trace, store, &name, true)?;
        }
    }
    if file.has_array(EVENTS)? {
        // Events came from a file with the neurons first, and not every release turned them.
        let turned = file.array(EVENTS)?.shape == [traces.neurons, traces.frames];
        traces.add(Trace::Events, store, EVENTS, !turned || traces.neurons == traces.frames)?;
    }
    let can = traces.has(Trace::Demixed) && traces.has(Trace::Neuropil) && file.has_array(SHARES)?;
    if can {
        let shares = nwb1::shares_of(file, SHARES, traces.neurons)?;
        correct(traces, store, shares, facts)?;
    }
    Ok(())
}

/// The file defines corrected fluorescence as demixed - ratios x neuropil. A release of the conversion wrote
/// the raw traces under the name Corrected: these are then called raw, and the corrected ones computed.
fn correct(
    traces: &mut Traces,
    store: &Arc<dyn Store>,
    shares: Vec<f64>,
    facts: &mut Vec<(String, String)>,
) -> Result<()> {
    if traces.has(Trace::Corrected) {
        let (neurons, frames) = (traces.neurons, traces.frames.min(COMPARED));
        let block = |trace| traces.block(trace, 0..neurons, 0..frames);
        let (named, demixed, neuropil) =
            (block(Trace::Corrected)?, block(Trace::Demixed)?, block(Trace::Neuropil)?);
        let apart = named.indexed_iter().any(|(at, named)| {
            let (demixed, neuropil) = (f64::from(demixed[at]), f64::from(neuropil[at]));
            let difference = f64::from(*named) - (demixed - shares[at.0] * neuropil);
            // Far more than the rounding of numbers that are stored as f32.
            difference.abs() > 1e-4 * demixed.abs().max(neuropil.abs())
        });
        if !apart {
            return Ok(());
        }
        traces.add(Trace::Raw, store, &format!("{FLUORESCENCE}/Corrected/data"), true)?;
        let said =
            "Corrected is not demixed - ratios x neuropil: it is taken as raw, and corrected is computed";
        facts.push(("note".into(), said.into()));
    }
    traces.correct(Trace::Demixed, shares)
}

fn behaviour(store: &dyn Store) -> Result<Behaviour> {
    let series = |name: &str, columns| Series::read(store, &format!("processing/behavior/{name}"), columns);
    Ok(Behaviour {
        running_speed: series("BehavioralTimeSeries/running_speed", 1)?,
        pupil: series("PupilTracking/pupil_size", 1)?,
        pupil_centre: match series("EyeTracking/pupil_location", 2)? {
            Some(location) => Some(location),
            None => series("CompassDirection/pupil_location_spherical", 2)?,
        },
    })
}

/// The table of a stimulus: image numbers, and the times at which they appeared, turned into imaging frames.
fn presentations(store: &dyn Store, stimulus: &str, times: &[f64]) -> Result<Presentations> {
    let group = format!("{PRESENTATIONS}/{stimulus}_stimulus");
    let data = format!("{group}/data");
    if !store.has_array(&data)? {
        return Err(nwb::no_stimulus(store, stimulus, PRESENTATIONS)?);
    }
    let ArrayMember { shape, .. } = store.array(&data)?;
    let shown = series::times(store, &format!("{group}/timestamps"))?;
    if shape != [shown.len()] {
        let found = format!("it has the shape {shape:?}");
        let wanted = format!("[{}], an image number for each time in {group}/timestamps", shown.len());
        return Err(Error::new(Kind::Input, place(store, &data), found, wanted, ""));
    }
    let images = store.integers(&data, std::slice::from_ref(&(0..shown.len())))?.into_raw_vec_and_offset().0;
    let mut starts = Vec::with_capacity(shown.len());
    for (at, time) in shown.iter().enumerate() {
        let Some(frame) = frame_at(times, *time) else {
            let found = format!("presentation {at} begins at {time} s");
            let (first, last) = (times.first().unwrap_or(&0.0), times.last().unwrap_or(&0.0));
            let wanted = format!("a time within the traces, {first} to {last} s");
            let advice = "Check that the stimulus table belongs to these traces";
            return Err(Error::new(Kind::Input, place(store, &group), found, wanted, advice));
        };
        starts.push(frame);
    }
    let frames = with_ends(&starts, times.len());
    Ok(Presentations { place: place(store, &group), images, frames })
}

/// The frame whose interval holds a time: the last one that began by then. None outside the traces.
fn frame_at(times: &[f64], time: f64) -> Option<usize> {
    let length = 1.0 / series::rate(times);
    let begun = times.partition_point(|t| *t <= time + EARLY * length);
    let last = *times.last()?;
    (begun > 0 && time < last + length).then(|| begun - 1)
}

/// First frames and the frames after the last: until the next presentation where it follows at once, else as
/// long as the median one.
pub(super) fn with_ends(starts: &[usize], frames: usize) -> Vec<(i64, i64)> {
    let mut distances: Vec<usize> =
        starts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).filter(|d| *d > 0).collect();
    distances.sort_unstable();
    let usual = distances.get(distances.len() / 2).copied().unwrap_or(7);
    let end = |at: usize, start: usize| match starts.get(at + 1) {
        Some(next) if *next > start && next - start <= usual + 1 => *next,
        _ => (start + usual).min(frames),
    };
    starts.iter().enumerate().map(|(at, &start)| (start as i64, end(at, start) as i64)).collect()
}

/// The images of a stimulus, in the order of the numbers at the end of their names.
fn images(store: &dyn Store, stimulus: &str) -> Result<Vec<String>> {
    let group = format!("stimulus/templates/{stimulus}_template");
    let mut numbered = Vec::new();
    for name in nwb::children(store, &group)? {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if let Ok(number) = name[name.len() - digits..].parse::<usize>() {
            numbered.push((number, format!("{group}/{name}")));
        }
    }
    numbered.sort();
    let gap = numbered.iter().enumerate().position(|(at, (number, _))| at != *number);
    let found = match (gap, numbered.is_empty()) {
        (_, true) => "it holds no image whose name ends with its number".to_string(),
        (Some(at), _) => format!("there is no image {at} before {}", numbered[at].1),
        (None, false) => return Ok(numbered.into_iter().map(|(_, name)| name).collect()),
    };
    let wanted = "images numbered from 0, such as NaturalScene0";
    Err(Error::new(Kind::Input, place(store, &group), found, wanted, "Images in other files are not read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_frame_that_holds_it() {
        let times = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(frame_at(&times, 2.0), Some(1));
        assert_eq!(frame_at(&times, 2.98), Some(1));
        assert_eq!(frame_at(&times, 2.995), Some(2));
        assert_eq!(frame_at(&times, 4.9), Some(3));
        assert_eq!(frame_at(&times, 5.1), None);
        assert_eq!(frame_at(&times, 0.9), None);
        assert_eq!(frame_at(&times, 0.995), Some(0));
        assert_eq!(frame_at(&[], 1.0), None);
    }

    #[test]
    fn presentations_end_where_the_next_begins_or_after_the_usual_time() {
        let found = with_ends(&[10, 17, 25, 32, 90, 97], 103);
        assert_eq!(found, [(10, 17), (17, 25), (25, 32), (32, 39), (90, 97), (97, 103)]);
        assert_eq!(with_ends(&[5], 100), [(5, 12)]);
    }
}
