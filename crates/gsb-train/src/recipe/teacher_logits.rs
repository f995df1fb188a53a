//! When the teacher looks at the training images.

use serde::{Deserialize, Serialize};

/// What the teacher says of a training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeacherLogits {
    /// It looks at the image as the student sees it.
    #[default]
    Live,
    /// It looks once at every image as it is, before the first step: faster, and blind to
    /// augmentation.
    Cached,
}
