//! The arranged weights and attention shifts of all blocks, in one piece of memory: most of a model, touched for the
//! first time when it is opened.

use std::ops::Range;

use memmap2::MmapMut;

use super::lines::panels;
use super::scratch::Sizes;
use crate::kernel::Kernels;
use crate::kernel::attention::HeadShift;
use crate::kernel::shifts::ArrangeShifts;
use crate::kernel::simd::{LANES, Line};
use crate::{Error, PackedConfig};

/// A word of each channel of a panel.
pub(super) type Word = [Line; 4];

/// For each block, the words of its layers' weights, and its attention shifts or their levels, `[heads, blocks of
/// queries, keys]`, 16 queries a line.
#[derive(Debug)]
pub(crate) struct Memory {
    pages: Pages,
    shape: Shape,
    /// What levels are worth, `[blocks, heads]`.
    steps: Vec<f32>,
}

/// What of a network decides how its memory is divided.
#[derive(Debug, Clone, Copy)]
struct Shape {
    sizes: Sizes,
    depth: usize,
    /// Words of the weights of a block.
    words: usize,
    kind: ShiftKind,
}

/// How attention shifts are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ShiftKind {
    /// As floats.
    Floats,
    /// As levels of 8 bits, in a quarter of the memory.
    Levels,
}

/// The attention shifts of a block, `[heads, blocks of queries, keys]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum BlockShifts<'a> {
    Floats(&'a [[f32; LANES]]),
    /// With what a level is worth, for each head.
    Levels(&'a [[i8; LANES]], &'a [f32]),
}

#[derive(Debug)]
enum Pages {
    /// Those of the system, so that lines are cache lines.
    Mapped(MmapMut),
    /// Where there is no map.
    Listed(Box<[Line]>),
}

/// That of a block, to be filled.
pub(crate) struct MemoryPart<'a> {
    pub(super) weights: WeightMemory<'a>,
    shifts: &'a mut [Line],
    steps: &'a mut [f32],
    shape: Shape,
}

/// The memory of the weights of a block, which its layers take one after the other.
pub(super) struct WeightMemory<'a> {
    rest: &'a mut [Word],
    taken: usize,
}

/// The kernels, and the arranged weights of the block that they run.
#[derive(Clone, Copy)]
pub(super) struct BlockKernels<'a> {
    pub(super) kernels: Kernels,
    pub(super) weights: &'a [Word],
}

/// What complaints call it.
pub(crate) const MEMORY: &str = "the memory for weights and attention shifts";

/// The size of a huge page on most systems.
const HUGE_PAGE: usize = 2 << 20;

impl Memory {
    /// How many bytes that of a network takes, as far as a machine can count.
    pub(crate) fn bytes(config: &PackedConfig, kind: ShiftKind) -> u64 {
        let lines = Shape::new(config, kind).lines();
        (lines as u64)
            .saturating_mul(config.depth as u64)
            .saturating_mul(size_of::<Line>() as u64)
    }

    /// That of a network.
    ///
    /// # Errors
    /// [`Error::Config`] if the system does not have it.
    pub(crate) fn new(config: &PackedConfig, kind: ShiftKind) -> Result<Self, Error> {
        let shape = Shape::new(config, kind);
        let lines = shape.lines().saturating_mul(shape.depth);
        let listed = || bytemuck::allocation::try_zeroed_slice_box(lines).map(Pages::Listed);
        let pages = match map(lines.saturating_mul(size_of::<Line>())) {
            Some(map) => Ok(Pages::Mapped(map)),
            None => listed(),
        };
        Ok(Self {
            pages: pages.map_err(|()| Error::Config {
                field: MEMORY,
                value: format!("{} bytes", Self::bytes(config, kind)),
                expected: "what the system has".into(),
            })?,
            shape,
            steps: vec![0.0; shape.depth * shape.sizes.heads],
        })
    }

    /// That of each block.
    pub(crate) fn parts(&mut self) -> Vec<MemoryPart<'_>> {
        let shape = self.shape;
        let lines: &mut [Line] = match &mut self.pages {
            Pages::Listed(lines) => lines,
            Pages::Mapped(map) => bytemuck::cast_slice_mut(map),
        };
        let steps = self.steps.chunks_exact_mut(shape.sizes.heads);
        let parts = lines.chunks_exact_mut(shape.lines()).zip(steps);
        let part = |(lines, steps)| {
            let (weights, shifts) = <[Line]>::split_at_mut(lines, shape.words * 4);
            let weights = WeightMemory {
                rest: weights.as_chunks_mut().0,
                taken: 0,
            };
            MemoryPart {
                weights,
                shifts,
                steps,
                shape,
            }
        };
        parts.map(part).collect()
    }

    /// The words of a block's weights, and its attention shifts.
    pub(super) fn of(&self, block: usize) -> (&[Word], BlockShifts<'_>) {
        let Self { shape, steps, .. } = self;
        let lines: &[Line] = match &self.pages {
            Pages::Listed(lines) => lines,
            Pages::Mapped(map) => bytemuck::cast_slice(map),
        };
        let lines = &lines[block * shape.lines()..][..shape.lines()];
        let (weights, shifts) = lines.split_at(shape.words * 4);
        let heads = shape.sizes.heads;
        let shifts = match shape.kind {
            ShiftKind::Floats => BlockShifts::Floats(bytemuck::cast_slice(shifts)),
            ShiftKind::Levels => BlockShifts::Levels(
                bytemuck::cast_slice(shifts),
                &steps[block * heads..][..heads],
            ),
        };
        (weights.as_chunks().0, shifts)
    }
}

