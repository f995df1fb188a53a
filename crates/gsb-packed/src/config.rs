//! The sizes of a network.

use serde::{Deserialize, Serialize};

use gsb_numerics::ThresholdScope;

use crate::Error;

/// The configuration of a binary Vision Transformer.
///
/// ```
/// let config = gsb_packed::PackedConfig::deit_small(1000);
/// assert!(config.validate().is_ok());
/// assert_eq!((config.tokens(), config.head_width()), (198, 64));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedConfig {
    /// Height and width of an image in pixels.
    pub image_size: usize,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// Number of colour channels.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Width of a token.
    pub width: usize,
    /// Number of encoder blocks.
    pub depth: usize,
    /// Number of attention heads.
    pub heads: usize,
    /// Width of an MLP's hidden layer.
    pub mlp_width: usize,
    /// Whether there are a distillation token and a head for it.
    pub distillation_token: bool,
    /// Groups of the attention matrix's superposition, 1 to 3.
    pub attention_groups: usize,
    /// Bits of the attention matrix's levels, 1 or 2: levels 0 to 3 of one step take the place of groups.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attention_bits: u8,
    /// Groups of the value's superposition, 1 to 3.
    pub value_groups: usize,
    /// The elements that share thresholds.
    pub scope: ThresholdScope,
    /// Bits of weight and input of the heads, 1 to 8.
    pub head_bits: u8,
    /// Bits of the weight of the patch embedding, 1 to 8.
    pub patch_bits: u8,
    /// What is added to the variance of a layer normalization, inside the root.
    pub norm_epsilon: f32,
}

fn one() -> u8 {
    1
}

fn is_one(bits: &u8) -> bool {
    *bits == one()
}

/// Largest width of a layer, number of tokens, of blocks: products of two of them fit 32 bits.
const MAX_SIZE: usize = 1 << 14;

/// Largest number of classes, and of values of a patch (whose sum with 8-bit weights fits 32 bits).
const MAX_WIDE: usize = 1 << 16;

/// Largest width of a head, whose products are looked up.
const MAX_HEAD_WIDTH: usize = 255;

/// Largest number of values of an image.
const MAX_PIXELS: usize = 1 << 26;

impl PackedConfig {
    /// DeiT-S with a distillation token at 224 pixels (arXiv 2012.12877).
    pub fn deit_small(classes: usize) -> Self {
        Self {
            image_size: 224,
            patch_size: 16,
            channels: 3,
            classes,
            width: 384,
            depth: 12,
            heads: 6,
            mlp_width: 1536,
            distillation_token: true,
            attention_groups: 3,
            attention_bits: 1,
            value_groups: 3,
            scope: ThresholdScope::Sample,
            head_bits: 8,
            patch_bits: 8,
            norm_epsilon: 1e-12,
        }
    }

    /// A small network for 8x8 grey images in ten classes.
    pub fn micro() -> Self {
        Self {
            image_size: 8,
            patch_size: 2,
            channels: 1,
            width: 64,
            depth: 4,
            heads: 4,
            mlp_width: 256,
            ..Self::deit_small(10)
        }
    }

    /// Number of patches of an image.
    ///
    /// # Panics
    /// If the patch size is 0.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Number of learned tokens before those of the patches: class and, if there is one,
    /// distillation token.
    pub fn learned_tokens(&self) -> usize {
        1 + usize::from(self.distillation_token)
    }

    /// Number of tokens: class token, distillation token (if there is one), patches.
    ///
    /// # Panics
    /// If the patch size is 0.
    pub fn tokens(&self) -> usize {
        self.learned_tokens() + self.patches()
    }

    /// Channels of an attention head.
    ///
    /// # Panics
    /// If there are no heads.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Matrices of one bit whose sum is the attention matrix: its groups, or one for each level above 0.
    pub fn attention_planes(&self) -> usize {
        match self.attention_bits {
            1 => self.attention_groups,
            // Of two bits: more are refused.
            _ => 3,
        }
    }

    /// Number of values of an image: channels times height times width.
    pub fn pixels(&self) -> usize {
        self.channels * self.image_size * self.image_size
    }

    /// Number of values of a patch.
    pub fn patch_values(&self) -> usize {
        self.channels * self.patch_size * self.patch_size
    }

