//! Binarized neural network layers for [Burn](https://burn.dev) by Group Superposition Binarization
//! (GSB, Gao et al., Neural Networks 172 (2024) 106133, arXiv 2305.07931).
//!
//! With few training images a Vision Transformer overfits and is heavy. Weights and activations of
//! one bit regularise it and shrink it; what they lose, mostly in the attention matrix and the
//! value, GSB wins back by superposing several scaled binary groups, by better gradients, and by
//! distillation from a float teacher.
//!
//! - [`binarize`]: the binarizers, each a Burn module
//! - [`nn`]: binary layers and encoder blocks, usable in any model
//! - [`distill`]: distillation from a teacher, and the base losses
//! - [`ops`]: the differentiable operations behind them; those of ordinary layers are [`gsb_cpu`]'s
//! - [`Calibrate`] and [`uncalibrated`]: scales that start from data
//!
//! # Example
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use gsb_core::nn::BinaryLinearConfig;
//!
//! let device = Device::default().autodiff();
//! let x = Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
//! let layer = BinaryLinearConfig::new(8, 3).init(&device).calibrate(&x); // scales from data, once
//! let loss = layer.forward(x).square().mean();
//! let grads = loss.backward(); // gradients reach the weight, the shift and the scale
//! assert!(layer.input.scale().grad(&grads).is_some());
//! ```
//!
//! # Backends
//!
//! A backend is a cargo feature and, at run time, a [`Device`](burn::tensor::Device): `flex`
//! (default, pure Rust on the CPU), `wgpu`, `vulkan`, `cuda`, and `tch` (LibTorch, which Burn
//! marks as deprecated).

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod binarize;
mod calibrate;
mod display;
pub mod distill;
mod error;
pub mod nn;
pub mod ops;

pub use calibrate::{Calibrate, uncalibrated};
pub use error::Error;
