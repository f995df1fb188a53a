//! Draws the pictures of the book: `just pictures`.
//!
//! Each is computed: from the functions it shows, from the workspace, or from the results in `data`, which a test
//! holds equal to the tables of the book.

mod ablation;
mod accuracy;
mod bars;
mod block;
mod crates;
mod curves;
mod diagram;
mod levels;
mod packed;
mod results;
mod style;

use std::path::Path;

/// What goes wrong ends the program, with its text.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Draws one picture.
type Draw = fn() -> Result<String>;

/// Every picture, by the name of its file.
const PICTURES: [(&str, Draw); 11] = [
    ("ablation.svg", ablation::draw),
    ("accuracy.svg", accuracy::draw),
    ("backends.svg", bars::backends),
    ("crates.svg", crates::draw),
    ("curves.svg", curves::draw),
    ("deit-small.svg", bars::deit_small),
    ("levels.svg", levels::draw),
    ("packed.svg", packed::draw),
    ("sizes.svg", bars::sizes),
    ("speed.svg", bars::speed),
    ("stage2-block.svg", block::draw),
];

/// Where the book has them.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/svg");

fn main() -> Result<()> {
    std::fs::create_dir_all(FOLDER)?;
    for (name, draw) in PICTURES {
        std::fs::write(Path::new(FOLDER).join(name), draw()?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that is not what its source says is out of date: `just pictures` draws it anew.
    #[test]
    fn pictures_of_the_book_are_those_drawn_here() {
        for (name, draw) in PICTURES {
            let committed = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
            assert!(
                committed == draw().unwrap(),
                "docs/src/svg/{name} is out of date: just pictures"
            );
        }
    }
}
