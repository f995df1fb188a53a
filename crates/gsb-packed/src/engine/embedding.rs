//! From an image to the tokens that enter the encoder.

use gsb_numerics::nonzero;

use super::Stage;
use super::lines::{element_mut, lines, panels};
use super::scratch::Lane;
use super::share::{Parts, Span, share};
use super::tokens::Tokens;
use crate::kernel::Kernels;
use crate::kernel::micro::linear::Inputs;
use crate::kernel::micro::patches::{PatchWeights, Patches};
use crate::kernel::patches::{ArrangePatches, CutPatches};
use crate::kernel::simd::Line;
use crate::{Image, PackedConfig, PackedNetwork, Preprocessing};

/// The patch embedding, the learned tokens and the positions.
#[derive(Debug)]
pub(super) struct Embedding {
    weights: PatchWeights,
    /// Levels of the weight, `[width, colours, values]`, for images that are floats.
    levels: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    /// Learned tokens with their positions, then the positions of the patches: `[tokens, panels]`.
    positions: Vec<[Line<f32>; 4]>,
}

impl Embedding {
    pub(super) fn new(
        network: &mut PackedNetwork,
        preprocessing: &Preprocessing,
        kernels: Kernels,
    ) -> Self {
        let config = &network.config;
        let (width, colours) = (config.width, config.channels);
        let values = config.patch_size * config.patch_size;
        let patch = &mut network.patch_embedding;
        let levels = std::mem::take(&mut patch.weight);
        let scales: Vec<f32> = patch.scales.iter().copied().map(nonzero).collect();
        let bias = std::mem::take(&mut patch.bias);

        let (arranged, words) = kernels.run(ArrangePatches {
            levels: &levels,
            panels: panels(width),
            colours,
            values,
        });
        let Preprocessing {
            mean, deviation, ..
        } = preprocessing;
        let factor = |channel: usize, colour: usize| {
            let per_level = f64::from(scales[channel]) / f64::from(deviation[colour]);
            (per_level / 255.0) as f32
        };
        let constant = |channel: usize| {
            let of_channel = levels[channel * colours * values..].chunks_exact(values);
            let of_colour = |(colour, levels): (usize, &[i8])| {
                let sum: i64 = levels.iter().map(|&level| i64::from(level)).sum();
                sum as f64 * f64::from(mean[colour]) / f64::from(deviation[colour])
            };
            let sum: f64 = (0..colours).zip(of_channel).map(of_colour).sum();
            (f64::from(bias[channel]) - f64::from(scales[channel]) * sum) as f32
        };
        // Of a size that is known, unlike that of a flattened iterator, which takes up to three times as
        // much while it grows.
        let mut factors = Vec::with_capacity(colours * panels(width));
        for colour in 0..colours {
            factors.extend(lines(width, 0.0, |channel| factor(channel, colour)));
        }
        let weights = PatchWeights {
            panels: arranged,
            words,
            factors,
            constants: lines(width, 0.0, constant),
        };

        let learned = [
            Some(&network.class_token),
            network.distillation_token.as_ref(),
        ];
        let learned: Vec<&Vec<f32>> = learned.into_iter().flatten().collect();
        let mut positions = Vec::with_capacity(config.tokens() * panels(width));
        for (token, position) in network.positions.chunks_exact(width).enumerate() {
            positions.extend(lines(width, 0.0, |channel| match learned.get(token) {
                Some(values) => values[channel] + position[channel],
                None => position[channel],
            }));
        }
        Self {
            weights,
            levels,
            scales,
            bias,
            positions,
        }
    }

    /// Words of a patch.
    pub(super) fn stride(&self, config: &PackedConfig) -> usize {
        config.channels * self.weights.words
    }

