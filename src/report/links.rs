//! Addresses of files as a page names them.

use std::path::{Component, Path};

use super::PAGE;
use super::run::Run;
use crate::io::commit::RECORD;

/// Tables of a run folder that a reader may want, and what they hold.
const TABLES: [(&str, &str); 12] = [
    ("scores.csv", "scores of every neuron"),
    ("reliability.csv", "reliability of every neuron"),
    ("split.csv", "which images were held out"),
    ("curves.csv", "training by epoch"),
    ("sweep.csv", "scores of every configuration"),
    ("sweep_neurons.csv", "scores of every configuration and neuron"),
    ("layers.csv", "mean scores by layer, size, area and control"),
    ("profile.csv", "scores of every neuron by layer"),
    ("best_layers.csv", "the best layer of every neuron"),
    ("correlations.csv", "histograms of the correlations of profiles"),
    ("cluster_order.csv", "neurons in the order of the dendrogram"),
    (RECORD, "everything that is needed to repeat the run"),
];

/// The files of a run and the pages beside it: address and what it says.
pub(super) fn of_run(run: &Run) -> Vec<(String, String)> {
    let mut links = Vec::new();
    if run.in_study() {
        links.push((format!("../{PAGE}"), "The study that this run is part of".to_string()));
    }
    if run.fitted().is_some_and(|fit| fit.folder.join(PAGE).is_file() && fit.folder != run.folder) {
        links.push((format!("best/{PAGE}"), "The report of the best configuration by itself".into()));
    }
    let there = TABLES.iter().filter(|(name, _)| run.folder.join(name).is_file());
    links.extend(there.map(|(name, what)| ((*name).to_string(), format!("{name}: {what}"))));
    links
}

/// The address of a file as seen from a page; none where no way leads there.
pub(super) fn address(page: &Path, file: &Path) -> Option<String> {
    let parent = page.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (from, to) = (parent.canonicalize().ok()?, file.canonicalize().ok()?);
    let (from, to): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared == 0 {
        return None;
    }
    let mut parts = vec!["..".to_string(); from.len() - shared];
    for part in &to[shared..] {
        parts.push(encoded(part.as_os_str().to_str()?));
    }
    Some(parts.join("/"))
}

/// A name as a part of an address.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    #[test]
    fn addresses_lead_from_the_page_to_the_file() {
        let here = scratch("links");
        for folder in ["a/b c", "x"] {
            std::fs::create_dir_all(here.join(folder)).unwrap();
        }
        std::fs::write(here.join("a/b c/q?.html"), "").unwrap();
        let file = here.join("a/b c/q?.html");
        assert_eq!(address(&here.join("x/page.html"), &file).unwrap(), "../a/b%20c/q%3F.html");
        assert_eq!(address(&here.join("a/page.html"), &file).unwrap(), "b%20c/q%3F.html");
        assert!(address(&here.join("page.html"), &here.join("not there")).is_none());
    }
}
