//! The binarizers as one writes them without custom operations: every surrogate gradient becomes a
//! term that has the value zero and the wanted derivative, `t - detach(t)`.

use burn::Tensor;

const GUARD: f32 = 1e-5;

fn with_gradient<const D: usize>(y: Tensor<D>, surrogate: Tensor<D>) -> Tensor<D> {
    y.detach() + (surrogate.clone() - surrogate.detach())
}

fn outside<const D: usize>(q: &Tensor<D>, qn: f32, qp: f32) -> Tensor<D, burn::tensor::Bool> {
    q.clone()
        .lower_scalar(qn)
        .bool_or(q.clone().greater_scalar(qp))
}

fn rate<const D: usize>(x: &Tensor<D>) -> f32 {
    1.0 / (x.shape().num_elements() as f32).sqrt()
}

fn entry<const D: usize>(scales: &Tensor<1>, k: usize) -> Tensor<D> {
    scales
        .clone()
        .slice(burn::tensor::s![k..k + 1])
        .reshape([1; D])
}

/// The signed binarizer, one bit.
pub fn signed<const D: usize>(x: Tensor<D>, scale: Tensor<1>) -> Tensor<D> {
    let scale: Tensor<D> = scale.reshape([1; D]);
    let guarded = scale.clone().detach().clamp_min(GUARD);
    let fixed = x.clone().detach();
    let sign = fixed.clone().sign();
    let q = fixed / guarded.clone();
    let outside = outside(&q, -1.0, 1.0);
    let slope = (sign.clone() - q.mask_fill(outside.clone(), 0.0)).mul_scalar(rate(&x));
    with_gradient(sign * guarded, x.mask_fill(outside, 0.0) + slope * scale)
}

/// The unsigned binarizer, one bit.
pub fn unsigned<const D: usize>(x: Tensor<D>, scale: Tensor<1>) -> Tensor<D> {
    let scale: Tensor<D> = scale.reshape([1; D]);
    let guarded = scale.clone().detach().clamp_min(GUARD);
    let q = x.clone().detach() / guarded.clone();
    let outside = outside(&q, 0.0, 1.0);
    let level = q.clone().round().clamp(0.0, 1.0);
    let slope = (level.clone() - q.mask_fill(outside.clone(), 0.0)).mul_scalar(rate(&x));
    with_gradient(level * guarded, x.mask_fill(outside, 0.0) + slope * scale)
}

/// The weight binarizer, one scale.
pub fn weight<const D: usize>(w: Tensor<D>) -> Tensor<D> {
    let fixed = w.clone().detach();
    let scale: Tensor<D> = fixed.clone().abs().mean().reshape([1; D]);
    let mean: Tensor<D> = fixed.clone().mean().reshape([1; D]);
    with_gradient((fixed - mean).sign() * scale, w)
}

/// The superposition of the attention matrix, three groups, thresholds of each image.
pub fn attention(x: Tensor<4>, scales: Tensor<1>) -> Tensor<4> {
    let fixed = x.clone().detach();
    let max = fixed.clone().max_dim(1).max_dim(2).max_dim(3);
    let first: Tensor<4> = entry(&scales, 0);
    let guarded = first.clone().detach().clamp_min(GUARD);
    let q = fixed.clone() / guarded.clone();
    let outside = outside(&q, 0.0, 1.0);
    let level = q.clone().round().clamp(0.0, 1.0);
    let slope = (level.clone() - q.mask_fill(outside.clone(), 0.0)).mul_scalar(rate(&x));
    let mut y = level * guarded;
    let mut surrogate = x.clone().mask_fill(outside, 0.0) + slope * first;
    for (k, threshold) in [(1, 0.7), (2, 0.9)] {
        let scale: Tensor<4> = entry(&scales, k);
        let guarded = scale.clone().detach().clamp_min(GUARD);
        let group = fixed
            .clone()
            .greater(max.clone().mul_scalar(threshold))
            .float();
        let root: Tensor<4> = group.clone().sum().clamp_min(1.0).sqrt().reshape([1; 4]);
        y = y + group.clone() * guarded.clone();
        surrogate = surrogate + x.clone() * group.clone() * guarded + group / root * scale;
    }
    with_gradient(y, surrogate)
}

