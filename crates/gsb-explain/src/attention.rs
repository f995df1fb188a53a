//! What the tokens that are classified look at.

use gsb_image::Image;
use gsb_packed::{Error, PackedConfig, PackedModel};

/// The attention of an image: what the class token, and the distillation token where there is one, look at
/// in each head of each layer.
///
/// The logits are the mean of the heads of these tokens, so their rows of an attention matrix are averaged
/// too. A map has an entry for each patch, `[grid, grid]`; what the tokens give to themselves and to each
/// other is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMaps {
    /// The matrix of each layer as it multiplies the value, `[heads, tokens, tokens]`.
    matrices: Vec<Vec<f32>>,
    heads: usize,
    tokens: usize,
    learned: usize,
}

impl AttentionMaps {
    /// The attention of an image of the model's size.
    ///
    /// # Errors
    /// [`Error::Picture`] if it has another size or number of channels.
    pub fn of(model: &PackedModel, image: &Image) -> Result<Self, Error> {
        let config = model.config();
        let found = [image.channels, image.height, image.width];
        let expected = [config.channels, config.image_size, config.image_size];
        if found != expected {
            let problem = format!("expected one of shape {expected:?}, got {found:?}");
            let option = "image";
            return Err(gsb_image::Error::Option { option, problem }.into());
        }
        let matrices = model.attention_maps(gsb_packed::Image::Bytes(&image.pixels))?;
        Ok(Self::new(config, matrices))
    }

    fn new(config: &PackedConfig, matrices: Vec<Vec<f32>>) -> Self {
        Self {
            matrices,
            heads: config.heads,
            tokens: config.tokens(),
            learned: config.learned_tokens(),
        }
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.matrices.len()
    }

    /// Heads of a layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Rows and columns of a map: patches along a side of the image.
    pub fn grid(&self) -> usize {
        (self.tokens - self.learned).isqrt()
    }

    /// The map of a head, `[grid, grid]`; none if there is no such layer or head.
    pub fn head(&self, layer: usize, head: usize) -> Option<Vec<f32>> {
        let matrices = self.matrices.get(layer)?;
        let matrix = matrices.chunks(self.tokens * self.tokens).nth(head)?;
        Some(self.of_patches(&self.propagated(&self.classified(), matrix)))
    }

    /// The mean of the maps of a layer's heads, `[grid, grid]`; none if there is no such layer.
    pub fn layer(&self, layer: usize) -> Option<Vec<f32>> {
        let matrix = self.mean(self.matrices.get(layer)?);
        Some(self.of_patches(&self.propagated(&self.classified(), &matrix)))
    }

    /// Attention rollout (arXiv 2005.00928), `[grid, grid]`: the rows of the classified tokens in the product
    /// of `(A + I) / 2` over the layers, `A` being the mean of the heads with rows that sum to 1. A token
    /// that looks at nothing, which binary attention allows, stays where it is.
    pub fn rollout(&self) -> Vec<f32> {
        let mut row = self.classified();
        // From the last layer to the first a vector is enough.
        for matrices in self.matrices.iter().rev() {
            let mut matrix = self.mean(matrices);
            for (token, of_token) in matrix.chunks_mut(self.tokens).enumerate() {
                let sum: f32 = of_token.iter().sum();
                if sum > 0.0 {
                    of_token.iter_mut().for_each(|entry| *entry /= 2.0 * sum);
                    of_token[token] += 0.5;
                } else {
                    of_token.fill(0.0);
                    of_token[token] = 1.0;
                }
            }
            row = self.propagated(&row, &matrix);
        }
        self.of_patches(&row)
    }

    /// Equal shares of the tokens that are classified, `[tokens]`.
    fn classified(&self) -> Vec<f32> {
        let share = (self.learned as f32).recip();
        (0..self.tokens)
            .map(|token| if token < self.learned { share } else { 0.0 })
            .collect()
    }

    /// The mean of a layer's heads, `[tokens, tokens]`.
    fn mean(&self, matrices: &[f32]) -> Vec<f32> {
        let mut mean = vec![0.0; self.tokens * self.tokens];
        for matrix in matrices.chunks(mean.len()) {
            for (sum, entry) in mean.iter_mut().zip(matrix) {
                *sum += entry / self.heads as f32;
            }
        }
        mean
    }

