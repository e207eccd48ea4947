//! Ridge by a factorisation of each penalty's matrix on the device in f32: where images are many, an
//! eigendecomposition on the host would take longer than everything else.

use super::Plan;
use super::device::LEAST_NEURONS;
use super::room;
use super::spectrum::centred_kernel;
use super::targets::{Refitted, Targets};
use crate::error::Result;
use crate::gpu::{Gpu, Matrix, Recording};
use crate::kernels::ridge_losses::{self, RidgeLosses};
use crate::routines::{Systems, multiply_rows};
use faer::{Mat, MatRef};
use ndarray::{Array2, s};
use std::ops::Range;

/// Largest error of a solution, as [`Systems::error`] estimates it.
const ERROR: f64 = 1e-4;

/// A fold's held-out mean squared errors, (penalties, neurons), of ascending penalties; `None` where f32
/// cannot solve its systems (a matrix that is not positive definite, an error that is too large), or memory
/// does not hold them.
pub(super) fn fold_losses(
    gpu: &Gpu,
    kernel: &Array2<f64>,
    targets: &Targets<'_>,
    held_out: &[usize],
    penalties: &[f64],
) -> Result<Option<Array2<f64>>> {
    let (own, across) = definite(kernel, targets.train, held_out, targets.centred)?;
    // The rest is for chunks of neurons, and for the estimate of the error.
    let at_once = Systems::at_once(gpu, own.nrows(), across.nrows(), gpu.ledger().free() / 2);
    if at_once == 0 {
        return Ok(None);
    }
    let mut systems = Systems::new(gpu, own.as_ref(), across.nrows())?;
    systems.set_right_sides(gpu, across.as_ref())?;
    let ones = Array2::from_elem((1, systems.columns()), 1.0);
    let ones = Matrix::upload(gpu, "ones", ones.view())?;
    let mut all = Array2::zeros((penalties.len(), targets.responses.nrows()));
    for (group, some) in penalties.chunks(at_once).enumerate() {
        let rounded: Vec<f32> = some.iter().map(|p| *p as f32).collect();
        let Some(solved) = systems.solve(gpu, &rounded)? else { return Ok(None) };
        // The smallest penalty has the worst condition.
        if group == 0 {
            let error = systems.error(gpu, (own.as_ref(), across.as_ref()), (&solved, 0), rounded[0])?;
            if error > ERROR {
                return Ok(None);
            }
            if penalties.len() > at_once {
                systems.set_right_sides(gpu, across.as_ref())?;
            }
        }
        let lefts: Vec<Matrix> = (0..some.len()).map(|number| solved.rows(number)).collect();
        let mut first = 0;
        while first < targets.responses.nrows() {
            let neurons = chunk(gpu, targets, &lefts[0], first);
            first = neurons.end;
            let sums = scores(gpu, targets, held_out, (&lefts, &ones), neurons.clone())?;
            for (l, row) in sums.into_iter().enumerate() {
                for (n, sum) in neurons.clone().zip(row) {
                    let unit = targets.scales[n].powi(2) / held_out.len() as f64;
                    all[[group * at_once + l, n]] = f64::from(sum) * unit;
                }
            }
        }
    }
    Ok(Some(all))
}

/// As [`centred_kernel`], but that the matrix is not singular for having been centred: the mean eigenvalue is
/// added to that of constants, which is 0. No solution is another for it, as all right sides add up to 0.
fn definite(
    kernel: &Array2<f64>,
    train: &[usize],
    other: &[usize],
    centred: bool,
) -> Result<(Mat<f64>, Mat<f64>)> {
    room((train.len() + other.len()) * train.len())?;
    let (mut own, across) = centred_kernel(kernel, train, other, centred);
    if centred {
        let n = own.nrows();
        let mean = (0..n).map(|i| own[(i, i)]).sum::<f64>() / n as f64;
        for column in 0..n {
            own.col_as_slice_mut(column).iter_mut().for_each(|v| *v += mean / n as f64);
        }
    }
    Ok((own, across))
}

/// Neurons of one launch.
fn chunk(gpu: &Gpu, targets: &Targets<'_>, left: &Matrix, first: usize) -> Range<usize> {
    let affordable = gpu.affordable(&ridge_losses::KERNEL) / (2.0 * (left.rows * left.columns) as f64);
    targets.chunk(first, left.columns.max(left.rows), (affordable as usize).max(LEAST_NEURONS))
}

