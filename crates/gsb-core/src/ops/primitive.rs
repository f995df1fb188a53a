//! The operations written with a backend's primitive tensor operations: the definition that every
//! other implementation is tested against.

use burn::backend::{
    Backend, Scalar, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor,
};
use burn::tensor::{BoolDType, FloatDType, Shape, Slice};
use gsb_numerics::{Levels, SCALE_GUARD, ThresholdScope};

use super::superposition::{Superposed, Superposition, ValueGradient};

type Float<B> = FloatTensor<B>;
type Mask<B> = burn::backend::tensor::BoolTensor<B>;

pub(super) fn extrema<B: Backend>(x: Float<B>, scope: ThresholdScope) -> Float<B> {
    let (groups, len) = scope.split(x.shape().as_slice());
    if len == 0 {
        let shape = Shape::new([groups, 2]);
        return B::float_zeros(shape, &x.device(), x.dtype().into());
    }
    let x = B::float_reshape(x, Shape::new([groups, len]));
    let max = B::float_max_dim(x.clone(), 1);
    let min = B::float_min_dim(x, 1);
    B::float_cat(vec![max, min], 1)
}

/// The shape of [`extrema`].
#[cfg(feature = "cube")]
pub(super) fn extrema_shape(x: &Shape, scope: &ThresholdScope) -> Shape {
    Shape::new([scope.split(x.as_slice()).0, 2])
}

pub(super) fn lsq<B: Backend>(
    x: Float<B>,
    scale: Float<B>,
    levels: Levels,
    guarded: bool,
) -> Float<B> {
    let scale = usable::<B>(scale, guarded);
    let level = if levels.is_sign() {
        B::float_sign(x)
    } else {
        rounded::<B>(B::float_div(x, scale.clone()), levels.range())
    };
    B::float_mul(level, scale)
}

pub(super) fn lsq_backward<B: Backend>(
    x: Float<B>,
    scale: Float<B>,
    grad: Float<B>,
    levels: Levels,
    guarded: bool,
) -> (Float<B>, Float<B>) {
    let shape = scale.shape();
    let n = x.shape().num_elements();
    let scale = usable::<B>(scale, guarded);
    let q = B::float_div(x.clone(), scale);
    let outside = outside::<B>(q.clone(), levels.range());
    let level = if levels.is_sign() {
        B::float_sign(x)
    } else {
        rounded::<B>(q.clone(), levels.range())
    };
    let inner = B::float_mask_fill(q, outside.clone(), Scalar::from(0.0f32));
    let terms = B::float_mul(B::float_sub(level, inner), grad.clone());
    let rate = 1.0 / (n.max(1) as f32 * levels.range().1).sqrt();
    let grad_scale = B::float_mul_scalar(sum_to::<B>(terms, &shape), Scalar::from(rate));
    (
        B::float_mask_fill(grad, outside, Scalar::from(0.0f32)),
        grad_scale,
    )
}

pub(super) fn superpose<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    spec: Superposition,
) -> Float<B> {
    let shape = x.shape();
    let x = by_scope::<B>(x, &spec);
    let scales = guard::<B>(scales);
    let y = match spec.kind {
        Superposed::Attention => attention::<B>(x, scales, extrema, &spec),
        Superposed::Value => value::<B>(x, scales, extrema, &spec),
    };
    B::float_reshape(y, shape)
}

pub(super) fn superpose_backward<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    grad: Float<B>,
    spec: Superposition,
) -> (Float<B>, Float<B>) {
    let shape = x.shape();
    let x = by_scope::<B>(x, &spec);
    let grad = by_scope::<B>(grad, &spec);
    let scales = guard::<B>(scales);
    let (grad_x, grad_scales) = match spec.kind {
        Superposed::Attention => attention_backward::<B>(x, scales, extrema, grad, &spec),
        Superposed::Value => value_backward::<B>(x, scales, extrema, grad, &spec),
    };
    (
        B::float_reshape(grad_x, shape),
        B::float_cat(grad_scales, 0),
    )
}

