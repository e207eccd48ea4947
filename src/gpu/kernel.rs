//! A kernel as a value, and a launch of it as plain data.

use super::family::Family;
use super::memory::Buffer;
use super::shader::{Access, Interface, Parts, expand, reflect};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// One kernel: a name and its WGSL, in one or more families with the same bindings and parameters.
pub struct Kernel {
    name: &'static str,
    tiled: &'static str,
    broadcast: Option<&'static str>,
    cooperative: Option<[&'static str; 2]>,
    parts: &'static Parts,
    tiles: [&'static [Tile]; FAMILIES],
    sources: [OnceLock<Source>; FAMILIES],
}

const FAMILIES: usize = 4;

/// A tile that a kernel can be compiled for, in units of 8 x 8 results: those of a thread in the tiled family.
/// The WGSL says as constants TILE_ROWS and TILE_COLUMNS how large it is then. No tile changes a bit of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The override THREAD_ROWS.
    pub rows: u32,
    /// The override THREAD_COLUMNS.
    pub columns: u32,
}

impl Tile {
    /// The overrides that make it.
    pub fn overrides(self) -> [(&'static str, f64); 2] {
        [("THREAD_ROWS", f64::from(self.rows)), ("THREAD_COLUMNS", f64::from(self.columns))]
    }
}

/// Expanded WGSL, and its interface for each of its tiles; one without tiles.
struct Source {
    text: String,
    fingerprint: String,
    interfaces: Vec<Interface>,
}

impl Kernel {
    /// A kernel with one source for every adapter, which may use some of `parts`.
    pub const fn new(name: &'static str, source: &'static str, parts: &'static Parts) -> Self {
        let sources = [const { OnceLock::new() }; FAMILIES];
        Self {
            name,
            tiled: source,
            broadcast: None,
            cooperative: None,
            parts,
            tiles: [&[]; FAMILIES],
            sources,
        }
    }

    /// A heavy kernel with a second source for CPU adapters ([`Family::Broadcast`]).
    pub const fn with_broadcast(
        name: &'static str,
        tiled: &'static str,
        broadcast: &'static str,
        parts: &'static Parts,
    ) -> Self {
        let sources = [const { OnceLock::new() }; FAMILIES];
        let tiles: [&[Tile]; FAMILIES] = [&[]; FAMILIES];
        Self { name, tiled, broadcast: Some(broadcast), cooperative: None, parts, tiles, sources }
    }

    /// The same kernel with sources for cooperative matrices of eight by eight and of sixteen by sixteen.
    pub const fn with_cooperative(mut self, eight: &'static str, sixteen: &'static str) -> Self {
        self.cooperative = Some([eight, sixteen]);
        self
    }

    /// The same kernel, whose source for `family` can be compiled for any of these tiles, from the largest to
    /// the smallest. It must do no more than write its output, for a launch is run several times to be timed.
    pub const fn with_tiles(mut self, family: Family, tiles: &'static [Tile]) -> Self {
        self.tiles[family as usize] = tiles;
        self
    }

    /// The kernel's name: the stem of its files.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The families that this kernel has a source for.
    pub fn families(&self) -> &'static [Family] {
        use Family::{Broadcast, Cooperative8, Cooperative16, Tiled};
        match (self.broadcast.is_some(), self.cooperative.is_some()) {
            (true, true) => &[Tiled, Broadcast, Cooperative8, Cooperative16],
            (false, true) => &[Tiled, Cooperative8, Cooperative16],
            (true, false) => &[Tiled, Broadcast],
            (false, false) => &[Tiled],
        }
    }

    /// The family that runs when the device prefers `wanted`.
    pub fn family(&self, wanted: Family) -> Family {
        if self.families().contains(&wanted) { wanted } else { Family::Tiled }
    }

    /// The tiles that a family's source can be compiled for; empty where there is nothing to choose.
    pub fn tiles(&self, family: Family) -> &'static [Tile] {
        self.tiles[self.family(family) as usize]
    }

    /// Rows x columns of the tile of this number.
    ///
    /// # Errors
    /// As [`Kernel::tiled_source`].
    pub(super) fn tile_name(&self, family: Family, tile: usize) -> Result<String> {
        let (_, interface) = self.tiled_source(family, tile)?;
        let side = |name: &str| interface.constants.get(name).copied().unwrap_or(1);
        Ok(format!("{}x{}", side("TILE_ROWS"), side("TILE_COLUMNS")))
    }