    /// Checks that the numbers are possible and go together.
    ///
    /// # Errors
    /// [`Error::Config`] for the first that is not.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, value: &dyn std::fmt::Display, expected: String| {
            Err(Error::Config {
                field,
                value: value.to_string(),
                expected,
            })
        };
        for (field, size, most) in [
            ("the image size", self.image_size, MAX_SIZE),
            ("the patch size", self.patch_size, MAX_SIZE),
            ("the number of channels", self.channels, MAX_SIZE),
            ("the number of classes", self.classes, MAX_WIDE),
            ("the width", self.width, MAX_SIZE),
            ("the depth", self.depth, MAX_SIZE),
            ("the number of heads", self.heads, MAX_SIZE),
            ("the width of the MLP", self.mlp_width, MAX_SIZE),
        ] {
            if !(1..=most).contains(&size) {
                return wrong(field, &size, format!("1 to {most}"));
            }
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            let expected = format!("a multiple of the patch size {}", self.patch_size);
            return wrong("the image size", &self.image_size, expected);
        }
        let pixels = (self.image_size * self.image_size).checked_mul(self.channels);
        if pixels.is_none_or(|pixels| pixels > MAX_PIXELS) {
            let expected = format!("at most {MAX_PIXELS} values in an image");
            return wrong("the image size", &self.image_size, expected);
        }
        if self.patch_values() > MAX_WIDE {
            let expected = format!("a patch of at most {MAX_WIDE} values");
            return wrong("the patch size", &self.patch_size, expected);
        }
        if self.tokens() > MAX_SIZE {
            let expected = format!("at most {MAX_SIZE}");
            return wrong("the number of tokens", &self.tokens(), expected);
        }
        if !self.width.is_multiple_of(self.heads) {
            let expected = format!("a multiple of the number of heads {}", self.heads);
            return wrong("the width", &self.width, expected);
        }
        if self.head_width() > MAX_HEAD_WIDTH {
            let expected = format!("at most {MAX_HEAD_WIDTH}");
            return wrong("the width of a head", &self.head_width(), expected);
        }
        for (field, groups) in [
            (
                "the number of groups of the attention",
                self.attention_groups,
            ),
            ("the number of groups of the value", self.value_groups),
        ] {
            if !(1..=3).contains(&groups) {
                return wrong(field, &groups, "1 to 3".into());
            }
        }
        if !(1..=2).contains(&self.attention_bits) {
            let field = "the number of bits of the attention";
            return wrong(field, &self.attention_bits, "1 or 2".into());
        }
        if self.attention_bits > 1 && self.attention_groups > 1 {
            let field = "the number of groups of the attention";
            return wrong(
                field,
                &self.attention_groups,
                "1, as it has levels of 2 bits".into(),
            );
        }
        for (field, bits) in [
            ("the number of bits of the heads", self.head_bits),
            ("the number of bits of the patch embedding", self.patch_bits),
        ] {
            if !(1..=8).contains(&bits) {
                return wrong(field, &bits, "1 to 8".into());
            }
        }
        if !(self.norm_epsilon.is_finite() && self.norm_epsilon >= 0.0) {
            let expected = "a finite number, not below 0".into();
            return wrong("epsilon of the normalization", &self.norm_epsilon, expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_take_the_place_of_groups() {
        let levels = |attention_groups, attention_bits| PackedConfig {
            attention_groups,
            attention_bits,
            ..PackedConfig::micro()
        };
        assert!(levels(1, 2).validate().is_ok());
        assert_eq!(levels(1, 2).attention_planes(), 3);
        assert_eq!(levels(2, 1).attention_planes(), 2);
        for (config, part) in [
            (levels(1, 0), "1 or 2"),
            (levels(1, 3), "1 or 2"),
            (levels(1, 255), "1 or 2"),
            (levels(3, 2), "levels of 2 bits"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    /// As files were before there were levels.
    #[test]
    fn levels_of_one_bit_are_not_written() {
        let text = serde_json::to_string(&PackedConfig::micro()).unwrap();
        assert!(!text.contains("attention_bits"), "{text}");
        let read: PackedConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(read, PackedConfig::micro());
    }
}
