//! Products in the tile registers of AMX. Rust has no stable functions for them, so they are written as instructions.

use core::arch::asm;

use gsb_amx::{Amx, Operands};

use super::{ACROSS, LINES, ROWS};
use crate::kernel::simd::Line;

/// The tiles of this thread, in use as long as this lives.
pub(super) struct Tiles {
    _in_use: gsb_amx::Tiles,
}

/// Bytes of a tile, and from one of its lines to the next: of operands, and of counts.
const TILE: usize = size_of::<Line>() * LINES;
const LINE: usize = size_of::<Line>();
const COUNTS: usize = ACROSS * LINE;

impl Tiles {
    /// # Panics
    /// If the machine has none, where [`available`](super::available) says so.
    pub(super) fn new() -> Self {
        let amx = Amx::new(Operands::Bytes).expect("a way that the machine has");
        Self {
            _in_use: amx.set_up(),
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
            // SAFETY: `self` is evidence of tiles, which nothing else uses. Each step reads a tile of both rows and two of
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
        // SAFETY: `self` is evidence of tiles, which nothing else uses. Each step reads a tile of the rows and four of the
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
