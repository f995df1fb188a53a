//! The configuration that all phases share.

use burn::nn::Initializer;
use gsb_core::binarize::{InitialScales, ThresholdScope};
use gsb_core::nn::TokenShift;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VitConfig {
    /// Height and width of an image.
    pub image_size: usize,
    /// Number of classes.
    pub classes: usize,
    /// Height and width of a patch.
    pub patch_size: usize,
    /// Number of colour channels.
    pub channels: usize,
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
    /// Dropout of the tokens that enter the encoder, of the attention's output and in the MLP.
    pub dropout: f64,
    /// Dropout of the attention matrix.
    pub attention_dropout: f64,
    /// Probability of dropping a branch of a sample in the last block; from the first block on it
    /// rises evenly from 0.
    pub drop_path: f64,
    /// Teacher: what its normalizations add to the variance; without a number 1e-6, as those of DeiT.
    pub norm_epsilon: Option<f64>,
    /// Teacher: whether query and key have [one bit](gsb_core::binarize::token_sign) each; the rest stays float.
    #[serde(default)]
    pub binary_query_key: bool,
    /// Students: whether copies of neighbouring tokens are added before each layer of the MLPs, see
    /// [`TokenShift`].
    #[serde(default)]
    pub token_shifts: bool,
    /// Stage 2: the elements of attention and value that share thresholds.
    pub scope: ThresholdScope,
    /// Stage 2: groups of the attention matrix's superposition, 1 (the plain binarizer) to 3.
    pub attention_groups: usize,
    /// Stage 2: bits of the levels of the attention matrix, 1 to 4. More than one: a
    /// [level sum](gsb_core::binarize::AttentionBinarizerConfig::level_sum) in the place of groups.
    #[serde(default = "one_bit")]
    pub attention_bits: u8,
    /// Stage 2: groups of the value's superposition, 1 (the plain binarizer) to 3.
    pub value_groups: usize,
    /// Stage 2: how the initial scales of the superpositions follow from data.
    pub initial_scales: InitialScales,
    /// Stage 2: bits of weight and input of the heads, 1 to 8.
    pub head_bits: u8,
    /// Stage 2: bits of the weight of the patch embedding, 1 to 8.
    pub patch_bits: u8,
    /// Stage 2: bits in which the shifts of attention matrices act and are packed: 32, 16 or 8.
    #[serde(default = "all_bits")]
    pub shift_bits: u8,
    /// How the weights of linear layers are initialised; their biases start at 0. The published
    /// normal distribution is cut at +-2, a hundred deviations: it is this one.
    pub initializer: Initializer,
    /// How the learned tokens and the positions are initialised.
    pub token_initializer: Initializer,
}

fn one_bit() -> u8 {
    1
}

fn all_bits() -> u8 {
    32
}

impl VitConfig {
    /// A DeiT-S with a distillation token, for images with this number of pixels on each side, in patches of 16
    /// and three channels.
    pub fn new(image_size: usize, classes: usize) -> Self {
        let normal = || Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Self {
            image_size,
            classes,
            patch_size: 16,
            channels: 3,
            width: 384,
            depth: 12,
            heads: 6,
            mlp_width: 1536,
            distillation_token: true,
            dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
            norm_epsilon: None,
            binary_query_key: false,
            token_shifts: false,
            scope: ThresholdScope::Sample,
            attention_groups: 3,
            attention_bits: 1,
            value_groups: 3,
            initial_scales: InitialScales::Published,
            head_bits: 8,
            patch_bits: 8,
            shift_bits: 32,
            initializer: normal(),
            token_initializer: normal(),
        }
    }

    /// Sets the [width of a token](Self::width), and with it [`mlp_width`](Self::mlp_width) to four times
    /// as much, as every DeiT has it; [`with_mlp_width`](Self::with_mlp_width) comes after.
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width;
        self.mlp_width = width.saturating_mul(4);
        self
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

    /// The copies of neighbouring tokens that the MLPs of students add.
    pub(crate) fn token_shift(&self) -> Option<TokenShift> {
        self.token_shifts
            .then(|| TokenShift::new(self.image_size / self.patch_size))
    }

    /// The drop path of each block.
    pub(crate) fn drop_paths(&self) -> impl Iterator<Item = f64> + '_ {
        let last = (self.depth - 1).max(1) as f64;
        (0..self.depth).map(move |block| self.drop_path * block as f64 / last)
    }
}

/// A method for each field, by which it is set.
macro_rules! setters {
    ($($with:ident $field:ident: $kind:ty;)*) => {
        impl VitConfig {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                pub fn $with(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    with_patch_size patch_size: usize;
    with_channels channels: usize;
    with_depth depth: usize;
    with_heads heads: usize;
    with_mlp_width mlp_width: usize;
    with_distillation_token distillation_token: bool;
    with_dropout dropout: f64;
    with_attention_dropout attention_dropout: f64;
    with_drop_path drop_path: f64;
    with_norm_epsilon norm_epsilon: Option<f64>;
    with_binary_query_key binary_query_key: bool;
    with_token_shifts token_shifts: bool;
    with_scope scope: ThresholdScope;
    with_attention_groups attention_groups: usize;
    with_attention_bits attention_bits: u8;
    with_value_groups value_groups: usize;
    with_initial_scales initial_scales: InitialScales;
    with_head_bits head_bits: u8;
    with_patch_bits patch_bits: u8;
    with_shift_bits shift_bits: u8;
    with_initializer initializer: Initializer;
    with_token_initializer token_initializer: Initializer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mlp_grows_with_the_width_until_told_otherwise() {
        let config = VitConfig::new(32, 10);
        assert_eq!((config.width, config.mlp_width), (384, 1536));
        let config = config.with_width(96);
        assert_eq!(config.mlp_width, 384);
        assert_eq!(config.with_mlp_width(200).mlp_width, 200);
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
