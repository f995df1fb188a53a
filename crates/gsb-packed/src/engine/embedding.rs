//! From an image to the tokens that enter the encoder.

use super::lines::{element_mut, lines, panels};
use crate::kernel::Kernels;
use crate::kernel::micro::linear::Inputs;
use crate::kernel::micro::patches::{PatchWeights, Patches};
use crate::kernel::patches::{ArrangePatches, CutPatches};
use crate::kernel::simd::Line;
use crate::{Network, PackedConfig, Preprocessing, SCALE_GUARD};

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
        network: &mut Network,
        preprocessing: &Preprocessing,
        kernels: Kernels,
    ) -> Self {
        let config = &network.config;
        let (width, colours) = (config.width, config.channels);
        let values = config.patch_size * config.patch_size;
        let patch = &mut network.patch_embedding;
        let levels = std::mem::take(&mut patch.weight);
        let guard = |&scale: &f32| if scale == 0.0 { SCALE_GUARD } else { scale };
        let scales: Vec<f32> = patch.scales.iter().map(guard).collect();
        let bias = std::mem::take(&mut patch.bias);

        let level = |channel: usize, colour: usize, at: usize| match channel < width {
            true => levels[(channel * colours + colour) * values + at],
            false => 0,
        };
        let (arranged, words) = kernels.run(ArrangePatches {
            panels: panels(width),
            colours,
            values,
            level,
        });
        let Preprocessing {
            mean, deviation, ..
        } = preprocessing;
        let factor = |channel: usize, colour: usize| {
            let per_level = f64::from(scales[channel]) / f64::from(deviation[colour]);
            (per_level / 255.0) as f32
        };
        let constant = |channel: usize| {
            let of_colour = |colour: usize| {
                let sum: i64 = (0..values)
                    .map(|at| i64::from(level(channel, colour, at)))
                    .sum();
                sum as f64 * f64::from(mean[colour]) / f64::from(deviation[colour])
            };
            let sum: f64 = (0..colours).map(of_colour).sum();
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

    /// Makes tokens of bytes, `[height, width, channels]`.
    pub(super) fn embed_bytes(
        &self,
        kernels: Kernels,
        config: &PackedConfig,
        image: &[u8],
        pixels: &mut [u32],
        stream: &mut [[Line<f32>; 4]],
    ) {
        kernels.run(CutPatches {
            image,
            size: config.image_size,
            colours: config.channels,
            patch: config.patch_size,
            out: pixels,
            words: self.weights.words,
        });
        let learned = config.learned_tokens() * panels(config.width);
        kernels.run(Patches {
            pixels: Inputs::new(pixels, self.stride(config), 0..config.patches()),
            weights: &self.weights,
            positions: &self.positions[learned..],
            out: &mut stream[learned..],
        });
        stream[..learned].copy_from_slice(&self.positions[..learned]);
    }

    /// Makes tokens of normalized floats, `[channels, height, width]`, with memory for the pixels of a
    /// patch.
    pub(super) fn embed_floats(
        &self,
        config: &PackedConfig,
        image: &[f32],
        pixels: &mut [f32],
        stream: &mut [[Line<f32>; 4]],
    ) {
        let (size, patch) = (config.image_size, config.patch_size);
        let side = size / patch;
        let panels = panels(config.width);
        let learned = config.learned_tokens() * panels;
        let values = config.patch_values();
        for (index, row) in stream[learned..].chunks_exact_mut(panels).enumerate() {
            let (top, left) = (index / side * patch, index % side * patch);
            let lines = pixels.chunks_exact_mut(patch).enumerate();
            for (line, out) in lines {
                let (colour, y) = (line / patch, top + line % patch);
                out.copy_from_slice(&image[(colour * size + y) * size + left..][..patch]);
            }
            for (channel, levels) in self.levels.chunks_exact(values).enumerate() {
                let products = pixels
                    .iter()
                    .zip(levels)
                    .map(|(x, &level)| f64::from(*x) * f64::from(level));
                let sum = products.sum::<f64>() * f64::from(self.scales[channel]);
                *element_mut(row, channel) = sum as f32 + self.bias[channel];
            }
        }
        let (tokens, patches) = stream.split_at_mut(learned);
        tokens.copy_from_slice(&self.positions[..learned]);
        let patches = patches.as_flattened_mut().iter_mut();
        for (value, position) in patches.zip(self.positions[learned..].as_flattened()) {
            for (value, position) in value.0.iter_mut().zip(position.0) {
                *value += position;
            }
        }
    }
}
