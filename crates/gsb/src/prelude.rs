//! What most programs need, to be imported by `use gsb::prelude::*`.
//!
//! Learned scales start from data: calibrate a layer or a student before it is trained, and
//! [`uncalibrated`] names what that has not reached.
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use gsb::prelude::*;
//!
//! let device = Device::default();
//! let layer = BinaryLinearConfig::new(8, 3).init(&device);
//! assert_eq!(uncalibrated(&layer), ["input.Signed.scale"]);
//! let x = Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
//! let layer = layer.calibrate(&x);
//! assert!(uncalibrated(&layer).is_empty());
//! ```

pub use burn::tensor::Device;
pub use gsb_core::nn::{BinaryLinear, BinaryLinearConfig};
pub use gsb_core::{Calibrate, uncalibrated};
#[cfg(feature = "data")]
pub use gsb_data::{DataSet, EvalTransform};
#[cfg(feature = "packed")]
pub use gsb_packed::{PackedConfig, PackedFile, PackedModel, Prediction};
#[cfg(feature = "train")]
pub use gsb_train::{Recipe, Run, RunConfig};
#[cfg(feature = "vit")]
pub use gsb_vit::{Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};
#[cfg(all(feature = "vit", feature = "packed"))]
pub use gsb_vit::{PackOptions, pack};
