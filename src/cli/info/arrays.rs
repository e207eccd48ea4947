//! Arrays: shapes and elements, and what they may be: images, responses, features.

use std::path::{Path, PathBuf};

use ndarray::ArrayView3;
use serde_json::{Value, json};
use striate::Result;
use striate::io::images::Images;
use striate::io::npy::{self, ArrayInfo, Element};
use striate::io::responses::Responses;
use striate::scores::repeats::Trials;

use super::Findings;

/// An array with more values is described by its header alone.
const MOST_VALUES: usize = 1 << 27;
/// A third axis that is longer counts columns of pixels, not repeats.
const MOST_REPEATS: usize = 40;

/// Describes every array of the file, and what a single one may be.
pub fn look(path: &Path) -> Result<Findings> {
    let infos = npy::info(path)?;
    let list: Vec<Value> = infos
        .iter()
        .map(|a| json!({"name": a.name, "shape": a.shape, "element": a.element.name()}))
        .collect();
    let mut findings = Findings::new("arrays", json!({ "arrays": list }));
    for info in &infos {
        let name = info.name.as_deref().unwrap_or("array").escape_debug().to_string();
        let shape = info.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        findings.row(name, format!("{} {shape}", info.element.name()));
        let place = match &info.name {
            Some(member) => PathBuf::from(format!("{}:{member}", path.display())),
            None => path.to_path_buf(),
        };
        meaning(&place, info, &mut findings);
    }
    if let ([_], Ok(images)) = (&infos[..], Images::open(path).and_then(|images| images.describe())) {
        if findings.document.get("responses").is_none() {
            findings.row("  as images", images.to_string());
            findings.document["images"] = json!(images);
        }
    }
    Ok(findings)
}

fn meaning(place: &Path, info: &ArrayInfo, findings: &mut Findings) {
    let values = info.shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side)).unwrap_or(usize::MAX);
    if let [images, rest @ ..] = &info.shape[..] {
        if !rest.is_empty() && info.element != Element::U8 {
            let features: usize = rest.iter().product();
            findings.row("  as features", format!("{images} images, {features} features of each"));
        }
    }
    let plausible = match info.shape[..] {
        [_, _] => info.element != Element::U8,
        [_, _, repeats] => repeats <= MOST_REPEATS,
        _ => false,
    };
    if !plausible || values > MOST_VALUES {
        return;
    }
    // Whatever cannot be responses (an infinity, an image nobody saw) is said, and is no error: it may be features.
    match Responses::read(place, None, None) {
        Ok(responses) => describe_responses(&responses, findings),
        Err(why) => findings.row("  no responses", why.parts()[1].1),
    }
}

/// Neurons, images, repeats, missing repeats, and how much of the variance could be explained.
pub fn describe_responses(responses: &Responses, findings: &mut Findings) {
    let (neurons, images, repeats) = responses.repeats.dim();
    let missing = responses.repeats.iter().filter(|value| value.is_nan()).count();
    let mut document = json!({
        "neurons": neurons, "images": images, "repeats": repeats, "missing": missing,
        "neuron_names": responses.neuron_names,
    });
    findings.row("  as responses", format!("{neurons} neurons, {images} images, {repeats} repeats"));
    if repeats > 1 {
        let share = 100.0 * missing as f64 / responses.repeats.len() as f64;
        findings.row("  missing", format!("{missing} responses ({share:.1} %)"));
        let fev = explainable(responses.repeats.view());
        document["constant_neurons"] = json!(neurons - fev.len());
        document["median_fev"] = json!(middle(&fev));
        let range = match &fev[..] {
            [] => "unknown: no neuron has repeats that vary".to_string(),
            [low, .., high] => format!("median {:.2} of the variance ({low:.2} to {high:.2})", middle(&fev)),
            [only] => format!("{only:.2} of the variance"),
        };
        findings.row("  explainable", range);
    }
    findings.document["responses"] = document;
}

/// Fractions of explainable variance in ascending order; neurons that have none are left out.
fn explainable(repeats: ArrayView3<f32>) -> Vec<f64> {
    let all = repeats.outer_iter().map(|neuron| Trials::new(neuron.outer_iter()).fev());
    let mut fev: Vec<f64> = all.filter(|fev| fev.is_finite()).collect();
    fev.sort_unstable_by(f64::total_cmp);
    fev
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[half],
        _ => 0.5 * (sorted[half - 1] + sorted[half]),
    }
}
