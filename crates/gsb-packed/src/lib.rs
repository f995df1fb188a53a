//! Binary Vision Transformers run as bits.
//!
//! A student of Group Superposition Binarization (GSB, arXiv 2305.07931) has binary weights and
//! activations. This crate executes them as bits: products are population counts, and everything
//! between two binarizers is folded into comparisons of counts. It does not depend on a training framework; a
//! [`PackedNetwork`] is plain data, which a packer fills and a [packed file](PackedFile) holds.
//!
//! ```
//! use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, PackedModel, Random, ShiftStorage};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("student.safetensors");
//! // Instead of a trained network, one of random weights.
//! let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
//! PackedFile::unnamed(network).write(&path, ShiftStorage::F32)?;
//!
//! let model = PackedModel::open(&path)?;
//! let pixels = Random::new(2).image(model.config());
//! for ranked in model.predict(&pixels)?.top(3) {
//!     println!("{} {:.3}", model.class_names()[ranked.class], ranked.probability);
//! }
//! # Ok::<(), gsb_packed::Error>(())
//! ```
//!
//! # Exactness
//!
//! What is decided by integers is decided exactly as single precision decides it when it evaluates the
//! same formula in the same order: thresholds come from a table of that formula over all counts. Signs
//! of 0, of weights and of activations, are 0. Sums of the superposed product are exact. What remains
//! float (normalization, softmax, the residual stream) has one order of operations, without fused
//! multiply-add, so every instruction set and every number of threads gives the same bits.
//!
//! # Instruction sets
//!
//! Kernels are written once, over vectors of 16 lanes, for plain arithmetic, AVX2, AVX-512 (with
//! VPOPCNTDQ and VNNI), NEON and WebAssembly's SIMD128. The fastest that the machine has is chosen
//! when a model is made; the environment variable `GSB_FORCE_ISA` (`scalar`, `avx2`, `avx512`, `neon`,
//! `simd128`) forces one. AVX-512 has two ways to count the bits that differ, of which one or the other is
//! faster by the processor: a measurement of less than a millisecond chooses, once in a process, or the
//! environment variable `GSB_FORCE_PRODUCT` (`plain`, `threes`), which also turns to the tiles of AMX (`tiles`).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::undocumented_unsafe_blocks)]

mod config;
mod engine;
mod error;
mod format;
mod image;
mod kernel;
mod layout;
mod levels;
mod model;
mod network;
#[cfg(feature = "image")]
mod picture;
mod prediction;
mod products;
mod random;
mod signs;
mod trace;
mod validate;
mod weights;

pub use config::PackedConfig;
pub use engine::{Scratch, Stage};
pub use error::Error;
pub use format::{FORMAT_VERSION, PackedFile, Preprocessing, ShiftStorage};
/// Pictures in files and in memory (feature `image`).
#[cfg(feature = "image")]
pub use gsb_image;
use gsb_numerics::ATTENTION_THRESHOLDS;
pub use gsb_numerics::{GROUP_THRESHOLDS, SCALE_GUARD, ThresholdScope};
pub use image::Image;
pub use kernel::Isa;
pub use layout::TensorLayout;
pub use model::PackedModel;
pub use network::{Attention, BinaryLinear, Block, Head, LayerNorm, PackedNetwork, PatchEmbedding};
pub use prediction::{Prediction, Ranked};
pub use random::Random;
pub use signs::SignMatrix;
pub use trace::{BlockTrace, Trace};
pub use weights::{Entries, Weight};
