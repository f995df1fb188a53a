//! Which model published tensors are of.

use super::published::Published;
use crate::{Error, Phase, VitConfig};

/// Channels of a head of every DeiT: what tells the number of heads of a teacher, whose tensors do
/// not.
const HEAD_CHANNELS: usize = 64;

impl Published {
    /// The phase and the configuration of the model that these tensors are of: the recorded
    /// configuration of an export, else by names and shapes. What shapes do not tell (dropout,
    /// thresholds' scope, the heads of a teacher: of 64 channels, as DeiT's) is the default.
    ///
    /// # Errors
    /// [`Error::Foreign`] if these are not the tensors of a model known here.
    pub fn describe(&self) -> Result<(Phase, VitConfig), Error> {
        let phase = if self.tensors.contains_key("patch_embed.proj.alpha") {
            Phase::Stage2
        } else if self.tensors.contains_key("patch_embed.norm.weight") {
            Phase::Stage1
        } else {
            Phase::Teacher
        };
        let config = match &self.config {
            Some(config) => config.clone(),
            None => self.config_of_shapes(phase)?,
        };
        let elements = self.tensors.values().map(|data| data.num_elements() as u64);
        justified(phase, &config, elements.sum()).map_err(|reason| self.foreign(reason))?;
        Ok((phase, config))
    }

    fn config_of_shapes(&self, phase: Phase) -> Result<VitConfig, Error> {
        let foreign = |reason: String| self.foreign(reason);
        let [width, channels, patch_size, _] = self.dims("patch_embed.proj.weight")?;
        let [_, positions, _] = self.dims("pos_embed")?;
        let [classes, _] = self.dims("head.weight")?;
        let [hidden, _] = self.dims("blocks.0.mlp.fc1.weight")?;
        let distilled = self.tensors.contains_key("dist_token");
        let depth = (0..)
            .take_while(|block| {
                self.tensors
                    .contains_key(&format!("blocks.{block}.norm1.weight"))
            })
            .count();
        let heads = match self.shape("blocks.0.attn.move_q.bias").as_deref() {
            Some([heads, ..]) => *heads,
            _ => width / HEAD_CHANNELS.min(width.max(1)),
        };
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
        let config = VitConfig::new(
            image_size, patch_size, channels, classes, width, depth, heads,
        )
        .with_mlp_ratio(mlp_ratio(hidden, width))
        .with_distillation_token(distilled);
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
        Ok(config
            .with_value_groups(groups("clip_value"))
            .with_attention_groups(groups("clip_attn")))
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

    fn foreign(&self, reason: String) -> Error {
        Error::Foreign {
            source_name: self.source.clone(),
            reason,
        }
    }
}

/// The ratio that gives a hidden width, whatever rounding does.
fn mlp_ratio(hidden: usize, width: usize) -> f64 {
    let ratio = hidden as f64 / width as f64;
    if (width as f64 * ratio) as usize == hidden {
        ratio
    } else {
        (hidden as f64 + 0.5) / width as f64
    }
}

/// A model far larger than its file is no model of that file, and may be no size to make.
pub(super) fn justified(phase: Phase, config: &VitConfig, elements: u64) -> Result<(), String> {
    let cost = config.cost(phase).map_err(|error| error.to_string())?;
    let parameters = cost.total.total_parameters();
    if parameters > elements.saturating_mul(2) {
        return Err(format!(
            "there are {elements} numbers, the model described has {parameters}"
        ));
    }
    Ok(())
}
