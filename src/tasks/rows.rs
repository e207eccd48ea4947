//! What a row of a fit is: an image, with the mean of its repeats, or one presentation of an image.

use crate::error::{Error, Kind, Result};
use crate::features::{Source, Trials};
use crate::io::image_names::ImageNames;
use crate::io::responses::Responses;
use crate::io::trials::{self, Covariate, TrialRow};
use ndarray::{Array2, Array3, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is asked of trials.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrialsRequest {
    /// Whether each presentation of an image is a row of its own; else the repeats are averaged.
    pub single: bool,
    /// What is known of the animal and becomes a further input of the readout.
    pub covariates: Vec<Covariate>,
    /// The `trials.csv` that tells their order and covariates.
    pub table: Option<PathBuf>,
}

/// A covariate as a readout has it: brought to mean 0 and deviation 1 over the rows that train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaled {
    /// Which.
    pub covariate: Covariate,
    /// What was taken off.
    pub mean: f64,
    /// What it was divided by.
    pub deviation: f64,
}

impl Scaled {
    /// The value as a readout has it, of a trial's covariates in the order of [`Covariate::ALL`]; 0 where it
    /// is unknown.
    pub fn of(&self, covariates: [f32; 2]) -> f32 {
        let value = f64::from(covariates[self.covariate as usize]);
        if value.is_nan() { 0.0 } else { ((value - self.mean) / self.deviation) as f32 }
    }
}

/// What a run keeps of its trials, for later commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialsRecord {
    /// Whether each presentation of an image was a row of its own.
    pub single: bool,
    /// Further inputs of the readout.
    pub covariates: Vec<Scaled>,
    /// The table that told their order and covariates.
    #[serde(default)]
    pub table: Option<PathBuf>,
}

/// The rows of a fit.
pub struct Rows {
    /// The image of each row.
    images: Vec<usize>,
    /// The repeat that each row is, where rows are single trials.
    repeats: Option<Vec<usize>>,
    /// (neurons, rows): means over repeats, or single responses, less the neurons' offsets.
    pub responses: Array2<f32>,
    /// Further inputs.
    pub covariates: Vec<Scaled>,
    /// (rows, covariates), scaled; 0 where a value is unknown.
    values: Array2<f32>,
    /// The table that told their order and covariates.
    table: Option<PathBuf>,
    /// Responses of single neurons that were missing in trials in which others were recorded.
    pub filled: usize,
}

impl Rows {
    /// The rows of a recording, in the order of presentation where they are single trials and it is known,
    /// else repeat by repeat. Covariates are scaled over the rows of the images `train`.
    ///
    /// A trial in which some neurons are missing takes these neurons' means over the other repeats of its
    /// image: it says nothing new of them, and scores leave it out.
    ///
    /// # Errors
    /// Usage, if covariates are asked for without a table; Input, if the table does not have a trial or a
    /// covariate.
    pub fn new(
        responses: &Responses,
        request: &TrialsRequest,
        names: &ImageNames,
        train: &[usize],
    ) -> Result<Rows> {
        let (_, n_images, n_repeats) = responses.repeats.dim();
        let table = match &request.table {
            Some(path) => Some(trials::read(path, names, n_repeats)?),
            None => None,
        };
        let average = responses.average().mapv(|v| v as f32);
        let mut rows = match request.single {
            false => Rows::averaged(average, n_images),
            true => Rows::single(responses, &average, table.as_deref(), request)?,
        };
        if !request.covariates.is_empty() {
            let Some(table) = &table else {
                let advice = "Give the recording by --experiment, or the table by --trial-table";
                let wanted = "a recording that says what the animal did";
                return Err(Error::new(Kind::Usage, "--covariates", "no table of trials", wanted, advice));
            };
            rows.add_covariates(table, request, train)?;
        }
        rows.table = request.table.clone();
        Ok(rows)
    }

    fn averaged(responses: Array2<f32>, images: usize) -> Rows {
        let values = Array2::zeros((images, 0));
        let images = (0..images).collect();
        let (covariates, table) = (Vec::new(), None);
        Rows { images, repeats: None, responses, covariates, values, table, filled: 0 }
    }

