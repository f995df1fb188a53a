//! Random networks and images, for benchmarks and tests.

use crate::network::level_range;
use crate::{
    Attention, BinaryLinear, Block, Error, Head, LayerNorm, Network, PackedConfig, PatchEmbedding,
    SignMatrix,
};

/// A small generator (SplitMix64): the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number of `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About a normal number of mean 0 and deviation 1: the sum of twelve uniform ones.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Random pixels of an image, `[image_size, image_size, channels]`.
    pub fn image(&mut self, config: &PackedConfig) -> Vec<u8> {
        (0..config.pixels()).map(|_| self.bits() as u8).collect()
    }

    fn normals(&mut self, len: usize, deviation: f32) -> Vec<f32> {
        (0..len).map(|_| self.normal() * deviation).collect()
    }

    /// `deviation` about 1.
    fn factors(&mut self, len: usize, deviation: f32) -> Vec<f32> {
        (0..len).map(|_| 1.0 + self.normal() * deviation).collect()
    }

    fn levels(&mut self, len: usize, bits: u8) -> Vec<i8> {
        let (low, high) = level_range(bits);
        let levels = (i16::from(high) - i16::from(low) + 1) as usize;
        (0..len)
            .map(|_| (i16::from(low) + self.below(levels) as i16) as i8)
            .collect()
    }

    fn signs(&mut self, rows: usize, columns: usize) -> Result<SignMatrix, Error> {
        let len = rows * columns;
        let mut bits: Vec<u8> = (0..len.div_ceil(8)).map(|_| self.bits() as u8).collect();
        if let (Some(last), used @ 1..) = (bits.last_mut(), len % 8) {
            *last &= (1 << used) - 1;
        }
        SignMatrix::from_bits(rows, columns, bits, Vec::new())
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Result<BinaryLinear, Error> {
        // Outputs of deviation about 1.
        let scale = (inputs as f32).sqrt().recip();
        Ok(BinaryLinear {
            weight: self.signs(outputs, inputs)?,
            weight_scale: vec![scale],
            input_shift: self.normals(inputs, 0.1),
            input_scale: 0.9,
            bias: self.normals(outputs, 0.05),
        })
    }

    fn norm(&mut self, width: usize) -> LayerNorm {
        LayerNorm {
            gamma: self.factors(width, 0.1),
            beta: self.normals(width, 0.1),
        }
    }

    fn head(&mut self, config: &PackedConfig) -> Head {
        let reach = f32::from(level_range(config.head_bits).1);
        Head {
            weight: self.levels(config.classes * config.width, config.head_bits),
            weight_scale: 0.1 / reach,
            input_shift: self.normals(config.width, 0.1),
            input_scale: 3.0 / reach,
            bias: self.normals(config.classes, 0.1),
        }
    }

    fn block(&mut self, config: &PackedConfig) -> Result<Block, Error> {
        let (width, tokens) = (config.width, config.tokens());
        let mean = (tokens as f32).recip();
        let mut attention_scales = vec![4.0 * mean, 30.0 * mean, 20.0 * mean];
        attention_scales.truncate(config.attention_groups);
        let mut value_scales = vec![0.8, 1.2, 0.6];
        value_scales.truncate(config.value_groups);
        Ok(Block {
            norm1: self.norm(width),
            attention: Attention {
                qkv: self.linear(width, 3 * width)?,
                query_shift: self.normals(width, 0.1),
                key_shift: self.normals(width, 0.1),
                value_shift: self.normals(width, 0.1),
                query_scale: 1.4,
                key_scale: 1.4,
                value_scales,
                attention_shift: self.normals(config.heads * tokens * tokens, 0.2 * mean),
                attention_scales,
                output: self.linear(width, width)?,
            },
            norm2: self.norm(width),
            fc1: self.linear(width, config.mlp_width)?,
            fc2: self.linear(config.mlp_width, width)?,
        })
    }
}

impl Network {
    /// A network of random weights and of values as training leaves them, the same for a seed on
    /// every machine. For benchmarks: it classifies nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration is impossible.
    pub fn random(config: &PackedConfig, seed: u64) -> Result<Self, Error> {
        config.validate()?;
        let random = &mut Random::new(seed);
        let (width, inputs) = (config.width, config.patch_values());
        let scale = 2.0 / f32::from(level_range(config.patch_bits).1) / (inputs as f32).sqrt();
        let patch_embedding = PatchEmbedding {
            weight: random.levels(width * inputs, config.patch_bits),
            scales: random
                .factors(width, 0.1)
                .iter()
                .map(|factor| factor * scale)
                .collect(),
            bias: random.normals(width, 0.1),
        };
        let class_token = random.normals(width, 0.5);
        let distillation_token = config
            .distillation_token
            .then(|| random.normals(width, 0.5));
        Ok(Self {
            config: config.clone(),
            patch_embedding,
            class_token,
            distillation_token,
            positions: random.normals(config.tokens() * width, 0.5),
            blocks: (0..config.depth)
                .map(|_| random.block(config))
                .collect::<Result<_, _>>()?,
            norm: random.norm(width),
            class_head: random.head(config),
            distillation_head: config.distillation_token.then(|| random.head(config)),
        })
    }
}
