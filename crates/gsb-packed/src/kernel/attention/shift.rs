//! The shifts of an attention matrix.

use crate::kernel::simd::{LANES, Simd};

/// The attention shifts of a head, `[blocks of queries, keys]`.
#[derive(Clone, Copy)]
pub(crate) enum HeadShift<'a> {
    /// As floats; those of queries beyond the last are minus infinity.
    Floats(&'a [[f32; LANES]]),
    /// As levels, with what a level is worth.
    Levels {
        levels: &'a [[i8; LANES]],
        step: f32,
    },
}

impl HeadShift<'_> {
    /// The shifts of a block of queries with each of the keys, which are as many as there are queries, and memory for
    /// those that are not floats.
    #[inline(always)]
    pub(super) fn of_block<'b, S: Simd>(
        &'b self,
        s: S,
        block: usize,
        tokens: usize,
        memory: &'b mut [[f32; LANES]],
    ) -> &'b [[f32; LANES]] {
        let memory = &mut memory[..tokens];
        let lines = block * tokens..(block + 1) * tokens;
        match self {
            Self::Floats(shifts) => &shifts[lines],
            Self::Levels { levels, step } => {
                let step = s.splat_f(*step);
                for (out, levels) in memory.iter_mut().zip(&levels[lines]) {
                    s.store_f(s.mul(s.to_f(s.load_levels(levels)), step), out);
                }
                let queries = tokens - block * LANES;
                if queries < LANES {
                    for out in memory.iter_mut() {
                        out[queries..].fill(f32::NEG_INFINITY);
                    }
                }
                memory
            }
        }
    }
}
