//! Inks.

/// RGB of a CMYK pixel, where 255 is full ink, as Pillow's `convert("RGB")`.
pub(crate) fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(255 - black);
    [cyan, magenta, yellow].map(|ink| {
        // Rounded division by 255.
        let product = u32::from(ink) * light + 128;
        (light - (((product >> 8) + product) >> 8)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_darken_what_black_leaves() {
        assert_eq!(cmyk_to_rgb([0, 0, 0, 0]), [255, 255, 255]);
        assert_eq!(cmyk_to_rgb([255, 0, 128, 0]), [0, 255, 127]);
        assert_eq!(cmyk_to_rgb([255, 100, 7, 255]), [0, 0, 0]);
        // Values of Pillow 13.
        assert_eq!(cmyk_to_rgb([10, 200, 90, 50]), [197, 44, 133]);
    }
}
