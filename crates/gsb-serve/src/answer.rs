//! What a request gets.

use gsb_explain::AttentionMaps;
use gsb_packed::Prediction;
use serde::Serialize;

use crate::request::Wanted;

/// What a model says of a picture.
#[derive(Debug)]
pub struct Answer {
    /// The logits, `[classes]`.
    pub logits: Vec<f32>,
    /// The attention, if it was asked for.
    pub attention: Option<Attention>,
}

/// What classified tokens look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attention {
    /// Rows and columns of a map.
    grid: usize,
    /// Its rollout, `[grid * grid]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Vec<f32>>,
    /// Maps of the heads, `[layers, heads, grid * grid]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<Vec<Vec<Vec<f32>>>>,
}

impl Attention {
    /// What is wanted of the maps of an image.
    pub fn new(maps: &AttentionMaps, wanted: Wanted) -> Option<Self> {
        let grid = maps.grid();
        let (rollout, heads) = match wanted {
            Wanted::None => return None,
            Wanted::Rollout => (Some(maps.rollout()), None),
            Wanted::Heads => {
                let heads =
                    |layer| (0..maps.heads()).filter_map(move |head| maps.head(layer, head));
                let layers = (0..maps.depth()).map(|layer| heads(layer).collect());
                (None, Some(layers.collect()))
            }
        };
        Some(Self {
            grid,
            rollout,
            heads,
        })
    }
}

/// The answer to a request.
#[derive(Debug, Serialize)]
pub struct Predictions {
    /// The name of the model.
    pub model: String,
    /// What it says of each picture, in the order of the request.
    pub predictions: Vec<Predicted>,
}

/// What is said of a picture.
#[derive(Debug, Serialize)]
pub struct Predicted {
    image: String,
    classes: Vec<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
}

#[derive(Debug, Serialize)]
struct Class {
    class: usize,
    name: String,
    probability: f32,
    logit: f32,
}

impl Predicted {
    /// The likeliest classes of a picture.
    pub fn new(image: String, answer: Answer, names: &[String], k: usize) -> Self {
        let ranked = Prediction::new(answer.logits).top(k);
        let classes = ranked.into_iter().map(|ranked| Class {
            class: ranked.class,
            name: names.get(ranked.class).cloned().unwrap_or_default(),
            probability: ranked.probability,
            logit: ranked.logit,
        });
        Self {
            image,
            classes: classes.collect(),
            attention: answer.attention,
        }
    }
}
