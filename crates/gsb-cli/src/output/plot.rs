//! The plot of a table.

use gsb_train::Table;
use plotters::prelude::*;

const WIDTH: u32 = 900;
const ROW: u32 = 26;
const COLOR: RGBColor = RGBColor(31, 119, 180);

/// Top-1 of each row with its deviation, and a dot for each seed, as SVG.
///
/// # Errors
/// If the plot cannot be drawn.
pub fn accuracies(table: &Table) -> Result<String, String> {
    let mut svg = String::new();
    draw(table, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(table: &Table, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let rows = table.rows.len();
    let values = || {
        let bars = table
            .rows
            .iter()
            .flat_map(|row| [-1.0, 1.0].map(|sign| row.mean() + sign * row.deviation()));
        let seeds = table.rows.iter().flat_map(|row| row.top1.iter().copied());
        seeds.chain(bars.filter(|end| end.is_finite()))
    };
    let lowest = (values().fold(100.0, f64::min) - 2.0).max(0.0);
    let highest = (values().fold(0.0, f64::max) + 2.0).min(100.0);
    let names: Vec<String> = table.rows.iter().map(gsb_train::Row::name).collect();
    let height = ROW * rows as u32 + 80;
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    // Rows from the top down: row k lies at -k.
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(330)
        .build_cartesian_2d(lowest..highest, -(rows as f64) + 0.5..0.5)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_desc("top-1, %")
        .draw()?;
    let places = || (0..rows).map(|row| -(row as f64));
    for ((row, name), y) in table.rows.iter().zip(&names).zip(places()) {
        let (mean, spread) = (row.mean(), row.deviation());
        if spread.is_finite() {
            let line = [(mean - spread, y), (mean + spread, y)];
            chart.draw_series([PathElement::new(line.to_vec(), COLOR.stroke_width(2))])?;
        }
        let seeds = row
            .top1
            .iter()
            .map(|&value| Circle::new((value, y), 2, BLACK.mix(0.4).filled()));
        chart.draw_series(seeds)?;
        chart.draw_series([Circle::new((mean, y), 4, COLOR.filled())])?;
        let (_, pixel) = chart.backend_coord(&(mean, y));
        let style = ("sans-serif", 13).into_text_style(&area);
        area.draw_text(name, &style, (12, pixel - 7))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_train::Row;

    #[test]
    fn every_row_has_a_name_and_every_seed_a_dot() {
        let table = Table {
            training_images: 400,
            seeds: vec![0, 1],
            rows: vec![Row {
                variant: None,
                top1: vec![90.0, 92.0],
            }],
        };
        let svg = accuracies(&table).unwrap();
        assert!(svg.contains("float"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn bars_lie_within_the_axis() {
        let row = Row {
            variant: None,
            top1: vec![50.0, 90.0],
        };
        let (low, high) = (row.mean() - row.deviation(), row.mean() + row.deviation());
        let table = Table {
            training_images: 400,
            seeds: vec![0, 1],
            rows: vec![row],
        };
        let svg = accuracies(&table).unwrap();
        let bar = svg
            .lines()
            .find(|line| line.contains("<polyline") && line.contains("stroke-width=\"2\""));
        let points = bar.and_then(|bar| bar.split("points=\"").nth(1)?.split('"').next());
        let xs = points
            .expect("a bar")
            .split_whitespace()
            .map(|point| point.split(',').next().unwrap().parse::<f64>().unwrap());
        let xs: Vec<f64> = xs.collect();
        // Dots of the seeds say where 50 and 90 are.
        let dots = svg
            .split("<circle cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap());
        let dots: Vec<f64> = dots.collect();
        let pixels = (dots[1] - dots[0]) / 40.0;
        assert!((xs[1] - xs[0] - (high - low) * pixels).abs() < 3.0, "{svg}");
    }
}
