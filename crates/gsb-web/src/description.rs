//! What a file holds: sizes, names, and each layer with its bytes and operations.

use std::collections::BTreeMap;

use gsb_packed::{Error, Network, PackedConfig, PackedModel, Preprocessing};
use safetensors::SafeTensors;
use serde::Serialize;

use crate::Weights;

/// What a file holds.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// The instruction set that the model runs on: `simd128` or `scalar` in a browser.
    pub instructions: &'static str,
    /// Bytes of the file.
    pub bytes: usize,
    /// Bytes of its header, with the metadata.
    pub header_bytes: usize,
    /// The sizes of the network.
    pub config: PackedConfig,
    /// Number of tokens.
    pub tokens: usize,
    /// Number of learned tokens before those of the patches: class token, distillation token.
    pub learned_tokens: usize,
    /// A name for each class.
    pub class_names: Vec<String>,
    /// What makes the network's input of a picture.
    pub preprocessing: Preprocessing,
    /// Where the network comes from.
    pub provenance: BTreeMap<String, String>,
    /// The layers, in the order of the forward pass.
    pub layers: Vec<LayerDescription>,
}

/// A layer of a file.
#[derive(Debug, Clone, Serialize)]
pub struct LayerDescription {
    /// Its name in the file, such as `blocks.0.attention.qkv`.
    pub name: String,
    /// Bytes of its tensors in the file.
    pub bytes: usize,
    /// Outputs and inputs of its weight, if that has few bits.
    pub weights: Option<[usize; 2]>,
    /// Bits of a weight.
    pub bits: Option<u8>,
    /// Multiplications with addition of one-bit factors, for one picture.
    pub binary_macs: u64,
    /// Multiplications with addition of factors of more bits, for one picture.
    pub other_macs: u64,
}

impl Description {
    /// That of the bytes that a model was made of.
    ///
    /// # Errors
    /// If the bytes are not a file of tensors.
    pub(crate) fn new(
        engine: &PackedModel,
        network: &Network,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let config = &network.config;
        let (header, _) = SafeTensors::read_metadata(bytes)?;
        let tensors = SafeTensors::deserialize(bytes)?;
        let mut in_file: BTreeMap<&str, usize> = BTreeMap::new();
        let names: Vec<(&str, usize)> = tensors
            .iter()
            .map(|(name, view)| (name, view.data().len()))
            .collect();
        let mut layers: Vec<LayerDescription> = Vec::new();
        for tensor in config.tensors()? {
            // Some layers have tensors in two places.
            if layers.iter().all(|layer| layer.name != tensor.layer) {
                layers.push(layer(network, tensor.layer));
            }
        }
        for (name, bytes) in names {
            // Of a weight's zeros too, whose name has a part more.
            let layer = layers.iter().map(|layer| &layer.name).filter(|layer| {
                name.strip_prefix(layer.as_str())
                    .is_some_and(|part| part.starts_with('.'))
            });
            if let Some(layer) = layer.max_by_key(|layer| layer.len()) {
                *in_file.entry(layer).or_default() += bytes;
            }
        }
        let sizes: Vec<usize> = layers
            .iter()
            .map(|layer| in_file.get(&*layer.name).copied().unwrap_or(0))
            .collect();
        for (layer, bytes) in layers.iter_mut().zip(sizes) {
            layer.bytes = bytes;
        }
        Ok(Self {
            instructions: engine.isa().name(),
            bytes: bytes.len(),
            header_bytes: header + 8,
            config: config.clone(),
            tokens: config.tokens(),
            learned_tokens: config.learned_tokens(),
            class_names: engine.class_names().to_vec(),
            preprocessing: engine.preprocessing().clone(),
            provenance: engine.provenance().clone(),
            layers,
        })
    }
}

/// A layer with its operations, its bytes still to be counted.
fn layer(network: &Network, name: String) -> LayerDescription {
    let config = &network.config;
    let (tokens, width) = (config.tokens() as u64, config.width as u64);
    let weights = Weights::of(network, &name);
    let entries = weights.as_ref().map_or(0, |weights| weights.values.len()) as u64;
    // All heads together.
    let product = tokens * tokens * width;
    let groups = (config.attention_groups * config.value_groups) as u64;
    let (binary_macs, other_macs) = match (name.as_str(), name.rsplit('.').next()) {
        ("patch_embedding", _) => (0, config.patches() as u64 * entries),
        ("class_head" | "distillation_head", _) if config.head_bits == 1 => (entries, 0),
        ("class_head" | "distillation_head", _) => (0, entries),
        (_, Some("scores")) => (product, 0),
        (_, Some("attended")) => (groups * product, 0),
        _ => (tokens * entries, 0),
    };
    LayerDescription {
        name,
        bytes: 0,
        weights: weights
            .as_ref()
            .map(|weights| [weights.rows, weights.columns]),
        bits: weights.map(|weights| weights.bits),
        binary_macs,
        other_macs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    fn of(config: &PackedConfig) -> Description {
        let model = Model::open(&Model::random(config, 1).unwrap()).unwrap();
        model.description().clone()
    }

    /// The bytes of the layers and the header are those of the file.
    #[test]
    fn every_byte_belongs_to_a_layer() {
        let description = of(&PackedConfig::micro());
        let layers: usize = description.layers.iter().map(|layer| layer.bytes).sum();
        assert_eq!(layers + description.header_bytes, description.bytes);
        assert!(description.layers.iter().all(|layer| layer.bytes > 0));
    }

    /// Operations of DeiT-S as the book's chapter on cost counts them.
    #[test]
    fn operations_are_those_of_the_accounting() {
        let config = PackedConfig {
            depth: 1,
            ..PackedConfig::deit_small(1000)
        };
        let description = of(&config);
        let macs = |name: &str| {
            let layer = description
                .layers
                .iter()
                .find(|layer| layer.name == name)
                .unwrap();
            (layer.binary_macs, layer.other_macs)
        };
        assert_eq!(macs("patch_embedding"), (0, 57_802_752));
        assert_eq!(macs("blocks.0.attention.qkv"), (1_051_066_368 / 12, 0));
        assert_eq!(macs("blocks.0.attention.scores"), (180_652_032 / 12, 0));
        assert_eq!(macs("blocks.0.attention.attended"), (1_625_868_288 / 12, 0));
        assert_eq!(macs("blocks.0.mlp.fc2"), (1_401_421_824 / 12, 0));
        assert_eq!(macs("class_head"), (0, 384_000));
        assert_eq!(macs("tokens"), (0, 0));
    }
}
