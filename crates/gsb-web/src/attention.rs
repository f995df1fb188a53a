//! The attention of a head, and the elements that its groups are taken from.

use gsb_numerics::guarded;
use gsb_packed::{Attention, BlockTrace, PackedConfig, ThresholdScope};

/// The attention of a head for a picture.
///
/// An element of the shifted attention matrix belongs to the first group if it is above half of the first
/// group's scale, and to the second and third if it is above 0.7 and 0.9 of the largest element of its
/// scope, or above [other thresholds](crate::Model::set_thresholds). An element of level 2 of a matrix that has levels in
/// place of groups belongs to the first two.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadAttention {
    /// The groups that each element belongs to, the first the lowest bit: `[queries, keys]`.
    pub groups: Vec<u8>,
    /// Softmax plus shift, `[queries, keys]`.
    pub elements: Vec<f32>,
    /// The largest element that each query is compared with, `[queries]`.
    pub largest: Vec<f32>,
    /// What each group counts for.
    pub scales: Vec<f32>,
    /// Whether the groups are those of levels, which no thresholds move.
    pub of_levels: bool,
}

impl HeadAttention {
    /// That of a block's decisions.
    pub(crate) fn new(
        config: &PackedConfig,
        attention: &Attention,
        block: &BlockTrace,
        head: usize,
    ) -> Self {
        let tokens = config.tokens();
        let of_head = |head: usize| elements(config, attention, block, head);
        let elements = of_head(head);
        let largest = |elements: &[f32]| elements.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let largest = match config.scope {
            ThresholdScope::Row => elements.chunks(tokens).map(largest).collect(),
            ThresholdScope::Sample | ThresholdScope::Batch => {
                let of_heads = (0..config.heads).map(|head| largest(&of_head(head)));
                vec![of_heads.fold(f32::NEG_INFINITY, f32::max); tokens]
            }
        };
        let size = tokens * tokens;
        Self {
            groups: block.attention[head * size..][..size].to_vec(),
            elements,
            largest,
            scales: attention.plane_scales(config),
            of_levels: config.attention_bits > 1,
        }
    }

    /// The groups by definition, at thresholds of choice: that of the first group in parts of its scale,
    /// those of the others in parts of the largest element.
    pub fn groups_at(&self, thresholds: [f32; 3]) -> Vec<u8> {
        if self.of_levels {
            let level = |element: &f32| (element / self.scales[0]).clamp(0.0, 3.0);
            let levels = self.elements.iter().map(level);
            return levels
                .map(|level| (1 << level.round_ties_even() as u8) - 1)
                .collect();
        }
        let keys = self.largest.len();
        let [first, second, third] = thresholds;
        let group = |(index, &element): (usize, &f32)| {
            let largest = self.largest[index / keys];
            let members = [
                element / self.scales[0] > first,
                element > largest * second,
                element > largest * third,
            ];
            let members = members.iter().zip(0..self.scales.len());
            members
                .map(|(&is_member, group)| u8::from(is_member) << group)
                .sum()
        };
        self.elements.iter().enumerate().map(group).collect()
    }
}

/// Softmax and shift of a head from the signs of its queries and keys, in the engine's order of operations,
/// so that the groups are the same to the last element.
fn elements(
    config: &PackedConfig,
    attention: &Attention,
    block: &BlockTrace,
    head: usize,
) -> Vec<f32> {
    let (tokens, width) = (config.tokens(), config.head_width());
    let scale = guarded(attention.query_scale)
        * guarded(attention.key_scale)
        * (width as f32).sqrt().recip();
    let step = 2.0 * f64::from(scale);
    let power = |count: f64| (-step * count).exp() as f32;
    // Of twice the number of different signs; odd where a sign is 0.
    let exponential = |halves: usize| {
        let steps = halves / 2;
        let value = power((steps % 16) as f64) * power((steps / 16 * 16) as f64);
        match halves % 2 {
            0 => value,
            _ => value * power(0.5),
        }
    };
    let exponentials: Vec<f32> = (0..=2 * width).map(exponential).collect();
    let of_token = |signs: &'_ [i8], token: usize| -> Vec<i32> {
        let signs = &signs[(token * config.heads + head) * width..][..width];
        signs.iter().copied().map(i32::from).collect()
    };
    let keys: Vec<Vec<i32>> = (0..tokens).map(|key| of_token(&block.key, key)).collect();
    let shifts = &attention.attention_shift[head * tokens * tokens..][..tokens * tokens];
    let mut elements = Vec::with_capacity(tokens * tokens);
    for (query, shifts) in shifts.chunks(tokens).enumerate() {
        let query = of_token(&block.query, query);
        let halves = |key: &Vec<i32>| {
            let product: i32 = query.iter().zip(key).map(|(q, k)| q * k).sum();
            (width as i32 - product) as usize
        };
        let mut halves: Vec<usize> = keys.iter().map(halves).collect();
        if step * width as f64 > 80.0 {
            // Relative to the largest, as the engine does where the others would be lost.
            let fewest = halves.iter().copied().min().unwrap_or(0);
            halves.iter_mut().for_each(|halves| *halves -= fewest);
        }
        let values: Vec<f32> = halves.iter().map(|&halves| exponentials[halves]).collect();
        let mut sums = [0.0; 2];
        for (key, value) in values.iter().enumerate() {
            sums[key % 2] += value;
        }
        let reciprocal = 1.0 / (sums[0] + sums[1]);
        elements.extend(
            values
                .iter()
                .zip(shifts)
                .map(|(value, shift)| value * reciprocal + shift),
        );
    }
    elements
}

