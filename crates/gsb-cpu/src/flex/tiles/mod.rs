//! Products of bfloat16, by the tile instructions of the processor (AMX).
//!
//! Of both factors, panels of 32 rows or columns are rounded and laid out in tiles, once for each number of bfloat16 that a
//! float is the sum of. Binarized factors have one magnitude: their signs are exact, and the output is multiplied by it.
//!
//! The factor with fewer panels is packed first, by all threads; then each thread packs some panels of the other one and
//! multiplies them by all of the first, one block of 32 rows and 32 columns after the other. Long sums are computed in
//! parts. Every block is computed by itself, so that results do not depend on the number of threads.

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

/// Bytes of the panels that a thread packs at a time, and of those of columns that it multiplies with each of rows: together
/// they stay in the two megabytes of cache that each core with these instructions has.
const BYTES_OF_PACKED: usize = 640 << 10;
const BYTES_OF_COLUMNS: usize = 320 << 10;

/// Bytes of a panel. Longer sums are computed in parts, so that some panels fit.
const BYTES_OF_PANEL: usize = 100 << 10;

/// What is missing for [`Tiles`], if anything is.
pub(super) fn missing() -> Option<&'static str> {
    Amx::new().err()
}

/// Computes products by tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    amx: Amx,
    /// Numbers of bfloat16 that a float is the sum of.
    parts: usize,
}

impl Tiles {
    /// For such products, if they are none of floats and the machine has tiles.
    pub(super) fn new(products: Products) -> Option<Self> {
        let parts = match products {
            Products::Float => return None,
            Products::Bfloat16 => 1,
            Products::Bfloat16x3 => 2,
            Products::Bfloat16x6 => 3,
        };
        let amx = Amx::new().ok()?;
        Some(Self { amx, parts })
    }

    /// Writes `a b`, with `bias` added to every row, to all of `out`, on several threads if that is wanted; false if an
    /// element of a factor is not finite as bfloat16, and then nothing is said of `out`.
    ///
    /// # Panics
    /// If the sizes do not go together, or there are no terms.
    pub(super) fn multiply(
        self,
        factors: [Matrix; 2],
        bias: Option<&[f32]>,
        out: &mut [MaybeUninit<f32>],
        shared: bool,
    ) -> bool {
        let factors = self.factors(factors);
        let mut guessed = factors.map(Factor::as_signs);
        while let Err(wrong) = self.run(guessed, bias, out, shared) {
            if guessed[wrong].magnitude().is_none() {
                return false;
            }
            guessed[wrong] = factors[wrong];
        }
        true
    }

    /// As [`multiply`](Self::multiply), exactly, of factors whose elements all have one magnitude or are 0; false if they
    /// are others.
    pub(super) fn multiply_signs(
        self,
        factors: [Matrix; 2],
        bias: Option<&[f32]>,
        out: &mut [MaybeUninit<f32>],
        shared: bool,
    ) -> bool {
        let guessed = self.factors(factors).map(Factor::as_signs);
        guessed.iter().all(|factor| factor.magnitude().is_some())
            && self.run(guessed, bias, out, shared).is_ok()
    }

