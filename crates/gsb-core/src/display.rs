//! How modules show themselves.

use burn::module::DisplaySettings;

/// Settings of a module whose attributes stand in one line.
pub(crate) fn one_line() -> Option<DisplaySettings> {
    DisplaySettings::new()
        .with_new_line_after_attribute(false)
        .optional()
}
