//! The tile registers of AMX. Rust has no stable functions for them, so they are written as instructions.

use std::sync::OnceLock;

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

use super::{ACROSS, LINES, ROWS};
use crate::kernel::product::Product;
use crate::kernel::simd::Line;
use crate::kernel::x86_64::avx512::registers::Avx512;

/// Whether the machine has tiles of bytes and the system lets this process use them, which it is asked once.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| in_processor() && permitted())
}

/// Whether the processor has AMX with products of bytes.
fn in_processor() -> bool {
    /// Of the seventh leaf: tiles, and products of bytes.
    const FEATURES: u32 = 1 << 24 | 1 << 25;
    if cfg!(miri) || __cpuid_count(0, 0).eax < 7 {
        return false;
    }
    __cpuid_count(7, 0).edx & FEATURES == FEATURES
}

/// Asks Linux for room for tiles in the state of a thread. It refuses where it, or a virtual machine, does not know them.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn permitted() -> bool {
    /// `arch_prctl`, `ARCH_REQ_XCOMP_PERM`, and the state of tiles.
    const CALL: u64 = 158;
    const REQUEST: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let answer: i64;
    // SAFETY: a system call that reads and writes no memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") CALL => answer,
            in("rdi") REQUEST,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// Other systems are not asked.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn permitted() -> bool {
    false
}

/// Shapes of tiles.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

/// All of 16 rows of 64 bytes.
const WHOLE: Shapes = {
    let (mut bytes_of_row, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        bytes_of_row[tile] = 64;
        rows[tile] = ROWS as u8;
        tile += 1;
    }
    Shapes {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_of_row,
        rows,
    }
};

/// The tiles of this thread, in use as long as this lives.
pub(super) struct Tiles {
    /// They are those of a thread.
    _of_thread: std::marker::PhantomData<*const ()>,
}

/// Bytes of a tile, and from one of its lines to the next: of operands, and of counts.
const TILE: usize = size_of::<Line>() * LINES;
const LINE: usize = size_of::<Line>();
const COUNTS: usize = ACROSS * LINE;

impl Tiles {
    /// # Panics
    /// If the instructions are not for tiles.
    pub(super) fn new(s: Avx512) -> Self {
        assert!(matches!(s.product, Product::Tiles));
        // SAFETY: `s` has that product only where there are tiles that may be used; nothing else uses them between this
        // and the end of the call that it is made in.
        unsafe {
            asm!(
                "ldtilecfg [{shapes}]",
                shapes = in(reg) &WHOLE,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly),
            );
        }
        Self {
            _of_thread: std::marker::PhantomData,
        }
    }

    /// Products of two tiles of rows, `[steps, 16]` each, with a panel, `[steps, ACROSS, 16]`: `[2 * ROWS, ACROSS]`.
    ///
    /// Half of the panel at a time: four products that do not wait for each other, of four tiles that are loaded.
    pub(super) fn multiply_two(&self, rows: [&[Line]; 2], panel: &[Line], counts: &mut [Line]) {
        let steps = rows[0].len() / LINES;
        assert!(steps > 0 && rows.map(<[Line]>::len) == [steps * LINES; 2]);
        assert!(panel.len() == ACROSS * steps * LINES && counts.len() >= 2 * ROWS * ACROSS);
        for first in [0, ACROSS / 2] {
            // SAFETY: there are tiles, as in `new`, which nothing else uses. Each step reads a tile of both rows and two of
            // the four of the panel, from the half's first on, and there are as many as is asserted. Of each row of counts
            // two lines are written, from that of the half on.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{above} + {line}*1]",
                    "tileloadd tmm6, [{panel} + {line}*1]",
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{panel} + {line}*1 + {tile}]",
                    "tdpbssd tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{below} + {line}*1]",
                    "tdpbssd tmm2, tmm5, tmm6",
                    "tdpbssd tmm3, tmm5, tmm7",
                    "add {above}, {tile}",
                    "add {below}, {tile}",
                    "add {panel}, {across} * {tile}",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{counts} + {row}*1], tmm0",
                    "tilestored [{counts} + {row}*1 + {line_bytes}], tmm1",
                    "tilestored [{counts} + {row}*1 + {rows} * {row_bytes}], tmm2",
                    "tilestored [{counts} + {row}*1 + {rows} * {row_bytes} + {line_bytes}], tmm3",
                    above = inout(reg) rows[0].as_ptr() => _,
                    below = inout(reg) rows[1].as_ptr() => _,
                    panel = inout(reg) panel[first * LINES..].as_ptr() => _,
                    steps = inout(reg) steps => _,
                    line = in(reg) LINE,
                    counts = in(reg) counts[first..].as_mut_ptr(),
                    row = in(reg) COUNTS,
                    tile = const TILE,
                    across = const ACROSS,
                    rows = const ROWS,
                    line_bytes = const LINE,
                    row_bytes = const COUNTS,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    }

    /// The same of one tile of rows: `[ROWS, ACROSS]`.
    pub(super) fn multiply_one(&self, rows: &[Line], panel: &[Line], counts: &mut [Line]) {
        let steps = rows.len() / LINES;
        assert!(steps > 0 && rows.len() == steps * LINES);
        assert!(panel.len() == ACROSS * rows.len() && counts.len() >= ROWS * ACROSS);
        // SAFETY: there are tiles, as in `new`, which nothing else uses. Each step reads a tile of the rows and four of the
        // panel, and there are as many as is asserted. All lines of each row of counts are written.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{rows} + {line}*1]",
                "tileloadd tmm5, [{panel} + {line}*1]",
                "tdpbssd tmm0, tmm4, tmm5",
                "tileloadd tmm6, [{panel} + {line}*1 + {tile}]",
                "tdpbssd tmm1, tmm4, tmm6",
                "tileloadd tmm7, [{panel} + {line}*1 + 2 * {tile}]",
                "tdpbssd tmm2, tmm4, tmm7",
                "tileloadd tmm5, [{panel} + {line}*1 + 3 * {tile}]",
                "tdpbssd tmm3, tmm4, tmm5",
                "add {rows}, {tile}",
                "add {panel}, {across} * {tile}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{counts} + {row}*1], tmm0",
                "tilestored [{counts} + {row}*1 + {line_bytes}], tmm1",
                "tilestored [{counts} + {row}*1 + 2 * {line_bytes}], tmm2",
                "tilestored [{counts} + {row}*1 + 3 * {line_bytes}], tmm3",
                rows = inout(reg) rows.as_ptr() => _,
                panel = inout(reg) panel.as_ptr() => _,
                steps = inout(reg) steps => _,
                line = in(reg) LINE,
                counts = in(reg) counts.as_mut_ptr(),
                row = in(reg) COUNTS,
                tile = const TILE,
                across = const ACROSS,
                line_bytes = const LINE,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there are tiles, as in `new`; what they hold is not needed any more.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, nomem),
            );
        }
    }
}
