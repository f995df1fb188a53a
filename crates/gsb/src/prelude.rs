//! What most programs need, to be imported by `use gsb::prelude::*`.

pub use burn::tensor::Device;
pub use gsb_core::nn::{BinaryLinear, BinaryLinearConfig};
#[cfg(feature = "data")]
pub use gsb_data::{DataSet, EvalTransform};
#[cfg(feature = "packed")]
pub use gsb_packed::{Image, PackedConfig, PackedFile, PackedModel, Prediction};
#[cfg(feature = "train")]
pub use gsb_train::{Recipe, Run, RunConfig};
#[cfg(feature = "vit")]
pub use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
#[cfg(all(feature = "vit", feature = "packed"))]
pub use gsb_vit::{PackOptions, pack};
