//! The pictures in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::Error;
use crate::sets::files::is_picture;

/// What a folder holds, folders inside it included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The files that are named as pictures, in order of their names.
    pub pictures: Vec<PathBuf>,
    /// How many other files there are, by their extensions in small letters.
    pub left_out: BTreeMap<String, usize>,
}

/// Lists the pictures in a folder and in those inside it, links followed.
///
/// # Errors
/// If a folder cannot be read, or a link leads back to a folder that it lies in.
pub fn list_pictures(folder: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::format(folder, error.to_string()))?;
        if entry.file_type().is_file() && is_picture(entry.path()) {
            listing.pictures.push(entry.into_path());
        }
    }
    Ok(listing)
}
