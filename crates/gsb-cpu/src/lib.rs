//! Ordinary float layers for [Burn](https://burn.dev) that train fast on the CPU.
//!
//! Burn has all of these operations, but records some as long chains of tensor operations whose
//! gradients it takes one by one. Here each is one operation with one hand-written backward pass,
//! which the CPU backend (`flex`) runs as fused loops over all cores.
//!
//! [`FloatOps`] extends a Burn backend with them. Its default bodies are primitive tensor operations,
//! so each backend works; on `Autodiff` the backward passes are recorded; nothing reads a tensor back
//! to the host. The functions are those operations on tensors of any rank; [`on_worker`] lets a whole
//! training loop run where they are fastest, and [`with_products`] lets matrix products multiply numbers of
//! bfloat16 where the processor has tiles for them (AMX).
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use gsb_cpu::{attention, gelu, layer_norm, linear};
//!
//! let device = Device::default().autodiff();
//! let random = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.0, 0.1), &device);
//! let x = Tensor::<3>::random([2, 5, 8], Distribution::Normal(0.0, 1.0), &device);
//! let (weight, gamma, beta) = (random([8, 24]).require_grad(), Tensor::ones([8], &device), Tensor::zeros([8], &device));
//! let qkv = linear(layer_norm(x, gamma, beta, 1e-5), weight.clone(), Some(Tensor::zeros([24], &device)));
//! let y = gelu(attention(qkv, 2, 0.5)); // 2 heads of width 4
//! assert_eq!(y.dims(), [2, 5, 8]);
//! assert!(weight.grad(&y.sum().backward()).is_some());
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod adamw;
mod autodiff;
mod backend;
#[cfg(feature = "cube")]
mod cube;
// For the loops of other crates of this project.
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod flex;
mod functions;
mod primitive;
mod products;
mod worker;

pub use adamw::AdamWStep;
#[doc(hidden)]
pub use autodiff::recorded_affine;
pub use backend::FloatOps;
pub use functions::{
    adamw, attention, bounded_gelu, gelu, layer_norm, linear, matmul, merge_heads, scaled_softmax,
    shift, split_heads,
};
pub use products::{MissingProducts, Products, with_products};
pub use worker::on_worker;

#[cfg(all(test, feature = "flex"))]
mod tests;
