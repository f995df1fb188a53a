//! The way of a picture through a packed model.

use crate::Result;
use crate::diagram::*;
use crate::style::*;

/// The picture.
pub fn draw() -> Result<String> {
    let title = "From a checkpoint to a packed file, and from a picture to a class";
    picture((900, 580), title, |area| {
        once(area)?;
        each(area)?;
        let kinds = [
            (Kind::Bit, "bits: xor and popcount"),
            (Kind::Groups, "bits and lists of positions"),
            (Kind::Integer, "integers"),
            (Kind::Float, "float"),
        ];
        legend(area, (40, 558), &kinds)
    })
}

fn step(area: &Area, at: (i32, i32), kind: Kind, name: &str, lines: &[&str]) -> Result<()> {
    let size = (150, 78);
    Step {
        at,
        size,
        kind,
        name,
        lines,
    }
    .draw(area)
}

/// What happens once.
fn once(area: &Area) -> Result<()> {
    let y = 84;
    heading(area, "Once", (20, 24), 15, INK, Side::Right)?;
    step(
        area,
        (105, y),
        Kind::Float,
        "Checkpoint",
        &["latent weights,", "scales, shifts"],
    )?;
    step(
        area,
        (335, y),
        Kind::Bit,
        "Packed file",
        &["signs, levels, scales,", "class names, transform"],
    )?;
    step(
        area,
        (565, y),
        Kind::Bit,
        "PackedNetwork",
        &["checksum, shapes and", "values are checked"],
    )?;
    step(
        area,
        (795, y),
        Kind::Integer,
        "Engine",
        &["scales, biases, GELU fold", "into thresholds on counts"],
    )?;
    for (x, label) in [(220, "pack"), (450, "open"), (680, "fold")] {
        arrow(area, &[(x - 40, y), (x + 40, y)], MUTED)?;
        text(area, label, (x, y - 11), 12, INK, Side::Middle)?;
    }
    Ok(())
}

/// What happens for each picture.
fn each(area: &Area) -> Result<()> {
    let (first, second, third) = (224, 362, 474);
    heading(area, "For each picture", (20, 164), 15, INK, Side::Right)?;
    step(
        area,
        (105, first),
        Kind::Float,
        "Picture",
        &["decode, turn, resize", "and crop to bytes"],
    )?;
    step(
        area,
        (335, first),
        Kind::Integer,
        "Patches",
        &["8-bit weights", "on bytes"],
    )?;
    step(
        area,
        (565, first),
        Kind::Float,
        "Residual stream",
        &["one float a channel", "of each token"],
    )?;
    step(
        area,
        (795, first),
        Kind::Integer,
        "Heads",
        &["8-bit products,", "mean of the logits"],
    )?;
    arrow(area, &[(180, first), (260, first)], MUTED)?;
    arrow(area, &[(410, first), (490, first)], MUTED)?;
    arrow(area, &[(640, first), (720, first)], MUTED)?;
    text(area, "last norm", (680, first - 11), 12, INK, Side::Middle)?;
    let bottom = first + 39;
    arrow(area, &[(545, bottom), (545, 290)], MUTED)?;
    arrow(area, &[(585, 290), (585, bottom)], MUTED)?;
    // The branches of a block leave the stream to the left and come back from the right.
    fill(area, [14, 290, 886, 530], PANEL)?;
    frame(area, [14, 290, 886, 530], FAINT)?;
    heading(area, "Each block", (26, 306), 13, MUTED, Side::Right)?;
    step(
        area,
        (105, second),
        Kind::Bit,
        "norm1 + sign",
        &["one pass from floats", "to bits"],
    )?;
    step(
        area,
        (335, second),
        Kind::Bit,
        "qkv",
        &["counts above thresholds", "are bits"],
    )?;
    step(
        area,
        (565, second),
        Kind::Groups,
        "Attention",
        &["exp is a table of 65;", "groups 2, 3 are lists"],
    )?;
    step(
        area,
        (795, second),
        Kind::Groups,
        "Product, output",
        &["exact integer sums, bits,", "then floats again"],
    )?;
    step(
        area,
        (220, third),
        Kind::Bit,
        "norm2 + sign",
        &["one pass from floats", "to bits"],
    )?;
    step(
        area,
        (450, third),
        Kind::Bit,
        "fc1",
        &["GELU is an interval", "of counts: bits"],
    )?;
    step(
        area,
        (680, third),
        Kind::Bit,
        "fc2",
        &["counts times scale", "are floats again"],
    )?;
    for x in [180, 410, 640] {
        arrow(area, &[(x, second), (x + 80, second)], BLUE)?;
    }
    for x in [295, 525] {
        arrow(area, &[(x, third), (x + 80, third)], BLUE)?;
    }
    Ok(())
}
