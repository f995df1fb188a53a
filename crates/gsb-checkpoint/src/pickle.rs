//! The part of a pickle that tensors are made of.
//!
//! A pickle is a program for a stack machine that can call any Python function. This machine runs
//! the operations without calling anything: calls that make tensors are kept as they stand, for
//! [`rebuild`](crate::rebuild) to read, and everything else becomes a value without content.
//! Of lists only the outermost keeps its items.
//!
//! A hostile pickle finds nothing to blow up: values are 8 bytes and refer to each other by index, so
//! that sharing copies nothing and no function recurses; text stays in the pickle. One byte of the
//! pickle makes at most one value.

/// What is wrong with a pickle, and where.
#[derive(Debug)]
pub(crate) struct Problem {
    pub position: usize,
    pub text: String,
    /// Whether more bytes might have helped.
    pub ends_early: bool,
}

/// The longest tuple that is kept. A call has up to 8 arguments, a shape up to 8 sizes.
const MAX_TUPLE: usize = 16;

/// The longest text that is kept, in bytes: keys and names are short. Each of many references to one
/// text reads it again.
const MAX_TEXT: usize = 1024;

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// Something no tensor is made of.
    Other,
    Bool(bool),
    List,
    /// An integer of 0 or more, below 2^32.
    Int(u32),
    /// An integer of 2^32 or more, by its place among them.
    Wide(u32),
    /// Text, by the position of its operation in the pickle.
    Text(u32),
    /// A function or class that this reader knows.
    Known(Known),
    /// One that it does not know, by the position of the operation that names it.
    Foreign(u32),
    /// What calling a foreign one gave, likewise.
    Object(u32),
    /// The call of a known function: the place of the function, followed by the arguments.
    Call(u32),
    /// What a tensor's data are referred to by: a tuple's length and the place of its first item.
    Storage {
        len: u8,
        at: u32,
    },
    /// A tuple: its length and the place of its first item.
    Tuple {
        len: u8,
        at: u32,
    },
    /// A dictionary, by its number.
    Dict(u32),
}

/// What the memory for a pickle is bounded by.
const _: () = assert!(size_of::<Value>() == 8);

/// Names in a pickle that have a meaning here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Known {
    OrderedDict,
    /// `_rebuild_tensor(storage, offset, shape, strides)`, and the versions with more arguments.
    RebuildTensor,
    /// `_rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype)`.
    RebuildTensorV3,
    /// `_rebuild_parameter(tensor, ...)`.
    RebuildParameter,
    /// `_rebuild_from_type_v2(function, type, arguments, state)`.
    RebuildFromType,
    /// The class of a storage, or the type of its elements.
    Element(crate::ElementType),
    /// A storage of bytes.
    Untyped,
}

impl Known {
    fn find(module: &str, name: &str) -> Option<Self> {
        use crate::ElementType::*;
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorV3,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("torch.storage", "UntypedStorage") => Self::Untyped,
            ("torch", name) => Self::Element(match name {
                "DoubleStorage" | "float64" => F64,
                "FloatStorage" | "float32" => F32,
                "HalfStorage" | "float16" => F16,
                "BFloat16Storage" | "bfloat16" => BF16,
                "LongStorage" | "int64" => I64,
                "IntStorage" | "int32" => I32,
                "ShortStorage" | "int16" => I16,
                "CharStorage" | "int8" => I8,
                "uint32" => U32,
                "uint16" => U16,
                "ByteStorage" | "uint8" => U8,
                "BoolStorage" | "bool" => Bool,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// An entry of a dictionary.
struct Item {
    dict: u32,
    key: u32,
    value: Value,
}

/// What a pickle says, once run.
pub(crate) struct Pickle<'a> {
    bytes: &'a [u8],
    /// The items of tuples and calls.
    places: Vec<Value>,
    wide: Vec<u64>,
    /// The entries of all dictionaries that have text for a key.
    items: Vec<Item>,
    /// The items of a list that is everything.
    listed: Vec<Value>,
    /// What data are referred to by, in order.
    storages: Vec<Value>,
    root: Value,
    len: usize,
}

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

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What was pickled.
    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// The entries of a dictionary in order, those with text for a key.
    pub(crate) fn items(&self, dict: u32) -> impl Iterator<Item = (&'a str, Value)> {
        self.keyed(dict).map(|(key, value)| (self.key(key), value))
    }

    /// The same with keys as [`key`](Self::key) knows them.
    pub(crate) fn keyed(&self, dict: u32) -> impl Iterator<Item = (u32, Value)> {
        let start = self.items.partition_point(|item| item.dict < dict);
        let items = self.items[start..]
            .iter()
            .take_while(move |item| item.dict == dict);
        items.map(|item| (item.key, item.value))
    }

    /// The text of a key.
    pub(crate) fn key(&self, key: u32) -> &'a str {
        text_at(self.bytes, key)
    }

    /// The number of dictionaries; they count from 1.
    pub(crate) fn dicts(&self) -> usize {
        self.items.last().map_or(0, |item| item.dict as usize)
    }

    /// What data are referred to by, in order and as often as they are.
    pub(crate) fn storages(&self) -> impl Iterator<Item = Value> {
        self.storages.iter().copied()
    }

    /// The items of a tuple, a storage or a list that is everything.
    pub(crate) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List => Some(&self.listed),
            value => self.tuple(value),
        }
    }

    /// The items of a tuple or storage.
    pub(crate) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple { len, at } | Value::Storage { len, at } => {
                let at = at as usize;
                self.places.get(at..at + usize::from(len))
            }
            _ => None,
        }
    }

    /// The function and the arguments of a call.
    pub(crate) fn call(&self, value: Value) -> Option<(Value, Value)> {
        match value {
            Value::Call(at) => {
                let at = at as usize;
                Some((*self.places.get(at)?, *self.places.get(at + 1)?))
            }
            _ => None,
        }
    }

    pub(crate) fn size(&self, value: Value) -> Option<usize> {
        match value {
            Value::Int(value) => usize::try_from(value).ok(),
            Value::Wide(at) => usize::try_from(*self.wide.get(at as usize)?).ok(),
            _ => None,
        }
    }

    pub(crate) fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Text(at) => Some(text_at(self.bytes, at)),
            _ => None,
        }
    }

    /// The name of a foreign function or class, or of the one that made an object.
    pub(crate) fn foreign(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Foreign(at) | Value::Object(at) => Some(text_at(self.bytes, at)),
            _ => None,
        }
    }
}

