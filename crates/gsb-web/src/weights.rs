//! The weights of a layer, to be looked at.

use gsb_packed::{Entries, PackedNetwork, Weight};

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
    pub(crate) fn of(network: &PackedNetwork, layer: &str) -> Option<Self> {
        let weight = weight(network, layer)?;
        let [rows, columns] = matrix(&weight);
        let values = match weight.entries {
            Entries::Levels(levels) => levels.to_vec(),
            Entries::Signs(signs) => {
                let row = |row| (0..columns).map(move |column| signs.sign(row, column));
                (0..rows).flat_map(row).collect()
            }
        };
        Some(Self {
            rows,
            columns,
            bits: weight.bits,
            values,
        })
    }
}

/// The weight of the layer of a name, if it has one.
pub(crate) fn weight<'a>(network: &'a PackedNetwork, layer: &str) -> Option<Weight<'a>> {
    let mut weights = network.weights().into_iter();
    weights.find(|weight| weight.name.strip_suffix(".weight") == Some(layer))
}

/// Outputs and inputs.
pub(crate) fn matrix(weight: &Weight<'_>) -> [usize; 2] {
    [weight.shape[0], weight.shape[1..].iter().product()]
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
