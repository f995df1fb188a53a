//! The operations on Burn's CPU backend `flex`, and what such loops are made of.
//!
//! Products split their rows over the threads and add the bias while those rows are in the cache;
//! row-wise operations read each row once. Loops are compiled for the widest vector instructions of
//! the machine and run in parallel over chunks. Sums are added chunk by chunk in a fixed order, so
//! that results do not depend on the number of threads. What is not `f32` runs as the primitive
//! operations do.

mod adamw;
mod attention;
mod batch;
mod columns;
mod elementwise;
mod gelu;
mod heads;
mod layer_norm;
mod product;
mod softmax;
mod tasks;
mod tensor;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use elementwise::{CHUNK, LANES, Pointwise, Sums, map, map_gradient, pays};
pub use product::product_of_signs;
pub use tensor::{contiguous, elements, is_f32, vector};

use burn::backend::{
    Flex, TensorMetadata,
    flex::FlexTensor,
    ops::{FloatTensorOps, ModuleOps},
};
use burn::tensor::Shape;

use crate::adamw::AdamWStep;
use crate::backend::FloatOps;
use crate::primitive;
use crate::products::Products;
use gelu::Gelu;
use product::Matrix;
use tensor::owned;

/// What is missing for products of bfloat16, if anything is.
pub(crate) fn missing_tiles() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    return tiles::missing();
    #[cfg(not(target_arch = "x86_64"))]
    gsb_amx::Amx::new(gsb_amx::Operands::Bfloat16)
        .err()
        .map(gsb_amx::Missing::as_str)
}

impl FloatOps for Flex {
    fn affine(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        if !is_f32(&[&x, &weight, &bias]) {
            return Self::linear(x, weight, Some(bias));
        }
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let [inputs, outputs] = weight.shape().dims();
        let y = product::product(
            Matrix::rows(elements(&x), inputs),
            Matrix::rows(elements(&weight), outputs),
            Some(elements(&bias)),
        );
        vector(y, with_last(x.shape(), outputs))
    }

