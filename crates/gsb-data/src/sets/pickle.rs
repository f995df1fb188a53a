//! Python's pickle format, as far as bytes, numbers, lists and arrays of them go.
//!
//! A pickle is a program for a machine with a stack. Nothing that it names is called: of a call the
//! arguments are kept. See Python's `pickletools` for the instructions.

/// More values than any file of a data set has.
const MAX_VALUES: usize = 1 << 24;

/// What a pickle holds; values name each other by their places.
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: usize,
}

enum Value<'a> {
    /// Bytes, or text as UTF-8.
    Bytes(&'a [u8]),
    Int(i64),
    /// A list, a tuple, or the arguments of a call and the state that was set afterwards.
    Items(Vec<usize>),
    /// Keys and values of a dictionary in turns.
    Pairs(Vec<usize>),
    /// None, a float, a class: nothing that is asked for.
    Other,
}

impl<'a> Pickle<'a> {
    /// Takes a pickle apart.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine {
            rest: bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            kept: Vec::new(),
        };
        let root = machine.run().map_err(|problem| {
            let place = bytes.len() - machine.rest.len();
            format!("not a pickle of numbers and bytes: {problem} at byte {place}")
        })?;
        Ok(Self {
            values: machine.values,
            root,
        })
    }

    /// The place of the value of a key of the outermost dictionary.
    fn entry(&self, key: &str) -> Result<usize, String> {
        let pairs = match &self.values[self.root] {
            Value::Pairs(pairs) => &pairs[..],
            _ => &[],
        };
        let found = pairs.chunks_exact(2).find(
            |pair| matches!(self.values[pair[0]], Value::Bytes(bytes) if bytes == key.as_bytes()),
        );
        found
            .map(|pair| pair[1])
            .ok_or_else(|| format!("it has no entry {key:?}"))
    }

    fn items(&self, key: &str) -> Result<impl ExactSizeIterator<Item = &Value<'a>>, String> {
        match &self.values[self.entry(key)?] {
            Value::Items(items) => Ok(items.iter().map(|&item| &self.values[item])),
            _ => Err(format!("{key:?} is not a list")),
        }
    }

    /// A list of integers.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, String> {
        let integer = |value: &Value| match value {
            Value::Int(integer) => Ok(*integer),
            _ => Err(format!("{key:?} is not a list of integers")),
        };
        self.items(key)?.map(integer).collect()
    }

    /// A list of that number of strings.
    pub fn strings(&self, key: &str, len: usize) -> Result<Vec<String>, String> {
        let string = |value: &Value| match value {
            Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        };
        let items = self.items(key)?;
        // Two bytes are enough to name the same long string once more.
        if items.len() != len {
            return Err(format!(
                "{key:?} is a list of {}, expected {len}",
                items.len()
            ));
        }
        let strings: Option<_> = items.map(string).collect();
        strings.ok_or_else(|| format!("{key:?} is not a list of strings"))
    }

    /// The bytes of an array of that number of them, which lie among arguments or state of a call.
    pub fn array(&self, key: &str, len: usize) -> Result<&'a [u8], String> {
        /// Arguments and state, and what is in them.
        const DEPTH: usize = 2;
        let mut places = vec![self.entry(key)?];
        // A list may hold another a thousand times, which holds another a thousand times.
        let mut seen = vec![false; self.values.len()];
        for _ in 0..=DEPTH {
            let mut inner = Vec::new();
            for place in places {
                if std::mem::replace(&mut seen[place], true) {
                    continue;
                }
                match &self.values[place] {
                    Value::Bytes(bytes) if bytes.len() == len => return Ok(bytes),
                    Value::Items(items) => inner.extend(items),
                    _ => {}
                }
            }
            places = inner;
        }
        Err(format!("{key:?} is not an array of {len} bytes"))
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<usize>,
    /// Heights of the stack where lists begin.
    marks: Vec<usize>,
    kept: Vec<usize>,
}

const END: &str = "the file ends too early";
const MANY: &str = "too many values";
const EMPTY: &str = "an instruction without its values";

