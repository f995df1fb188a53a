//! What the properties are tried on.

use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use gsb_core::binarize::ThresholdScope;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Batch, heads, tokens and channels of the tensors.
pub(crate) const SHAPE: [usize; 4] = [3, 2, 3, 4];
/// Elements of such a tensor.
pub(crate) const LEN: usize = 3 * SAMPLE;
/// Elements of one sample.
pub(crate) const SAMPLE: usize = 2 * 3 * 4;

pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    }
}

/// On the CPU, without gradients.
pub(crate) fn device() -> Device {
    Device::flex()
}

/// Ordinary numbers, some of them zero, some equal to each other.
pub(crate) fn number() -> impl Strategy<Value = f32> {
    prop_oneof![6 => -4.0f32..4.0, 1 => Just(0.0), 1 => select(vec![-1.0f32, -0.5, 0.5, 1.0])]
}

pub(crate) fn numbers(len: usize) -> impl Strategy<Value = Vec<f32>> {
    vec(number(), len)
}

/// Any finite number: denormal, huge, ordinary, and tensors of one number only.
pub(crate) fn extremes(len: usize) -> impl Strategy<Value = Vec<f32>> {
    let extreme = prop_oneof![
        number(),
        select(vec![0.0, -0.0, f32::MAX, -f32::MAX, 1e-5, 1e38, -1e30]),
        select(vec![f32::MIN_POSITIVE, 1e-40, -1e-45, 1e-30]),
        any::<f32>().prop_filter("finite", |x| x.is_finite()),
    ];
    let extreme = extreme.boxed();
    prop_oneof![
        3 => vec(extreme.clone(), len),
        1 => extreme.prop_map(move |x| vec![x; len]),
        1 => vec(-4.0f32..-0.1, len),
    ]
}

/// Scales above the guard.
pub(crate) fn scale() -> impl Strategy<Value = f32> {
    0.05f32..3.0
}

/// Scales that act as the guard.
pub(crate) fn guarded_scale() -> impl Strategy<Value = f32> {
    prop_oneof![
        select(vec![0.0f32, -0.0, 1e-5, 1e-6, 1e-40, -1e-5, f32::NAN]),
        -3.0f32..0.0,
    ]
}

pub(crate) fn any_scope() -> impl Strategy<Value = ThresholdScope> {
    select(vec![
        ThresholdScope::Batch,
        ThresholdScope::Sample,
        ThresholdScope::Row,
    ])
}

/// Elements that share an extremum.
pub(crate) fn scope_len(scope: ThresholdScope) -> usize {
    match scope {
        ThresholdScope::Batch => LEN,
        ThresholdScope::Sample => SAMPLE,
        ThresholdScope::Row => SHAPE[3],
    }
}

pub(crate) fn tensor<const D: usize>(
    data: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
}

/// A parameter vector.
pub(crate) fn param(data: &[f32], device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(tensor(data, [data.len()], device))
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_to_vec()
        .expect("the tests use f32 tensors")
}

/// Bit patterns, to compare zeros of either sign and NaN too.
pub(crate) fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}
