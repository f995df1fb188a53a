//! Packed binary Vision Transformers in browsers.
//!
//! [`gsb_packed`] with what a page asks for: predictions, the attention of each layer and head with the
//! groups of its superposition, the bits of each layer, and what the layers of a file take in bytes and
//! operations. For WebAssembly there are bindings, which `npm/` wraps: a package with a worker, types and a
//! build for browsers without SIMD128. Everything else here runs, and is tested, anywhere.

#![deny(clippy::undocumented_unsafe_blocks)]

mod attention;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod bindings;
mod description;
mod model;
mod weights;

pub use attention::HeadAttention;
pub use description::{Description, LayerDescription};
pub use model::{Error, LookedAt, Model};
pub use weights::Weights;
