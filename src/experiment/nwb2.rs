//! NWB 2 files with fluorescence of regions of interest and images as stimuli: the conversion of Visual
//! Coding 2P, and files of other writers.
//!
//! Files keep when presentations begin, not when they end. They follow each other without a gap, so one lasts
//! until the next begins; where that is more than a frame later than usual (the blocks of a session, its
//! end), it lasts as long as usual: the median distance, which is 7 frames for natural scenes at 30 Hz.
//!
//! What becomes of what the schema lets a file say of what is read here:
//!
//! Any series:
//! - `conversion`, `offset`: used, data x conversion + offset. NaN counts as absent, with a warning; a
//!   conversion of 0 or infinity is refused. `channel_conversion`: refused.
//! - `unit`: speeds become cm/s, dF/F in percent a ratio; an unknown unit of speed is warned of; the pupil
//!   stays in its own.
//! - `timestamps`: used. They have to go forward; a few more or fewer than samples are cut to both, with a
//!   warning; more are refused. Their `unit` (also of `starting_time`): seconds, ms and us are used, others
//!   refused. Their `interval`: refused unless 1.
//! - `starting_time` and its `rate`: used where there are no timestamps; the rate has to be above 0.
//! - `resolution`, `continuity`, `comments`, `description`: ignored, for they change no number. `control`,
//!   `control_description`, `sync`: ignored, for they are labels of the laboratory's own.
//!
//! `RoiResponseSeries`: time is the first axis, regions only where the lengths leave no doubt. `rois` and its
//! `table` are used: column k is the row rois\[k\] of that table; a row twice or outside is refused.
//!
//! `PlaneSegmentation`: `id`, `global_roi_id`, `cell_specimen_id(s)` are the ids of neurons; `area`,
//! `brain_area`, `location` and `layer` are used where they are texts; `imaging_plane` is followed.
//! `colnames`, `description`, masks, `reference_images` and other columns are ignored: no response depends on them.
//!
//! `ImagingPlane`: `location` is the area, unless it says that it is unknown; the depth is what a phrase of
//! `description` or `location` says; `indicator` is shown. `imaging_rate`, `excitation_lambda`,
//! `origin_coords`, `grid_spacing` and `manifold` are ignored: frames have times of their own.
//!
//! `IndexSeries`: `data` are used, their `conversion`, `offset` and `unit` ignored, as the schema says;
//! `indexed_images` and `indexed_timeseries` say where the images are. `Images`: `order_of_images` is used;
//! without it the numbers at the end of the names are the order, and have to run from 0. An `ImageSeries` of
//! pixels with a `conversion` or `offset` is refused. `TimeIntervals` are not read: presentations are those
//! under stimulus/presentation.

use std::sync::Arc;

use super::presentations::Behaviour;
use super::series::{self, Series};
use super::traces::{Trace, Traces};
use super::{Experiment, ExperimentRequest, Format, Recorded, nwb};
use crate::error::Result;
use crate::io::store::Store;

mod cells;
mod file;
mod rois;
mod stimulus;

use file::File;

const SHARES: &str = "processing/ophys/ContaminationRatios/ratios";
/// Frames at the beginning that are compared to tell corrected from raw fluorescence.
const COMPARED: usize = 64;

const FACTS: [(&str, &str); 6] = [
    ("session", "general/session_id"),
    ("notes", "general/notes"),
    ("subject", "general/subject/subject_id"),
    ("genotype", "general/subject/genotype"),
    ("age", "general/subject/age"),
    ("sex", "general/subject/sex"),
];

/// Of the imaging plane.
const PLANE: [(&str, &str); 3] = [("area", "location"), ("indicator", "indicator"), ("plane", "description")];

/// Whether a file is of this kind.
pub(super) fn recognise(store: &dyn Store) -> Result<bool> {
    Ok(nwb::has_group(store, "processing")? && store.attribute("/", "nwb_version")?.is_some()
        || nwb::has_group(store, "processing/ophys")?)
}

/// Whether such a file has traces and images that were shown.
pub(super) fn is_complete(store: &Arc<dyn Store>) -> Result<bool> {
    let file = File::open(store)?;
    Ok(!rois::all(&file)?.is_empty() && file.target("stimulus/presentation").is_some())
}

