//! Scales that start from data.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Int;

use crate::binarize::{
    AttentionBinarizer, ChannelQuantizer, SignedBinarizer, UnsignedBinarizer, ValueBinarizer,
};
use crate::nn::{
    BinaryAttention, BinaryLinear, BinaryMlp, InputBinarizer, QuantizedConv2d, QuantizedLinear,
    Stage2Block,
};

/// What has learned scales that start from data: binarizers, layers and models.
///
/// Each has a method of that name too; the trait is for code that takes any of them. An uncalibrated
/// scale is 1 and does not fail, it only learns badly: [`uncalibrated`] tells what was forgotten.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_core::nn::{BinaryLinearConfig, BinaryMlpConfig};
/// use gsb_core::{Calibrate, uncalibrated};
///
/// /// Two layers, one after the other.
/// fn both<A: Calibrate<Tensor<2>>, B: Calibrate<Tensor<2>>>(a: A, b: B, x: &Tensor<2>) -> (A, B) {
///     (a.calibrate(x), b.calibrate(x))
/// }
///
/// let device = Device::default();
/// let x = Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
/// let (layer, mlp) = both(
///     BinaryLinearConfig::new(8, 3).init(&device),
///     BinaryMlpConfig::new(8, 32).init(&device),
///     &x,
/// );
/// assert!(uncalibrated(&layer).is_empty() && uncalibrated(&mlp).is_empty());
/// ```
pub trait Calibrate<Input>: Sized {
    /// Sets the scales that have not been set before from an input, layer after layer.
    fn calibrate(self, input: &Input) -> Self;
}

/// The trait by the method of the same name.
macro_rules! calibrated_by {
    ($rank:ident: $($module:ty),+) => {
        $(
            impl<const $rank: usize> Calibrate<Tensor<$rank>> for $module {
                fn calibrate(self, input: &Tensor<$rank>) -> Self {
                    <$module>::calibrate(self, input)
                }
            }
        )+
    };
    ($rank:literal: $($module:ty),+) => {
        $(
            impl Calibrate<Tensor<$rank>> for $module {
                fn calibrate(self, input: &Tensor<$rank>) -> Self {
                    <$module>::calibrate(self, input)
                }
            }
        )+
    };
}

calibrated_by!(D: SignedBinarizer, UnsignedBinarizer, AttentionBinarizer, ValueBinarizer, InputBinarizer);
calibrated_by!(D: BinaryLinear, QuantizedLinear, BinaryMlp);
calibrated_by!(3: BinaryAttention, Stage2Block);

/// From the weight that it quantizes.
impl<const D: usize> Calibrate<Tensor<D>> for ChannelQuantizer {
    fn calibrate(self, weight: &Tensor<D>) -> Self {
        Self::calibrate(self, weight)
    }
}

/// From its weight, whatever the input.
impl Calibrate<Tensor<4>> for QuantizedConv2d {
    fn calibrate(self, _input: &Tensor<4>) -> Self {
        Self::calibrate(self)
    }
}

/// The paths of a module's scales that no data have ever set, in its order, as Burn's records name them; none if it
/// is calibrated.
///
/// A scale beside a state `calibrated`, as the binarizers of this crate have, is one that starts from
/// data; the state is part of a record, so that a model that was saved tells the same once it is
/// loaded. Superpositions have a scale for each group; one unset makes them uncalibrated. Waits for the
/// device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::BinaryLinearConfig;
/// use gsb_core::uncalibrated;
///
/// let device = Device::default();
/// let layer = BinaryLinearConfig::new(2, 3).init(&device);
/// assert_eq!(uncalibrated(&layer), ["input.Signed.scale"]);
/// let layer = layer.calibrate(&Tensor::<2>::ones([1, 2], &device));
/// assert!(uncalibrated(&layer).is_empty());
/// ```
pub fn uncalibrated<M: Module>(module: &M) -> Vec<String> {
    let mut search = Search::default();
    module.visit(&mut search);
    search.unset
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    /// The path of the last float parameter: a scale stands before its state.
    last: String,
    unset: Vec<String>,
}

impl ModuleVisitor for Search {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.last = self.path.join(".");
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let Some((name, module)) = self.path.split_last() else {
            return;
        };
        let of_scale = |scale: &str| {
            let parts = module.iter().map(String::as_str).chain([scale]);
            self.last == parts.collect::<Vec<_>>().join(".")
        };
        let is_state = name == "calibrated" && (of_scale("scale") || of_scale("scales"));
        if is_state && param.val().into_data().iter::<i64>().any(|set| set == 0) {
            self.unset.push(self.last.clone());
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::binarize::AttentionBinarizerConfig;
    use crate::nn::Stage2BlockConfig;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn every_scale_of_a_block_is_found() {
        let device = Device::flex();
        let block = Stage2BlockConfig::new(8, 2, 5, 16).init(&device);
        let expected = [
            "attention.qkv.input.Signed.scale",
            "attention.query.scale",
            "attention.key.scale",
            "attention.value.scales",
            "attention.attention.scales",
            "attention.output.input.Signed.scale",
            "mlp.fc1.input.Signed.scale",
            "mlp.fc2.input.Unsigned.scale",
        ];
        assert_eq!(uncalibrated(&block), expected);
        let x = Tensor::<3>::random([2, 5, 8], Distribution::Default, &device);
        assert!(uncalibrated(&Calibrate::calibrate(block, &x)).is_empty());
    }

    #[test]
    fn a_single_group_without_data_is_seen() {
        let device = Device::flex();
        let x = Tensor::<1>::from_floats([0.2, 0.8, 1.0], &device);
        let mut binarizer = AttentionBinarizerConfig::new().init(&device).calibrate(&x);
        assert!(uncalibrated(&binarizer).is_empty());
        let state = Tensor::from_ints([1, 0, 1], &device);
        binarizer.calibrated = Param::initialized(binarizer.calibrated.id, state);
        assert_eq!(uncalibrated(&binarizer), ["scales"]);
    }
}
