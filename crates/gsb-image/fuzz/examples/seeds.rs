//! Writes small pictures of all kinds to a folder, for the fuzzer to begin with: `seeds FOLDER`.

#[path = "../../tests/support/pictures.rs"]
mod pictures;


fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    for (name, file) in pictures::files(&pictures::bundle()) {
        std::fs::write(format!("{folder}/{name}"), file)?;
    }
    Ok(())
}
