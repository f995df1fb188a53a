//! All that a model costs.

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::layer_cost::LayerCost;
use super::model;
use crate::{Error, Phase, VitConfig};

/// What a model costs, layer by layer and in total: parameters by bit width, bytes when packed, and
/// the operations for one image. [`VitConfig::cost`] counts it from the configuration alone.
///
/// Displayed, it is a text table; [`summary`](Self::summary) is shorter and
/// [`to_json`](Self::to_json) complete.
///
/// # Parameters
///
/// Learned values, counted at the bit width at which they act: latent weights of a binarizer have one
/// bit, whatever training holds. Scales, shifts, biases, normalizations, tokens and positions have
/// 32. The running statistics of stage 1's batch normalization are not learned and not counted;
/// Burn's `num_params` counts them, `2 * width` values. Flags of calibration count in neither.
///
/// # Packed bytes
///
/// What a deployed model has to store: weights of `b` bits in `b` bits each, a tensor padded to whole
/// bytes, everything else as 32-bit floats. A binary weight stores one more float, its scale, which
/// is computed from the latent weights. Stage 1's batch normalization is
/// [folded](crate::NormalizedPatchEmbedding::folded) into the convolution and stores nothing. A
/// latent weight that equals the mean exactly acts as 0, a third level that one bit cannot hold: such
/// ties are an exception, and a packer has to give them a sign. Names and headers of a file are not
/// counted.
///
/// # Operations
///
/// Per image, in MACs (one multiplication and one addition), of the convolution, the linear layers and
/// both products of the attention:
///
/// | both factors | counted in | also called |
/// | --- | --- | --- |
/// | 1 bit | [`binary_macs`](Amount::binary_macs) | BOPs |
/// | 2 to 8 bits | [`integer_macs`](Amount::integer_macs) | |
/// | one or both float | [`float_macs`](Amount::float_macs) | FLOPs |
///
/// A MAC is one FLOP, as in the 4.6 GFLOPs of DeiT-S, and `OPs = BOPs / 64 + FLOPs`
/// ([`Amount::operations`]), as Bi-Real Net (arXiv 1808.00278) and ReActNet (arXiv 2003.03488) count.
/// Integer MACs count in the OPs as FLOPs do: an 8-bit MAC is a sum of 64 one-bit products, which are
/// one OP as well. Where a binary weight meets a float, in stage 1, the multiplication is a change of
/// sign and the addition remains: a FLOP. The 8-bit patch embedding has float input: FLOPs too.
///
/// The superposition of stage 2 makes the product of attention and value a sum of the products of
/// each attention group with each value group: `attention_groups * value_groups` times the BOPs, 9
/// times by default. The second and third group of the value are ternary; their products count as
/// binary ones.
///
/// Everything else is [`elementwise`](Amount::elementwise) and no part of the OPs: the elements that
/// each step computes, one for each whatever the step. Steps are a bias, shift, position,
/// normalization, residual addition, division of the scores, softmax, GELU, clamp, the
/// binarization of a tensor (one for each group), the scaling of a product by the scales of its
/// factors, and for a superposition one for each product of groups in the scaled sum.
///
/// ```
/// use gsb_vit::{Phase, VitConfig};
///
/// let config = VitConfig::preset("deit_small_patch16_224", 1000)?;
/// let teacher = config.cost(Phase::Teacher)?.total;
/// assert_eq!(teacher.total_parameters(), 22_050_664);
/// assert_eq!(teacher.float_macs / 10_000_000, 459); // 4.6 G
///
/// let stage2 = config.cost(Phase::Stage2)?;
/// println!("{stage2}");
/// assert!(teacher.operations() > 30.0 * stage2.total.operations());
///
/// let larger = VitConfig { image_size: 384, ..config };
/// assert_eq!(larger.cost(Phase::Teacher)?.total.float_macs / 10_000_000, 1549);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The phase whose model it is.
    pub phase: Phase,
    /// The configuration of the model.
    pub config: VitConfig,
    /// The sum of all layers.
    pub total: Amount,
    /// The layers in the order of the forward pass.
    pub layers: Vec<LayerCost>,
}

impl VitConfig {
    /// What the model of a phase costs.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn cost(&self, phase: Phase) -> Result<Cost, Error> {
        self.validate()?;
        let layers = model::layers(self, phase);
        Ok(Cost {
            phase,
            config: self.clone(),
            total: layers.iter().map(|layer| &layer.amount).sum(),
            layers,
        })
    }
}

impl Cost {
    /// Phase, configuration, total and layers as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, enums and strings")
    }
}
