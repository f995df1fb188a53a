//! What stage 2 binarizes with.

use gsb_core::binarize::{InitialScales, ThresholdScope, ValueGradient};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What stage 2 binarizes with: the superpositions of attention and value, and how many bits the rest has.
///
/// The other phases have none of it. In JSON these fields lie among those of [`VitConfig`](crate::VitConfig).
///
/// ```
/// use gsb_vit::{Stage2Config, VitConfig};
///
/// let plain = Stage2Config {
///     attention_groups: 1,
///     value_groups: 1,
///     ..Stage2Config::default()
/// };
/// let config = VitConfig::micro().with_attention_groups(1).with_value_groups(1);
/// assert_eq!(config.stage2, plain);
/// assert!(config.to_json().contains("\n  \"value_groups\": 1,"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage2Config {
    /// The elements of attention and value that share thresholds.
    pub scope: ThresholdScope,
    /// Groups of the attention matrix's superposition, 1 (the plain binarizer) to 3.
    pub attention_groups: usize,
    /// Bits of the levels of the attention matrix, 1 to 4. More than one: a
    /// [level sum](gsb_core::binarize::AttentionBinarizerConfig::level_sum) in the place of groups.
    #[serde(default = "one_bit")]
    pub attention_bits: u8,
    /// Groups of the value's superposition, 1 (the plain binarizer) to 3.
    pub value_groups: usize,
    /// How the initial scales of the superpositions follow from data.
    pub initial_scales: InitialScales,
    /// Where the superposition of the value lets the gradient pass, and how many times.
    #[serde(default)]
    pub value_gradient: ValueGradient,
    /// Bits of weight and input of the heads, 1 to 8.
    pub head_bits: u8,
    /// Bits of the weight of the patch embedding, 1 to 8.
    pub patch_bits: u8,
    /// Bits in which the shifts of attention matrices act and are packed: 32, 16 or 8.
    #[serde(default = "all_bits")]
    pub shift_bits: u8,
}

fn one_bit() -> u8 {
    1
}

fn all_bits() -> u8 {
    32
}

/// As published, with thresholds that do not depend on the other images of a batch.
impl Default for Stage2Config {
    fn default() -> Self {
        Self {
            scope: ThresholdScope::Sample,
            attention_groups: 3,
            attention_bits: one_bit(),
            value_groups: 3,
            initial_scales: InitialScales::Published,
            value_gradient: ValueGradient::Published,
            head_bits: 8,
            patch_bits: 8,
            shift_bits: all_bits(),
        }
    }
}

impl Stage2Config {
    /// Checks that there are such binarizers.
    ///
    /// # Errors
    /// The first number that is out of range: of groups outside `1..=3`, levels of the attention matrix outside `1..=4`
    /// bits or beside groups, shifts of other than 8, 16 or 32 bits, other bits outside `1..=8`.
    pub fn validate(&self) -> Result<(), Error> {
        let groups = [
            ("attention", self.attention_groups),
            ("value", self.value_groups),
        ];
        if let Some((part, groups)) = groups.into_iter().find(|(_, n)| !(1..=3).contains(n)) {
            return Err(Error::Groups { part, groups });
        }
        if !(1..=4).contains(&self.attention_bits) {
            return Err(Error::AttentionBits {
                bits: self.attention_bits,
            });
        }
        if self.attention_bits > 1 && self.attention_groups > 1 {
            return Err(Error::LevelSum {
                bits: self.attention_bits,
                groups: self.attention_groups,
            });
        }
        if ![8, 16, 32].contains(&self.shift_bits) {
            return Err(Error::ShiftBits {
                bits: self.shift_bits,
            });
        }
        let bits = [
            ("heads", self.head_bits),
            ("patch embedding", self.patch_bits),
        ];
        match bits.into_iter().find(|(_, n)| !(1..=8).contains(n)) {
            Some((part, bits)) => Err(Error::Bits { part, bits }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        let default = Stage2Config::default();
        assert!(default.validate().is_ok());
        for (config, expected) in [
            (
                Stage2Config {
                    value_groups: 4,
                    ..default
                },
                "the superposition of the value has 1 to 3 groups, got 4",
            ),
            (
                Stage2Config {
                    attention_bits: 5,
                    ..default
                },
                "attention_bits: the attention matrix has levels of 1 to 4 bits, got 5",
            ),
            (
                Stage2Config {
                    attention_bits: 2,
                    ..default
                },
                "attention_bits: levels of 2 bits take the place of groups: attention_groups must be 1, got 3",
            ),
            (
                Stage2Config {
                    shift_bits: 4,
                    ..default
                },
                "the shifts of attention matrices have 8, 16 or 32 bits, got 4",
            ),
            (
                Stage2Config {
                    head_bits: 9,
                    ..default
                },
                "the heads have 1 to 8 bits, got 9",
            ),
        ] {
            assert_eq!(config.validate().unwrap_err().to_string(), expected);
        }
    }
}
