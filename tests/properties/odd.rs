//! What mirrors its input mirrors its output.

use gsb_core::binarize::{
    SignedBinarizerConfig, ValueBinarizerConfig, WeightBinarizerConfig, WeightScale,
};
use proptest::prelude::*;

use crate::inputs::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn signed_of_one_bit(x in extremes(LEN), scale in scale()) {
        let device = device();
        let mut binarizer = SignedBinarizerConfig::new().init(&device);
        binarizer.scale = param(&[scale], &device);
        let x = tensor(&x, SHAPE, &device);
        let y = values(binarizer.forward(x.clone()));
        prop_assert_eq!(values(binarizer.forward(x.neg()).neg()), y);
    }

    #[test]
    fn value(x in extremes(LEN), scales in [scale(), scale(), scale()], scope in any_scope()) {
        let device = device();
        let config = ValueBinarizerConfig::new().with_scope(scope);
        let mut binarizer = config.init(&device);
        binarizer.scales = param(&scales, &device);
        let x = tensor(&x, SHAPE, &device);
        let y = values(binarizer.forward(x.clone()));
        prop_assert_eq!(values(binarizer.forward(x.neg()).neg()), y);
    }

    #[test]
    fn weight(w in extremes(12), rows in any::<bool>()) {
        let device = device();
        let scale = if rows { WeightScale::Output(1) } else { WeightScale::Tensor };
        let binarizer = WeightBinarizerConfig::new().with_scale(scale).init();
        let w = tensor(&w, [3, 4], &device);
        let y = values(binarizer.forward(w.clone()));
        prop_assert_eq!(values(binarizer.forward(w.neg()).neg()), y);
    }
}
