//! What a student learns from besides the labels.

use burn::Tensor;
use burn::tensor::TensorData;
use gsb_vit::VisionTransformer;

use super::batch::TrainBatch;

/// Where the logits of the teacher come from.
#[derive(Debug)]
pub(crate) enum Teacher {
    /// There is none: every head learns from the labels.
    None,
    /// A teacher that looks at every batch.
    Live(Box<VisionTransformer>),
    /// The logits that a teacher had for the images as they are, `[images, classes]`.
    Cached(TensorData),
}

impl Teacher {
    /// The logits of a batch, `[batch, classes]`, without a graph behind them.
    pub fn logits(&self, batch: &TrainBatch) -> Option<Tensor<2>> {
        let device = batch.images.device();
        match self {
            Self::None => None,
            Self::Live(teacher) => {
                let home = teacher.tokens.position.device();
                let images = batch.images.clone().without_autodiff().to_device(&home);
                Some(teacher.infer(images).autodiff().to_device(&device))
            }
            Self::Cached(logits) => {
                let classes = logits.shape()[1];
                let all = logits
                    .as_slice::<f32>()
                    .expect("cached as single precision");
                let rows = batch.indices.iter();
                let chosen: Vec<f32> = rows
                    .flat_map(|&index| &all[index * classes..(index + 1) * classes])
                    .copied()
                    .collect();
                let data = TensorData::new(chosen, [batch.indices.len(), classes]);
                Some(Tensor::from_data(data, &device))
            }
        }
    }
}
