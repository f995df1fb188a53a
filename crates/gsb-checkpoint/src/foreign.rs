//! What people take for a checkpoint and is none.

use std::path::Path;

use crate::CheckpointError;
use crate::archive::Archive;

/// Bytes of a file's beginning that tell what it is: a tar archive says so at 257.
pub(crate) const HEAD: u64 = 512;

const DOWNLOAD: &str = "download or copy the file again";
const UNPACK: &str = "unpack it and give the checkpoint in it";
const STATE_DICT: &str = "save its weights with torch.save(model.state_dict(), FILE)";

/// What files of other kinds start with, what they are, and what to do.
const BEGINNINGS: [(&[u8], &str, &str); 16] = [
    (
        b"version https://git-lfs",
        "a Git LFS pointer",
        "fetch the file that it stands for with git lfs pull",
    ),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\x89HDF", "an HDF5 file, as Keras writes it,", STATE_DICT),
    (b"\x93NUMPY", "an array of NumPy", STATE_DICT),
    (b"GGUF", "a GGUF file", STATE_DICT),
    (b"\x89PNG", "a picture", "give a checkpoint"),
    (b"\xff\xd8\xff", "a picture", "give a checkpoint"),
    (b"%PDF", "a PDF document", "give a checkpoint"),
    (
        b"NRUB",
        "a Burn record, such as our own .bpk files,",
        "it needs no import; gsb export writes it with the published names",
    ),
    // The record at the end of an archive without entries.
    (b"PK\x05\x06", "an empty zip archive", DOWNLOAD),
    (
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "a file of zeros",
        DOWNLOAD,
    ),
];

/// The error for a file that starts so and is neither a zip archive, a pickle nor safetensors.
pub(crate) fn refusal(path: &Path, head: &[u8]) -> CheckpointError {
    let unsupported = |format: &str, remedy| CheckpointError::UnsupportedFormat {
        path: path.into(),
        format: format.into(),
        remedy,
    };
    if head.is_empty() {
        return unsupported("an empty file", DOWNLOAD);
    }
    let known = BEGINNINGS
        .iter()
        .find(|(start, ..)| head.starts_with(start));
    if let Some((_, format, remedy)) = known {
        return unsupported(format, remedy);
    }
    if head.get(257..262) == Some(b"ustar") {
        return match [&b"sys_info\0"[..], b"pickle\0", b"storages\0", b"tensors\0"]
            .iter()
            .any(|name| head.starts_with(name))
        {
            true => unsupported(
                "the tar format of the first versions of PyTorch",
                "open it with torch.load and save it again with torch.save",
            ),
            false => unsupported("a tar archive", UNPACK),
        };
    }
    if head.get(4..8) == Some(b"TFL3") {
        return unsupported("a TensorFlow Lite model", STATE_DICT);
    }
    // The version of its format, then the name of what wrote it.
    if let [8, version, 0x12, len, name, ..] = head
        && *version < 32
        && *len < 64
        && name.is_ascii_alphabetic()
    {
        return unsupported("an ONNX model", STATE_DICT);
    }
    match text(head) {
        Some(text) if text.starts_with('<') => unsupported(
            "a web page (HTML or XML)",
            "the address leads to a page, not to the file: download the file itself",
        ),
        Some(text) if text.starts_with('{') && text.contains("\"weight_map\"") => unsupported(
            "the index of a checkpoint in several files",
            "save it as one file",
        ),
        Some(text) if text.starts_with(['{', '[']) => {
            unsupported("JSON", "give the file with the weights")
        }
        Some(text) => {
            let start: String = text.chars().take(40).collect();
            let line = start.lines().next().unwrap_or_default().trim_end();
            unsupported(&format!("text ({line:?})"), DOWNLOAD)
        }
        None => {
            let start = head.iter().take(8).map(|byte| format!("{byte:02x}"));
            CheckpointError::UnknownFormat {
                path: path.into(),
                start: start.collect::<Vec<_>>().join(" "),
            }
        }
    }
}

/// The beginning of a text; none if it is not one.
fn text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last letter may be cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_text = |letter: char| !letter.is_control() || letter.is_whitespace();
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

/// The error for a zip archive that `torch.save` has not written.
pub(crate) fn archive_refusal(path: &Path, archive: &Archive) -> CheckpointError {
    let ends = |endings: &[&str]| {
        let names = archive.names().filter(|name| {
            let name = name.to_lowercase();
            endings.iter().any(|ending| name.ends_with(ending))
        });
        // The names have no order of their own.
        names
            .min()
            .map(|name| name.chars().take(80).collect::<String>())
    };
    let checkpoint = ends(&[".pth", ".pt", ".safetensors", ".bin", ".ckpt", ".tar"]);
    let (format, remedy) = if let Some(name) = checkpoint {
        (format!("a zip archive that holds {name}"), UNPACK)
    } else if ends(&[".npy"]).is_some() {
        ("an archive of NumPy arrays (.npz)".into(), STATE_DICT)
    } else {
        (
            "a zip archive that torch.save has not written (it has no data.pkl)".into(),
            "give a checkpoint of torch.save or a safetensors file",
        )
    };
    CheckpointError::UnsupportedFormat {
        path: path.into(),
        format,
        remedy,
    }
}
