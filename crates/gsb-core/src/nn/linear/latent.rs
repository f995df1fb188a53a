//! The float parameters that training updates.

use burn::Tensor;
use burn::module::{Content, Param};
use burn::nn::{Initializer, LinearConfig};
use burn::tensor::Device;

/// The latent float weight `[d_input, d_output]` and bias `[d_output]`, initialised as Burn's linear
/// layer does.
pub(super) fn latent(
    [d_input, d_output]: [usize; 2],
    bias: bool,
    initializer: &Initializer,
    device: &Device,
) -> (Param<Tensor<2>>, Option<Param<Tensor<1>>>) {
    let linear = LinearConfig::new(d_input, d_output)
        .with_bias(bias)
        .with_initializer(initializer.clone())
        .init(device);
    (linear.weight, linear.bias)
}

/// What a layer shows of them.
pub(super) fn describe(content: Content, weight: &Param<Tensor<2>>, bias: bool) -> Content {
    let [d_input, d_output] = weight.lazy_shape().dims();
    content
        .add("d_input", &d_input)
        .add("d_output", &d_output)
        .add("bias", &bias)
}
