//! Accuracy and loss by epoch of the run that `gsb train` makes without options.

use plotters::prelude::{
    ChartBuilder, Color, IntoFont, PathElement, RGBColor, TRANSPARENT, TextStyle,
};
use serde::Deserialize;

use crate::Result;
use crate::style::*;

/// The `log.jsonl` of the run.
const LOG: &str = include_str!("../data/digits.jsonl");

const PHASES: [(&str, RGBColor); 3] = [("teacher", MUTED), ("stage1", ORANGE), ("stage2", BLUE)];

#[derive(Deserialize)]
struct Epoch {
    phase: String,
    train_loss: f64,
    top1: f64,
}

fn log() -> Result<Vec<Epoch>> {
    LOG.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// The picture.
pub fn draw() -> Result<String> {
    let log = log()?;
    picture(
        (900, 330),
        "The digits by epoch: top-1 and loss of teacher, stage 1, stage 2",
        |area| {
            let part = |left: i32| {
                let (width, height) = (430 * SCALE, 250 * SCALE);
                area.clone()
                    .shrink((left * SCALE, 36 * SCALE), (width, height))
            };
            heading(
                area,
                "Held-out digits: top-1 in percent",
                (55, 20),
                14,
                INK,
                Side::Right,
            )?;
            plot(&part(10), &log, 0.0..100.0, |epoch| epoch.top1)?;
            heading(area, "Training loss", (500, 20), 14, INK, Side::Right)?;
            let most = log
                .iter()
                .map(|epoch| 1.05 * epoch.train_loss)
                .fold(0.0, f64::max);
            plot(&part(455), &log, 0.0..most, |epoch| epoch.train_loss)?;
            text(
                area,
                "epoch, one phase after another",
                (450, 296),
                11,
                MUTED,
                Side::Middle,
            )?;
            for (x, (name, colour)) in [300, 410, 520].into_iter().zip(PHASES) {
                line(area, &[(x, 316), (x + 22, 316)], colour, 2)?;
                text(area, name, (x + 30, 316), 12, INK, Side::Right)?;
            }
            Ok(())
        },
    )
}

fn plot(
    area: &Area,
    log: &[Epoch],
    range: std::ops::Range<f64>,
    value: impl Fn(&Epoch) -> f64,
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .margin_right(14 * SCALE)
        .margin_top(6 * SCALE)
        .x_label_area_size(22 * SCALE)
        .y_label_area_size(42 * SCALE)
        .build_cartesian_2d(0.0..log.len() as f64, range)?;
    let labels = TextStyle::from(("sans-serif", 12.0 * f64::from(SCALE)).into_font()).color(&MUTED);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.stroke_width(1))
        .axis_style(FAINT.stroke_width(1))
        .x_labels(6)
        .x_label_formatter(&|epoch| format!("{epoch}"))
        .y_label_formatter(&|value| format!("{value}"))
        .y_labels(6)
        .label_style(labels)
        .draw()?;
    for (phase, colour) in PHASES {
        let epochs = log
            .iter()
            .enumerate()
            .filter(|(_, epoch)| epoch.phase == phase);
        let points: Vec<_> = epochs
            .map(|(k, epoch)| (k as f64 + 1.0, value(epoch)))
            .collect();
        let thick = colour.stroke_width(2 * SCALE as u32);
        chart.draw_series([PathElement::new(points, thick)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_ends_as_the_book_says() {
        let page = include_str!("../../src/guide/start.md").replace('\n', " ");
        let log = log().unwrap();
        let last = PHASES.map(|(phase, _)| log.iter().rfind(|epoch| epoch.phase == phase).unwrap());
        let [teacher, stage1, stage2] = last.map(|epoch| format!("{:.1}", epoch.top1));
        let ends = format!("ended at {teacher}, {stage1} and {stage2} %");
        assert!(page.contains(&ends), "start.md lacks {ends:?}");
    }
}
