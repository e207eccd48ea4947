//! Studies: fits and sweeps that belong together, one after the other in folders inside one folder, and a
//! page that compares them.
//!
//! `record.json` says which parts have finished. A study that was stopped goes on with the first that has
//! not: a sweep with its own journal, a fit from its start.

use super::fit::{FitJob, FitRequest};
use super::record::{RunRecord, hashes};
use super::sweep::{SweepJob, SweepRequest, SweepStatus};
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Claim, RECORD, is_temporary, unwritable};
use crate::io::disk;
use crate::io::file::{self, LONGEST_RECORD};
use crate::report;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A study.
#[derive(Debug, Clone)]
pub struct StudyRequest {
    /// What it consists of, in order.
    pub parts: Vec<StudyPart>,
    /// Its folder.
    pub out: PathBuf,
}

/// A part of a study, which writes a folder of its name inside the study's.
#[derive(Debug, Clone)]
pub struct StudyPart {
    /// Its name.
    pub name: String,
    /// What is done.
    pub job: PartRequest,
}

/// What a part of a study does.
#[derive(Debug, Clone)]
pub enum PartRequest {
    /// One readout.
    Fit(Box<FitRequest>),
    /// A grid of trained readouts, of which the best by validation is compared.
    Sweep(Box<SweepRequest>),
}

/// What a part came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartSummary {
    /// Its name.
    pub name: String,
    /// The readout; empty where all configurations diverged.
    pub readout: String,
    /// Images.
    pub n_images: usize,
    /// Presentations of them, where each was a row of its own.
    pub n_trials: Option<usize>,
    /// Configurations of a sweep.
    pub configurations: Option<usize>,
    /// Those that diverged.
    pub diverged: Option<usize>,
    /// Median r on test images.
    pub median_r: Option<f64>,
    /// Median R2 of means over repeats.
    pub median_r2: Option<f64>,
    /// Median R2 of single trials.
    pub median_single_trial_r2: Option<f64>,
    /// Median fraction of explainable variance of the test images: what bounds the R2 of single trials where
    /// nothing but images is an input.
    pub median_test_fev: Option<f64>,
    /// Its folder.
    pub out: PathBuf,
}

/// What a study found.
#[derive(Debug, Clone, Serialize)]
pub struct StudySummary {
    /// Its parts, in order.
    pub parts: Vec<PartSummary>,
    /// The page that compares them, where there are several with scores.
    pub page: Option<PathBuf>,
    /// Its folder.
    pub out: PathBuf,
}

/// How far a study is.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyStatus<'a> {
    /// The part that is under way.
    pub part: &'a str,
    /// Its number, from 1, and how many there are.
    pub number: [usize; 2],
    /// The step of it.
    pub step: &'static str,
    /// How far a sweep is, where it is one.
    pub sweep: Option<&'a SweepStatus>,
    /// The share of the study that is done, from 0 to 1, with parts counted alike.
    pub share: f64,
}

/// Told of the progress of a study.
pub type StudyProgress<'a> = dyn FnMut(&StudyStatus<'_>) + 'a;

/// What the study's record says: all that is needed to go on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    striate: String,
    command: String,
    parts: Vec<String>,
    finished: Vec<Done>,
}

/// A part that has finished, and all that its result depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Done {
    identity: Value,
    summary: PartSummary,
}

impl StudyRequest {
    /// Checks what can be checked before there are responses: the folder, networks and weights.
    ///
    /// # Errors
    /// Output, if the folder holds something else; as [`Input::check`](super::Input::check).
    pub fn check(&self) -> Result<()> {
        begun(&self.out)?;
        self.parts.iter().try_for_each(|part| {
            let input = match &part.job {
                PartRequest::Fit(request) => &request.input,
                PartRequest::Sweep(request) => &request.base.input,
            };
            input.check().map_err(|why| part.named(why))
        })
    }
}

