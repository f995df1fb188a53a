//! Boxes and arrows.

use plotters::prelude::{Color, Polygon, RGBColor};

use crate::Result;
use crate::style::*;

/// What the operands of a step are.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Float,
    Bit,
    Groups,
    Integer,
}

impl Kind {
    fn colours(self) -> (RGBColor, RGBColor) {
        match self {
            Self::Float => (PANEL, MUTED),
            Self::Bit => (BLUE_TINT, BLUE),
            Self::Groups => (GREEN_TINT, GREEN),
            Self::Integer => (ORANGE_TINT, ORANGE),
        }
    }
}

/// A box: its middle, its size, a name and lines below it.
pub struct Step<'a> {
    pub at: (i32, i32),
    pub size: (i32, i32),
    pub kind: Kind,
    pub name: &'a str,
    pub lines: &'a [&'a str],
}

impl Step<'_> {
    pub fn draw(&self, area: &Area) -> Result<()> {
        let ((x, y), (width, height)) = (self.at, self.size);
        let (tint, edge) = self.kind.colours();
        let corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
        fill(area, corners, tint)?;
        frame(area, corners, edge)?;
        let top = y - 15 * self.lines.len() as i32 / 2;
        heading(area, self.name, (x, top), 13, INK, Side::Middle)?;
        for (index, line) in self.lines.iter().enumerate() {
            let y = top + 16 + 14 * index as i32;
            text(area, line, (x, y), 11, INK, Side::Middle)?;
        }
        Ok(())
    }
}

/// An arrow along points.
pub fn arrow(area: &Area, points: &[(i32, i32)], colour: RGBColor) -> Result<()> {
    line(area, points, colour, 1)?;
    let [.., (x0, y0), (x, y)] = *points else {
        return Err("an arrow has two ends".into());
    };
    let (dx, dy) = (f64::from(x - x0), f64::from(y - y0));
    let length = dx.hypot(dy);
    let (dx, dy) = (dx / length, dy / length);
    let scale = f64::from(SCALE);
    let at = |back: f64, side: f64| {
        let x = f64::from(x) - back * dx - side * dy;
        let y = f64::from(y) - back * dy + side * dx;
        ((x * scale).round() as i32, (y * scale).round() as i32)
    };
    let head = vec![at(0.0, 0.0), at(8.0, 3.5), at(8.0, -3.5)];
    Ok(area.draw(&Polygon::new(head, colour.filled()))?)
}

/// What the colours mean, from a point to the right.
pub fn legend(area: &Area, (mut x, y): (i32, i32), kinds: &[(Kind, &str)]) -> Result<()> {
    for (kind, meaning) in kinds {
        let (tint, edge) = kind.colours();
        let corners = [x, y - 7, x + 14, y + 7];
        fill(area, corners, tint)?;
        frame(area, corners, edge)?;
        text(area, meaning, (x + 21, y), 12, INK, Side::Right)?;
        x += 48 + 13 * meaning.len() as i32 / 2;
    }
    Ok(())
}
