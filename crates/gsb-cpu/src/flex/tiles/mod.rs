//! Products of bfloat16, by the tile instructions of the processor (AMX).
//!
//! Of both factors, panels of 32 rows or columns are rounded and laid out in tiles. The factor with fewer panels is packed
//! first, by all threads; then each thread packs some panels of the other one and multiplies them by all of the first, one
//! block of 32 rows and 32 columns after the other. Every block is computed by itself, so that results do not depend on the
//! number of threads.

mod amx;
mod pack;

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::product::Matrix;
use crate::products::Products;
use amx::{Amx, BLOCK, Block, Tile};
use pack::Factor;

/// Bytes of the panels of rows that a thread packs at a time, and of those of columns that it multiplies with each of them:
/// together they stay in the two megabytes of cache that each core with these instructions has.
const BYTES_OF_ROWS: usize = 1 << 19;
const BYTES_OF_COLUMNS: usize = 3 << 18;

/// What is missing for [`Tiles`], if anything is.
pub(super) fn missing() -> Option<&'static str> {
    Amx::new().err()
}

/// Computes products by tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    amx: Amx,
    split: bool,
}

impl Tiles {
    /// For such products, if they are none of floats and the machine has tiles.
    pub(super) fn new(products: Products) -> Option<Self> {
        let split = match products {
            Products::Float => return None,
            Products::Bfloat16 => false,
            Products::Bfloat16x3 => true,
        };
        let amx = Amx::new().ok()?;
        Some(Self { amx, split })
    }

    /// Writes `a b`, with `bias` added to every row, to all of `out`, on several threads if that is wanted; false if an
    /// element of a factor is not finite as bfloat16, and then nothing is said of `out`.
    ///
    /// # Panics
    /// If the sizes do not go together, or there are no terms.
    pub(super) fn multiply(
        self,
        [a, b]: [Matrix; 2],
        bias: Option<&[f32]>,
        out: &mut [MaybeUninit<f32>],
        shared: bool,
    ) -> bool {
        match self.split {
            false => self.run::<false>([a, b], bias, out, shared),
            true => self.run::<true>([a, b], bias, out, shared),
        }
    }

    fn run<const SPLIT: bool>(
        self,
        [a, b]: [Matrix; 2],
        bias: Option<&[f32]>,
        out: &mut [MaybeUninit<f32>],
        shared: bool,
    ) -> bool {
        let ([rows, terms], [terms_of_b, columns]) = (a.shape(), b.shape());
        assert_eq!(terms, terms_of_b);
        assert!(terms > 0);
        let out = Output::new(rows, columns, bias, out);
        let (a, b) = (Factor::left(a), Factor::right(b));
        let a_is_first = a.panels() < b.panels();
        let (first, second) = if a_is_first { (a, b) } else { (b, a) };
        let len = first.tiles_of_panel::<SPLIT>();

        let mut room = Room::take(&FIRST);
        let first_tiles = room.tiles(first.panels() * len);
        let pack =
            |(panel, tiles): (usize, &mut [Tile])| first.pack::<SPLIT>(self.amx, panel, tiles);
        let are_finite = match shared {
            true => first_tiles.par_chunks_exact_mut(len).enumerate().all(pack),
            false => first_tiles.chunks_exact_mut(len).enumerate().all(pack),
        };
        if !are_finite {
            return false;
        }
        let first_tiles = &*first_tiles;

        let task = |panels: Range<usize>| {
            let mut room = Room::take(&SECOND);
            let second_tiles = room.tiles(panels.len() * len);
            let mut packed = panels.clone().zip(second_tiles.chunks_exact_mut(len));
            if !packed.all(|(panel, tiles)| second.pack::<SPLIT>(self.amx, panel, tiles)) {
                return false;
            }
            let (first, second) = ((0, first_tiles), (panels.start, &*second_tiles));
            let (a, b) = if a_is_first {
                (first, second)
            } else {
                (second, first)
            };
            #[allow(unsafe_code)]
            // SAFETY: one of the factors has the panels of this task alone, so nobody else writes these blocks.
            unsafe {
                self.multiply_panels::<SPLIT>(a, b, len, &out);
            }
            true
        };
        let panels = second.panels();
        let bytes = if a_is_first {
            BYTES_OF_COLUMNS
        } else {
            BYTES_OF_ROWS
        };
        let least = panels.div_ceil(that_fit(bytes, len));
        if !shared {
            return (0..least).all(|index| task(share(index, least, panels)));
        }
        // As many for each thread.
        let tasks = least
            .next_multiple_of(rayon::current_num_threads())
            .min(panels);
        (0..tasks)
            .into_par_iter()
            .all(|index| task(share(index, tasks, panels)))
    }

