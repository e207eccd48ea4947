//! The members of an NWB 2 file: types, children, and where links lead.

use std::sync::Arc;

use crate::error::Result;
use crate::experiment::series::text_attribute;
use crate::io::store::{Link, Member, MemberKind, Store};

/// An open file and everything in it.
pub(super) struct File<'a> {
    pub shared: &'a Arc<dyn Store>,
    pub store: &'a dyn Store,
    members: Vec<Member>,
}

impl<'a> File<'a> {
    pub fn open(store: &'a Arc<dyn Store>) -> Result<Self> {
        Ok(File { shared: store, store: &**store, members: store.members()? })
    }

    /// The members directly inside a group, by name and in the file's order; links to elsewhere too.
    pub fn children(&self, group: &str) -> Vec<&str> {
        let prefix = format!("{}/", absolute(group));
        let names = self.members.iter().filter_map(|member| member.path.strip_prefix(&prefix));
        names.filter(|name| !name.contains('/')).collect()
    }

    /// The paths of groups below one, of all depths.
    pub fn groups(&self, below: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{}/", absolute(below));
        let groups = self.members.iter().filter(|member| member.kind == MemberKind::Group);
        groups.map(|member| member.path.as_str()).filter(move |path| path.starts_with(&prefix))
    }

    /// The path of an object, with links to it followed; none where there is nothing.
    pub fn target(&self, name: &str) -> Option<String> {
        let mut path = absolute(name);
        for _ in 0..8 {
            match &self.members.iter().find(|member| member.path == path)?.kind {
                MemberKind::Link(Link::Soft(to) | Link::Hard(to)) if to.starts_with('/') => {
                    path = absolute(to)
                }
                MemberKind::Link(Link::Soft(to)) => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    path = absolute(&format!("{parent}/{to}"));
                }
                MemberKind::Link(_) => return None,
                _ => return Some(path),
            }
        }
        None
    }

    /// The type that the schema gives an object; empty where the file does not say.
    pub fn kind(&self, name: &str) -> Result<String> {
        text_attribute(self.store, name, "neurodata_type")
    }

    /// The only group below one that is of this type, or whose parent is called so where none says its type.
    pub fn only(&self, below: &str, kind: &str, parent: &str) -> Result<Option<String>> {
        let mut found = Vec::new();
        for path in self.groups(below) {
            let said = self.kind(path)?;
            let inside = path.rsplit_once('/').is_some_and(|(parents, _)| parents.ends_with(parent));
            if said == kind || said.is_empty() && inside {
                found.push(path.to_string());
            }
        }
        Ok(if found.len() == 1 { found.pop() } else { None })
    }
}

/// A path with a slash at its beginning and none at its end.
pub(super) fn absolute(path: &str) -> String {
    format!("/{}", path.trim_matches('/'))
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
