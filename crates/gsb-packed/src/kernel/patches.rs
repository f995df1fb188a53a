//! The patch embedding on bytes.
//!
//! Each colour's mean and deviation are folded into the factor and the constant of its sum of products
//! of bytes, which is exact.

use super::linear::{Inputs, PANEL};
use super::simd::{Line, Simd, Task};

/// The embedding of all patches of an image.
pub(crate) struct PatchTask<'a> {
    /// Pixels of each patch, colour by colour.
    pub(crate) pixels: Inputs<'a>,
    pub(crate) weights: &'a PatchWeights,
    /// What is added last: `[patches, panels]`.
    pub(crate) positions: &'a [[Line<f32>; 4]],
    /// A row for each patch: `[patches, panels]`.
    pub(crate) out: &'a mut [[Line<f32>; 4]],
}

/// The weight of a patch embedding.
#[derive(Debug, Default)]
pub(crate) struct PatchWeights {
    /// `[panels, colours, words]`.
    pub(crate) panels: Vec<[Line; 4]>,
    /// Words of a colour of a patch.
    pub(crate) words: usize,
    /// What a colour's sum is multiplied by: `[colours, panels]`.
    pub(crate) factors: Vec<[Line<f32>; 4]>,
    /// What is added: `[panels]`.
    pub(crate) constants: Vec<[Line<f32>; 4]>,
}

impl Task for PatchTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        s.patches(self);
    }
}

/// The micro-kernel: tiles of `R` patches by `V` vectors of a panel.
#[inline(always)]
pub(super) fn run<S: Simd, const R: usize, const V: usize>(s: S, task: PatchTask<'_>) {
    let PatchWeights {
        panels: weights,
        words,
        factors,
        constants,
    } = task.weights;
    let panels = constants.len();
    let colours = factors.len() / panels;
    for panel in 0..panels {
        let weights = &weights[panel * colours * words..][..colours * words];
        for (first, rows) in task.pixels.tiles::<R>() {
            for v in (0..4).step_by(V) {
                let mut values = [[s.splat_f(0.0); V]; R];
                for value in &mut values {
                    for i in 0..V {
                        value[i] = s.load_f(&constants[panel][v + i].0);
                    }
                }
                for (colour, weights) in weights.chunks_exact(*words).enumerate() {
                    let tile = task.pixels.tile::<R>(first, colour * words, *words);
                    let sums = products::<S, R, V>(s, &tile, weights, v);
                    let factors = &factors[colour * panels + panel];
                    for r in 0..R {
                        for i in 0..V {
                            let sum = s.mul(s.to_f(sums[r][i]), s.load_f(&factors[v + i].0));
                            values[r][i] = s.add(values[r][i], sum);
                        }
                    }
                }
                for (r, value) in values.into_iter().enumerate().take(rows) {
                    let at = (first + r) * panels + panel;
                    let (out, position) = (&mut task.out[at], &task.positions[at]);
                    for i in 0..V {
                        let sum = s.add(value[i], s.load_f(&position[v + i].0));
                        s.store_f(sum, &mut out[v + i].0);
                    }
                }
            }
        }
    }
}

/// The sums of a colour.
#[inline(always)]
fn products<S: Simd, const R: usize, const V: usize>(
    s: S,
    tile: &[&[u32]; R],
    weights: &[[Line; 4]],
    v: usize,
) -> [[S::U; V]; R] {
    let mut sums = [[s.splat_u(0); V]; R];
    for (k, lines) in weights.iter().enumerate() {
        let mut w = [s.splat_u(0); V];
        for i in 0..V {
            w[i] = s.load_u(&lines[v + i].0);
        }
        for r in 0..R {
            let x = s.splat_u(tile[r][k]);
            for i in 0..V {
                sums[r][i] = s.dot(sums[r][i], x, w[i]);
            }
        }
    }
    sums
}

/// Arranges the weight of one colour of a patch for an instruction set, as [`Arrange`] the bits of a
/// binary one: level `at` of a channel is `level(channel, at)`.
///
/// [`Arrange`]: super::linear::Arrange
pub(crate) struct ArrangePatches<F> {
    /// Panels of channels.
    pub(crate) panels: usize,
    pub(crate) colours: usize,
    /// Values of a colour of a patch.
    pub(crate) values: usize,
    /// Level of a channel, a colour and a value.
    pub(crate) level: F,
}

impl<F: Fn(usize, usize, usize) -> i8> Task for ArrangePatches<F> {
    /// The panels, and words of a colour.
    type Output = (Vec<[Line; 4]>, usize);

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Self::Output {
        let words = self.values.div_ceil(S::PIXELS);
        let mut out = Vec::with_capacity(self.panels * self.colours * words);
        for panel in 0..self.panels {
            for colour in 0..self.colours {
                for word in 0..words {
                    let mut column = [Line::default(); 4];
                    for channel in 0..PANEL {
                        let mut packed = 0u32;
                        for i in 0..S::PIXELS {
                            let at = word * S::PIXELS + i;
                            if at < self.values {
                                let level = (self.level)(panel * PANEL + channel, colour, at);
                                packed |= pixel::<S>(i32::from(level), i);
                            }
                        }
                        column[channel / 16].0[channel % 16] = packed;
                    }
                    out.push(column);
                }
            }
        }
        (out, words)
    }
}

/// A value at its place in a lane.
#[inline(always)]
fn pixel<S: Simd>(value: i32, place: usize) -> u32 {
    let bits = 32 / S::PIXELS;
    ((value as u32) & (u32::MAX >> (32 - bits))) << (place * bits)
}

/// Cuts an image into patches, their pixels arranged as weights are.
pub(crate) struct CutPatches<'a> {
    /// `[size, size, colours]`.
    pub(crate) image: &'a [u8],
    pub(crate) size: usize,
    pub(crate) colours: usize,
    pub(crate) patch: usize,
    /// `[patches, colours, words]`.
    pub(crate) out: &'a mut [u32],
    pub(crate) words: usize,
}

impl Task for CutPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self {
            image,
            size,
            colours,
            patch,
            out,
            words,
        } = self;
        let side = size / patch;
        let stride = colours * words;
        for (y, line) in image.chunks_exact(size * colours).enumerate() {
            let row = y % patch;
            for (x, pixels) in line.chunks_exact(patch * colours).enumerate() {
                let patch_words = &mut out[(y / patch * side + x) * stride..][..stride];
                for (colour, words) in patch_words.chunks_exact_mut(words).enumerate() {
                    let first = row * patch;
                    if patch % S::PIXELS == 0 {
                        let words = &mut words[first / S::PIXELS..][..patch / S::PIXELS];
                        let groups = pixels.chunks_exact(S::PIXELS * colours);
                        for (word, group) in words.iter_mut().zip(groups) {
                            let mut packed = 0;
                            for i in 0..S::PIXELS {
                                packed |= pixel::<S>(i32::from(group[i * colours + colour]), i);
                            }
                            *word = packed;
                        }
                    } else {
                        for i in 0..patch {
                            let (word, place) = ((first + i) / S::PIXELS, (first + i) % S::PIXELS);
                            if place == 0 {
                                words[word] = 0;
                            }
                            words[word] |=
                                pixel::<S>(i32::from(pixels[i * colours + colour]), place);
                        }
                    }
                }
            }
        }
    }
}
