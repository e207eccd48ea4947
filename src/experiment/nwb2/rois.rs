//! Series of regions of interest: which there are, which one a recording is read from, and how its columns
//! belong to the neurons.

use super::cells::{self, Cells};
use super::file::{File, absolute, last};
use crate::error::{Error, Kind, Result};
use crate::experiment::clock::Clock;
use crate::experiment::series::{Scale, clock, clocks_agree, refuse_channel_conversion};
use crate::experiment::traces::{Trace, TraceLayout, Traces};
use crate::experiment::{nwb, place};

/// Where Visual Coding's conversion has its dF/F: taken where a file has other series of it as well.
const USUAL: &str = "/processing/ophys/DfOverF/DfOverF";

/// A series of fluorescence, or of what was made of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RoiSeries {
    pub path: String,
    pub trace: Trace,
}

/// All series of regions under `processing`: groups of that type, and where files do not say their types,
/// whatever has data inside DfOverF or Fluorescence.
pub(super) fn all(file: &File<'_>) -> Result<Vec<RoiSeries>> {
    let mut found = Vec::new();
    for path in file.groups("processing") {
        let Some((container, name)) = path.rsplit_once('/') else { continue };
        let (own, around) = (file.kind(path)?, file.kind(container)?);
        let inside = |kind: &str| around == kind || around.is_empty() && last(container).starts_with(kind);
        let (dff, fluorescence) = (inside("DfOverF"), inside("Fluorescence"));
        if own != "RoiResponseSeries" && !(own.is_empty() && (dff || fluorescence)) {
            continue;
        }
        if !file.store.has_array(&format!("{path}/data"))? {
            continue;
        }
        let plain = name.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| plain.contains(word));
        let says = cells::says_dff(name) || cells::says_dff(&cells::unit(file, path)?);
        let trace = match () {
            () if any(&["event", "deconvolved", "spike"]) => Trace::Events,
            () if any(&["neuropil"]) => Trace::Neuropil,
            () if dff || says => Trace::Dff,
            () if any(&["demixed"]) => Trace::Demixed,
            () if any(&["corrected"]) => Trace::Corrected,
            () => Trace::Raw,
        };
        found.push(RoiSeries { path: path.to_string(), trace });
    }
    Ok(found)
}

/// The series that a recording is read from: the one that is named, else the only one of dF/F, else (there
/// is none of dF/F) the only one of fluorescence.
pub(super) fn chosen(file: &File<'_>, all: &[RoiSeries], named: Option<&str>) -> Result<RoiSeries> {
    let listed = |of: &[&RoiSeries]| nwb::listed(&of.iter().map(|one| one.path.clone()).collect::<Vec<_>>());
    let several = |of: &[&RoiSeries], what: &str| {
        let found = format!("it has {} series of {what}: {}", of.len(), listed(of));
        let advice = "Choose one with --series";
        Error::input(file.store.path(), found, "one, or the name of one", advice)
    };
    if let Some(name) = named {
        let end = absolute(name);
        let fits: Vec<&RoiSeries> = all.iter().filter(|one| one.path.ends_with(&end)).collect();
        return match fits[..] {
            [one] => Ok(one.clone()),
            [] => {
                let found = format!(
                    "it has no series {}, but {}",
                    name.escape_debug(),
                    listed(&all.iter().collect::<Vec<_>>())
                );
                Err(Error::input(file.store.path(), found, "one of its series", "Name one of these"))
            }
            _ => Err(several(&fits, "that name")),
        };
    }
    for (trace, what) in
        [(Trace::Dff, "dF/F"), (Trace::Corrected, "fluorescence"), (Trace::Raw, "fluorescence")]
    {
        let of: Vec<&RoiSeries> = all.iter().filter(|one| one.trace == trace).collect();
        match of[..] {
            [] => {}
            [one] => return Ok(one.clone()),
            _ => match of.iter().find(|one| one.path == USUAL) {
                Some(usual) => return Ok((*usual).clone()),
                None => return Err(several(&of, what)),
            },
        }
    }
    Err(nwb::lacks(
        file.store,
        "series of dF/F or fluorescence",
        "dF/F (frames, neurons), as in processing/ophys/DfOverF",
    ))
}

/// The order of a series' axes.
struct Axes {
    frames: usize,
    columns: usize,
    time_major: bool,
}

