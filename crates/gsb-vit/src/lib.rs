//! Vision Transformers of the three phases of GSB, put together from [`gsb_core::nn`].
//!
//! | phase | model | weights | activations |
//! | --- | --- | --- | --- |
//! | teacher | [`VisionTransformer`] | float | float |
//! | stage 1 | [`Stage1Student`] | 1 bit in the MLPs | float |
//! | stage 2 | [`Stage2Student`] | 1 bit, 8 bits at both ends | 1 bit |
//!
//! One [`VitConfig`] describes all three. Stage 2 starts from the weights of stage 1, see
//! [`Stage2Student::from_stage1`]; both stages may start from the teacher's, see
//! [`Stage1Student::from_teacher`](Stage1Student#method.from_teacher). What each of them costs, [`Cost`] counts from the configuration.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use gsb_vit::{PatchNormalization, Stage2Student, VitConfig};
//!
//! let device = Device::default();
//! let config = VitConfig::micro(); // 8x8 pixels, 10 classes
//! let images = Tensor::<4>::random([2, 1, 8, 8], Distribution::Default, &device);
//!
//! let stage1 = config.init_stage1(&device)?;
//! let (stage2, _) = Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Folded)?;
//! let stage2 = stage2.calibrate(&images);
//! assert_eq!(stage2.infer(images).dims(), [2, 10]);
//! # Ok::<(), gsb_vit::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod activations;
pub mod checkpoint;
mod classifier;
mod config;
mod cost;
mod embedding;
mod error;
mod float_block;
mod from_teacher;
mod initialization;
mod model;
#[cfg(feature = "pack")]
mod pack;
mod parameters;
mod parts;
mod phase;
mod stage1;
mod stage2;
mod superpositions;
mod teacher;
mod transfer;
mod transformer;
mod weight_decay;

pub use activations::Activations;
pub use classifier::Classifier;
pub use config::{DropoutConfig, Stage2Config, VitConfig};
pub use cost::{Amount, Cost, LayerCost};
pub use embedding::{NormalizedPatchEmbedding, TokenEmbedding};
pub use error::Error;
pub use float_block::{FloatAttention, FloatBlock};
pub use gsb_core::{Calibrate, uncalibrated};
pub use model::Model;
#[cfg(feature = "pack")]
pub use pack::{PackOptions, pack};
pub use parameters::{Parameter, parameters};
pub use parts::{EncoderBlock, Head, PatchEmbedding};
pub use phase::{ParsePhaseError, Phase};
pub use stage1::Stage1Student;
pub use stage2::Stage2Student;
pub use superpositions::BlockSuperpositions;
pub use teacher::VisionTransformer;
pub use transfer::{PatchNormalization, TransferReport};
pub use transformer::Transformer;
pub use weight_decay::{Decay, WeightDecay};
