//! The packed file.
//!
//! A `safetensors` file. Its metadata are strings:
//!
//! | entry | content |
//! | --- | --- |
//! | `checksum` | eight hexadecimal digits: CRC-32 of the whole file, these digits taken as zeros |
//! | `format` | `gsb-packed` |
//! | `version` | `2` |
//! | `config` | [`PackedConfig`](crate::PackedConfig) as JSON |
//! | `class_names` | list of names as JSON, one for each class |
//! | `preprocessing` | [`Preprocessing`] as JSON |
//! | `provenance` | map of strings as JSON: where the network comes from |
//!
//! The header begins with the checksum. Version 1 is the same without it, and is read as well.
//!
//! Tensors are named `layer.part`, the layer as in `gsb`'s cost accounting. Binary weights are `U8`,
//! one bit a weight, rows (outputs) one after another without gaps, the lowest bit first, padded to
//! whole bytes at the end of the tensor; 1 is +1, 0 is -1. Weights of `b` bits are `I8` if `b` is 8,
//! else `U8`, packed the same way in two's complement of `b` bits. Where a weight of one bit is 0 (a
//! tie), its bit is 0 and a `U32` tensor `layer.weight.zeros` lists its position. Everything else is
//! `F32`, but the attention shift, which may be [stored smaller](ShiftStorage).

mod checksum;
mod contents;
mod read;
mod shift;
mod write;

pub use contents::{FORMAT_VERSION, PackedFile, Preprocessing, ShiftStorage};

pub(crate) use read::{with_bytes, with_reader};
pub(crate) use shift::StoredShift;

use std::path::Path;

use crate::Error;

impl PackedFile {
    /// Reads the contents of a file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they are not what was written; otherwise what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        read::read(bytes)
    }

    /// Reads a file.
    ///
    /// It is mapped into memory meanwhile: nobody may change it in place or cut it short until this
    /// returns. To replace it, as [`write`](Self::write) does, is no change of it.
    ///
    /// # Errors
    /// [`Error::File`] with what is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        read::with_bytes(path.as_ref(), Self::from_bytes)
    }

    /// Whether a file begins as those that [`write`](Self::write) writes, be the rest damaged or not.
    pub fn is_in(path: impl AsRef<Path>) -> bool {
        checksum::begins(path.as_ref()).unwrap_or(false)
    }

    /// The contents as bytes of a file.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); [`Error::Value`] of a shift that would be infinite as it is
    /// stored.
    pub fn to_bytes(&self, shifts: ShiftStorage) -> Result<Vec<u8>, Error> {
        self.validate()?;
        write::bytes(self, shifts)
    }

    /// The smallest storage that keeps every attention shift as it is: 8 or 16 bits for a student that was trained
    /// with shifts of that number, else 32.
    pub fn exact_storage(&self) -> ShiftStorage {
        let heads = self.network.config.heads;
        let shifts = || {
            self.network
                .blocks
                .iter()
                .map(|block| &block.attention.attention_shift)
        };
        [ShiftStorage::I8, ShiftStorage::F16]
            .into_iter()
            .find(|&storage| shifts().all(|shift| write::keeps(storage, shift, heads)))
            .unwrap_or_default()
    }

    /// Writes a file with everything as it is, in the [smallest storage](Self::exact_storage) that does so; see
    /// [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write), of which a shift never is the cause.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.write(path, self.exact_storage())
    }

    /// Writes a file: a temporary one beside it, which then takes its place. A failure leaves no
    /// file, or the one that was there before.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), before anything is written; [`Error::File`] if the file cannot
    /// be written.
    pub fn write(&self, path: impl AsRef<Path>, shifts: ShiftStorage) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_bytes(shifts)?;
        write::replace(path, &bytes).map_err(|error| error.of_file(path))
    }
}

impl Error {
    fn of_file(self, path: &Path) -> Self {
        Self::File {
            path: path.into(),
            source: Box::new(self),
        }
    }
}
