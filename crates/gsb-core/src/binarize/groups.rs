//! What both superposition binarizers share.

use burn::Tensor;

use crate::ops::ThresholdScope;

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

/// The methods that both superposition binarizers have beside a `measure` of their own. They are not those of a struct
/// that each holds: the fields of a module name its parameters in a record.
macro_rules! superposition_methods {
    ($binarizer:ident) => {
        impl $binarizer {
            /// Hands on a [share](Blend) of the binarized value.
            pub fn with_blend(mut self, blend: $crate::binarize::Blend) -> Self {
                self.blend = blend;
                self
            }

            /// Sets the scales from `x` that have not been set before.
            pub fn calibrate<const D: usize>(self, x: &burn::Tensor<D>) -> Self {
                let first = $crate::binarize::FirstForward::Stored;
                self.calibrate_forward(x.clone(), first).0
            }

            /// [Calibrates](Self::calibrate), then binarizes `x` as `first` says.
            pub fn calibrate_forward<const D: usize>(
                mut self,
                x: burn::Tensor<D>,
                first: $crate::binarize::FirstForward,
            ) -> (Self, burn::Tensor<D>) {
                use $crate::binarize::FirstForward;
                use $crate::binarize::scale::{first_forward, settle};

                let measured = self.measure(&x);
                let was_fresh = self.calibrated.val().equal_scalar(0);
                (self.scales, self.calibrated) =
                    settle(self.scales, self.calibrated, measured.scale);
                let stored = self.scales.val();
                let scales = match first {
                    FirstForward::Stored => stored,
                    FirstForward::Published => first_forward(stored, was_fresh, measured.empty),
                };
                let binarize = |x| $crate::ops::superpose(x, scales, &self.spec);
                let y = self.blend.mix(x, binarize);
                (self, y)
            }

            /// Whether every scale has been set from data. Waits for the device.
            pub fn is_calibrated(&self) -> bool {
                $crate::binarize::scale::all_calibrated(&self.calibrated)
            }

            /// Number of groups.
            pub fn groups(&self) -> usize {
                self.spec.groups()
            }

            /// Thresholds, range of levels and scope.
            pub fn superposition(&self) -> &$crate::ops::Superposition {
                &self.spec
            }
        }

        impl burn::module::ModuleDisplay for $binarizer {
            fn custom_settings(&self) -> Option<burn::module::DisplaySettings> {
                $crate::display::one_line()
            }

            fn custom_content(
                &self,
                content: burn::module::Content,
            ) -> Option<burn::module::Content> {
                let content = content
                    .add("bits", &usize::from(self.bits))
                    .add("groups", &self.spec.groups())
                    .add_debug_attribute("thresholds", &self.spec.thresholds)
                    .add_debug_attribute("scope", &self.spec.scope);
                content.optional()
            }
        }
    };
}

pub(super) use superposition_methods;
