//! What can be wrong with a checkpoint file.

use std::path::PathBuf;

/// Errors of reading a checkpoint file. Each names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system could not open or read the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder where a file was expected.
    #[error("{}: a folder, expected a checkpoint file{hint}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Which file in it may be meant.
        hint: String,
    },
    /// The file starts like no format that is read.
    #[error(
        "{}: neither a checkpoint of torch.save nor a safetensors file: it starts with {start}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        start: String,
    },
    /// A file of another kind, known and not read.
    #[error("{}: {format} is not read: {remedy}", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        format: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The archive of a `.pth` file is broken, or one that `torch.save` does not write.
    #[error("{}: {problem}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The entry, and what was expected of it.
        problem: String,
    },
    /// The pickle of a `.pth` file is broken.
    #[error("{}, entry {entry:?}: {problem} at byte {position}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The archive's entry that holds the pickle.
        entry: String,
        /// Where in the entry.
        position: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The header of a safetensors file is broken.
    #[error("{}, safetensors header: {problem}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The file is sound, but holds no dictionary of tensors.
    #[error("{}: no tensors: {reason}", path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
        /// What it holds, and what a checkpoint should hold.
        reason: String,
    },
    /// An average of the weights was asked for, and there is none.
    #[error(
        "{}: no average of the weights beside them: leave out --ema to take the weights",
        path.display()
    )]
    NoAverage {
        /// The file.
        path: PathBuf,
    },
    /// A tensor of the file is inconsistent, damaged or of a kind that is not read.
    #[error("{}, tensor {name:?}: {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The file has no tensor of that name.
    #[error("{}: no tensor {name:?} among its {count} tensors", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// How many tensors the file has.
        count: usize,
    },
}
