//! Names in groups, where they lead, and the way from a path to an object.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use hdf5_reader::Hdf5File;
use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::error::{Error as Damage, Result as Parsed};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::link_info::LinkInfoMessage;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::symbol_table::SymbolTableNode;

use super::{Hdf5, LONGEST_PATH, Link, Member, MemberKind, in_words};
use crate::error::Result;

/// Soft links on the way to one member, as many as HDF5 itself follows.
const MOST_LINKS: usize = 16;

/// Where a name in a group leads.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Object(u64),
    Soft(String),
    External { file: String, path: String },
}

/// A name in a group.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub name: String,
    pub target: Target,
}

/// The names of a group.
pub(super) type Children = Arc<Vec<Child>>;

/// What a path leads to.
pub(super) enum Place {
    /// An object, and a path to it that has no soft links.
    Object {
        address: u64,
        path: String,
    },
    /// A link that leads nowhere, or to another file.
    Link(Link),
    Nothing,
}

impl Hdf5 {
    /// Follows a path from the root.
    pub(super) fn locate(&self, name: &str) -> Result<Place> {
        let mut ahead: VecDeque<String> = steps(name).collect();
        let (mut address, mut path) = (self.root, String::new());
        let mut links = 0;
        let mut first_link = None;
        let nothing =
            |link: Option<String>| link.map_or(Place::Nothing, |target| Place::Link(Link::Soft(target)));
        while let Some(step) = ahead.pop_front() {
            let children = self.children(address).map_err(|why| self.damaged(&path, &why))?;
            let Some(child) = children.iter().find(|child| child.name == step) else {
                return Ok(nothing(first_link));
            };
            match &child.target {
                Target::Object(object) => {
                    address = *object;
                    path = format!("{path}/{step}");
                }
                Target::Soft(target) => {
                    first_link.get_or_insert_with(|| target.clone());
                    links += 1;
                    if links > MOST_LINKS {
                        return Ok(nothing(first_link));
                    }
                    if target.starts_with('/') {
                        (address, path) = (self.root, String::new());
                    }
                    for step in steps(target).collect::<Vec<_>>().into_iter().rev() {
                        ahead.push_front(step);
                    }
                }
                Target::External { file, path } => {
                    let path = [path.clone()].into_iter().chain(ahead).collect::<Vec<_>>().join("/");
                    return Ok(Place::Link(Link::External { file: file.clone(), path }));
                }
            }
        }
        Ok(Place::Object { address, path: if path.is_empty() { "/".into() } else { path } })
    }

    /// Everything below the root, groups before what they hold; and the first path of every object, by
    /// address.
    pub(super) fn walk(&self) -> Result<(Vec<Member>, HashMap<u64, String>)> {
        let mut seen = HashMap::from([(self.root, "/".to_string())]);
        let mut members = Vec::new();
        let top = self.children(self.root).map_err(|why| self.damaged("/", &why))?;
        let mut ahead = Vec::new();
        push(&mut ahead, "", &top);
        while let Some((path, target)) = ahead.pop() {
            if path.len() > LONGEST_PATH {
                return self.refuse(&path, format!("its path is longer than {LONGEST_PATH} bytes"), "", "");
            }
            let kind = match target {
                Target::Soft(target) => MemberKind::Link(Link::Soft(target)),
                Target::External { file, path } => MemberKind::Link(Link::External { file, path }),
                Target::Object(address) => match seen.get(&address) {
                    Some(first) => MemberKind::Link(Link::Hard(first.clone())),
                    None => {
                        seen.insert(address, path.clone());
                        match self.kind(address) {
                            MemberKind::Group => match self.children(address) {
                                Ok(children) => {
                                    push(&mut ahead, &path, &children);
                                    MemberKind::Group
                                }
                                Err(why) => MemberKind::Other { what: in_words(&why) },
                            },
                            kind => kind,
                        }
                    }
                },
            };
            members.push(Member { path, kind });
        }
        Ok((members, seen))
    }

    /// The names of the group at an address, none where it is no group, in the order in which h5py lists
    /// them.
    fn children(&self, address: u64) -> Parsed<Children> {
        if let Some(known) = self.known_groups().get(&address) {
            return Ok(known.clone());
        }
        let children = Arc::new(read_children(&self.file, address)?);
        self.known_groups().insert(address, children.clone());
        Ok(children)
    }
}

/// The names of a path. `.` is the group itself, and nothing else is special.
fn steps(path: &str) -> impl Iterator<Item = String> {
    path.split('/').filter(|step| !step.is_empty() && *step != ".").map(str::to_owned)
}

