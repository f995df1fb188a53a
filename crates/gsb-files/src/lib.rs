//! Files that are there whole or not at all.

#![cfg_attr(docsrs, feature(doc_cfg))]

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How the names of temporary files begin, by which those of killed processes are known.
const TEMPORARY: &str = ".tmp-gsb-";

/// Writes a file whole or not at all: beside its place, then onto the disk, then into its place. A link
/// stays one, and a file keeps its permissions; what is no file, a terminal or a pipe, is written to as
/// it is.
///
/// # Errors
/// If it cannot be written; what was there before still is.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let path = match place(path)? {
        Place::File(path) => path,
        Place::Other => return write(&mut File::options().write(true).open(path)?),
    };
    let before = std::fs::metadata(&path).ok().filter(Metadata::is_file);
    let before = before.map(|before| before.permissions());
    let mut file = written_beside(&path, before.as_ref(), write)?;
    // Fewer than those until now, where the umask has taken some.
    if let Some(before) = before
        && before != file.as_file().metadata()?.permissions()
    {
        file.as_file().set_permissions(before)?;
    }
    file.as_file_mut().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    sync_folder(&path);
    Ok(())
}

/// Checks that [`replace`] could write a file now. Leaves everything as it is.
///
/// # Errors
/// Why it could not.
pub fn check_replaceable(path: &Path) -> io::Result<()> {
    let Place::File(path) = place(path)? else {
        // Opening a pipe would wait for who reads it.
        return Ok(());
    };
    if path.exists() {
        File::options().append(true).open(&path)?;
    }
    temporary(&path, None).map(drop)
}

/// Writes a file that is not there yet, whole or not at all. Where a file system can neither rename nor
/// link without replacing, a process that is killed in the last moment may leave it empty.
///
/// # Errors
/// Of the kind [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is one, whoever made it and
/// when; else if it cannot be written.
pub fn create(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = written_beside(path, None, write)?;
    file.as_file_mut().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(refused.error);
        }
        Err(refused) => {
            // An empty file takes the name, which nobody else has then, and is replaced.
            File::create_new(path)?;
            refused.file.persist(path).map_err(|refused| {
                // What failed says more than this would.
                let _ = std::fs::remove_file(path);
                refused.error
            })?;
        }
    }
    sync_folder(path);
    Ok(())
}

/// Removes from a folder the temporary files of processes that were killed. Nobody else may be writing
/// there: theirs would go as well.
pub fn remove_leftovers(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_leftover) {
            // One that stays does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether it is the name of a temporary file of this version, or of those before: `.tmpAb3xYz`,
/// `model-3.bpk.4711-0.tmp`.
fn is_leftover(name: &str) -> bool {
    let random = |rest: &str| rest.len() == 6 && rest.chars().all(|c| c.is_ascii_alphanumeric());
    let of_writer = |rest: &str| {
        let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        rest.rsplit_once(".bpk.")
            .and_then(|(_, numbers)| numbers.split_once('-'))
            .is_some_and(|(process, count)| number(process) && number(count))
    };
    name.starts_with(TEMPORARY)
        || name.strip_prefix(".tmp").is_some_and(random)
        || name.strip_suffix(".tmp").is_some_and(of_writer)
}

/// Where the bytes of a file go.
enum Place {
    /// Into a file of this name, which no link is.
    File(PathBuf),
    /// Into what is there, which is no file.
    Other,
}

fn place(path: &Path) -> io::Result<Place> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => Ok(Place::Other),
        Ok(_) => Ok(Place::File(
            std::fs::canonicalize(path).unwrap_or_else(|_| path.into()),
        )),
        Err(_) => target(path).map(Place::File),
    }
}

/// The name that a link to nothing leads to, or that of no link.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    // As many as Linux follows.
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Lets a renaming survive a loss of power, where the system can.
fn sync_folder(path: &Path) {
    // Not every file system syncs folders, and the file is in its place.
    let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
}

/// An empty file in the folder of another whose place it may take, readable as any new file is, or by nobody who may not
/// read the one that was there before. It can be written to even if it is read-only: it is open already.
fn temporary(path: &Path, before: Option<&Permissions>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = before.map_or(0o666, |before| before.mode() & 0o777);
        builder.permissions(Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = before;
    builder.tempfile_in(folder(path))
}

fn written_beside(
    path: &Path,
    before: Option<&Permissions>,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut file = temporary(path, before)?;
    write(file.as_file_mut())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_failure_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, |file| file.write_all(b"one")).unwrap();
        let failure = replace(&path, |file| {
            file.write_all(b"tw")?;
            Err(io::Error::other("full"))
        });
        assert!(failure.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let twice = create(&path, |file| file.write_all(b"two")).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_what_is_no_file_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, |file| file.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");

        let device = folder.path().join("device");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        replace(&device, |file| file.write_all(b"gone")).unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("second", path("first")).unwrap();
        std::os::unix::fs::symlink("file", path("second")).unwrap();
        check_replaceable(&path("first")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        replace(&path("first"), |file| file.write_all(b"new")).unwrap();
        assert!(path("first").is_symlink() && path("second").is_symlink());
        assert_eq!(std::fs::read(path("file")).unwrap(), b"new");

        std::os::unix::fs::symlink("nowhere/file", path("lost")).unwrap();
        assert!(check_replaceable(&path("lost")).is_err());
        std::os::unix::fs::symlink("circle", path("circle")).unwrap();
        assert!(check_replaceable(&path("circle")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "secret").unwrap();
        for before in [0o600, 0o400, 0o666] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(before)).unwrap();
            let text = format!("new, {before:o}");
            let write = |file: &mut File| {
                // Nobody reads meanwhile who may not read it before or after.
                let meanwhile = file.metadata()?.permissions().mode();
                assert_eq!(meanwhile & 0o777 & !before, 0, "{meanwhile:o}");
                file.write_all(text.as_bytes())
            };
            replace(&path, write).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, before);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn leftovers_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = [
            "model-3.bpk",
            ".tmp",
            ".tmpfiles",
            "notes.tmp",
            "a.bpk.x-1.tmp",
        ];
        let left = [
            ".tmp-gsb-3",
            ".tmp-gsb-aB3dEf",
            ".tmpaB3dEf",
            "model-3.bpk.4711-0.tmp",
        ];
        for name in kept.iter().chain(&left) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        // What a process leaves that is killed while it writes.
        let (_, killed) = temporary(&folder.path().join("a"), None)
            .unwrap()
            .keep()
            .unwrap();
        remove_leftovers(folder.path());
        assert!(!killed.exists());
        for name in kept {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            kept.len()
        );
        remove_leftovers(&folder.path().join("nowhere"));
    }
}
