//! What all pictures share: colours that everyone can tell apart, on white and on black, and texts.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;

/// Units of a drawing for each pixel that the picture is shown at: coordinates are whole numbers.
pub const SCALE: i32 = 2;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub const PANEL: RGBColor = RGBColor(0xF3, 0xF5, 0xF7);
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
pub const MUTED: RGBColor = RGBColor(0x57, 0x60, 0x6A);
pub const FAINT: RGBColor = RGBColor(0xC8, 0xCF, 0xD7);
// Of the palette of Okabe and Ito, which does not depend on telling red from green.
pub const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub const ORANGE: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub const BLUE_TINT: RGBColor = RGBColor(0xDC, 0xEB, 0xF5);
pub const ORANGE_TINT: RGBColor = RGBColor(0xFB, 0xE6, 0xD6);
pub const GREEN_TINT: RGBColor = RGBColor(0xDD, 0xF1, 0xEA);

/// Each colour, and the one in its place where the page is dark.
const DARK: [(RGBColor, &str); 11] = [
    (PAPER, "#0D1117"),
    (PANEL, "#1A2029"),
    (INK, "#E6EDF3"),
    (MUTED, "#A3ADB8"),
    (FAINT, "#3D444D"),
    (BLUE, "#56B4E9"),
    (ORANGE, "#FF9E4A"),
    (GREEN, "#3CCBA0"),
    (BLUE_TINT, "#12344B"),
    (ORANGE_TINT, "#4A2C14"),
    (GREEN_TINT, "#113B30"),
];

/// Draws a picture of this many pixels on paper of its own, with a title for those who cannot see it.
pub fn picture(
    (width, height): (i32, i32),
    title: &str,
    draw: impl FnOnce(&Area) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    let size = ((width * SCALE) as u32, (height * SCALE) as u32);
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    area.fill(&PAPER)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    let drawn = format!("<svg width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("<svg role=\"img\" width=\"{width}\" height=\"{height}\"");
    let head = svg.find('>').ok_or("no head")? + 1;
    let rest = svg.split_off(head);
    Ok(format!(
        "{}\n<title>{title}</title>\n{}{rest}",
        svg.replace(&drawn, &shown),
        dark()
    ))
}

/// The style sheet that exchanges the colours of a dark page.
fn dark() -> String {
    let mut style = String::from("<style>@media (prefers-color-scheme: dark) {\n");
    for (RGBColor(r, g, b), dark) in DARK {
        for property in ["fill", "stroke"] {
            style += &format!("[{property}=\"#{r:02X}{g:02X}{b:02X}\"] {{ {property}: {dark} }}\n");
        }
    }
    style + "}</style>"
}

/// Where a text stands, seen from its point.
#[derive(Clone, Copy)]
pub enum Side {
    Left,
    Middle,
    Right,
}

/// A text of a size in pixels, its middle at a height.
pub fn text(
    area: &Area,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    side: Side,
) -> Result<()> {
    text_of(area, text, at, size, colour, side, FontStyle::Normal)
}

/// The same, bold.
pub fn heading(
    area: &Area,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    side: Side,
) -> Result<()> {
    text_of(area, text, at, size, colour, side, FontStyle::Bold)
}

fn text_of(
    area: &Area,
    text: &str,
    (x, y): (i32, i32),
    size: i32,
    colour: RGBColor,
    side: Side,
    font: FontStyle,
) -> Result<()> {
    let h_pos = match side {
        Side::Left => HPos::Right,
        Side::Middle => HPos::Center,
        Side::Right => HPos::Left,
    };
    // The backend divides sizes by 1.24.
    let size = f64::from(size * SCALE) * 1.24;
    let style = TextStyle::from(("sans-serif", size, font).into_font())
        .color(&colour)
        .pos(Pos::new(h_pos, VPos::Center));
    let drawn = Text::new(text.to_owned(), (x * SCALE, y * SCALE), style);
    Ok(area.draw(&drawn)?)
}

/// A line through points, in pixels.
pub fn line(area: &Area, points: &[(i32, i32)], colour: RGBColor, width: u32) -> Result<()> {
    let points: Vec<_> = points
        .iter()
        .map(|&(x, y)| (x * SCALE, y * SCALE))
        .collect();
    let style = colour.stroke_width(width * SCALE as u32);
    Ok(area.draw(&PathElement::new(points, style))?)
}

/// A filled box between two corners, in pixels.
pub fn fill(area: &Area, [left, top, right, bottom]: [i32; 4], colour: RGBColor) -> Result<()> {
    let corners = [(left * SCALE, top * SCALE), (right * SCALE, bottom * SCALE)];
    Ok(area.draw(&Rectangle::new(corners, colour.filled()))?)
}

/// The frame of a box, in pixels.
pub fn frame(area: &Area, [left, top, right, bottom]: [i32; 4], colour: RGBColor) -> Result<()> {
    let corners = [
        (left, top),
        (right, top),
        (right, bottom),
        (left, bottom),
        (left, top),
    ];
    line(area, &corners, colour, 1)
}

/// A dot of a radius in pixels.
pub fn dot(area: &Area, (x, y): (i32, i32), radius: i32, colour: RGBColor) -> Result<()> {
    Ok(area.draw(&Circle::new(
        (x * SCALE, y * SCALE),
        radius * SCALE,
        colour.filled(),
    ))?)
}
