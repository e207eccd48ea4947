//! A stack machine for the part of Python's pickle language that `torch.save` needs for tensors.
//!
//! Protocols 2 and 3. Values refer to each other by index, so that neither cycles nor depth can hurt; names
//! of Python objects are looked up in one short list and nothing is ever called.

use std::collections::BTreeMap;

mod machine;

use machine::Machine;

/// Open parentheses and values on the stack at most: Python itself appends in batches of 1,000.
const DEEPEST: usize = 16_384;
/// Bytes of memory allowed for what a pickle builds, for each of its bytes. Real checkpoints take about a
/// third of that.
const MOST_MEMORY: usize = 20;

/// A refusal in words, without the file.
pub(super) type Refused<T> = Result<T, String>;

/// What a name in the pickle stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Parameter,
    /// The element type that a storage class holds.
    Storage(Dtype),
}

/// A storage class's element type: its name and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dtype {
    pub name: &'static str,
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    None,
    Bool,
    Int(i64),
    Float,
    Text(&'a str),
    Global(Global),
    Node(usize),
    Storage(usize),
}

#[derive(Debug)]
pub(super) enum Node<'a> {
    Dict(Vec<(Value<'a>, Value<'a>)>),
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    /// The node of the arguments of `_rebuild_tensor`, a tuple.
    Tensor(usize),
    Parameter(Value<'a>),
}

/// A storage that a tensor looks into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub dtype: Dtype,
    /// Elements.
    pub count: usize,
    /// Elements between the keyed storage's beginning and this one's (old files' views).
    pub from: usize,
}

/// A pickle read to its end.
pub(super) struct Pickle<'a> {
    pub root: Value<'a>,
    pub nodes: Vec<Node<'a>>,
    pub storages: Vec<Storage<'a>>,
    /// Bytes up to and with the end mark.
    pub length: usize,
}

/// Reads the pickle at the beginning of some bytes.
pub(super) fn load(bytes: &[u8]) -> Refused<Pickle<'_>> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        nodes: Vec::new(),
        storages: Vec::new(),
        items: 0,
    };
    let most = (256 << 10) + MOST_MEMORY.saturating_mul(bytes.len());
    while machine.step()? {
        let memory = machine.nodes.len() * size_of::<Node>() + machine.items * size_of::<Value>();
        if machine.stack.len() > DEEPEST || machine.marks.len() > DEEPEST || memory > most {
            return Err("the pickle is nested or filled beyond all sense".into());
        }
    }
    let root = machine.pop()?;
    Ok(Pickle { root, nodes: machine.nodes, storages: machine.storages, length: machine.at })
}

/// The few names that are known. Everything else could be a program.
fn global(module: &str, name: &str) -> Refused<Global> {
    let storage = |name, bytes| Ok(Global::Storage(Dtype { name, bytes }));
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
        ("torch.nn.parameter", "Parameter") => Ok(Global::Parameter),
        ("torch", "FloatStorage") => storage("f32", 4),
        ("torch", "HalfStorage") => storage("f16", 2),
        ("torch", "BFloat16Storage") => storage("bf16", 2),
        ("torch", "DoubleStorage") => storage("f64", 8),
        ("torch", "LongStorage") => storage("i64", 8),
        ("torch", "IntStorage") => storage("i32", 4),
        ("torch", "ShortStorage") => storage("i16", 2),
        ("torch", "CharStorage") => storage("i8", 1),
        ("torch", "ByteStorage") => storage("u8", 1),
        ("torch", "BoolStorage") => storage("bool", 1),
        _ => Err(format!("{}.{} is not a tensor", module.escape_debug(), name.escape_debug())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "pickle/tests.rs"]
mod tests;
