//! A run folder, as far as a report reads it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Ix2};
use serde::Deserialize;
use serde_json::Value;

use super::stimuli::{Obstacle, Stimuli};
use super::table::{AGAIN, Table};
use crate::error::{Error, Result};
use crate::io::commit::RECORD;
use crate::io::file::LONGEST_RECORD;
use crate::io::{self, npy};

/// Which command wrote a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Command {
    Fit,
    Sweep,
    Profile,
}

/// A file that went into a run.
#[derive(Debug, Deserialize)]
pub(super) struct InputFile {
    pub role: String,
    pub path: PathBuf,
    pub sha256: String,
}

/// `record.json` of a run folder.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub striate: String,
    pub command: Command,
    pub input: Value,
    pub options: Value,
    pub inputs: Vec<InputFile>,
    pub summary: Value,
    pub adapter: Value,
    pub seconds: BTreeMap<String, f64>,
}

/// A run folder.
pub(super) struct Run {
    pub folder: PathBuf,
    /// Its name, for titles.
    pub name: String,
    pub record: Record,
    /// The best configuration of a sweep, a folder of its own.
    best: Option<Box<Run>>,
    /// Its images, looked for once.
    stimuli: OnceCell<std::result::Result<Stimuli, Obstacle>>,
}

const WANTED: &str = "a run folder of striate fit, sweep or profile";

impl Run {
    /// Reads the record of a folder.
    ///
    /// # Errors
    /// Input, where it is no run folder, or its record is damaged.
    pub(super) fn open(folder: &Path) -> Result<Run> {
        let real = folder.canonicalize().map_err(|why| Error::unreadable(folder, &why))?;
        if !real.is_dir() {
            return Err(Error::input(folder, "is a file", WANTED, "Name the folder that --out named"));
        }
        let file = folder.join(RECORD);
        if !file.is_file() {
            let found = format!("holds no {RECORD}");
            return Err(Error::input(folder, found, WANTED, "Name the folder that --out named"));
        }
        let record = read_record(&file)?;
        let best = folder.join("best");
        let best = match record.command {
            Command::Sweep if best.exists() => Some(Box::new(Run::open(&best)?)),
            _ => None,
        };
        let name = real.file_name().map_or("run".into(), |name| name.to_string_lossy().into_owned());
        Ok(Run { folder: folder.into(), name, record, best, stimuli: OnceCell::new() })
    }

    /// The fit in it: itself, or the best configuration of a sweep.
    pub(super) fn fitted(&self) -> Option<&Run> {
        match self.record.command {
            Command::Fit => Some(self),
            Command::Sweep => self.best.as_deref(),
            Command::Profile => None,
        }
    }

    /// Whether the folder around it is that of a study.
    pub(super) fn in_study(&self) -> bool {
        let around = self.folder.canonicalize().ok().and_then(|folder| Some(folder.parent()?.join(RECORD)));
        let record = around.filter(|file| file.is_file()).and_then(|file| json(&file).ok());
        record.is_some_and(|record| record["command"] == "study")
    }

    /// The images that it saw, of which there are so many; or why they cannot be shown.
    pub(super) fn stimuli(&self, images: usize) -> std::result::Result<&Stimuli, Obstacle> {
        self.stimuli.get_or_init(|| Stimuli::open(self, images)).as_ref().map_err(Clone::clone)
    }

    /// The table of this name, if it is there and has rows.
    ///
    /// # Errors
    /// Input, where it is damaged.
    pub(super) fn table(&self, name: &str) -> Result<Option<Table>> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Table::read(&path)?).filter(|table| table.len() > 0))
    }

    /// The table of this name.
    ///
    /// # Errors
    /// Input, where it is missing, empty or damaged.
    pub(super) fn needs(&self, name: &str) -> Result<Table> {
        let path = self.folder.join(name);
        let table = Table::read(&path)?;
        if table.len() == 0 {
            return Err(Error::input(&path, "has no rows", "the results of a run", AGAIN));
        }
        Ok(table)
    }

    /// The matrix in the `.npy` of this name, if it is there.
    ///
    /// # Errors
    /// Input, where it is damaged or has another number of rows or of axes.
    pub(super) fn matrix(&self, name: &str, rows: usize, of: &str) -> Result<Option<Array2<f64>>> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let array = npy::read_f64(&path, None)?;
        let shape = array.shape().to_vec();
        let matrix = array.into_dimensionality::<Ix2>().ok().filter(|matrix| matrix.nrows() == rows);
        let matrix = matrix.ok_or_else(|| {
            Error::input(&path, format!("has the shape {shape:?}"), format!("{rows} rows of {of}"), AGAIN)
        })?;
        if matrix.iter().all(|v| v.is_nan()) && !matrix.is_empty() {
            return Err(Error::input(&path, "holds nothing but NaN", "numbers", AGAIN));
        }
        Ok(Some(matrix))
    }

    /// A number of the record's summary, by the names that lead to it.
    pub(super) fn number(&self, pointer: &str) -> Option<f64> {
        self.record.summary.pointer(pointer)?.as_f64()
    }

    /// A whole number of the record's summary.
    pub(super) fn count(&self, key: &str) -> Option<usize> {
        self.record.summary.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok())
    }
}

/// A record as JSON, of whatever program.
fn json(file: &Path) -> Result<Value> {
    serde_json::from_slice(&io::file::read(file, LONGEST_RECORD)?)
        .map_err(|why| Error::input(file, format!("is no JSON: {why}"), "a record of Striate", AGAIN))
}

fn read_record(file: &Path) -> Result<Record> {
    let value = json(file)?;
    if value.get("striate").is_none() {
        let advice = "It seems to be the folder of another program: name one that Striate wrote";
        return Err(Error::input(file, "does not name a version of Striate", WANTED, advice));
    }
    let command = value.get("command").and_then(Value::as_str).unwrap_or("no command");
    if !["fit", "sweep", "profile"].contains(&command) {
        let short: String = command.chars().take(40).collect();
        let found = format!("is the record of '{}'", short.escape_debug());
        return Err(Error::input(file, found, WANTED, "Only these have results to report"));
    }
    Record::deserialize(value)
        .map_err(|why| Error::input(file, format!("is damaged: {why}"), "a record of Striate", AGAIN))
}
