//! Descriptions of a network and its layers, as plain data.

use std::fmt::Display;

use gsb_numerics::{Levels, guarded};

use crate::kernel::attended::Products;
use crate::{Error, PackedConfig, SignMatrix};

/// A binary Vision Transformer: what a packed file holds and an engine is built from.
///
/// All matrices are row-major. Scales are learned values as they are: one that is not above
/// [`SCALE_GUARD`](crate::SCALE_GUARD) acts as the guard (that of the patch embedding only if it is 0).
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The sizes.
    pub config: PackedConfig,
    /// Makes a token of each patch.
    pub patch_embedding: PatchEmbedding,
    /// The class token, `[width]`.
    pub class_token: Vec<f32>,
    /// The distillation token, `[width]`, if there is one.
    pub distillation_token: Option<Vec<f32>>,
    /// The positions, `[tokens, width]`.
    pub positions: Vec<f32>,
    /// The encoder blocks.
    pub blocks: Vec<Block>,
    /// The normalization before the heads.
    pub norm: LayerNorm,
    /// The head of the class token.
    pub class_head: Head,
    /// The head of the distillation token, if there is one.
    pub distillation_head: Option<Head>,
}

/// A convolution whose kernel and stride are the patch: `y = scale_c * sum(level * x) + bias_c`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchEmbedding {
    /// Levels of the weight in two's complement of `patch_bits` bits (1 bit: -1, 0 or 1),
    /// `[width, channels, patch_size, patch_size]`.
    pub weight: Vec<i8>,
    /// Scale of each output channel, `[width]`.
    pub scales: Vec<f32>,
    /// Bias, `[width]`.
    pub bias: Vec<f32>,
}

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` over the width of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Factor, `[width]`.
    pub gamma: Vec<f32>,
    /// Summand, `[width]`.
    pub beta: Vec<f32>,
}

/// An encoder block: `x += attention(norm1(x))`, `x += fc2(gelu(fc1(norm2(x))))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Normalization before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attention: Attention,
    /// Normalization before the MLP.
    pub norm2: LayerNorm,
    /// Signed input, `[width]` to `[mlp_width]`.
    pub fc1: BinaryLinear,
    /// Unsigned input, `[mlp_width]` to `[width]`.
    pub fc2: BinaryLinear,
}

/// A binary attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Makes query, key and value, in this order, each of its heads one after another:
    /// `[width]` to `[3 * width]`.
    pub qkv: BinaryLinear,
    /// Added to the query before its sign is taken, `[heads, head_width]`.
    pub query_shift: Vec<f32>,
    /// Added to the key before its sign is taken, `[heads, head_width]`.
    pub key_shift: Vec<f32>,
    /// Added to the value before its superposition, `[heads, head_width]`.
    pub value_shift: Vec<f32>,
    /// Scale of the binary query.
    pub query_scale: f32,
    /// Scale of the binary key.
    pub key_scale: f32,
    /// Scales of the value's groups, `[value_groups]`.
    pub value_scales: Vec<f32>,
    /// Added to the softmax before its superposition, `[heads, queries, keys]`, queries and keys
    /// being tokens.
    pub attention_shift: Vec<f32>,
    /// Scales of the attention matrix's groups, `[attention_groups]`.
    pub attention_scales: Vec<f32>,
    /// Signed input, `[width]` to `[width]`.
    pub output: BinaryLinear,
}

/// `y = input_scale * weight_scale * sum(sign(weight) * level(x + input_shift)) + bias`, the level a
/// sign or, in `fc2`, 0 or 1: whether `(x + input_shift) / input_scale` rounds to 1 or more.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryLinear {
    /// Signs of the centred weight, `[outputs, inputs]`.
    pub weight: SignMatrix,
    /// Scale of the weight: one, or one for each output.
    pub weight_scale: Vec<f32>,
    /// Added to the input before it is binarized, `[inputs]`.
    pub input_shift: Vec<f32>,
    /// Scale of the binary input.
    pub input_scale: f32,
    /// Bias, `[outputs]`.
    pub bias: Vec<f32>,
}

/// `y = input_scale * weight_scale * sum(weight * level) + bias`, the level
/// `clamp(round((x + input_shift) / input_scale))` of `head_bits` bits (1 bit: the sign).
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Levels of the weight in two's complement of `head_bits` bits (1 bit: -1, 0 or 1),
    /// `[classes, width]`.
    pub weight: Vec<i8>,
    /// Scale of the weight.
    pub weight_scale: f32,
    /// Added to the input before it is quantized, `[width]`.
    pub input_shift: Vec<f32>,
    /// Scale of the quantized input.
    pub input_scale: f32,
    /// Bias, `[classes]`.
    pub bias: Vec<f32>,
}