    fn affine_x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if !is_f32(&[&weight, &grad]) {
            return Self::linear_x_backward(weight, grad);
        }
        let (weight, grad) = (contiguous(weight), contiguous(grad));
        let [inputs, outputs] = weight.shape().dims();
        let x = product::product(
            Matrix::rows(elements(&grad), outputs),
            Matrix::rows(elements(&weight), outputs).transposed(),
            None,
        );
        vector(x, with_last(grad.shape(), inputs))
    }

    fn affine_weight_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if !is_f32(&[&x, &grad]) {
            return Self::linear_weight_backward(x, grad);
        }
        let (x, grad) = (contiguous(x), contiguous(grad));
        let (inputs, outputs) = (last(&x), last(&grad));
        let weight = product::product(
            Matrix::rows(elements(&x), inputs).transposed(),
            Matrix::rows(elements(&grad), outputs),
            None,
        );
        vector(weight, Shape::new([inputs, outputs]))
    }

    fn matmul(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        match Products::chosen() {
            products if products != Products::Float && batch::fits(&a, &b) => {
                batch::products(products, a, b)
            }
            _ => Self::float_matmul(a, b),
        }
    }

    fn add_shift(x: FlexTensor, shift: FlexTensor) -> FlexTensor {
        if !is_f32(&[&x, &shift]) {
            return primitive::add_shift::<Self>(x, shift);
        }
        let (mut x, shift) = (contiguous(x), contiguous(shift));
        if let Some(xs) = owned(&mut x) {
            columns::add_in_place(xs, elements(&shift));
            return x;
        }
        let y = columns::add(elements(&x), elements(&shift));
        vector(y, x.shape())
    }

    fn sum_leading(x: FlexTensor, rank: usize) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::sum_leading::<Self>(x, rank);
        }
        let x = contiguous(x);
        let shape = x.shape();
        let kept = shape.as_slice()[shape.num_dims() - rank..].to_vec();
        let sums = columns::sums(elements(&x), kept.iter().product());
        vector(sums, Shape::from(kept))
    }

    fn normalize(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
        if !is_f32(&[&x, &gamma, &beta]) {
            return Self::layer_norm(x, gamma, Some(beta), epsilon);
        }
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
        let y = layer_norm::forward(
            elements(&x),
            elements(&gamma),
            elements(&beta),
            epsilon as f32,
        );
        vector(y, x.shape())
    }

    fn normalize_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        grad: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !is_f32(&[&x, &gamma, &grad]) {
            return primitive::normalize_backward::<Self>(x, gamma, grad, epsilon);
        }
        let (x, gamma, mut grad) = (contiguous(x), contiguous(gamma), exclusive(grad));
        let (for_gamma, for_beta) = layer_norm::backward(
            elements(&x),
            elements(&gamma),
            held(&mut grad),
            epsilon as f32,
        );
        let shape = gamma.shape();
        (
            grad,
            vector(for_gamma, shape.clone()),
            vector(for_beta, shape),
        )
    }

    fn scaled_softmax(x: FlexTensor, scale: f64) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::scaled_softmax::<Self>(x, scale);
        }
        let mut y = exclusive(x);
        let width = last(&y);
        softmax::forward(held(&mut y), width, scale as f32);
        y
    }

    fn scaled_softmax_backward(y: FlexTensor, grad: FlexTensor, scale: f64) -> FlexTensor {
        if !is_f32(&[&y, &grad]) {
            return primitive::scaled_softmax_backward::<Self>(y, grad, scale);
        }
        let (y, mut grad) = (contiguous(y), exclusive(grad));
        softmax::backward(elements(&y), held(&mut grad), last(&y), scale as f32);
        grad
    }

    fn split_heads(x: FlexTensor, heads: usize, parts: usize, part: usize) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::split_heads::<Self>(x, heads, parts, part);
        }
        let x = contiguous(x);
        let [batch, tokens, _] = x.shape().dims();
        let sizes = heads::Sizes {
            part,
            ..heads::Sizes::new(&x.shape(), heads, parts)
        };
        let shape = Shape::new([batch, heads, tokens, sizes.head_width]);
        vector(heads::split(elements(&x), sizes), shape)
    }

    fn merge_heads(x: FlexTensor, parts: usize, part: usize) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::merge_heads::<Self>(x, parts, part);
        }
        let x = contiguous(x);
        let [batch, heads, tokens, head_width] = x.shape().dims();
        let sizes = heads::Sizes {
            heads,
            tokens,
            head_width,
            parts,
            part,
        };
        let shape = Shape::new([batch, tokens, parts * heads * head_width]);
        vector(heads::merge(elements(&x), sizes), shape)
    }

    fn attend(qkv: FlexTensor, heads: usize, scale: f64) -> (FlexTensor, FlexTensor) {
        if !is_f32(&[&qkv]) {
            return primitive::attend::<Self>(qkv, heads, |scores| {
                Self::scaled_softmax(scores, scale)
            });
        }
        let qkv = contiguous(qkv);
        let [batch, tokens, _] = qkv.shape().dims();
        let sizes = heads::Sizes::new(&qkv.shape(), heads, 3);
        let (y, matrix) = attention::forward(elements(&qkv), sizes, scale as f32);
        let shape = Shape::new([batch, tokens, heads * sizes.head_width]);
        let cells = Shape::new([batch, heads, tokens, tokens]);
        (vector(y, shape), vector(matrix, cells))
    }

    fn attend_backward(
        qkv: FlexTensor,
        matrix: FlexTensor,
        grad: FlexTensor,
        scale: f64,
    ) -> FlexTensor {
        if !is_f32(&[&qkv, &matrix, &grad]) {
            return primitive::attend_backward::<Self>(qkv, matrix, grad, |matrix, grad| {
                Self::scaled_softmax_backward(matrix, grad, scale)
            });
        }
        let (qkv, matrix, grad) = (contiguous(qkv), contiguous(matrix), contiguous(grad));
        let shape = qkv.shape();
        let sizes = heads::Sizes::new(&shape, matrix.shape().as_slice()[1], 3);
        let (qkv, matrix, grad) = (elements(&qkv), elements(&matrix), elements(&grad));
        let parts = attention::backward(qkv, matrix, grad, sizes, scale as f32);
        vector(parts, shape)
    }

    fn erf_gelu(x: FlexTensor, bound: Option<f32>) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::erf_gelu::<Self>(x, bound);
        }
        let n = x.shape().num_elements();
        map(x, n, &[Gelu::new(bound)])
    }

    fn erf_gelu_backward(x: FlexTensor, grad: FlexTensor, bound: Option<f32>) -> FlexTensor {
        if !is_f32(&[&x, &grad]) {
            return primitive::erf_gelu_backward::<Self>(x, grad, bound);
        }
        let n = x.shape().num_elements();
        map_gradient(x, grad, n, &[Gelu::new(bound)]).0
    }

    fn adamw(
        weight: FlexTensor,
        grad: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !is_f32(&[&weight, &grad, &moment_1, &moment_2]) {
            return primitive::adamw::<Self>(weight, grad, moment_1, moment_2, step);
        }
        let grad = contiguous(grad);
        let [mut weight, mut moment_1, mut moment_2] = [weight, moment_1, moment_2].map(exclusive);
        adamw::step(
            held(&mut weight),
            elements(&grad),
            [held(&mut moment_1), held(&mut moment_2)],
            step,
        );
        (weight, moment_1, moment_2)
    }
}

/// The tensor itself if nobody else holds it and its elements are all there is, else a copy.
fn exclusive(x: FlexTensor) -> FlexTensor {
    let mut x = contiguous(x);
    if owned(&mut x).is_some() {
        return x;
    }
    vector(elements(&x).to_vec(), x.shape())
}

/// The elements of a tensor made [`exclusive`].
fn held(x: &mut FlexTensor) -> &mut [f32] {
    owned(x).expect("made exclusive")
}

/// Size of the last dimension.
fn last(x: &FlexTensor) -> usize {
    x.shape().as_slice().last().copied().unwrap_or(1)
}

fn with_last(mut shape: Shape, size: usize) -> Shape {
    let dims = shape.num_dims();
    shape[dims - 1] = size;
    shape
}

#[cfg(test)]
mod tests;
