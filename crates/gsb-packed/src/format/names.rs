//! Names of tensors and metadata entries.

/// What the metadata entry `format` says.
pub(crate) const FORMAT: &str = "gsb-packed";

/// The name of a part of a layer.
pub(super) fn part(layer: &str, part: &str) -> String {
    format!("{layer}.{part}")
}

/// The name of a part of an encoder block.
pub(super) fn block(index: usize) -> String {
    format!("blocks.{index}")
}
