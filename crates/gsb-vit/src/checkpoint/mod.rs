//! Tensors in checkpoint files.
//!
//! [`TensorFile`] reads what `torch.save` writes since PyTorch 1.6 (a zip archive with a pickle) and
//! safetensors. A file is not trusted: nothing in it is executed, and one that is damaged or made to
//! do harm gives a [`CheckpointError`]. What opening and reading allocate is bounded by the size of
//! the file: opening takes at most 32 bytes for each of its bytes, and reading a tensor 10. For
//! files that `torch.save` has written, the bytes of the tensor itself dominate.
//!
//! ```no_run
//! use gsb_vit::checkpoint::TensorFile;
//!
//! let file = TensorFile::open("checkpoint.pth")?;
//! for name in file.names() {
//!     println!("{name}: {:?}", file.read(name)?.shape());
//! }
//! # Ok::<(), gsb_vit::checkpoint::CheckpointError>(())
//! ```

mod archive;
mod element;
mod error;
mod file;
mod layout;
mod pickle;
mod pth;
mod safetensors;
mod source;

pub use element::ElementType;
pub use error::CheckpointError;
pub use file::{TensorFile, TensorInfo};
