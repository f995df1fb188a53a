//! Products of bfloat16 in tiles.
//!
//! The compiler has no stable functions for them, so they stand in assembly. A tile is 16 rows of 64 bytes. In this
//! module a factor lies in memory as [`Tile`]s, which [`pack`](super::pack) writes.

use std::arch::asm;

use gsb_amx::Operands;

/// 16 rows of 16 pairs of bfloat16. Of a left factor, a row of the matrix has a row of the tile; of a right factor,
/// a row of the tile has two rows of the matrix, whose elements alternate.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [[u32; 16]; 16]);

impl Tile {
    pub(super) const ZERO: Self = Self([[0; 16]; 16]);
}

/// Rows and columns of a block of a product: two tiles each way, so that four sums hide how long each takes.
pub(super) const BLOCK: usize = 32;

/// Terms of each sum in an instruction.
pub(super) const STEP: usize = 32;

/// A block of a product.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [[f32; BLOCK]; BLOCK]);

/// Evidence that the process may use tiles for bfloat16, and AVX-512 for packing them.
#[derive(Clone, Copy)]
pub(super) struct Amx(gsb_amx::Amx);

impl Amx {
    /// The evidence, or what is missing.
    pub(super) fn new() -> Result<Self, &'static str> {
        let amx = gsb_amx::Amx::new(Operands::Bfloat16).map_err(gsb_amx::Missing::as_str)?;
        // Packing takes these; each machine with AMX has them.
        if !(is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16"))
        {
            return Err("this processor has no AVX-512 for bfloat16");
        }
        Ok(Self(amx))
    }

    /// Sets the tiles of this thread up until what is returned is dropped. There is to be one of them on a thread at a time,
    /// as the end of any ends all.
    pub(super) fn set_up(self) -> Ready {
        Ready {
            _tiles: self.0.set_up(),
        }
    }
}

/// The tiles of this thread, set up. Not to be handed to another one.
pub(super) struct Ready {
    _tiles: gsb_amx::Tiles,
}

impl Ready {
    /// The product of 32 rows of a left factor and 32 columns of a right one. For every [`STEP`] terms they have two tiles
    /// each, or with `SPLIT` two of the larger parts and two of the smaller ones.
    ///
    /// # Panics
    /// If there are none, or not as many of both.
    pub(super) fn multiply<const SPLIT: bool>(&self, a: &[Tile], b: &[Tile], out: &mut Block) {
        let tiles = if SPLIT { 4 } else { 2 };
        assert!(a.len() == b.len() && !a.is_empty() && a.len().is_multiple_of(tiles));
        let (a, b, steps) = (a.as_ptr(), b.as_ptr(), a.len() / tiles);
        /// Four sums, and what is read for them; `$steps` is the body of a loop over the terms.
        macro_rules! sums {
            ($($steps:literal)*) => {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    $($steps,)*
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + 2*{row}], tmm0",
                    "tilestored [{out} + 2*{row} + 64], tmm1",
                    "tilestored [{out} + 2*{row} + 2048], tmm2",
                    "tilestored [{out} + 2*{row} + 2112], tmm3",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    steps = inout(reg) steps => _,
                    row = in(reg) 64_usize,
                    out = in(reg) out.0.as_mut_ptr(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                )
            };
        }
        #[allow(unsafe_code)]
        // SAFETY: the tiles are set up while `self` lives, with 16 rows of 64 bytes. Each step reads two tiles of 1024
        // bytes of each factor, with `SPLIT` four, and there are that many for each. A row of `out` has 128 bytes, and
        // the four tiles are all of its 32 rows.
        unsafe {
            if SPLIT {
                sums!(
                    "tileloadd tmm4, [{a} + {row}*1 + 2048]"
                    "tileloadd tmm5, [{a} + {row}*1 + 3072]"
                    "tileloadd tmm6, [{b} + {row}*1]"
                    "tileloadd tmm7, [{b} + {row}*1 + 1024]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"
                    "tileloadd tmm4, [{a} + {row}*1]"
                    "tileloadd tmm5, [{a} + {row}*1 + 1024]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"
                    "tileloadd tmm6, [{b} + {row}*1 + 2048]"
                    "tileloadd tmm7, [{b} + {row}*1 + 3072]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"
                    "add {a}, 4096"
                    "add {b}, 4096"
                );
            } else {
                sums!(
                    "tileloadd tmm4, [{a} + {row}*1]"
                    "tileloadd tmm5, [{a} + {row}*1 + 1024]"
                    "tileloadd tmm6, [{b} + {row}*1]"
                    "tileloadd tmm7, [{b} + {row}*1 + 1024]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"
                    "add {a}, 2048"
                    "add {b}, 2048"
                );
            }
        }
    }
}
