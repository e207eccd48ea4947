//! What training programs put in front of a network's names, taken off.
//!
//! `torch.save({"state_dict": ...})`, `DataParallel` (`module`), `torch.compile` (`_orig_mod`) and Lightning
//! (`model`, `net`) wrap a network, one in another; `DataParallel` and `torch.compile` may also wrap a part of
//! it, as in `features.module.0.weight`.

use std::collections::BTreeMap;

use super::{TensorInfo, WeightFile};
use crate::error::{Error, Result};

/// Parts that wrap whatever follows them, anywhere in a name.
const ANYWHERE: [&str; 2] = ["module", "_orig_mod"];

/// Parts that wrap a network, in front of its names.
const IN_FRONT: [&str; 6] = ["state_dict", "model_state_dict", "model_state", "model", "net", "network"];

/// The tensors that a network's names begin with.
const FIRST: [&str; 2] = ["features.0.weight", "0.weight"];

/// What wrappers were taken off.
#[derive(Default)]
pub(super) struct Peeled {
    /// The file's names by the ones that are left.
    stored: BTreeMap<String, String>,
    /// The first weight before and after.
    example: [String; 2],
    /// Prefixes of other weights of the same network in the file.
    passed_over: Vec<String>,
}

impl Peeled {
    /// Finds the wrappers around all weights of a network; none where there are none.
    fn find(tensors: &[TensorInfo]) -> std::result::Result<Option<Self>, String> {
        let bare = |name: &str| {
            name.split('.').filter(|part| !ANYWHERE.contains(part)).collect::<Vec<_>>().join(".")
        };
        let names: Vec<(String, &str)> = tensors.iter().map(|t| (bare(&t.name), t.name.as_str())).collect();
        // One ends in the other: the longer is looked for first.
        let found = FIRST.iter().find_map(|first| {
            let ends = |(bare, stored): &(String, &str)| {
                let prefix = bare.strip_suffix(first)?.to_owned();
                (prefix.is_empty() || prefix.ends_with('.')).then(|| (prefix, (*stored).to_owned()))
            };
            let prefixes: Vec<(String, String)> = names.iter().filter_map(ends).collect();
            (!prefixes.is_empty()).then_some((*first, prefixes))
        });
        let Some((first, prefixes)) = found else { return Ok(None) };
        if prefixes.iter().any(|(_, stored)| stored == first) {
            return Ok(None);
        }
        let wraps =
            |(prefix, _): &&(String, String)| prefix.split_terminator('.').all(|p| IN_FRONT.contains(&p));
        let (wrapped, others): (Vec<_>, Vec<_>) = prefixes.iter().partition(wraps);
        let (prefix, stored_first) = match wrapped[..] {
            [] => return Ok(None),
            [only] => only,
            _ => {
                let list: Vec<String> =
                    wrapped.iter().map(|(_, stored)| format!("'{}'", stored.escape_debug())).collect();
                return Err(format!("it holds several networks: {}", list.join(" and ")));
            }
        };
        let mut stored = BTreeMap::new();
        for (bare, name) in &names {
            let Some(left) = bare.strip_prefix(prefix.as_str()) else { continue };
            if let Some(other) = stored.insert(left.to_owned(), (*name).to_owned()) {
                return Err(format!(
                    "'{}' and '{}' are the same tensor",
                    other.escape_debug(),
                    name.escape_debug()
                ));
            }
        }
        let passed_over = others.into_iter().map(|(_, stored)| stored.clone()).collect();
        Ok(Some(Peeled { stored, example: [stored_first.clone(), first.to_owned()], passed_over }))
    }
}

impl WeightFile {
    /// Takes wrappers off, where all weights of a network lie in them.
    pub(super) fn peel(&mut self) -> Result<()> {
        let peeled = Peeled::find(&self.tensors).map_err(|found| {
            let advice = "Save the network to use alone: torch.save(model.state_dict(), path)";
            Error::input(&self.path, found, "the weights of one network", advice)
        })?;
        let Some(peeled) = peeled else { return Ok(()) };
        let left = |(name, stored): (&String, &String)| {
            let tensor = self.tensors.iter().find(|tensor| tensor.name == *stored)?;
            Some(TensorInfo { name: name.clone(), ..tensor.clone() })
        };
        self.tensors = peeled.stored.iter().filter_map(left).collect();
        self.peeled = Some(peeled);
        Ok(())
    }

    /// The name that a tensor has in the file.
    pub(super) fn stored_name<'a>(&'a self, name: &'a str) -> &'a str {
        let stored = self.peeled.as_ref().and_then(|peeled| peeled.stored.get(name));
        stored.map_or(name, String::as_str)
    }

    /// What a person should know of how the file was read.
    pub fn notes(&self) -> Vec<String> {
        let Some(Peeled { example: [before, after], passed_over, .. }) = &self.peeled else {
            return Vec::new();
        };
        let path = self.path.display();
        let mut notes = vec![format!("{path}: '{}' is read as '{after}', and so on", before.escape_debug())];
        if !passed_over.is_empty() {
            let others: Vec<String> =
                passed_over.iter().map(|name| format!("'{}'", name.escape_debug())).collect();
            notes
                .push(format!("{path}: other weights of the network are passed over: {}", others.join(", ")));
        }
        notes
    }
}
