//! Curves over epochs, as SVG.

use plotters::coord::Shift;
use plotters::prelude::*;

const WIDTH: u32 = 560;
const HEIGHT: u32 = 340;
const COLUMNS: usize = 2;

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A curve through those of the points that are finite, each an epoch and a value.
    pub fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        let finite = points.into_iter().filter(|(_, y)| y.is_finite());
        Self {
            name: name.into(),
            points: finite.collect(),
        }
    }
}

/// Curves over the same axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    title: String,
    unit: String,
    series: Vec<Series>,
}

impl Panel {
    /// A panel without curves.
    pub fn new(title: &str, unit: &str) -> Self {
        Self {
            title: title.into(),
            unit: unit.into(),
            series: Vec::new(),
        }
    }

    /// Adds a curve, if it has points.
    pub fn push(&mut self, series: Series) {
        if !series.points.is_empty() {
            self.series.push(series);
        }
    }

    /// Whether it has no curve.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend, Shift>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let last = points().fold(1.0, |last, &(x, _)| f64::max(last, x));
        let lowest = points().fold(f64::INFINITY, |low, &(_, y)| low.min(y));
        let highest = points().fold(f64::NEG_INFINITY, |high, &(_, y)| high.max(y));
        let room = ((highest - lowest) * 0.06)
            .max(highest.abs() * 1e-3)
            .max(1e-9);
        let lowest = match lowest >= 0.0 && lowest < highest * 0.5 {
            true => 0.0,
            false => lowest - room,
        };
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .caption(&self.title, ("sans-serif", 15))
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(1.0..last.max(2.0), lowest..highest + room)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(6)
            .x_label_formatter(&|epoch| format!("{epoch:.0}"))
            .x_desc("epoch")
            .y_desc(&self.unit)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let style = Palette99::pick(index).stroke_width(2);
            let points = series.points.clone();
            // A line of one point is none.
            if let [point] = points[..] {
                chart.draw_series([Circle::new(point, 2, style.filled())])?;
            }
            chart
                .draw_series([PathElement::new(points, style)])?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], style));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .label_font(("sans-serif", 12))
            .draw()?;
        Ok(())
    }
}

/// The panels beside and below each other.
///
/// # Errors
/// If they cannot be drawn.
pub fn draw(panels: &[Panel]) -> Result<String, String> {
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let mut svg = String::new();
    let size = (COLUMNS as u32 * WIDTH, rows as u32 * HEIGHT);
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        for (panel, part) in panels.iter().zip(area.split_evenly((rows, COLUMNS))) {
            panel.draw(&part)?;
        }
        Ok(area.present()?)
    };
    drawn().map_err(|error| error.to_string())?;
    drop(area);
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_and_named() {
        let mut panel = Panel::new("Accuracy", "%");
        panel.push(Series::new("stage1", vec![(1.0, 50.0), (2.0, 60.0)]));
        panel.push(Series::new(
            "stage2",
            vec![(1.0, 40.0), (2.0, f64::NAN), (3.0, 55.0)],
        ));
        panel.push(Series::new("nothing", vec![(1.0, f64::NAN)]));
        let svg = draw(&[panel]).unwrap();
        for text in ["Accuracy", "stage1", "stage2", "epoch"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("nothing"));
        // Two curves, and a line for each in the legend.
        assert!(svg.matches("<polyline").count() >= 4);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn a_single_epoch_is_no_failure() {
        let mut panel = Panel::new("Loss", "loss");
        panel.push(Series::new("teacher", vec![(1.0, 2.0)]));
        assert!(draw(&[panel]).unwrap().contains("teacher"));
    }
}
