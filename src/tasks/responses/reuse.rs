//! Folders of responses that are there already.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ResponsesRequest, folder};
use crate::error::Result;
use crate::io::commit::RECORD;
use crate::io::file::{self, LONGEST_RECORD};
use crate::tasks::record::{InputRecord, hashes};

/// The files of a folder of responses; those that it lacks are none.
#[derive(Debug, Clone)]
pub struct FolderFiles {
    /// (neurons, images[, repeats]).
    pub responses: PathBuf,
    /// What was shown.
    pub images: Option<PathBuf>,
    /// Which images train and test.
    pub split: Option<PathBuf>,
    /// The presentations.
    pub trials: Option<PathBuf>,
    /// The neurons.
    pub neurons: Option<PathBuf>,
}

/// The files of a folder as `striate responses`, `striate simulate` or a person wrote it; none where it has
/// no responses.
pub fn responses_folder(path: &Path) -> Option<FolderFiles> {
    let there = |name: &str| Some(path.join(name)).filter(|file| file.exists());
    let first = |names: &[&str]| names.iter().find_map(|name| there(name));
    Some(FolderFiles {
        responses: first(&["responses.npy", "responses.npz", "responses.csv"])?,
        images: first(&["images.npy", "images.npz", "images"]),
        split: there("split.csv"),
        trials: there("trials.csv"),
        neurons: there("neurons.csv"),
    })
}

impl ResponsesRequest {
    /// The files that it writes, of those that readouts are fitted to.
    pub fn files(&self) -> FolderFiles {
        let file = |name: &str| Some(self.out.join(name));
        FolderFiles {
            responses: self.out.join("responses.npy"),
            images: file("images.npy"),
            split: file("split.csv"),
            trials: file("trials.csv"),
            neurons: file("neurons.csv"),
        }
    }

    /// All that responses depend on beside the contents of files.
    pub(super) fn asked(&self) -> Value {
        let asked = &self.experiment;
        json!({
            "striate": env!("CARGO_PKG_VERSION"),
            "map": asked.map,
            "stimulus": asked.stimulus,
            "series": asked.series,
            "layout": asked.layout,
            "rescale": asked.rescale,
            "definition": self.definition,
            "blanks": self.blanks,
            "regressed": self.covariates_regressed,
            "standardised": self.standardise,
            "split": self.split,
            "test_fraction": self.test_fraction,
            "seed": self.seed,
        })
    }
}

/// What responses of a folder learnt from the training images of its own split, which then must not be those
/// of another: the option that asked for it.
pub fn learnt_from_split(folder: &Path) -> Option<&'static str> {
    let record = file::read(&folder.join(RECORD), LONGEST_RECORD).ok()?;
    let record: Value =
        serde_json::from_slice(&record).ok().filter(|r: &Value| r["command"] == "responses")?;
    let options = &record["options"];
    let regressed = options["regressed"].as_array().is_some_and(|list| !list.is_empty());
    let learnt = [
        ("--standardise-trials", options["standardised"] == true),
        ("--regress", regressed),
        ("--definition auto", options["automatic"] == true),
    ];
    learnt.into_iter().find(|(_, asked)| *asked).map(|(option, _)| option)
}

/// Whether the folder that a request would write is there: of the same recording, by its hash, and the same
/// options.
///
/// # Errors
/// Input, if the recording cannot be read.
pub fn are_there(request: &ResponsesRequest) -> Result<bool> {
    let record = file::read(&request.out.join(RECORD), LONGEST_RECORD).ok();
    let record = record.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(record) = record.filter(|_| responses_folder(&request.out).is_some()) else { return Ok(false) };
    // Through text, as the one on the disk: numbers compare alike.
    let asked = serde_json::from_str::<Value>(&request.asked().to_string()).ok();
    if record["command"] != "responses" || asked.as_ref() != record["options"].get("request") {
        return Ok(false);
    }
    let Ok(before) = serde_json::from_value::<Vec<InputRecord>>(record["inputs"].clone()) else {
        return Ok(false);
    };
    let now = hashes(&folder::inputs(request))?;
    let same = |(a, b): (&InputRecord, &InputRecord)| a.role == b.role && a.sha256 == b.sha256;
    Ok(before.len() == now.len() && before.iter().zip(&now).all(same))
}
