//! What a student learns from besides the labels.

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb_core::distill::Logits;
use gsb_vit::{Activations, VisionTransformer};

use super::batch::TrainBatch;

/// Where the logits of the teacher come from.
#[derive(Debug)]
pub(crate) enum Teacher {
    /// There is none: every head learns from the labels.
    None,
    /// A teacher that looks at every batch.
    Live(LiveTeacher),
    /// The logits that a teacher had for the images as they are, `[images, classes]`.
    Cached(TensorData),
}

/// A teacher that looks at every batch, without a graph behind what it says.
#[derive(Debug)]
pub(crate) struct LiveTeacher(Box<VisionTransformer>);

impl LiveTeacher {
    pub fn new(model: VisionTransformer) -> Self {
        Self(Box::new(model))
    }

    /// The width of its tokens.
    pub fn width(&self) -> usize {
        self.0.config().width
    }

    fn logits(&self, batch: &TrainBatch) -> Tensor<2> {
        let logits = self.0.infer(self.images(batch));
        logits.autodiff().to_device(&batch.images.device())
    }

    /// Everything between the images and the logits.
    pub fn activations(&self, batch: &TrainBatch) -> Activations {
        let device = batch.images.device();
        let Activations {
            embedding,
            blocks,
            attention,
            features,
            logits,
        } = self.0.activations(self.images(batch));
        Activations {
            embedding: back(embedding, &device),
            blocks: blocks.into_iter().map(|x| back(x, &device)).collect(),
            attention: attention.into_iter().map(|x| back(x, &device)).collect(),
            features: back(features, &device),
            logits: Logits {
                class: back(logits.class, &device),
                distillation: logits.distillation.map(|x| back(x, &device)),
            },
        }
    }

    /// The images, where the teacher is.
    fn images(&self, batch: &TrainBatch) -> Tensor<4> {
        let home = self.0.tokens.position.device();
        batch.images.clone().without_autodiff().to_device(&home)
    }
}

fn back<const D: usize>(x: Tensor<D>, device: &Device) -> Tensor<D> {
    x.autodiff().to_device(device)
}

impl Teacher {
    /// The teacher, if it looks at every batch.
    pub fn live(&self) -> Option<&LiveTeacher> {
        match self {
            Self::Live(teacher) => Some(teacher),
            Self::None | Self::Cached(_) => None,
        }
    }

    /// The logits of a batch, `[batch, classes]`, without a graph behind them.
    pub fn logits(&self, batch: &TrainBatch) -> Option<Tensor<2>> {
        let device = batch.images.device();
        match self {
            Self::None => None,
            Self::Live(teacher) => Some(teacher.logits(batch)),
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
