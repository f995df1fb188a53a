//! Random networks and images, for benchmarks and tests.

use crate::layout::{Kind, Source, Tensor};
use crate::levels::level_range;
use crate::{Error, PackedConfig, PackedNetwork, SignMatrix};

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
}

impl PackedNetwork {
    /// A network of random weights and of values as training leaves them, the same for a seed on
    /// every machine. For benchmarks: it classifies nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration is impossible.
    pub fn random(config: &PackedConfig, seed: u64) -> Result<Self, Error> {
        config.validate()?;
        let mut source = Trained {
            random: Random::new(seed),
            config,
            inputs: 0,
        };
        Self::build(config, &mut source)
    }
}

/// Values as training leaves them.
struct Trained<'a> {
    random: Random,
    config: &'a PackedConfig,
    /// Inputs of the binary weight before.
    inputs: usize,
}

impl Source for Trained<'_> {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let Self { random, config, .. } = self;
        let len = tensor.len();
        let mean = (config.tokens() as f32).recip();
        let reach = |bits: u8| f32::from(level_range(bits).1);
        Ok(match (tensor.layer, tensor.part) {
            // Outputs of deviation about 1.
            _ if tensor.kind == Kind::RowScales => vec![(self.inputs as f32).sqrt().recip()],
            ("patch_embedding", "scales") => {
                let inputs = config.patch_values() as f32;
                let scale = 2.0 / reach(config.patch_bits) / inputs.sqrt();
                let factors = random.factors(len, 0.1);
                factors.iter().map(|factor| factor * scale).collect()
            }
            ("class_head" | "distillation_head", "weight_scale") => {
                vec![0.1 / reach(config.head_bits)]
            }
            ("class_head" | "distillation_head", "input_scale") => {
                vec![3.0 / reach(config.head_bits)]
            }
            (_, "input_scale") => vec![0.9],
            (_, "query_scale" | "key_scale") => vec![1.4],
            (_, "value_scales") => [0.8, 1.2, 0.6][..len].to_vec(),
            (_, "attention_scales") if config.attention_bits > 1 => vec![mean],
            (_, "attention_scales") => [4.0 * mean, 30.0 * mean, 20.0 * mean][..len].to_vec(),
            (_, "gamma") => random.factors(len, 0.1),
            ("tokens", _) => random.normals(len, 0.5),
            _ if tensor.kind == Kind::AttentionShift => random.normals(len, 0.2 * mean),
            ("patch_embedding" | "class_head" | "distillation_head", "bias") => {
                random.normals(len, 0.1)
            }
            (_, "bias") => random.normals(len, 0.05),
            _ => random.normals(len, 0.1),
        })
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error> {
        Ok(self.random.levels(tensor.len(), bits))
    }

    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error> {
        let [rows, columns] = tensor.matrix();
        self.inputs = columns;
        self.random.signs(rows, columns)
    }
}
