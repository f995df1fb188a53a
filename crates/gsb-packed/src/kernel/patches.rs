//! The patch embedding on bytes: arranging its weight, cutting an image, and the product.

use super::instruction_set::{InstructionSet, Task};
use super::micro::linear::PANEL;
use super::micro::patches::Patches;
use super::simd::{LANES, Line, Simd};

impl Task for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        s.patches(self);
    }
}

/// Arranges the weight of a patch embedding for an instruction set, as [`Arrange`] the bits of a binary one.
///
/// [`Arrange`]: super::linear::Arrange
pub(crate) struct ArrangePatches<'a> {
    /// `[channels, colours, values]`, padded with channels of 0.
    pub(crate) levels: &'a [i8],
    /// Panels of channels.
    pub(crate) panels: usize,
    pub(crate) colours: usize,
    /// Values of a colour of a patch.
    pub(crate) values: usize,
}

impl Task for ArrangePatches<'_> {
    /// The panels, and words of a colour.
    type Output = (Vec<[Line; 4]>, usize);

    #[inline(always)]
    fn run<S: InstructionSet>(self, _: S) -> Self::Output {
        let words = self.values.div_ceil(S::PIXELS);
        let mut out = vec![Default::default(); self.panels * self.colours * words];
        let of_channel = self.colours * self.values;
        for (channel, levels) in self.levels.chunks_exact(of_channel).enumerate() {
            let (panel, line, lane) = (channel / PANEL, channel % PANEL / LANES, channel % LANES);
            let out = &mut out[panel * self.colours * words..][..self.colours * words];
            let colours = levels.chunks_exact(self.values);
            for (out, levels) in out.chunks_exact_mut(words).zip(colours) {
                for (out, levels) in out.iter_mut().zip(levels.chunks(S::PIXELS)) {
                    let levels = levels.iter().enumerate();
                    let packed = levels.map(|(i, &level)| pixel::<S>(i32::from(level), i));
                    let out: &mut [Line; 4] = out;
                    out[line].0[lane] = packed.fold(0, |word, pixel| word | pixel);
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
