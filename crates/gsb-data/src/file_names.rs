//! Which files are pictures by their names, and which belong to a system or a program.

use std::ffi::OsStr;
use std::path::Path;

/// Extensions of the formats that are decoded. What a file holds decides how it is read.
const PICTURES: [&str; 15] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "gif", "tif", "tiff", "webp", "ppm", "pgm",
    "pbm", "pnm",
];

/// Names that systems, network drives and programs leave in folders of pictures.
const SERVICE: [&str; 14] = [
    "@eaDir",
    "@Recycle",
    "@Recently-Snapshot",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    "lost+found",
    "__MACOSX",
    "__pycache__",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
];

/// Whether a file is named as a picture that can be read.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    PICTURES
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether a file or folder of this name is none of the data: hidden (`._x.png`, `.DS_Store`,
/// `.ipynb_checkpoints`) or left there by a system.
pub(crate) fn is_service(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || SERVICE.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_extension() {
        for name in ["a.jpg", "a.JPEG", "b.Png", "c.JFIF", "d.webp", "e.tif"] {
            assert!(is_picture(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "jpg", "x.avif", "x.jpg.part"] {
            assert!(!is_picture(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn service_names_are_known_in_any_capitals() {
        for name in ["._1.png", ".DS_Store", "@eadir", "THUMBS.DB", "lost+found"] {
            assert!(is_service(OsStr::new(name)), "{name}");
        }
        for name in ["1.png", "@home", "recycler-van", "_1.png"] {
            assert!(!is_service(OsStr::new(name)), "{name}");
        }
    }
}