impl Network {
    /// Checks the configuration, that every list has the length it asks for, that levels are within
    /// their bits, that all values are finite, and that the scales of the attended value are not so far
    /// apart that the smallest would be lost in sums of the largest.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn validate(&self) -> Result<(), Error> {
        let config = &self.config;
        config.validate()?;
        let (width, tokens) = (config.width, config.tokens());
        let patch = &self.patch_embedding;
        let weights = width * config.patch_values();
        levels(
            "patch_embedding.weight",
            &patch.weight,
            weights,
            config.patch_bits,
        )?;
        floats("patch_embedding.scales", &patch.scales, width)?;
        floats("patch_embedding.bias", &patch.bias, width)?;
        floats("tokens.class_token", &self.class_token, width)?;
        let distillation = usize::from(config.distillation_token);
        length(
            || "tokens.distillation_token".into(),
            usize::from(self.distillation_token.is_some()),
            distillation,
        )?;
        if let Some(token) = &self.distillation_token {
            floats("tokens.distillation_token", token, width)?;
        }
        floats("tokens.position", &self.positions, tokens * width)?;
        length(|| "blocks".into(), self.blocks.len(), config.depth)?;
        for (index, block) in self.blocks.iter().enumerate() {
            block.validate(config, &format!("blocks.{index}"))?;
        }
        self.norm.validate(width, "norm")?;
        self.class_head.validate(config, "class_head")?;
        length(
            || "distillation_head".into(),
            usize::from(self.distillation_head.is_some()),
            distillation,
        )?;
        match &self.distillation_head {
            Some(head) => head.validate(config, "distillation_head"),
            None => Ok(()),
        }
    }
}

impl Block {
    fn validate(&self, config: &PackedConfig, name: &str) -> Result<(), Error> {
        let (width, hidden) = (config.width, config.mlp_width);
        self.norm1.validate(width, &format!("{name}.norm1"))?;
        self.attention
            .validate(config, &format!("{name}.attention"))?;
        self.norm2.validate(width, &format!("{name}.norm2"))?;
        self.fc1
            .validate(width, hidden, &format!("{name}.mlp.fc1"))?;
        self.fc2.validate(hidden, width, &format!("{name}.mlp.fc2"))
    }
}

impl Attention {
    fn validate(&self, config: &PackedConfig, name: &str) -> Result<(), Error> {
        let (width, tokens) = (config.width, config.tokens());
        self.qkv
            .validate(width, 3 * width, &format!("{name}.qkv"))?;
        floats(&format!("{name}.shifts.query"), &self.query_shift, width)?;
        floats(&format!("{name}.shifts.key"), &self.key_shift, width)?;
        floats(&format!("{name}.shifts.value"), &self.value_shift, width)?;
        floats(
            &format!("{name}.scores.query_scale"),
            &[self.query_scale],
            1,
        )?;
        floats(&format!("{name}.scores.key_scale"), &[self.key_scale], 1)?;
        let attended = format!("{name}.attended");
        let groups = config.value_groups;
        floats(
            &format!("{attended}.value_scales"),
            &self.value_scales,
            groups,
        )?;
        let groups = config.attention_groups;
        floats(
            &format!("{attended}.attention_scales"),
            &self.attention_scales,
            groups,
        )?;
        self.scales_are_near(tokens, &attended)?;
        // More than a machine of 32 bits counts: no list there has so many.
        let elements = config.heads.saturating_mul(tokens * tokens);
        floats(
            &format!("{name}.attention_shift.bias"),
            &self.attention_shift,
            elements,
        )?;
        self.output
            .validate(width, width, &format!("{name}.output"))
    }

    /// Refuses scales whose products cannot be added up as precisely as each of them is.
    fn scales_are_near(&self, tokens: usize, attended: &str) -> Result<(), Error> {
        let lists = [
            ("attention_scales", &self.attention_scales),
            ("value_scales", &self.value_scales),
        ];
        let acting = lists.map(|(_, scales)| scales.iter().copied().map(guarded).collect());
        let [attention, value]: [Vec<f32>; 2] = acting;
        if Products::are_precise(&attention, &value, tokens) {
            return Ok(());
        }
        // The list whose smallest is the smaller part of its largest is to blame.
        let least = |scales: &[f32]| scales.iter().copied().fold(f32::INFINITY, f32::min);
        let part = |scales: &[f32]| least(scales) / scales.iter().copied().fold(0.0, f32::max);
        let ((list, scales), acting) = match part(&attention) <= part(&value) {
            true => (lists[0], attention),
            false => (lists[1], value),
        };
        let least = least(&acting);
        let index = acting.iter().take_while(|&&scale| scale > least).count();
        Err(Error::Value {
            tensor: format!("{attended}.{list}"),
            value: scales[index].to_string(),
            index,
            expected: "a scale nearer to the others: any product of an attention and a value scale must be \
                       2^-26 of the sum of all products and tokens or more",
        })
    }
}

impl LayerNorm {
    fn validate(&self, width: usize, name: &str) -> Result<(), Error> {
        floats(&format!("{name}.gamma"), &self.gamma, width)?;
        floats(&format!("{name}.beta"), &self.beta, width)
    }
}

