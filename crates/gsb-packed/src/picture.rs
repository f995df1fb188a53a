//! Predictions of picture files (feature `image`).

use std::path::Path;

use gsb_image::{EvalTransform, Normalization, Orientation, read_image_as};

use crate::{Error, Image, PackedModel, Prediction, Preprocessing};

/// The only filter that resizes here.
const BICUBIC: &str = "bicubic";

/// The most pixels that the shorter side of a picture is resized to.
const MAX_RESIZE: usize = 1 << 15;

impl From<&EvalTransform> for Preprocessing {
    /// What a file says of the transform of evaluation.
    fn from(transform: &EvalTransform) -> Self {
        Self {
            resize: Some(transform.resize),
            interpolation: BICUBIC.into(),
            mean: transform.normalization.mean.clone(),
            deviation: transform.normalization.deviation.clone(),
        }
    }
}

impl PackedModel {
    /// The transform that makes the network's input of a picture, as
    /// [`preprocessing`](Self::preprocessing) describes it.
    ///
    /// # Errors
    /// [`Error::Metadata`] with what of it is not known here: a filter other than bicubic, a size
    /// out of proportion, or a number of channels that no picture has.
    pub fn transform(&self) -> Result<EvalTransform, Error> {
        let (config, wanted) = (self.config(), self.preprocessing());
        let unknown = |reason| {
            let key = "preprocessing";
            Err(Error::Metadata { key, reason })
        };
        if !wanted.interpolation.eq_ignore_ascii_case(BICUBIC) {
            return unknown(format!(
                "its pictures are resized by the filter {:?}, known here is {BICUBIC}",
                wanted.interpolation
            ));
        }
        if config.channels != 1 && config.channels != 3 {
            return unknown(format!(
                "its images have {} channels, pictures 1 or 3",
                config.channels
            ));
        }
        let resize = wanted.resize.unwrap_or(config.image_size);
        if resize > MAX_RESIZE {
            return unknown(format!(
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

    /// Classifies a picture file: decodes it, turns it as its EXIF entry says, and resizes and crops
    /// it as in evaluation. Formats are those of [`gsb_image::read_image`].
    ///
    /// # Errors
    /// [`Error::Picture`] if the file cannot be read; as [`transform`](Self::transform).
    ///
    /// ```
    /// use gsb_packed::{PackedNetwork, PackedConfig, PackedFile, PackedModel};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("three.pgm");
    /// # std::fs::write(&path, [&b"P5 8 8 255 "[..], &[100; 64]].concat()).unwrap();
    /// let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
    /// let model = PackedModel::new(PackedFile::unnamed(network))?;
    /// for ranked in model.predict_file(&path)?.top(3) {
    ///     println!("{} {:.3}", model.class_names()[ranked.class], ranked.probability);
    /// }
    /// # Ok::<(), gsb_packed::Error>(())
    /// ```
    pub fn predict_file(&self, path: impl AsRef<Path>) -> Result<Prediction, Error> {
        let upright = read_image_as(path.as_ref(), Orientation::Upright)?;
        self.predict_picture(&upright)
    }

    /// Classifies a decoded picture of any size.
    ///
    /// # Errors
    /// As [`transform`](Self::transform); [`Error::Picture`] if it has other than 1 or 3 channels, no pixels, or values
    /// that are not as many as its sizes say.
    pub fn predict_picture(&self, picture: &gsb_image::Image) -> Result<Prediction, Error> {
        picture.validate()?;
        let pixels = self.transform()?.pixels(picture);
        self.predict(Image::Bytes(&pixels.pixels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PackedConfig, PackedFile, PackedNetwork};

    /// A PNG file of 8 x 8 gray pixels that says how the camera was held.
    fn png(orientation: u8, pixels: &[u8; 64]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |name: &[u8; 4], data: &[u8]| {
            file.extend((data.len() as u32).to_be_bytes());
            let named = [name, data].concat();
            file.extend(&named);
            file.extend(crc32fast::hash(&named).to_be_bytes());
        };
        chunk(b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]);
        let head = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
        chunk(
            b"eXIf",
            &[head, &[orientation, 0, 0, 0, 0, 0, 0][..]].concat(),
        );
        // Each row has its filter, none; stored, not compressed.
        let rows: Vec<u8> = pixels
            .chunks(8)
            .flat_map(|row| [&[0], row].concat())
            .collect();
        let adler = rows.iter().fold((1u32, 0u32), |(low, high), &byte| {
            let low = (low + u32::from(byte)) % 65_521;
            (low, (high + low) % 65_521)
        });
        let len = rows.len() as u16;
        let mut data = vec![0x78, 0x01, 1];
        data.extend(len.to_le_bytes());
        data.extend((!len).to_le_bytes());
        data.extend(rows);
        data.extend((adler.1 << 16 | adler.0).to_be_bytes());
        chunk(b"IDAT", &data);
        chunk(b"IEND", &[]);
        file
    }

    #[cfg_attr(miri, ignore)]
    #[test]
    fn a_picture_is_turned_as_its_camera_was_held() {
        let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
        let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
        let pixels: [u8; 64] = std::array::from_fn(|at| (at * 37 % 251) as u8);
        let turned = pixels.iter().rev().copied().collect();
        let turned = gsb_image::Image::new(8, 8, 1, turned).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held-upside-down.png");
        std::fs::write(&path, png(3, &pixels)).unwrap();
        let stored = gsb_image::read_image(&path).unwrap();
        assert_eq!(stored.pixels, pixels);
        let upright = model.predict_file(&path).unwrap();
        assert_eq!(upright, model.predict_picture(&turned).unwrap());
        assert_ne!(upright, model.predict_picture(&stored).unwrap());
    }

    #[test]
    fn pictures_that_are_none_are_refused() {
        let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
        let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
        let picture = |width, channels, pixels| gsb_image::Image {
            width,
            height: width,
            channels,
            pixels,
        };
        for wrong in [
            picture(8, 4, vec![0; 256]),
            picture(8, 1, vec![0; 63]),
            picture(0, 1, Vec::new()),
        ] {
            let refusal = model.predict_picture(&wrong).unwrap_err();
            assert!(matches!(refusal, Error::Picture(_)), "{refusal}");
        }
    }

    #[test]
    fn standard_preprocessing_is_the_published_transform() {
        for size in [8, 32, 33, 112, 224] {
            let standard = Preprocessing::standard(size, 3);
            let published = EvalTransform::new(size, Normalization::imagenet());
            assert_eq!(standard.resize.unwrap_or(size), published.resize);
            assert_eq!(standard.mean, published.normalization.mean);
            assert_eq!(standard.deviation, published.normalization.deviation);
        }
    }

    #[test]
    fn preprocessing_goes_there_and_back() {
        let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
        let mut packed = PackedFile::unnamed(network);
        let wanted = EvalTransform {
            resize: 9,
            ..EvalTransform::new(8, Normalization::half(1))
        };
        packed.preprocessing = Preprocessing::from(&wanted);
        let model = PackedModel::new(packed.clone()).unwrap();
        assert_eq!(model.transform().unwrap(), wanted);

        packed.preprocessing.interpolation = "box".into();
        let refusal = PackedModel::new(packed.clone()).unwrap().transform();
        let refusal = refusal.unwrap_err().to_string();
        assert!(refusal.contains("\"box\""), "{refusal}");
        packed.preprocessing = Preprocessing::from(&EvalTransform {
            resize: usize::MAX,
            ..wanted
        });
        assert!(PackedModel::new(packed).unwrap().transform().is_err());
    }

    /// A file is what its decoded pixels are.
    #[test]
    fn a_file_is_classified_as_its_pixels() {
        let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
        let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noise.pgm");
        let pixels = crate::Random::new(2).image(model.config());
        std::fs::write(&path, [b"P5 8 8 255 ", &pixels[..]].concat()).unwrap();
        let prediction = model.predict_file(&path).unwrap();
        assert_eq!(prediction, model.predict(&pixels).unwrap());

        let missing = folder.path().join("missing.png");
        let error = model.predict_file(&missing).unwrap_err().to_string();
        assert!(error.contains("missing.png"), "{error}");
    }
}