// Below, x, the gradient and the result have one row for each scope, and scales are guarded.

fn attention<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    spec: &Superposition,
) -> Float<B> {
    let first = column::<B>(scales.clone(), 0);
    let level = rounded::<B>(B::float_div(x.clone(), first.clone()), spec.range);
    let mut y = B::float_mul(level, first);
    for (k, &threshold) in spec.thresholds.iter().enumerate() {
        let group = as_float::<B>(above::<B>(&x, &extrema, threshold), &x);
        y = B::float_add(y, B::float_mul(group, column::<B>(scales.clone(), k + 1)));
    }
    y
}

fn attention_backward<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    grad: Float<B>,
    spec: &Superposition,
) -> (Float<B>, Vec<Float<B>>) {
    let q = B::float_div(x.clone(), column::<B>(scales.clone(), 0));
    let outside = outside::<B>(q.clone(), spec.range);
    let level = rounded::<B>(q.clone(), spec.range);
    let inner = B::float_mask_fill(q, outside.clone(), Scalar::from(0.0f32));
    let terms = B::float_mul(B::float_sub(level, inner), grad.clone());
    let mut grad_scales = vec![first_gradient::<B>(terms, spec.range.1)];
    let mut grad_x = B::float_mask_fill(grad.clone(), outside, Scalar::from(0.0f32));
    for (k, &threshold) in spec.thresholds.iter().enumerate() {
        let group = as_float::<B>(above::<B>(&x, &extrema, threshold), &x);
        let inside = B::float_mul(group.clone(), grad.clone());
        grad_scales.push(group_gradient::<B>(inside.clone(), group, spec.range.1));
        let scaled = B::float_mul(inside, column::<B>(scales.clone(), k + 1));
        grad_x = B::float_add(grad_x, scaled);
    }
    (grad_x, grad_scales)
}

fn value<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    spec: &Superposition,
) -> Float<B> {
    let sign = B::float_sign(x.clone());
    let mut y = B::float_mul(sign.clone(), column::<B>(scales.clone(), 0));
    for (k, &threshold) in spec.thresholds.iter().enumerate() {
        let group = as_float::<B>(beyond::<B>(&x, &extrema, threshold), &x);
        let sign = B::float_mul(sign.clone(), group);
        y = B::float_add(y, B::float_mul(sign, column::<B>(scales.clone(), k + 1)));
    }
    y
}

fn value_backward<B: Backend>(
    x: Float<B>,
    scales: Float<B>,
    extrema: Float<B>,
    grad: Float<B>,
    spec: &Superposition,
) -> (Float<B>, Vec<Float<B>>) {
    // The part of one group's x: its term of the scale's gradient and where it lets x's pass.
    let part = |x: Float<B>, k: usize| {
        let q = B::float_div(x.clone(), column::<B>(scales.clone(), k));
        let outside = outside::<B>(q.clone(), spec.range);
        let inner = B::float_mask_fill(q, outside.clone(), Scalar::from(0.0f32));
        let terms = B::float_mul(B::float_sub(B::float_sign(x), inner), grad.clone());
        (terms, outside)
    };
    let as_inside = |outside: Mask<B>| as_float::<B>(B::bool_not(outside), &grad);
    let (terms, outside) = part(x.clone(), 0);
    let mut grad_scales = vec![first_gradient::<B>(terms, spec.range.1)];
    let plain = spec.value_gradient == ValueGradient::Plain || spec.thresholds.is_empty();
    let mut times = (!plain).then(|| as_inside(outside.clone()));
    for (k, &threshold) in spec.thresholds.iter().enumerate() {
        let group = as_float::<B>(beyond::<B>(&x, &extrema, threshold), &x);
        let (terms, outside) = part(B::float_mul(x.clone(), group.clone()), k + 1);
        grad_scales.push(group_gradient::<B>(terms, group, spec.range.1));
        // Off its group q is 0 and lets the gradient pass, unless the scope has no such group.
        times = times.map(|times| {
            let present = present::<B>(&extrema, threshold, &x);
            B::float_add(times, B::float_mul(as_inside(outside), present))
        });
    }
    let grad_x = match times {
        Some(times) => B::float_mul(times, grad),
        None => B::float_mask_fill(grad, outside, Scalar::from(0.0f32)),
    };
    (grad_x, grad_scales)
}

