//! The recording that readouts are fitted to: responses, which images train and test, and what makes a row.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use striate::io::responses::Layout;
use striate::io::trials::Covariate;
use striate::tasks::{RecordingRequest, SplitRequest, TrialsRequest};
use striate::{Error, Kind, Result};

use super::source::missing;
use super::values;

/// The fraction of images that test where nothing else is said.
pub const TEST_FRACTION: f64 = 0.2;

/// Options of every command that fits readouts.
#[derive(Debug, Clone, Args)]
pub struct RecordingArgs {
    /// A recorded experiment, in place of --images, --responses and --split: a folder of responses that striate responses,
    /// striate simulate or you wrote.
    #[arg(long, value_name = "PATH")]
    pub experiment: Option<PathBuf>,
    /// Recorded responses: .npy or .npz of (neurons, images) or (neurons, images, repeats), or a .csv table.
    #[arg(long, value_name = "FILE")]
    pub responses: Option<PathBuf>,
    /// Other orders of the axes, for example images,neurons or repeats,images,neurons.
    #[arg(long, value_name = "AXES")]
    pub responses_layout: Option<String>,
    /// A CSV with the columns image (row from 0) and tier (train, validation or test). All trials of an image are in its
    /// tier. With --experiment it takes the place of the recording's own.
    #[arg(long, value_name = "FILE.csv")]
    pub split: Option<PathBuf>,
    /// Without --split: the fraction of images, drawn by --seed, that test [default: 0.2].
    #[arg(long, value_parser = values::fraction, value_name = "F")]
    pub test_fraction: Option<f64>,
    /// Whether readouts are fitted to the mean of an image's repeats, or to every presentation by itself.
    #[arg(long, value_enum, default_value = "averaged", value_name = "NAME")]
    pub trials: TrialsName,
    /// What is known of the animal and becomes a further input of every readout, a constant map each: running-speed,
    /// pupil. Brought to mean 0 and deviation 1 over training trials; with averaged trials the mean over an image's. An
    /// unknown value counts as the mean.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    pub covariates: Vec<Covariate>,
    /// The table that says which image and repeat each trial was, in order of presentation, and tells covariates: columns
    /// image, repeat, running_speed, pupil [default: trials.csv of the experiment].
    #[arg(long, value_name = "FILE.csv")]
    pub trial_table: Option<PathBuf>,
}

/// What makes a row of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are those of the option")]
pub enum TrialsName {
    Averaged,
    Single,
}

/// Files of a recording.
#[derive(Debug, Clone)]
pub struct Located {
    /// Where readouts' responses are, and what makes a row.
    pub recording: RecordingRequest,
    /// The images that were shown, where the recording has them.
    pub images: Option<PathBuf>,
    /// Labels of the neurons, where the recording has them.
    pub labels: Option<PathBuf>,
}

impl RecordingArgs {
    /// The files of the recording. `images` are those of --images.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous; [`Kind::Input`] for a folder without responses.
    pub fn locate(&self, images: Option<&PathBuf>, seed: u64) -> Result<Located> {
        if self.split.is_some() && self.test_fraction.is_some() {
            let advice = "Leave one of them out";
            return Err(Error::new(Kind::Usage, "--test-fraction", "--split is given too", "", advice));
        }
        if let Some(layout) = &self.responses_layout {
            layout.parse::<Layout>()?;
        }
        if let Some(twice) =
            self.covariates.iter().enumerate().find(|(n, c)| self.covariates[..*n].contains(c))
        {
            let found = format!("{} is named twice", twice.1);
            return Err(Error::new(Kind::Usage, "--covariates", found, "each once", ""));
        }
        match &self.experiment {
            None => self.of_files(images, seed),
            Some(folder) => {
                self.refuse_files(images)?;
                self.of_folder(folder, seed)
            }
        }
    }

    /// Refuses options that the experiment takes the place of.
    fn refuse_files(&self, images: Option<&PathBuf>) -> Result<()> {
        let given = [
            ("--images", images.is_some()),
            ("--responses", self.responses.is_some()),
            ("--responses-layout", self.responses_layout.is_some()),
        ];
        let Some((option, _)) = given.iter().find(|(_, given)| *given) else { return Ok(()) };
        let advice = format!("Leave {option} or --experiment out");
        let found = "--experiment is given too, and takes its place";
        Err(Error::new(Kind::Usage, option, found, "", advice))
    }

    fn of_files(&self, images: Option<&PathBuf>, seed: u64) -> Result<Located> {
        let wanted = "a file of recorded responses, or --experiment PATH";
        let responses = self.responses.clone().ok_or_else(|| missing("--responses", wanted))?;
        let recording = self.recording(responses, None, None, seed);
        Ok(Located { recording, images: images.cloned(), labels: None })
    }

    /// The files of a folder as `striate responses` and `striate simulate` write it.
    fn of_folder(&self, folder: &Path, seed: u64) -> Result<Located> {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        let first = |names: &[&str]| names.iter().find_map(|name| there(name));
        let responses = first(&["responses.npy", "responses.npz", "responses.csv"]).ok_or_else(|| {
            let found = match folder.is_dir() {
                true => "holds no responses.npy",
                false => "is no folder",
            };
            let advice = "Check the path; striate info says what it holds";
            Error::input(folder, found, "a folder of responses, or a recording", advice)
        })?;
        let recording = self.recording(responses, there("split.csv"), there("trials.csv"), seed);
        let images = first(&["images.npy", "images.npz", "images"]);
        Ok(Located { recording, images, labels: there("neurons.csv") })
    }

    fn recording(
        &self,
        responses: PathBuf,
        own_split: Option<PathBuf>,
        table: Option<PathBuf>,
        seed: u64,
    ) -> RecordingRequest {
        let drawn = || SplitRequest::Random { test_fraction: self.test_fraction.unwrap_or(TEST_FRACTION) };
        // A fraction that was asked for goes before the split of the recording.
        let own = own_split.filter(|_| self.test_fraction.is_none());
        let split = self.split.clone().or(own).map_or_else(drawn, SplitRequest::File);
        let single = self.trials == TrialsName::Single;
        // What is not needed of a folder is not asked of it.
        let table = self.trial_table.clone().or(table.filter(|_| single || !self.covariates.is_empty()));
        RecordingRequest {
            responses,
            layout: self.responses_layout.clone(),
            split,
            trials: TrialsRequest { single, covariates: self.covariates.clone(), table },
            seed,
        }
    }
}
