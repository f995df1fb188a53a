//! The configuration that all phases share.

use burn::config::Config;
use burn::nn::Initializer;
use gsb_core::binarize::{InitialScales, ThresholdScope};
use serde_json::Value;

use crate::Error;

/// Configuration of the Vision Transformers of all three phases.
///
/// [`init_teacher`](Self::init_teacher), [`init_stage1`](Self::init_stage1) and
/// [`init_stage2`](Self::init_stage2) make the models. [Presets](Self::preset) have the names of the
/// published models. What [`new`](Self::new) is not told is that of DeiT-S (arXiv 2012.12877).
///
/// ```
/// use gsb_vit::VitConfig;
///
/// // CIFAR-100 at its own size, a deeper and narrower model than any preset.
/// let config = VitConfig::new(32, 100)
///     .with_patch_size(4)
///     .with_width(128)
///     .with_depth(16)
///     .with_heads(4)
///     .with_drop_path(0.1);
/// assert_eq!(config.tokens(), 66);
/// let text = config.to_json();
/// assert_eq!(VitConfig::from_json(&text)?, config);
/// assert_eq!(
///     VitConfig::from_json(&text.replace("\"heads\": 4", "\"heads\": 3")).unwrap_err().to_string(),
///     "a width of 128 cannot be shared by 3 heads"
/// );
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct VitConfig {
    /// Height and width of an image.
    pub image_size: usize,
    /// Height and width of a patch.
    #[config(default = 16)]
    pub patch_size: usize,
    /// Number of colour channels.
    #[config(default = 3)]
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Width of a token.
    #[config(default = 384)]
    pub width: usize,
    /// Number of encoder blocks.
    #[config(default = 12)]
    pub depth: usize,
    /// Number of attention heads.
    #[config(default = 6)]
    pub heads: usize,
    /// Width of an MLP's hidden layer over that of a token.
    #[config(default = 4.0)]
    pub mlp_ratio: f64,
    /// Whether there are a distillation token and a head for it.
    #[config(default = true)]
    pub distillation_token: bool,
    /// Dropout of the tokens that enter the encoder, of the attention's output and in the MLP.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Dropout of the attention matrix.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Probability of dropping a branch of a sample in the last block; from the first block on it
    /// rises evenly from 0.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// Teacher: what its normalizations add to the variance; without a number 1e-6, as those of DeiT.
    pub norm_epsilon: Option<f64>,
    /// Stage 2: the elements of attention and value that share thresholds.
    #[config(default = "ThresholdScope::Sample")]
    pub scope: ThresholdScope,
    /// Stage 2: groups of the attention matrix's superposition, 1 (the plain binarizer) to 3.
    #[config(default = 3)]
    pub attention_groups: usize,
    /// Stage 2: groups of the value's superposition, 1 (the plain binarizer) to 3.
    #[config(default = 3)]
    pub value_groups: usize,
    /// Stage 2: how the initial scales of the superpositions follow from data.
    #[config(default = "InitialScales::Published")]
    pub initial_scales: InitialScales,
    /// Stage 2: bits of weight and input of the heads, 1 to 8.
    #[config(default = 8)]
    pub head_bits: u8,
    /// Stage 2: bits of the weight of the patch embedding, 1 to 8.
    #[config(default = 8)]
    pub patch_bits: u8,
    /// How the weights of linear layers are initialised; their biases start at 0. The published
    /// normal distribution is cut at +-2, a hundred deviations: it is this one.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 0.02 }")]
    pub initializer: Initializer,
    /// How the learned tokens and the positions are initialised.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 0.02 }")]
    pub token_initializer: Initializer,
}