/// Held-out squared errors of some neurons, summed over images, for each penalty.
fn scores(
    gpu: &Gpu,
    targets: &Targets<'_>,
    held_out: &[usize],
    (lefts, ones): (&[Matrix], &Matrix),
    neurons: Range<usize>,
) -> Result<Vec<Vec<f32>>> {
    let (count, columns) = (neurons.len(), ones.columns);
    let mut responses = Array2::zeros((count, columns));
    let own = targets.take(neurons.clone(), targets.train);
    responses.slice_mut(s![.., ..own.ncols()]).assign(&own);
    let right = Matrix::upload(gpu, "training responses", responses.view())?;
    let held = Matrix::upload(gpu, "held-out responses", targets.take(neurons, held_out).view())?;
    // Rows start where a buffer may be bound.
    let pitch = count.next_multiple_of(64);
    let sums = gpu.allocate("held-out losses", lefts.len() * pitch)?;
    let mut recording = Recording::new();
    for (l, left) in lefts.iter().enumerate() {
        let losses = Matrix { buffer: sums.slice(l * pitch, pitch), rows: 1, columns: count };
        let launch = RidgeLosses { left, shrinkage: ones, right: &right, targets: &held, losses: &losses };
        recording.add(launch.launch()?);
    }
    gpu.run(&recording)?;
    let sums: Vec<f32> = gpu.download(&sums)?;
    Ok(sums.chunks(pitch).map(|row| row[..count].to_vec()).collect())
}

/// Predictions of all images, and the images' weights, with each neuron's own penalty; `None` as
/// [`fold_losses`].
pub(super) fn refit(
    gpu: &Gpu,
    kernel: &Array2<f64>,
    (plan, targets): (&Plan, &Targets<'_>),
    chosen: &[usize],
    penalties: &[f64],
) -> Result<Option<Refitted>> {
    let every: Vec<usize> = (0..kernel.nrows()).collect();
    let (own, across) = definite(kernel, &plan.fit, &every, plan.intercept)?;
    let Some(weights) = weights(gpu, own.as_ref(), targets, (chosen, penalties))? else { return Ok(None) };
    let mut found = Refitted::zeros(targets);
    let mut first = 0;
    // Neurons of all penalties together, so that kernel rows are uploaded as seldom as memory allows.
    while first < chosen.len() {
        let neurons = targets.chunk(first, every.len(), usize::MAX);
        first = neurons.end;
        let some = Matrix::upload(gpu, "image weights", weights.slice(s![neurons.clone(), ..]))?;
        let predicted = multiply_rows(gpu, "predictions", &some, across.as_ref())?.download(gpu)?;
        for (row, n) in neurons.enumerate() {
            found.put_rows(targets, n, [predicted.row(row), weights.row(n)]);
        }
    }
    Ok(Some(found))
}

/// Weights of the fitted images with each neuron's own penalty, (neurons, fitted images); `None` as
/// [`fold_losses`].
fn weights(
    gpu: &Gpu,
    own: MatRef<'_, f64>,
    targets: &Targets<'_>,
    (chosen, penalties): (&[usize], &[f64]),
) -> Result<Option<Array2<f32>>> {
    let images = own.nrows();
    let takers = |number| (0..chosen.len()).filter(|n| chosen[*n] == number).collect();
    let groups: Vec<Vec<usize>> = (0..penalties.len()).map(takers).collect();
    let largest = groups.iter().map(Vec::len).max().unwrap_or(0);
    let most = (targets.chunk_bytes / 8 / images).max(LEAST_NEURONS).min(largest);
    if Systems::at_once(gpu, images, most, gpu.ledger().free() / 2) == 0 {
        return Ok(None);
    }
    let mut systems = Systems::new(gpu, own, most)?;
    let mut found = Array2::<f32>::zeros((chosen.len(), images));
    let mut is_known = false;
    for (takers, penalty) in groups.iter().zip(penalties) {
        for members in takers.chunks(most) {
            let right = targets.columns(members.iter().copied(), targets.train);
            systems.set_right_sides(gpu, right.transpose())?;
            let rounded = *penalty as f32;
            let Some(solved) = systems.solve(gpu, &[rounded])? else { return Ok(None) };
            // The smallest penalty that was taken has the worst condition of those that were; an estimate is
            // another factorisation, so that the others, which are better off, have none.
            if !is_known {
                let error = systems.error(gpu, (own, right.transpose()), (&solved, 0), rounded)?;
                if error > ERROR {
                    return Ok(None);
                }
                is_known = true;
            }
            let rows = solved.rows(0).download(gpu)?;
            for (row, n) in rows.rows().into_iter().zip(members) {
                found.row_mut(*n).assign(&row.slice(s![..images]));
            }
        }
    }
    Ok(Some(found))
}
