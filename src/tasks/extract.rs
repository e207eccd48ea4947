//! Features of a layer, written to a file: images x features, one row an image.

use super::Progress;
use super::input::NetworkInput;
use crate::error::{Error, Result};
use crate::features::{Slab, Source};
use crate::gpu::{Gpu, Matrix};
use crate::io::commit;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Which features go where.
#[derive(Debug, Clone)]
pub struct ExtractRequest {
    /// The layer of a network over images.
    pub input: NetworkInput,
    /// The `.npy` to write.
    pub out: PathBuf,
}

/// What was extracted, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct ExtractSummary {
    /// The layer.
    pub layer: String,
    /// Number of images.
    pub n_images: usize,
    /// Features of an image.
    pub n_features: usize,
    /// Channels, rows and columns of the layer after pooling.
    pub shape: [usize; 3],
    /// Operations of the network.
    pub operations: f64,
    /// GPU memory in bytes.
    pub gpu_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// The file.
    pub out: PathBuf,
}

/// Bytes of rows that are read back at once.
const ROWS_BYTES: usize = 64 << 20;

impl ExtractRequest {
    /// What the extraction takes, from headers alone.
    ///
    /// # Errors
    /// Usage or Input, if images, network and weights do not fit each other.
    pub fn plan(&self, gpu: &Gpu) -> Result<ExtractSummary> {
        let source = self.input.open()?;
        let shape = source.shape();
        let (images, features) = (source.images(), source.features());
        let source = Source::Network(Box::new(source));
        let summary = ExtractSummary {
            layer: self.input.layer.clone().unwrap_or_else(|| "pixels".into()),
            n_images: images,
            n_features: features,
            shape: [shape.channels, shape.height, shape.width],
            operations: source.operations(gpu)?,
            gpu_bytes: source.overhead(gpu)? + 4 * (features * rows_at_once(features)) as u64,
            file_bytes: 4 * (images * features) as u64,
            out: self.out.clone(),
        };
        if summary.gpu_bytes > gpu.ledger().budget() {
            let budget = gpu.ledger().budget();
            return Err(crate::gpu::too_large("features", summary.gpu_bytes, budget, budget));
        }
        Ok(summary)
    }
}

fn rows_at_once(features: usize) -> usize {
    (ROWS_BYTES / 4 / features).max(1)
}

/// Extracts and writes; the file appears when it is whole.
///
/// # Errors
/// As [`ExtractRequest::plan`] and [`crate::tasks::fit`].
pub fn extract(gpu: &Gpu, request: &ExtractRequest, progress: &mut Progress<'_>) -> Result<ExtractSummary> {
    let summary = request.plan(gpu)?;
    let all: Vec<usize> = (0..summary.n_images).collect();
    let mut source = request.input.measured(&all)?.open()?;
    let (images, features) = (summary.n_images, summary.n_features);
    let at_once = rows_at_once(features).min(images);
    let matrix = Matrix::zeros(gpu, "features", at_once, features)?;
    let slab = Slab { columns: 0..features, matrix, means: Vec::new() };
    let mut failure: Option<Error> = None;
    let written = commit::write_with(&request.out, |to: &mut dyn Write| {
        to.write_all(&crate::io::npy::header_bytes("<f4", &[images, features]))?;
        for first in (0..images).step_by(at_once) {
            let range = first..(first + at_once).min(images);
            let mut rows = || {
                let mut report = |share: f64| {
                    progress("features", (first as f64 + share * range.len() as f64) / images as f64);
                };
                source.fill(gpu, range.clone(), std::slice::from_ref(&slab), &mut report)?;
                slab.matrix.download(gpu)
            };
            match rows() {
                Ok(values) => {
                    for row in values.rows().into_iter().take(range.len()) {
                        to.write_all(bytemuck::cast_slice(&row.to_vec()))?;
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    return Err(std::io::Error::other("the features could not be computed"));
                }
            }
        }
        Ok(())
    });
    // What stopped the writing says more than the writing's own error.
    match failure {
        Some(error) => Err(error),
        None => written.map(|()| summary),
    }
}
