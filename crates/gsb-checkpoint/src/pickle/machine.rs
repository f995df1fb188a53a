//! The stack machine that a pickle is a program for.

use super::pickled::{Item, Pickle};
use super::reader::{Problem, Reader};
use super::value::{Known, Value};

/// The longest tuple that is kept. A call has up to 8 arguments, a shape up to 8 sizes.
const MAX_TUPLE: usize = 16;

/// The longest text that is kept, in bytes: keys and names are short. Each of many references to one
/// text reads it again.
const MAX_TEXT: usize = 1024;

impl<'a> Pickle<'a> {
    /// Runs a pickle.
    pub(crate) fn run(bytes: &'a [u8]) -> Result<Self, Problem> {
        if u32::try_from(bytes.len()).is_err() {
            let text = format!("it is {} bytes long, expected less than 4 GiB", bytes.len());
            return Err(Problem {
                position: 0,
                text,
                ends_early: false,
            });
        }
        let mut pickle = Machine::new(bytes).run()?;
        if !pickle.items.is_sorted_by_key(|item| item.dict) {
            // Those of a dictionary stay in their order.
            pickle.items.sort_by_key(|item| item.dict);
        }
        Ok(pickle)
    }
}

/// A stack machine.
struct Machine<'a> {
    reader: Reader<'a>,
    stack: Vec<Value>,
    /// The heights of the stack at the open marks.
    marks: Vec<u32>,
    stored: Vec<Value>,
    dicts: u32,
    out: Pickle<'a>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader { bytes, at: 0 },
            stack: Vec::new(),
            marks: Vec::new(),
            stored: Vec::new(),
            dicts: 0,
            out: Pickle {
                bytes,
                places: Vec::new(),
                wide: Vec::new(),
                items: Vec::new(),
                listed: Vec::new(),
                storages: Vec::new(),
                root: Value::Other,
                len: 0,
            },
        }
    }

    fn run(mut self) -> Result<Pickle<'a>, Problem> {
        loop {
            // The pickle is shorter than 4 GiB.
            let start = self.reader.at as u32;
            let op = self.reader.byte()?;
            if op == b'.' {
                self.out.root = self.pop()?;
                self.out.len = self.reader.at;
                return Ok(self.out);
            }
            let known = self.frame(op)?
                || self.constant(op)?
                || self.bytes(op, start)?
                || self.memo(op)?
                || self.container(op)?
                || self.function(op, start)?;
            if !known {
                return self.reader.fail(format!(
                    "operation 0x{op:02x}, which torch.save does not use,"
                ));
            }
        }
    }

    /// What stands around the others. These functions say whether the operation is one of theirs.
    fn frame(&mut self, op: u8) -> Result<bool, Problem> {
        match op {
            // Protocol.
            0x80 => {
                let version = self.reader.byte()?;
                if !(2..=5).contains(&version) {
                    return self
                        .reader
                        .fail(format!("pickle protocol {version}, expected 2 to 5,"));
                }
            }
            // Frame: how much to read at once.
            0x95 => drop(self.reader.u64()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// None, booleans and numbers.
    fn constant(&mut self, op: u8) -> Result<bool, Problem> {
        match op {
            b'N' => self.push(Value::Other),
            0x88 | 0x89 => self.push(Value::Bool(op == 0x88)),
            b'K' => {
                let value = self.reader.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = self.reader.u16()?;
                self.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = self.reader.u32()? as i32;
                self.push(u32::try_from(value).map_or(Value::Other, Value::Int));
            }
            0x8a => {
                let len = self.reader.byte()?;
                self.long(len.into())?;
            }
            0x8b => {
                let len = self.reader.u32()?;
                self.long(len.into())?;
            }
            b'G' => {
                self.reader.take(8)?;
                self.push(Value::Other);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Text and bytes.
    fn bytes(&mut self, op: u8, start: u32) -> Result<bool, Problem> {
        match op {
            b'X' | 0x8c | 0x8d => {
                let text = self.reader.string(op)?;
                self.text(text, start);
            }
            // The strings of Python 2: text or bytes.
            b'U' | b'T' => {
                let from = self.reader.at;
                match self.reader.string(op) {
                    Ok(text) => self.text(text, start),
                    Err(problem) if problem.ends_early => return Err(problem),
                    Err(_) => {
                        self.reader.at = from;
                        let len = match op {
                            b'U' => self.reader.byte()?.into(),
                            _ => self.reader.u32()?,
                        };
                        self.skip(len.into())?;
                    }
                }
            }
            // Bytes.
            b'C' => {
                let len = self.reader.byte()?;
                self.skip(len.into())?;
            }
            b'B' => {
                let len = self.reader.u32()?;
                self.skip(len.into())?;
            }
            0x8e | 0x96 => {
                let len = self.reader.u64()?;
                self.skip(len)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Marks, the top of the stack and the memo.
    fn memo(&mut self, op: u8) -> Result<bool, Problem> {
        match op {
            b'(' => self.marks.push(self.stack.len() as u32),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'q' => {
                let at = self.reader.byte()?;
                self.put(at.into())?;
            }
            b'r' => {
                let at = self.reader.u32()?;
                self.put(at as usize)?;
            }
            0x94 => self.put(self.stored.len())?,
            b'h' => {
                let at = self.reader.byte()?;
                self.get(at.into())?;
            }
            b'j' => {
                let at = self.reader.u32()?;
                self.get(at as usize)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Tuples, lists, sets and dictionaries.
    fn container(&mut self, op: u8) -> Result<bool, Problem> {
        match op {
            b')' => self.push(Value::Tuple { len: 0, at: 0 }),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let height = self.pop_mark()?;
                self.tuple(self.stack.len() - height)?;
            }
            b']' => self.push(Value::List),
            b'a' => {
                self.expect(1)?;
                self.append(self.stack.len() - 1)?;
            }
            b'e' => {
                let height = self.pop_mark()?;
                self.append(height)?;
            }
            // Sets, empty or of what is above the mark, and lists of an old protocol.
            0x8f => self.push(Value::Other),
            b'l' | 0x91 => {
                let height = self.pop_mark()?;
                self.stack.truncate(height);
                self.push(Value::Other);
            }
            0x90 => {
                let height = self.pop_mark()?;
                self.stack.truncate(height);
                self.top()?;
            }
            b'}' => {
                let dict = self.next_dict();
                self.push(Value::Dict(dict));
            }
            b'd' => {
                let height = self.pop_mark()?;
                let dict = self.next_dict();
                self.fill(dict, height)?;
                self.push(Value::Dict(dict));
            }
            b's' => {
                let height = self.stack.len().saturating_sub(2);
                self.expect(2)?;
                self.set_items(height)?;
            }
            b'u' => {
                let height = self.pop_mark()?;
                self.set_items(height)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Functions and classes, their calls, and storages.
    fn function(&mut self, op: u8, start: u32) -> Result<bool, Problem> {
        match op {
            b'c' => {
                let (module, name) = self.reader.global()?;
                // Whoever asks what it is reads the name again.
                let foreign = match module.len() + name.len() <= MAX_TEXT {
                    true => Value::Foreign(start),
                    false => Value::Other,
                };
                self.push(Known::find(module, name).map_or(foreign, Value::Known));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(at), Some(name), Some(module)) =
                    (name, self.out.text(name), self.out.text(module))
                else {
                    return self.reader.fail("a global without a name");
                };
                self.push(Known::find(module, name).map_or(Value::Foreign(at), Value::Known));
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments);
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(class, arguments);
            }
            // An object's attributes; an ordered dictionary stays what it is.
            b'b' => {
                self.pop()?;
                self.top()?;
            }
            b'Q' => match self.pop()? {
                Value::Tuple { len, at } => {
                    let storage = Value::Storage { len, at };
                    self.out.storages.push(storage);
                    self.push(storage);
                }
                _ => return self.reader.fail("a storage that is not a tuple"),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Fails unless there are as many values above the innermost mark.
    fn expect(&self, count: usize) -> Result<(), Problem> {
        let floor = self.marks.last().map_or(0, |&mark| mark as usize);
        if self.stack.len() < floor + count {
            return self.reader.fail("an operation without enough values");
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        self.expect(1)?;
        Ok(self.stack.pop().unwrap_or(Value::Other))
    }

    fn top(&self) -> Result<Value, Problem> {
        self.expect(1)?;
        Ok(self.stack.last().copied().unwrap_or(Value::Other))
    }

    /// Removes the innermost mark and says where on the stack it was.
    fn pop_mark(&mut self) -> Result<usize, Problem> {
        match self.marks.pop() {
            Some(height) => Ok(height as usize),
            None => self.reader.fail("an operation without a mark"),
        }
    }

    /// Stores the top; Python numbers what it stores in order.
    fn put(&mut self, at: usize) -> Result<(), Problem> {
        let value = self.top()?;
        if let Some(place) = self.stored.get_mut(at) {
            *place = value;
        } else if at == self.stored.len() {
            self.stored.push(value);
        } else {
            let len = self.stored.len();
            return self
                .reader
                .fail(format!("value {at} stored, expected value {len} next,"));
        }
        Ok(())
    }

    fn get(&mut self, at: usize) -> Result<(), Problem> {
        match self.stored.get(at) {
            Some(&value) => self.push(value),
            None => {
                return self
                    .reader
                    .fail(format!("value {at} used, which was not stored,"));
            }
        }
        Ok(())
    }

    /// An integer of any length, in two's complement.
    fn long(&mut self, len: u64) -> Result<(), Problem> {
        let bytes = self.reader.take(len)?;
        let mut value = [0; 8];
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        // A leading zero bit may take a byte of its own.
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        let value = if negative || bytes.len() > value.len() {
            Value::Other
        } else {
            value[..bytes.len()].copy_from_slice(bytes);
            let value = u64::from_le_bytes(value);
            u32::try_from(value).map_or_else(
                |_| {
                    self.out.wide.push(value);
                    Value::Wide(self.out.wide.len() as u32 - 1)
                },
                Value::Int,
            )
        };
        self.push(value);
        Ok(())
    }

    /// Text by the position of its operation, if it is short enough to be of use.
    fn text(&mut self, text: &str, start: u32) {
        self.push(match text.len() <= MAX_TEXT {
            true => Value::Text(start),
            false => Value::Other,
        });
    }

    fn skip(&mut self, len: u64) -> Result<(), Problem> {
        self.reader.take(len)?;
        self.push(Value::Other);
        Ok(())
    }

    /// Makes a tuple of values on top of the stack.
    fn tuple(&mut self, len: usize) -> Result<(), Problem> {
        self.expect(len)?;
        let height = self.stack.len() - len;
        let at = self.out.places.len() as u32;
        let value = match u8::try_from(len) {
            Ok(len) if usize::from(len) <= MAX_TUPLE => {
                self.out.places.extend_from_slice(&self.stack[height..]);
                Value::Tuple { len, at }
            }
            _ => Value::Other,
        };
        self.stack.truncate(height);
        self.push(value);
        Ok(())
    }

    /// Moves values from the stack into the list below them.
    fn append(&mut self, height: usize) -> Result<(), Problem> {
        // Nothing else is on the stack when the items of the outermost list come.
        if height == 1 && self.marks.is_empty() && self.stack[0] == Value::List {
            let (values, listed) = (&self.stack[height..], &mut self.out.listed);
            if values.len() > listed.len() {
                listed.reserve_exact(values.len());
            }
            listed.extend_from_slice(values);
        }
        self.stack.truncate(height);
        self.top().map(drop)
    }

    fn next_dict(&mut self) -> u32 {
        self.dicts += 1;
        self.dicts
    }

    /// Moves pairs from the stack into the dictionary below them.
    fn set_items(&mut self, height: usize) -> Result<(), Problem> {
        let below = height.checked_sub(1).and_then(|at| self.stack.get(at));
        match below.copied() {
            Some(Value::Dict(dict)) => self.fill(dict, height)?,
            // An object that behaves like a dictionary is one from now on.
            Some(Value::Object(_)) => {
                let dict = self.next_dict();
                self.fill(dict, height)?;
                self.stack[height - 1] = Value::Dict(dict);
            }
            Some(_) => self.stack.truncate(height),
            None => return self.reader.fail("entries without a dictionary"),
        }
        self.top().map(drop)
    }

    /// Moves pairs from the stack into a dictionary.
    fn fill(&mut self, dict: u32, height: usize) -> Result<(), Problem> {
        let pairs = &self.stack[height..];
        if !pairs.len().is_multiple_of(2) {
            return self.reader.fail("a dictionary's key without a value");
        }
        for pair in pairs.chunks_exact(2) {
            if let (Value::Text(key), value) = (pair[0], pair[1]) {
                self.out.items.push(Item { dict, key, value });
            }
        }
        self.stack.truncate(height);
        Ok(())
    }

    /// Stands for a call.
    fn call(&mut self, function: Value, arguments: Value) {
        let empty = matches!(arguments, Value::Tuple { len: 0, .. });
        let value = match function {
            Value::Known(Known::OrderedDict) if empty => Value::Dict(self.next_dict()),
            Value::Known(
                Known::RebuildTensor
                | Known::RebuildTensorV3
                | Known::RebuildParameter
                | Known::RebuildFromType,
            ) => {
                let at = self.out.places.len() as u32;
                self.out.places.extend([function, arguments]);
                Value::Call(at)
            }
            Value::Foreign(name) => Value::Object(name),
            _ => Value::Other,
        };
        self.push(value);
    }
}
