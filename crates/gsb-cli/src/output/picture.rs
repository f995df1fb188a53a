//! Pictures that commands draw.

use std::path::Path;

use gsb_data::Image;
use gsb_explain::png;

use super::{check, check_format, write};
use crate::error::Error;

/// Checks that a picture may be written, in the only format that there is, and not over what it is made of.
///
/// # Errors
/// If its name promises another format, or nothing can be written there.
pub fn check_picture(path: &Path, source: &Path) -> Result<(), Error> {
    check_format(path, "PNG", "png")?;
    check(path, source)
}

/// Writes a picture as PNG, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_picture(path: &Path, picture: &Image) -> Result<(), Error> {
    write(path, &png(picture))
}
