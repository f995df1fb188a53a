//! The configuration that all phases share.

use burn::nn::Initializer;
use gsb_core::binarize::{InitialScales, ThresholdScope, ValueGradient};
use gsb_core::nn::TokenShift;
use serde::{Deserialize, Serialize};

use super::dropout::DropoutConfig;
use super::json::flat;
use super::stage2::Stage2Config;

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
    /// What training leaves out at random.
    #[serde(flatten, deserialize_with = "flat")]
    pub dropout: DropoutConfig,
    /// Teacher: what its normalizations add to the variance; without a number 1e-6, as those of DeiT.
    pub norm_epsilon: Option<f64>,
    /// Teacher: whether query and key have [one bit](gsb_core::binarize::token_sign) each; the rest stays float.
    #[serde(default)]
    pub binary_query_key: bool,
    /// Students: whether copies of neighbouring tokens are added before each layer of the MLPs, see
    /// [`TokenShift`].
    #[serde(default)]
    pub token_shifts: bool,
    /// What stage 2 binarizes with.
    #[serde(flatten, deserialize_with = "flat")]
    pub stage2: Stage2Config,
    /// How the weights of linear layers are initialised; their biases start at 0. The published
    /// normal distribution is cut at +-2, a hundred deviations: it is this one.
    pub initializer: Initializer,
    /// How the learned tokens and the positions are initialised.
    pub token_initializer: Initializer,
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
            dropout: DropoutConfig::default(),
            norm_epsilon: None,
            binary_query_key: false,
            token_shifts: false,
            stage2: Stage2Config::default(),
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
        (0..self.depth).map(move |block| self.dropout.path * block as f64 / last)
    }
}

/// A method for each field and for each field of a part, by which it is set.
macro_rules! setters {
    ($($with:ident($value:ident: $kind:ty) $field:ident $(. $inner:ident)?;)*) => {
        impl VitConfig {
            $(
                #[doc = concat!(
                    "Sets [`", stringify!($field) $(, ".", stringify!($inner))?, "`](Self::", stringify!($field), ")."
                )]
                pub fn $with(mut self, $value: $kind) -> Self {
                    self.$field $(. $inner)? = $value;
                    self
                }
            )*
        }
    };
}

setters! {
    with_patch_size(patch_size: usize) patch_size;
    with_channels(channels: usize) channels;
    with_depth(depth: usize) depth;
    with_heads(heads: usize) heads;
    with_mlp_width(mlp_width: usize) mlp_width;
    with_distillation_token(distillation_token: bool) distillation_token;
    with_dropout(dropout: f64) dropout.tokens;
    with_attention_dropout(attention_dropout: f64) dropout.attention;
    with_drop_path(drop_path: f64) dropout.path;
    with_norm_epsilon(norm_epsilon: Option<f64>) norm_epsilon;
    with_binary_query_key(binary_query_key: bool) binary_query_key;
    with_token_shifts(token_shifts: bool) token_shifts;
    with_scope(scope: ThresholdScope) stage2.scope;
    with_attention_groups(attention_groups: usize) stage2.attention_groups;
    with_attention_bits(attention_bits: u8) stage2.attention_bits;
    with_value_groups(value_groups: usize) stage2.value_groups;
    with_initial_scales(initial_scales: InitialScales) stage2.initial_scales;
    with_value_gradient(value_gradient: ValueGradient) stage2.value_gradient;
    with_head_bits(head_bits: u8) stage2.head_bits;
    with_patch_bits(patch_bits: u8) stage2.patch_bits;
    with_shift_bits(shift_bits: u8) stage2.shift_bits;
    with_initializer(initializer: Initializer) initializer;
    with_token_initializer(token_initializer: Initializer) token_initializer;
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
