//! A folder that suite2p wrote for a plane: `F.npy` (ROIs, frames), `Fneu.npy`, `iscell.npy` (ROIs, 2) and
//! `ops.npy`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::io::npy::{self, Rows};

/// Whether a folder is of a plane.
pub fn recognise(folder: &Path) -> bool {
    ["F.npy", "iscell.npy"].iter().all(|name| folder.join(name).is_file())
}

/// Refuses a folder that is nearly of a plane: without `iscell.npy`, or one that holds planes.
///
/// # Errors
/// Input, with the folder to give or the file that is missing.
pub fn check_whole(folder: &Path) -> Result<()> {
    let plane = folder.join("plane0");
    if recognise(&plane) {
        let advice = format!("Give {}, and each other plane by itself", plane.display());
        return Err(Error::input(folder, "is a folder of suite2p's planes", "one plane", advice));
    }
    if folder.join("F.npy").is_file() && folder.join("ops.npy").is_file() {
        let advice = "Copy iscell.npy from suite2p's folder too, or give F.npy itself as an array";
        return Err(Error::input(folder, "has no iscell.npy", "a plane as suite2p wrote it", advice));
    }
    Ok(())
}

/// An open plane.
pub(super) struct Suite2p {
    fluorescence: Rows,
    /// The neuropil around each, and the share of it that is taken off.
    neuropil: Option<(Rows, f64)>,
    /// Which ROIs are cells, in their order.
    pub cells: Vec<usize>,
    pub frames: usize,
    /// Frames a second, where `ops.npy` is there and says.
    pub rate: Option<f64>,
    pub files: Vec<PathBuf>,
}

impl Suite2p {
    pub fn open(folder: &Path, share: Option<f64>) -> Result<Self> {
        let (traces, cells) = (folder.join("F.npy"), folder.join("iscell.npy"));
        let fluorescence = Rows::open(&traces, None)?;
        let shape = fluorescence.info().shape.clone();
        let [rois, frames] = shape[..] else {
            return Err(Error::input(&traces, format!("its shape is {shape:?}"), "ROIs x frames", ""));
        };
        let judged = npy::read(&cells, None)?;
        if judged.shape().first() != Some(&rois) || judged.ndim() > 2 {
            let found = format!("it has the shape {:?}", judged.shape());
            let wanted = format!("a row for each of the {rois} ROIs of F.npy");
            return Err(Error::input(&cells, found, wanted, "Give a folder as suite2p wrote it"));
        }
        // The first column says whether it is a cell, the second how likely that is.
        let is_cell = |roi: &usize| judged.index_axis(Axis(0), *roi).iter().next().is_some_and(|v| *v >= 0.5);
        let chosen: Vec<usize> = (0..rois).filter(is_cell).collect();
        if chosen.is_empty() {
            let advice = "Choose cells in suite2p, or give F.npy itself as an array";
            return Err(Error::input(&cells, "no ROI is a cell", "a cell", advice));
        }
        let mut files = vec![traces, cells];
        let neuropil = match share {
            None => None,
            Some(share) => {
                let around = folder.join("Fneu.npy");
                let rows = Rows::open(&around, None)?;
                if rows.info().shape != shape {
                    let found = format!("it has the shape {:?}", rows.info().shape);
                    return Err(Error::input(&around, found, format!("that of F.npy, {shape:?}"), ""));
                }
                files.push(around);
                Some((rows, share))
            }
        };
        let ops = folder.join("ops.npy");
        let rate = if ops.exists() { npy::pickled_number(&ops, "fs")? } else { None };
        if rate.is_some() {
            files.push(ops);
        }
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        Ok(Suite2p { fluorescence, neuropil, cells: chosen, frames, rate, files })
    }

    /// Traces of some of the cells, (cells, frames).
    pub fn read(&mut self, cells: Range<usize>) -> Result<Array2<f32>> {
        let mut values = Array2::zeros((cells.len(), self.frames));
        for (mut to, &roi) in values.rows_mut().into_iter().zip(&self.cells[cells]) {
            let trace = row(&mut self.fluorescence, roi)?;
            to.assign(&trace);
            if let Some((around, share)) = &mut self.neuropil {
                let around = row(around, roi)?;
                to.zip_mut_with(&around, |f, n| *f = (f64::from(*f) - *share * f64::from(*n)) as f32);
            }
        }
        Ok(values)
    }
}

fn row(rows: &mut Rows, roi: usize) -> Result<Array1<f32>> {
    Ok(rows.read(roi..roi + 1)?.iter().copied().collect())
}