impl BinaryLinear {
    fn validate(&self, inputs: usize, outputs: usize, name: &str) -> Result<(), Error> {
        let weight = || format!("{name}.weight");
        length(weight, self.weight.rows(), outputs)?;
        length(weight, self.weight.columns(), inputs)?;
        let scales = if self.weight_scale.len() == 1 {
            1
        } else {
            outputs
        };
        floats(&format!("{name}.weight_scale"), &self.weight_scale, scales)?;
        floats(&format!("{name}.shift"), &self.input_shift, inputs)?;
        floats(&format!("{name}.input_scale"), &[self.input_scale], 1)?;
        floats(&format!("{name}.bias"), &self.bias, outputs)
    }
}

impl Head {
    fn validate(&self, config: &PackedConfig, name: &str) -> Result<(), Error> {
        let (width, classes) = (config.width, config.classes);
        let weight = format!("{name}.weight");
        levels(&weight, &self.weight, classes * width, config.head_bits)?;
        floats(&format!("{name}.weight_scale"), &[self.weight_scale], 1)?;
        floats(&format!("{name}.shift"), &self.input_shift, width)?;
        floats(&format!("{name}.input_scale"), &[self.input_scale], 1)?;
        floats(&format!("{name}.bias"), &self.bias, classes)
    }
}

fn length(what: impl Fn() -> String, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what: what(),
        found,
        expected,
    })
}

fn floats(name: &str, values: &[f32], expected: usize) -> Result<(), Error> {
    length(|| name.into(), values.len(), expected)?;
    all_are(name, values, "a finite number", |value| value.is_finite())
}

fn levels(name: &str, values: &[i8], expected: usize, bits: u8) -> Result<(), Error> {
    length(|| name.into(), values.len(), expected)?;
    let (low, high) = level_range(bits);
    all_are(name, values, "a level of its bits", |value| {
        value >= low && value <= high
    })
}

/// Refuses the first value that is not what is expected.
fn all_are<T: Copy + Display>(
    name: &str,
    values: &[T],
    expected: &'static str,
    is_expected: impl Fn(T) -> bool,
) -> Result<(), Error> {
    // By parts, none of which stops early: so the compiler makes vectors of it.
    const PART: usize = 64;
    let all = |part: &[T]| {
        let wrong = |any, &value| any | u32::from(!is_expected(value));
        part.iter().fold(0, wrong) == 0
    };
    for (part, of_part) in values.chunks(PART).enumerate() {
        if all(of_part) {
            continue;
        }
        for (at, &value) in of_part.iter().enumerate() {
            if !is_expected(value) {
                return Err(Error::Value {
                    tensor: name.into(),
                    value: value.to_string(),
                    index: part * PART + at,
                    expected,
                });
            }
        }
    }
    Ok(())
}

/// Lowest and highest level of signed quantizers of `bits` bits.
pub(crate) fn level_range(bits: u8) -> (i8, i8) {
    let (low, high) = Levels::signed(bits).range();
    (low as i8, high as i8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_value_is_named() {
        for wrong in [0, 63, 64, 200] {
            let mut values = vec![1.0; 201];
            values[wrong..].fill(f32::NAN);
            match floats("x", &values, 201) {
                Err(Error::Value { index, .. }) => assert_eq!(index, wrong),
                other => panic!("{other:?}"),
            }
            let mut values = vec![-2; 201];
            values[wrong..].fill(2);
            match levels("x", &values, 201, 2) {
                Err(Error::Value { index, .. }) => assert_eq!(index, wrong),
                other => panic!("{other:?}"),
            }
        }
        assert!(levels("x", &[-128, 127], 2, 8).is_ok());
    }

    /// A limit on products below which rounding them would be seen.
    #[test]
    fn scales_far_apart_are_refused() {
        let config = PackedConfig {
            width: 8,
            heads: 1,
            mlp_width: 1,
            depth: 2,
            ..PackedConfig::micro()
        };
        let mut network = Network::random(&config, 1).unwrap();
        let mut validate = |attention: [f32; 3], value: [f32; 3]| {
            let block = &mut network.blocks[1].attention;
            (block.attention_scales, block.value_scales) = (attention.into(), value.into());
            network.validate()
        };
        // 18 tokens: 2^-28 of the power of two below 4 * 18 * 60 * 3.
        let limit = f32::from_bits((127 - 15) << 23);
        for far in [limit.next_down(), 1e-5, 0.0, -1.0] {
            for (attention, value, list) in [
                ([30.0, far, 30.0], [1.0; 3], "attention_scales"),
                ([1.0; 3], [30.0, far, 30.0], "value_scales"),
            ] {
                match validate(attention, value) {
                    Err(Error::Value {
                        tensor,
                        value,
                        index: 1,
                        ..
                    }) => {
                        assert_eq!(tensor, format!("blocks.1.attention.attended.{list}"));
                        assert_eq!(value, far.to_string());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        for near in [limit, 1e-4, 30.0, 1e6] {
            assert!(validate([30.0, near, 30.0], [1.0; 3]).is_ok());
            assert!(validate([1.0; 3], [30.0, near, 30.0]).is_ok());
        }
        for alike in [0.0, f32::MIN_POSITIVE, 1.0, f32::MAX] {
            assert!(validate([alike; 3], [alike; 3]).is_ok());
        }
    }
}
