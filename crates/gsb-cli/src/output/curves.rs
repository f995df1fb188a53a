//! Curves over epochs, or over training images, as SVG.

use plotters::coord::Shift;
use plotters::prelude::*;

const WIDTH: u32 = 560;
const HEIGHT: u32 = 340;
const COLUMNS: usize = 2;

/// Height of a name beside curves.
const NAME: i32 = 18;

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    /// Where bars are, and their lower and upper ends.
    bars: Vec<(f64, [f64; 2])>,
}

impl Series {
    /// A curve through those of the points that are finite, each an epoch and a value.
    pub fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        let finite = points.into_iter().filter(|(_, y)| y.is_finite());
        Self {
            name: name.into(),
            points: finite.collect(),
            bars: Vec::new(),
        }
    }

    /// A curve through those of the points that are finite, each a place, a value and its deviation, with bars from one
    /// deviation below to one above where that is finite.
    pub fn with_deviations(name: &str, points: &[(f64, f64, f64)]) -> Self {
        let bars = points
            .iter()
            .map(|&(x, y, deviation)| (x, [y - deviation, y + deviation]));
        let bars = bars.filter(|(_, ends)| ends.iter().all(|end| end.is_finite()));
        Self {
            bars: bars.collect(),
            ..Self::new(name, points.iter().map(|&(x, y, _)| (x, y)).collect())
        }
    }
}

/// Curves over the same axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    title: String,
    /// What the curves are over.
    over: String,
    unit: String,
    series: Vec<Series>,
    /// Whether names stand beside the curves, not among them.
    beside: bool,
}

impl Panel {
    /// A panel without curves, over epochs.
    pub fn new(title: &str, unit: &str) -> Self {
        Self {
            title: title.into(),
            over: "epoch".into(),
            unit: unit.into(),
            series: Vec::new(),
            beside: false,
        }
    }

    /// Over something else than epochs.
    pub fn over(mut self, over: &str) -> Self {
        self.over = over.into();
        self
    }

    /// With the names of many curves beside them, if it is the only panel.
    pub fn named_beside(mut self) -> Self {
        self.beside = true;
        self
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
        names: Option<&DrawingArea<SVGBackend, Shift>>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let last = points().fold(1.0, |last, &(x, _)| f64::max(last, x));
        let bars = || self.series.iter().flat_map(|series| &series.bars);
        let ends = || {
            points()
                .map(|&(_, y)| y)
                .chain(bars().flat_map(|&(_, ends)| ends))
        };
        let lowest = ends().fold(f64::INFINITY, f64::min);
        let highest = ends().fold(f64::NEG_INFINITY, f64::max);
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
            // Few epochs have labels between them.
            .x_label_formatter(&|x| match x.fract().abs() < 1e-6 {
                true => format!("{x:.0}"),
                false => String::new(),
            })
            .y_label_formatter(&|y| label(*y, highest - lowest))
            .x_desc(&self.over)
            .y_desc(&self.unit)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let style = Palette99::pick(index).stroke_width(2);
            let points = series.points.clone();
            // A line of one point is none.
            if let [point] = points[..] {
                chart.draw_series([Circle::new(point, 2, style.filled())])?;
            }
            let bars = series
                .bars
                .iter()
                .map(|&(x, [low, high])| PathElement::new([(x, low), (x, high)], style));
            chart.draw_series(bars)?;
            chart
                .draw_series([PathElement::new(points, style)])?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], style));
        }
        if let Some(names) = names {
            for (index, series) in self.series.iter().enumerate() {
                let y = (index as i32 + 1) * NAME;
                let style = Palette99::pick(index).stroke_width(2);
                names.draw(&PathElement::new([(8, y), (22, y)], style))?;
                let font = ("sans-serif", 12);
                names.draw(&Text::new(series.name.clone(), (30, y - 6), font))?;
            }
            return Ok(());
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

/// A number on an axis of such a length.
fn label(y: f64, length: f64) -> String {
    match length {
        _ if y.abs() < length * 1e-9 => "0".into(),
        1e-2..1e5 => {
            let text = format!("{y:.3}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{y:.1e}"),
    }
}

/// The panels beside and below each other.
///
/// # Errors
/// If they cannot be drawn.
pub fn draw(panels: &[Panel]) -> Result<String, String> {
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let mut svg = String::new();
    let beside = match panels {
        [panel] if panel.beside => Some(panel),
        _ => None,
    };
    let height = match beside {
        Some(panel) => HEIGHT.max((panel.series.len() as u32 + 1) * NAME as u32),
        None => rows as u32 * HEIGHT,
    };
    let size = (COLUMNS as u32 * WIDTH, height);
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        if let Some(panel) = beside {
            let (curves, names) = area.split_horizontally(WIDTH);
            panel.draw(&curves, Some(&names))?;
            return Ok(area.present()?);
        }
        for (panel, part) in panels.iter().zip(area.split_evenly((rows, COLUMNS))) {
            panel.draw(&part, None)?;
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
    fn labels_say_what_is_there() {
        assert_eq!(label(0.25, 1.0), "0.25");
        assert_eq!(label(40.0, 90.0), "40");
        assert_eq!(label(0.0, 90.0), "0");
        assert_eq!(label(2.0e-6, 1.0e-5), "2.0e-6");
        assert_eq!(label(1e300, 1e300), "1.0e300");
        // Whole epochs alone, each once.
        let mut panel = Panel::new("Loss", "loss");
        panel.push(Series::new("teacher", vec![(1.0, 20.0), (2.0, 10.0)]));
        let svg = draw(&[panel]).unwrap();
        let texts = svg.split('>').filter_map(|text| text.split_once("</text"));
        let texts: Vec<&str> = texts.map(|(text, _)| text.trim()).collect();
        for epoch in ["1", "2"] {
            let labels = texts.iter().filter(|text| **text == epoch);
            assert_eq!(labels.count(), 1, "{texts:?}");
        }
    }

    #[test]
    fn a_point_that_is_none_takes_its_bar_along() {
        let points = [
            (5.0, f64::NAN, f64::NAN),
            (10.0, 80.0, 2.0),
            (20.0, 90.0, f64::NAN),
        ];
        let series = Series::with_deviations("plain", &points);
        assert_eq!(series.points, [(10.0, 80.0), (20.0, 90.0)]);
        assert_eq!(series.bars, [(10.0, [78.0, 82.0])]);
    }

    #[test]
    fn a_single_epoch_is_no_failure() {
        let mut panel = Panel::new("Loss", "loss");
        panel.push(Series::new("teacher", vec![(1.0, 2.0)]));
        assert!(draw(&[panel]).unwrap().contains("teacher"));
    }
}
