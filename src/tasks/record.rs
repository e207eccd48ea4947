//! The record of a run: everything that is needed to repeat it.

use super::input::Input;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu};
use crate::io::commit::RECORD;
use crate::io::hash::{sha256_bytes, sha256_file, sha256_path};
use crate::io::npy::split_member;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    /// The machine's name in its network.
    pub host: Option<String>,
    /// Name, slot, backend, driver, limits.
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
            host: crate::host::name(),
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
    /// SHA-256 of the model file's SHA-256 and of `command`, `input`, `options`, `inputs` and the shape of
    /// features: which model and which record belong to each other. Empty in records of no model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub binding: String,
}

impl RunRecord {
    /// What [`RunRecord::binding`] has to be beside a model of this SHA-256.
    ///
    /// # Errors
    /// Internal, if the record is no JSON.
    pub(super) fn bound_to(&self, model_sha256: &str) -> Result<String> {
        let shape = self.summary.get("feature_shape");
        let parts = (model_sha256, &self.command, &self.input, &self.options, &self.inputs, shape);
        let text = serde_json::to_vec(&parts).map_err(|why| Error::internal(RECORD, why))?;
        Ok(sha256_bytes(&text))
    }

    /// The bytes of the record, bound to the model beside it.
    ///
    /// # Errors
    /// Input, if the model cannot be read.
    pub(super) fn bound_bytes(mut self, model: &Path) -> Result<Vec<u8>> {
        self.binding = self.bound_to(&sha256_file(model)?)?;
        serde_json::to_vec_pretty(&self).map_err(|why| Error::internal(RECORD, why))
    }
}
