//! A packed file, open: its network beside the engine that was made of it.

use gsb_packed::{Image, PackedConfig, PackedFile, PackedModel, PackedNetwork, Prediction, Trace};

use crate::{Description, HeadAttention, Weights};

/// What can go wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file, the picture or the instruction set, as the engine says.
    Packed(gsb_packed::Error),
    /// A question that this model has no answer to.
    Unknown(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packed(error) => error.fmt(f),
            Self::Unknown(question) => f.write_str(question),
        }
    }
}

impl std::error::Error for Error {}

impl From<gsb_packed::Error> for Error {
    fn from(error: gsb_packed::Error) -> Self {
        Self::Packed(error)
    }
}

/// A packed model that can be looked into.
#[derive(Debug)]
pub struct Model {
    engine: PackedModel,
    network: PackedNetwork,
    description: Description,
}

/// A picture on its way through a model: what [`Model::look`] gives.
#[derive(Debug)]
pub struct LookedAt(Trace);

impl Model {
    /// Opens the bytes of a packed file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(bytes: &[u8]) -> Result<Self, Error> {
        Self::build(PackedFile::from_bytes(bytes)?, Some(bytes))
    }

    /// A model of random weights that comes from no file, for measurements: it classifies nothing.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn random(config: &PackedConfig, seed: u64) -> Result<Self, Error> {
        let network = PackedNetwork::random(config, seed)?;
        Self::build(PackedFile::unnamed(network), None)
    }

    fn build(packed: PackedFile, file: Option<&[u8]>) -> Result<Self, Error> {
        let network = packed.network.clone();
        let engine = PackedModel::new(packed)?;
        let description = Description::new(&engine, &network, file)?;
        Ok(Self {
            engine,
            network,
            description,
        })
    }

    /// What the file holds.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Takes other thresholds of the attention's groups from now on, for what is predicted and looked at. See
    /// [`PackedModel::set_attention_thresholds`].
    ///
    /// # Errors
    /// If one is out of range.
    pub fn set_thresholds(&mut self, thresholds: [f32; 3]) -> Result<(), Error> {
        Ok(self.engine.set_attention_thresholds(thresholds)?)
    }

    /// Classifies pixels from 0 to 255, `[height, width, channels]`.
    ///
    /// # Errors
    /// If there are more or fewer than the model takes.
    pub fn predict(&self, pixels: &[u8]) -> Result<Prediction, Error> {
        Ok(self.engine.predict(pixels)?)
    }

    /// Follows pixels through all layers, for [`attention`](Self::attention).
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn look(&self, pixels: &[u8]) -> Result<LookedAt, Error> {
        Ok(LookedAt(self.engine.trace(Image::Bytes(pixels))?))
    }

    /// The attention of a head.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such layer or head.
    pub fn attention(
        &self,
        picture: &LookedAt,
        layer: usize,
        head: usize,
    ) -> Result<HeadAttention, Error> {
        let config = &self.network.config;
        for (what, index, count) in [("layer", layer, config.depth), ("head", head, config.heads)] {
            if index >= count {
                return Err(Error::Unknown(format!(
                    "{what} {index} of a model whose {count} {what}s are counted from 0"
                )));
            }
        }
        let attention = &self.network.blocks[layer].attention;
        Ok(HeadAttention::new(
            config,
            attention,
            &picture.0.blocks[layer],
            head,
        ))
    }

    /// The weights of a layer as signs or levels.
    ///
    /// # Errors
    /// [`Error::Unknown`] if no layer of that name has weights of few bits.
    pub fn weights(&self, layer: &str) -> Result<Weights, Error> {
        Weights::of(&self.network, layer).ok_or_else(|| {
            Error::Unknown(format!(
                "the layer {layer:?} has no weights of few bits in this model"
            ))
        })
    }
}
