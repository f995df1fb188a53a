//! What is served.

use std::sync::Arc;

use gsb_explain::AttentionMaps;
use gsb_image::{EvalTransform, Image};
use gsb_packed::PackedModel;
use serde::Serialize;

/// Classifies images, from any number of threads.
pub trait Predictor: Send + Sync {
    /// What it is and what it takes.
    fn card(&self) -> &Card;

    /// The logits of images that the transform of the card has made, `[classes]` each, in their order.
    ///
    /// # Errors
    /// What is wrong; the requests get it with status 500.
    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String>;

    /// The attention of an image. It is asked for only if the card tells its shape.
    ///
    /// # Errors
    /// What is wrong; the request gets it with status 500.
    fn attention(&self, image: &Image) -> Result<AttentionMaps, String> {
        let _ = image;
        Err("it shows no attention".into())
    }
}

/// What a predictor is and takes.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// The kind of model, such as `packed`.
    pub kind: String,
    /// A name for each class.
    pub classes: Vec<String>,
    /// What makes its images of pictures.
    pub preprocessing: EvalTransform,
    /// Size of its file.
    pub bytes: u64,
    /// The shape of its attention, if it shows it.
    pub attention: Option<AttentionShape>,
}

/// How many maps of attention a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AttentionShape {
    /// Layers.
    pub layers: usize,
    /// Heads of a layer.
    pub heads: usize,
    /// Rows and columns of a map.
    pub grid: usize,
}

/// Serves a packed model.
#[derive(Debug)]
pub struct PackedPredictor {
    model: PackedModel,
    card: Card,
}

impl PackedPredictor {
    /// Serves a packed model of a file of a number of bytes.
    ///
    /// # Errors
    /// As [`PackedModel::transform`]: if its preprocessing is not known here.
    pub fn new(model: PackedModel, bytes: u64) -> Result<Self, gsb_packed::Error> {
        let config = model.config();
        let card = Card {
            kind: "packed".into(),
            classes: model.class_names().to_vec(),
            preprocessing: model.transform()?,
            bytes,
            attention: Some(AttentionShape {
                layers: config.depth,
                heads: config.heads,
                grid: config.image_size / config.patch_size,
            }),
        };
        Ok(Self { model, card })
    }
}

impl Predictor for PackedPredictor {
    fn card(&self) -> &Card {
        &self.card
    }

    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
        let images: Vec<_> = images
            .iter()
            .map(|image| gsb_packed::Image::Bytes(&image.pixels))
            .collect();
        let logits = self.model.logits_batch(&images);
        let logits = logits.map_err(|error| error.to_string())?;
        let each = logits.chunks(self.card.classes.len());
        Ok(each.map(<[f32]>::to_vec).collect())
    }

    fn attention(&self, image: &Image) -> Result<AttentionMaps, String> {
        AttentionMaps::of(&self.model, image).map_err(|error| error.to_string())
    }
}

/// A predictor and the name that requests call it by.
#[derive(Clone)]
pub struct Served {
    pub(crate) name: String,
    pub(crate) predictor: Arc<dyn Predictor>,
}

impl Served {
    /// Serves a predictor by a name.
    pub fn new(name: impl Into<String>, predictor: impl Predictor + 'static) -> Self {
        Self {
            name: name.into(),
            predictor: Arc::new(predictor),
        }
    }

    /// What the predictor is.
    pub fn card(&self) -> &Card {
        self.predictor.card()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}
