//! The encoder block of stage 2.

use crate::Result;
use crate::diagram::*;
use crate::style::*;

/// The picture.
pub fn draw() -> Result<String> {
    let title = "The encoder block of stage 2: what is binary, superposed and float";
    picture((900, 512), title, |area| {
        attention(area)?;
        mlp(area)?;
        let kinds = [
            (Kind::Bit, "one-bit weights and inputs"),
            (Kind::Groups, "superposition of three binary groups"),
            (Kind::Float, "float"),
        ];
        legend(area, (40, 490), &kinds)
    })
}

fn step(area: &Area, at: (i32, i32), kind: Kind, name: &str, lines: &[&str]) -> Result<()> {
    let size = (140, 64);
    Step {
        at,
        size,
        kind,
        name,
        lines,
    }
    .draw(area)
}

fn attention(area: &Area) -> Result<()> {
    let (top, middle, bottom) = (82, 172, 262);
    step(area, (110, middle), Kind::Float, "LayerNorm", &["norm1"])?;
    step(
        area,
        (280, middle),
        Kind::Bit,
        "BinaryLinear",
        &["qkv", "B(w) · Q(x + shift)"],
    )?;
    step(
        area,
        (450, top),
        Kind::Bit,
        "Query, key",
        &["shift, one signed bit", "Q(q) Q(k)ᵀ / √d"],
    )?;
    step(
        area,
        (450, bottom),
        Kind::Groups,
        "Value",
        &["shift, then", "ValueBinarizer"],
    )?;
    step(
        area,
        (620, top),
        Kind::Groups,
        "Attention",
        &["softmax + shift, then", "AttentionBinarizer"],
    )?;
    step(
        area,
        (620, bottom),
        Kind::Groups,
        "Product",
        &["3 × 3 products of", "binary groups"],
    )?;
    step(
        area,
        (790, middle),
        Kind::Bit,
        "BinaryLinear",
        &["output", "B(w) · Q(x + shift)"],
    )?;
    arrow(area, &[(10, middle), (40, middle)], MUTED)?;
    arrow(area, &[(180, middle), (210, middle)], MUTED)?;
    arrow(
        area,
        &[(350, middle), (365, middle), (365, top), (380, top)],
        MUTED,
    )?;
    arrow(
        area,
        &[(350, middle), (365, middle), (365, bottom), (380, bottom)],
        MUTED,
    )?;
    arrow(area, &[(520, top), (550, top)], MUTED)?;
    arrow(area, &[(520, bottom), (550, bottom)], GREEN)?;
    arrow(area, &[(620, top + 32), (620, bottom - 32)], GREEN)?;
    arrow(
        area,
        &[(690, bottom), (705, bottom), (705, middle), (720, middle)],
        MUTED,
    )?;
    residual(area, middle, 26)
}

fn mlp(area: &Area) -> Result<()> {
    let middle = 420;
    step(area, (110, middle), Kind::Float, "LayerNorm", &["norm2"])?;
    step(
        area,
        (320, middle),
        Kind::Bit,
        "BinaryLinear",
        &["fc1, signed input", "B(w) · Q(x + shift)"],
    )?;
    step(
        area,
        (550, middle),
        Kind::Float,
        "GELU",
        &["clamped to ±10"],
    )?;
    step(
        area,
        (790, middle),
        Kind::Bit,
        "BinaryLinear",
        &["fc2, unsigned input", "B(w) · Q(x + shift)"],
    )?;
    arrow(area, &[(10, middle), (40, middle)], MUTED)?;
    arrow(area, &[(180, middle), (250, middle)], MUTED)?;
    arrow(area, &[(390, middle), (480, middle)], MUTED)?;
    arrow(area, &[(620, middle), (720, middle)], MUTED)?;
    residual(area, middle, 350)
}

/// What goes past the branch, and the addition behind it.
fn residual(area: &Area, middle: i32, over: i32) -> Result<()> {
    let end = 880;
    line(area, &[(22, middle), (22, over), (end, over)], MUTED, 1)?;
    arrow(area, &[(end, over), (end, middle - 8)], MUTED)?;
    line(area, &[(860, middle), (end - 8, middle)], MUTED, 1)?;
    heading(area, "+", (end, middle), 17, INK, Side::Middle)?;
    text(
        area,
        "residual stream",
        (450, over - 11),
        11,
        MUTED,
        Side::Middle,
    )
}