/// Finds the axes of a series with `times` times, if that is known, and `columns` columns. Time comes first,
/// as in the schema; last only where the lengths leave no doubt.
fn axes(file: &File<'_>, series: &str, columns: usize, times: Option<usize>) -> Result<Axes> {
    let data = format!("{series}/data");
    let shape = file.store.array(&data)?.shape;
    let timed = |frames: usize| times.is_none_or(|times| clocks_agree(times, frames));
    match shape[..] {
        [frames] if columns == 1 => Ok(Axes { frames, columns: 1, time_major: true }),
        [frames, n] if n == columns && timed(frames) => Ok(Axes { frames, columns, time_major: true }),
        [n, frames] if n == columns && timed(frames) => Ok(Axes { frames, columns, time_major: false }),
        // Its clock is refused with its own sentence.
        [frames, n] if n == columns => Ok(Axes { frames, columns, time_major: true }),
        _ => {
            let times = times.map_or("frames".to_string(), |times| format!("{times} frames"));
            let wanted = format!("({times}, {columns} regions of its table)");
            let found = format!("it has the shape {shape:?}");
            Err(Error::new(Kind::Input, place(file.store, &data), found, wanted, "Check the recording"))
        }
    }
}

fn count_of_times(file: &File<'_>, series: &str) -> Result<Option<usize>> {
    let name = format!("{series}/timestamps");
    Ok(if file.store.has_array(&name)? { file.store.array(&name)?.shape.first().copied() } else { None })
}

/// The scale of a series: its own, and dF/F in percent as a ratio.
fn scale(file: &File<'_>, series: &RoiSeries, warnings: &mut Vec<String>) -> Result<Scale> {
    refuse_channel_conversion(file.store, &series.path)?;
    let own = Scale::read(file.store, &format!("{}/data", series.path), warnings)?;
    let dff = matches!(series.trace, Trace::Dff | Trace::Events);
    Ok(if dff { own.in_units(cells::ratio(&cells::unit(file, &series.path)?)) } else { own })
}

/// A recording's own series, opened: its traces so far, the table of its regions, and their rows.
pub(super) struct Opened {
    pub traces: Traces,
    pub cells: Cells,
    pub rows: Vec<usize>,
    pub clock: Clock,
}

/// Opens the series that a recording is read from.
pub(super) fn open(file: &File<'_>, series: &RoiSeries, warnings: &mut Vec<String>) -> Result<Opened> {
    let cells = Cells::of(file, &series.path)?;
    let rows = cells::rows(file, &series.path, &cells)?;
    let rows = rows.unwrap_or_else(|| (0..cells.rows()).collect());
    let axes = axes(file, &series.path, rows.len(), count_of_times(file, &series.path)?)?;
    let clock = Clock::new(clock(file.store, &series.path, axes.frames, warnings)?);
    let mut traces = Traces::on(rows.len(), clock.clone());
    let scale = scale(file, series, warnings)?;
    let layout = TraceLayout { time_major: axes.time_major, columns: None, scale };
    traces.add_laid_out(series.trace, file.shared, &format!("{}/data", series.path), layout)?;
    Ok(Opened { traces, cells, rows, clock })
}

/// Adds another series of the same neurons and frames. Where it is of others, it is left out, and a warning
/// says why.
pub(super) fn add(
    file: &File<'_>,
    series: &RoiSeries,
    opened: &mut Opened,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let cells = Cells::of(file, &series.path)?;
    if cells.table != opened.cells.table {
        return Ok(());
    }
    let own = cells::rows(file, &series.path, &cells)?;
    let own = own.unwrap_or_else(|| (0..cells.rows()).collect());
    let place = place(file.store, &series.path);
    let column = |row: &usize| own.iter().position(|own| own == row);
    let Some(columns) = opened.rows.iter().map(column).collect::<Option<Vec<usize>>>() else {
        warnings.push(format!("{place} is of fewer regions than the recording: it is left out"));
        return Ok(());
    };
    let axes = axes(file, &series.path, own.len(), count_of_times(file, &series.path)?)?;
    let times = clock(file.store, &series.path, axes.frames, &mut Vec::new())?;
    let frames = opened.traces.frames;
    let half = 0.5 / opened.clock.rate();
    let apart = |(own, other): (&f64, &f64)| (own - other).abs() > half;
    if axes.frames < frames || times.iter().zip(opened.clock.times()).any(apart) {
        warnings.push(format!("{place} has other frames than the recording: it is left out"));
        return Ok(());
    }
    let in_order =
        columns.len() == axes.columns && columns.iter().enumerate().all(|(n, column)| n == *column);
    let columns = Some(columns).filter(|_| !in_order);
    let layout = TraceLayout { time_major: axes.time_major, columns, scale: scale(file, series, warnings)? };
    opened.traces.add_laid_out(series.trace, file.shared, &format!("{}/data", series.path), layout)
}