    fn single(
        responses: &Responses,
        average: &Array2<f32>,
        table: Option<&[TrialRow]>,
        request: &TrialsRequest,
    ) -> Result<Rows> {
        let (neurons, n_images, n_repeats) = responses.repeats.dim();
        let there = |image: usize, repeat: usize| {
            (0..neurons).any(|neuron| !responses.repeats[[neuron, image, repeat]].is_nan())
        };
        let all = (0..n_repeats).flat_map(|repeat| (0..n_images).map(move |image| (image, repeat)));
        let present: Vec<(usize, usize)> = all.filter(|(image, repeat)| there(*image, *repeat)).collect();
        let order: Vec<(usize, usize)> = match table {
            None => present.clone(),
            Some(table) => {
                let named = table.iter().map(|row| (row.image, row.repeat));
                named.filter(|(image, repeat)| there(*image, *repeat)).collect()
            }
        };
        if order.len() != present.len() {
            let missing = present.iter().find(|pair| !order.contains(pair)).copied().unwrap_or_default();
            let place = request.table.clone().unwrap_or_default();
            let found = format!("has no line for repeat {} of image {}", missing.1, missing.0);
            let advice = "Give the trials that belong to these responses";
            return Err(Error::input(&place, found, "a line for every presentation with a response", advice));
        }
        let mut filled = 0;
        let values = Array2::from_shape_fn((neurons, order.len()), |(neuron, row)| {
            let (image, repeat) = order[row];
            let value = responses.repeats[[neuron, image, repeat]];
            filled += usize::from(value.is_nan());
            if value.is_nan() { average[[neuron, image]] } else { value }
        });
        let (images, repeats): (Vec<usize>, Vec<usize>) = order.into_iter().unzip();
        let covariates = Array2::zeros((images.len(), 0));
        Ok(Rows {
            images,
            repeats: Some(repeats),
            responses: values,
            covariates: Vec::new(),
            values: covariates,
            table: None,
            filled,
        })
    }