impl Shape {
    fn new(config: &PackedConfig, kind: ShiftKind) -> Self {
        let sizes = Sizes::of_config(config);
        Self {
            sizes,
            depth: config.depth,
            words: words_of_block(config, sizes),
            kind,
        }
    }

    /// Lines of a block.
    fn lines(&self) -> usize {
        let shifts = match self.kind {
            ShiftKind::Floats => self.shifts(),
            ShiftKind::Levels => self.shifts().div_ceil(size_of::<f32>()),
        };
        self.words.saturating_mul(4).saturating_add(shifts)
    }

    /// Lines of 16 shifts of a block.
    fn shifts(&self) -> usize {
        let Sizes {
            heads,
            blocks,
            tokens,
            ..
        } = self.sizes;
        heads.saturating_mul(blocks).saturating_mul(tokens)
    }
}

impl<'a> BlockShifts<'a> {
    /// Those of a head, of which each has some lines.
    pub(super) fn of_head(self, head: usize, lines: usize) -> HeadShift<'a> {
        let of_head = head * lines..(head + 1) * lines;
        match self {
            Self::Floats(shifts) => HeadShift::Floats(&shifts[of_head]),
            Self::Levels(levels, steps) => HeadShift::Levels {
                levels: &levels[of_head],
                step: steps[head],
            },
        }
    }
}

/// Words of the weights of a block: of query, key and value, of the output, and of both layers of the MLP.
fn words_of_block(config: &PackedConfig, sizes: Sizes) -> usize {
    let (width, hidden) = (config.width, config.mlp_width);
    let of_token = width.div_ceil(32);
    let from_width = (3 * sizes.section + panels(hidden)).saturating_mul(of_token);
    let to_width = panels(width).saturating_mul(sizes.attended_stride() + hidden.div_ceil(32));
    from_width.saturating_add(to_width)
}

/// Memory of the system; much of it in huge pages where there are some, because touching it for the first time, 4 KiB
/// at a time, takes longer than all else that is done with it.
fn map(bytes: usize) -> Option<MmapMut> {
    if cfg!(miri) {
        return None;
    }
    if bytes < HUGE_PAGE {
        return MmapMut::map_anon(bytes).ok();
    }
    let map = MmapMut::map_anon(bytes.checked_next_multiple_of(HUGE_PAGE)?).ok()?;
    #[cfg(target_os = "linux")]
    // A wish: pages of the usual size do as well.
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(map)
}

impl MemoryPart<'_> {
    /// How it keeps attention shifts.
    pub(crate) fn kind(&self) -> ShiftKind {
        self.shape.kind
    }

    /// Takes attention shifts, `[heads, queries, keys]`, from a function that gives some of a head from one on. Says
    /// whether all of them are finite.
    ///
    /// # Panics
    /// If it keeps levels.
    pub(crate) fn fill_floats(
        &mut self,
        kernels: Kernels,
        decode: impl Fn(usize, &mut [f32]),
    ) -> bool {
        assert_eq!(self.shape.kind, ShiftKind::Floats);
        kernels.run(ArrangeShifts {
            lines: bytemuck::cast_slice_mut(self.shifts),
            padding: f32::NEG_INFINITY,
            tokens: self.shape.sizes.tokens,
            decode,
            check: f32::is_finite,
        })
    }

    /// Takes the levels of attention shifts, `[heads, queries, keys]`, in two's complement, and for each head what a
    /// level is worth. Says whether all shifts are finite.
    ///
    /// # Panics
    /// If it keeps floats.
    pub(crate) fn fill_levels(&mut self, kernels: Kernels, levels: &[u8], steps: &[f32]) -> bool {
        assert_eq!(self.shape.kind, ShiftKind::Levels);
        self.steps.copy_from_slice(steps);
        let lines: &mut [[u8; LANES]] = bytemuck::cast_slice_mut(self.shifts);
        kernels.run(ArrangeShifts {
            // The last line may be partly used.
            lines: &mut lines[..self.shape.shifts()],
            padding: 0,
            tokens: self.shape.sizes.tokens,
            decode: |first: usize, out: &mut [u8]| {
                out.copy_from_slice(&levels[first..][..out.len()]);
            },
            check: |_| true,
        });
        let is_finite = |step: &f32| (step * f32::from(i8::MIN)).is_finite();
        let of_head = levels.chunks_exact(levels.len() / steps.len());
        steps.iter().zip(of_head).all(|(step, levels)| {
            let shifts = || levels.iter().map(|&level| f32::from(level as i8) * step);
            is_finite(step) || shifts().all(f32::is_finite)
        })
    }
}

