//! The bytes of a pickle, operation by operation.

/// What is wrong with a pickle, and where.
#[derive(Debug)]
pub(crate) struct Problem {
    pub position: usize,
    pub text: String,
    /// Whether more bytes might have helped.
    pub ends_early: bool,
}

/// Takes a pickle apart.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn fail<T>(&self, text: impl Into<String>) -> Result<T, Problem> {
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

    pub fn take(&mut self, len: u64) -> Result<&'a [u8], Problem> {
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

    pub fn byte(&mut self) -> Result<u8, Problem> {
        self.array().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Problem> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Problem> {
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
    pub fn string(&mut self, op: u8) -> Result<&'a str, Problem> {
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
    pub fn global(&mut self) -> Result<(&'a str, &'a str), Problem> {
        Ok((self.line()?, self.line()?))
    }
}