pub(super) fn binarize_weight<B: Backend>(w: Float<B>, output: Option<usize>) -> Float<B> {
    let shape = w.shape();
    let one = |t: Float<B>| B::float_reshape(t, Shape::from(vec![1; shape.num_dims()]));
    let n = shape.num_elements();
    let scale = match output {
        None => one(mean::<B>(B::float_abs(w.clone()), n, B::float_sum)),
        Some(dim) => output_scale::<B>(w.clone(), dim),
    };
    let centre = one(mean::<B>(w.clone(), n, B::float_sum));
    B::float_mul(B::float_sign(B::float_sub(w, centre)), scale)
}

/// Mean magnitude over everything but one dimension, whose size the result keeps.
pub(super) fn output_scale<B: Backend>(w: Float<B>, output: usize) -> Float<B> {
    let shape = w.shape();
    let n = shape.num_elements() / shape.as_slice()[output].max(1);
    let dims = (0..shape.num_dims()).filter(|&dim| dim != output);
    mean::<B>(B::float_abs(w), n, |w| {
        dims.fold(w, |w, dim| B::float_sum_dim(w, dim))
    })
}

/// A mean of `n` elements that no finite element overflows: they are divided by a power of two,
/// which rounds nothing, before they are added.
fn mean<B: Backend>(x: Float<B>, n: usize, sum: impl FnOnce(Float<B>) -> Float<B>) -> Float<B> {
    let power = n.max(1).next_power_of_two() as f32;
    let total = sum(B::float_mul_scalar(x, Scalar::from(1.0 / power)));
    B::float_div_scalar(total, Scalar::from(n.max(1) as f32 / power))
}

/// The scale as it acts: guarded, or only kept from being 0.
fn usable<B: Backend>(scale: Float<B>, guarded: bool) -> Float<B> {
    if guarded {
        return guard::<B>(scale);
    }
    let zero = B::float_equal_elem(scale.clone(), Scalar::from(0.0f32), bool_dtype::<B>(&scale));
    B::float_mask_fill(scale, zero, Scalar::from(SCALE_GUARD))
}

/// How the tensor's device stores masks.
fn bool_dtype<B: Backend>(x: &Float<B>) -> BoolDType {
    get_or_init_device_settings::<B>(&x.device()).bool_dtype
}

/// `max(scale, guard)`, the guard also for NaN.
fn guard<B: Backend>(scale: Float<B>) -> Float<B> {
    let good = B::float_greater_elem(
        scale.clone(),
        Scalar::from(SCALE_GUARD),
        bool_dtype::<B>(&scale),
    );
    B::float_mask_fill(scale, B::bool_not(good), Scalar::from(SCALE_GUARD))
}

/// `clamp(round(q), Qn, Qp)`. Clamping first gives the same, as both bounds are integers, and keeps
/// an overflowed quotient out of the rounding.
fn rounded<B: Backend>(q: Float<B>, (qn, qp): (f32, f32)) -> Float<B> {
    B::float_round(B::float_clamp(q, Scalar::from(qn), Scalar::from(qp)))
}

fn outside<B: Backend>(q: Float<B>, (qn, qp): (f32, f32)) -> Mask<B> {
    let dtype = bool_dtype::<B>(&q);
    let below = B::float_lower_elem(q.clone(), Scalar::from(qn), dtype);
    let above = B::float_greater_elem(q, Scalar::from(qp), dtype);
    B::bool_or(below, above)
}

/// One row for each scope.
fn by_scope<B: Backend>(x: Float<B>, spec: &Superposition) -> Float<B> {
    let (groups, len) = spec.scope.split(x.shape().as_slice());
    B::float_reshape(x, Shape::new([groups, len]))
}