    /// A row times a matrix.
    fn propagated(&self, row: &[f32], matrix: &[f32]) -> Vec<f32> {
        let mut product = vec![0.0; self.tokens];
        for (&share, entries) in row.iter().zip(matrix.chunks(self.tokens)) {
            if share != 0.0 {
                for (sum, entry) in product.iter_mut().zip(entries) {
                    *sum += share * entry;
                }
            }
        }
        product
    }

    fn of_patches(&self, row: &[f32]) -> Vec<f32> {
        row[self.learned..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_packed::{PackedFile, PackedNetwork, Random};

    /// A class token and four patches, one head.
    fn maps(matrices: Vec<Vec<f32>>) -> AttentionMaps {
        let config = PackedConfig {
            image_size: 2,
            patch_size: 1,
            heads: 1,
            distillation_token: false,
            ..PackedConfig::micro()
        };
        AttentionMaps::new(&config, matrices)
    }

    /// What each of five tokens looks at.
    fn looking_at(keys: [Option<usize>; 5]) -> Vec<f32> {
        let row = |key: Option<usize>| (0..5).map(move |k| if key == Some(k) { 3.0 } else { 0.0 });
        keys.into_iter().flat_map(row).collect()
    }

    #[test]
    fn rollout_follows_the_way_through_the_layers() {
        let same = looking_at([Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let first = looking_at([Some(0), Some(4), Some(2), Some(3), Some(4)]);
        let last = looking_at([Some(1), Some(1), Some(2), Some(3), Some(4)]);
        // Half of the class token comes from patch 0, of which half came from patch 3.
        let rollout = maps(vec![first.clone(), last.clone()]).rollout();
        assert_eq!(rollout, [0.25, 0.0, 0.0, 0.25]);
        assert_eq!(
            maps(vec![last, same.clone()]).rollout(),
            [0.5, 0.0, 0.0, 0.0]
        );
        assert_eq!(maps(vec![same]).rollout(), [0.0; 4]);
        assert_eq!(maps(vec![looking_at([None; 5])]).rollout(), [0.0; 4]);
    }

    #[test]
    fn maps_are_those_of_the_tokens_that_are_classified() {
        let model = PackedNetwork::random(&PackedConfig::micro(), 3).unwrap();
        let model = PackedModel::new(PackedFile::unnamed(model)).unwrap();
        let pixels = Random::new(4).image(model.config());
        let image = Image::new(8, 8, 1, pixels).unwrap();
        let maps = AttentionMaps::of(&model, &image).unwrap();
        assert_eq!((maps.depth(), maps.heads(), maps.grid()), (4, 4, 4));
        let matrices = model
            .attention_maps(gsb_packed::Image::Bytes(&image.pixels))
            .unwrap();
        let (layer, head) = (2, 3);
        let entry = |query: usize, key: usize| matrices[layer][(head * 18 + query) * 18 + key];
        let expected: Vec<f32> = (2..18)
            .map(|key| 0.5 * entry(0, key) + 0.5 * entry(1, key))
            .collect();
        assert_eq!(maps.head(layer, head), Some(expected));
        assert!(maps.head(4, 0).is_none() && maps.head(0, 4).is_none());
        let mean = maps.layer(0).unwrap();
        for (patch, mean) in mean.iter().enumerate() {
            let sum: f32 = (0..4).map(|head| maps.head(0, head).unwrap()[patch]).sum();
            // Four summands, each rounded a few times.
            assert!((mean - sum / 4.0).abs() <= 8.0 * f32::EPSILON * mean.abs());
        }
        // Another number of values, and the same in other rows.
        for wrong in [(9, 8), (16, 4)].map(|(width, height)| Image::filled(width, height, &[0])) {
            let refusal = AttentionMaps::of(&model, &wrong).unwrap_err();
            let found = [1, wrong.height, wrong.width];
            let expected = format!("image: expected one of shape [1, 8, 8], got {found:?}");
            assert_eq!(refusal.to_string(), expected);
        }
    }
}