    fn factors<'a>(self, [a, b]: [Matrix<'a>; 2]) -> [Factor<'a>; 2] {
        let ([_, terms], [terms_of_b, _]) = (a.shape(), b.shape());
        assert_eq!(terms, terms_of_b);
        assert!(terms > 0);
        [Factor::left(a, self.parts), Factor::right(b, self.parts)]
    }

    /// As [`multiply`](Self::multiply); else which factor is not finite as bfloat16 or not what it was guessed to be.
    fn run(
        self,
        factors: [Factor; 2],
        bias: Option<&[f32]>,
        out: &mut [MaybeUninit<f32>],
        shared: bool,
    ) -> Result<(), usize> {
        let magnitudes = factors.map(|factor| factor.magnitude());
        let mut out = Output {
            magnitude: magnitudes.iter().flatten().product(),
            ..Output::new(factors.map(|factor| factor.lines()), bias, out)
        };
        let steps = factors[0].steps();
        let tiles = factors.map(|factor| factor.tiles_of_step());
        let sums = match magnitudes {
            // One, so that it is exact.
            [Some(_), Some(_)] => 1,
            _ => steps.div_ceil(that_fit(BYTES_OF_PANEL, tiles[0].max(tiles[1]))),
        };
        (0..sums).try_for_each(|index| {
            out.adds = index > 0;
            let steps = share(index, sums, steps);
            let factors = factors.map(|factor| factor.some_steps(steps.clone()));
            self.sum(factors, &out, shared)
        })
    }

    /// Writes or adds a product, as [`run`](Self::run).
    fn sum(self, [a, b]: [Factor; 2], out: &Output, shared: bool) -> Result<(), usize> {
        let a_is_first = a.panels() < b.panels();
        let (first, second) = if a_is_first { (a, b) } else { (b, a) };
        let (wrong_first, wrong_second) = if a_is_first { (0, 1) } else { (1, 0) };
        let len = first.tiles_of_panel();

        let mut room = Room::take(&FIRST);
        let first_tiles = room.tiles(first.panels() * len);
        let pack = |(panel, tiles): (usize, &mut [Tile])| first.pack(self.amx, panel, tiles);
        let fits = match shared {
            true => first_tiles.par_chunks_exact_mut(len).enumerate().all(pack),
            false => first_tiles.chunks_exact_mut(len).enumerate().all(pack),
        };
        if !fits {
            return Err(wrong_first);
        }
        let first_tiles = &*first_tiles;

        let len = second.tiles_of_panel();
        let task = |panels: Range<usize>| {
            let mut room = Room::take(&SECOND);
            let second_tiles = room.tiles(panels.len() * len);
            let mut packed = panels.clone().zip(second_tiles.chunks_exact_mut(len));
            if !packed.all(|(panel, tiles)| second.pack(self.amx, panel, tiles)) {
                return false;
            }
            let (first_tiles, second_tiles) = ((0, first_tiles), (panels.start, &*second_tiles));
            let (a_tiles, b_tiles) = if a_is_first {
                (first_tiles, second_tiles)
            } else {
                (second_tiles, first_tiles)
            };
            #[allow(unsafe_code)]
            // SAFETY: one of the factors has the panels of this task alone, so nobody else writes these blocks.
            unsafe {
                self.multiply_panels((a, a_tiles), (b, b_tiles), out);
            }
            true
        };
        let panels = second.panels();
        let least = panels.div_ceil(that_fit(BYTES_OF_PACKED, len));
        let fits = if shared {
            // As many for each thread.
            let tasks = least
                .next_multiple_of(rayon::current_num_threads())
                .min(panels);
            (0..tasks)
                .into_par_iter()
                .all(|index| task(share(index, tasks, panels)))
        } else {
            (0..least).all(|index| task(share(index, least, panels)))
        };
        if fits { Ok(()) } else { Err(wrong_second) }
    }

    /// Writes the product of panels of both factors, of which the number of the first and the tiles are given.
    ///
    /// Blocks follow each other along the rows of the output, so that its memory is written in long runs.
    ///
    /// # Safety
    /// Nobody else writes the blocks of these panels.
    #[allow(unsafe_code)]
    unsafe fn multiply_panels(
        self,
        (a, (row, a_tiles)): (Factor, (usize, &[Tile])),
        (b, (column, b_tiles)): (Factor, (usize, &[Tile])),
        out: &Output,
    ) {
        let ready = self.amx.set_up();
        let mut block = Block([[0.0; BLOCK]; BLOCK]);
        let len = b.tiles_of_panel();
        let columns = that_fit(BYTES_OF_COLUMNS, len);
        for (group, b_tiles) in b_tiles.chunks(columns * len).enumerate() {
            for (row, a) in (row..).zip(a.panels_of(a_tiles)) {
                for (column, b) in (column + group * columns..).zip(b.panels_of(b_tiles)) {
                    ready.multiply(a, b, &mut block);
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
    /// What sums are multiplied by.
    magnitude: f32,
    bias: Option<&'a [f32]>,
    /// Whether sums are added to what is there, without the bias, after something has been written everywhere.
    adds: bool,
    owner: std::marker::PhantomData<&'a mut [MaybeUninit<f32>]>,
}

#[allow(unsafe_code)]
// SAFETY: what is behind the pointer is borrowed for its lifetime, and written only by `write`, whose caller promises that
// no two threads write the same block.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    fn new(
        [rows, columns]: [usize; 2],
        bias: Option<&'a [f32]>,
        out: &'a mut [MaybeUninit<f32>],
    ) -> Self {
        assert_eq!(rows * columns, out.len());
        assert!(bias.is_none_or(|bias| bias.len() == columns));
        Self {
            values: out.as_mut_ptr().cast(),
            rows,
            columns,
            magnitude: 1.0,
            bias,
            adds: false,
            owner: std::marker::PhantomData,
        }
    }

    /// Writes the block that starts there or adds it, as far as it lies within the output, with the magnitude and the bias.
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
        let magnitude = self.magnitude;
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
            if self.adds {
                for (shift, y) in shift.iter_mut().zip(&*out) {
                    // SAFETY: it has been written before.
                    *shift = unsafe { y.assume_init() };
                }
            }
            let shifted = |(sum, shift): (&f32, &f32)| MaybeUninit::new(sum * magnitude + shift);
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
