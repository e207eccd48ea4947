//! The opcodes, as in CPython's `pickletools`.

use std::collections::BTreeMap;

use super::{Global, Node, Refused, Storage, Value, global};

/// The machine's state. Fields as Python's own machine has them.
pub(super) struct Machine<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    pub stack: Vec<Value<'a>>,
    /// Heights of the stack at open parentheses.
    pub marks: Vec<usize>,
    pub memo: BTreeMap<u32, Value<'a>>,
    pub nodes: Vec<Node<'a>>,
    pub storages: Vec<Storage<'a>>,
    /// Values put into nodes so far.
    pub items: usize,
}

impl<'a> Machine<'a> {
    /// One opcode; false at the end mark.
    pub fn step(&mut self) -> Refused<bool> {
        let [code] = self.array()?;
        if self.literal(code)? || self.memory(code)? {
            return Ok(true);
        }
        match code {
            b'.' => return Ok(false),
            0x80 => match self.array()? {
                [2 | 3] => {}
                [other] => {
                    return Err(format!("it is a pickle of protocol {other}, and torch.save writes 2"));
                }
            },
            b'}' => self.push(Node::Dict(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.marked()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let items = self.top(count)?;
                self.push(Node::Tuple(items));
            }
            b's' => {
                let items = self.top(2)?;
                self.insert(&items)?;
            }
            b'u' => {
                let items = self.marked()?;
                self.insert(&items)?;
            }
            b'a' => {
                let items = self.top(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(global(module, name)?));
            }
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => self.storage()?,
            other => {
                return Err(format!(
                    "the pickle uses code {other:#04x} at byte {}, unknown here",
                    self.at - 1
                ));
            }
        }
        Ok(true)
    }

    /// Opcodes that put one number, word or constant on the stack; false for any other.
    fn literal(&mut self, code: u8) -> Refused<bool> {
        match code {
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => {
                let number = self.small()?;
                self.stack.push(Value::Int(number as i64));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            0x8a => self.long()?,
            b'G' => {
                self.array::<8>()?;
                self.stack.push(Value::Float);
            }
            b'U' => {
                let count = self.small()?;
                self.text(count)?;
            }
            b'X' | b'T' => {
                let count = self.large()?;
                self.text(count as usize)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that remember the last value under a number and recall it; false for any other.
    fn memory(&mut self, code: u8) -> Refused<bool> {
        match code {
            b'q' => {
                let place = self.small()?;
                self.remember(place as u32)?;
            }
            b'r' => {
                let place = self.large()?;
                self.remember(place)?;
            }
            b'h' => {
                let place = self.small()?;
                self.recall(place as u32)?;
            }
            b'j' => {
                let place = self.large()?;
                self.recall(place)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn array<const N: usize>(&mut self) -> Refused<[u8; N]> {
        let found = self.bytes[self.at..].first_chunk::<N>().ok_or("the pickle ends early")?;
        self.at += N;
        Ok(*found)
    }

    fn small(&mut self) -> Refused<usize> {
        self.array::<1>().map(|[byte]| byte.into())
    }

    fn large(&mut self) -> Refused<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// An integer of up to eight bytes.
    fn long(&mut self) -> Refused<()> {
        let count = self.small()?;
        if count > 8 {
            return Err("the pickle holds an integer beyond 64 bits".into());
        }
        let bytes = self.bytes.get(self.at..self.at + count).ok_or("the pickle ends early")?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..count].copy_from_slice(bytes);
        self.at += count;
        self.stack.push(Value::Int(i64::from_le_bytes(wide)));
        Ok(())
    }

    fn text(&mut self, count: usize) -> Refused<()> {
        let end = self.at.checked_add(count).ok_or("the pickle ends early")?;
        let bytes = self.bytes.get(self.at..end).ok_or("the pickle ends early")?;
        self.at = end;
        self.stack
            .push(Value::Text(std::str::from_utf8(bytes).map_err(|_| "the pickle holds text that is none")?));
        Ok(())
    }

    /// A line, at most 256 bytes long.
    fn line(&mut self) -> Refused<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(256).position(|&b| b == b'\n').ok_or("the pickle ends early")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "the pickle holds a name that is none".into())
    }

    /// Values may be taken down to the last open parenthesis only.
    fn top(&mut self, count: usize) -> Refused<Vec<Value<'a>>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() < floor + count {
            return Err("the pickle takes more than it gave".into());
        }
        self.items += count;
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    pub fn pop(&mut self) -> Refused<Value<'a>> {
        Ok(self.top(1)?[0])
    }

    fn marked(&mut self) -> Refused<Vec<Value<'a>>> {
        let mark = self.marks.pop().ok_or("the pickle closes what it did not open")?;
        self.items += self.stack.len().saturating_sub(mark);
        Ok(self.stack.split_off(mark))
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(Value::Node(self.nodes.len()));
        self.nodes.push(node);
    }

    fn remember(&mut self, place: u32) -> Refused<()> {
        let value = *self.stack.last().ok_or("the pickle remembers nothing")?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Refused<()> {
        let value = self.memo.get(&place).ok_or("the pickle recalls what it did not remember")?;
        self.stack.push(*value);
        Ok(())
    }

    fn under(&mut self) -> Refused<&mut Node<'a>> {
        match self.stack.last() {
            Some(Value::Node(node)) => Ok(&mut self.nodes[*node]),
            _ => Err("the pickle fills something that holds nothing".into()),
        }
    }

    fn insert(&mut self, items: &[Value<'a>]) -> Refused<()> {
        match self.under()? {
            Node::Dict(pairs) if items.len().is_multiple_of(2) => {
                pairs.extend(items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err("the pickle puts keys into something that has none".into()),
        }
    }

    fn append(&mut self, mut items: Vec<Value<'a>>) -> Refused<()> {
        match self.under()? {
            Node::List(list) => {
                list.append(&mut items);
                Ok(())
            }
            _ => Err("the pickle appends to something that is no list".into()),
        }
    }

    /// Takes a tuple: its node and its items.
    fn tuple(&mut self) -> Refused<(usize, &[Value<'a>])> {
        if let Value::Node(node) = self.pop()?
            && let Node::Tuple(items) = &self.nodes[node]
        {
            return Ok((node, items));
        }
        Err("the pickle lacks a tuple where one must be".into())
    }

    /// A function's result, for the functions that are known by what they make.
    fn call(&mut self) -> Refused<()> {
        let (arguments, items) = self.tuple()?;
        let first = items.first().copied();
        let made = match (self.pop()?, first) {
            (Value::Global(Global::OrderedDict), None) => Node::Dict(Vec::new()),
            (Value::Global(Global::OrderedDict), Some(Value::Node(list))) => self.pairs(list)?,
            (Value::Global(Global::RebuildTensor), _) => Node::Tensor(arguments),
            (Value::Global(Global::RebuildParameter | Global::Parameter), first) => {
                Node::Parameter(first.unwrap_or(Value::None))
            }
            _ => return Err("the pickle calls something that makes no tensor".into()),
        };
        self.push(made);
        Ok(())
    }

    /// Python 2 gave an ordered dictionary its items as a list of pairs.
    fn pairs(&mut self, list: usize) -> Refused<Node<'a>> {
        let wrong = || "the pickle fills a dictionary with something other than pairs".to_string();
        // Taken, not copied: a list given to a thousand dictionaries must not multiply.
        let Node::List(items) = &mut self.nodes[list] else { return Err(wrong()) };
        let items = std::mem::take(items);
        let pair = |item: &Value<'a>| match item {
            Value::Node(node) => match &self.nodes[*node] {
                Node::List(pair) | Node::Tuple(pair) => pair.first_chunk().map(|&[key, value]| (key, value)),
                _ => None,
            },
            _ => None,
        };
        items.iter().map(pair).collect::<Option<_>>().map(Node::Dict).ok_or_else(wrong)
    }

    /// Attributes. A dictionary's (`_metadata`) and a tensor's are not ours; an old parameter's first is its
    /// tensor.
    fn build(&mut self) -> Refused<()> {
        let state = self.pop()?;
        let first = match state {
            Value::Node(node) => match &self.nodes[node] {
                Node::Tuple(items) => items.first().copied(),
                _ => None,
            },
            _ => None,
        };
        match (self.under()?, first) {
            (Node::Parameter(tensor), Some(value @ Value::Node(_))) => *tensor = value,
            (Node::Parameter(_) | Node::Dict(_) | Node::Tensor(_), _) => {}
            _ => return Err("the pickle gives attributes to something that has none".into()),
        }
        Ok(())
    }

    /// A persistent id: `("storage", class, key, device, elements[, view])`.
    fn storage(&mut self) -> Refused<()> {
        let wrong = || "the pickle refers to something other than a tensor's storage".to_string();
        let (node, _) = self.tuple()?;
        let Node::Tuple(id) = &self.nodes[node] else { return Err(wrong()) };
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            Value::Int(count),
            ..,
        ] = &id[..]
        else {
            return Err(wrong());
        };
        let mut from = 0;
        if let Some(Value::Node(view)) = id.get(5) {
            // Old files: (key of the view, first element, elements).
            let Node::Tuple(view) = &self.nodes[*view] else { return Err(wrong()) };
            let Some(&Value::Int(first)) = view.get(1) else { return Err(wrong()) };
            from = usize::try_from(first).map_err(|_| wrong())?;
        }
        let count = usize::try_from(count).map_err(|_| wrong())?;
        self.stack.push(Value::Storage(self.storages.len()));
        self.storages.push(Storage { key, dtype, count, from });
        Ok(())
    }
}
