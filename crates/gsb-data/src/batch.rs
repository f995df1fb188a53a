//! A batch of transformed pictures.

/// What a model is trained on in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The values, of [`shape`](Self::shape).
    pub images: Vec<f32>,
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// The class of each picture, shape `[batch]`.
    pub labels: Vec<usize>,
    /// Soft targets, shape `[batch, classes]`; there with [`Mixup`](crate::Mixup).
    pub targets: Option<Vec<f32>>,
    /// Where the pictures are in the data set, shape `[batch]`.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
