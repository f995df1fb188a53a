//! Whether a file can hold the model that it describes.

use crate::{Phase, VitConfig};

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
