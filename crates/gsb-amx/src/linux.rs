//! Linux on x86-64.
#![allow(unsafe_code)] // System calls, and instructions that Rust has no functions for.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::{Missing, Operands};

/// Evidence that the processor has tiles, and that the process may use them.
#[derive(Debug, Clone, Copy)]
pub struct Amx(());

impl Amx {
    /// The evidence. The system is asked once in a process, when this is called first.
    ///
    /// # Errors
    /// What is missing.
    pub fn new(operands: Operands) -> Result<Self, Missing> {
        static PERMITTED: OnceLock<Result<(), Missing>> = OnceLock::new();
        in_processor(operands)?;
        PERMITTED.get_or_init(permission).map(Self)
    }

    /// Sets the tiles of this thread up until what is returned is dropped, and all others of the thread are. What they hold
    /// is to be set before it is used.
    pub fn set_up(self) -> Tiles {
        let others = IN_USE.replace(IN_USE.get() + 1);
        if others == 0 {
            // SAFETY: the process may use tiles; the instruction reads the 64 bytes of the shapes.
            unsafe {
                asm!(
                    "ldtilecfg [{}]",
                    in(reg) &SHAPES,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, preserves_flags, readonly),
                );
            }
        }
        Tiles(PhantomData)
    }
}

thread_local! {
    /// How many [`Tiles`] of this thread there are: the last of them releases the registers.
    static IN_USE: Cell<usize> = const { Cell::new(0) };
}

/// The tiles of this thread, set up: eight of 16 rows of 64 bytes. Not to be handed to another thread.
#[derive(Debug)]
pub struct Tiles(PhantomData<*const ()>);

impl Drop for Tiles {
    fn drop(&mut self) {
        let left = IN_USE.get() - 1;
        IN_USE.set(left);
        if left > 0 {
            return;
        }
        // SAFETY: the process may use tiles, and nobody uses those of this thread any more. Released, they are not saved
        // with the thread.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_of_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Bits of `edx` of leaf 7, and of the states that the system saves.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;
const AMX_INT8: u32 = 1 << 25;
const TILE_STATES: u64 = 0b11 << 17;

fn in_processor(operands: Operands) -> Result<(), Missing> {
    let (wanted, missing) = match operands {
        Operands::Bytes => (AMX_INT8, "this processor has no tiles for bytes (AMX)"),
        Operands::Bfloat16 => (AMX_BF16, "this processor has no tiles for bfloat16 (AMX)"),
    };
    // Asked once: in a virtual machine, the answer takes microseconds.
    static FEATURES: OnceLock<u32> = OnceLock::new();
    let wanted = wanted | AMX_TILE;
    match FEATURES.get_or_init(features) & wanted == wanted {
        true => Ok(()),
        false => Err(Missing(missing)),
    }
}

/// `edx` of leaf 7.
fn features() -> u32 {
    match !cfg!(miri) && __cpuid_count(0, 0).eax >= 7 {
        true => __cpuid_count(7, 0).edx,
        false => 0,
    }
}

fn permission() -> Result<(), Missing> {
    let saves_states = is_x86_feature_detected!("xsave") && {
        // SAFETY: the processor has the instruction.
        let saved = unsafe { saved_states() };
        saved & TILE_STATES == TILE_STATES
    };
    if !saves_states {
        return Err(Missing("the operating system does not save tiles (AMX)"));
    }
    match asked() {
        true => Ok(()),
        false => Err(Missing("the operating system does not permit tiles (AMX)")),
    }
}

#[target_feature(enable = "xsave")]
fn saved_states() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the data of tiles, which a process has to before it touches them; whether it got them.
fn asked() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let result: isize;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Without assembly that uses them, tiles that are set up can still be released, again and again.
    #[test]
    fn tiles_are_set_up_wherever_there_is_evidence() {
        for operands in [Operands::Bytes, Operands::Bfloat16] {
            match Amx::new(operands) {
                Ok(amx) => (0..3).for_each(|_| drop(amx.set_up())),
                Err(missing) => assert!(missing.to_string().contains("AMX")),
            }
        }
    }

    /// The product of all ones with all -2.
    fn product(_: &Tiles) -> [i32; 256] {
        let (a, b) = ([1i8; 1024], [-2i8; 1024]);
        let mut sums = [0i32; 256];
        // SAFETY: tiles are set up; each is 16 rows of 64 bytes, as the arrays are.
        unsafe {
            asm!(
                "tileloadd tmm1, [{a} + {row}*1]",
                "tileloadd tmm2, [{b} + {row}*1]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm1, tmm2",
                "tilestored [{sums} + {row}*1], tmm0",
                a = in(reg) &a,
                b = in(reg) &b,
                sums = in(reg) &mut sums,
                row = in(reg) 64_usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _,
                options(nostack),
            );
        }
        sums
    }

    #[test]
    fn a_product_of_bytes_is_exact_as_long_as_there_are_tiles() {
        // Machines without tiles have nothing to test.
        let Ok(amx) = Amx::new(Operands::Bytes) else {
            return;
        };
        let tiles = amx.set_up();
        assert_eq!(product(&tiles), [-128; 256]);
        drop(amx.set_up());
        // Others' end is not that of these.
        assert_eq!(product(&tiles), [-128; 256]);
        drop(tiles);
        assert_eq!(product(&amx.set_up()), [-128; 256]);
    }
}
