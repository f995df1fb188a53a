//! A folder where a checkpoint was expected.

use std::path::Path;

use crate::CheckpointError;

/// Endings of the names of checkpoints, those first that are most likely meant.
const ENDINGS: [&str; 7] = ["bpk", "safetensors", "pth", "pt", "bin", "ckpt", "tar"];

/// Names shown of many.
const SHOWN: usize = 6;

/// Fails for a folder, and names the checkpoints in it.
///
/// # Errors
/// [`CheckpointError::Folder`] if it is one.
pub fn refuse_folder(path: &Path) -> Result<(), CheckpointError> {
    if !path.is_dir() {
        return Ok(());
    }
    let mut inside: Vec<(usize, String)> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| {
            let file = entry.path();
            let ending = file.extension()?.to_str()?.to_lowercase();
            let rank = ENDINGS.iter().position(|&known| known == ending)?;
            Some((rank, file.display().to_string()))
        })
        .collect();
    inside.sort();
    let files: Vec<&str> = inside.iter().map(|(_, file)| file.as_str()).collect();
    let hint = match &files[..] {
        [] if path.join("data.pkl").is_file() => {
            ": it is an unpacked checkpoint of torch.save, save it again".into()
        }
        [] => " and there is none in it".into(),
        [file] => format!(": give {file}"),
        files if files.len() <= SHOWN => format!(": give one of {}", files.join(", ")),
        files => format!(": give one of {}, ..", files[..SHOWN].join(", ")),
    };
    Err(CheckpointError::Folder {
        path: path.into(),
        hint,
    })
}