    /// Cuts an image of bytes, `[height, width, channels]`, into patches.
    pub(super) fn cut(
        &self,
        kernels: Kernels,
        config: &PackedConfig,
        image: &[u8],
        pixels: &mut [u32],
        lanes: &mut [Lane],
    ) {
        let side = config.image_size / config.patch_size;
        let bands = Bands {
            span: Span::new(side, 1, lanes.len()),
            lanes,
            image,
            of_image: config.patch_size * config.image_size * config.channels,
            pixels,
            of_pixels: side * self.stride(config),
        };
        share(bands, &|bands: Bands<'_>| {
            let clock = &mut bands.lanes[0].clock;
            clock.start();
            kernels.run(CutPatches {
                image: bands.image,
                size: config.image_size,
                colours: config.channels,
                patch: config.patch_size,
                out: bands.pixels,
                words: self.weights.words,
            });
            clock.lap(Stage::Embedding);
        });
    }

    /// Makes tokens of an image: of bytes that are [cut](Self::cut) into pixels, or of floats,
    /// `[channels, height, width]`.
    pub(super) fn embed(
        &self,
        kernels: Kernels,
        config: &PackedConfig,
        image: Image<'_>,
        pixels: &[u32],
        tokens: &mut Tokens<'_>,
    ) {
        let panels = panels(config.width);
        let all = tokens.span.range();
        let positions = &self.positions[all.start * panels..all.end * panels];
        // Of these tokens the ones without a patch, and the first patch.
        let learned = tokens.needed(config.learned_tokens());
        let first = all.start + learned - config.learned_tokens().min(all.start + learned);
        let count = all.len() - learned;
        let (own, of_patches) = tokens.stream.split_at_mut(learned * panels);
        let (own_positions, positions) = positions.split_at(learned * panels);
        own.copy_from_slice(own_positions);
        let lane = &mut tokens.lanes[0];
        match image {
            Image::Bytes(_) => kernels.run(Patches {
                pixels: Inputs::new(
                    &pixels[first * self.stride(config)..],
                    self.stride(config),
                    0..count,
                ),
                weights: &self.weights,
                positions,
                out: of_patches,
            }),
            Image::Normalized(image) => {
                for (index, row) in of_patches.chunks_exact_mut(panels).enumerate() {
                    self.embed_floats(config, image, first + index, &mut lane.patch, row);
                }
                let values = of_patches.as_flattened_mut().iter_mut();
                for (value, position) in values.zip(positions.as_flattened()) {
                    for (value, position) in value.0.iter_mut().zip(position.0) {
                        *value += position;
                    }
                }
            }
        }
        lane.clock.lap(Stage::Embedding);
    }

    /// Makes a token of a patch, without its position, with memory for the pixels of the patch.
    fn embed_floats(
        &self,
        config: &PackedConfig,
        image: &[f32],
        index: usize,
        pixels: &mut [f32],
        row: &mut [[Line<f32>; 4]],
    ) {
        let (size, patch) = (config.image_size, config.patch_size);
        let side = size / patch;
        let (top, left) = (index / side * patch, index % side * patch);
        let lines = pixels.chunks_exact_mut(patch).enumerate();
        for (line, out) in lines {
            let (colour, y) = (line / patch, top + line % patch);
            out.copy_from_slice(&image[(colour * size + y) * size + left..][..patch]);
        }
        let levels = self.levels.chunks_exact(config.patch_values());
        for (channel, levels) in levels.enumerate() {
            let products = pixels
                .iter()
                .zip(levels)
                .map(|(x, &level)| f64::from(*x) * f64::from(level));
            let sum = products.sum::<f64>() * f64::from(self.scales[channel]);
            *element_mut(row, channel) = sum as f32 + self.bias[channel];
        }
    }
}

/// Bands of an image as high as a patch.
struct Bands<'a> {
    span: Span,
    lanes: &'a mut [Lane],
    /// `[some bands, bytes of a band]`.
    image: &'a [u8],
    of_image: usize,
    /// `[some bands, words of a band]`, and padding.
    pixels: &'a mut [u32],
    of_pixels: usize,
}

impl Parts for Bands<'_> {
    fn span(&self) -> &Span {
        &self.span
    }

    fn split(self, lanes: usize) -> (Self, Self) {
        let (span, other_span) = self.span.split(lanes);
        let first = span.range().len();
        let (lanes, other_lanes) = self.lanes.split_at_mut(lanes);
        let (image, other_image) = self.image.split_at(first * self.of_image);
        let (pixels, other_pixels) = self.pixels.split_at_mut(first * self.of_pixels);
        let others = Self {
            span: other_span,
            lanes: other_lanes,
            image: other_image,
            pixels: other_pixels,
            ..self
        };
        let first = Self {
            span,
            lanes,
            image,
            pixels,
            of_image: others.of_image,
            of_pixels: others.of_pixels,
        };
        (first, others)
    }
}
