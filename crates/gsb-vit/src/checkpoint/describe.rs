//! Which model published tensors are of.

use gsb_core::binarize::ThresholdScope;

use super::Format;
use super::beside::{Beside, beside, normalization};
use super::justified::justified;
use super::names::HEADS;
use super::published::Published;
use crate::float_block::EPSILON;
use crate::{Error, Phase, Stage2Config, VitConfig};

/// Channels of a head of DeiT and ViT of these widths and depths.
const HEAD_CHANNELS: usize = 64;
/// The width of MoCo v3's small model, whose 12 heads have half as many.
const MOCO_WIDTH: usize = 384;
const PUBLISHED: [(usize, usize); 5] = [(192, 12), (384, 12), (512, 12), (768, 12), (1024, 24)];

/// What is known of a model besides its tensors, which do not tell everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// Number of classes of a model without heads.
    pub classes: Option<usize>,
    /// Number of attention heads.
    pub heads: Option<usize>,
    /// The scope of the thresholds of a stage-2 student.
    pub scope: Option<ThresholdScope>,
}

/// The model that tensors are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its phase.
    pub phase: Phase,
    /// Its configuration.
    pub config: VitConfig,
    /// What neither tensors nor hints say, and what was taken instead, a sentence each.
    pub assumed: Vec<String>,
}

impl Published {
    /// The phase and the configuration of the model that these tensors are of, see
    /// [`describe_with`](Self::describe_with).
    ///
    /// # Errors
    /// As [`describe_with`](Self::describe_with).
    pub fn describe(&self) -> Result<(Phase, VitConfig), Error> {
        let described = self.describe_with(&Hints::default())?;
        Ok((described.phase, described.config))
    }

    /// The model that these tensors are of: the recorded configuration of an export, else by names and
    /// shapes.
    ///
    /// What shapes do not tell is taken from the hints, else from a `config.json` beside the file: of
    /// this library, of Hugging Face or of timm. Three things are assumed, and said: heads of 64 channels
    /// for a teacher of the width and depth of a published DeiT or ViT, which a few models of these sizes do not
    /// have; learned positions alone for one with the names of DeiT III, which models of rotary positions have too;
    /// and the scope of a batch for a student of a `.pth` file, which the published code trains. What the
    /// normalizations of a teacher of another library add to the variance is said too, where it is not what DeiT's do,
    /// and what its images were normalized by, where a file beside it names another mean and deviation than
    /// ImageNet's. Dropout is 0, and the bits of patch embedding and heads are the published 8.
    ///
    /// # Errors
    /// [`Error::Foreign`] if these are not the tensors of a model known here, [`Error::Unsaid`] if
    /// something is missing that only its owner knows, [`Error::Contradiction`] if a hint is wrong.
    pub fn describe_with(&self, hints: &Hints) -> Result<Description, Error> {
        let phase = if self.tensors.contains_key("patch_embed.proj.alpha") {
            Phase::Stage2
        } else if self.tensors.contains_key("patch_embed.norm.weight") {
            Phase::Stage1
        } else {
            Phase::Teacher
        };
        let mut assumed = Vec::new();
        let config = match &self.config {
            Some(config) => self.recorded(phase, config, hints)?,
            None => self.config_of_shapes(phase, hints, &mut assumed)?,
        };
        let elements = self.tensors.values().map(|data| data.num_elements() as u64);
        justified(phase, &config, elements.sum()).map_err(|reason| self.foreign(reason))?;
        Ok(Description {
            phase,
            config,
            assumed,
        })
    }

    /// The recorded configuration, which hints may repeat.
    fn recorded(
        &self,
        phase: Phase,
        config: &VitConfig,
        hints: &Hints,
    ) -> Result<VitConfig, Error> {
        self.agree("heads", config.heads, hints.heads)?;
        if phase == Phase::Stage2 {
            self.agree("thresholds' scope", config.stage2.scope, hints.scope)?;
        }
        let classes = match self.has_heads() {
            true => config.classes,
            false => self.classes(hints)?,
        };
        Ok(VitConfig {
            classes,
            ..config.clone()
        })
    }

    /// Whether there is a head for classes. Layers of another kind under its name, such as DINO's `head.mlp.0`, are
    /// none.
    pub fn has_heads(&self) -> bool {
        let mut parameters = HEADS
            .into_iter()
            .flat_map(|(head, _)| ["weight", "bias"].map(|parameter| format!("{head}{parameter}")));
        parameters.any(|name| self.tensors.contains_key(&name))
    }