/// The superposition of the value, three groups, thresholds of each image.
pub fn value(x: Tensor<4>, scales: Tensor<1>) -> Tensor<4> {
    let fixed = x.clone().detach();
    let max = fixed.clone().max_dim(1).max_dim(2).max_dim(3);
    let min = fixed.clone().min_dim(1).min_dim(2).min_dim(3);
    let mut y = fixed.zeros_like();
    let mut surrogate = fixed.zeros_like();
    for (k, threshold) in [(0, 0.0), (1, 0.7), (2, 0.9)] {
        let scale: Tensor<4> = entry(&scales, k);
        let guarded = scale.clone().detach().clamp_min(GUARD);
        let (part, root) = if k == 0 {
            (
                fixed.clone(),
                Tensor::full([1; 4], 1.0 / rate(&x), &fixed.device()),
            )
        } else {
            let above = fixed.clone().greater(max.clone().mul_scalar(threshold));
            let below = fixed.clone().lower(min.clone().mul_scalar(threshold));
            let group = above.bool_or(below).float();
            let root = group.clone().sum().clamp_min(1.0).sqrt().reshape([1; 4]);
            (fixed.clone() * group, root)
        };
        let sign = part.clone().sign();
        let q = part / guarded.clone();
        let outside = outside(&q, -1.0, 1.0);
        let slope = (sign.clone() - q.mask_fill(outside.clone(), 0.0)) / root;
        y = y + sign * guarded;
        surrogate = surrogate + x.clone().mask_fill(outside, 0.0) + slope * scale;
    }
    with_gradient(y, surrogate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{leaf, normal, probabilities};
    use gsb_core::binarize::ThresholdScope;
    use gsb_core::ops::{self, Levels, Superposed, Superposition};

    fn close(a: Tensor<4>, b: Tensor<4>) {
        a.into_data()
            .assert_approx_eq::<f32>(&b.into_data(), burn::tensor::Tolerance::default());
    }

    /// The baseline must compute the same, or the comparison means nothing.
    fn same(
        x: Tensor<4>,
        scales: &[f32],
        plain: impl Fn(Tensor<4>, Tensor<1>) -> Tensor<4>,
        custom: impl Fn(Tensor<4>, Tensor<1>) -> Tensor<4>,
    ) {
        let weight = normal(x.dims());
        let run = |f: &dyn Fn(Tensor<4>, Tensor<1>) -> Tensor<4>| {
            let x = leaf(&x);
            let scales = leaf(&Tensor::<1>::from_floats(scales, &x.device()));
            let y = f(x.clone(), scales.clone());
            let grads = (y.clone() * weight.clone()).sum().backward();
            let scales: Tensor<4> = scales.grad(&grads).unwrap().reshape([-1, 1, 1, 1]);
            [y.inner(), x.grad(&grads).unwrap(), scales]
        };
        for (a, b) in run(&plain).into_iter().zip(run(&custom)) {
            close(a, b);
        }
    }

    #[test]
    fn plain_binarizers_compute_what_the_custom_ones_do() {
        let shape = [2, 3, 7, 5];
        same(normal(shape), &[0.8], signed, |x, s| {
            ops::quantize(x, s, Levels::signed(1))
        });
        same(normal(shape), &[0.8], unsigned, |x, s| {
            ops::quantize(x, s, Levels::unsigned(1))
        });
        let spec = |kind| Superposition::paper(kind, ThresholdScope::Sample);
        let scales = [0.3, 0.2, 0.1];
        same(probabilities(shape), &scales, attention, |x, s| {
            ops::superpose(x, s, &spec(Superposed::Attention))
        });
        same(normal(shape), &scales, value, |x, s| {
            ops::superpose(x, s, &spec(Superposed::Value))
        });
        let w = normal([7, 5]);
        let plain = weight(w.clone()).into_data();
        let custom = ops::binarize_weight(w, None).into_data();
        plain.assert_approx_eq::<f32>(&custom, burn::tensor::Tolerance::default());
    }
}
