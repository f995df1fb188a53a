//! A map over a picture.

use gsb_image::Image;

/// The share of the map's colour; the rest is the picture in gray.
const SHARE: f32 = 0.6;

/// A map of the patches over a picture: the colours of "inferno", black where it is 0 and light yellow where it
/// is largest, over the picture in gray. Each patch has one colour, as the network has one number for it.
///
/// # Shapes
/// - map: `[grid, grid]`
/// - returns: a picture of the same size, three channels
///
/// # Panics
/// If the map is not square.
pub fn overlay(picture: &Image, map: &[f32]) -> Image {
    let grid = map.len().isqrt();
    assert!(
        grid > 0 && grid * grid == map.len(),
        "a map of {} entries is not square",
        map.len()
    );
    let largest = map.iter().copied().fold(0.0, f32::max);
    let color = |patch: usize| {
        let share = if largest > 0.0 {
            map[patch] / largest
        } else {
            0.0
        };
        let color = colorous::INFERNO.eval_continuous(share.clamp(0.0, 1.0).into());
        [color.r, color.g, color.b]
    };
    let colors: Vec<[u8; 3]> = (0..map.len()).map(color).collect();
    let gray = picture.to_channels(1);
    let mut pixels = Vec::with_capacity(3 * gray.pixels.len());
    for (y, row) in gray.pixels.chunks(gray.width).enumerate() {
        for (x, &light) in row.iter().enumerate() {
            let patch = y * grid / gray.height * grid + x * grid / gray.width;
            pixels.extend(colors[patch].map(|value| {
                let mixed = SHARE * f32::from(value) + (1.0 - SHARE) * f32::from(light);
                mixed.round() as u8
            }));
        }
    }
    Image {
        channels: 3,
        pixels,
        ..*picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_entry_is_the_lightest_patch() {
        let picture = Image::filled(6, 4, &[0, 0, 0]);
        let over = overlay(&picture, &[0.0, 0.5, 2.0, 1.0]);
        assert_eq!((over.width, over.height, over.channels), (6, 4, 3));
        let light = |x, y| {
            over.pixel(x, y)
                .iter()
                .map(|&value| u32::from(value))
                .sum::<u32>()
        };
        assert_eq!(over.pixel(0, 2), over.pixel(2, 3));
        assert!(
            light(0, 0) < light(3, 0) && light(3, 0) < light(5, 3) && light(5, 3) < light(0, 3)
        );
        // A white picture shines through where nothing is looked at.
        let white = overlay(&Image::filled(2, 2, &[255]), &[0.0; 4]);
        assert!(
            white
                .pixels
                .iter()
                .all(|&value| (102..110).contains(&value)),
            "{white:?}"
        );
    }
}
