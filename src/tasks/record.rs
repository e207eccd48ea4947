//! The record of a run: everything that is needed to repeat it.

use super::input::Input;
use crate::error::Result;
use crate::gpu::{AdapterReport, Gpu};
use crate::io::hash::sha256_path;
use crate::io::npy::split_member;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A file that went in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputRecord {
    /// images, weights, features, responses or split.
    pub role: String,
    /// As it was given.
    pub path: PathBuf,
    /// SHA-256 of the file, or of a folder's sorted list of names and hashes.
    pub sha256: String,
}

/// Hashes of the files that went in, each with its role.
///
/// # Errors
/// Input, if one cannot be read.
pub(super) fn hashes(files: &[(&str, PathBuf)]) -> Result<Vec<InputRecord>> {
    let one = |(role, path): &(&str, PathBuf)| {
        let (plain, _) = split_member(path);
        Ok(InputRecord { role: (*role).into(), path: path.clone(), sha256: sha256_path(&plain)? })
    };
    files.iter().map(one).collect()
}

/// The adapter that worked, and its limits.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterRecord {
    /// Name, backend, driver, limits.
    #[serde(flatten)]
    pub report: AdapterReport,
    /// Which family of the heavy kernels ran.
    pub family: crate::gpu::Family,
    /// Budget for GPU memory in bytes.
    pub memory_budget_bytes: u64,
    /// Most GPU memory ever in use, in bytes.
    pub memory_peak_bytes: u64,
    /// Rounds of the self-test's loop of 100,000.
    pub loop_rounds: u32,
}

impl AdapterRecord {
    /// Of an open device.
    pub fn of(gpu: &Gpu) -> Self {
        AdapterRecord {
            report: gpu.report().clone(),
            family: gpu.family(),
            memory_budget_bytes: gpu.ledger().budget(),
            memory_peak_bytes: gpu.ledger().peak(),
            loop_rounds: gpu.loop_rounds(),
        }
    }
}

/// `record.json` of a run folder, as far as a later command reads it. Further fields are for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of Striate.
    pub striate: String,
    /// `fit`.
    pub command: String,
    /// What features are computed from, normalisation measured.
    pub input: Input,
    /// Everything else that was asked for, resolved.
    pub options: serde_json::Value,
    /// The files that went in.
    pub inputs: Vec<InputRecord>,
    /// What came out, in numbers.
    pub summary: serde_json::Value,
    /// The adapter.
    pub adapter: serde_json::Value,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
}
