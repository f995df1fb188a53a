//! The tile registers of x86-64 processors (AMX): whether a process may use them, and their configuration of a thread.
//!
//! Rust has no stable functions for tiles, so the instructions that load, multiply and store them are left to the assembly
//! of those who use them. [`Amx`] is their evidence that the process may, [`Tiles`] that those of this thread are ready: all
//! eight have 16 rows of 64 bytes.
//!
//! ```
//! use gsb_amx::{Amx, Operands};
//!
//! match Amx::new(Operands::Bytes) {
//!     Ok(amx) => {
//!         let _tiles = amx.set_up();
//!         // Assembly that uses tiles.
//!     }
//!     Err(missing) => println!("no tiles: {missing}"),
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg_attr(
    all(
        target_arch = "x86_64",
        target_os = "linux",
        target_pointer_width = "64"
    ),
    path = "linux.rs"
)]
#[cfg_attr(
    not(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_pointer_width = "64"
    )),
    path = "elsewhere.rs"
)]
mod system;

pub use system::{Amx, Tiles};

/// What tiles multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operands {
    /// Bytes, to sums of 32 bits (AMX-INT8).
    Bytes,
    /// bfloat16, to sums of floats (AMX-BF16).
    Bfloat16,
}

/// What a machine lacks for tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing(&'static str);

impl Missing {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Missing {}
