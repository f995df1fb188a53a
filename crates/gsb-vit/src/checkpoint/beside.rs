//! The `config.json` beside a checkpoint, which says what tensors do not.

use std::path::Path;

use serde_json::Value;

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
    pub heads: usize,
    /// All of it, if it is a configuration of this library.
    pub config: Option<VitConfig>,
}

/// What the `config.json` beside a checkpoint says of a model whose shapes tell this configuration;
/// none if there is none, or it is of another model.
pub(super) fn beside(checkpoint: &Path, shapes: &VitConfig) -> Option<Beside> {
    let path = checkpoint.parent()?.join("config.json");
    if std::fs::metadata(&path).ok()?.len() > MAX {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    // A byte order mark, which Windows programs begin text with.
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let value: Value = serde_json::from_slice(text).ok()?;
    ours(&value, shapes).or_else(|| {
        Some(Beside {
            heads: heads(&value, shapes.width)?,
            config: None,
        })
    })
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
        heads: config.heads,
        config: Some(config),
    })
}

/// The heads that Hugging Face's or timm's description of a model of this width gives it.
fn heads(value: &Value, width: usize) -> Option<usize> {
    let number = |at: &str| Some(value.pointer(at)?.as_u64()? as usize);
    let same = |at: &str| number(at).is_none_or(|found| found == width);
    if !same("/hidden_size") || !same("/model_args/embed_dim") {
        return None;
    }
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
