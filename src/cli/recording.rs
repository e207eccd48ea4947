//! The recording that readouts are fitted to: responses, and which images train and test.

use std::path::PathBuf;

use clap::Args;
use striate::io::responses::Layout;
use striate::tasks::SplitRequest;
use striate::{Error, Kind, Result};

use super::source::missing;
use super::values;

/// The fraction of images that test where nothing else is said.
pub const TEST_FRACTION: f64 = 0.2;

/// Options of every command that fits readouts.
#[derive(Debug, Args)]
pub struct RecordingArgs {
    /// Recorded responses: .npy or .npz of (neurons, images) or (neurons, images, repeats), or a .csv table.
    #[arg(long, value_name = "FILE")]
    pub responses: Option<PathBuf>,
    /// Other orders of the axes, for example images,neurons or repeats,images,neurons.
    #[arg(long, value_name = "AXES")]
    pub responses_layout: Option<String>,
    /// A CSV with the columns image (row from 0) and tier (train, validation or test).
    #[arg(long, value_name = "FILE.csv")]
    pub split: Option<PathBuf>,
    /// Without --split: the fraction of images, drawn by --seed, that test [default: 0.2].
    #[arg(long, value_parser = values::fraction, value_name = "F")]
    pub test_fraction: Option<f64>,
}

impl RecordingArgs {
    /// The file of responses, and the split.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn files(&self) -> Result<(PathBuf, SplitRequest)> {
        let responses =
            self.responses.clone().ok_or_else(|| missing("--responses", "a file of recorded responses"))?;
        if self.split.is_some() && self.test_fraction.is_some() {
            let advice = "Leave one of them out";
            return Err(Error::new(Kind::Usage, "--test-fraction", "--split is given too", "", advice));
        }
        if let Some(layout) = &self.responses_layout {
            layout.parse::<Layout>()?;
        }
        let test_fraction = self.test_fraction.unwrap_or(TEST_FRACTION);
        let split = self.split.clone().map_or(SplitRequest::Random { test_fraction }, SplitRequest::File);
        Ok((responses, split))
    }
}
