//! The embedded digits.

use flate2::read::GzDecoder;

use super::array::digit_names;
use crate::{Error, ImageArray};

const NAME: &str = "embedded digits";
const COMPRESSED: &[u8] = include_bytes!("../../data/digits.csv.gz");
const SIDE: usize = 8;
const MAX_PIXEL: u8 = 16;

/// The test set of the UCI "Optical Recognition of Handwritten Digits": 1,797 gray pictures of 8x8 pixels.
///
/// The stored values 0 to 16 become `round(value * 255 / 16)`, half up. By E. Alpaydin and
/// C. Kaynak (1998), <https://doi.org/10.24432/C50P49>, licensed under CC BY 4.0.
///
/// # Errors
/// [`Error::Row`] for a broken row, which the embedded file does not have.
///
/// ```
/// use gsb_data::DataSet;
///
/// let digits = gsb_data::digits()?;
/// assert_eq!((digits.len(), digits.classes().len()), (1797, 10));
/// assert_eq!((digits.size(), digits.channels()), ([8, 8], 1));
/// assert_eq!(digits.labels()[..3], [0, 1, 2]);
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn digits() -> Result<ImageArray, Error> {
    parse(GzDecoder::new(COMPRESSED))
}

/// Reads rows of 64 pixel values and a label.
fn parse(rows: impl std::io::Read) -> Result<ImageArray, Error> {
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
        if image.len() != SIDE * SIDE {
            let (expected, got) = (SIDE * SIDE, image.len());
            return Err(error(format!("expected {expected} pixels, got {got}")));
        }
        if let Some(value) = image.iter().find(|&&value| value > MAX_PIXEL) {
            return Err(error(format!("pixel value {value} is above {MAX_PIXEL}")));
        }
        pixels.extend(image.iter().map(|&value| scale(value)));
        labels.push(usize::from(*label));
    }
    ImageArray::new([SIDE, SIDE, 1], pixels, labels, digit_names())
}

/// `value * 255 / 16`, rounded half up.
fn scale(value: u8) -> u8 {
    let max = u32::from(MAX_PIXEL);
    ((u32::from(value) * 255 + max / 2) / max) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSet;

    #[test]
    fn every_class_is_there_and_values_span_the_range() {
        let digits = digits().unwrap();
        for class in 0..10 {
            let count = digits.labels().iter().filter(|&&l| l == class).count();
            assert!((170..=190).contains(&count), "{count} images of {class}");
        }
        let values: Vec<u8> = (0..digits.len())
            .flat_map(|i| digits.image(i).unwrap().pixels)
            .collect();
        assert_eq!(values.iter().min(), Some(&0));
        assert_eq!(values.iter().max(), Some(&255));
    }

    #[test]
    fn values_keep_within_half_a_level() {
        for value in 0..=MAX_PIXEL {
            let exact = f64::from(value) * 255.0 / 16.0;
            assert!((f64::from(scale(value)) - exact).abs() <= 0.5, "{value}");
        }
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
