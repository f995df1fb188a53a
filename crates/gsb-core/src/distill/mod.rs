//! Losses: the base losses and the distillation from a float teacher.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use gsb_core::distill::{DistillationLossConfig, Logits, Targets};
//!
//! let device = Device::default();
//! let loss = DistillationLossConfig::new().init()?; // hard, alpha 0.5
//! let logits = Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 2.0]], &device);
//! let student = Logits::with_distillation(logits.clone(), logits.clone());
//! let labels = Targets::Labels(Tensor::from_ints([0, 1], &device));
//! let terms = loss.forward(student, Some(logits), labels)?;
//! // Both heads agree with their targets: the total is the base loss, ln(1 + e^-2).
//! assert!((terms.total.into_scalar::<f32>() - 0.126928).abs() < 1e-6);
//! # Ok::<(), gsb_core::Error>(())
//! ```

mod base;
mod distillation;
mod inside;

pub use base::{BaseLoss, Targets};
pub use distillation::{Distillation, DistillationLoss, DistillationLossConfig, Logits, LossTerms};
pub use inside::{attention_loss, hidden_similarity_loss, hidden_state_loss, similarity_loss};
