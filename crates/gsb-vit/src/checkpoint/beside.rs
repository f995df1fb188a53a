//! The `config.json` beside a checkpoint, and the like, which say what tensors do not.

use std::path::Path;

use serde_json::Value;

use super::plain::by_config;
use crate::VitConfig;

/// Bytes of the largest that is read.
const MAX: u64 = 1 << 20;

const CONFIG: &str = "config.json";

/// Where files say what the images of a model were normalized by: the file, the means, the deviations.
const NORMALIZATIONS: [(&str, &str, &str); 3] = [
    (CONFIG, "/pretrained_cfg/mean", "/pretrained_cfg/std"),
    // As timm wrote it before.
    (CONFIG, "/mean", "/std"),
    ("preprocessor_config.json", "/image_mean", "/image_std"),
];

/// What photographs are normalized by here where nothing else is said: mean and deviation.
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Less than this apart, numbers are the same, rounded.
const ROUNDED: f64 = 1e-3;

/// Sizes of timm's and Hugging Face's Vision Transformers: word of the name, width, heads.
const SIZES: [(&str, usize, usize); 8] = [
    ("tiny", 192, 3),
    ("small", 384, 6),
    ("medium", 512, 8),
    ("base", 768, 12),
    ("large", 1024, 16),
    ("huge", 1280, 16),
    ("giant", 1408, 16),
    ("gigantic", 1664, 16),
];

/// What a `config.json` says of a model.
pub(super) struct Beside {
    /// Number of heads.
    pub heads: Option<usize>,
    /// What the normalizations add to the variance.
    pub epsilon: Option<f64>,
    /// All of it, if it is a configuration of this library.
    pub config: Option<VitConfig>,
    /// Whether it says which model it is, so that one with parts that have no tensors shows.
    pub names_model: bool,
}

/// What the `config.json` beside a checkpoint says of a model whose shapes tell this configuration;
/// none if there is none, or it is of another model. Fails if it tells of what no model here computes.
pub(super) fn beside(checkpoint: &Path, shapes: &VitConfig) -> Result<Option<Beside>, String> {
    let Some(value) = read(checkpoint, CONFIG) else {
        return Ok(None);
    };
    if let Some(ours) = ours(&value, shapes) {
        return Ok(Some(ours));
    }
    if !is_of(&value, shapes.width) {
        return Ok(None);
    }
    if let Some(reason) = by_config(&value) {
        return Err(format!("the config.json beside it says that {reason}"));
    }
    let number = |at: &str| value.pointer(at).and_then(Value::as_f64);
    Ok(Some(Beside {
        heads: heads(&value, shapes.width),
        epsilon: number("/layer_norm_eps"),
        config: None,
        names_model: value.get("architecture").is_some_and(Value::is_string),
    }))
}

/// A note of what the images of a model of this width were normalized by, if a file beside its checkpoint says so
/// and it is not what those of a run are normalized by unless it is told otherwise.
pub(super) fn normalization(checkpoint: &Path, width: usize) -> Option<String> {
    // Of another model, what lies there says nothing of this one.
    if read(checkpoint, CONFIG).is_some_and(|value| !is_of(&value, width)) {
        return None;
    }
    let (file, found) = NORMALIZATIONS
        .into_iter()
        .find_map(|(file, mean, deviation)| {
            let value = read(checkpoint, file)?;
            let found = [channels(&value, mean)?, channels(&value, deviation)?];
            Some((file, found))
        })?;
    let mut pairs = found.iter().flatten().zip(IMAGENET.iter().flatten());
    if pairs.all(|(found, usual)| (found - usual).abs() < ROUNDED) {
        return None;
    }
    // Files have them as the doubles that single ones become.
    let [mean, deviation] =
        found.map(|values| values.map(|value| (value as f32).to_string()).join(", "));
    Some(format!(
        "trained on images normalized by mean {mean} and deviation {deviation}, as the {file} beside it says, not by \
         ImageNet's: set them in a file for --config, as recipe.augmentation.normalization and \
         recipe.evaluation.normalization"
    ))
}

/// A number for each colour. Gray images have no usual normalization that another could differ from.
fn channels(value: &Value, at: &str) -> Option<[f64; 3]> {
    let list = value.pointer(at)?.as_array()?.iter();
    let numbers: Vec<f64> = list.map(Value::as_f64).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// A file of JSON beside a checkpoint.
fn read(checkpoint: &Path, name: &str) -> Option<Value> {
    let path = checkpoint.parent()?.join(name);
    if std::fs::metadata(&path).ok()?.len() > MAX {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    // A byte order mark, which Windows programs begin text with.
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    serde_json::from_slice(text).ok()
}

/// Whether a description is of a model of this width, as far as it says.
fn is_of(value: &Value, width: usize) -> bool {
    ["/hidden_size", "/model_args/embed_dim", "/num_features"]
        .into_iter()
        .filter_map(|at| value.pointer(at)?.as_u64())
        .all(|found| found == width as u64)
}

/// A configuration of this library, or that of a run with one.
fn ours(value: &Value, shapes: &VitConfig) -> Option<Beside> {
    let config = [Some(value), value.pointer("/recipe/model")]
        .into_iter()
        .flatten()
        .find_map(|value| VitConfig::from_json(&value.to_string()).ok())?;
    let sizes = |config: &VitConfig| {
        let VitConfig {
            width,
            depth,
            patch_size,
            channels,
            ..
        } = *config;
        (width, depth, patch_size, channels, config.mlp_width)
    };
    (sizes(&config) == sizes(shapes)).then_some(Beside {
        heads: Some(config.heads),
        epsilon: config.norm_epsilon,
        config: Some(config),
        names_model: true,
    })
}

/// The heads that Hugging Face's or timm's description of a model of this width gives it.
fn heads(value: &Value, width: usize) -> Option<usize> {
    let number = |at: &str| Some(value.pointer(at)?.as_u64()? as usize);
    number("/num_attention_heads")
        .or_else(|| number("/model_args/num_heads"))
        .or_else(|| {
            let name = value.get("architecture")?.as_str()?;
            let size = SIZES.iter().find(|(word, known, _)| {
                *known == width && name.split(['_', '.', '-']).any(|part| part == *word)
            });
            size.map(|&(.., heads)| heads)
        })
        .filter(|&heads| heads > 0 && width.is_multiple_of(heads))
}
