//! Pictures of every kind, with what Pillow makes of them: `tests/data/pictures.safetensors`.

use std::path::Path;

use safetensors::SafeTensors;

/// The bytes of the bundle.
pub fn bundle() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures.safetensors");
    std::fs::read(path).unwrap()
}

/// Names and bytes of the files in it, in order of their names.
pub fn files<'a>(bundle: &'a SafeTensors<'a>) -> Vec<(String, &'a [u8])> {
    let mut files: Vec<_> = bundle
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_suffix("/file")?.to_owned(), tensor.data())))
        .collect();
    files.sort();
    files
}
