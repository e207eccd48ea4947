//! Features of layers, each written to a file: images x features, one row an image.

use super::Progress;
use super::input::{Input, NetworkInput, keep};
use super::record::{AdapterRecord, hashes};
use crate::error::{Error, Result};
use crate::features::{Slab, Source};
use crate::gpu::{Gpu, Matrix};
use crate::io::commit::{self, Folder, RECORD, unwritable};
use crate::io::disk::File;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Which features go where.
#[derive(Debug, Clone)]
pub struct ExtractRequest {
    /// Layers of a network over images.
    pub input: NetworkInput,
    /// The `.npy` to write; with several layers a folder, in which each gets `NAME.npy`.
    pub out: PathBuf,
}

/// One layer of an extraction.
#[derive(Debug, Clone, Serialize)]
pub struct LayerSummary {
    /// Its name; `pixels` for the image itself.
    pub layer: String,
    /// Features of an image.
    pub n_features: usize,
    /// Channels, rows and columns after pooling.
    pub shape: [usize; 3],
    /// Bytes of its file.
    pub file_bytes: u64,
}

/// What was extracted, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct ExtractSummary {
    /// Number of images.
    pub n_images: usize,
    /// The layers.
    pub layers: Vec<LayerSummary>,
    /// Operations of the network.
    pub operations: f64,
    /// GPU memory in bytes.
    pub gpu_bytes: u64,
    /// Budget for it.
    pub gpu_budget_bytes: u64,
    /// The file or folder.
    pub out: PathBuf,
}

/// Bytes of rows of all layers that are computed before they are read back.
const ROWS_BYTES: usize = 16 << 20;

/// Images whose rows of all layers stay within [`ROWS_BYTES`].
fn rows_at_once(layers: &[LayerSummary]) -> usize {
    let features: usize = layers.iter().map(|l| l.n_features).sum();
    (ROWS_BYTES / 4 / features.max(1)).max(1)
}

impl ExtractRequest {
    /// What the extraction takes, from headers alone.
    ///
    /// # Errors
    /// Usage or Input, if images, network and weights do not fit each other; Memory, if the job does not fit.
    pub fn plan(&self, gpu: &Gpu) -> Result<ExtractSummary> {
        let source = self.input.open()?;
        keep(&self.out, &Input::Network(self.input.clone()).files())?;
        let images = source.images();
        let layer = |number: usize| {
            let shape = source.shape(number);
            LayerSummary {
                layer: self.input.layers.get(number).cloned().unwrap_or_else(|| "pixels".into()),
                n_features: source.features(number),
                shape: [shape.channels, shape.height, shape.width],
                file_bytes: 4 * (images * source.features(number)) as u64,
            }
        };
        let layers: Vec<_> = (0..source.layers()).map(layer).collect();
        let source = Source::Network(Box::new(source));
        let rows: usize = layers.iter().map(|l| l.n_features * rows_at_once(&layers).min(images)).sum();
        let summary = ExtractSummary {
            n_images: images,
            operations: source.operations(gpu)?,
            gpu_bytes: source.overhead(gpu)? + 4 * rows as u64,
            gpu_budget_bytes: gpu.ledger().budget(),
            layers,
            out: self.out.clone(),
        };
        if summary.gpu_bytes > summary.gpu_budget_bytes {
            return Err(source.too_large(gpu, "features", summary.gpu_bytes));
        }
        Ok(summary)
    }
}

/// Extracts and writes; the file or folder appears when it is whole.
///
/// # Errors
/// As [`ExtractRequest::plan`] and [`crate::tasks::fit()`].
pub fn extract(gpu: &Gpu, request: &ExtractRequest, progress: &mut Progress<'_>) -> Result<ExtractSummary> {
    let summary = request.plan(gpu)?;
    if let [only] = summary.layers.as_slice() {
        let mut failure = None;
        let written = commit::write_with(&request.out, |to: &mut dyn Write| {
            let mut rows = |to: &mut dyn Write| rows(gpu, request, &summary, &mut [to], progress);
            to.write_all(&npy_header(&summary, only))?;
            rows(to).map_err(|error| {
                failure = Some(error);
                std::io::Error::other("the features could not be computed")
            })
        });
        // What stopped the writing says more than the writing's own error.
        return failure.map_or(written, Err).map(|()| summary);
    }
    let names: Vec<String> = summary.layers.iter().map(|l| format!("{}.npy", l.layer)).collect();
    let own: Vec<&str> = names.iter().map(String::as_str).chain([RECORD]).collect();
    let folder = Folder::create(&request.out, &own)?;
    let mut files = Vec::new();
    for (layer, name) in summary.layers.iter().zip(&names) {
        let path = folder.file(name);
        let mut file = BufWriter::new(File::create(&path).map_err(|e| unwritable(&path, &e))?);
        file.write_all(&npy_header(&summary, layer)).map_err(|e| unwritable(&path, &e))?;
        files.push(file);
    }
    let mut outputs: Vec<&mut dyn Write> = files.iter_mut().map(|f| f as &mut dyn Write).collect();
    rows(gpu, request, &summary, &mut outputs, progress)?;
    for file in &mut files {
        file.flush().map_err(|e| unwritable(&request.out, &e))?;
    }
    let record = serde_json::json!({
        "striate": env!("CARGO_PKG_VERSION"), "command": "features", "input": request.input,
        "inputs": hashes(&Input::Network(request.input.clone()).files())?,
        "summary": summary, "adapter": AdapterRecord::of(gpu),
    });
    let record = serde_json::to_vec_pretty(&record).map_err(|e| Error::internal(RECORD, e))?;
    commit::write(&folder.file(RECORD), &record)?;
    folder.commit()?;
    Ok(summary)
}

fn npy_header(summary: &ExtractSummary, layer: &LayerSummary) -> Vec<u8> {
    crate::io::npy::header_bytes("<f4", &[summary.n_images, layer.n_features])
}

/// Writes the rows of every layer to its output, image by image.
fn rows(
    gpu: &Gpu,
    request: &ExtractRequest,
    summary: &ExtractSummary,
    outputs: &mut [&mut dyn Write],
    progress: &mut Progress<'_>,
) -> Result<()> {
    let images = summary.n_images;
    let all: Vec<usize> = (0..images).collect();
    let mut source = request.input.measured(&all, gpu.ledger().budget())?.open()?;
    let at_once = rows_at_once(&summary.layers).min(images);
    let mut slabs = Vec::new();
    for (number, layer) in summary.layers.iter().enumerate() {
        let matrix = Matrix::zeros(gpu, "features", at_once, layer.n_features)?;
        slabs.push(Slab { layer: number, columns: 0..layer.n_features, matrix, means: Vec::new() });
    }
    for first in (0..images).step_by(at_once) {
        let range = first..(first + at_once).min(images);
        let mut report =
            |share: f64| progress("features", (first as f64 + share * range.len() as f64) / images as f64);
        source.fill(gpu, range.clone(), &slabs, &mut report)?;
        for (slab, output) in slabs.iter().zip(outputs.iter_mut()) {
            for row in slab.matrix.download(gpu)?.rows().into_iter().take(range.len()) {
                output
                    .write_all(bytemuck::cast_slice(&row.to_vec()))
                    .map_err(|e| unwritable(&request.out, &e))?;
            }
        }
    }
    Ok(())
}
