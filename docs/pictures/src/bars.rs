//! Sizes and times as bars.

use gsb_vit::{Phase, VitConfig};
use plotters::prelude::RGBColor;

use crate::Result;
use crate::results::{self, Engine};
use crate::style::*;

/// Bars from the left, with a name before and a text behind each.
struct Bars {
    left: i32,
    top: i32,
    /// Pixels of the longest.
    length: i32,
    row: i32,
}

impl Bars {
    fn draw(&self, area: &Area, rows: &[(&str, f64, String, RGBColor)]) -> Result<()> {
        let most = rows.iter().map(|row| row.1).fold(0.0, f64::max);
        for (index, (name, value, label, colour)) in rows.iter().enumerate() {
            let y = self.top + self.row * index as i32;
            let end = self.left + (f64::from(self.length) * value / most).round() as i32;
            let half = self.row * 3 / 10;
            text(area, name, (self.left - 10, y), 13, INK, Side::Left)?;
            fill(area, [self.left, y - half, end, y + half], *colour)?;
            heading(area, label, (end + 8, y), 13, INK, Side::Right)?;
        }
        Ok(())
    }
}

/// Bytes of a DeiT with a distillation token at 224 pixels.
fn megabytes(size: &str, phase: Phase) -> Result<f64> {
    let config = VitConfig::preset(&format!("deit_{size}_distilled_patch16_224"), 1000)?;
    Ok(config.cost(phase)?.total.packed_bytes as f64 / 1e6)
}

/// DeiT-S: the size and the time of the float model and of the packed one.
pub fn deit_small() -> Result<String> {
    let (float, packed) = (
        megabytes("small", Phase::Teacher)?,
        megabytes("small", Phase::Stage2)?,
    );
    let times = results::speed()?.alone;
    picture(
        (900, 190),
        "DeiT-S as floats and packed: size and time of an image",
        |area| {
            heading(area, "Size of DeiT-S", (140, 26), 15, INK, Side::Right)?;
            let bars = |left| Bars {
                left,
                top: 66,
                length: 220,
                row: 46,
            };
            let size = |megabytes| format!("{megabytes:.1} MB");
            let rows = [
                ("float", float, size(float), MUTED),
                ("gsb, packed", packed, size(packed), BLUE),
            ];
            bars(140).draw(area, &rows)?;
            heading(
                area,
                "Time of one image, one core",
                (590, 26),
                15,
                INK,
                Side::Right,
            )?;
            let time = |ms| format!("{ms:.1} ms");
            let rows = [
                ("ONNX Runtime, float", times.onnx, time(times.onnx), MUTED),
                ("gsb, packed", times.packed, time(times.packed), BLUE),
            ];
            bars(590).draw(area, &rows)?;
            let note =
                "224 pixels, 1000 classes. Intel Xeon with AVX-512, one thread each, in turns.";
            text(area, note, (450, 168), 11, MUTED, Side::Middle)
        },
    )
}

/// Bytes by model and phase, which the library computes.
pub fn sizes() -> Result<String> {
    picture(
        (900, 400),
        "Sizes of DeiT as float teacher, stage 1 and stage 2",
        |area| {
            let mut rows = Vec::new();
            for (size, names) in [
                ("tiny", ["DeiT-T, teacher", "stage 1", "stage 2"]),
                ("small", ["DeiT-S, teacher", "stage 1", "stage 2"]),
                ("base", ["DeiT-B, teacher", "stage 1", "stage 2"]),
            ] {
                let phases = [Phase::Teacher, Phase::Stage1, Phase::Stage2];
                for ((phase, name), colour) in
                    phases.into_iter().zip(names).zip([MUTED, ORANGE, BLUE])
                {
                    let megabytes = megabytes(size, phase)?;
                    rows.push((name, megabytes, format!("{megabytes:.1} MB"), colour));
                }
            }
            heading(
                area,
                "Packed bytes, 224 pixels, 1000 classes",
                (140, 24),
                15,
                INK,
                Side::Right,
            )?;
            for (index, rows) in rows.chunks(3).enumerate() {
                // All bars to one scale.
                let length = 620.0 * rows[0].1 / megabytes("base", Phase::Teacher)?;
                let top = 62 + 116 * index as i32;
                let bars = Bars {
                    left: 140,
                    top,
                    length: length.round() as i32,
                    row: 32,
                };
                bars.draw(area, rows)?;
            }
            Ok(())
        },
    )
}

/// Times of one image by engine.
pub fn speed() -> Result<String> {
    let engines = results::speed()?.engine;
    let times: Vec<(String, f64)> = engines
        .iter()
        .map(|Engine { name, median, .. }| Ok((name.replace('`', ""), median.parse()?)))
        .collect::<Result<_>>()?;
    picture(
        (900, 290),
        "DeiT-S, one image of 224 pixels on one thread: milliseconds",
        |area| {
            let title = "DeiT-S, one image of 224 pixels on one thread, median in milliseconds";
            heading(area, title, (270, 24), 15, INK, Side::Right)?;
            let rows: Vec<_> = times
                .iter()
                .map(|(name, ms)| {
                    let colour = if name.starts_with("gsb-packed") {
                        BLUE
                    } else {
                        MUTED
                    };
                    (name.as_str(), *ms, format!("{ms}"), colour)
                })
                .collect();
            Bars {
                left: 270,
                top: 64,
                length: 540,
                row: 38,
            }
            .draw(area, &rows)
        },
    )
}

/// How many times as long plain operations take on each backend, forward and backward.
pub fn backends() -> Result<String> {
    let backends = results::backends()?;
    let cases = [
        "weight",
        "signed",
        "unsigned",
        "attention",
        "value",
        "stage 1 block",
        "stage 2 block",
    ];
    picture(
        (900, 500),
        "Plain operations of Burn over this library's, by backend",
        |area| {
            let title = "Forward and backward: plain operations of Burn over this library's";
            heading(area, title, (170, 24), 15, INK, Side::Right)?;
            let mut gains = Vec::new();
            for case in cases {
                for (backend, colour) in [ORANGE, BLUE].into_iter().enumerate() {
                    let own = backends.time(&format!("{case}, forward and backward"), backend)?;
                    let plain =
                        backends.time(&format!("{case}, plain, forward and backward"), backend)?;
                    let name = if backend == 0 { case } else { "" };
                    let label = format!("{:.1} {}", plain / own, backends.names[backend]);
                    gains.push((name, plain / own, label, colour));
                }
            }
            Bars {
                left: 170,
                top: 62,
                length: 600,
                row: 30,
            }
            .draw(area, &gains)
        },
    )
}