/// Puts the children on a stack, the first uppermost.
fn push(ahead: &mut Vec<(String, Target)>, path: &str, children: &[Child]) {
    ahead.extend(children.iter().rev().map(|child| (format!("{path}/{}", child.name), child.target.clone())));
}

fn read_children(file: &Hdf5File, address: u64) -> Parsed<Vec<Child>> {
    let header = file.get_or_parse_header(address)?;
    let mut links: Vec<LinkMessage> = Vec::new();
    let mut by_creation = false;
    for message in &header.messages {
        match message {
            HdfMessage::SymbolTable(table) => return old_group(file, table),
            HdfMessage::Link(link) => links.push(link.clone()),
            HdfMessage::LinkInfo(info) => {
                by_creation = info.creation_order_tracked;
                dense_links(file, info, &mut links)?;
            }
            _ => {}
        }
    }
    if by_creation && links.iter().all(|link| link.creation_order.is_some()) {
        links.sort_by_key(|link| link.creation_order);
    } else {
        links.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut names = HashSet::new();
    links.retain(|link| names.insert(link.name.clone()));
    let child = |link: LinkMessage| Child {
        name: link.name,
        target: match link.target {
            LinkTarget::Hard { address } => Target::Object(address),
            LinkTarget::Soft { path } => Target::Soft(path),
            LinkTarget::External { filename, path } => Target::External { file: filename, path },
        },
    };
    Ok(links.into_iter().map(child).collect())
}

/// Links of a large group: a heap of links and an index of their names.
fn dense_links(file: &Hdf5File, info: &LinkInfoMessage, links: &mut Vec<LinkMessage>) -> Parsed<()> {
    let (storage, block) = (file.storage(), file.superblock());
    let (offset, length) = (block.offset_size, block.length_size);
    if Cursor::is_undefined_offset(info.fractal_heap_address, offset) {
        return Ok(());
    }
    let heap = FractalHeap::parse_at_storage(storage, info.fractal_heap_address, offset, length)?;
    let index = BTreeV2Header::parse_at_storage(storage, info.btree_name_index_address, offset, length)?;
    let records = collect_btree_v2_records_storage(storage, &index, offset, length, None, &[], None)?;
    let mut blocks = FractalHeapDirectBlockCache::default();
    for record in &records {
        let BTreeV2Record::LinkNameHash { heap_id, .. } = record else { continue };
        let bytes = heap.get_object_storage_cached(heap_id, storage, offset, length, &mut blocks)?;
        links.push(link::parse(&mut Cursor::new(&bytes), offset, length, bytes.len())?);
    }
    Ok(())
}

/// A group of the oldest kind: a tree of symbol tables, whose names are in a heap.
fn old_group(file: &Hdf5File, table: &SymbolTableMessage) -> Parsed<Vec<Child>> {
    let (storage, block) = (file.storage(), file.superblock());
    let (offset, length) = (block.offset_size, block.length_size);
    let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset, length)?;
    let leaves =
        collect_btree_v1_leaves_storage(storage, table.btree_address, offset, length, None, &[], None)?;
    if leaves.is_empty() {
        return Ok(Vec::new());
    }
    let size = usize::try_from(heap.data_segment_size).map_err(|_| Damage::OffsetOutOfBounds(u64::MAX))?;
    let names = storage.read_range(heap.data_segment_address, size)?;
    let name = |at: u64| {
        let text = usize::try_from(at).ok().and_then(|at| names.get(at..)).unwrap_or_default();
        let end = text.iter().position(|&byte| byte == 0).ok_or(Damage::OffsetOutOfBounds(at))?;
        let text = std::str::from_utf8(&text[..end]);
        text.map(str::to_owned).map_err(|why| Damage::InvalidData(format!("a name is no UTF-8: {why}")))
    };
    let mut children = Vec::new();
    for (_, address) in leaves {
        // The head of a node says how many entries follow.
        let head = storage.read_range(address, 8)?;
        let entries = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let node = storage.read_range(address, 8 + entries * (2 * usize::from(offset) + 24))?;
        for entry in SymbolTableNode::parse(&mut Cursor::new(&node), offset, length)?.entries {
            let [a, b, c, d, ..] = entry.scratch;
            let target = match entry.cache_type {
                2 => Target::Soft(name(u64::from(u32::from_le_bytes([a, b, c, d])))?),
                _ => Target::Object(entry.object_header_address),
            };
            children.push(Child { name: name(entry.link_name_offset)?, target });
        }
    }
    children.sort_by(|a, b| a.name.cmp(&b.name));
    let mut known = HashSet::new();
    children.retain(|child| known.insert(child.name.clone()));
    Ok(children)
}