    /// Writes the product of panels of both factors, each with `len` tiles, the first of which is the one of that number.
    ///
    /// Blocks follow each other along the rows of the output, so that its memory is written in long runs.
    ///
    /// # Safety
    /// Nobody else writes the blocks of these panels.
    #[allow(unsafe_code)]
    unsafe fn multiply_panels<const SPLIT: bool>(
        self,
        (row, a): (usize, &[Tile]),
        (column, b): (usize, &[Tile]),
        len: usize,
        out: &Output,
    ) {
        let ready = self.amx.set_up();
        let mut block = Block([[0.0; BLOCK]; BLOCK]);
        let columns = that_fit(BYTES_OF_COLUMNS, len);
        for (group, b) in b.chunks(columns * len).enumerate() {
            for (row, a) in (row..).zip(a.chunks_exact(len)) {
                for (column, b) in (column + group * columns..).zip(b.chunks_exact(len)) {
                    ready.multiply::<SPLIT>(a, b, &mut block);
                    // SAFETY: the caller promises that it is ours.
                    unsafe {
                        out.write(self.amx, row * BLOCK, column * BLOCK, &block);
                    }
                }
            }
        }
    }
}

/// Number of panels of `len` tiles that have that many bytes, at least one.
fn that_fit(bytes: usize, len: usize) -> usize {
    (bytes / (len * size_of::<Tile>())).max(1)
}

/// One of `count` shares of panels, as large as the others or one larger.
fn share(index: usize, count: usize, panels: usize) -> Range<usize> {
    index * panels / count..(index + 1) * panels / count
}

/// The output of a product, which several threads write blocks of.
struct Output<'a> {
    values: *mut f32,
    rows: usize,
    columns: usize,
    bias: Option<&'a [f32]>,
    owner: std::marker::PhantomData<&'a mut [MaybeUninit<f32>]>,
}

#[allow(unsafe_code)]
// SAFETY: what is behind the pointer is borrowed for its lifetime, and written only by `write`, whose caller promises that
// no two threads write the same block.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    fn new(
        rows: usize,
        columns: usize,
        bias: Option<&'a [f32]>,
        out: &'a mut [MaybeUninit<f32>],
    ) -> Self {
        assert_eq!(rows * columns, out.len());
        assert!(bias.is_none_or(|bias| bias.len() == columns));
        Self {
            values: out.as_mut_ptr().cast(),
            rows,
            columns,
            bias,
            owner: std::marker::PhantomData,
        }
    }

    /// Writes the block that starts there, as far as it lies within the output, with the bias.
    ///
    /// # Safety
    /// Nobody else writes it at the same time.
    #[allow(unsafe_code)]
    unsafe fn write(&self, _: Amx, row: usize, column: usize, block: &Block) {
        // SAFETY: `Amx` is evidence of the instructions; the rest is promised by the caller.
        unsafe { self.write_vectors(row, column, block) }
    }

    /// # Safety
    /// As [`write`](Self::write).
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f")]
    unsafe fn write_vectors(&self, row: usize, column: usize, block: &Block) {
        let count = (self.columns - column).min(BLOCK);
        let mut shift = [0.0; BLOCK];
        if let Some(bias) = self.bias {
            shift[..count].copy_from_slice(&bias[column..][..count]);
        }
        for (row, sums) in (row..self.rows).zip(&block.0) {
            // SAFETY: row and column lie within the output, whose elements are as many, and the caller promises that
            // no other reference to these exists.
            let out = unsafe {
                let start = self.values.add(row * self.columns + column);
                std::slice::from_raw_parts_mut(start.cast::<MaybeUninit<f32>>(), count)
            };
            let shifted = |(sum, shift): (&f32, &f32)| MaybeUninit::new(sum + shift);
            match <&mut [MaybeUninit<f32>; BLOCK]>::try_from(&mut *out) {
                // Of a known length, for vectors.
                Ok(out) => {
                    for (y, both) in out.iter_mut().zip(sums.iter().zip(&shift)) {
                        *y = shifted(both);
                    }
                }
                Err(_) => {
                    for (y, both) in out.iter_mut().zip(sums.iter().zip(&shift)) {
                        *y = shifted(both);
                    }
                }
            }
        }
    }
}

/// Memory for tiles that a thread keeps from one product to the next.
struct Room {
    tiles: Vec<Tile>,
    kept: &'static std::thread::LocalKey<Cell<Vec<Tile>>>,
}

thread_local! {
    static FIRST: Cell<Vec<Tile>> = const { Cell::new(Vec::new()) };
    static SECOND: Cell<Vec<Tile>> = const { Cell::new(Vec::new()) };
}

impl Room {
    fn take(kept: &'static std::thread::LocalKey<Cell<Vec<Tile>>>) -> Self {
        let tiles = kept.take();
        Self { tiles, kept }
    }

    fn tiles(&mut self, count: usize) -> &mut [Tile] {
        if self.tiles.len() < count {
            self.tiles.resize(count, Tile::ZERO);
        }
        &mut self.tiles[..count]
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.kept.set(std::mem::take(&mut self.tiles));
    }
}

#[cfg(test)]
mod tests;