    /// Expanded WGSL and its interface for a family, with the first tile where it has some.
    ///
    /// # Errors
    /// Internal, if the WGSL is not valid.
    pub fn source(&self, family: Family) -> Result<(&str, &Interface)> {
        self.tiled_source(family, 0)
    }

    /// The same with the tile of this number in [`Kernel::tiles`].
    ///
    /// # Errors
    /// Internal, if the WGSL is not valid, or there is no such tile.
    pub fn tiled_source(&self, family: Family, tile: usize) -> Result<(&str, &Interface)> {
        let source = self.ready(self.family(family))?;
        let no_tile = || Error::internal(format!("kernel {}", self.name), format!("no tile {tile}"));
        Ok((&source.text, source.interfaces.get(tile).ok_or_else(no_tile)?))
    }

    /// A hash of the WGSL of a family: other text, another fingerprint.
    ///
    /// # Errors
    /// As [`Kernel::source`].
    pub(super) fn fingerprint(&self, family: Family) -> Result<&str> {
        Ok(&self.ready(self.family(family))?.fingerprint)
    }

    fn ready(&self, family: Family) -> Result<&Source> {
        let slot = &self.sources[family as usize];
        match slot.get() {
            Some(ready) => Ok(ready),
            None => {
                let read = self.read(family)?;
                Ok(slot.get_or_init(|| read))
            }
        }
    }

    fn read(&self, family: Family) -> Result<Source> {
        let source = match (family, self.broadcast, self.cooperative) {
            (Family::Broadcast, Some(text), _)
            | (Family::Cooperative8, _, Some([text, _]))
            | (Family::Cooperative16, _, Some([_, text])) => text,
            _ => self.tiled,
        };
        let text = expand(self.name, source, self.parts)?;
        let interfaces = match self.tiles(family) {
            [] => vec![reflect(self.name, &text, &[])?],
            some => some.iter().map(|t| reflect(self.name, &text, &t.overrides())).collect::<Result<_>>()?,
        };
        let hash = Sha256::digest(&text);
        let fingerprint = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Source { text, fingerprint, interfaces })
    }
}

/// How many workgroups run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// One invocation an item; folded into two dimensions by the runtime (`//!use grid` unfolds it).
    Items(usize),
    /// `[columns, rows, batch]` cut into the kernel's tiles of TILE_COLUMNS x TILE_ROWS; one z a batch.
    Tiles([usize; 3]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Unsigned(usize),
    Float(f32),
}

