//! The attention shifts of all blocks, in one piece of memory: most of a model, touched for the first time when
//! it is opened.

use memmap2::MmapMut;

use super::scratch::Sizes;
use crate::PackedConfig;
use crate::kernel::simd::LANES;

/// Attention shifts of all blocks, `[blocks, heads, blocks of queries, keys]`, 16 queries a line.
#[derive(Debug)]
pub(crate) struct Shifts {
    memory: Memory,
    sizes: Sizes,
    depth: usize,
}

#[derive(Debug)]
enum Memory {
    /// Pages of the system, so that lines are cache lines.
    Mapped(MmapMut),
    /// Where there is no map.
    Listed(Vec<[f32; LANES]>),
}

/// Those of a block, to be filled.
pub(crate) struct ShiftPart<'a> {
    lines: &'a mut [[f32; LANES]],
    sizes: Sizes,
}

/// The size of a huge page on most systems.
const HUGE_PAGE: usize = 2 << 20;

impl Shifts {
    /// Memory for the shifts of a network.
    pub(crate) fn new(config: &PackedConfig) -> Self {
        let (sizes, depth) = (Sizes::of_config(config), config.depth);
        let lines = depth * lines_of_block(sizes);
        let mapped = map(lines.saturating_mul(size_of::<[f32; LANES]>()));
        let listed = || Memory::Listed(vec![[0.0; LANES]; lines]);
        Self {
            memory: mapped.map_or_else(listed, Memory::Mapped),
            sizes,
            depth,
        }
    }

    /// That of each block.
    pub(crate) fn parts(&mut self) -> Vec<ShiftPart<'_>> {
        let (sizes, depth) = (self.sizes, self.depth);
        let lines: &mut [[f32; LANES]] = match &mut self.memory {
            Memory::Listed(lines) => lines,
            Memory::Mapped(map) => bytemuck::cast_slice_mut(map),
        };
        let parts = lines.chunks_exact_mut(lines_of_block(sizes)).take(depth);
        parts.map(|lines| ShiftPart { lines, sizes }).collect()
    }

    /// Those of a block.
    pub(super) fn of(&self, block: usize) -> &[[f32; LANES]] {
        let lines: &[[f32; LANES]] = match &self.memory {
            Memory::Listed(lines) => lines,
            Memory::Mapped(map) => bytemuck::cast_slice(map),
        };
        let of_block = lines_of_block(self.sizes);
        &lines[block * of_block..][..of_block]
    }
}

fn lines_of_block(sizes: Sizes) -> usize {
    sizes.heads * sizes.blocks * sizes.tokens
}

/// Memory of the system; much of it in huge pages where there are some, because touching it for the first time, 4 KiB
/// at a time, takes longer than all else that is done with the shifts.
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

impl ShiftPart<'_> {
    /// Takes attention shifts, `[heads, queries, keys]`. Queries beyond the last have minus infinity.
    pub(crate) fn fill(self, shift: &[f32]) {
        let Self { lines, sizes } = self;
        let tokens = sizes.tokens;
        let of_head = lines.chunks_exact_mut(sizes.blocks * tokens);
        for (head, lines) in shift.chunks_exact(tokens * tokens).zip(of_head) {
            let blocks = lines.chunks_exact_mut(tokens);
            for (queries, lines) in head.chunks(LANES * tokens).zip(blocks) {
                // A square at a time, whose rows are read in one go.
                for (first, lines) in (0..).step_by(LANES).zip(lines.chunks_mut(LANES)) {
                    let mut square = [[f32::NEG_INFINITY; LANES]; LANES];
                    for (query, row) in queries.chunks_exact(tokens).enumerate() {
                        let row = &row[first..first + lines.len()];
                        for (line, &value) in square.iter_mut().zip(row) {
                            line[query] = value;
                        }
                    }
                    lines.copy_from_slice(&square[..lines.len()]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut shifts = Shifts::new(&config);
        for part in shifts.parts() {
            part.fill(&shift);
        }
        for block in 0..config.depth {
            let lines = shifts.of(block);
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
    }

    // There are no maps in an interpreter.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn lines_are_cache_lines_of_memory_that_is_mapped() {
        for config in [PackedConfig::micro(), PackedConfig::deit_small(10)] {
            let mut shifts = Shifts::new(&config);
            let mapped = matches!(shifts.memory, Memory::Mapped(_));
            assert_eq!(mapped, cfg!(any(unix, windows)));
            for (block, part) in shifts.parts().into_iter().enumerate() {
                part.lines.fill([block as f32; LANES]);
            }
            for block in 0..config.depth {
                let lines = shifts.of(block);
                assert!(lines.iter().all(|line| *line == [block as f32; LANES]));
                assert!(!mapped || lines.as_ptr().align_offset(64) == 0);
            }
        }
    }
}
