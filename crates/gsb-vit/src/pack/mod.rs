//! From a trained student to bits (feature `pack`).

mod layers;
mod read;

use std::collections::BTreeMap;

use gsb_core::binarize::Blend;
use gsb_core::nn::LAYER_NORM_EPSILON;
use gsb_packed::{PackedConfig, PackedFile, PackedNetwork, Preprocessing};

use crate::{Error, Stage2Student, VitConfig, uncalibrated};
use layers::{block, head, norm, patch_embedding};
use read::{parameter, refusal};

/// What a packed file holds beside the network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackOptions {
    /// A name for each class; none: the numbers from 0 on.
    pub class_names: Vec<String>,
    /// What makes the network's input of a picture; none:
    /// [`Preprocessing::standard`].
    pub preprocessing: Option<Preprocessing>,
    /// Where the network comes from: free entries.
    pub provenance: BTreeMap<String, String>,
}

/// The student as bits, which [`PackedModel`](gsb_packed::PackedModel) runs and
/// [`PackedFile::write`] writes.
///
/// Signs, levels and scales of the weights are those that the student's own binarizers give, so that
/// every one of them is the student's to the last bit; a scale that acts as the
/// [guard](gsb_core::binarize::SCALE_GUARD) is stored as the guard. The packed network decides as the student does
/// in evaluation for a batch of one image. A student of
/// [`ThresholdScope::Batch`](gsb_core::binarize::ThresholdScope::Batch) whose batches are larger decides by what else
/// is in the batch; packed, each image is a batch of its own. A student whose binarization is [blended
/// in](crate::Model::with_blend) is packed as the binary one that it becomes.
///
/// # Errors
/// [`Error::Pack`] with the name of the parameter or layer that a packed file cannot hold exactly: a value that is
/// not finite or not of 32 bits, a binarizer of another kind than [`VitConfig`] makes. [`Error::Uncalibrated`] if no
/// data have set a scale. [`Error::Packed`] for sizes beyond the limits of a packed network, a wrong number of
/// class names and impossible preprocessing.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_packed::{Image, PackedModel};
/// use gsb_vit::{PackOptions, VitConfig, pack};
///
/// let device = Device::default();
/// let image = Tensor::<4>::random([1, 1, 8, 8], Distribution::Default, &device);
/// let student = VitConfig::micro().init_stage2(&device)?.calibrate(&image);
///
/// let model = PackedModel::new(pack(&student, PackOptions::default())?)?;
/// let pixels = image.to_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(model.predict(Image::Normalized(&pixels))?.logits().len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(student: &Stage2Student, options: PackOptions) -> Result<PackedFile, Error> {
    let config = student.config();
    if config.stage2.attention_bits > 2 {
        let reason = "packed attention matrices have levels of at most 2 bits";
        return Err(refusal("attention_bits", reason));
    }
    if config.token_shifts {
        let reason = "packed networks add no copies of neighbouring tokens";
        return Err(refusal("token_shifts", reason));
    }
    let student = &student.clone().with_blend(Blend::BINARY);
    let tokens = &student.tokens;
    let blocks = student.blocks.iter().enumerate();
    let network = PackedNetwork {
        patch_embedding: patch_embedding(&student.patch_embedding, config)?,
        class_token: parameter("tokens.class_token", &tokens.class_token)?,
        distillation_token: match &tokens.distillation_token {
            Some(token) => Some(parameter("tokens.distillation_token", token)?),
            None => None,
        },
        positions: parameter("tokens.position", &tokens.position)?,
        blocks: blocks
            .map(|(index, layers)| block(&format!("blocks.{index}"), layers, config))
            .collect::<Result<_, _>>()?,
        norm: norm("norm", &student.norm)?,
        class_head: head("class_head", &student.class_head, config)?,
        distillation_head: match &student.distillation_head {
            Some(layer) => Some(head("distillation_head", layer, config)?),
            None => None,
        },
        config: config.packed(),
    };
    let unset = uncalibrated(student);
    if !unset.is_empty() {
        return Err(Error::Uncalibrated { scales: unset });
    }
    let mut packed = PackedFile::unnamed(network);
    if !options.class_names.is_empty() {
        packed.class_names = options.class_names;
    }
    if let Some(preprocessing) = options.preprocessing {
        packed.preprocessing = preprocessing;
    }
    packed.provenance = options.provenance;
    packed.validate()?;
    Ok(packed)
}

impl VitConfig {
    /// The configuration of the packed network of a student.
    pub fn packed(&self) -> PackedConfig {
        let config = self;
        PackedConfig {
            image_size: config.image_size,
            patch_size: config.patch_size,
            channels: config.channels,
            classes: config.classes,
            width: config.width,
            depth: config.depth,
            heads: config.heads,
            mlp_width: config.mlp_width,
            distillation_token: config.distillation_token,
            attention_groups: config.stage2.attention_groups,
            attention_bits: config.stage2.attention_bits,
            value_groups: config.stage2.value_groups,
            scope: config.stage2.scope,
            head_bits: config.stage2.head_bits,
            patch_bits: config.stage2.patch_bits,
            norm_epsilon: LAYER_NORM_EPSILON as f32,
        }
    }

    /// The configuration of a packed network; what it does not say (dropout, initial values) is that
    /// of [`VitConfig::new`].
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn of_packed(config: &PackedConfig) -> Result<Self, Error> {
        let vit = Self::new(config.image_size, config.classes)
            .with_patch_size(config.patch_size)
            .with_channels(config.channels)
            .with_width(config.width)
            .with_depth(config.depth)
            .with_heads(config.heads)
            .with_mlp_width(config.mlp_width)
            .with_distillation_token(config.distillation_token)
            .with_attention_groups(config.attention_groups)
            .with_attention_bits(config.attention_bits)
            .with_value_groups(config.value_groups)
            .with_head_bits(config.head_bits)
            .with_patch_bits(config.patch_bits)
            .with_scope(config.scope);
        vit.validate()?;
        Ok(vit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_go_there_and_back() {
        let config = PackedConfig {
            mlp_width: 77,
            width: 60,
            heads: 5,
            ..PackedConfig::micro()
        };
        let vit = VitConfig::of_packed(&config).unwrap();
        assert_eq!(vit.packed(), config);
        assert_eq!(VitConfig::micro().packed(), PackedConfig::micro());
        let levels = PackedConfig {
            attention_groups: 1,
            attention_bits: 2,
            ..PackedConfig::micro()
        };
        assert_eq!(VitConfig::of_packed(&levels).unwrap().packed(), levels);
    }
}
