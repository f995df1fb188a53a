//! Products of binary matrices.
//!
//! `sum(sign(x) * sign(w))` over `k` bits is `k - 2 popcount(x ^ w)`. Weights lie in panels of 64
//! output channels, word after word; a micro-kernel keeps the counts of a few rows of a panel in
//! registers and hands them to an epilogue, which makes bits or floats of them.

use std::ops::Range;

use crate::kernel::simd::{Line, Simd};

/// Output channels of a panel.
pub(crate) const PANEL: usize = 64;

/// Rows that must follow the last row of an input, whatever they hold: kernels read whole tiles.
pub(crate) const ROW_PADDING: usize = 8;

/// Rows of bits.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// `[rows + ROW_PADDING, stride]`.
    words: &'a [u32],
    stride: usize,
    first: usize,
    rows: usize,
}

impl<'a> Inputs<'a> {
    /// Some of the rows of `words`, `stride` words each.
    ///
    /// # Panics
    /// If there are fewer, padding included.
    pub(crate) fn new(words: &'a [u32], stride: usize, rows: Range<usize>) -> Self {
        assert!(words.len() >= (rows.end + ROW_PADDING) * stride);
        Self {
            words,
            stride,
            first: rows.start,
            rows: rows.len(),
        }
    }

    /// Some words of `R` rows from one that is not beyond the last.
    #[inline(always)]
    pub(crate) fn tile<const R: usize>(
        &self,
        row: usize,
        first: usize,
        words: usize,
    ) -> [&'a [u32]; R] {
        const { assert!(R <= ROW_PADDING) };
        let mut tile = [&[][..]; R];
        for (i, out) in tile.iter_mut().enumerate() {
            *out = &self.words[(row + i) * self.stride + first..][..words];
        }
        tile
    }

    /// The first row of each tile of `R`, and how many of the tile's rows count.
    #[inline(always)]
    pub(crate) fn tiles<const R: usize>(&self) -> impl Iterator<Item = (usize, usize)> + use<R> {
        let (first, end) = (self.first, self.first + self.rows);
        (first..end)
            .step_by(R)
            .map(move |row| (row, R.min(end - row)))
    }
}

/// Panels of a binary weight.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// `[panels, words]`, each of 64 channels.
    pub(crate) panels: &'a [[Line; 4]],
    /// Words of a row.
    pub(crate) words: usize,
}

/// What is made of the counts.
pub(crate) trait Epilogue {
    /// Takes `popcount(x ^ w)` of a row with the 64 channels of a panel.
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]);
}

/// A way to count different bits.
pub(crate) trait Count<S: Simd> {
    /// Adds, of each row of a tile, the number of bits that differ from those of the 64 channels of a
    /// panel.
    fn add_counts<const R: usize>(
        s: S,
        tile: &[&[u32]; R],
        panel: &[[Line; 4]],
        counts: &mut [[S::U; 4]; R],
    );
}

/// Word by word.
pub(crate) struct Plain;

impl<S: Simd> Count<S> for Plain {
    #[inline(always)]
    fn add_counts<const R: usize>(
        s: S,
        tile: &[&[u32]; R],
        panel: &[[Line; 4]],
        counts: &mut [[S::U; 4]; R],
    ) {
        for (k, lines) in panel.iter().enumerate() {
            let mut w = [s.splat_u(0); 4];
            for v in 0..4 {
                w[v] = s.load_u(&lines[v].0);
            }
            for i in 0..R {
                let x = s.splat_u(tile[i][k]);
                for v in 0..4 {
                    counts[i][v] = s.count(counts[i][v], s.xor(x, w[v]));
                }
            }
        }
    }
}

/// The micro-kernel: tiles of `R` rows.
#[inline(always)]
pub(crate) fn run<S: Simd, C: Count<S>, E: Epilogue, const R: usize>(
    s: S,
    inputs: Inputs<'_>,
    weights: Weights<'_>,
    epilogue: &mut E,
) {
    assert!(inputs.stride >= weights.words);
    for (index, panel) in weights.panels.chunks_exact(weights.words).enumerate() {
        for (first, rows) in inputs.tiles::<R>() {
            let mut counts = [[s.splat_u(0); 4]; R];
            if S::COUNTS >= MOST_WORDS {
                C::add_counts(s, &inputs.tile(first, 0, panel.len()), panel, &mut counts);
            } else {
                let mut start = 0;
                for part in panel.chunks(S::COUNTS) {
                    let mut small = [[s.splat_u(0); 4]; R];
                    let tile = inputs.tile(first, start, part.len());
                    C::add_counts(s, &tile, part, &mut small);
                    for i in 0..R {
                        for v in 0..4 {
                            counts[i][v] = s.add_u(counts[i][v], s.widen(small[i][v]));
                        }
                    }
                    start += part.len();
                }
            }
            // One by one: a loop would not be unrolled, and the counts would have to leave their registers.
            macro_rules! put {
                ($($i:literal)*) => {
                    $(if let Some(&counts) = counts.get($i) && $i < rows {
                        epilogue.put(s, first + $i, index, counts);
                    })*
                };
            }
            put!(0 1 2 3 4 5 6 7);
        }
    }
}

/// More words than a row has.
const MOST_WORDS: usize = 1 << 20;
