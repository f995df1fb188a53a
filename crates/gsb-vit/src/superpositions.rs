//! What the superpositions of a student are like in the course of a training.

use burn::Tensor;
use gsb_core::nn::{GroupShares, numbers};
use serde::{Deserialize, Serialize};

use crate::Stage2Student;

/// The superpositions of a block: what their groups add, and how full they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BlockSuperpositions {
    /// Scales of the groups of the attention matrix.
    #[serde(deserialize_with = "numbers")]
    pub attention_scales: Vec<f32>,
    /// Scales of the groups of the value.
    #[serde(deserialize_with = "numbers")]
    pub value_scales: Vec<f32>,
    /// The share of the elements in each group.
    pub shares: GroupShares,
}

impl Stage2Student {
    /// The superpositions of each block, their groups filled by some images. Waits for the device.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn superpositions(&self, images: Tensor<4>) -> Vec<BlockSuperpositions> {
        let floats = |scales: Tensor<1>| scales.into_data().iter::<f32>().collect();
        let mut x = self.embed(images);
        let mut found = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            found.push(BlockSuperpositions {
                attention_scales: floats(block.attention.attention.scales.val()),
                value_scales: floats(block.attention.value.scales.val()),
                shares: block.group_shares(x.clone()),
            });
            x = block.forward(x);
        }
        found
    }
}