#[cfg(test)]
mod tests {
    use gsb_packed::{
        PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, ShiftStorage, ThresholdScope,
    };

    use crate::Model;

    const THRESHOLDS: [[f32; 3]; 3] = [
        PackedModel::TRAINED_THRESHOLDS,
        [0.9, 0.4, 0.6],
        [0.2, 0.8, 0.3],
    ];

    /// The engine's groups are the definition's, of every layer and head, for each scope and number of groups,
    /// as trained and elsewhere: what a layer decides goes into the next.
    #[test]
    fn groups_follow_from_the_elements() {
        let mut members = [0; 3];
        for (seed, scope, groups, bits) in [
            (1, ThresholdScope::Row, 3, 1),
            (2, ThresholdScope::Sample, 3, 1),
            (3, ThresholdScope::Sample, 1, 1),
            (4, ThresholdScope::Row, 2, 1),
            (5, ThresholdScope::Sample, 1, 2),
        ] {
            let config = PackedConfig {
                scope,
                attention_groups: groups,
                attention_bits: bits,
                ..PackedConfig::micro()
            };
            let mut model = Model::random(&config, seed).unwrap();
            let pixels = Random::new(seed).image(&config);
            let heads = 0..config.depth * config.heads;
            // Levels have none to be moved.
            let of_thresholds = THRESHOLDS[..if bits > 1 { 1 } else { THRESHOLDS.len() }]
                .iter()
                .copied()
                .flat_map(|at| heads.clone().map(move |head| (at, head)));
            for (thresholds, head) in of_thresholds {
                let (layer, head) = (head / config.heads, head % config.heads);
                model.set_thresholds(thresholds).unwrap();
                let picture = model.look(&pixels).unwrap();
                let attention = model.attention(&picture, layer, head).unwrap();
                assert_eq!(attention.groups, attention.groups_at(thresholds));
                let group = |group: u8| {
                    attention
                        .groups
                        .iter()
                        .filter(|&groups| groups >> group & 1 == 1)
                        .count()
                };
                (0..3).for_each(|index| members[index] += group(index as u8));
            }
        }
        assert!(members.iter().all(|&members| members > 0), "{members:?}");
    }

    /// The scales make the engine's attention matrix of the groups.
    #[test]
    fn scales_are_those_that_multiply_the_value() {
        for (attention_groups, attention_bits) in [(3, 1), (1, 2)] {
            check_scales(&PackedConfig {
                attention_groups,
                attention_bits,
                ..PackedConfig::micro()
            });
        }
    }

    fn check_scales(config: &PackedConfig) {
        let packed = PackedFile::unnamed(PackedNetwork::random(config, 1).unwrap());
        let model = Model::open(&packed.to_bytes(ShiftStorage::F32).unwrap()).unwrap();
        let pixels = Random::new(1).image(config);
        let attention = model
            .attention(&model.look(&pixels).unwrap(), 3, 2)
            .unwrap();
        let value = |&groups: &u8| {
            let scales = (0..).zip(&attention.scales);
            let members = scales.filter(|(group, _)| groups >> group & 1 == 1);
            members.fold(0.0, |sum, (_, scale)| sum + scale)
        };
        let maps = PackedModel::new(packed)
            .unwrap()
            .attention_maps((&pixels).into())
            .unwrap();
        let size = config.tokens() * config.tokens();
        let found: Vec<f32> = attention.groups.iter().map(value).collect();
        assert_eq!(found, maps[3][2 * size..3 * size]);
    }

    #[test]
    fn a_layer_or_head_that_is_not_there_is_named() {
        let config = PackedConfig::micro();
        let model = Model::random(&config, 1).unwrap();
        let picture = model.look(&Random::new(1).image(&config)).unwrap();
        let error = model.attention(&picture, 4, 0).unwrap_err().to_string();
        assert_eq!(
            error,
            "layer 4 of a model whose 4 layers are counted from 0"
        );
        let error = model.attention(&picture, 0, 9).unwrap_err().to_string();
        assert!(error.starts_with("head 9"), "{error}");
    }
}