impl<'a> WeightMemory<'a> {
    /// Whether all of it has been taken.
    pub(super) fn is_used(&self) -> bool {
        self.rest.is_empty()
    }

    /// The place of some words among those of the block, and the memory for them.
    pub(super) fn take(&mut self, words: usize) -> (Range<usize>, &'a mut [Word]) {
        let (taken, rest) = std::mem::take(&mut self.rest).split_at_mut(words);
        let first = self.taken;
        self.rest = rest;
        self.taken += words;
        (first..self.taken, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Isa;
    use crate::kernel::choice::choose;

    /// Tokens of a head that do not fill a block of queries.
    #[test]
    fn queries_are_lanes_and_those_beyond_the_last_count_for_nothing() {
        let config = PackedConfig::micro();
        let sizes = Sizes::of_config(&config);
        let tokens = sizes.tokens;
        assert!(!tokens.is_multiple_of(LANES));
        let value =
            |head: usize, query: usize, key: usize| ((head * tokens + query) * tokens + key) as f32;
        let shift: Vec<f32> = (0..sizes.heads * tokens * tokens)
            .map(|at| at as f32)
            .collect();
        let decode = |first: usize, out: &mut [f32]| {
            out.copy_from_slice(&shift[first..][..out.len()]);
        };
        for isa in Isa::available() {
            let kernels = choose(isa).unwrap();
            let mut memory = Memory::new(&config, ShiftKind::Floats).unwrap();
            for mut part in memory.parts() {
                assert!(part.fill_floats(kernels, decode));
            }
            for block in 0..config.depth {
                let (_, BlockShifts::Floats(lines)) = memory.of(block) else {
                    panic!("floats were asked for")
                };
                for (at, line) in lines.iter().enumerate() {
                    let (head, at) = (at / (sizes.blocks * tokens), at % (sizes.blocks * tokens));
                    let (queries, key) = (at / tokens * LANES, at % tokens);
                    for (query, &found) in (queries..).zip(line) {
                        let expected = match query < tokens {
                            true => value(head, query, key),
                            false => f32::NEG_INFINITY,
                        };
                        assert_eq!(found, expected, "head {head}, query {query}, key {key}");
                    }
                }
            }
            for wrong in [0, shift.len() / 2, shift.len() - 1] {
                let wrong = |first: usize, out: &mut [f32]| {
                    decode(first, out);
                    if (first..first + out.len()).contains(&wrong) {
                        out[wrong - first] = f32::NAN;
                    }
                };
                assert!(!memory.parts().remove(0).fill_floats(kernels, wrong));
            }
        }
    }

    /// What a file of one byte a shift may ask for.
    #[test]
    fn levels_take_a_quarter() {
        let config = PackedConfig::deit_small(10);
        let bytes = |kind| Memory::bytes(&config, kind);
        let shifts = (config.depth * config.heads * 13 * 16 * config.tokens()) as u64;
        assert_eq!(
            bytes(ShiftKind::Floats) - bytes(ShiftKind::Levels),
            3 * shifts
        );
    }

    // There are no maps in an interpreter.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn lines_are_cache_lines_of_memory_that_is_mapped() {
        for config in [PackedConfig::micro(), PackedConfig::deit_small(10)] {
            let mut memory = Memory::new(&config, ShiftKind::Floats).unwrap();
            let mapped = matches!(memory.pages, Pages::Mapped(_));
            assert_eq!(mapped, cfg!(any(unix, windows)));
            for (block, part) in memory.parts().into_iter().enumerate() {
                part.weights.rest.fill([Line([block as u32; LANES]); 4]);
                part.shifts.fill(Line([!(block as u32); LANES]));
            }
            for block in 0..config.depth {
                let (weights, BlockShifts::Floats(shifts)) = memory.of(block) else {
                    panic!("floats were asked for")
                };
                let words = weights.as_flattened();
                assert!(words.iter().all(|line| line.0 == [block as u32; LANES]));
                let bits = |line: &[f32; LANES]| line.map(f32::to_bits);
                assert!(
                    shifts
                        .iter()
                        .all(|line| bits(line) == [!(block as u32); LANES])
                );
                assert!(weights.as_ptr().align_offset(64) == 0);
                assert!(shifts.as_ptr().align_offset(64) == 0);
            }
        }
    }
}
