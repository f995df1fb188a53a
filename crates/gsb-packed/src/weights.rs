//! The weights of a network by name.

use crate::{PackedNetwork, SignMatrix};

/// A weight of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight<'a> {
    /// Its name in a packed file.
    pub name: String,
    /// `[outputs, inputs]`, or `[outputs, channels, patch_size, patch_size]` of the patch embedding.
    pub shape: Vec<usize>,
    /// Bits of an entry.
    pub bits: u8,
    /// What it consists of.
    pub entries: Entries<'a>,
}

/// The entries of a weight, in the order of its shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entries<'a> {
    /// -1 and 1, rarely 0.
    Signs(&'a SignMatrix),
    /// Levels of a few bits.
    Levels(&'a [i8]),
}

impl PackedNetwork {
    /// All weights, in the order of the forward pass.
    pub fn weights(&self) -> Vec<Weight<'_>> {
        let config = &self.config;
        let patch = config.patch_size;
        let mut weights = vec![Weight {
            name: "patch_embedding.weight".into(),
            shape: vec![config.width, config.channels, patch, patch],
            bits: config.patch_bits,
            entries: Entries::Levels(&self.patch_embedding.weight),
        }];
        for (index, block) in self.blocks.iter().enumerate() {
            for (part, layer) in [
                ("attention.qkv", &block.attention.qkv),
                ("attention.output", &block.attention.output),
                ("mlp.fc1", &block.fc1),
                ("mlp.fc2", &block.fc2),
            ] {
                weights.push(Weight {
                    name: format!("blocks.{index}.{part}.weight"),
                    shape: vec![layer.weight.rows(), layer.weight.columns()],
                    bits: 1,
                    entries: Entries::Signs(&layer.weight),
                });
            }
        }
        let heads = [
            ("class_head", Some(&self.class_head)),
            ("distillation_head", self.distillation_head.as_ref()),
        ];
        for (name, head) in heads {
            if let Some(head) = head {
                weights.push(Weight {
                    name: format!("{name}.weight"),
                    shape: vec![config.classes, config.width],
                    bits: config.head_bits,
                    entries: Entries::Levels(&head.weight),
                });
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackedConfig;

    /// What a file holds by the name of a weight is here, with its shape, and nothing else.
    #[test]
    fn names_and_shapes_are_those_of_the_file() {
        for distillation_token in [false, true] {
            let config = PackedConfig {
                distillation_token,
                ..PackedConfig::micro()
            };
            let network = PackedNetwork::random(&config, 1).unwrap();
            let mut found: Vec<(String, Vec<usize>)> = network
                .weights()
                .into_iter()
                .map(|weight| (weight.name, weight.shape))
                .collect();
            let tensors = config.tensors().unwrap();
            let tensors = tensors.into_iter().filter(|tensor| tensor.part == "weight");
            let mut expected: Vec<_> = tensors
                .map(|tensor| (tensor.layer + ".weight", tensor.shape))
                .collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected);
        }
    }
}