impl StudyPart {
    /// Reads the part's files and checks them against each other.
    ///
    /// # Errors
    /// As [`FitJob::read`] and [`SweepJob::read`].
    pub fn check(&self) -> Result<()> {
        let checked = match &self.job {
            PartRequest::Fit(request) => FitJob::read(request).map(drop),
            PartRequest::Sweep(request) => SweepJob::read(request).map(drop),
        };
        checked.map_err(|why| self.named(why))
    }

    /// The error, which says of which part it is.
    fn named(&self, why: Error) -> Error {
        let place = format!("{}: {}", self.name, why.parts()[0].1);
        why.at(place)
    }

    fn out(&self) -> &Path {
        match &self.job {
            PartRequest::Fit(request) => &request.out,
            PartRequest::Sweep(request) => &request.out,
        }
    }

    /// All that the part's result depends on.
    fn identity(&self, gpu: &Gpu) -> Result<Value> {
        let (files, asked) = match &self.job {
            PartRequest::Fit(r) => {
                let asked = json!({"input": r.input, "readout": r.readout, "recording": r.recording});
                (r.files(), asked)
            }
            PartRequest::Sweep(r) => {
                let files = [r.base.input.files(), r.recording.files()].concat();
                let base = json!({"input": r.base.input, "options": r.base.options});
                let asked = json!({
                    "base": base, "grid": r.grid, "recording": r.recording,
                    "validation_fraction": r.validation_fraction,
                });
                (files, asked)
            }
        };
        let hashes: Vec<[String; 2]> = hashes(&files)?.into_iter().map(|i| [i.role, i.sha256]).collect();
        let identity = json!({
            "striate": env!("CARGO_PKG_VERSION"), "adapter": gpu.describe(), "asked": asked, "files": hashes,
        });
        // Through text, as the one on the disk: numbers compare alike.
        serde_json::from_str(&identity.to_string()).map_err(|why| Error::internal("study", why))
    }

