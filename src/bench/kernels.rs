//! Every kernel at the cases of its tests.

use super::report::{Measured, Row, Section};
use super::{Bench, Effort, Job, Request};
use crate::error::Result;
use crate::kernels::ALL;
use crate::kernels::case::Case;
use std::time::Instant;

/// A job for each case that is asked for: the timed ones, or all.
pub(super) fn jobs(request: &Request) -> Vec<Job> {
    let wanted = ALL.iter().filter(|entry| request.selection.wants(&[entry.kernel.name()]));
    let all = request.effort == Effort::All;
    let cases = wanted.flat_map(|entry| (entry.cases)().into_iter().map(|case| (entry.kernel.name(), case)));
    cases
        .filter(|(_, case)| case.timed || all)
        .map(|(name, case)| Job {
            section: Section::Kernels,
            name: name.into(),
            case: case.label.clone(),
            work: Box::new(move |bench| Ok(vec![row(bench, name, &case)?])),
        })
        .collect()
}

fn row(bench: &Bench<'_>, name: &str, case: &Case) -> Result<Row> {
    let gpu = bench.gpu;
    let trial = (case.build)(gpu)?;
    let start = Instant::now();
    gpu.run(&trial.recording)?;
    let first = start.elapsed().as_secs_f64();
    // Some kernels change what they read: only the first run has the oracle's answer.
    let compared = trial.compared(gpu)?;
    let run = || Ok(gpu.timed(&trial.recording)?.iter().sum());
    bench.warm_up(run)?;
    let seconds = bench.budget.repeat(first, run)?;
    let recording = &trial.recording;
    let (operations, bytes) = (Some(recording.operations()), Some(recording.bytes()));
    let mut tiles = Vec::new();
    for launch in recording.launches() {
        let tile = gpu.tile_name(launch)?.map(|tile| format!("tile {tile}"));
        tiles.extend(tile.filter(|tile| !tiles.contains(tile)));
    }
    let measured = Measured {
        note: (!tiles.is_empty()).then(|| tiles.join(", ")),
        error: compared.as_ref().ok().copied(),
        ..Measured::new(seconds, bench.report.clock, operations, bytes)
    };
    let row = Row::new(Section::Kernels, name, &case.label, measured);
    Ok(Row { wrong: compared.err(), ..row })
}
