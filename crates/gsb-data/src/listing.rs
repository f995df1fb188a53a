//! The pictures in a folder.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::Error;
use crate::file_names::{is_picture, is_service};

/// What a folder holds, folders inside it included.
///
/// Hidden files and folders, and those that systems leave (`@eaDir`, `__MACOSX`, `Thumbs.db`, ...), count
/// as nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The files that are named as pictures, in order of their names.
    pub pictures: Vec<PathBuf>,
    /// How many other files there are, by their extensions in small letters, without the dot; empty
    /// for files that have none.
    pub left_out: BTreeMap<String, usize>,
}

impl Listing {
    /// A line about the other files, if there are any.
    ///
    /// ```
    /// use gsb_data::Listing;
    ///
    /// let mut listing = Listing::default();
    /// assert_eq!(listing.remark(), None);
    /// listing.left_out.extend([("txt".into(), 1), ("avif".into(), 2)]);
    /// assert_eq!(
    ///     listing.remark().unwrap(),
    ///     "left out 3 files that are not pictures of a known format: 2 .avif, 1 .txt"
    /// );
    /// ```
    pub fn remark(&self) -> Option<String> {
        let all: usize = self.left_out.values().sum();
        let kinds = self.left_out.iter().map(|(extension, count)| {
            if extension.is_empty() {
                format!("{count} without an extension")
            } else {
                format!("{count} .{extension}")
            }
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let files = if all == 1 {
            "file that is not a picture"
        } else {
            "files that are not pictures"
        };
        (all > 0).then(|| format!("left out {all} {files} of a known format: {kinds}"))
    }

    /// Adds what another folder holds.
    pub(crate) fn append(&mut self, other: Self) {
        self.pictures.extend(other.pictures);
        for (extension, count) in other.left_out {
            *self.left_out.entry(extension).or_default() += count;
        }
    }
}

/// Lists the pictures in a folder and in those inside it, links followed.
///
/// A link that leads nowhere counts as the file that it is named as.
///
/// # Errors
/// If a folder cannot be read, or a link leads back to a folder that it lies in.
pub fn list_pictures(folder: &Path) -> Result<Listing, Error> {
    let (listing, problems) = list_readable_pictures(folder);
    problems.into_iter().next().map_or(Ok(listing), Err)
}

/// As [`list_pictures`], but what is wrong with a folder inside does not keep the rest from being listed.
pub fn list_readable_pictures(folder: &Path) -> (Listing, Vec<Error>) {
    let (mut listing, mut problems) = (Listing::default(), Vec::new());
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    // What the folder itself is called is the user's choice.
    let entries = entries
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_service(entry.file_name()));
    for entry in entries {
        let path = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) if !entry.file_type().is_file() && is_picture(entry.path()) => {
                // To read a pipe is to wait for whoever writes it.
                let reason = "no file but a pipe, socket or device: not taken from a folder";
                problems.push(Error::format(entry.path(), reason));
                continue;
            }
            Ok(entry) => entry.into_path(),
            Err(error) => match (error.path(), error.io_error().map(io::Error::kind)) {
                (Some(path), Some(ErrorKind::NotFound)) if error.depth() > 0 => {
                    if is_service(path.file_name().unwrap_or_default()) {
                        continue;
                    }
                    path.to_path_buf()
                }
                _ => {
                    let path = error.path().unwrap_or(folder).to_path_buf();
                    let circle = Error::format(folder, error.to_string());
                    problems.push(match error.into_io_error() {
                        Some(source) => Error::Io { path, source },
                        None => circle,
                    });
                    continue;
                }
            },
        };
        if is_picture(&path) {
            listing.pictures.push(path);
        } else {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            *listing
                .left_out
                .entry(extension.to_lowercase())
                .or_default() += 1;
        }
    }
    (listing, problems)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(listing: &Listing, root: &Path) -> Vec<String> {
        let names = listing.pictures.iter().map(|path| {
            let inside = path.strip_prefix(root).unwrap();
            inside.display().to_string()
        });
        names.collect()
    }

    #[test]
    fn service_files_are_skipped_at_any_depth_and_others_are_counted() {
        let root = tempfile::tempdir().unwrap();
        // A hidden folder that is asked for is listed all the same.
        let root = root.path().join(".data");
        for name in [
            "b/2.PNG",
            "b/deep/3.webp",
            "1.jpg",
            "._1.jpg",
            ".DS_Store",
            "b/.ipynb_checkpoints/2-checkpoint.png",
            "b/deep/@eaDir/3.webp/SYNOPHOTO_THUMB_M.jpg",
            "__MACOSX/b/2.png",
            "b/Thumbs.db",
            "4.avif",
            "b/5.AVIF",
            "README",
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let listing = list_pictures(&root).unwrap();
        assert_eq!(
            names(&listing, &root),
            ["1.jpg", "b/2.PNG", "b/deep/3.webp"]
        );
        assert_eq!(
            listing.remark().unwrap(),
            "left out 3 files that are not pictures of a known format: 1 without an extension, 2 .avif"
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_a_problem_and_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("1.png"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("2.png")).unwrap();
        let (listing, problems) = list_readable_pictures(root.path());
        assert_eq!(names(&listing, root.path()), ["1.png"]);
        let text = problems[0].to_string();
        assert!(
            text.contains("2.png: no file but a pipe, socket or device"),
            "{text}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_broken_ones_count_as_what_they_are_named() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("1.png"), "").unwrap();
        symlink(elsewhere.path(), root.path().join("linked")).unwrap();
        symlink("/nowhere/2.png", root.path().join("2.png")).unwrap();
        symlink("/nowhere/2.png", root.path().join("._2.png")).unwrap();
        symlink("/nowhere/notes", root.path().join("notes")).unwrap();
        let listing = list_pictures(root.path()).unwrap();
        assert_eq!(names(&listing, root.path()), ["2.png", "linked/1.png"]);
        assert_eq!(listing.left_out.values().sum::<usize>(), 1);
        symlink(root.path(), root.path().join("circle")).unwrap();
        assert!(list_pictures(root.path()).is_err());
        let (rest, problems) = list_readable_pictures(root.path());
        assert_eq!((rest, problems.len()), (listing, 1));
        assert!(list_pictures(&root.path().join("nothing")).is_err());
    }
}
