//! The recording that readouts are fitted to: responses, which images train and test, and what makes a row.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use striate::experiment::ExperimentRequest;
use striate::io::responses::{Headers, Layout};
use striate::io::trials::Covariate;
use striate::tasks::{
    FolderFiles, RecordingRequest, ResponsesRequest, SplitRequest, TrialsRequest, are_there,
    learnt_from_split, responses_folder,
};
use striate::{Error, Kind, Result};

use super::common::{Adapter, Common, INPUT, VALIDATION};
use super::definition::DefinitionArgs;
use super::output::Outcome;
use super::responses;
use super::source::missing;
use super::values;

/// The fraction of images that test where nothing else is said.
pub const TEST_FRACTION: f64 = 0.2;

/// Options of every command that fits readouts.
#[derive(Debug, Args)]
pub struct RecordingArgs {
    /// A recorded experiment, in place of --images and --responses: a folder that striate responses or striate
    /// simulate wrote, or anything that striate responses takes, in which case OUT.responses is written first,
    /// and used again if the recording and options are the same.
    #[arg(long, value_name = "PATH", help_heading = INPUT)]
    pub experiment: Option<PathBuf>,
    /// Recorded responses: an array of (neurons, images) or (neurons, images, repeats) in a .npy, .npz, HDF5
    /// or MATLAB file (FILE:NAME where it holds several), or a .csv, .tsv or .txt table of neurons x images.
    #[arg(long, value_name = "FILE", help_heading = INPUT)]
    pub responses: Option<PathBuf>,
    /// The order of the axes, if it is another: for example images,neurons or repeats,images,neurons; also
    /// of the responses in a folder that --experiment names.
    #[arg(long, value_name = "AXES", help_heading = INPUT)]
    pub responses_layout: Option<String>,
    /// Which headers a table of responses has: its first line (row), its first column, both or none; needed
    /// only where the table itself does not tell. Image names in a header are matched to the files, numbers
    /// to rows.
    #[arg(long, value_parser = values::headers(), value_name = "none|row|column|both", help_heading = INPUT)]
    pub responses_header: Option<Headers>,
    /// A table with the columns image (row from 0, or name of the file) and tier (train, validation or test).
    /// All trials of an image are in its tier. It replaces the split of an experiment.
    #[arg(long, value_name = "FILE.csv", help_heading = VALIDATION)]
    pub split: Option<PathBuf>,
    /// The fraction of images, drawn by --seed, that test, where there is no split [default: 0.2]; if given,
    /// it replaces the split of an experiment.
    #[arg(long, value_parser = values::fraction, value_name = "F", help_heading = VALIDATION)]
    pub test_fraction: Option<f64>,
    /// Whether readouts are fitted to the mean of an image's repeats, or to every presentation by itself.
    #[arg(long, value_enum, default_value = "averaged", value_name = "NAME", help_heading = INPUT)]
    pub trials: TrialsName,
    /// The animal's behaviour as a further input of every readout, each a constant map: running-speed, pupil.
    /// Scaled to mean 0 and deviation 1 over training trials; with averaged trials, the mean over an image's
    /// trials. An unknown value counts as the mean.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME", help_heading = INPUT)]
    pub covariates: Vec<Covariate>,
    /// The table of trials in order of presentation, with the columns image, repeat, running_speed and pupil
    /// [default: trials.csv of the experiment].
    #[arg(long, value_name = "FILE.csv", help_heading = INPUT)]
    pub trial_table: Option<PathBuf>,
    #[command(flatten)]
    pub definition: DefinitionArgs,
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
    /// What has to be made before these files are there.
    pub first: Option<Box<ResponsesRequest>>,
}

impl Located {
    /// Sees to it that the files are there. Of a dry run, which makes nothing, what would have to be made.
    ///
    /// # Errors
    /// As [`striate::tasks::responses()`].
    pub fn make(&self, dry_run: bool, adapter: &Adapter<'_>, common: &Common) -> Result<Option<Outcome>> {
        let Some(request) = &self.first else { return Ok(None) };
        if are_there(request)? {
            common.say(format_args!("responses: {}, as they were made before", request.out.display()));
            return Ok(None);
        }
        if dry_run {
            return responses::first(request, adapter).map(Some);
        }
        responses::make(request, adapter, common).map(|()| None)
    }
}