impl VitConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Json`] if the text is not a configuration; see also [`validate`](Self::validate).
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Error::Json(error.to_string()))?;
        Self::check_fields(&value)?;
        let config: Self =
            serde_json::from_value(value).map_err(|error| Error::Json(error.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that the fields of an object, some or all, are those of a configuration.
    ///
    /// # Errors
    /// [`Error::Json`] for the first that is not.
    pub fn check_fields(value: &Value) -> Result<(), Error> {
        let known = serde_json::to_value(Self::micro()).expect("numbers, enums and strings");
        let fields = value.as_object().into_iter().flatten();
        match fields
            .map(|(name, _)| name)
            .find(|name| known.get(name).is_none())
        {
            None => Ok(()),
            Some(name) => {
                let known: Vec<&str> = known
                    .as_object()
                    .into_iter()
                    .flat_map(|fields| fields.keys())
                    .map(String::as_str)
                    .collect();
                let known = known.join(", ");
                Err(Error::Json(format!(
                    "unknown field `{name}`, expected one of {known}"
                )))
            }
        }
    }

    /// The configuration as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, enums and strings")
    }

    /// Number of patches of an image.
    ///
    /// # Panics
    /// If the patch size is 0.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch_size;
        side * side
    }

    /// Number of tokens: class token, distillation token (if there is one), patches.
    ///
    /// # Panics
    /// If the patch size is 0.
    pub fn tokens(&self) -> usize {
        1 + usize::from(self.distillation_token) + self.patches()
    }

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first clash, with its numbers: a size of 0, patches that do not cover the image, a width
    /// that the heads cannot share, an MLP without hidden layer, a drop path or dropout outside
    /// `[0, 1)`, an epsilon outside of `(0, 1)`, impossible initial weights, a number of groups outside `1..=3`, bits outside `1..=8`, or
    /// a model too large to count.
    pub fn validate(&self) -> Result<(), Error> {
        let sizes = [
            ("image size", self.image_size),
            ("patch size", self.patch_size),
            ("number of channels", self.channels),
            ("number of classes", self.classes),
            ("width", self.width),
            ("depth", self.depth),
            ("number of heads", self.heads),
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
        if !self.mlp_ratio.is_finite() || !is_countable(self) {
            return Err(Error::TooLarge {
                image_size: self.image_size,
                patch_size: self.patch_size,
                width: self.width,
                depth: self.depth,
                mlp_ratio: self.mlp_ratio,
                classes: self.classes,
            });
        }
        if self.hidden_width() == 0 {
            return Err(Error::MlpRatio {
                ratio: self.mlp_ratio,
                width: self.width,
            });
        }
        let probabilities = [
            ("drop path", self.drop_path),
            ("dropout", self.dropout),
            ("attention dropout", self.attention_dropout),
        ];
        if let Some((field, value)) = probabilities
            .into_iter()
            .find(|(_, p)| !(0.0..1.0).contains(p))
        {
            return Err(Error::Probability { field, value });
        }
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
        let groups = [
            ("attention", self.attention_groups),
            ("value", self.value_groups),
        ];
        if let Some((part, groups)) = groups.into_iter().find(|(_, n)| !(1..=3).contains(n)) {
            return Err(Error::Groups { part, groups });
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

    /// Width of an MLP's hidden layer.
    pub(crate) fn hidden_width(&self) -> usize {
        (self.width as f64 * self.mlp_ratio) as usize
    }

    /// The drop path of each block.
    pub(crate) fn drop_paths(&self) -> impl Iterator<Item = f64> + '_ {
        let last = (self.depth - 1).max(1) as f64;
        (0..self.depth).map(move |block| self.drop_path * block as f64 / last)
    }

    /// Whether the weights of a stage-1 model fit a stage-2 model of this configuration.
    pub(crate) fn accepts_weights_of(&self, stage1: &Self) -> Result<(), Error> {
        let sizes = [
            ("image size", stage1.image_size, self.image_size),
            ("patch size", stage1.patch_size, self.patch_size),
            ("number of channels", stage1.channels, self.channels),
            ("number of classes", stage1.classes, self.classes),
            ("width", stage1.width, self.width),
            ("depth", stage1.depth, self.depth),
            ("number of tokens", stage1.tokens(), self.tokens()),
            ("number of heads", stage1.heads, self.heads),
            ("hidden width", stage1.hidden_width(), self.hidden_width()),
        ];
        match sizes.into_iter().find(|(_, from, to)| from != to) {
            Some((field, stage1, stage2)) => Err(Error::Transfer {
                field,
                stage1,
                stage2,
            }),
            None => Ok(()),
        }
    }
}

/// More blocks than anybody's.
const MAX_DEPTH: usize = 10_000;

/// Whether no size, count of operations, nor sum of them, exceeds 64 bits, and the blocks can be listed.
///
/// With `n` tokens and `s` the sum of all widths there are, no layer has more than `9 n s^2` MACs
/// (the superposed product), `32 s^2` bits or `16 n s` elements, and of the MACs of a block no more than
/// `20 n s^2`.
fn is_countable(config: &VitConfig) -> bool {
    let [image, patch, channels, classes, width, depth] = [
        config.image_size,
        config.patch_size,
        config.channels,
        config.classes,
        config.width,
        config.depth,
    ]
    .map(|size| size as f64);
    let tokens = (image / patch).powi(2) + 2.0;
    let hidden = width * config.mlp_ratio;
    let widths = tokens + 3.0 * width + hidden + channels * patch.powi(2) + 2.0 * classes;
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
            complaint(micro().with_mlp_ratio(0.001)),
            "an MLP ratio of 0.001 at width 64 leaves the MLP no hidden layer"
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
            "1099511627776 pixels in patches of 2, width 64, depth 4, MLP ratio 4 and 10 classes \
             make a model too large"
        );
        for ratio in [1e300, f64::INFINITY, f64::NAN] {
            assert!(complaint(micro().with_mlp_ratio(ratio)).ends_with("too large"));
        }
        assert_eq!(
            complaint(micro().with_head_bits(9)),
            "the heads have 1 to 8 bits, got 9"
        );
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
        let text = micro().to_json().replace("\"depth\"", "\"Depth\"");
        let text = VitConfig::from_json(&text).unwrap_err().to_string();
        assert!(
            text.contains("unknown field `Depth`, expected one of"),
            "{text}"
        );
        assert_eq!(
            complaint(micro().with_attention_dropout(-0.5)),
            "the attention dropout must be at least 0 and below 1, got -0.5"
        );
    }

    #[test]
    fn drop_path_rises_evenly() {
        let config = VitConfig::micro().with_drop_path(0.3);
        let rates: Vec<f64> = config.drop_paths().collect();
        assert_eq!(rates.len(), 4);
        for (rate, expected) in rates.iter().zip([0.0, 0.1, 0.2, 0.3]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }
}
