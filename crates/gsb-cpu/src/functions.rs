//! The operations on tensors of any rank.

use burn::Tensor;
use burn::backend::Dispatch;

use crate::adamw::AdamWStep;
use crate::backend::FloatOps;

/// `x w + bias`, as Burn's linear layer computes it.
///
/// # Shapes
/// - x: `[.., inputs]`; weight: `[inputs, outputs]`; bias: `[outputs]`; output: `[.., outputs]`.
///
/// # Panics
/// If the shapes do not go together.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_cpu::linear;
///
/// let device = Device::default();
/// let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
/// let weight = Tensor::<2>::from_floats([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]], &device);
/// let bias = Tensor::<1>::from_floats([0.5, 0.5, 0.5], &device);
/// let y = linear(x, weight, Some(bias));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1.5, 2.5, 11.5]);
/// ```
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let bias = match bias {
        Some(bias) if D > 1 => bias,
        bias => return burn::tensor::module::linear(x, weight, bias),
    };
    let [inputs, outputs] = weight.dims();
    let ([width], [biases]) = ([x.dims()[D - 1]], bias.dims());
    assert!(
        width == inputs && biases == outputs,
        "linear: an input of shape {:?} and {biases} biases for a weight of shape [{inputs}, {outputs}]",
        x.dims()
    );
    Tensor::from_dispatch(Dispatch::affine(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// Products of matrices.
///
/// # Shapes
/// - a: `[.., rows, terms]`; b: `[.., terms, columns]`; output: `[.., rows, columns]`. Leading dimensions are the same,
///   or broadcast.
///
/// # Panics
/// If the shapes do not go together.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if D < 2 || a.dims()[..D - 2] != b.dims()[..D - 2] || a.dims()[D - 1] != b.dims()[D - 2] {
        // Which also says what is wrong.
        return a.matmul(b);
    }
    Tensor::from_dispatch(Dispatch::matmul(a.into_dispatch(), b.into_dispatch()))
}

/// `x + shift`, the shift broadcast over the leading dimensions of `x`.
///
/// # Shapes
/// - x: `[.., shape of the shift]`; a 1 in the shift's shape stands for any size.
/// - output: that of `x`.
///
/// # Panics
/// If the shapes do not go together.
pub fn shift<const D: usize, const R: usize>(x: Tensor<D>, shift: Tensor<R>) -> Tensor<D> {
    if R > D || x.dims()[D - R..] != shift.dims() {
        let shapes = (x.dims(), shift.dims());
        let shift = shift.unsqueeze::<D>();
        let mut sizes = x.dims().into_iter().zip(shift.dims());
        // A sum would also repeat `x` along a dimension of one.
        assert!(
            sizes.all(|(of_x, of_shift)| of_shift == 1 || of_x == of_shift),
            "a shift of shape {:?} does not go with {:?}",
            shapes.1,
            shapes.0
        );
        return x + shift;
    }
    Tensor::from_dispatch(Dispatch::add_shift(
        x.into_dispatch(),
        shift.into_dispatch(),
    ))
}

/// Layer normalization: `(x - mean) / sqrt(var + epsilon) * gamma + beta` over the last dimension,
/// `var` the biased variance.
///
/// # Shapes
/// - x and output: `[.., width]`; gamma and beta: `[width]`.
///
/// # Panics
/// If the last dimension of `x` is not the width.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let (width, [gammas], [betas]) = (x.dims()[D - 1], gamma.dims(), beta.dims());
    assert!(
        width == gammas && width == betas,
        "layer normalization of width {gammas} for an input of shape {:?}",
        x.dims()
    );
    Tensor::from_dispatch(Dispatch::normalize(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

/// Softmax of `x * scale` over the last dimension.
///
/// # Shapes
/// - x and output: any.
pub fn scaled_softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::scaled_softmax(x.into_dispatch(), scale))
}

/// One of `parts` tensors that lie side by side, split into heads.
///
/// # Shapes
/// - x: `[batch, tokens, parts * heads * head_width]`
/// - output: `[batch, heads, tokens, head_width]`
///
/// # Panics
/// If the width of `x` is not a multiple of parts and heads, or there is no such part.
pub fn split_heads(x: Tensor<3>, heads: usize, parts: usize, part: usize) -> Tensor<4> {
    let [.., width] = x.dims();
    assert!(
        part < parts && heads > 0 && width.is_multiple_of(parts * heads),
        "part {part} of {parts} of a width of {width}, in {heads} heads"
    );
    Tensor::from_dispatch(Dispatch::split_heads(x.into_dispatch(), heads, parts, part))
}

/// Heads side by side again.
///
/// # Shapes
/// - x: `[batch, heads, tokens, head_width]`
/// - output: `[batch, tokens, heads * head_width]`
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::merge_heads(x.into_dispatch(), 1, 0))
}

/// Float self-attention, `softmax(q k^T scale) v` in each head.
///
/// # Shapes
/// - qkv: query, key and value side by side, `[batch, tokens, 3 * heads * head_width]`
/// - output: `[batch, tokens, heads * head_width]`
///
/// # Panics
/// If the width of `qkv` is not a multiple of three times the heads.
pub fn attention(qkv: Tensor<3>, heads: usize, scale: f64) -> Tensor<3> {
    let [.., width] = qkv.dims();
    assert!(
        heads > 0 && width.is_multiple_of(3 * heads),
        "query, key and value of width {width} in {heads} heads"
    );
    Tensor::from_dispatch(Dispatch::attention_of(qkv.into_dispatch(), heads, scale))
}

/// The Gaussian error linear unit, `x * P(N(0, 1) <= x)`, by the error function and with the exact
/// gradient on every backend.
///
/// # Shapes
/// - `x` and output: any.
///
/// ```
/// use burn::tensor::{Device, Tensor, Tolerance};
/// use gsb_cpu::gelu;
///
/// let x = Tensor::<1>::from_floats([-1.0, 0.0, 1.0], &Device::default().autodiff()).require_grad();
/// let y = gelu(x.clone());
/// let expected = [-0.158_655_25, 0.0, 0.841_344_8];
/// y.to_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
/// let slope = x.grad(&y.sum().backward()).unwrap();
/// let expected = [-0.083_315_47, 0.5, 1.083_315_5];
/// slope.to_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
/// ```
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::erf_gelu(x.into_dispatch(), None))
}

/// [`gelu`] clamped to `-bound ..= bound`; no gradient passes beyond.
///
/// # Shapes
/// - `x` and output: any.
pub fn bounded_gelu<const D: usize>(x: Tensor<D>, bound: f32) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::erf_gelu(x.into_dispatch(), Some(bound)))
}

/// A step of AdamW (arXiv 1711.05101): the weight and both moments after it, in place where nobody
/// else holds them.
///
/// # Shapes
/// - all: that of the weight.
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    grad: Tensor<D>,
    [moment_1, moment_2]: [Tensor<D>; 2],
    step: AdamWStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let (weight, moment_1, moment_2) = Dispatch::adamw(
        weight.into_dispatch(),
        grad.into_dispatch(),
        moment_1.into_dispatch(),
        moment_2.into_dispatch(),
        step,
    );
    (
        Tensor::from_dispatch(weight),
        [moment_1, moment_2].map(Tensor::from_dispatch),
    )
}
