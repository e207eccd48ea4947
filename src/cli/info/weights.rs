//! Weights: tensors, the networks that they fit, and whether the file is a published one.

use std::path::Path;

use serde_json::{Value, json};
use striate::Result;
use striate::io::hash::sha256_file;
use striate::io::weights::{TensorInfo, WeightFile};
use striate::networks::manifest::{identify, manifest};

use super::Findings;

/// Tensors that the text lists; the document has them all.
const LISTED: usize = 40;

/// Reads names and shapes, and the whole file for its hash.
pub fn look(path: &Path) -> Result<Findings> {
    let file = WeightFile::open(path)?;
    let format = file.format();
    let tensors = file.tensors().to_vec();
    let values: u128 = tensors.iter().map(values).sum();
    let sha256 = sha256_file(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = file.as_torchvision()?;
    let notes = file.notes();
    let known: Vec<_> = file.tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
    let identity = identify(&name, &sha256, &known);
    let fits: Vec<Value> = identity
        .fits
        .iter()
        .map(|fit| json!({"network": fit.network, "up_to": fit.last, "complete": fit.complete}))
        .collect();
    let licence = identity.published.and_then(|file| manifest().licences.get(&file.licence));
    let list: Vec<Value> =
        tensors.iter().map(|t| json!({"name": t.name, "shape": t.shape, "element": t.element})).collect();
    let document = json!({
        "format": format, "sha256": sha256, "identity": identity.to_string(),
        "published": identity.published.map(|file| &file.name), "as_published": identity.hash_agrees,
        "licence": licence, "fits": fits, "values": values.to_string().parse::<u64>().ok(), "notes": notes, "tensors": list,
    });
    let mut findings = Findings::new("weights", document);
    findings.row("format", format);
    findings.row("sha256", sha256);
    findings.row("identity", identity.to_string());
    if let Some(licence) = licence {
        findings.row("licence", licence.as_str());
    }
    let nets: Vec<&str> = identity.fits.iter().map(|fit| fit.network).collect();
    if !nets.is_empty() {
        findings.usable(format!(
            "weights: --net {} --weights of fit, sweep, profile and features",
            nets.join(" or ")
        ));
    }
    for note in &notes {
        findings.row("note", note.as_str());
    }
    findings.row("tensors", format!("{}, {values} values", tensors.len()));
    for tensor in tensors.iter().take(LISTED) {
        let name = tensor.name.escape_debug();
        findings.row(format!("  {name}"), format!("{} {:?}", tensor.element, tensor.shape));
    }
    if tensors.len() > LISTED {
        findings.row("  ...", format!("and {} more; --json lists all", tensors.len() - LISTED));
    }
    Ok(findings)
}

fn values(tensor: &TensorInfo) -> u128 {
    tensor.shape.iter().map(|&n| n as u128).fold(1, u128::saturating_mul)
}
