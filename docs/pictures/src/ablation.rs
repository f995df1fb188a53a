//! Accuracies of the variants: mean and deviation over the seeds.

use crate::Result;
use crate::results::{self, Panel};
use crate::style::*;

const ROW: i32 = 26;
const LEFT: i32 = 190;
const RIGHT: i32 = 800;

/// The picture.
pub fn draw() -> Result<String> {
    let panels = results::ablation()?.panel;
    let height = panels
        .iter()
        .map(|panel| 74 + ROW * panel.row.len() as i32)
        .sum::<i32>()
        + 24;
    picture((900, height), "Top-1 of plain and GSB students", |area| {
        let mut top = 12;
        for panel in &panels {
            draw_panel(area, panel, top)?;
            top += 74 + ROW * panel.row.len() as i32;
        }
        let note = "top-1 in percent, mean and sample deviation over three seeds";
        text(
            area,
            note,
            ((LEFT + RIGHT) / 2, height - 16),
            11,
            MUTED,
            Side::Middle,
        )
    })
}

fn draw_panel(area: &Area, Panel { title, row }: &Panel, top: i32) -> Result<()> {
    let ends = row
        .iter()
        .flat_map(|row| [row.mean - row.deviation, row.mean + row.deviation]);
    let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    let (low, high) = ((low / 5.0).floor() * 5.0, (high / 5.0).ceil() * 5.0);
    let x = |percent: f64| {
        LEFT + (f64::from(RIGHT - LEFT) * (percent - low) / (high - low)).round() as i32
    };
    heading(area, title, (LEFT, top + 10), 14, INK, Side::Right)?;
    let bottom = top + 30 + ROW * row.len() as i32;
    let mut tick = low;
    while tick <= high {
        line(area, &[(x(tick), top + 28), (x(tick), bottom)], FAINT, 1)?;
        text(
            area,
            &format!("{tick:.0}"),
            (x(tick), bottom + 12),
            11,
            MUTED,
            Side::Middle,
        )?;
        tick += 5.0;
    }
    for (index, row) in row.iter().enumerate() {
        let y = top + 28 + ROW / 2 + ROW * index as i32;
        let colour = match row.name.as_str() {
            "float" => MUTED,
            "plain" => ORANGE,
            _ => BLUE,
        };
        text(area, &row.name, (LEFT - 14, y), 13, INK, Side::Left)?;
        let (from, to) = (x(row.mean - row.deviation), x(row.mean + row.deviation));
        line(area, &[(from, y), (to, y)], colour, 2)?;
        dot(area, (x(row.mean), y), 5, colour)?;
        text(
            area,
            &format!("{:.1}", row.mean),
            (RIGHT + 22, y),
            13,
            INK,
            Side::Right,
        )?;
    }
    Ok(())
}
