//! WGSL is the only truth: bindings, parameters, constants and workgroup sizes are read from it by naga.

use crate::error::{Error, Result};
use naga::{AddressSpace, Literal, ScalarKind, StorageAccess, TypeInner};
use std::collections::BTreeMap;

/// What a kernel may do with a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// One storage binding of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name in the WGSL.
    pub name: String,
    /// `@binding(n)`.
    pub index: u32,
    /// Declared access.
    pub access: Access,
}

/// One scalar member of the kernel's immediate parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The member's name.
    pub name: String,
    /// Byte offset.
    pub offset: u32,
    /// u32 (false) or f32 (true).
    pub is_float: bool,
}

/// Everything the host has to know about a kernel, read from its WGSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Storage bindings, by index.
    pub bindings: Vec<Binding>,
    /// Members of `var<immediate>`, by offset.
    pub parameters: Vec<Parameter>,
    /// Size of the immediates in bytes.
    pub parameter_bytes: u32,
    /// Module constants that are u32 literals, such as TILE_ROWS; what follows from the tile is among them.
    pub constants: BTreeMap<String, u32>,
    /// Names of the overrides that a launch may set: those that the tile neither sets nor decides.
    pub overrides: Vec<String>,
    /// `@workgroup_size`.
    pub workgroup: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
}

/// WGSL without entry points, by name, that kernels pull in with a line `//!use name`.
pub type Parts = [(&'static str, &'static str)];

/// The WGSL with its `//!use` parts appended.
///
/// # Errors
/// Internal, if a part is not there.
pub(super) fn expand(name: &str, source: &str, parts: &Parts) -> Result<String> {
    let mut text = source.to_string();
    for wanted in source.lines().filter_map(|line| line.strip_prefix("//!use ")) {
        let found = parts.iter().find(|(part, _)| *part == wanted.trim());
        let (_, part) =
            found.ok_or_else(|| Error::internal(format!("kernel {name}"), format!("no part {wanted}")))?;
        text.push('\n');
        text.push_str(part);
    }
    Ok(text)
}

/// Reads the interface of an expanded WGSL text, compiled for a tile (none where the kernel has no tiles).
///
/// # Errors
/// Internal, if the text does not parse or uses what no kernel of ours may use.
pub(super) fn reflect(name: &str, text: &str, tile: &[(&str, f64)]) -> Result<Interface> {
    let bug = |what: String| Error::internal(format!("kernel {name}"), what);
    let parsed =
        naga::front::wgsl::parse_str(text).map_err(|e| bug(e.emit_to_string_with_path(text, name)))?;
    let overrides = settable(&parsed, tile);
    let module = if tile.is_empty() { parsed } else { with_tile(&parsed, tile).map_err(bug)? };
    let entry = match module.entry_points.as_slice() {
        [one] if one.name == "main" => one,
        _ => return Err(bug("wants exactly one entry point, named main".into())),
    };
    let mut interface = Interface {
        bindings: Vec::new(),
        parameters: Vec::new(),
        parameter_bytes: 0,
        constants: constants(&module),
        overrides,
        workgroup: entry.workgroup_size,
        workgroup_bytes: 0,
    };
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| bug(e.to_string()))?;
    for (_, variable) in module.global_variables.iter() {
        let variable_name = variable.name.clone().unwrap_or_default();
        match variable.space {
            AddressSpace::Storage { access } => {
                let index = variable.binding.ok_or_else(|| bug(format!("{variable_name} has no binding")))?;
                let write = access.contains(StorageAccess::STORE);
                interface.bindings.push(Binding {
                    name: variable_name,
                    index: index.binding,
                    access: if write { Access::Write } else { Access::Read },
                });
            }
            AddressSpace::Immediate => {
                let TypeInner::Struct { ref members, span } = module.types[variable.ty].inner else {
                    return Err(bug("immediates must be a struct".into()));
                };
                interface.parameter_bytes = span;
                for member in members {
                    let TypeInner::Scalar(scalar) = module.types[member.ty].inner else {
                        return Err(bug("immediates must be scalars".into()));
                    };
                    interface.parameters.push(Parameter {
                        name: member.name.clone().unwrap_or_default(),
                        offset: member.offset,
                        is_float: scalar.kind == ScalarKind::Float,
                    });
                }
            }
            AddressSpace::WorkGroup => interface.workgroup_bytes += layouter[variable.ty].size,
            _ => {}
        }
    }
    interface.bindings.sort_by_key(|b| b.index);
    Ok(interface)
}

/// Names of the overrides with a plain default that the tile does not set: the others follow from it.
fn settable(module: &naga::Module, tile: &[(&str, f64)]) -> Vec<String> {
    let plain = |o: &naga::Override| {
        o.init.is_none_or(|init| matches!(module.global_expressions[init], naga::Expression::Literal(_)))
    };
    let names = module.overrides.iter().filter(|(_, o)| plain(o)).filter_map(|(_, o)| o.name.clone());
    let mut names: Vec<String> = names.filter(|name| tile.iter().all(|(set, _)| set != name)).collect();
    // naga orders them by their first use, which differs between families.
    names.sort_unstable();
    names
}

/// The module as it is for a tile: workgroup size, workgroup memory and constants are numbers then.
fn with_tile(module: &naga::Module, tile: &[(&str, f64)]) -> std::result::Result<naga::Module, String> {
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    let info = validator.validate(module).map_err(|e| e.to_string())?;
    let values = tile.iter().map(|(name, value)| ((*name).to_string(), *value)).collect();
    let processed = naga::back::pipeline_constants::process_overrides(module, &info, None, &values);
    Ok(processed.map_err(|e| e.to_string())?.0.into_owned())
}

/// Module constants that are u32 literals.
fn constants(module: &naga::Module) -> BTreeMap<String, u32> {
    let literal = |constant: &naga::Constant| match module.global_expressions[constant.init] {
        naga::Expression::Literal(Literal::U32(value)) => Some((constant.name.clone()?, value)),
        _ => None,
    };
    module.constants.iter().filter_map(|(_, constant)| literal(constant)).collect()
}