    /// The number of classes of a file without heads.
    fn classes(&self, hints: &Hints) -> Result<usize, Error> {
        hints.classes.ok_or_else(|| {
            self.unsaid(
                "for how many classes, as it has no head",
                "give --classes of gsb import (Hints::classes), whose heads then start fresh",
            )
        })
    }

    /// Fails if something was said that is not so.
    fn agree<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &'static str,
        found: T,
        given: Option<T>,
    ) -> Result<(), Error> {
        match given {
            Some(given) if given != found => Err(Error::Contradiction {
                source_name: self.source.clone(),
                what,
                found: format!("{found:?}"),
                given: format!("{given:?}"),
            }),
            _ => Ok(()),
        }
    }

    /// The number of heads, which is in the shapes of students alone.
    fn heads(
        &self,
        config: &VitConfig,
        hints: &Hints,
        beside: Option<&Beside>,
        assumed: &mut Vec<String>,
    ) -> Result<usize, Error> {
        if let Some([heads, ..]) = self.shape("blocks.0.attn.move_q.bias").as_deref() {
            self.agree("heads", *heads, hints.heads)?;
            return Ok(*heads);
        }
        if let Some(heads) = hints.heads {
            return Ok(heads);
        }
        if let Some(heads) = beside.and_then(|beside| beside.heads) {
            assumed.push(format!("{heads} heads, as the config.json beside it says"));
            return Ok(heads);
        }
        if PUBLISHED.contains(&(config.width, config.depth)) {
            let heads = config.width / HEAD_CHANNELS;
            let except = match config.width {
                MOCO_WIDTH => " (MoCo v3's small model has 12)",
                _ => "",
            };
            assumed.push(format!(
                "{heads} heads of {HEAD_CHANNELS} channels assumed, as DeiT and ViT of width {} have{except}: --heads (Hints::heads) says otherwise",
                config.width
            ));
            return Ok(heads);
        }
        Err(self.unsaid(
            "how many heads the attention has",
            "give --heads of gsb import or gsb train (Hints::heads), or put the model's config.json beside it",
        ))
    }

    /// What a teacher's normalizations add to the variance, if that is not what DeiT's do.
    fn epsilon(&self, beside: Option<&Beside>, assumed: &mut Vec<String>) -> Option<f64> {
        let said = beside.and_then(|beside| beside.epsilon);
        let (epsilon, by) = match (said, self.translation.epsilon) {
            (Some(epsilon), _) => (epsilon, "the config.json beside it says"),
            (None, Some((epsilon, family))) => (epsilon, family),
            (None, None) => return None,
        };
        if epsilon == EPSILON {
            return None;
        }
        assumed.push(format!(
            "normalizations add {epsilon:e} to the variance, as {by}"
        ));
        Some(epsilon)
    }

    /// A student's configuration with what no shape tells.
    fn scoped(
        &self,
        config: VitConfig,
        hints: &Hints,
        beside: Option<Beside>,
        assumed: &mut Vec<String>,
    ) -> Result<VitConfig, Error> {
        let beside = beside.and_then(|beside| beside.config);
        if let Some(beside) = beside {
            assumed.push("thresholds and bits as the config.json beside it says".into());
            return Ok(VitConfig {
                stage2: Stage2Config {
                    scope: hints.scope.unwrap_or(beside.stage2.scope),
                    // The groups are in the shapes.
                    attention_groups: config.stage2.attention_groups,
                    value_groups: config.stage2.value_groups,
                    ..beside.stage2
                },
                ..config
            });
        }
        let scope = match (hints.scope, self.found.format) {
            (Some(scope), _) => scope,
            (None, Format::Torch | Format::Legacy) => {
                assumed.push(
                    "thresholds of the whole batch, as the published code trains; --scope (Hints::scope) says others".into(),
                );
                ThresholdScope::Batch
            }
            (None, Format::Safetensors | Format::Memory) => {
                return Err(self.unsaid(
                    "which elements share the thresholds of the student",
                    "give --scope of gsb import (Hints::scope), or put the model's config.json beside it",
                ));
            }
        };
        Ok(config.with_scope(scope))
    }

    fn config_of_shapes(
        &self,
        phase: Phase,
        hints: &Hints,
        assumed: &mut Vec<String>,
    ) -> Result<VitConfig, Error> {
        let foreign = |reason: String| self.foreign(reason);
        let [width, channels, patch_size, _] = self.dims("patch_embed.proj.weight")?;
        self.check_tokens()?;
        let [_, positions, _] = self.dims("pos_embed")?;
        let classes = match self.has_heads() {
            true => self.dims::<2>("head.weight")?[0],
            false => self.classes(hints)?,
        };
        let [mlp_width, _] = self.dims("blocks.0.mlp.fc1.weight")?;
        let distilled = self.tensors.contains_key("dist_token");
        let depth = (0..)
            .take_while(|block| {
                self.tensors
                    .contains_key(&format!("blocks.{block}.norm1.weight"))
            })
            .count();
        let patches = positions.saturating_sub(1 + usize::from(distilled));
        let side = patches.isqrt();
        if side * side != patches {
            return Err(foreign(format!(
                "pos_embed has {positions} tokens, expected a square number of patches after {}",
                1 + usize::from(distilled)
            )));
        }
        if width == 0 {
            return Err(foreign("patch_embed.proj.weight has no output".into()));
        }
        let image_size = side.checked_mul(patch_size);
        let image_size = image_size.ok_or_else(|| foreign("the image is too large".into()))?;
        let mut config = VitConfig::new(image_size, classes)
            .with_patch_size(patch_size)
            .with_channels(channels)
            .with_width(width)
            .with_depth(depth)
            .with_heads(1)
            .with_mlp_width(mlp_width)
            .with_distillation_token(distilled);
        let beside = match self.path.as_deref().map(|path| beside(path, &config)) {
            Some(Err(reason)) if phase == Phase::Teacher => return Err(foreign(reason)),
            Some(Ok(beside)) => beside,
            _ => None,
        };
        config.heads = self.heads(&config, hints, beside.as_ref(), assumed)?;
        if phase == Phase::Teacher {
            config.norm_epsilon = self.epsilon(beside.as_ref(), assumed);
            let named = beside.as_ref().is_some_and(|beside| beside.names_model);
            if self.translation.rotary_alike && !named {
                assumed.push(
                    "taken for DeiT III: a model of rotary positions has the same names, and timm's config.json beside it would say so".into(),
                );
            }
            let path = self.path.as_deref();
            assumed.extend(path.and_then(|path| normalization(path, width)));
        }
        let own = beside.as_ref().and_then(|beside| beside.config.as_ref());
        if let Some(own) = own {
            // Neither has a tensor, and each is of one kind of model.
            let mut says = |what: &str| {
                assumed.push(format!("{what}, as the config.json beside it says"));
            };
            if phase == Phase::Teacher && own.binary_query_key {
                config.binary_query_key = true;
                says("query and key of one bit");
            }
            if phase != Phase::Teacher && own.token_shifts {
                config.token_shifts = true;
                says("copies of neighbouring tokens in the MLPs");
            }
        }
        if phase != Phase::Stage2 {
            return Ok(config);
        }
        let groups = |scale: &str| {
            let has = |group: &str| {
                self.tensors
                    .contains_key(&format!("blocks.0.attn.{scale}{group}"))
            };
            1 + usize::from(has("2")) + usize::from(has("3"))
        };
        let config = config
            .with_value_groups(groups("clip_value"))
            .with_attention_groups(groups("clip_attn"));
        self.scoped(config, hints, beside, assumed)
    }

    /// Fails if a Vision Transformer of another library lacks the tokens that every model here has.
    fn check_tokens(&self) -> Result<(), Error> {
        // Names of no such library are not explained.
        if self.translation.epsilon.is_none() {
            return Ok(());
        }
        for (name, reason) in [
            (
                "cls_token",
                "the head reads the mean of the patches, expected a class token",
            ),
            (
                "pos_embed",
                "the positions are rotary ones, or there are none, expected learned ones",
            ),
        ] {
            if !self.tensors.contains_key(name) {
                return Err(self.foreign(format!("there is no {name}: {reason}")));
            }
        }
        Ok(())
    }

    /// The shape of a tensor that every model has.
    fn dims<const D: usize>(&self, name: &str) -> Result<[usize; D], Error> {
        let shape = self.shape(name);
        let shape = shape.ok_or_else(|| self.foreign(format!("there is no {name}")))?;
        <[usize; D]>::try_from(shape).map_err(|shape| {
            self.foreign(format!(
                "{name} has shape {shape:?}, expected {D} dimensions"
            ))
        })
    }

    fn unsaid(&self, what: &'static str, remedy: &'static str) -> Error {
        Error::Unsaid {
            source_name: self.source.clone(),
            what,
            remedy,
        }
    }

    fn foreign(&self, reason: String) -> Error {
        Error::Foreign {
            source_name: self.source.clone(),
            reason,
        }
    }
}
