//! Files of models that arguments name, and what is taken for one by mistake.

use std::path::Path;

use gsb_data::image_size;
use gsb_packed::PackedFile;
use gsb_vit::Phase;
use gsb_vit::checkpoint::describe;
use gsb_vit::checkpoint::{TensorFile, refuse_folder};

use crate::error::Error;
use crate::shell::quoted;

/// Refuses a folder; if it has the file that was meant, says so.
pub fn expect_file(path: &Path, usual: &str) -> Result<(), Error> {
    if !path.is_dir() {
        return Ok(());
    }
    let file = path.join(usual);
    let reason = match file.is_file() {
        true => format!(
            "is a folder, expected a file; the run in it has {}",
            quoted(&file)
        ),
        false => "is a folder, expected a file".into(),
    };
    Err(Error::file(path, reason))
}

/// Refuses a folder and a packed model, where a checkpoint is expected.
pub fn expect_checkpoint(path: &Path) -> Result<(), Error> {
    refuse_folder(path).map_err(gsb_vit::Error::from)?;
    if is_packed(path) {
        let reason = "is a packed model, expected a checkpoint; gsb inspect, predict, bench and test take it";
        return Err(Error::file(path, reason));
    }
    Ok(())
}

/// Whether a file says that it is a packed model, or would say so if it were not damaged.
pub fn is_packed(path: &Path) -> bool {
    if PackedFile::is_in(path) {
        return true;
    }
    let file = TensorFile::open(path);
    file.is_ok_and(|file| {
        file.metadata()
            .get("format")
            .is_some_and(|format| format == "gsb-packed")
    })
}

/// Opens a packed model.
///
/// # Errors
/// What is wrong with it, or what the file is instead and what to do with that.
pub fn open_packed<T>(
    path: &Path,
    open: impl FnOnce(&Path) -> Result<T, gsb_packed::Error>,
) -> Result<T, Error> {
    expect_file(path, "stage2.packed.safetensors")?;
    open(path).map_err(|error| match other_kind(path) {
        Some(reason) => Error::file(path, reason),
        None => error.into(),
    })
}

/// What a file is that is not a packed model.
fn other_kind(path: &Path) -> Option<String> {
    if is_packed(path) {
        return None;
    }
    if let Ok((phase, _)) = describe(path) {
        return Some(match phase {
            Phase::Stage2 => format!(
                "is a checkpoint, expected a packed model: gsb pack {} -o {}",
                quoted(path),
                quoted(&path.with_extension("packed.safetensors"))
            ),
            _ => format!("is a checkpoint of {phase}; only those of stage2 can be packed"),
        });
    }
    image_size(path)
        .is_ok()
        .then(|| "is a picture, expected a packed model".into())
}