impl<'a> Machine<'a> {
    /// The place of the value that the pickle leaves.
    fn run(&mut self) -> Result<usize, &'static str> {
        loop {
            let [instruction] = self.take_array()?;
            if instruction == b'.' {
                return self.pop();
            }
            let known = self.frame(instruction)?
                || self.scalar(instruction)?
                || self.container(instruction)?
                || self.memo(instruction)?;
            if !known {
                return Err("an unknown instruction");
            }
        }
    }

    /// Protocol and frame. These functions say whether the instruction is one of theirs.
    fn frame(&mut self, instruction: u8) -> Result<bool, &'static str> {
        match instruction {
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Bytes, text, numbers and names of what would be called.
    fn scalar(&mut self, instruction: u8) -> Result<bool, &'static str> {
        match instruction {
            // Bytes and text.
            b'U' | b'C' | 0x8C => self.bytes(1)?,
            b'T' | b'B' | b'X' => self.bytes(4)?,
            0x8E | 0x8D | 0x96 => self.bytes(8)?,
            // Integers.
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let integer = i32::from_le_bytes(self.take_array()?);
                self.push(Value::Int(integer.into()))?;
            }
            0x8A => {
                let [len] = self.take_array()?;
                self.long(len.into())?;
            }
            // None, false, true, a float.
            b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
            b'G' => {
                self.skip(8)?;
                self.push(Value::Other)?;
            }
            // Names of what would be called.
            b'c' => {
                self.line()?;
                self.line()?;
                self.push(Value::Other)?;
            }
            0x93 => {
                self.pop()?;
                self.pop()?;
                self.push(Value::Other)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lists, tuples, dictionaries, and calls, whose arguments are kept.
    fn container(&mut self, instruction: u8) -> Result<bool, &'static str> {
        match instruction {
            b'(' => {
                if self.marks.len() == MAX_VALUES {
                    return Err(MANY);
                }
                self.marks.push(self.stack.len());
            }
            b']' | b')' => self.push(Value::Items(Vec::new()))?,
            b'}' => self.push(Value::Pairs(Vec::new()))?,
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Items(items))?;
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(instruction - 0x84))?;
                self.push(Value::Items(items))?;
            }
            b'a' => self.append(1)?,
            b's' => self.append(2)?,
            b'e' | b'u' => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            // A call, and the state of what it made.
            b'R' | 0x81 => {
                let called = self.pop_many(2)?;
                self.push(Value::Items(vec![called[1]]))?;
            }
            b'b' => self.append(1)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What is kept for later.
    fn memo(&mut self, instruction: u8) -> Result<bool, &'static str> {
        match instruction {
            b'q' => {
                let [place] = self.take_array()?;
                self.keep(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.take_array()?);
                self.keep(place as usize)?;
            }
            0x94 => self.keep(self.kept.len())?,
            b'h' => {
                let [place] = self.take_array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.take_array()?);
                self.recall(place as usize)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(END)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(END)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn skip(&mut self, len: usize) -> Result<(), &'static str> {
        self.take(len).map(drop)
    }

    fn line(&mut self) -> Result<(), &'static str> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        self.skip(end.ok_or(END)? + 1)
    }

    /// An unsigned integer of up to eight bytes, the lowest first.
    fn unsigned(&mut self, len: usize) -> Result<u64, &'static str> {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.take(len)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self, len_of_len: usize) -> Result<(), &'static str> {
        let len = usize::try_from(self.unsigned(len_of_len)?).map_err(|_| END)?;
        let bytes = self.take(len)?;
        self.push(Value::Bytes(bytes))
    }

    fn integer(&mut self, len: usize) -> Result<(), &'static str> {
        let integer = self.unsigned(len)?;
        self.push(Value::Int(integer as i64))
    }

    /// A signed integer of any length.
    fn long(&mut self, len: usize) -> Result<(), &'static str> {
        let bytes = self.take(len)?;
        let value = match bytes.last() {
            None => Value::Int(0),
            Some(_) if len > 8 => Value::Other,
            Some(&highest) => {
                let filling = if highest < 0x80 { 0 } else { 0xFF };
                let mut all = [filling; 8];
                all[..len].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(all))
            }
        };
        self.push(value)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), &'static str> {
        if self.values.len() == MAX_VALUES {
            return Err(MANY);
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<usize, &'static str> {
        self.stack.pop().ok_or(EMPTY)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<usize>, &'static str> {
        let start = self.stack.len().checked_sub(count).ok_or(EMPTY)?;
        Ok(self.stack.split_off(start))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<usize>, &'static str> {
        let mark = self.marks.pop().ok_or(EMPTY)?;
        if mark > self.stack.len() {
            return Err(EMPTY);
        }
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, count: usize) -> Result<(), &'static str> {
        let items = self.pop_many(count)?;
        self.extend(items)
    }

    /// Adds to what is on top of the stack.
    fn extend(&mut self, more: Vec<usize>) -> Result<(), &'static str> {
        let &top = self.stack.last().ok_or(EMPTY)?;
        match &mut self.values[top] {
            Value::Items(items) | Value::Pairs(items) => items.extend(more),
            _ => return Err(EMPTY),
        }
        Ok(())
    }

    fn keep(&mut self, place: usize) -> Result<(), &'static str> {
        let &top = self.stack.last().ok_or(EMPTY)?;
        // Python numbers them as they come: there is none without a value.
        if place > self.values.len() + 1024 {
            return Err("a leap in the memo");
        }
        if place >= self.kept.len() {
            self.kept.resize(place + 1, top);
        }
        self.kept[place] = top;
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), &'static str> {
        if self.stack.len() >= MAX_VALUES {
            return Err(MANY);
        }
        self.stack.push(*self.kept.get(place).ok_or(EMPTY)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"labels": [3, 300, -2], "names": ["a"], "data": numpy.array([[1, 2], [3, 4]], "uint8")}`, as Python 2
    /// writes it.
    const TWO: &[u8] = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03M\x2C\x01J\xFE\xFF\xFF\xFFeU\x05names\
        q\x04]q\x05U\x01aaU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\
        \x85U\x01b\x87Rq\x09(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x0AU\x02u1K\x00K\x01\x87Rq\x0B(K\x03U\x01|NNN\
        J\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\x00tb\x89U\x04\x01\x02\x03\x04tbu.";

    /// The same array alone, as Python 3 with protocol 5 writes it.
    const FIVE: &[u8] = b"\x80\x05\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94\x8C\x04data\x94\x8C\x12numpy.core.numeric\
        \x94\x8C\x0B_frombuffer\x94\x93\x94(\x96\x04\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x94\x8C\x05numpy\x94\
        \x8C\x05dtype\x94\x93\x94\x8C\x02u1\x94\x89\x88\x87\x94R\x94K\x02K\x02\x86\x94\x8C\x01C\x94t\x94R\x94s.";

    #[test]
    fn lists_and_arrays_are_read() {
        let pickle = Pickle::parse(TWO).unwrap();
        assert_eq!(pickle.integers("labels").unwrap(), [3, 300, -2]);
        assert_eq!(pickle.strings("names", 1).unwrap(), ["a"]);
        for file in [TWO, FIVE] {
            let pickle = Pickle::parse(file).unwrap();
            assert_eq!(pickle.array("data", 4).unwrap(), [1, 2, 3, 4]);
            assert!(pickle.array("data", 5).is_err());
        }
        assert_eq!(
            pickle.integers("names").unwrap_err(),
            "\"names\" is not a list of integers"
        );
        assert_eq!(
            pickle.strings("names", 2).unwrap_err(),
            "\"names\" is a list of 1, expected 2"
        );
        assert_eq!(
            pickle.strings("classes", 1).unwrap_err(),
            "it has no entry \"classes\""
        );
    }

    #[test]
    fn no_damage_is_a_panic() {
        for file in [TWO, FIVE] {
            for end in 0..file.len() {
                assert!(Pickle::parse(&file[..end]).is_err(), "{end}");
            }
            for place in 0..file.len() {
                for value in 0..=255 {
                    let mut bytes = file.to_vec();
                    bytes[place] = value;
                    if let Ok(pickle) = Pickle::parse(&bytes) {
                        let _ = pickle.integers("labels");
                        let _ = pickle.strings("names", 1);
                        let _ = pickle.array("data", 4);
                    }
                }
            }
        }
        // A list in a list, without an end.
        let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
        assert!(Pickle::parse(&deep).unwrap().array("data", 4).is_err());
    }

    #[test]
    fn what_a_file_repeats_takes_no_memory() {
        // A list of a list of a list of a number, each ten thousand times: together more than any memory holds.
        let list = |memo: u8, item: &[u8]| {
            let items = item.repeat(10_000);
            [&[b']', b'q', memo, b'('][..], &items, b"e"].concat()
        };
        let lists = [list(0, b"K\x07"), list(1, b"h\x00"), list(2, b"h\x01")].concat();
        let file = [&lists[..], b"}U\x04datah\x02s."].concat();
        assert!(Pickle::parse(&file).unwrap().array("data", 4).is_err());

        // A long string, named again and again.
        let names = list(0, b"h\x01");
        let long = [&b"X\xA0\x86\x01\x00"[..], &b"x".repeat(100_000), b"q\x01"].concat();
        let file = [&long[..], &names, b"}U\x05namesh\x00s."].concat();
        assert_eq!(
            Pickle::parse(&file)
                .unwrap()
                .strings("names", 10)
                .unwrap_err(),
            "\"names\" is a list of 10000, expected 10"
        );

        // Places of the memo without values.
        let leap = |place: u32| [b"r", &place.to_le_bytes()[..]].concat();
        let leaps: Vec<u8> = (1..=100).flat_map(|index| leap(1000 * index)).collect();
        assert!(Pickle::parse(&[b"N", &leaps[..], b"."].concat()).is_err());
    }
}
