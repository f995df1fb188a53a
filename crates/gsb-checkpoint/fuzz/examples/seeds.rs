//! Copies the small checkpoints of the tests to a folder, for the fuzzer to begin with: `seeds FOLDER`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("pth" | "safetensors"))
            && let Some(name) = path.file_name()
        {
            std::fs::copy(&path, Path::new(&folder).join(name))?;
        }
    }
    Ok(())
}
