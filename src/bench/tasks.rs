//! Whole jobs by the host's clock: features of networks, ridge with cross-validation, an epoch of readouts.

use super::networks::{Timed, wanted};
use super::report::{Measured, Row, Section};
use super::{Bench, Effort, Job, readout, ridge};
use crate::error::Result;
use crate::gpu::Clock;
use ndarray::Array2;

pub(super) fn jobs(bench: &Bench<'_>) -> Vec<Job> {
    let mut jobs = feature_jobs(bench);
    let wants = |name: &str| bench.request.selection.wants(&[name]);
    if wants("ridge") {
        jobs.extend(ridge_jobs(bench.request.effort));
    }
    if wants("readout") {
        jobs.extend(readout_jobs(bench.request.effort));
    }
    jobs
}

fn job(name: &str, case: String, work: impl FnOnce(&Bench<'_>, &str) -> Result<Row> + 'static) -> Job {
    let label = case.clone();
    let work = Box::new(move |bench: &Bench<'_>| Ok(vec![work(bench, &label)?]));
    Job { section: Section::Tasks, name: name.into(), case, work }
}

/// Repeats a whole work by the host's clock.
pub(super) fn whole(
    bench: &Bench<'_>,
    operations: Option<f64>,
    work: impl FnMut() -> Result<()>,
) -> Result<Measured> {
    let ledger = bench.gpu.ledger();
    ledger.restart_peak();
    let seconds = bench.budget.by_host(work)?;
    let memory_bytes = Some(ledger.peak());
    Ok(Measured { memory_bytes, ..Measured::new(seconds, Clock::Host, operations, None) })
}

fn feature_jobs(bench: &Bench<'_>) -> Vec<Job> {
    let batches: &[usize] = match bench.request.effort {
        Effort::Quick => &[1],
        Effort::Usual if bench.gpu.is_cpu() => &[1, 16],
        _ => &[1, 16, 64],
    };
    let batches = bench.request.batch.map_or(batches.to_vec(), |batch| vec![batch]);
    let pairs = wanted(bench)
        .into_iter()
        .flat_map(|timed| batches.clone().into_iter().map(move |b| (timed.clone(), b)));
    let job = |(timed, batch): (Timed, usize)| {
        let plural = if batch == 1 { "" } else { "s" };
        let case = format!("{} to {}, {batch} image{plural}", timed.name(), timed.layer);
        job("features", case, move |bench, case| feature_row(bench, &timed, batch, case))
    };
    pairs.map(job).collect()
}

/// From images in memory to features in memory.
fn feature_row(bench: &Bench<'_>, timed: &Timed, batch: usize, case: &str) -> Result<Row> {
    let operations = batch as f64 * timed.operations()?;
    if let Some(why) = bench.too_long(operations) {
        return Ok(Row::skipped(Section::Tasks, "features", case, why));
    }
    let gpu = bench.gpu;
    let mut problem = timed.features(bench, batch)?;
    let slab = problem.slab(gpu, batch)?;
    let mut got = Array2::zeros((0, 0));
    let measured = whole(bench, Some(operations), || {
        problem.solve(gpu, &slab)?;
        got = slab.matrix.download(gpu)?;
        Ok(())
    })?;
    let bad = got.iter().filter(|v| !v.is_finite()).count();
    let wrong = (bad > 0).then(|| format!("{bad} of {} features are no numbers", got.len()));
    Ok(Row { wrong, ..Row::new(Section::Tasks, "features", case, measured) })
}

fn ridge_jobs(effort: Effort) -> Vec<Job> {
    let mut sizes = Vec::new();
    for (train, held_out) in [(118, 50), (1000, 250)] {
        for features in [9216, 36_864] {
            sizes.extend([212, 5000].map(|targets| [train, held_out, features, targets]));
        }
    }
    let count = if effort == Effort::Quick { 1 } else { sizes.len() };
    let job = |[train, held_out, features, targets]: [usize; 4]| {
        let case = format!("{train} images, {features} features, {targets} neurons");
        job("ridge", case, move |bench, case| ridge_row(bench, [train, held_out, features, targets], case))
    };
    sizes.into_iter().take(count).map(job).collect()
}

/// Neurons of ridge, the first ones, whose R2 is compared with f64: so many cost less than the f64 products
/// of all images, which have to be made once for any of them.
const COMPARED: usize = 32;

/// Operations of the kernel matrix, of predictions for every penalty and fold, and of the final ones.
fn ridge_operations([train, held_out, features, targets]: [usize; 4]) -> f64 {
    let (rows, train, targets) = ((train + held_out) as f64, train as f64, targets as f64);
    let searched = 2.0 * ridge::PENALTIES as f64 * 0.8 * train * train * targets;
    rows * rows * features as f64 + searched + 2.0 * rows * train * targets
}

fn ridge_row(bench: &Bench<'_>, size: [usize; 4], case: &str) -> Result<Row> {
    if let Some(why) = bench.too_long(ridge_operations(size)) {
        return Ok(Row::skipped(Section::Tasks, "ridge", case, why));
    }
    let [train, held_out, features, targets] = size;
    let problem = ridge::Problem::simulated(train, held_out, features, targets, bench.request.seed);
    let mut found = ridge::Found { r2: Vec::new(), mean_log_penalty: f64::NAN };
    let measured = whole(bench, None, || {
        found = problem.solve(bench.gpu)?;
        Ok(())
    })?;
    let error = found.distance(&problem.solve_in_f64(targets.min(COMPARED))?);
    let note = Some(format!("mean R2 {:.6}", found.mean_r2()));
    let row = Row::new(Section::Tasks, "ridge", case, Measured { error: Some(error), note, ..measured });
    // No number is within no bound.
    let wrong = (error.is_nan() || error > 1e-4).then(|| format!("mean R2 is off by {error:.1e}"));
    Ok(Row { wrong, ..row })
}

fn readout_jobs(effort: Effort) -> Vec<Job> {
    let sizes: &[[usize; 2]] = match effort {
        Effort::Quick => &[[64, 64]],
        _ => &[[256, 212], [256, 2000]],
    };
    let job = |[images, neurons]: [usize; 2]| {
        let case = format!("epoch of {images} images, {neurons} neurons");
        job("readout", case, move |bench, case| readout_row(bench, [images, neurons], case))
    };
    sizes.iter().copied().map(job).collect()
}

fn readout_row(bench: &Bench<'_>, [images, neurons]: [usize; 2], case: &str) -> Result<Row> {
    let operations = readout::operations(images, neurons);
    if let Some(why) = bench.too_long(operations) {
        return Ok(Row::skipped(Section::Tasks, "readout", case, why));
    }
    let problem = readout::Problem::simulated(bench.gpu, images, neurons, bench.request.seed)?;
    // One more than are timed, so that none of them is the last, which also takes the readouts back.
    let epochs = bench.budget.most + 2;
    let mut trainer = problem.trainer(bench.gpu, epochs, &[readout::settings(1e-4, 1e-3)])?;
    let measured = whole(bench, Some(operations), || trainer.epoch().map(drop))?;
    Ok(Row::new(Section::Tasks, "readout", case, measured))
}