/// Entry `k` of a `[groups]` vector, as `[1, 1]`.
fn column<B: Backend>(scales: Float<B>, k: usize) -> Float<B> {
    let entry = B::float_slice(scales, &[Slice::from(k..k + 1)]);
    B::float_reshape(entry, Shape::new([1, 1]))
}

/// Column 0 (maxima) or 1 (minima) of the extrema, times the threshold: `[scopes, 1]`.
fn bound<B: Backend>(extrema: &Float<B>, which: usize, threshold: f32) -> Float<B> {
    let scopes = extrema.shape().as_slice()[0];
    let column = B::float_slice(
        extrema.clone(),
        &[Slice::from(0..scopes), Slice::from(which..which + 1)],
    );
    B::float_mul_scalar(column, Scalar::from(threshold))
}

fn above<B: Backend>(x: &Float<B>, extrema: &Float<B>, threshold: f32) -> Mask<B> {
    B::float_greater(
        x.clone(),
        bound::<B>(extrema, 0, threshold),
        bool_dtype::<B>(x),
    )
}

/// Above the threshold's part of the maximum or below that of the minimum.
fn beyond<B: Backend>(x: &Float<B>, extrema: &Float<B>, threshold: f32) -> Mask<B> {
    let below = B::float_lower(
        x.clone(),
        bound::<B>(extrema, 1, threshold),
        bool_dtype::<B>(x),
    );
    B::bool_or(above::<B>(x, extrema, threshold), below)
}

/// 1 for the scopes in which the group beyond the threshold has members (an extremum is one).
fn present<B: Backend>(extrema: &Float<B>, threshold: f32, like: &Float<B>) -> Float<B> {
    let scopes = extrema.shape().as_slice()[0];
    let column = |which: usize| {
        B::float_slice(
            extrema.clone(),
            &[Slice::from(0..scopes), Slice::from(which..which + 1)],
        )
    };
    let high = B::float_greater(
        column(0),
        bound::<B>(extrema, 0, threshold),
        bool_dtype::<B>(extrema),
    );
    let low = B::float_lower(
        column(1),
        bound::<B>(extrema, 1, threshold),
        bool_dtype::<B>(extrema),
    );
    as_float::<B>(B::bool_or(high, low), like)
}

fn as_float<B: Backend>(mask: Mask<B>, like: &Float<B>) -> Float<B> {
    B::bool_into_float(mask, FloatDType::from(like.dtype()))
}

/// Sum of everything, shape `[1]`.
fn total<B: Backend>(x: Float<B>) -> Float<B> {
    B::float_reshape(B::float_sum(x), Shape::new([1]))
}

/// Gradient of a scale that every element has: the sum of its terms over `sqrt(n * Qp)`.
fn first_gradient<B: Backend>(terms: Float<B>, qp: f32) -> Float<B> {
    let n = terms.shape().num_elements().max(1) as f32;
    B::float_mul_scalar(total::<B>(terms), Scalar::from(1.0 / (n * qp).sqrt()))
}

/// Gradient of the scale of a group: the sum of its terms over `sqrt(members * Qp)`, and 0 for an
/// empty group. Counted on the device, so that nothing waits for it.
fn group_gradient<B: Backend>(terms: Float<B>, group: Float<B>, qp: f32) -> Float<B> {
    let members = B::float_clamp_min(total::<B>(group), Scalar::from(1.0f32));
    let root = B::float_sqrt(B::float_mul_scalar(members, Scalar::from(qp)));
    B::float_div(total::<B>(terms), root)
}

/// Sum over the dimensions in which `shape` is 1.
fn sum_to<B: Backend>(x: Float<B>, shape: &Shape) -> Float<B> {
    if shape.num_elements() == 1 {
        return B::float_reshape(B::float_sum(x), shape.clone());
    }
    let dims = shape.as_slice();
    (0..dims.len())
        .filter(|&dim| dims[dim] == 1)
        .fold(x, |x, dim| B::float_sum_dim(x, dim))
}
