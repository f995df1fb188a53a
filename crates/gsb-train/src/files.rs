//! Files that are there whole or not at all.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::entries;
use crate::error::Error;

/// Writes a text, whole or not at all, see [`gsb_files::replace`].
///
/// # Errors
/// [`Error::File`] if it cannot be written.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    gsb_files::replace(path, |file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::file(path, error))
}

/// Writes a value as JSON into a file that is not there yet; whether it was not.
pub(crate) fn write_new_json(path: &Path, value: &impl Serialize) -> Result<bool, Error> {
    let text = json(path, value)?;
    match gsb_files::create(path, |file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Writes a value as JSON, whole or not at all.
///
/// # Errors
/// [`Error::File`] if it cannot be written.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write_text(path, &json(path, value)?)
}

/// A value as JSON for a file.
pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::file(path, error))?;
    Ok(text + "\n")
}

/// Reads a text, which an editor may have begun with a byte order mark.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    Ok(gsb_data::read_text(path, "a file of a run")?)
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|error| {
        match path
            .ancestors()
            .find(|folder| folder.exists() && !folder.is_dir())
        {
            Some(file) => Error::file(path, format!("{} is no folder", file.display())),
            None => Error::file(path, error),
        }
    })
}

/// Removes a folder with what is in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}

/// The path from the root on, which means the same in every folder. Where the folder that we are in has
/// a name that is not UTF-8, which `config.json` cannot hold, the path stays as it is.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).ok();
    absolute
        .filter(|path| path.to_str().is_some())
        .unwrap_or_else(|| path.into())
}

/// What a JSON file says, or at which of its entries it does not.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let value: Value =
        serde_json::from_str(&read(path)?).map_err(|error| Error::file(path, error))?;
    entries::deserialize(value).map_err(|wrong| Error::file(path, wrong))
}
