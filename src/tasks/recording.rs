//! The recording that readouts are fitted to: responses, which images train and test, and what makes a row.

use super::rows::{Rows, TrialsRequest};
use crate::error::Result;
use crate::io::image_names::ImageNames;
use crate::io::responses::{Headers, Layout, Responses};
use crate::io::split::Split;
use serde::Serialize;
use std::path::PathBuf;

/// Which images train and test.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitRequest {
    /// A CSV of images and tiers.
    File(PathBuf),
    /// A random share of the images tests.
    Random {
        /// That share, between 0 and 1.
        test_fraction: f64,
    },
}

/// What readouts are fitted to.
#[derive(Debug, Clone, Serialize)]
pub struct RecordingRequest {
    /// File of responses.
    pub responses: PathBuf,
    /// Its axes, where they are not (neurons, images[, repeats]).
    pub layout: Option<String>,
    /// Which edges of a table of responses are headers, where it is said.
    pub headers: Option<Headers>,
    /// Which images train and test.
    pub split: SplitRequest,
    /// Whether repeats are averaged, and what is known of the animal.
    pub trials: TrialsRequest,
    /// Seed of the split, of the images that choose, of the folds and of the split halves.
    pub seed: u64,
}

/// A recording that has been read.
pub struct Recording {
    /// Responses by image and repeat.
    pub responses: Responses,
    /// Which images train and test. All trials of an image are in its tier.
    pub split: Split,
    /// What readouts are fitted to.
    pub rows: Rows,
}

impl RecordingRequest {
    /// The files that go in, each with its role.
    pub(super) fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let mut files = vec![("responses", self.responses.clone())];
        if let SplitRequest::File(path) = &self.split {
            files.push(("split", path.clone()));
        }
        files.extend(self.trials.table.iter().map(|path| ("trials", path.clone())));
        files
    }

    /// Reads the responses to some images, which of these train and test, and the trials; responses less their
    /// means, where `centred`.
    ///
    /// # Errors
    /// Usage or Input, if files are damaged or do not fit each other, or hold nothing of a covariate that is
    /// asked for.
    pub(super) fn read(&self, images: &ImageNames, centred: bool) -> Result<Recording> {
        let layout = self.layout.as_ref().map(|text| text.parse::<Layout>()).transpose()?;
        let responses = match centred {
            true => Responses::read_centred(&self.responses, layout, self.headers, Some(images))?,
            false => Responses::read(&self.responses, layout, self.headers, Some(images))?,
        };
        let split = match &self.split {
            SplitRequest::File(path) => Split::read(path, images)?,
            SplitRequest::Random { test_fraction } => {
                Split::random(images.count(), *test_fraction, self.seed)?
            }
        };
        let rows = Rows::new(&responses, &self.trials, images, &split.train)?;
        Ok(Recording { responses, split, rows })
    }
}
