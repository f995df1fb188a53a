//! The embedded digits.

use flate2::read::GzDecoder;

use crate::{Error, ImageSet, ImageShape};

const NAME: &str = "embedded digits";
const COMPRESSED: &[u8] = include_bytes!("../data/digits.csv.gz");
const SHAPE: ImageShape = ImageShape {
    channels: 1,
    height: 8,
    width: 8,
};
const CLASSES: usize = 10;
const MAX_PIXEL: u8 = 16;

/// The test set of the UCI "Optical Recognition of Handwritten Digits": 1,797 images of 8x8 pixels.
///
/// The stored values 0 to 16 are divided by 16. By E. Alpaydin and C. Kaynak (1998),
/// <https://doi.org/10.24432/C50P49>, licensed under CC BY 4.0.
///
/// # Errors
/// [`Error::Row`] for a broken row, which the embedded file does not have.
///
/// ```
/// let digits = gsb_data::digits()?;
/// assert_eq!((digits.len(), digits.classes()), (1797, 10));
/// assert_eq!(digits.shape().to_string(), "1x8x8");
/// assert_eq!(digits.labels()[..3], [0, 1, 2]);
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn digits() -> Result<ImageSet, Error> {
    parse(GzDecoder::new(COMPRESSED))
}

/// Reads rows of 64 pixel values and a label.
fn parse(rows: impl std::io::Read) -> Result<ImageSet, Error> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(rows);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (index, row) in reader.deserialize::<Vec<u8>>().enumerate() {
        let error = |problem| Error::Row {
            name: NAME,
            row: index + 1,
            problem,
        };
        let row = row.map_err(|cause| error(cause.to_string()))?;
        let [image @ .., label] = row.as_slice() else {
            return Err(error("it is empty".into()));
        };
        if image.len() != SHAPE.pixels() {
            let (expected, got) = (SHAPE.pixels(), image.len());
            return Err(error(format!("expected {expected} pixels, got {got}")));
        }
        if let Some(value) = image.iter().find(|&&value| value > MAX_PIXEL) {
            return Err(error(format!("pixel value {value} is above {MAX_PIXEL}")));
        }
        pixels.extend(image.iter().map(|&v| f32::from(v) / f32::from(MAX_PIXEL)));
        labels.push(usize::from(*label));
    }
    ImageSet::new(SHAPE, CLASSES, pixels, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_there_and_values_span_the_range() {
        let digits = digits().unwrap();
        for class in 0..CLASSES {
            let count = digits.labels().iter().filter(|&&l| l == class).count();
            assert!((170..=190).contains(&count), "{count} images of {class}");
        }
        let (low, high) = digits
            .pixels()
            .iter()
            .fold((1.0f32, 0.0f32), |(low, high), &v| {
                (low.min(v), high.max(v))
            });
        assert_eq!((low, high), (0.0, 1.0));
    }

    #[test]
    fn broken_rows_are_named() {
        let row = |pixels: usize, value: &str| format!("{value},").repeat(pixels) + "3\n";
        let problem = |text: String| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            problem(row(64, "0") + &row(63, "0")),
            "embedded digits, row 2: expected 64 pixels, got 63"
        );
        assert_eq!(
            problem(row(64, "17")),
            "embedded digits, row 1: pixel value 17 is above 16"
        );
        let text = problem(row(64, "x"));
        assert!(text.starts_with("embedded digits, row 1: "), "{text}");
    }
}
