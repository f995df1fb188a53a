//! Accuracy over the number of training images: the tables that `gsb table --per-class N` wrote.

use gsb_train::{Row, Table};
use plotters::prelude::RGBColor;

use crate::Result;
use crate::style::*;

/// The `table.json` of each.
const DIGITS: [&str; 4] = [
    include_str!("../data/accuracy/digits-5.json"),
    include_str!("../data/accuracy/digits-10.json"),
    include_str!("../data/accuracy/digits-20.json"),
    include_str!("../data/accuracy/digits-60.json"),
];

/// The name of a row in the picture and on the page.
fn name(row: &Row) -> &'static str {
    row.variant.map_or("float", |variant| variant.binarizer())
}

fn tables() -> Result<Vec<Table>> {
    let tables = DIGITS.map(serde_json::from_str);
    Ok(tables.into_iter().collect::<std::result::Result<_, _>>()?)
}

const LEFT: i32 = 70;
const RIGHT: i32 = 720;
const TOP: i32 = 48;
const BOTTOM: i32 = 330;

/// The lines, and the shift by which deviations do not cover each other.
const LINES: [(&str, RGBColor, i32); 4] = [
    ("float", MUTED, -6),
    ("plain", ORANGE, -2),
    ("GSB value", GREEN, 2),
    ("GSB both", BLUE, 6),
];

/// The picture.
pub fn draw() -> Result<String> {
    let tables = tables()?;
    let images = |table: &Table| (table.training_images as f64).ln();
    let (first, last) = (images(&tables[0]), images(&tables[tables.len() - 1]));
    let x = |table: &Table| {
        let share = (images(table) - first) / (last - first);
        LEFT + 24 + (f64::from(RIGHT - LEFT - 48) * share).round() as i32
    };
    let y = |percent: f64| BOTTOM - (f64::from(BOTTOM - TOP) * percent / 100.0).round() as i32;
    let title = "Digits: top-1 over the number of training images, float, plain and GSB";
    picture((900, 380), title, |area| {
        let heading_at = (LEFT, TOP - 24);
        heading(
            area,
            "Held-out digits: top-1 in percent",
            heading_at,
            14,
            INK,
            Side::Right,
        )?;
        for percent in (0..=100).step_by(20) {
            let y = y(f64::from(percent));
            line(area, &[(LEFT, y), (RIGHT, y)], FAINT, 1)?;
            text(
                area,
                &percent.to_string(),
                (LEFT - 10, y),
                11,
                MUTED,
                Side::Left,
            )?;
        }
        for table in &tables {
            let label = table.training_images.to_string();
            let at = (x(table), BOTTOM + 16);
            text(area, &label, at, 11, MUTED, Side::Middle)?;
        }
        text(
            area,
            "training images, as many of each digit; mean and sample deviation over three seeds",
            ((LEFT + RIGHT) / 2, BOTTOM + 38),
            11,
            MUTED,
            Side::Middle,
        )?;
        for (index, (name, colour, shift)) in LINES.into_iter().enumerate() {
            let mut points = Vec::new();
            for table in &tables {
                let row = table.rows.iter().find(|row| self::name(row) == name);
                let row = row.ok_or_else(|| format!("no row of {name}"))?;
                let x = x(table) + shift;
                let (low, high) = (row.mean() - row.deviation(), row.mean() + row.deviation());
                line(area, &[(x, y(low)), (x, y(high))], colour, 2)?;
                dot(area, (x, y(row.mean())), 4, colour)?;
                points.push((x, y(row.mean())));
            }
            line(area, &points, colour, 2)?;
            let at = TOP + 20 + 24 * index as i32;
            line(area, &[(RIGHT + 30, at), (RIGHT + 54, at)], colour, 2)?;
            text(area, name, (RIGHT + 64, at), 13, INK, Side::Right)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_are_those_of_the_book() {
        let page = include_str!("../../src/accuracy.md");
        let tables = tables().unwrap();
        let head: Vec<_> = tables
            .iter()
            .map(|table| table.training_images.to_string())
            .collect();
        let head = format!("| {} |", head.join(" | "));
        assert!(page.contains(&head), "accuracy.md lacks {head}");
        for of_first in &tables[0].rows {
            let name = super::name(of_first);
            let cells = tables.iter().map(|table| {
                let row = table
                    .rows
                    .iter()
                    .find(|row| super::name(row) == name)
                    .unwrap();
                format!("{:.1} ({:.1})", row.mean(), row.deviation())
            });
            let cells: Vec<_> = cells.collect();
            let line = format!("| {name} | {} |\n", cells.join(" | "));
            assert!(page.contains(&line), "accuracy.md lacks {line}");
        }
    }
}
