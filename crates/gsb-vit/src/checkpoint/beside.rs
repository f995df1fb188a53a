//! The `config.json` beside a checkpoint, which says what tensors do not.

use std::path::Path;

use serde_json::Value;

use super::plain::by_config;
use crate::VitConfig;

/// Bytes of the largest that is read.
const MAX: u64 = 1 << 20;

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
}

/// What the `config.json` beside a checkpoint says of a model whose shapes tell this configuration;
/// none if there is none, or it is of another model. Fails if it tells of what no model here computes.
pub(super) fn beside(checkpoint: &Path, shapes: &VitConfig) -> Result<Option<Beside>, String> {
    let Some(value) = read(checkpoint) else {
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
    }))
}

/// The `config.json` beside a checkpoint.
fn read(checkpoint: &Path) -> Option<Value> {
    let path = checkpoint.parent()?.join("config.json");
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
