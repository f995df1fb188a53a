//! The operations on Burn's CPU backend `flex`, as fused loops.
//!
//! One pass over the elements replaces a chain of tensor operations: each element is read once,
//! and no intermediate value reaches memory. Loops run in parallel over chunks, compiled for the
//! widest vector instructions of the machine. Sums are added chunk by chunk in a fixed order, so
//! that results do not depend on the number of threads.
//!
//! What has no loop here (element types other than `f32`, one scale per channel, more than three
//! groups) runs as the primitive operations do.

mod kernel;
mod reduce;
mod signs;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor, ops::FloatTensorOps};
use burn::tensor::Shape;
use gsb_cpu::FloatOps;
use gsb_cpu::flex::{Sums, contiguous, elements, is_f32, map, map_gradient, vector};
use gsb_numerics::{Levels, ThresholdScope};

use super::backend::BinaryOps;
use super::primitive;
use super::superposition::{Superposed, Superposition};
use kernel::{AttentionGroups, Centred, Groups, Level, ValueGroups};

/// Runs a superposition with its kind and the number of its groups as constants, or `$otherwise`.
macro_rules! by_kind {
    ($run:ident($x:ident, $scales:ident, $($arg:expr),*), $spec:ident, $otherwise:expr) => {
        match (is_f32(&[&$x, &$scales]), $spec.kind, $spec.groups()) {
            (true, Superposed::Attention, 1) => $run::<1, AttentionGroups<1>>($x, $scales, $($arg),*),
            (true, Superposed::Attention, 2) => $run::<2, AttentionGroups<2>>($x, $scales, $($arg),*),
            (true, Superposed::Attention, 3) => $run::<3, AttentionGroups<3>>($x, $scales, $($arg),*),
            (true, Superposed::Value, 1) => $run::<1, ValueGroups<1>>($x, $scales, $($arg),*),
            (true, Superposed::Value, 2) => $run::<2, ValueGroups<2>>($x, $scales, $($arg),*),
            (true, Superposed::Value, 3) => $run::<3, ValueGroups<3>>($x, $scales, $($arg),*),
            _ => $otherwise,
        }
    };
}

impl BinaryOps for Flex {
    fn extrema(x: FlexTensor, scope: ThresholdScope) -> FlexTensor {
        if !is_f32(&[&x]) {
            return primitive::extrema::<Self>(x, scope);
        }
        let (scopes, _) = scope.split(x.shape().as_slice());
        let x = contiguous(x);
        vector(
            reduce::extrema(elements(&x), scopes),
            Shape::new([scopes, 2]),
        )
    }

    fn lsq(x: FlexTensor, scale: FlexTensor, levels: Levels, guarded: bool) -> FlexTensor {
        let Some(value) = single_scale(&x, &scale, guarded) else {
            return primitive::lsq::<Self>(x, scale, levels, guarded);
        };
        let n = x.shape().num_elements();
        if levels.is_sign() {
            map(x, n, &[Level::<true>::new(value, levels.range())])
        } else {
            map(x, n, &[Level::<false>::new(value, levels.range())])
        }
    }

    fn lsq_backward(
        x: FlexTensor,
        scale: FlexTensor,
        grad: FlexTensor,
        levels: Levels,
        guarded: bool,
    ) -> (FlexTensor, FlexTensor) {
        let Some(value) = single_scale(&x, &scale, guarded) else {
            return primitive::lsq_backward::<Self>(x, scale, grad, levels, guarded);
        };
        let (n, range) = (x.shape().num_elements(), levels.range());
        let (grad_x, sums) = if levels.is_sign() {
            map_gradient(x, grad, n, &[Level::<true>::new(value, range)])
        } else {
            map_gradient(x, grad, n, &[Level::<false>::new(value, range)])
        };
        (
            grad_x,
            vector(scale_gradients(&sums, n, range.1).to_vec(), scale.shape()),
        )
    }

    fn superpose(
        x: FlexTensor,
        scales: FlexTensor,
        extrema: FlexTensor,
        spec: Superposition,
    ) -> FlexTensor {
        by_kind!(
            superpose(x, scales, &extrema, &spec),
            spec,
            primitive::superpose::<Self>(x, scales, extrema, spec)
        )
    }

