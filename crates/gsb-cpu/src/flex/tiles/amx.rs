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

/// 32 lines of a factor: two tiles for every [`STEP`] terms and each part.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    tiles: &'a [Tile],
    parts: usize,
}

impl<'a> Panel<'a> {
    /// # Panics
    /// If there are no parts, or not two tiles of each for every step.
    pub(super) fn new(tiles: &'a [Tile], parts: usize) -> Self {
        assert!(parts > 0 && tiles.len().is_multiple_of(2 * parts));
        Self { tiles, parts }
    }

    fn steps(&self) -> usize {
        self.tiles.len() / (2 * self.parts)
    }
}

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

    /// Sets the tiles of this thread up until what is returned is dropped.
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
    /// The product of 32 rows of a left factor and 32 columns of a right one. For every [`STEP`] terms a factor has two tiles
    /// of each of its parts, the largest parts first. Of the products of parts, those are added up that are not smaller than
    /// what the factors leave out, in the order that loads the fewest tiles.
    ///
    /// # Panics
    /// If there are no terms, or not as many of both, or factors of 2 and 3 parts.
    pub(super) fn multiply(&self, a: Panel, b: Panel, out: &mut Block) {
        assert!(a.steps() == b.steps() && a.steps() > 0);
        let (a_tiles, b_tiles) = (a.tiles.as_ptr(), b.tiles.as_ptr());
        /// Two tiles of a part of a factor, to multiply next, or four products of those there are.
        macro_rules! step {
            (a0) => {
                "tileloadd tmm4, [{a} + {row}*1]
                tileloadd tmm5, [{a} + {row}*1 + 1024]"
            };
            (a1) => {
                "tileloadd tmm4, [{a} + {row}*1 + 2048]
                tileloadd tmm5, [{a} + {row}*1 + 3072]"
            };
            (a2) => {
                "tileloadd tmm4, [{a} + {row}*1 + 4096]
                tileloadd tmm5, [{a} + {row}*1 + 5120]"
            };
            (b0) => {
                "tileloadd tmm6, [{b} + {row}*1]
                tileloadd tmm7, [{b} + {row}*1 + 1024]"
            };
            (b1) => {
                "tileloadd tmm6, [{b} + {row}*1 + 2048]
                tileloadd tmm7, [{b} + {row}*1 + 3072]"
            };
            (b2) => {
                "tileloadd tmm6, [{b} + {row}*1 + 4096]
                tileloadd tmm7, [{b} + {row}*1 + 5120]"
            };
            (times) => {
                "tdpbf16ps tmm0, tmm4, tmm6
                tdpbf16ps tmm1, tmm4, tmm7
                tdpbf16ps tmm2, tmm5, tmm6
                tdpbf16ps tmm3, tmm5, tmm7"
            };
        }
        /// Four sums over the terms, for factors of so many parts.
        macro_rules! sums {
            ($a_parts:literal by $b_parts:literal: $($step:ident)*) => {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    $(step!($step),)*
                    "add {a}, {a_bytes}",
                    "add {b}, {b_bytes}",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + 2*{row}], tmm0",
                    "tilestored [{out} + 2*{row} + 64], tmm1",
                    "tilestored [{out} + 2*{row} + 2048], tmm2",
                    "tilestored [{out} + 2*{row} + 2112], tmm3",
                    a = inout(reg) a_tiles => _,
                    b = inout(reg) b_tiles => _,
                    a_bytes = const 2048 * $a_parts,
                    b_bytes = const 2048 * $b_parts,
                    steps = inout(reg) a.steps() => _,
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
        // bytes of each part of both factors, which have that many for each step. A row of `out` has 128 bytes, and the
        // four tiles are all of its 32 rows.
        unsafe {
            match (a.parts, b.parts) {
                (1, 1) => sums!(1 by 1: a0 b0 times),
                (1, 2) => sums!(1 by 2: a0 b1 times b0 times),
                (2, 1) => sums!(2 by 1: b0 a1 times a0 times),
                (2, 2) => sums!(2 by 2: a1 b0 times a0 times b1 times),
                (1, 3) => sums!(1 by 3: a0 b2 times b1 times b0 times),
                (3, 1) => sums!(3 by 1: b0 a2 times a1 times a0 times),
                (3, 3) => sums!(3 by 3: a2 b0 times a1 times b1 times a0 times b2 times b0 times),
                parts => unreachable!("factors of {parts:?} parts"),
            }
        }
    }
}
