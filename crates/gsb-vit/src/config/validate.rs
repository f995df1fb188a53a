//! What numbers go together in a configuration.

use burn::nn::Initializer;

use super::vit::VitConfig;
use crate::error::Error;

impl VitConfig {
    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first clash, with its numbers: a size of 0, patches that do not cover the image, a width that the heads cannot
    /// share, a model too large to count, an epsilon outside `(0, 1)`, impossible initial weights, or what
    /// [`DropoutConfig::validate`](crate::DropoutConfig::validate) and
    /// [`Stage2Config::validate`](crate::Stage2Config::validate) find.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_sizes()?;
        self.dropout.validate()?;
        self.validate_parameters()?;
        self.stage2.validate()
    }

    fn validate_sizes(&self) -> Result<(), Error> {
        let sizes = [
            ("image size", self.image_size),
            ("patch size", self.patch_size),
            ("number of channels", self.channels),
            ("number of classes", self.classes),
            ("width", self.width),
            ("depth", self.depth),
            ("number of heads", self.heads),
            ("MLP width", self.mlp_width),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(Error::Zero { field });
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(Error::Patches {
                image_size: self.image_size,
                patch_size: self.patch_size,
            });
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::Heads {
                width: self.width,
                heads: self.heads,
            });
        }
        if !is_countable(self) {
            return Err(Error::TooLarge {
                image_size: self.image_size,
                patch_size: self.patch_size,
                width: self.width,
                depth: self.depth,
                mlp_width: self.mlp_width,
                classes: self.classes,
            });
        }
        Ok(())
    }

    /// Normalizations and initial weights.
    fn validate_parameters(&self) -> Result<(), Error> {
        if let Some(epsilon) = self.norm_epsilon
            && !(epsilon > 0.0 && epsilon < 1.0)
        {
            return Err(Error::Epsilon { epsilon });
        }
        for (field, initializer) in [
            ("initializer", &self.initializer),
            ("token initializer", &self.token_initializer),
        ] {
            if !is_possible(initializer) {
                let initializer = initializer.clone();
                return Err(Error::Initializer { field, initializer });
            }
        }
        Ok(())
    }
}

/// More blocks than anybody's.
const MAX_DEPTH: usize = 10_000;

/// Whether no size, count of operations, nor sum of them, exceeds 64 bits, and the blocks can be listed.
///
/// With `n` tokens and `s` the sum of all widths there are, no layer has more than `9 n s^2` MACs
/// (the superposed product; `45 n s^2` of a level sum), `32 s^2` bits or `48 n s` elements, and of the MACs of a block no
/// more than `56 n s^2`.
fn is_countable(config: &VitConfig) -> bool {
    let [image, patch, channels, classes, width, mlp_width, depth] = [
        config.image_size,
        config.patch_size,
        config.channels,
        config.classes,
        config.width,
        config.mlp_width,
        config.depth,
    ]
    .map(|size| size as f64);
    let tokens = (image / patch).powi(2) + 2.0;
    let widths = tokens + 3.0 * width + mlp_width + channels * patch.powi(2) + 2.0 * classes;
    let countable = 64.0 * (depth + 2.0) * tokens * widths.powi(2) < 2f64.powi(63);
    countable && config.depth <= MAX_DEPTH
}

/// Whether there are such numbers.
fn is_possible(initializer: &Initializer) -> bool {
    let finite = |values: &[f64]| values.iter().all(|&value| (value as f32).is_finite());
    match *initializer {
        Initializer::Constant { value } => finite(&[value]),
        Initializer::Ones | Initializer::Zeros => true,
        Initializer::Uniform { min, max } => finite(&[min, max]) && min < max,
        Initializer::Normal { mean, std } => finite(&[mean, std]) && std >= 0.0,
        Initializer::KaimingUniform { gain, .. }
        | Initializer::KaimingNormal { gain, .. }
        | Initializer::XavierUniform { gain }
        | Initializer::XavierNormal { gain }
        | Initializer::Orthogonal { gain } => finite(&[gain]) && gain > 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(config: VitConfig) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn clashes_name_their_numbers() {
        let micro = VitConfig::micro;
        let mut config = micro();
        config.patch_size = 3;
        assert_eq!(
            complaint(config),
            "an image of 8 pixels cannot be cut into patches of 3"
        );
        let mut config = micro();
        config.heads = 5;
        assert_eq!(
            complaint(config),
            "a width of 64 cannot be shared by 5 heads"
        );
        let mut config = micro();
        config.depth = 0;
        assert_eq!(
            complaint(config),
            "a Vision Transformer needs a positive depth, got 0"
        );
        assert_eq!(
            complaint(micro().with_mlp_width(0)),
            "a Vision Transformer needs a positive MLP width, got 0"
        );
        assert_eq!(
            complaint(micro().with_drop_path(1.0)),
            "the drop path must be at least 0 and below 1, got 1"
        );
        assert_eq!(
            complaint(micro().with_value_groups(4)),
            "the superposition of the value has 1 to 3 groups, got 4"
        );
        let mut config = micro();
        config.image_size = 1 << 40;
        assert_eq!(
            complaint(config),
            "1099511627776 pixels in patches of 2, width 64, depth 4, MLP width 256 and 10 classes \
             make a model too large"
        );
        assert!(complaint(micro().with_mlp_width(usize::MAX)).ends_with("too large"));
        for (initializer, name) in [
            (
                Initializer::Uniform {
                    min: 1.0,
                    max: -1.0,
                },
                "Uniform",
            ),
            (Initializer::XavierUniform { gain: -1.0 }, "XavierUniform"),
            (
                Initializer::Normal {
                    mean: 0.0,
                    std: f64::NAN,
                },
                "Normal",
            ),
        ] {
            let text = complaint(micro().with_token_initializer(initializer));
            let expected = format!("the token initializer is impossible: {name}");
            assert!(text.starts_with(&expected), "{text}");
        }
    }
}
