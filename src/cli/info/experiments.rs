//! Experiments: neurons, images, presentations, traces and responses, and what is missing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use striate::experiment::{self, ExperimentRequest, Summary};
use striate::{Error, Result};

use super::{Findings, first_and_last};

/// What takes an experiment of responses, and one of traces.
pub const OF_RESPONSES: &str =
    "an experiment of responses: --experiment of fit, sweep, profile and responses";
const OF_TRACES: &str = "a recording of traces: --experiment of responses and events; with --definition of fit, \
                         sweep and profile";

/// Describes the experiment at a path.
pub fn look(path: &Path) -> Result<Findings> {
    let mut findings = Findings::new("experiment", json!({}));
    add(path, &mut findings)?;
    Ok(findings)
}

/// Describes it above what was found already.
pub fn add(path: &Path, findings: &mut Findings) -> Result<()> {
    let summary = summary(path)?;
    findings.usable(if summary.rate.is_some() { OF_TRACES } else { OF_RESPONSES });
    let mut above = Findings::new("experiment", json!({}));
    rows(&summary, &mut above);
    findings.above = above.rows;
    findings.kind = "experiment";
    findings.document["experiment"] = document(&summary)?;
    Ok(())
}

/// Describes several mice, a line each.
pub fn several(path: &Path, mice: &[PathBuf]) -> Result<Findings> {
    let mut findings = Findings::new("experiments", json!({}));
    let mut all = Vec::new();
    for mouse in mice {
        let summary = summary(mouse)?;
        let name = mouse.strip_prefix(path).unwrap_or(mouse).display().to_string();
        let key = summary.facts.first().map_or("", |(_, key)| key);
        findings.row(
            key.escape_debug().to_string(),
            format!(
                "{} neurons, {} images, {} presentations; {}",
                summary.neurons,
                summary.images.count,
                summary.presentations,
                tiers(&summary)
            ),
        );
        let mut document = document(&summary)?;
        document["folder"] = json!(name);
        all.push(document);
    }
    findings.document["experiments"] = Value::Array(all);
    findings
        .usable("experiments of responses: --experiment of responses; of fit, sweep and profile one by one");
    Ok(findings)
}

fn summary(path: &Path) -> Result<Summary> {
    let request = ExperimentRequest { path: path.to_path_buf(), ..ExperimentRequest::default() };
    experiment::open(&request)?.summary()
}

fn document(summary: &Summary) -> Result<Value> {
    serde_json::to_value(summary).map_err(|why| Error::internal("summary of an experiment", why))
}

/// `V1 20, LM 22`
fn counted(counts: &[(String, usize)]) -> String {
    let each: Vec<String> = counts.iter().map(|(name, n)| format!("{} {n}", name.escape_debug())).collect();
    each.join(", ")
}

fn tiers(summary: &Summary) -> String {
    let tier = |t: &experiment::TierCount| {
        let hidden = if t.hidden { ", responses withheld" } else { "" };
        format!("{} {} ({} images{hidden})", t.tier, t.presentations, t.images)
    };
    summary.tiers.iter().map(tier).collect::<Vec<_>>().join(", ")
}

fn rows(summary: &Summary, findings: &mut Findings) {
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            findings.row(key, value);
        }
    };
    row("format", summary.format.into());
    for (name, value) in &summary.facts {
        row(&name.escape_debug().to_string(), value.escape_debug().to_string());
    }
    row("neurons", summary.neurons.to_string());
    row("areas", counted(&summary.areas));
    row("layers", counted(&summary.layers));
    if let Some((least, most)) = summary.depths {
        row("depths", if least < most { format!("{least} to {most} um") } else { format!("{least} um") });
    }
    let images = &summary.images;
    let colour = if images.channels == 3 { ", colour" } else { "" };
    row("images", format!("{}, {}x{} (height x width){colour}", images.count, images.height, images.width));
    row("first and last image", first_and_last(&images.first, &images.last));
    let blanks = match summary.blank_sweeps {
        0 => String::new(),
        blanks => format!(", of which {blanks} blank sweeps"),
    };
    let outside = match summary.outside {
        0 => String::new(),
        outside => format!("; {outside} before, after or in a pause of the imaging frames"),
    };
    row("presentations", format!("{}{blanks}{outside}", summary.presentations));
    let (fewest, most) = summary.repeats;
    row("repeats of an image", if fewest == most { most.to_string() } else { format!("{fewest} to {most}") });
    row("tiers", tiers(summary));
    row("rate", summary.rate.map_or(String::new(), |rate| format!("{rate:.3} frames/s")));
    let minutes = summary.seconds.map_or(String::new(), |s| format!("{:.1} min", s / 60.0));
    row("first to last presentation", minutes);
    for series in &summary.series {
        let axes = series.axes.map(|(axis, length)| format!("{length} {axis}")).join(" x ");
        row(series.name, format!("{axes}, {}", series.unit));
    }
    row("missing", missing(summary));
    for warning in &summary.warnings {
        row("warning", warning.escape_debug().to_string());
    }
}

fn missing(summary: &Summary) -> String {
    let of = |count: usize, what: &str| match count {
        0 => None,
        all if all == summary.presentations => Some(format!("no {what}")),
        some => Some(format!("{what} of {some} presentations")),
    };
    let responses = summary.missing.responses.filter(|count| *count > 0);
    let parts = [
        of(summary.missing.running_speed, "running speed"),
        of(summary.missing.pupil, "pupil"),
        responses.map(|count| format!("{count} responses (NaN)")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
