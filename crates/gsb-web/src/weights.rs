//! The weights of a layer, to be looked at.

use gsb_packed::{BinaryLinear, Network};

/// Weights of few bits: a matrix of signs or levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    /// Number of outputs.
    pub rows: usize,
    /// Number of inputs.
    pub columns: usize,
    /// Bits of a weight.
    pub bits: u8,
    /// Signs (-1, 0 or 1) or levels in two's complement, `[rows, columns]`.
    pub values: Vec<i8>,
}

impl Weights {
    /// Those of the layer of a name, if there are any.
    pub(crate) fn of(network: &Network, layer: &str) -> Option<Self> {
        let config = &network.config;
        let levels = |rows: usize, bits: u8, values: &[i8]| Self {
            rows,
            columns: values.len() / rows,
            bits,
            values: values.to_vec(),
        };
        match layer {
            "patch_embedding" => {
                let weight = &network.patch_embedding.weight;
                return Some(levels(config.width, config.patch_bits, weight));
            }
            "class_head" => {
                let weight = &network.class_head.weight;
                return Some(levels(config.classes, config.head_bits, weight));
            }
            "distillation_head" => {
                let head = network.distillation_head.as_ref()?;
                return Some(levels(config.classes, config.head_bits, &head.weight));
            }
            _ => {}
        }
        let (block, part) = layer.strip_prefix("blocks.")?.split_once('.')?;
        let block = network.blocks.get(block.parse::<usize>().ok()?)?;
        let linear = match part {
            "attention.qkv" => &block.attention.qkv,
            "attention.output" => &block.attention.output,
            "mlp.fc1" => &block.fc1,
            "mlp.fc2" => &block.fc2,
            _ => return None,
        };
        Some(Self::signs(linear))
    }

    fn signs(linear: &BinaryLinear) -> Self {
        let weight = &linear.weight;
        let (rows, columns) = (weight.rows(), weight.columns());
        let row = |row| (0..columns).map(move |column| weight.sign(row, column));
        Self {
            rows,
            columns,
            bits: 1,
            values: (0..rows).flat_map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gsb_packed::PackedConfig;

    use crate::Model;

    /// Every layer that the description calls binary or of few bits can be looked at, and no other.
    #[test]
    fn layers_with_weights_can_be_looked_at() {
        let config = PackedConfig::micro();
        let model = Model::random(&config, 1).unwrap();
        let mut bits = 0;
        for layer in &model.description().layers {
            match (layer.weights, model.weights(&layer.name)) {
                (Some([rows, columns]), Ok(weights)) => {
                    assert_eq!(
                        [weights.rows, weights.columns],
                        [rows, columns],
                        "{}",
                        layer.name
                    );
                    assert_eq!(weights.values.len(), rows * columns);
                    bits += rows * columns * usize::from(weights.bits == 1);
                }
                (None, Err(error)) => assert!(error.to_string().contains(&layer.name)),
                (expected, found) => panic!("{}: {expected:?}, {found:?}", layer.name),
            }
        }
        // As `gsb pack` says of the digits student.
        assert_eq!(bits, 196_608);
    }
}
