//! The tile instructions of the processor, and whether they may be used.
//!
//! The compiler has no stable functions for them, so they stand in assembly. A tile is 16 rows of 64 bytes. In this
//! module a factor lies in memory as [`Tile`]s, which [`pack`](super::pack) writes.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::OnceLock;

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
pub(super) struct Amx(());

impl Amx {
    /// The evidence, or what is missing. The system is asked once in a process.
    pub(super) fn new() -> Result<Self, &'static str> {
        static FOUND: OnceLock<Result<(), &'static str>> = OnceLock::new();
        FOUND.get_or_init(find).map(Self)
    }

    /// Sets the tiles of this thread up until what is returned is dropped. There is to be one of them on a thread at a time,
    /// as the end of any ends all.
    pub(super) fn set_up(self) -> Ready {
        Ready::new(self)
    }
}

/// Bits of `edx` of leaf 7, and of the states that the system saves.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;
const TILE_STATES: u64 = 0b11 << 17;

fn find() -> Result<(), &'static str> {
    // Packing takes these; each machine with AMX has them.
    if !(is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16"))
    {
        return Err("this processor has no AVX-512 for bfloat16");
    }
    let wanted = AMX_BF16 | AMX_TILE;
    if __cpuid_count(0, 0).eax < 7 || __cpuid_count(7, 0).edx & wanted != wanted {
        return Err("this processor has no tiles for bfloat16 (AMX)");
    }
    #[allow(unsafe_code)]
    // SAFETY: a processor whose AVX-512 is usable has `xgetbv`, which the check of it has used.
    let saved = unsafe { saved_states() };
    if saved & TILE_STATES != TILE_STATES {
        return Err("the operating system does not save the tiles of the processor (AMX)");
    }
    if !is_permitted() {
        return Err("the operating system does not permit the tiles of the processor (AMX)");
    }
    Ok(())
}

#[allow(unsafe_code)]
#[target_feature(enable = "xsave")]
fn saved_states() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the tile data, which a process has to before it touches them; whether it got them.
fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let result: isize;
    #[allow(unsafe_code)]
    // SAFETY: the call reads its two arguments and no memory of the process; the kernel changes the registers named here.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// The tiles of this thread, set up. Not to be handed to another one.
pub(super) struct Ready(std::marker::PhantomData<*const ()>);

/// What `ldtilecfg` reads: all eight tiles with 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

const SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_of_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Ready {
    fn new(_: Amx) -> Self {
        let shapes = SHAPES;
        #[allow(unsafe_code)]
        // SAFETY: `Amx` is evidence that the process may use tiles; the instruction reads the 64 bytes of `shapes`.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &shapes, options(nostack, preserves_flags, readonly));
        }
        Self(std::marker::PhantomData)
    }

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

impl Drop for Ready {
    fn drop(&mut self) {
        #[allow(unsafe_code)]
        // SAFETY: the process may use tiles, and nobody uses those of this thread any more. Released, they are not
        // saved with the thread.
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags));
        }
    }
}