    fn superpose_backward(
        x: FlexTensor,
        scales: FlexTensor,
        extrema: FlexTensor,
        grad: FlexTensor,
        spec: Superposition,
    ) -> (FlexTensor, FlexTensor) {
        by_kind!(
            superpose_gradient(x, scales, &extrema, grad, &spec),
            spec,
            primitive::superpose_backward::<Self>(x, scales, extrema, grad, spec)
        )
    }

    fn binarize_weight(w: FlexTensor, output: Option<usize>) -> FlexTensor {
        if !is_f32(&[&w]) {
            return primitive::binarize_weight::<Self>(w, output);
        }
        let w = contiguous(w);
        let n = w.shape().num_elements();
        let (mean, scale) = reduce::means(elements(&w));
        match output {
            None => map(w, n, &[Centred { mean, scale }]),
            Some(dim) => {
                let scales = primitive::output_scale::<Self>(w.clone(), dim);
                Self::float_mul(map(w, n, &[Centred { mean, scale: 1.0 }]), scales)
            }
        }
    }

    fn affine_levels(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        if !is_f32(&[&x, &weight, &bias]) {
            return Self::affine(x, weight, bias);
        }
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let [inputs, outputs] = weight.shape().dims();
        match signs::product(elements(&x), elements(&weight), inputs, elements(&bias)) {
            Some(y) => {
                let mut shape = x.shape();
                let last = shape.num_dims() - 1;
                shape[last] = outputs;
                vector(y, shape)
            }
            None => Self::affine(x, weight, bias),
        }
    }
}

fn superpose<const G: usize, K: Groups<G>>(
    x: FlexTensor,
    scales: FlexTensor,
    extrema: &FlexTensor,
    spec: &Superposition,
) -> FlexTensor {
    let (_, len) = spec.scope.split(x.shape().as_slice());
    map(x, len, &kernels::<G, K>(&scales, extrema, spec))
}

fn superpose_gradient<const G: usize, K: Groups<G>>(
    x: FlexTensor,
    scales: FlexTensor,
    extrema: &FlexTensor,
    grad: FlexTensor,
    spec: &Superposition,
) -> (FlexTensor, FlexTensor) {
    let shape = x.shape();
    let (_, len) = spec.scope.split(shape.as_slice());
    let (grad_x, sums) = map_gradient(x, grad, len, &kernels::<G, K>(&scales, extrema, spec));
    let grad_scales = scale_gradients(&sums, shape.num_elements(), spec.range.1);
    (grad_x, vector(grad_scales.to_vec(), Shape::new([G])))
}

/// One kernel for each scope.
fn kernels<const G: usize, K: Groups<G>>(
    scales: &FlexTensor,
    extrema: &FlexTensor,
    spec: &Superposition,
) -> Vec<K> {
    let (scales, extrema) = (contiguous(scales.clone()), contiguous(extrema.clone()));
    let scales = elements(&scales);
    let scales: [f32; G] = std::array::from_fn(|k| gsb_numerics::guarded(scales[k]));
    elements(&extrema)
        .chunks_exact(2)
        .map(|ends| K::new(scales, ends[0], ends[1], spec))
        .collect()
}

/// The scale as it acts, if there is one for all and everything is `f32`.
fn single_scale(x: &FlexTensor, scale: &FlexTensor, guarded: bool) -> Option<f32> {
    if !is_f32(&[x, scale]) || scale.shape().num_elements() != 1 {
        return None;
    }
    let scale = contiguous(scale.clone());
    let scale = elements(&scale)[0];
    Some(match guarded {
        true => gsb_numerics::guarded(scale),
        false => gsb_numerics::nonzero(scale),
    })
}

/// The gradients of the scales: the sum of the terms over `sqrt(members * Qp)`, the first group's
/// members being all `n` elements. That of an empty group is 0.
fn scale_gradients<const G: usize>(sums: &Sums<G>, n: usize, qp: f32) -> [f32; G] {
    std::array::from_fn(|k| {
        let members = if k == 0 { n as f64 } else { sums.members[k] };
        (sums.terms[k] / (members.max(1.0) * f64::from(qp)).sqrt()) as f32
    })
}

#[cfg(test)]
mod tests;
