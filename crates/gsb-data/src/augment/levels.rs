//! Operations on the levels of a picture, each value on its own, as Pillow's `ImageOps` does them.

use crate::Image;

/// Maps every value by the table of its channel.
fn map(image: &mut Image, table: impl Fn(usize) -> [u8; 256]) {
    for channel in 0..image.channels {
        let table = table(channel);
        for value in image
            .pixels
            .iter_mut()
            .skip(channel)
            .step_by(image.channels)
        {
            *value = table[usize::from(*value)];
        }
    }
}

fn histogram(image: &Image, channel: usize) -> [usize; 256] {
    let mut counts = [0; 256];
    for &value in image.pixels.iter().skip(channel).step_by(image.channels) {
        counts[usize::from(value)] += 1;
    }
    counts
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// Stretches each channel to the whole range.
pub(crate) fn auto_contrast(image: &mut Image) {
    let source = image.clone();
    map(image, |channel| {
        let counts = histogram(&source, channel);
        let low = counts.iter().position(|&n| n > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&n| n > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        // Truncated, as Python's int().
        std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8)
    });
}

/// Makes all levels of each channel about equally frequent.
pub(crate) fn equalize(image: &mut Image) {
    let source = image.clone();
    map(image, |channel| {
        let counts = histogram(&source, channel);
        let last = counts.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
        let step = (counts.iter().sum::<usize>() - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut sum = step / 2;
        std::array::from_fn(|value| {
            let level = (sum / step).min(255) as u8;
            sum += counts[value];
            level
        })
    });
}

/// Turns light to dark.
pub(crate) fn invert(image: &mut Image) {
    for value in &mut image.pixels {
        *value = 255 - *value;
    }
}

/// Keeps the upper bits of every value, of which there can be 0 to 8.
pub(crate) fn posterize(image: &mut Image, bits: u32) {
    let mask = !(0xFF_u32 >> bits) as u8;
    for value in &mut image.pixels {
        *value &= mask;
    }
}

/// Inverts the values from a threshold on.
pub(crate) fn solarize(image: &mut Image, threshold: u32) {
    for value in &mut image.pixels {
        if u32::from(*value) >= threshold {
            *value = 255 - *value;
        }
    }
}

/// Adds to the values below 128.
pub(crate) fn solarize_add(image: &mut Image, add: u8) {
    for value in &mut image.pixels {
        if *value < 128 {
            *value = value.saturating_add(add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(values: &[u8], operation: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = Image::new(values.len(), 1, 1, values.to_vec()).unwrap();
        operation(&mut image);
        image.pixels
    }

    #[test]
    fn levels_by_hand() {
        assert_eq!(done(&[50, 100, 150], auto_contrast), [0, 127, 255]);
        assert_eq!(done(&[7, 7], auto_contrast), [7, 7]);
        assert_eq!(done(&[0, 200], invert), [255, 55]);
        assert_eq!(done(&[255, 127, 64], |i| posterize(i, 1)), [128, 0, 0]);
        assert_eq!(done(&[255, 127], |i| posterize(i, 4)), [240, 112]);
        assert_eq!(done(&[255, 127], |i| posterize(i, 8)), [255, 127]);
        assert_eq!(done(&[255, 127], |i| posterize(i, 0)), [0, 0]);
        assert_eq!(done(&[26, 25, 255], |i| solarize(i, 26)), [229, 25, 0]);
        assert_eq!(done(&[255], |i| solarize(i, 256)), [255]);
        assert_eq!(
            done(&[0, 127, 128], |i| solarize_add(i, 110)),
            [110, 237, 128]
        );
    }

    #[test]
    fn equalize_spreads_what_is_crowded() {
        // 510 pixels of each of two neighbouring levels and 510 white ones: steps of 1020 / 255.
        let values: Vec<u8> = [100, 101, 255].iter().flat_map(|&v| [v; 510]).collect();
        let levels = done(&values, equalize);
        // 2/4, (2 + 510)/4 and (2 + 1020)/4, rounded down.
        assert_eq!([levels[0], levels[510], levels[1020]], [0, 128, 255]);
        assert_eq!(done(&[1, 2, 3], equalize), [1, 2, 3]);
    }

    #[test]
    fn channels_are_stretched_on_their_own() {
        let mut image = Image::new(2, 1, 3, vec![0, 10, 5, 102, 20, 5]).unwrap();
        auto_contrast(&mut image);
        assert_eq!(image.pixels, [0, 0, 5, 255, 255, 5]);
    }
}
