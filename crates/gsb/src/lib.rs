//! Binarized Vision Transformers on [Burn](https://burn.dev), by Group Superposition Binarization
//! (GSB, Gao et al., Neural Networks 172 (2024) 106133, arXiv 2305.07931), run as real bits.
//!
//! With few training images a Vision Transformer overfits and is heavy. Weights and activations of
//! one bit regularise it and shrink it; what they lose, mostly in the attention matrix and the
//! value, GSB wins back by superposing several scaled binary groups, by better gradients, and by
//! distillation from a float teacher.
//!
//! From a trained student to a prediction:
//!
#![cfg_attr(
    all(feature = "vit", feature = "packed", feature = "image"),
    doc = "```"
)]
#![cfg_attr(
    not(all(feature = "vit", feature = "packed", feature = "image")),
    doc = "```ignore"
)]
//! use gsb::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (student_pth, cat_jpg) = (folder.path().join("student.bpk"), folder.path().join("cat.pgm"));
//! # let student_bits = folder.path().join("student.safetensors");
//! # std::fs::write(&cat_jpg, [&b"P5 8 8 255 "[..], &[100; 64]].concat())?;
//! # let images = burn::Tensor::<4>::random([4, 1, 8, 8], burn::tensor::Distribution::Default, &Device::default());
//! # let trained = VitConfig::micro().init_stage2(&Device::default())?.calibrate(&images);
//! # gsb::vit::checkpoint::save(&trained, &student_pth)?;
//! let student = Stage2Student::load(&student_pth, &Device::default())?; // .pth, .safetensors, .bpk
//! pack(&student, PackOptions::default())?.save(&student_bits)?;
//! let model = PackedModel::open(&student_bits)?; // from here on no Burn is needed
//! for ranked in model.predict_file(&cat_jpg)?.top(5) {
//!     println!("{} {:.1} %", model.class_names()[ranked.class], 100.0 * ranked.probability);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A binary layer in a model of your own:
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use gsb::prelude::*;
//!
//! let device = Device::default().autodiff();
//! let x = Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
//! let layer = BinaryLinearConfig::new(8, 3).init(&device).calibrate(&x); // scales from data, once
//! let loss = layer.forward(x).square().mean();
//! let grads = loss.backward(); // gradients reach the weight, the shift and the scale
//! assert!(layer.input.scale().grad(&grads).is_some());
//! ```
//!
//! What Burn's `#[derive(Module)]` writes begins with `burn::`. In a crate whose only dependency is
//! `gsb`, `use gsb::burn;` beside the derived model gives it that name.
//!
//! # Features
//!
//! | feature | what |
//! | --- | --- |
//! | | [`binarize`], [`nn`], [`distill`], [`ops`]: layers, losses and operations for any model; [`cpu`]: ordinary layers |
//! | `vit` (default) | `vit`: teacher and students, checkpoints in and out, cost |
//! | `packed` (default) | `packed`: one-bit students run as bits; with `vit`, packing them |
//! | `image` (default) | `packed` takes picture files; `image`: pictures in files and in memory |
//! | `data` | `data`: data sets, transforms, batches; `download` fetches what is not there |
//! | `train` | `train`: the recipe from the teacher to the binary student |
//! | `flex` (default), `wgpu`, `vulkan`, `cuda`, `tch` | backends of Burn; `tch` is deprecated there |
//!
//! A backend is a feature and, at run time, a [`Device`](burn::tensor::Device).

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod prelude;

pub use burn;
pub use gsb_core::{Calibrate, Error, binarize, distill, nn, ops, uncalibrated};
pub use gsb_cpu as cpu;
#[cfg(feature = "data")]
pub use gsb_data as data;
#[cfg(feature = "packed")]
pub use gsb_packed as packed;
#[cfg(feature = "image")]
pub use gsb_packed::gsb_image as image;
#[cfg(feature = "train")]
pub use gsb_train as train;
#[cfg(feature = "vit")]
pub use gsb_vit as vit;
#[cfg(all(feature = "vit", feature = "packed"))]
pub use gsb_vit::{PackOptions, pack};
