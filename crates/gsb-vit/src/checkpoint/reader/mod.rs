//! Reading tensors out of files.

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