/// Opens a recording.
pub(super) fn open(store: &Arc<dyn Store>, request: &ExperimentRequest) -> Result<Experiment> {
    let file = File::open(store)?;
    let mut warnings = Vec::new();
    let all = rois::all(&file)?;
    let main = rois::chosen(&file, &all, request.series.as_deref())?;
    let mut opened = rois::open(&file, &main, &mut warnings)?;
    let mut facts = nwb::facts(file.store, &FACTS)?;
    for (label, name) in PLANE {
        let name = opened.cells.plane.as_ref().map(|plane| format!("{plane}/{name}"));
        let value = name.map_or(Ok(None), |name| nwb::fact(file.store, &name))?;
        facts.extend(value.filter(|value| value != "unknown").map(|value| (label.to_string(), value)));
    }
    facts.push(("series".into(), main.path.trim_start_matches('/').to_string()));
    add_traces(&file, &all, &main, &mut opened, &mut warnings)?;
    if opened.traces.has(Trace::Demixed)
        && opened.traces.has(Trace::Neuropil)
        && let Some(shares) = cells::shares(&file, SHARES, &opened.rows, &opened.cells)?
    {
        correct(&mut opened.traces, shares, &mut facts)?;
    }
    nwb::add_events(&mut opened.traces, request.events.as_deref())?;
    let stimulus = nwb::wanted_stimulus(request);
    let presentations = stimulus::presentations(&file, stimulus, &opened.clock, &mut warnings)?;
    let stimuli = stimulus::images(&file, stimulus)?;
    let behaviour = behaviour(file.store, &mut warnings)?;
    Ok(Experiment {
        path: request.path.clone(),
        format: Format::AllenNwb2,
        facts,
        warnings,
        neurons: opened.cells.neurons(&file, &opened.rows)?,
        trials: presentations.trials(stimuli.len(), &opened.clock, &behaviour)?,
        stimuli,
        recorded: Recorded::Traces(opened.traces),
    })
}

/// Adds what else there is of the same regions: one series of each kind.
fn add_traces(
    file: &File<'_>,
    all: &[rois::RoiSeries],
    main: &rois::RoiSeries,
    opened: &mut rois::Opened,
    warnings: &mut Vec<String>,
) -> Result<()> {
    for trace in Trace::ALL.into_iter().filter(|trace| *trace != main.trace) {
        let mut of = Vec::new();
        for one in all.iter().filter(|one| one.trace == trace) {
            if cells::Cells::of(file, &one.path).is_ok_and(|cells| cells.table == opened.cells.table) {
                of.push(one);
            }
        }
        match of[..] {
            [] => {}
            [one] => rois::add(file, one, opened, warnings)?,
            _ => {
                let names: Vec<String> = of.iter().map(|one| one.path.clone()).collect();
                let (name, names) = (trace.name(), nwb::listed(&names));
                warnings.push(format!("there are several series of {name} ({names}): none is taken"));
            }
        }
    }
    Ok(())
}

/// The file defines corrected fluorescence as demixed - ratios x neuropil. A release of the conversion wrote
/// the raw traces under the name Corrected: these are then called raw, and the corrected ones computed.
fn correct(traces: &mut Traces, shares: Vec<f64>, facts: &mut Vec<(String, String)>) -> Result<()> {
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
        traces.rename(Trace::Corrected, Trace::Raw);
        let said =
            "Corrected is not demixed - ratios x neuropil: it is taken as raw, and corrected is computed";
        facts.push(("note".into(), said.into()));
    }
    traces.correct(Trace::Demixed, shares)
}

fn behaviour(store: &dyn Store, warnings: &mut Vec<String>) -> Result<Behaviour> {
    let speed = "processing/behavior/BehavioralTimeSeries/running_speed";
    let running_speed = Series::read(store, speed, 1, series::centimetres_a_second, warnings)?;
    let mut series = |name: &str, columns| {
        Series::read(store, &format!("processing/behavior/{name}"), columns, series::own_unit, warnings)
    };
    Ok(Behaviour {
        running_speed,
        pupil: series("PupilTracking/pupil_size", 1)?,
        pupil_centre: match series("EyeTracking/pupil_location", 2)? {
            Some(location) => Some(location),
            None => series("CompassDirection/pupil_location_spherical", 2)?,
        },
    })
}
