//! What both superposition binarizers share.

use burn::Tensor;
use burn::module::Content;

use crate::ops::{Superposition, ThresholdScope};

/// `x` where the mask, made of the rows of its scopes, is set, and 0 elsewhere.
pub(super) fn keep<const D: usize>(
    x: &Tensor<D>,
    mask: impl FnOnce(Tensor<2>) -> Tensor<2, burn::tensor::Bool>,
    scope: ThresholdScope,
) -> Tensor<D> {
    let shape = x.shape();
    let (scopes, len) = scope.split(shape.as_slice());
    let rows: Tensor<2> = x.clone().reshape([scopes, len]);
    let outside = mask(rows.clone()).bool_not();
    rows.mask_fill(outside, 0.0).reshape(shape)
}

/// The shares of the elements in groups, `[groups]`, from the elements of each, others being 0.
pub(super) fn shares<const D: usize>(groups: Vec<Tensor<D>>) -> Tensor<1> {
    let shares = groups.into_iter().map(|group| group.sign().abs().mean());
    Tensor::cat(shares.collect(), 0)
}

/// The thresholds that `groups` groups use.
pub(super) fn checked_thresholds(groups: usize, thresholds: &[f32]) -> Vec<f32> {
    assert!(groups > 0, "a superposition has at least 1 group, got 0");
    assert!(
        groups <= thresholds.len() + 1,
        "a superposition of {groups} groups needs {} thresholds, got {}",
        groups - 1,
        thresholds.len()
    );
    let thresholds = &thresholds[..groups - 1];
    let ascending = thresholds.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(
        ascending && thresholds.iter().all(|&t| t > 0.0 && t <= 1.0),
        "thresholds of a superposition ascend within (0, 1], got {thresholds:?}"
    );
    thresholds.to_vec()
}

pub(super) fn describe(content: Content, bits: u8, spec: &Superposition) -> Content {
    content
        .add("bits", &usize::from(bits))
        .add("groups", &spec.groups())
        .add_debug_attribute("thresholds", &spec.thresholds)
        .add_debug_attribute("scope", &spec.scope)
}
