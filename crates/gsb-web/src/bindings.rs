//! What JavaScript calls. `npm/worker.js` does, and nobody else should: after a trap, of which the message
//! is kept here, an instance is not to be used again.

use std::sync::Mutex;

use gsb_packed::{PackedConfig, Random};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::model::LookedAt;
use crate::{HeadAttention, Model, Weights};

/// The message of a panic.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the messages of panics from now on.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut panic) = PANIC.lock() {
            *panic = Some(info.to_string());
        }
    }));
}

/// The message of the panic that ended this instance.
#[wasm_bindgen(js_name = panicMessage)]
pub fn panic_message() -> Option<String> {
    PANIC.lock().ok()?.take()
}

/// A model that is open.
#[wasm_bindgen]
pub struct OpenModel {
    model: Model,
    picture: Option<LookedAt>,
}

#[wasm_bindgen]
impl OpenModel {
    /// Opens the bytes of a packed file.
    #[wasm_bindgen(constructor)]
    pub fn open(bytes: &[u8]) -> Result<OpenModel, JsError> {
        let model = Model::open(bytes)?;
        Ok(Self {
            model,
            picture: None,
        })
    }

    /// Opens a DeiT-S of random weights, for measurements.
    #[wasm_bindgen(js_name = randomDeitSmall)]
    pub fn random_deit_small(seed: u32) -> Result<OpenModel, JsError> {
        let model = Model::random(&PackedConfig::deit_small(1000), seed.into())?;
        Ok(Self {
            model,
            picture: None,
        })
    }

    /// What the file holds, as JSON.
    pub fn description(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(self.model.description())?)
    }

    /// Random pixels of the model's size.
    #[wasm_bindgen(js_name = randomPixels)]
    pub fn random_pixels(&self, seed: u32) -> Vec<u8> {
        Random::new(seed.into()).image(&self.model.description().config)
    }

    /// Takes other thresholds of the attention's groups from now on.
    #[wasm_bindgen(js_name = setThresholds)]
    pub fn set_thresholds(&mut self, first: f32, second: f32, third: f32) -> Result<(), JsError> {
        Ok(self.model.set_thresholds([first, second, third])?)
    }

    /// The logits of pixels.
    pub fn predict(&self, pixels: &[u8]) -> Result<Vec<f32>, JsError> {
        Ok(self.model.predict(pixels)?.logits().to_vec())
    }

    /// Follows pixels through all layers.
    pub fn look(&mut self, pixels: &[u8]) -> Result<(), JsError> {
        self.picture = None;
        self.picture = Some(self.model.look(pixels)?);
        Ok(())
    }

    /// The attention of a head for the pixels that were followed last.
    pub fn attention(&self, layer: usize, head: usize) -> Result<Attention, JsError> {
        let picture = self.picture.as_ref();
        let picture = picture.ok_or_else(|| JsError::new("no picture has been predicted yet"))?;
        Ok(Attention(self.model.attention(picture, layer, head)?))
    }

    /// The weights of a layer.
    pub fn weights(&self, layer: &str) -> Result<LayerWeights, JsError> {
        Ok(LayerWeights(self.model.weights(layer)?))
    }
}

/// The attention of a head.
#[wasm_bindgen]
pub struct Attention(HeadAttention);

#[wasm_bindgen]
impl Attention {
    /// The groups of each element, the first the lowest bit.
    #[wasm_bindgen(getter)]
    pub fn groups(&self) -> Vec<u8> {
        self.0.groups.clone()
    }

    /// Softmax plus shift.
    #[wasm_bindgen(getter)]
    pub fn elements(&self) -> Vec<f32> {
        self.0.elements.clone()
    }

    /// The largest element that each query is compared with.
    #[wasm_bindgen(getter)]
    pub fn largest(&self) -> Vec<f32> {
        self.0.largest.clone()
    }

    /// What each group counts for.
    #[wasm_bindgen(getter)]
    pub fn scales(&self) -> Vec<f32> {
        self.0.scales.clone()
    }

    /// Whether the groups are those of levels.
    #[wasm_bindgen(getter, js_name = ofLevels)]
    pub fn of_levels(&self) -> bool {
        self.0.of_levels
    }
}

/// The weights of a layer.
#[wasm_bindgen]
pub struct LayerWeights(Weights);

#[wasm_bindgen]
impl LayerWeights {
    /// Number of outputs.
    #[wasm_bindgen(getter)]
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Number of inputs.
    #[wasm_bindgen(getter)]
    pub fn columns(&self) -> usize {
        self.0.columns
    }

    /// Bits of a weight.
    #[wasm_bindgen(getter)]
    pub fn bits(&self) -> u8 {
        self.0.bits
    }

    /// Signs or levels, row after row.
    #[wasm_bindgen(getter)]
    pub fn values(&self) -> Vec<i8> {
        self.0.values.clone()
    }
}
