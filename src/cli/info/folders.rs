//! Folders: runs, simulated experiments, images.

use std::path::Path;

use serde_json::{Map, Value, json};
use striate::experiment;
use striate::io;
use striate::io::commit::RECORD;
use striate::io::file::LONGEST_RECORD;
use striate::io::responses::Responses;
use striate::{Error, Kind, Result};

use super::{Findings, UNDERSTOOD, arrays, experiments, images};

/// A text in a record that is longer is cut.
const LONGEST_TEXT: usize = 80;

/// Describes a folder.
pub fn look(path: &Path) -> Result<Findings> {
    if path.join(RECORD).is_file() {
        return written(path);
    }
    let inside = experiment::several(path)?;
    if inside != [path] {
        return experiments::several(path, &inside);
    }
    if experiment::recognise(path)? {
        return experiments::look(path);
    }
    images(path).map_err(|why| {
        if why.kind() != Kind::Input || why.parts()[0].1 != path.display().to_string() {
            return why;
        }
        let found = format!("{}, and no {RECORD}", why.parts()[1].1);
        Error::input(path, found, UNDERSTOOD, "Name a file inside it")
    })
}

/// A folder that Striate wrote.
fn written(path: &Path) -> Result<Findings> {
    let record = read(&path.join(RECORD))?;
    let simulated = record.get("command").and_then(Value::as_str) == Some("simulate");
    let mut files = names(path)?;
    files.sort_unstable();
    let responses = record.get("command").and_then(Value::as_str) == Some("responses");
    let kind = if simulated { "simulated experiment" } else { "run" };
    let mut findings = Findings::new(kind, json!({"record": record, "files": files}));
    match record.get("command").and_then(Value::as_str) {
        Some("simulate" | "responses") => findings.usable(experiments::OF_RESPONSES),
        Some("fit") => {
            findings.usable("a fit: predict, report, score and submission");
        }
        Some("sweep" | "profile") => findings.usable("a run: report"),
        _ => {}
    }
    flatten("", &record, &mut findings);
    findings.row("files", files.join(", "));
    if simulated {
        let responses = Responses::read(&path.join("responses.npy"), None, None, None)?;
        findings.document["responses"] = arrays::describe_responses(&responses, &mut findings);
    }
    if responses {
        experiments::add(path, &mut findings)?;
    }
    Ok(findings)
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    serde_json::from_slice(&io::file::read(file, LONGEST_RECORD)?).map_err(|why| {
        let advice = "The run is damaged: fit again";
        Error::input(file, format!("is no JSON object: {why}"), "a record of Striate", advice)
    })
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = |why| Error::unreadable(folder, &why);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().escape_debug().to_string();
        if name != RECORD && !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

/// What people look for in a record; the rest is in the file, and in `--json`.
const LEFT_OUT: [&str; 8] =
    ["options", "inputs", "adapter", "seconds", "skipped", "out", "sentences", "untuned"];

/// Numbers and texts of the record as rows, by the names that lead to them.
fn flatten(prefix: &str, record: &Map<String, Value>, findings: &mut Findings) {
    for (key, value) in record.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
        let name = format!("{prefix}{}", key.escape_debug());
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, findings),
            Value::Null => {}
            Value::Array(list) if list.iter().any(|v| v.is_array() || v.is_object()) => {
                findings.row(name, format!("{} values", list.len()));
            }
            Value::Array(list) => findings.row(name, list.iter().map(scalar).collect::<Vec<_>>().join(", ")),
            other => findings.row(name, scalar(other)),
        }
    }
}

/// A number or a text, cut where it is long.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let short: String = text.chars().take(LONGEST_TEXT).collect();
            short.escape_debug().to_string()
        }
        Value::Number(number) => match number.as_f64() {
            Some(v) if v.fract() != 0.0 => format!("{v:.4}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
