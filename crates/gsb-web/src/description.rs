//! What a file holds: sizes, names, and each layer with its bytes and operations.

use std::collections::BTreeMap;

use gsb_packed::{Error, PackedConfig, PackedModel, PackedNetwork, Preprocessing};
use safetensors::SafeTensors;
use serde::Serialize;

use crate::weights::{matrix, weight};

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
    /// That of the file that a model was made of; without one, bytes are those of its tensors.
    ///
    /// # Errors
    /// If the file is not one of tensors.
    pub(crate) fn new(
        engine: &PackedModel,
        network: &PackedNetwork,
        file: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let config = &network.config;
        let mut layers: Vec<LayerDescription> = Vec::new();
        for tensor in config.tensors()? {
            // Some layers have tensors in two places.
            let place = layers.iter().position(|layer| layer.name == tensor.layer);
            let place = place.unwrap_or_else(|| {
                layers.push(layer(network, tensor.layer));
                layers.len() - 1
            });
            if file.is_none() {
                let entries: usize = tensor.shape.iter().product();
                layers[place].bytes += (entries * usize::from(tensor.bits)).div_ceil(8);
            }
        }
        let header_bytes = match file {
            Some(file) => count_bytes(&mut layers, file)?,
            None => 0,
        };
        let of_layers: usize = layers.iter().map(|layer| layer.bytes).sum();
        Ok(Self {
            instructions: engine.isa().name(),
            bytes: header_bytes + of_layers,
            header_bytes,
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

/// Counts the bytes that layers take in a file; gives those of its header.
fn count_bytes(layers: &mut [LayerDescription], file: &[u8]) -> Result<usize, Error> {
    for (name, tensor) in SafeTensors::deserialize(file)?.iter() {
        // Of a weight's zeros too, whose name has a part more.
        let of = |layer: &LayerDescription| {
            let part = name.strip_prefix(&layer.name);
            part.is_some_and(|part| part.starts_with('.'))
        };
        if let Some(layer) = layers.iter_mut().find(|layer| of(layer)) {
            layer.bytes += tensor.data().len();
        }
    }
    let (header, _) = SafeTensors::read_metadata(file)?;
    Ok(size_of::<u64>() + header)
}

/// A layer with its operations, its bytes still to be counted.
fn layer(network: &PackedNetwork, name: String) -> LayerDescription {
    let config = &network.config;
    let (tokens, width) = (config.tokens() as u64, config.width as u64);
    let weight = weight(network, &name);
    let shape = weight.as_ref().map(matrix);
    let entries = shape.map_or(0, |[rows, columns]| rows * columns) as u64;
    // All heads together.
    let product = tokens * tokens * width;
    let groups = (config.attention_planes() * config.value_groups) as u64;
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
        weights: shape,
        bits: weight.map(|weight| weight.bits),
        binary_macs,
        other_macs,
    }
}

#[cfg(test)]
mod tests {
    use gsb_packed::{PackedFile, ShiftStorage};

    use super::*;
    use crate::Model;

    /// The bytes of the layers and the header are those of the file; without a file, those of the tensors.
    #[test]
    fn every_byte_belongs_to_a_layer() {
        let config = PackedConfig::micro();
        let network = PackedNetwork::random(&config, 1).unwrap();
        let file = PackedFile::unnamed(network)
            .to_bytes(ShiftStorage::F32)
            .unwrap();
        let opened = Model::open(&file).unwrap().description().clone();
        assert_eq!(opened.bytes, file.len());
        assert!(opened.header_bytes > 1000);
        let random = Model::random(&config, 1).unwrap().description().clone();
        let bytes_of = |layers: &[LayerDescription]| -> Vec<usize> {
            layers.iter().map(|layer| layer.bytes).collect()
        };
        assert!(bytes_of(&opened.layers).iter().all(|&bytes| bytes > 0));
        for (opened, random) in opened.layers.iter().zip(&random.layers) {
            // One scale for all rows of a weight, where there might be one for each.
            let rows = opened.weights.map_or(0, |[rows, _]| rows);
            let more = random.bytes - opened.bytes;
            assert!(
                more == 0 || more == 4 * (rows - 1),
                "{}: {more}",
                opened.name
            );
        }
    }

    /// Operations of DeiT-S as the book's chapter on cost counts them.
    #[test]
    fn operations_are_those_of_the_accounting() {
        let config = PackedConfig {
            depth: 1,
            ..PackedConfig::deit_small(1000)
        };
        let model = Model::random(&config, 1).unwrap();
        let description = model.description();
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
