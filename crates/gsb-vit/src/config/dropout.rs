//! What training leaves out at random.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The probabilities with which training leaves something out, in all phases; by default 0.
///
/// In JSON these fields lie among those of [`VitConfig`](crate::VitConfig), under the names that are given here.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct DropoutConfig {
    /// `dropout`: of the tokens that enter the encoder, of the attention's output and in the MLP.
    #[serde(rename = "dropout")]
    pub tokens: f64,
    /// `attention_dropout`: of the attention matrix.
    #[serde(rename = "attention_dropout")]
    pub attention: f64,
    /// `drop_path`: of a branch of a sample in the last block; from the first block on it rises evenly from 0.
    #[serde(rename = "drop_path")]
    pub path: f64,
}

impl DropoutConfig {
    /// Checks that these are probabilities, and that none of them leaves out everything.
    ///
    /// # Errors
    /// [`Error::Probability`] for the first outside `[0, 1)`.
    pub fn validate(&self) -> Result<(), Error> {
        let probabilities = [
            ("drop path", self.path),
            ("dropout", self.tokens),
            ("attention dropout", self.attention),
        ];
        match probabilities
            .into_iter()
            .find(|(_, p)| !(0.0..1.0).contains(p))
        {
            Some((field, value)) => Err(Error::Probability { field, value }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_probability_is_named() {
        let default = DropoutConfig::default();
        assert!(default.validate().is_ok());
        for (config, expected) in [
            (
                DropoutConfig {
                    tokens: f64::NAN,
                    ..default
                },
                "the dropout must be at least 0 and below 1, got NaN",
            ),
            (
                DropoutConfig {
                    attention: -0.5,
                    ..default
                },
                "the attention dropout must be at least 0 and below 1, got -0.5",
            ),
            (
                DropoutConfig {
                    path: 1.0,
                    ..default
                },
                "the drop path must be at least 0 and below 1, got 1",
            ),
        ] {
            assert_eq!(config.validate().unwrap_err().to_string(), expected);
        }
    }
}
