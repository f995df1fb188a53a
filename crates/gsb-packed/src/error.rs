//! What can go wrong.

use std::path::PathBuf;

/// A failure to read, write, build or run a packed model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with a file; the source says what.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Its reason.
        source: std::io::Error,
    },
    /// The bytes are not those that were written.
    #[error(
        "damaged: its contents do not match its checksum; copy it again from where it was whole, or \
         pack the model again"
    )]
    Damaged,
    /// The bytes are not a `safetensors` file.
    #[error("not a safetensors file, or a damaged one: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The file is a `safetensors` file of something else.
    #[error(
        "not a packed model: the metadata entry \"format\" is {found}, expected \"gsb-packed\""
    )]
    NotPacked {
        /// The entry, quoted, or `missing`.
        found: String,
    },
    /// The file was written in a version of the format that this library does not know.
    #[error("packed model of format version {found}, this library reads those up to {known}")]
    Version {
        /// Version of the file.
        found: String,
        /// The last version that can be read.
        known: u32,
    },
    /// An entry of the file's metadata is missing or malformed.
    #[error("metadata entry \"{key}\": {reason}")]
    Metadata {
        /// Name of the entry.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A number of the configuration is impossible or beyond the limits.
    #[error("{field} is {value}, expected {expected}")]
    Config {
        /// What the number is.
        field: &'static str,
        /// The number.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A tensor is not in the file.
    #[error("tensor \"{tensor}\" is missing")]
    MissingTensor {
        /// Name of the tensor.
        tensor: String,
    },
    /// The file holds a tensor that the format does not know.
    #[error("tensor \"{tensor}\" does not belong to a packed model of this configuration")]
    UnknownTensor {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor has another type or shape than the configuration says.
    #[error("tensor \"{tensor}\" is {found}, expected {expected}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// Type and shape in the file.
        found: String,
        /// Type and shape that belong there.
        expected: String,
    },
    /// A tensor holds a value that it must not hold.
    #[error("tensor \"{tensor}\" holds {value} at {index}, expected {expected}")]
    Value {
        /// Name of the tensor.
        tensor: String,
        /// The value.
        value: String,
        /// Its position in the flattened tensor.
        index: usize,
        /// What may be there.
        expected: &'static str,
    },
    /// The length of a list does not go with the configuration.
    #[error("{what} has {found} entries, expected {expected}")]
    Length {
        /// Whose length.
        what: String,
        /// The length.
        found: usize,
        /// The length that the configuration asks for.
        expected: usize,
    },
    /// An image does not have the size of the model's input.
    #[error("an image of {found} values, expected {expected} ({shape})")]
    Image {
        /// Number of values given.
        found: usize,
        /// Number of values of the model's input.
        expected: usize,
        /// Their arrangement.
        shape: String,
    },
    /// A picture cannot be read.
    #[cfg(feature = "image")]
    #[error(transparent)]
    Picture(#[from] gsb_image::Error),
    /// `GSB_FORCE_ISA` names an instruction set that is unknown or that the machine lacks.
    #[error("GSB_FORCE_ISA: instruction set \"{name}\" is {problem}; available here: {available}")]
    Isa {
        /// The name.
        name: String,
        /// Unknown or not available.
        problem: &'static str,
        /// Names that would do.
        available: String,
    },
    /// `GSB_FORCE_PRODUCT` names a way of binary products that is unknown or that the machine lacks.
    #[error("GSB_FORCE_PRODUCT: product \"{name}\" is {problem}; known: {known}")]
    Product {
        /// The name.
        name: String,
        /// Unknown or not available.
        problem: &'static str,
        /// Names that would do.
        known: String,
    },
}