    /// Runs the part; a sweep goes on where it was stopped.
    fn run(&self, gpu: &Gpu, tell: &mut dyn FnMut(&'static str, f64, Option<&SweepStatus>)) -> Result<()> {
        match &self.job {
            PartRequest::Fit(request) => {
                let job = FitJob::read(request)?;
                job.run(gpu, &mut |step, share| tell(step, share, None)).map(drop)
            }
            PartRequest::Sweep(request) => {
                let request = SweepRequest { resume: true, ..(**request).clone() };
                let job = SweepJob::read(&request)?;
                job.run(gpu, &mut |status| tell(status.step, status.share, Some(status))).map(drop)
            }
        }
    }

    /// What the part's folder says.
    fn summary(&self) -> Result<PartSummary> {
        let own = read(self.out())?;
        let sweep = matches!(self.job, PartRequest::Sweep(_));
        let best = self.out().join("best");
        let fitted =
            if !sweep { Some(own.clone()) } else { best.exists().then(|| read(&best)).transpose()? };
        let score = |name: &str| fitted.as_ref().and_then(|fit| fit.pointer("/test")?.get(name)?.as_f64());
        let count = |name: &str| own.get(name).and_then(Value::as_u64).map(|n| n as usize);
        Ok(PartSummary {
            name: self.name.clone(),
            readout: own.get("readout").and_then(Value::as_str).unwrap_or_default().into(),
            n_images: count("n_images").unwrap_or_default(),
            n_trials: count("n_trials"),
            configurations: count("configurations"),
            diverged: count("diverged"),
            median_r: score("median_r"),
            median_r2: score("median_r2"),
            median_single_trial_r2: score("median_single_trial_r2"),
            median_test_fev: score("median_test_fev"),
            out: self.out().into(),
        })
    }
}

/// The summary in the record of a run folder.
fn read(folder: &Path) -> Result<Value> {
    let path = folder.join(RECORD);
    let bytes = file::read(&path, LONGEST_RECORD)?;
    let record: RunRecord = serde_json::from_slice(&bytes).map_err(|why| {
        Error::input(&path, format!("is damaged: {why}"), "the record of a run", "Delete that folder")
    })?;
    Ok(record.summary)
}

/// What an earlier run of a study left in its folder; nothing in a new one.
///
/// # Errors
/// Output, if the folder holds something else.
fn begun(out: &Path) -> Result<Record> {
    let record = file::read(&out.join(RECORD), LONGEST_RECORD).ok();
    let record = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    match record.filter(|record| record.command == "study") {
        Some(record) => Ok(record),
        None => {
            let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            // Responses that a study works on are made before it begins, which may be killed meanwhile.
            if names.any(|name| !name.to_string_lossy().ends_with(".responses") && !is_temporary(&name)) {
                let (found, wanted) = ("holds files that are not a study", "a new or empty folder");
                return Err(Error::new(Kind::Output, out.display(), found, wanted, "Choose another --out"));
            }
            Ok(Record::default())
        }
    }
}

/// Runs the parts of a study that have not finished, and compares all.
///
/// # Errors
/// As [`super::fit()`] and [`super::sweep()`]; what had finished is kept, and the same request goes on from
/// there.
pub fn study(gpu: &Gpu, request: &StudyRequest, progress: &mut StudyProgress<'_>) -> Result<StudySummary> {
    begun(&request.out)?;
    request.parts.iter().try_for_each(StudyPart::check)?;
    let _claim = Claim::take(&request.out)?;
    disk::create_dir_all(&request.out).map_err(|why| unwritable(&request.out, &why))?;
    let before = begun(&request.out)?;
    let mut record = Record {
        striate: env!("CARGO_PKG_VERSION").into(),
        command: "study".into(),
        parts: request.parts.iter().map(|part| part.name.clone()).collect(),
        finished: Vec::new(),
    };
    // A study that is stopped in its first part is known as one.
    keep(&request.out, &record, &before)?;
    let of = request.parts.len();
    for (number, part) in request.parts.iter().enumerate() {
        let identity = part.identity(gpu)?;
        let done = |one: &&Done| one.identity == identity && one.summary.name == part.name;
        let mut summary = before.finished.iter().find(done).map(|one| one.summary.clone());
        // What somebody deleted is made again.
        summary = summary.filter(|_| part.out().join(RECORD).is_file());
        if summary.is_none() {
            part.run(gpu, &mut |step, share, sweep| {
                let share = (number as f64 + share) / of as f64;
                progress(&StudyStatus { part: &part.name, number: [number + 1, of], step, sweep, share });
            })?;
        }
        record.finished.push(Done { identity, summary: summary.map_or_else(|| part.summary(), Ok)? });
        keep(&request.out, &record, &before)?;
    }
    let parts: Vec<PartSummary> = record.finished.into_iter().map(|one| one.summary).collect();
    let scored: Vec<PathBuf> =
        parts.iter().filter(|part| part.median_r.is_some()).map(|part| part.out.clone()).collect();
    let page = request.out.join(report::PAGE);
    let page = if scored.len() > 1 { Some(report::compare(&scored, &page)?.page) } else { None };
    Ok(StudySummary { parts, page, out: request.out.clone() })
}

/// Writes the record: what has finished now, and what had before and may still be asked for.
fn keep(out: &Path, record: &Record, before: &Record) -> Result<()> {
    let later = |one: &&Done| !record.finished.iter().any(|now| now.summary.name == one.summary.name);
    let finished: Vec<&Done> = record.finished.iter().chain(before.finished.iter().filter(later)).collect();
    let text = json!({
        "striate": record.striate, "command": record.command, "parts": record.parts, "finished": finished,
    });
    let bytes = serde_json::to_vec_pretty(&text).map_err(|why| Error::internal(RECORD, why))?;
    commit::write(&out.join(RECORD), &bytes)
}