    /// Reads the covariates of every row: of a trial its own, of an image the mean over its trials.
    fn add_covariates(&mut self, table: &[TrialRow], request: &TrialsRequest, train: &[usize]) -> Result<()> {
        let training = self.of(train);
        self.values = Array2::zeros((self.count(), request.covariates.len()));
        for (column, which) in request.covariates.iter().enumerate() {
            let raw = self.covariate(table, *which);
            let known: Vec<f64> =
                training.iter().map(|row| raw[*row]).filter(|value| !value.is_nan()).collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            let square = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
            let deviation = square.sqrt();
            if known.is_empty() || deviation == 0.0 {
                let found = match known.is_empty() {
                    true => format!("has no {which} of any training trial"),
                    false => format!("has the same {which} in all training trials"),
                };
                let advice = format!("Leave {which} out of --covariates");
                let place = request.table.clone().unwrap_or_default();
                return Err(Error::input(&place, found, "values that differ", advice));
            }
            for (row, value) in raw.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                self.values[[row, column]] = ((value - mean) / deviation) as f32;
            }
            self.covariates.push(Scaled { covariate: *which, mean, deviation });
        }
        Ok(())
    }

    /// A covariate of every row; NaN where it is not known.
    fn covariate(&self, table: &[TrialRow], which: Covariate) -> Vec<f64> {
        let images = self.images.iter().max().map_or(0, |last| last + 1);
        let slots = self.repeats.iter().flatten().max().map_or(1, |last| last + 1);
        let place = |image: usize, repeat: usize| image * slots + repeat;
        let (mut sums, mut counts) = (vec![0.0; images * slots], vec![0.0; images * slots]);
        for row in table {
            let value = row.covariate(which);
            let repeat = if self.repeats.is_some() { row.repeat } else { 0 };
            if !value.is_nan() && row.image < images && repeat < slots {
                sums[place(row.image, repeat)] += f64::from(value);
                counts[place(row.image, repeat)] += 1.0;
            }
        }
        let one = |row: usize| {
            let at = place(self.images[row], self.repeats.as_ref().map_or(0, |repeats| repeats[row]));
            sums[at] / counts[at]
        };
        (0..self.count()).map(one).collect()
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.images.len()
    }

    /// Whether rows are single trials.
    pub fn single_trials(&self) -> bool {
        self.repeats.is_some()
    }

    /// What a run keeps of them.
    pub fn record(&self) -> TrialsRecord {
        let (covariates, table) = (self.covariates.clone(), self.table.clone());
        TrialsRecord { single: self.single_trials(), covariates, table }
    }

    /// The rows that show some images, ascending.
    pub fn of(&self, images: &[usize]) -> Vec<usize> {
        let mut wanted = vec![false; self.images.iter().max().map_or(0, |last| last + 1)];
        images.iter().for_each(|image| wanted[*image] = true);
        (0..self.count()).filter(|row| wanted[self.images[*row]]).collect()
    }

    /// The images that some rows show, each once, ascending.
    pub fn images_of(&self, rows: &[usize]) -> Vec<usize> {
        let mut images: Vec<usize> = rows.iter().map(|row| self.images[*row]).collect();
        images.sort_unstable();
        images.dedup();
        images
    }

    /// A null: which row's response stands in each row's place when images have changed places as `order`
    /// says, the image that stands in each image's place. Trials take those of the other image one after the
    /// other, and again from the first where it has fewer.
    pub fn shuffled(&self, order: &[usize]) -> Vec<usize> {
        let mut shown = vec![Vec::new(); order.len()];
        self.images.iter().enumerate().for_each(|(row, image)| shown[*image].push(row));
        let mut used = vec![0; order.len()];
        let one = |image: &usize| {
            let others = &shown[order[*image]];
            used[*image] += 1;
            others[(used[*image] - 1) % others.len()]
        };
        self.images.iter().map(one).collect()
    }

    /// The features of the rows, from those of the images.
    ///
    /// # Errors
    /// Internal, if there are other images.
    pub fn source(&self, images: Source) -> Result<Source> {
        if self.repeats.is_none() && self.covariates.is_empty() {
            return Ok(images);
        }
        let trials = Trials::new(images, self.images.clone(), self.values.clone())?;
        Ok(Source::Trials(Box::new(trials)))
    }

    /// What readouts that are trained keep on the device, from the features of images: these, and which of
    /// them each row shows, where no covariate makes rows of an image differ; else the features of the rows.
    ///
    /// # Errors
    /// Internal, if there are other images.
    pub fn stored(&self, images: Source) -> Result<(Source, Option<Vec<u32>>)> {
        if self.repeats.is_none() || !self.covariates.is_empty() {
            return Ok((self.source(images)?, None));
        }
        Ok((images, Some(self.images.iter().map(|image| *image as u32).collect())))
    }

    /// Means of predictions for some rows, (neurons, rows), over the rows of each image that they show, these
    /// ascending: (neurons, images).
    pub fn by_image(&self, predictions: ArrayView2<f32>, rows: &[usize]) -> Array2<f32> {
        if self.repeats.is_none() {
            return predictions.to_owned();
        }
        let images = self.images_of(rows);
        let mut sums = Array2::<f64>::zeros((predictions.nrows(), images.len()));
        let mut counts = vec![0.0; images.len()];
        for (row, values) in rows.iter().zip(predictions.columns()) {
            let place = images.partition_point(|image| *image < self.images[*row]);
            counts[place] += 1.0;
            let mut sum = sums.column_mut(place);
            sum += &values.mapv(f64::from);
        }
        for (mut sum, count) in sums.axis_iter_mut(Axis(1)).zip(counts) {
            sum /= count;
        }
        sums.mapv(|v| v as f32)
    }

    /// Predictions for some rows, (neurons, rows), laid out as responses to the images are that they show,
    /// these ascending: (neurons, images, repeats), NaN where there is none. Only where trials of an image
    /// differ, because covariates are inputs of single trials.
    pub fn by_repeat(
        &self,
        predictions: ArrayView2<f32>,
        rows: &[usize],
        repeats: usize,
    ) -> Option<Array3<f32>> {
        let own = self.repeats.as_ref().filter(|_| !self.covariates.is_empty())?;
        let images = self.images_of(rows);
        let mut all = Array3::from_elem((predictions.nrows(), images.len(), repeats), f32::NAN);
        for (row, values) in rows.iter().zip(predictions.columns()) {
            let place = images.partition_point(|image| *image < self.images[*row]);
            all.index_axis_mut(Axis(1), place).column_mut(own[*row]).assign(&values);
        }
        Some(all)
    }
}