impl RecordingArgs {
    /// The files of the recording under one definition of a response; `images` are those of --images, and
    /// responses that have to be made first go to `folder`.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn locate(
        &self,
        definition: &DefinitionArgs,
        images: Option<&PathBuf>,
        folder: Option<PathBuf>,
        common: &Common,
    ) -> Result<Located> {
        self.check()?;
        let Some(path) = &self.experiment else {
            if let Some(option) = definition.given().next() {
                let wanted = format!("a recording, of which {option} says what a response is");
                return Err(missing("--experiment", &wanted));
            }
            return self.of_files(images, common.seed);
        };
        self.refuse_files(images)?;
        if let Some(files) = responses_folder(path) {
            self.refuse_split(path)?;
            // A study's file names a recording's definitions, and runs on a folder of responses too.
            let (named, others): (Vec<_>, Vec<_>) = definition
                .given()
                .partition(|option| ["--definition", "--events", "--stimulus", "--series"].contains(option));
            let found = format!("{} holds responses as they are", path.display());
            if let Some(option) = others.first() {
                let advice = "Make other responses of it by striate responses, and name their folder";
                return Err(Error::new(Kind::Usage, option, found, "a recording", advice));
            }
            if let Some(option) = named.first() {
                common.say(format_args!("warning: {found}; {option} is left out"));
            }
            return Ok(self.of_folder(files, None, common.seed));
        }
        let request = ResponsesRequest {
            experiment: ExperimentRequest {
                layout: self.responses_layout.clone(),
                ..definition.experiment(path)
            },
            definition: definition.definition()?,
            blanks: definition.blanks(),
            covariates_regressed: definition.covariates(),
            standardise: definition.standardise_trials,
            split: self.split(),
            test_fraction: TEST_FRACTION,
            seed: common.seed,
            out: folder.ok_or_else(|| missing("--out", "the folder to write"))?,
        };
        let files = request.files();
        let mut located = self.of_folder(files, Some(Box::new(request)), common.seed);
        // What responses learn of training images is of those that readouts are fitted to.
        let split = located.first.as_ref().map(|first| first.out.join("split.csv"));
        located.recording.split = split.map_or(located.recording.split, SplitRequest::File);
        Ok(located)
    }

    /// Which images train and test, where an option says.
    fn split(&self) -> Option<SplitRequest> {
        let drawn = self.test_fraction.map(|test_fraction| SplitRequest::Random { test_fraction });
        self.split.clone().map(SplitRequest::File).or(drawn)
    }

    /// Refuses another split for responses that learnt from the training images of their own.
    fn refuse_split(&self, folder: &Path) -> Result<()> {
        let given = [("--split", self.split.is_some()), ("--test-fraction", self.test_fraction.is_some())];
        let Some((option, _)) = given.iter().find(|(_, given)| *given) else { return Ok(()) };
        let Some(learnt) = learnt_from_split(folder) else { return Ok(()) };
        let found = format!("the responses in {} were made by {learnt}", folder.display());
        let wanted = "the training images of their own split.csv, which they learnt from";
        let advice = format!("Leave {option} out, or name the recording itself");
        Err(Error::new(Kind::Usage, *option, found, wanted, advice))
    }

    fn check(&self) -> Result<()> {
        if self.split.is_some() && self.test_fraction.is_some() {
            let advice = "Leave one of them out";
            return Err(Error::new(Kind::Usage, "--test-fraction", "--split is given too", "", advice));
        }
        if let Some(layout) = &self.responses_layout {
            layout.parse::<Layout>()?;
        }
        let definitions = &self.definition.definition;
        let mut each = definitions.iter().enumerate();
        if let Some((_, twice)) = each.find(|(n, one)| definitions[..*n].contains(one)) {
            let found = format!("{twice} is named twice");
            return Err(Error::new(Kind::Usage, "--definition", found, "each once", ""));
        }
        let mut named = self.covariates.iter().enumerate();
        if let Some((_, twice)) = named.find(|(n, one)| self.covariates[..*n].contains(one)) {
            let found = format!("{twice} is named twice");
            return Err(Error::new(Kind::Usage, "--covariates", found, "each once", ""));
        }
        Ok(())
    }

    /// Refuses options that the experiment takes the place of.
    fn refuse_files(&self, images: Option<&PathBuf>) -> Result<()> {
        let given = [
            ("--images", images.is_some()),
            ("--responses", self.responses.is_some()),
            ("--responses-header", self.responses_header.is_some()),
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
        Ok(Located { recording, images: images.cloned(), labels: None, first: None })
    }

    fn of_folder(&self, files: FolderFiles, first: Option<Box<ResponsesRequest>>, seed: u64) -> Located {
        let recording = self.recording(files.responses, files.split, files.trials, seed);
        Located { recording, images: files.images, labels: files.neurons, first }
    }

    fn recording(
        &self,
        responses: PathBuf,
        own_split: Option<PathBuf>,
        table: Option<PathBuf>,
        seed: u64,
    ) -> RecordingRequest {
        // What was asked for goes before the split of the recording.
        let split = self.split().or(own_split.map(SplitRequest::File));
        let split = split.unwrap_or(SplitRequest::Random { test_fraction: TEST_FRACTION });
        let single = self.trials == TrialsName::Single;
        // What is not needed of a folder is not asked of it.
        let table = self.trial_table.clone().or(table.filter(|_| single || !self.covariates.is_empty()));
        RecordingRequest {
            responses,
            layout: self.responses_layout.clone(),
            headers: self.responses_header,
            split,
            trials: TrialsRequest { single, covariates: self.covariates.clone(), table },
            seed,
        }
    }
}

/// The folder of responses beside a result.
pub fn beside(out: Option<&PathBuf>) -> Option<PathBuf> {
    let mut name = out?.file_name()?.to_os_string();
    name.push(".responses");
    Some(out?.with_file_name(name))
}