/// A launch: which kernel, on which buffers, with which parameters. Plain data; nothing has happened yet.
#[derive(Clone)]
pub struct Launch {
    pub(super) kernel: &'static Kernel,
    pub(super) buffers: Vec<(&'static str, Buffer, Access)>,
    pub(super) parameters: Vec<(&'static str, Value)>,
    pub(super) overrides: Vec<(&'static str, f64)>,
    pub(super) grid: Grid,
    pub(super) cost: f64,
}

impl Launch {
    /// Starts a launch of `kernel`; it must be given a buffer for each binding and a value for each
    /// parameter.
    pub fn new(kernel: &'static Kernel, grid: Grid) -> Self {
        Launch { kernel, buffers: vec![], parameters: vec![], overrides: vec![], grid, cost: 0.0 }
    }

    /// A buffer that the kernel only reads.
    pub fn read(mut self, name: &'static str, buffer: &Buffer) -> Self {
        self.buffers.push((name, buffer.clone(), Access::Read));
        self
    }

    /// A buffer that the kernel writes.
    pub fn write(mut self, name: &'static str, buffer: &Buffer) -> Self {
        self.buffers.push((name, buffer.clone(), Access::Write));
        self
    }

    /// A u32 parameter; one that does not fit is an error when the launch is packed.
    pub fn set(mut self, name: &'static str, value: usize) -> Self {
        self.parameters.push((name, Value::Unsigned(value)));
        self
    }

    /// An f32 parameter.
    pub fn set_float(mut self, name: &'static str, value: f32) -> Self {
        self.parameters.push((name, Value::Float(value)));
        self
    }

    /// A pipeline override of the WGSL.
    pub fn constant(mut self, name: &'static str, value: f64) -> Self {
        self.overrides.push((name, value));
        self
    }

    /// Floating-point operations (or words moved, where none are computed): what submissions are cut by.
    pub fn cost(mut self, operations: f64) -> Self {
        self.cost = operations;
        self
    }

    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        self.kernel.name
    }

    /// The operations given to [`Launch::cost`].
    pub fn operations(&self) -> f64 {
        self.cost
    }

    /// Bytes of everything that is bound, each binding once: what moves at least, where every word is used.
    pub fn bytes(&self) -> f64 {
        self.buffers.iter().map(|(_, buffer, _)| 4.0 * buffer.words() as f64).sum()
    }

    fn bug(&self, what: String) -> Error {
        Error::internal(format!("launch of {}", self.kernel.name), what)
    }

    /// Checks names and access against the shader and packs the parameters.
    ///
    /// # Errors
    /// Internal: a name that the shader lacks, a binding or parameter that nobody gave, a wrong access or
    /// type.
    pub fn pack(&self, family: Family) -> Result<Vec<u8>> {
        let (_, interface) = self.kernel.source(family)?;
        for binding in &interface.bindings {
            match self.buffers.iter().find(|(n, ..)| *n == binding.name) {
                None => return Err(self.bug(format!("no buffer given for {}", binding.name))),
                Some((_, _, access)) if *access != binding.access => {
                    return Err(self.bug(format!("{} is {:?} in the shader", binding.name, binding.access)));
                }
                Some(_) => {}
            }
        }
        if let Some((n, ..)) =
            self.buffers.iter().find(|(n, ..)| !interface.bindings.iter().any(|b| b.name == *n))
        {
            return Err(self.bug(format!("the shader has no binding {n}")));
        }
        if let Some((n, _)) = self.overrides.iter().find(|(n, _)| !interface.overrides.iter().any(|o| o == n))
        {
            return Err(self.bug(format!("the shader has no override {n}")));
        }
        let mut bytes = vec![0u8; interface.parameter_bytes as usize];
        for parameter in &interface.parameters {
            let at = parameter.offset as usize;
            let word = match self.parameters.iter().find(|(n, _)| *n == parameter.name) {
                Some((_, Value::Unsigned(v))) if !parameter.is_float => {
                    let fits = u32::try_from(*v);
                    fits.map_err(|_| self.bug(format!("{} is {v}", parameter.name)))?.to_le_bytes()
                }
                Some((_, Value::Float(v))) if parameter.is_float => v.to_le_bytes(),
                Some(_) => return Err(self.bug(format!("{} has the wrong type", parameter.name))),
                None => return Err(self.bug(format!("no value given for {}", parameter.name))),
            };
            bytes[at..at + 4].copy_from_slice(&word);
        }
        if let Some((n, _)) =
            self.parameters.iter().find(|(n, _)| !interface.parameters.iter().any(|p| p.name == *n))
        {
            return Err(self.bug(format!("the shader has no parameter {n}")));
        }
        Ok(bytes)
    }

    /// Workgroups along x, y and z, with the tile of this number.
    ///
    /// # Errors
    /// Internal, if the grid is empty or larger than 65,535 workgroups along an axis.
    pub fn groups(&self, family: Family, tile: usize) -> Result<[u32; 3]> {
        let (_, interface) = self.kernel.tiled_source(family, tile)?;
        let groups = match self.grid {
            Grid::Items(n) => {
                let all = n.div_ceil(interface.workgroup[0] as usize);
                let x = all.min(65_535);
                [x, if x == 0 { 0 } else { all.div_ceil(x) }, 1]
            }
            Grid::Tiles([columns, rows, batch]) => {
                let tile = |name: &str| interface.constants.get(name).copied().unwrap_or(1) as usize;
                [columns.div_ceil(tile("TILE_COLUMNS")), rows.div_ceil(tile("TILE_ROWS")), batch]
            }
        };
        if groups.iter().any(|g| *g == 0 || *g > 65_535) {
            return Err(self.bug(format!("a grid of {groups:?} workgroups")));
        }
        Ok(groups.map(|g| g as u32))
    }
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.kernel.name, self.grid, self.parameters)
    }
}
