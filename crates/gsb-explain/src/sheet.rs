//! All heads of all layers on one sheet.

use gsb_image::Image;

use crate::canvas::{Canvas, Color, LETTER};
use crate::{AttentionMaps, overlay};

const PAPER: Color = [255; 3];
const INK: Color = [40; 3];

/// Pixels between pictures.
const GAP: usize = 4;

/// All maps over a picture: a row for each layer and a column for each head, numbered from 0; the mean of the
/// heads in the last column; below them the picture and the rollout.
pub fn sheet(picture: &Image, maps: &AttentionMaps) -> Image {
    let (rows, columns) = (maps.depth(), maps.heads() + 1);
    let [width, height] = [picture.width, picture.height];
    let [left, top] = [LETTER * digits(rows) + 2 * GAP, LETTER + 2 * GAP];
    let place = |row: usize, column: usize| {
        // A line of text lies between the heads and what is below them.
        let text = if row == rows { top } else { 0 };
        [
            left + column * (width + GAP),
            top + row * (height + GAP) + text,
        ]
    };
    let [right, bottom] = place(rows, columns);
    let size = [right.max(left + 2 * (width + GAP)), bottom + height + GAP];
    let mut canvas = Canvas::new(size[0], size[1], PAPER);
    let write = |canvas: &mut Canvas, [x, y]: [usize; 2], text: &str| {
        let letters = width / LETTER;
        let text: String = text.chars().take(letters).collect();
        canvas.write([x, y - LETTER - GAP], &text, INK);
    };
    for column in 0..columns {
        let number = column.to_string();
        let name = if column < maps.heads() {
            &number
        } else {
            "mean"
        };
        write(&mut canvas, place(0, column), name);
    }
    for row in 0..rows {
        let [_, y] = place(row, 0);
        canvas.write(
            [GAP, y + height.saturating_sub(LETTER) / 2],
            &row.to_string(),
            INK,
        );
        for column in 0..columns {
            let map = maps.head(row, column).or_else(|| maps.layer(row));
            let map = map.expect("the layer is one of them");
            canvas.paste(place(row, column), &overlay(picture, &map));
        }
    }
    write(&mut canvas, place(rows, 0), "picture");
    canvas.paste(place(rows, 0), &picture.to_channels(3));
    write(&mut canvas, place(rows, 1), "rollout");
    canvas.paste(place(rows, 1), &overlay(picture, &maps.rollout()));
    canvas.finish()
}

/// Digits of the largest number below a count.
fn digits(count: usize) -> usize {
    count.saturating_sub(1).to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_packed::{PackedConfig, PackedFile, PackedModel, PackedNetwork, Random};

    #[test]
    fn every_head_has_its_place() {
        for (heads, depth, side) in [(4, 11, 16), (1, 1, 8)] {
            let config = PackedConfig {
                heads,
                depth,
                ..PackedConfig::micro()
            };
            let network = PackedNetwork::random(&config, 3).unwrap();
            let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
            let image = Image::new(8, 8, 1, Random::new(4).image(&config)).unwrap();
            let maps = AttentionMaps::of(&model, &image).unwrap();
            let picture = Image::filled(side, side, &[90]);
            let sheet = sheet(&picture, &maps);
            let left = LETTER * digits(depth) + 2 * GAP;
            assert_eq!(sheet.width, left + (heads + 1) * (side + GAP));
            let last = [
                left + (heads - 1) * (side + GAP),
                16 + (depth - 1) * (side + GAP),
            ];
            let cell = sheet.crop(last[0], last[1], side, side);
            assert_eq!(
                cell,
                overlay(&picture, &maps.head(depth - 1, heads - 1).unwrap())
            );
            let below = 16 + depth * (side + GAP) + 16;
            assert_eq!(
                sheet.crop(left, below, side, side),
                picture.to_channels(3).into_owned()
            );
            let rollout = sheet.crop(left + side + GAP, below, side, side);
            assert_eq!(rollout, overlay(&picture, &maps.rollout()));
        }
    }
}
