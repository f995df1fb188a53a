//! Reading parts of a file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use crate::layout::{Block, Layout};

/// Bytes read at a time where they are not kept.
const CHUNK: usize = 1 << 16;

/// What bytes are read from: a file, or memory.
trait Stored: Read + Seek + Send {}

impl Stored for File {}
impl Stored for Cursor<Vec<u8>> {}

/// An open file, of the length it had when it was opened.
pub(crate) struct Source {
    file: Box<dyn Stored>,
    len: u64,
    /// Where the blocks start whose checksums were found right.
    checked: HashSet<u64>,
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file: Box::new(file),
            len,
            checked: HashSet::new(),
        })
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self {
            len: bytes.len() as u64,
            file: Box::new(Cursor::new(bytes)),
            checked: HashSet::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of the file; those beyond its end are an error, and nothing is allocated for them.
    pub(crate) fn read(&mut self, start: u64, len: u64) -> io::Result<Vec<u8>> {
        let fits = start.checked_add(len).is_some_and(|end| end <= self.len);
        let size = usize::try_from(len).ok().filter(|_| fits).ok_or_else(|| {
            let problem = format!("{len} bytes at {start} leave a file of {}", self.len);
            io::Error::new(io::ErrorKind::UnexpectedEof, problem)
        })?;
        let mut bytes = vec![0; size];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a block has the checksum that the file states, if it states one.
    pub(crate) fn is_intact(&mut self, block: &Block) -> io::Result<bool> {
        let Some(expected) = block.crc32 else {
            return Ok(true);
        };
        if self.checked.contains(&block.start) {
            return Ok(true);
        }
        self.file.seek(SeekFrom::Start(block.start))?;
        let mut hasher = crc32fast::Hasher::new();
        let mut chunk = vec![0; CHUNK];
        let mut left = block.len;
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK as u64) as usize];
            self.file.read_exact(part)?;
            hasher.update(part);
            left -= part.len() as u64;
        }
        let intact = hasher.finalize() == expected;
        if intact {
            self.checked.insert(block.start);
        }
        Ok(intact)
    }

    /// The elements of a tensor, row by row.
    pub(crate) fn elements(&mut self, layout: &Layout) -> io::Result<Vec<u8>> {
        if !self.is_intact(&layout.block)? {
            let problem = "its bytes do not have the checksum that the file states";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let bytes = self.read(layout.block.start + layout.skip, layout.span as u64)?;
        Ok(layout.gather(bytes))
    }
}
