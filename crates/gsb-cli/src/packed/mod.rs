//! The commands on packed models.

mod bench;
mod evaluate;
mod inspect;
mod pack;
mod predict;
mod student;

pub use bench::run as bench;
pub use evaluate::measure;
pub use inspect::run as inspect;
pub use pack::run as pack;
pub use predict::run as predict;
pub use student::{PackedReport, after_training};

use gsb_data::{EvalTransform, Normalization};
use gsb_packed::{PackedModel, Preprocessing};

/// The only filter that resizes here.
const BICUBIC: &str = "bicubic";

/// The most pixels that the shorter side of a picture is resized to.
const MAX_RESIZE: usize = 1 << 15;

/// What a file says of the transform of evaluation.
fn preprocessing(transform: &EvalTransform) -> Preprocessing {
    Preprocessing {
        resize: Some(transform.resize),
        interpolation: BICUBIC.into(),
        mean: transform.normalization.mean.clone(),
        deviation: transform.normalization.deviation.clone(),
    }
}

/// The transform that a file asks for.
///
/// # Errors
/// What of it is not known here.
fn transform(model: &PackedModel) -> Result<EvalTransform, String> {
    let (config, wanted) = (model.config(), model.preprocessing());
    if !wanted.interpolation.eq_ignore_ascii_case(BICUBIC) {
        return Err(format!(
            "its pictures are resized by the filter {:?}, known here is {BICUBIC}",
            wanted.interpolation
        ));
    }
    if config.channels != 1 && config.channels != 3 {
        return Err(format!(
            "its images have {} channels, pictures 1 or 3",
            config.channels
        ));
    }
    let resize = wanted.resize.unwrap_or(config.image_size);
    if resize > MAX_RESIZE {
        return Err(format!(
            "its pictures are resized to {resize} pixels, at most {MAX_RESIZE} are made here"
        ));
    }
    Ok(EvalTransform {
        image_size: config.image_size,
        resize,
        normalization: Normalization {
            mean: wanted.mean.clone(),
            deviation: wanted.deviation.clone(),
        },
    })
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = String::from(&digits[..first]);
    for (index, digit) in digits[first..].chars().enumerate() {
        if index % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_packed::{Config, Network, Packed};

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 999, 1000, 12_345_678].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn preprocessing_goes_there_and_back() {
        let network = Network::random(&Config::micro(), 1).unwrap();
        let mut packed = Packed::unnamed(network);
        let wanted = EvalTransform {
            resize: 9,
            ..EvalTransform::new(8, Normalization::half(1))
        };
        packed.preprocessing = preprocessing(&wanted);
        let model = PackedModel::new(packed.clone()).unwrap();
        assert_eq!(transform(&model).unwrap(), wanted);

        packed.preprocessing.interpolation = "box".into();
        let refusal = transform(&PackedModel::new(packed.clone()).unwrap()).unwrap_err();
        assert!(refusal.contains("\"box\""), "{refusal}");
        packed.preprocessing = preprocessing(&EvalTransform {
            resize: usize::MAX,
            ..wanted
        });
        assert!(transform(&PackedModel::new(packed).unwrap()).is_err());
    }
}
