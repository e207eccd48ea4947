//! Arrays: shapes and elements, and what they may be: images, responses, features.

use std::path::{Path, PathBuf};

use ndarray::ArrayView3;
use serde_json::{Value, json};
use striate::Result;
use striate::io::images::Images;
use striate::io::npy::{self, ArrayInfo, Element};
use striate::io::responses::Responses;
use striate::numbers::median;
use striate::scores::repeats::Trials;

use super::{FEATURES, Findings, IMAGES, RESPONSES};

/// An array with more values is described by its header alone.
const MOST_VALUES: usize = 1 << 27;
/// A third axis that is longer counts columns of pixels, not repeats.
const MOST_REPEATS: usize = 40;

/// Describes every array of the file, and what it may be.
pub fn look(path: &Path) -> Result<Findings> {
    let infos = npy::info(path)?;
    let mut findings = Findings::new("arrays", json!({}));
    let mut list = Vec::new();
    for info in &infos {
        let name = info.name.as_deref().unwrap_or("array").escape_debug().to_string();
        let shape = info.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        findings.row(name, format!("{} {shape}", info.element.name()));
        let place = match &info.name {
            Some(member) => PathBuf::from(format!("{}:{member}", path.display())),
            None => path.to_path_buf(),
        };
        let mut described = json!({"name": info.name, "shape": info.shape, "element": info.element.name()});
        meaning(&place, info, &mut described, &mut findings);
        if info.shape.len() == 2 && info.element != Element::U8 {
            findings.usable("traces (neurons, frames): --traces with --rate of events");
        }
        list.push(described);
    }
    if infos.iter().any(|info| info.name.is_some()) {
        findings.usable("its arrays are named FILE.npz:NAME");
    }
    if infos.iter().any(|info| info.name.as_deref() == Some("ev")) {
        findings.usable("events of a recording: --events of responses, fit, sweep and profile");
    }
    if let ([only], Ok(images)) = (&mut list[..], Images::open(path).and_then(|images| images.describe()))
        && (only.get("responses").is_none() || infos[0].element == Element::U8)
    {
        findings.row("  as images", images.to_string());
        findings.usable(IMAGES);
        only["images"] = json!(images);
    }
    findings.document["arrays"] = Value::Array(list);
    Ok(findings)
}

/// Says what else an array may be: axes have no names, so that more than one reading may be possible.
fn meaning(place: &Path, info: &ArrayInfo, described: &mut Value, findings: &mut Findings) {
    let values = info.shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side)).unwrap_or(usize::MAX);
    let numbers = info.element != Element::U8;
    let (features, responses) = match info.shape[..] {
        [_, _] => (numbers, true),
        [_, _, third] => (numbers && third > MOST_REPEATS, third <= MOST_REPEATS),
        [] | [_] => (false, false),
        _ => (numbers, false),
    };
    if let ([images, rest @ ..], true, true) = (&info.shape[..], features, values < usize::MAX) {
        let each: usize = rest.iter().product();
        findings.row("  as features", format!("{}, {each} features of each", counted(*images, "image")));
        findings.usable(FEATURES);
    }
    if !responses || values > MOST_VALUES {
        return;
    }
    // What cannot be responses (an infinity, an image nobody saw) is said, and is no error: it may be
    // features.
    match Responses::read(place, None, None, None) {
        Ok(responses) => {
            described["responses"] = describe_responses(&responses, findings);
            findings.usable(RESPONSES);
        }
        Err(why) => findings.row("  no responses", why.parts()[1].1),
    }
}

/// Neurons, images, repeats, missing repeats, and how much of the variance could be explained.
pub fn describe_responses(responses: &Responses, findings: &mut Findings) -> Value {
    let (neurons, images, repeats) = responses.repeats.dim();
    let missing = responses.repeats.iter().filter(|value| value.is_nan()).count();
    let mut document = json!({
        "neurons": neurons, "images": images, "repeats": repeats, "missing": missing,
        "neuron_names": responses.neuron_names,
    });
    let axes = [counted(neurons, "neuron"), counted(images, "image"), counted(repeats, "repeat")];
    findings.row("  as responses", axes.join(", "));
    if repeats > 1 {
        let share = 100.0 * missing as f64 / responses.repeats.len() as f64;
        findings.row("  missing", format!("{missing} responses ({share:.1} %)"));
        let fev = explainable(responses.repeats.view());
        document["constant_neurons"] = json!(neurons - fev.len());
        document["median_fev"] = json!(median(fev.clone()));
        let range = match &fev[..] {
            [] => "unknown: no neuron has repeats that vary".to_string(),
            [low, .., high] => {
                format!("median {:.2} of the variance ({low:.2} to {high:.2})", median(fev.clone()))
            }
            [only] => format!("{only:.2} of the variance"),
        };
        findings.row("  explainable", range);
    }
    document
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Fractions of explainable variance in ascending order; neurons that have none are left out.
fn explainable(repeats: ArrayView3<f32>) -> Vec<f64> {
    let all = repeats.outer_iter().map(|neuron| Trials::new(neuron.outer_iter()).fev());
    let mut fev: Vec<f64> = all.filter(|fev| fev.is_finite()).collect();
    fev.sort_unstable_by(f64::total_cmp);
    fev
}
