//! JPEG data whose components are put together here: CMYK, and colour that is finer than luma.
//!
//! Samples are interpolated and converted as by libjpeg-turbo (`jdsample.c`, `jdcolor.c`), in the
//! same integers.

use libjpeg_turbo_rs::{ColorSpace, Decoder};

use super::damage::check_damage;
use crate::Image;
use crate::decode::cmyk::cmyk_to_rgb;
use crate::decode::problem::told;

/// RGB of JPEG data of three or four components, by their sampling factors.
pub(super) fn decode(decoder: Decoder<'_>, sampling: &[(u8, u8)]) -> Result<Image, String> {
    let convert: fn([u8; 4]) -> [u8; 3] = match decoder.jpeg_color_space() {
        ColorSpace::Rgb => |[red, green, blue, _]| [red, green, blue],
        ColorSpace::YCbCr => |[y, cb, cr, _]| ycc_to_rgb([y, cb, cr]),
        // As Adobe stores inks, 255 is none.
        ColorSpace::Cmyk => |inks| cmyk_to_rgb(inks.map(|ink| 255 - ink)),
        ColorSpace::Ycck => |[y, cb, cr, black]| {
            let [cyan, magenta, yellow] = ycc_to_rgb([y, cb, cr]);
            cmyk_to_rgb([cyan, magenta, yellow, 255 - black])
        },
        other => return Err(format!("its JPEG data have colours of {other:?}")),
    };
    let (raw, warnings) = decoder.decode_raw_with_warnings().map_err(told)?;
    check_damage(&warnings)?;
    let sampling = || {
        sampling
            .iter()
            .map(|&(x, y)| (usize::from(x), usize::from(y)))
    };
    let most = |which: fn((usize, usize)) -> usize| sampling().map(which).max().unwrap_or(1);
    let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
    let planes: Vec<_> = raw
        .planes
        .into_iter()
        .zip(raw.plane_widths)
        .zip(sampling())
        .map(|((samples, stride), (x, y))| Plane {
            samples,
            stride,
            width: (raw.width * x).div_ceil(across),
            height: (raw.height * y).div_ceil(down),
            across: across / x,
            down: down / y,
        })
        .collect();
    let mut rows = vec![Vec::new(); planes.len()];
    let mut pixels = Vec::with_capacity(raw.width * raw.height * 3);
    for y in 0..raw.height {
        for (plane, row) in planes.iter().zip(&mut rows) {
            plane.row(y, row);
        }
        pixels.extend((0..raw.width).flat_map(|x| {
            // Three components have no fourth sample.
            let sample = |which: usize| rows.get(which).map_or(0, |row| row[x]);
            convert([0, 1, 2, 3].map(sample))
        }));
    }
    Image::new(raw.width, raw.height, 3, pixels).map_err(told)
}

/// The samples of a component.
struct Plane {
    samples: Vec<u8>,
    /// From row to row, filled up to whole blocks.
    stride: usize,
    width: usize,
    height: usize,
    /// Columns and rows of the picture that a sample stands for.
    across: usize,
    down: usize,
}

impl Plane {
    /// A row of the picture, some columns longer where samples reach beyond it.
    fn row(&self, y: usize, row: &mut Vec<u8>) {
        row.clear();
        let near = self.samples(y / self.down);
        match (self.across, self.down) {
            (1, 2) => {
                let bias = 1 + y as u16 % 2;
                let sums = self.sums(y).into_iter();
                row.extend(sums.map(|sum| ((sum + bias) >> 2) as u8));
            }
            // Of two columns, libjpeg repeats the samples.
            (2, 1) if self.width > 2 => {
                let samples: Vec<_> = near.iter().map(|&sample| sample.into()).collect();
                widened(&samples, [1, 2], 2, row);
            }
            (2, 2) if self.width > 2 => widened(&self.sums(y), [8, 7], 4, row),
            (across, _) => row.extend(near.iter().flat_map(|&s| std::iter::repeat_n(s, across))),
        }
    }

    /// Three parts of the row of samples that is near to a row, and one of the next but one; the
    /// first and the last row are their own neighbours.
    fn sums(&self, y: usize) -> Vec<u16> {
        let near = y / 2;
        let far = match y % 2 {
            0 => near.saturating_sub(1),
            _ => (near + 1).min(self.height - 1),
        };
        let pairs = self.samples(near).iter().zip(self.samples(far));
        pairs
            .map(|(&near, &far)| 3 * u16::from(near) + u16::from(far))
            .collect()
    }

    fn samples(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.width]
    }
}

/// Two columns of each: three parts of it and one of its neighbour, rounded with two biases.
fn widened(sums: &[u16], biases: [u16; 2], shift: u32, row: &mut Vec<u8>) {
    let last = sums.len() - 1;
    for (x, sum) in sums.iter().enumerate() {
        let neighbours = [sums[x.saturating_sub(1)], sums[(x + 1).min(last)]];
        for (neighbour, bias) in neighbours.into_iter().zip(biases) {
            row.push(((3 * sum + neighbour + bias) >> shift) as u8);
        }
    }
}

/// ITU-R BT.601 with all 256 levels, in 16-bit fixed point.
fn ycc_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [cb, cr] = [cb, cr].map(|value| i32::from(value) - 128);
    // 1.402, 0.34414, 0.71414 and 1.772.
    let red = (91_881 * cr + 32_768) >> 16;
    let green = (-22_554 * cb - 46_802 * cr + 32_768) >> 16;
    let blue = (116_130 * cb + 32_768) >> 16;
    [red, green, blue].map(|part| (i32::from(y) + part).clamp(0, 255) as u8)
}
