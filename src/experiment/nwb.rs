//! What the two NWB versions of an Allen recording share: metadata, events, choosing a stimulus.

use std::path::Path;
use std::sync::Arc;

use super::traces::{Trace, Traces};
use super::{ExperimentRequest, Neuron, place};
use crate::error::{Error, Kind, Result};
use crate::io::store::{self, ElementType, Member, MemberKind, Store};

/// Characters of a text and names of a list that are shown.
const SHOWN: usize = 300;
const LISTED: usize = 20;

/// The stimulus where none is named.
pub(super) const USUAL: &str = "natural_scenes";

/// The stimulus that is asked for.
pub(super) fn wanted_stimulus(request: &ExperimentRequest) -> &str {
    request.stimulus.as_deref().unwrap_or(USUAL)
}

/// A short text or number of a file, for people; none where it is absent or something else.
pub(super) fn fact(store: &dyn Store, name: &str) -> Result<Option<String>> {
    if !store.has_array(name)? {
        return Ok(None);
    }
    if let Ok(texts) = store.texts(name) {
        let text: String = texts.join(" ").chars().take(SHOWN).collect();
        return Ok(Some(text).filter(|text| !text.is_empty()));
    }
    let array = store.array(name)?;
    if array.len() != 1 || !matches!(array.element, ElementType::Number(_)) {
        return Ok(None);
    }
    let number = store.whole(name)?.into_f64();
    Ok(number.first().map(f64::to_string))
}

/// Facts of these names and paths, as far as the file has them.
pub(super) fn facts(store: &dyn Store, of: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
    let mut facts = Vec::new();
    for (label, name) in of {
        if let Some(value) = fact(store, name)? {
            facts.push((label.to_string(), value));
        }
    }
    Ok(facts)
}

/// Neurons of one imaging plane: cell ids, the plane's area and depth.
pub(super) fn neurons(ids: &[i64], area: &str, depth: Option<f64>) -> Vec<Neuron> {
    let neuron = |id: &i64| Neuron { id: id.to_string(), area: area.into(), depth, ..Neuron::default() };
    ids.iter().map(neuron).collect()
}

/// A list of whole numbers, one a neuron.
pub(super) fn ids(store: &dyn Store, name: &str) -> Result<Vec<i64>> {
    let array = store.array(name)?;
    if array.shape.len() != 1 || array.is_empty() {
        let found = format!("it has the shape {:?}", array.shape);
        return Err(Error::new(Kind::Input, place(store, name), found, "one number for each neuron", ""));
    }
    Ok(store.integers(name, &array.all())?.into_raw_vec_and_offset().0)
}

/// The members directly inside a group, by name and in the file's order.
pub(super) fn children(store: &dyn Store, group: &str) -> Result<Vec<String>> {
    let prefix = format!("/{}/", group.trim_matches('/'));
    let inside = |member: &Member| {
        member.path.strip_prefix(&prefix).filter(|rest| !rest.contains('/')).map(str::to_string)
    };
    Ok(store.members()?.iter().filter_map(inside).collect())
}

/// Whether there is a group of this name.
pub(super) fn has_group(store: &dyn Store, name: &str) -> Result<bool> {
    Ok(matches!(store.member(name)?, Some(Member { kind: MemberKind::Group, .. })))
}

/// Names of a file in a message.
pub(super) fn listed(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", ..." } else { "" };
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| name.escape_debug().to_string()).collect();
    format!("{}{more}", shown.join(", "))
}

/// What a file lacks that every recording of its kind has.
pub(super) fn lacks(store: &dyn Store, what: &str, wanted: &str) -> Error {
    let advice =
        "`striate info` lists what the file holds; name arrays with --map where it is laid out otherwise";
    Error::input(store.path(), format!("it has no {what}"), wanted, advice)
}

/// An error that says which stimuli there are.
pub(super) fn no_stimulus(store: &dyn Store, stimulus: &str, group: &str) -> Result<Error> {
    let there = children(store, group)?;
    let found = match there.len() {
        0 => format!("there is no stimulus {stimulus}, and no other"),
        _ => format!("there is no stimulus {stimulus}, but {}", listed(&there)),
    };
    let advice =
        "Natural scenes were shown in sessions three_session_B; choose another stimulus with --stimulus";
    Ok(Error::new(Kind::Input, place(store, group), found, format!("{group}/{stimulus}_stimulus"), advice))
}

/// Adds events from a file of their own, key `ev`, (neurons, frames).
pub(super) fn add_events(traces: &mut Traces, file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let store: Arc<dyn Store> = Arc::from(store::open(file)?);
    if !store.has_array("ev")? {
        let names: Vec<String> = store.members()?.into_iter().map(|member| member.path).collect();
        let found = format!("it has no array 'ev', but {}", listed(&names));
        let advice = "Give the file *_events.npz that belongs to the recording";
        return Err(Error::input(file, found, "events (neurons, frames) under the key ev", advice));
    }
    traces.add(Trace::Events, &store, "ev", false)
}