/// The text of the operation at a position: a string, or the name that a global ends with.
///
/// It was read before, when the operation was run.
fn text_at(bytes: &[u8], at: u32) -> &str {
    let mut reader = Reader {
        bytes,
        at: at as usize,
    };
    let text = match reader.byte() {
        Ok(b'c') => reader.global().map(|(_, name)| name),
        Ok(op) => reader.string(op),
        Err(problem) => Err(problem),
    };
    text.unwrap_or_default()
}

/// Takes a pickle apart.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, text: impl Into<String>) -> Result<T, Problem> {
        Err(Problem {
            position: self.at,
            text: text.into(),
            ends_early: false,
        })
    }

    fn ends_early<T>(&self, text: impl Into<String>) -> Result<T, Problem> {
        self.fail(text).map_err(|problem| Problem {
            ends_early: true,
            ..problem
        })
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(len).ok().and_then(|len| rest.get(..len)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => self.ends_early(format!(
                "the pickle ends early, expected {len} more bytes, got {}",
                rest.len()
            )),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Problem> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, len: u64) -> Result<&'a str, Problem> {
        let taken = self.take(len)?;
        match std::str::from_utf8(taken) {
            Ok(text) => Ok(text),
            Err(_) => self.fail("text that is not UTF-8 ends"),
        }
    }

    /// The text of a string operation.
    fn string(&mut self, op: u8) -> Result<&'a str, Problem> {
        let len = match op {
            0x8c | b'U' => self.byte()?.into(),
            b'X' | b'T' => self.u32()?.into(),
            _ => self.u64()?,
        };
        self.text(len)
    }

    fn line(&mut self) -> Result<&'a str, Problem> {
        let rest = &self.bytes[self.at..];
        let Some(len) = rest.iter().position(|&byte| byte == b'\n') else {
            return self.ends_early("a name without an end");
        };
        let line = self.text(len as u64)?;
        self.at += 1;
        Ok(line)
    }

    /// The module and the name of a global operation.
    fn global(&mut self) -> Result<(&'a str, &'a str), Problem> {
        Ok((self.line()?, self.line()?))
    }
}

/// A stack machine.
struct Machine<'a> {
    reader: Reader<'a>,
    stack: Vec<Value>,
    /// The heights of the stack at the open marks.
    marks: Vec<u32>,
    memo: Vec<Value>,
    dicts: u32,
    out: Pickle<'a>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader { bytes, at: 0 },
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
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
            match self.reader.byte()? {
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
                b'.' => {
                    self.out.root = self.pop()?;
                    self.out.len = self.reader.at;
                    return Ok(self.out);
                }

                // Constants, None and booleans.
                b'N' => self.push(Value::Other),
                op @ (0x88 | 0x89) => self.push(Value::Bool(op == 0x88)),
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
                op @ (b'X' | 0x8c | 0x8d) => {
                    let text = self.reader.string(op)?;
                    self.text(text, start);
                }
                // The strings of Python 2: text or bytes.
                op @ (b'U' | b'T') => {
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

                // The stack and the memo.
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
                0x94 => self.put(self.memo.len())?,
                b'h' => {
                    let at = self.reader.byte()?;
                    self.get(at.into())?;
                }
                b'j' => {
                    let at = self.reader.u32()?;
                    self.get(at as usize)?;
                }

                // Containers.
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

                // Functions, classes and their calls.
                b'c' => {
                    let (module, name) = self.reader.global()?;
                    self.push(
                        Known::find(module, name).map_or(Value::Foreign(start), Value::Known),
                    );
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
                op => {
                    return self.reader.fail(format!(
                        "operation 0x{op:02x}, which torch.save does not use,"
                    ));
                }
            }
        }
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
        if let Some(place) = self.memo.get_mut(at) {
            *place = value;
        } else if at == self.memo.len() {
            self.memo.push(value);
        } else {
            let len = self.memo.len();
            return self
                .reader
                .fail(format!("value {at} stored, expected value {len} next,"));
        }
        Ok(())
    }

    fn get(&mut self, at: usize) -> Result<(), Problem> {
        match self.memo.get(at) {
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
