//! The patch embedding on bytes: arranging its weight, cutting an image, and the product.

use super::instruction_set::{InstructionSet, Task};
use super::micro::linear::PANEL;
use super::micro::patches::Patches;
use super::simd::{Line, Simd};

impl Task for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        s.patches(self);
    }
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
    fn run<S: InstructionSet>(self, _: S) -> Self::Output {
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
    fn run<S: InstructionSet>(self, _: S) {
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
