//! Configurations that have a name.

use burn::nn::Initializer;

use super::vit::VitConfig;
use crate::error::Error;

/// Name, width and heads of the DeiT sizes (arXiv 2012.12877), all of 12 blocks.
const SIZES: [(&str, usize, usize); 3] = [("tiny", 192, 3), ("small", 384, 6), ("base", 768, 12)];

/// Patch, image and channels: ImageNet sizes, the own size of CIFAR, and that of MNIST.
const IMAGES: [(usize, usize, usize); 4] = [(16, 224, 3), (16, 384, 3), (4, 32, 3), (4, 28, 1)];

impl VitConfig {
    /// A small model for 8x8 digits: patches of 2 pixels, width 64, 4 blocks of 4 heads.
    ///
    /// Its positions start far apart (deviation 0.5): four pixels say little without their place,
    /// and with positions near 0 it takes many epochs to tell the places apart.
    ///
    /// ```
    /// let config = gsb_vit::VitConfig::micro();
    /// assert!(config.validate().is_ok());
    /// assert_eq!(config.patches(), 16);
    /// ```
    pub fn micro() -> Self {
        let tokens = Initializer::Normal {
            mean: 0.0,
            std: 0.5,
        };
        Self::new(8, 10)
            .with_patch_size(2)
            .with_channels(1)
            .with_width(64)
            .with_depth(4)
            .with_heads(4)
            .with_token_initializer(tokens)
    }

    /// The configuration of a name, for teachers and students alike, with a number of classes.
    ///
    /// Names are `micro` and `deit_SIZE_patchP_I` or `deit_SIZE_distilled_patchP_I` for a model with
    /// a distillation token: sizes `tiny`, `small` and `base`; patch and image `16_224`, `16_384`,
    /// `4_32` (CIFAR) and `4_28` (MNIST, one channel).
    ///
    /// ```
    /// use gsb_vit::VitConfig;
    ///
    /// let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000)?;
    /// assert_eq!((config.width, config.heads, config.tokens()), (384, 6, 198));
    /// assert!(VitConfig::preset("deit_huge_patch16_224", 10).is_err());
    /// # Ok::<(), gsb_vit::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Preset`] for another name, [`Error::Zero`] for no classes.
    pub fn preset(name: &str, classes: usize) -> Result<Self, Error> {
        let config = presets().find(|(known, _)| known == name);
        let (_, mut config) = config.ok_or_else(|| Error::Preset {
            name: name.into(),
            known: Self::presets().collect::<Vec<_>>().join(", "),
        })?;
        config.classes = classes;
        config.validate()?;
        Ok(config)
    }

    /// The names of all [presets](Self::preset).
    pub fn presets() -> impl Iterator<Item = String> {
        presets().map(|(name, _)| name)
    }
}

fn presets() -> impl Iterator<Item = (String, VitConfig)> {
    let deit = SIZES.into_iter().flat_map(|(size, width, heads)| {
        IMAGES
            .into_iter()
            .flat_map(move |(patch, image, channels)| {
                [("", false), ("_distilled", true)].map(|(infix, distilled)| {
                    let name = format!("deit_{size}{infix}_patch{patch}_{image}");
                    let config = VitConfig::new(image, 1000)
                        .with_patch_size(patch)
                        .with_channels(channels)
                        .with_width(width)
                        .with_depth(12)
                        .with_heads(heads)
                        .with_distillation_token(distilled);
                    (name, config)
                })
            })
    });
    std::iter::once(("micro".into(), VitConfig::micro())).chain(deit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_possible() {
        let names: Vec<String> = VitConfig::presets().collect();
        assert_eq!(names.len(), 1 + 3 * 4 * 2);
        for name in names {
            let config = VitConfig::preset(&name, 7).unwrap();
            assert_eq!(config.classes, 7);
            assert_eq!(VitConfig::from_json(&config.to_json()).unwrap(), config);
        }
    }

    #[test]
    fn unknown_names_get_the_known_ones() {
        let message = VitConfig::preset("deit", 10).unwrap_err().to_string();
        assert!(
            message.starts_with(
                "no model is called \"deit\": expected one of micro, deit_tiny_patch16_224,"
            ),
            "{message}"
        );
    }
}
