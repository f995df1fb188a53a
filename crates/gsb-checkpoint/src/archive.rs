//! The zip archive that `torch.save` writes.
//!
//! Its entries are stored, never compressed, so that an entry is a range of the file. Only such
//! entries are read: nothing in the archive can become larger than the file.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::CheckpointError;
use crate::layout::Block;
use crate::source::Source;

/// What every zip archive with entries starts with.
pub(crate) const SIGNATURE: &[u8] = b"PK\x03\x04";

/// Bytes of the record at the end of an archive, without its comment.
const END: u64 = 22;
/// Bytes of the record that says where the 64-bit one is.
const LOCATOR: u64 = 20;
/// Bytes of the 64-bit record.
const END64: u64 = 56;
/// Bytes of a directory entry before its name.
const ENTRY: usize = 46;
/// Bytes in front of the name that an entry's data are preceded by.
const LOCAL: u64 = 30;
/// The longest comment.
const MAX_COMMENT: u64 = u16::MAX as u64;

/// The archive cannot be read: by the operating system, or because of what is in it.
pub(crate) enum Problem {
    Io(io::Error),
    Archive(String),
}

impl Problem {
    /// The same of the file at a path.
    pub(crate) fn of(self, path: &Path) -> CheckpointError {
        let path = path.into();
        match self {
            Self::Io(source) => CheckpointError::Io { path, source },
            Self::Archive(problem) => CheckpointError::Archive { path, problem },
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Archive(problem)
    }
}

/// The directory of an archive: where its entries are.
#[derive(Debug)]
pub(crate) struct Archive {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Where the entry starts in the file.
    at: u64,
    len: u64,
    stored_len: u64,
    method: u16,
    encrypted: bool,
    crc32: u32,
}

impl Archive {
    pub(crate) fn open(source: &mut Source) -> Result<Self, Problem> {
        let (start, len) = directory(source)?;
        if start.checked_add(len).is_none_or(|end| end > source.len()) {
            return Err(Problem::Archive(format!(
                "its directory is said to be {len} bytes at {start}, the file has {}",
                source.len()
            )));
        }
        let bytes = source.read(start, len)?;
        let mut entries = HashMap::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (name, entry, after) = Entry::parse(rest)
                .ok_or_else(|| format!("its directory is broken at entry {}", entries.len() + 1))?;
            if entries.contains_key(name) {
                return Err(Problem::Archive(format!("two entries {name:?}")));
            }
            entries.insert(name.to_owned(), entry);
            rest = after;
        }
        Ok(Self { entries })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Where the data of an entry are; none if there is no such entry.
    pub(crate) fn locate(&self, source: &mut Source, name: &str) -> Result<Option<Block>, Problem> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if entry.encrypted || entry.method != 0 || entry.stored_len != entry.len {
            return Err(Problem::Archive(format!(
                "entry {name:?} is compressed or encrypted, expected one stored as torch.save does"
            )));
        }
        let broken = || format!("entry {name:?} is not where the directory says");
        let size = LOCAL + name.len() as u64;
        if entry
            .at
            .checked_add(size)
            .is_none_or(|end| end > source.len())
        {
            return Err(broken().into());
        }
        let header = source.read(entry.at, size)?;
        let (fixed, own_name) = header.split_at(LOCAL as usize);
        let name_len = u16_at(fixed, 26).unwrap_or_default();
        let padding = u16_at(fixed, 28).unwrap_or_default();
        if !fixed.starts_with(SIGNATURE)
            || usize::from(name_len) != name.len()
            || own_name != name.as_bytes()
        {
            return Err(broken().into());
        }
        let start = entry.at + size + u64::from(padding);
        if start
            .checked_add(entry.len)
            .is_none_or(|end| end > source.len())
        {
            return Err(Problem::Archive(format!(
                "entry {name:?} is said to be {} bytes at {start}, the file has {}",
                entry.len,
                source.len()
            )));
        }
        Ok(Some(Block {
            start,
            len: entry.len,
            // PyTorch writes 0 if it was told to compute none.
            crc32: (entry.crc32 != 0).then_some(entry.crc32),
        }))
    }
}

impl Entry {
    /// The first entry of the rest of a directory, and what comes after it.
    fn parse(bytes: &[u8]) -> Option<(&str, Self, &[u8])> {
        if !bytes.starts_with(b"PK\x01\x02") {
            return None;
        }
        let size = |at| u16_at(bytes, at).map(usize::from);
        let [name_len, extra_len, comment_len] = [size(28)?, size(30)?, size(32)?];
        let extra_at = ENTRY + name_len;
        let name = std::str::from_utf8(bytes.get(ENTRY..extra_at)?).ok()?;
        let extra = bytes.get(extra_at..extra_at + extra_len)?;
        let rest = bytes.get(extra_at + extra_len + comment_len..)?;

        // What does not fit into 32 bits is in the extra field, in this order.
        let mut wide = wide_fields(extra);
        let mut field = |at| {
            let value = u32_at(bytes, at)?;
            if value == u32::MAX {
                let (head, tail) = wide.split_first_chunk::<8>()?;
                wide = tail;
                return Some(u64::from_le_bytes(*head));
            }
            Some(value.into())
        };
        let len = field(24)?;
        let stored_len = field(20)?;
        let at = field(42)?;
        let entry = Self {
            at,
            len,
            stored_len,
            method: u16_at(bytes, 10)?,
            encrypted: u16_at(bytes, 8)? & 1 != 0,
            crc32: u32_at(bytes, 16)?,
        };
        Some((name, entry, rest))
    }
}

/// The 64-bit values of an extra field, empty if there are none.
fn wide_fields(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some((field, rest)) = extra[4..].split_at_checked(len.into()) else {
            break;
        };
        if id == 1 {
            return field;
        }
        extra = rest;
    }
    &[]
}

/// Where the directory starts and how long it is.
fn directory(source: &mut Source) -> Result<(u64, u64), Problem> {
    let missing = || {
        "the end of the archive is missing: the file was cut off, download or copy it again"
            .to_owned()
    };
    let tail_len = source.len().min(LOCATOR + END + MAX_COMMENT);
    let tail = source.read(source.len() - tail_len, tail_len)?;
    let end = tail
        .windows(END as usize)
        .rposition(|window| window.starts_with(b"PK\x05\x06"))
        .ok_or_else(missing)?;

    let locator = end
        .checked_sub(LOCATOR as usize)
        .map(|at| &tail[at..end])
        .filter(|locator| locator.starts_with(b"PK\x06\x07"));
    if let Some(at) = locator.and_then(|locator| u64_at(locator, 8)) {
        if at.checked_add(END64).is_none_or(|end| end > source.len()) {
            return Err(Problem::Archive(format!(
                "the record at its end is said to be at {at}, the file has {} bytes",
                source.len()
            )));
        }
        let record = source.read(at, END64)?;
        if record.starts_with(b"PK\x06\x06")
            && let (Some(len), Some(start)) = (u64_at(&record, 40), u64_at(&record, 48))
        {
            return Ok((start, len));
        }
        return Err(missing().into());
    }
    let (len, start) = u32_at(&tail, end + 12)
        .zip(u32_at(&tail, end + 16))
        .ok_or_else(missing)?;
    Ok((start.into(), len.into()))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u64::from_le_bytes(*b))
}
