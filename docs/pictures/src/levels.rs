//! Levels and surrogate gradients of every binarizer, by the functions of `gsb-core`.

use burn::tensor::{Device, Tensor};
use gsb_core::binarize::*;
use plotters::prelude::{
    ChartBuilder, Color, IntoFont, PathElement, RGBColor, TRANSPARENT, TextStyle,
};

use crate::Result;
use crate::style::*;

const POINTS: usize = 800;

/// Inputs, outputs and input gradients.
struct Curve {
    x: Vec<f32>,
    y: Vec<f32>,
    dx: Vec<f32>,
}

/// What a binarizer makes of inputs between two bounds, with the gradient 1 at each output.
fn curve(low: f32, high: f32, binarize: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Result<Curve> {
    let device = Device::flex().autodiff();
    // An even number of points, between which the bounds' middle lies: no point is exactly 0.
    let step = (high - low) / POINTS as f32;
    let x: Vec<f32> = (0..POINTS).map(|k| low + (k as f32 + 0.5) * step).collect();
    let input = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([1, POINTS]);
    let input = input.require_grad();
    let output = binarize(input.clone());
    let grads = output.clone().sum().backward();
    let dx = input.grad(&grads).ok_or("the input is tracked")?;
    Ok(Curve {
        x,
        y: drawn(output)?,
        dx: drawn(dx.reshape([1, POINTS]))?,
    })
}

/// Values without the last digits, which differ between processors and do not show.
fn drawn(values: Tensor<2>) -> Result<Vec<f32>> {
    let values = values.into_data().try_to_vec::<f32>();
    let values = values.map_err(|error| format!("{error:?}"))?;
    Ok(values
        .iter()
        .map(|value| (1e4 * value).round() / 1e4)
        .collect())
}

fn panels() -> Result<Vec<(&'static str, &'static str, Curve)>> {
    let device = Device::flex().autodiff();
    Ok(vec![
        (
            "Weight",
            "one bit, scale mean |w|",
            curve(-2.0, 2.0, |x| {
                WeightBinarizerConfig::new().init().forward(x)
            })?,
        ),
        (
            "Signed",
            "one bit, scale 1",
            curve(-2.0, 2.0, |x| {
                SignedBinarizerConfig::new().init(&device).forward(x)
            })?,
        ),
        (
            "Unsigned",
            "one bit, scale 1",
            curve(-1.0, 2.0, |x| {
                UnsignedBinarizerConfig::new().init(&device).forward(x)
            })?,
        ),
        (
            "Attention",
            "three groups, residual initial scales",
            curve(0.0, 1.0, |x| {
                AttentionBinarizerConfig::new()
                    .with_initial(InitialScales::Residual)
                    .init(&device)
                    .calibrate(&x)
                    .forward(x)
            })?,
        ),
        (
            "Value",
            "three groups, residual initial scales",
            curve(-1.0, 1.0, |x| {
                ValueBinarizerConfig::new()
                    .with_initial(InitialScales::Residual)
                    .init(&device)
                    .calibrate(&x)
                    .forward(x)
            })?,
        ),
        (
            "Channel",
            "drawn with 3 bits, scale 0.5; 8 by default",
            curve(-2.5, 2.5, |x| {
                let mut quantizer = ChannelQuantizerConfig::new(1).with_bits(3).init(&device);
                quantizer.scale = quantizer.scale.map(|scale| scale.mul_scalar(0.5));
                quantizer.forward(x)
            })?,
        ),
        (
            "Level sum",
            "attention matrix, 2 bits, scale 1",
            curve(-0.5, 4.0, |x| {
                AttentionBinarizerConfig::level_sum(2)
                    .init(&device)
                    .forward(x)
            })?,
        ),
        (
            "Token sign",
            "one bit, scale mean |x| of the token",
            curve(-2.0, 2.0, token_sign)?,
        ),
    ])
}

/// The bounds of values, with some room around them, 0 included.
fn bounds(values: &[f32]) -> std::ops::Range<f64> {
    let low = f64::from(values.iter().copied().fold(0.0, f32::min));
    let high = f64::from(values.iter().copied().fold(0.0, f32::max));
    let room = 0.12 * (high - low);
    low - room..high + room
}

/// The points at which a function of steps turns.
fn corners(x: &[f32], y: &[f32]) -> Vec<(f64, f64)> {
    let turns = |&k: &usize| k == 0 || k + 1 == y.len() || y[k] != y[k - 1] || y[k] != y[k + 1];
    let points = (0..y.len()).filter(turns);
    points.map(|k| (f64::from(x[k]), f64::from(y[k]))).collect()
}

/// A plot of `y` over `x`, with a line at 0, and the input itself where it is to be compared.
fn plot(area: &Area, x: &[f32], y: &[f32], colour: RGBColor, identity: bool) -> Result<()> {
    let range = f64::from(x[0])..f64::from(x[x.len() - 1]);
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(18 * SCALE)
        .y_label_area_size(38 * SCALE)
        .build_cartesian_2d(range, bounds(y))?;
    let labels = TextStyle::from(("sans-serif", 12.0 * f64::from(SCALE)).into_font()).color(&MUTED);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.stroke_width(1))
        .axis_style(FAINT.stroke_width(1))
        .x_labels(5)
        .y_labels(4)
        .label_style(labels)
        .draw()?;
    if identity {
        let inside = bounds(y);
        let ends = [x[0], x[x.len() - 1]].map(|x| f64::from(x).clamp(inside.start, inside.end));
        let thin = MUTED.stroke_width(SCALE as u32 / 2);
        chart.draw_series([PathElement::new(ends.map(|x| (x, x)).to_vec(), thin)])?;
    }
    let thick = colour.stroke_width(2 * SCALE as u32);
    chart.draw_series([PathElement::new(corners(x, y), thick)])?;
    Ok(())
}

/// The picture.
pub fn draw() -> Result<String> {
    let title = "Levels and surrogate gradients of the binarizers";
    picture((900, 998), title, |area| {
        for (index, (name, note, curve)) in panels()?.iter().enumerate() {
            let (left, top) = (8 + 297 * (index as i32 % 3), 8 + 318 * (index as i32 / 3));
            heading(area, name, (left + 42, top + 12), 15, INK, Side::Right)?;
            text(area, note, (left + 42, top + 31), 11, MUTED, Side::Right)?;
            let part = |top: i32, height: i32| {
                let (left, top) = (left * SCALE, top * SCALE);
                let (width, height) = (285 * SCALE, height * SCALE);
                area.clone().shrink((left, top), (width, height))
            };
            plot(&part(top + 42, 160), &curve.x, &curve.y, BLUE, true)?;
            plot(&part(top + 212, 90), &curve.x, &curve.dx, ORANGE, false)?;
        }
        let y = 976;
        for (x, colour, meaning) in [
            (50, BLUE, "output y"),
            (170, MUTED, "input x, for comparison"),
            (370, ORANGE, "gradient dx where that of y is 1"),
        ] {
            line(
                area,
                &[(x, y), (x + 22, y)],
                colour,
                if colour == MUTED { 1 } else { 2 },
            )?;
            text(area, meaning, (x + 30, y), 12, INK, Side::Right)?;
        }
        Ok(())
    })
}
