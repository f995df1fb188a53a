//! A sample's output does not depend on what else is in its batch, nor a row's on other rows.

use gsb_core::binarize::{
    AttentionBinarizerConfig, ThresholdScope, UnsignedBinarizerConfig, ValueBinarizerConfig,
};
use gsb_core::nn::{BinaryAttentionConfig, Stage2BlockConfig};
use proptest::prelude::*;

use crate::inputs::*;

/// Runs a module on a sample alone, with others, and with others again, in the same place.
macro_rules! assert_alone {
    ($module:expr, $sample:expr, $others:expr, $shape:expr, $device:expr) => {{
        let batch = $shape[0];
        let n = $sample.len();
        for place in 0..batch {
            let mut alone = $shape;
            alone[0] = 1;
            let alone = bits($module.forward(tensor(&$sample, alone, $device)));
            for others in $others.iter() {
                let mut x: Vec<f32> = others.clone();
                x[place * n..(place + 1) * n].copy_from_slice(&$sample);
                let together = bits($module.forward(tensor(&x, $shape, $device)));
                prop_assert_eq!(&alone[..], &together[place * n..(place + 1) * n]);
            }
        }
    }};
}

/// Batch, tokens and width of the layers' inputs.
const TOKENS: [usize; 3] = [3, 5, 8];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn binarizers_see_one_sample(
        sample in numbers(SAMPLE),
        others in [numbers(LEN), numbers(LEN)],
        scales in [scale(), scale(), scale()],
        bits in 1u8..=8,
    ) {
        let device = &device();
        let mut unsigned = UnsignedBinarizerConfig::new().with_bits(bits).init(device);
        unsigned.scale = param(&scales[..1], device);
        assert_alone!(unsigned, sample, others, SHAPE, device);
        let mut attention = AttentionBinarizerConfig::new().with_bits(bits).init(device);
        attention.scales = param(&scales, device);
        assert_alone!(attention, sample, others, SHAPE, device);
        let mut value = ValueBinarizerConfig::new().with_bits(bits).init(device);
        value.scales = param(&scales, device);
        assert_alone!(value, sample, others, SHAPE, device);
    }

    #[test]
    fn binarizers_see_one_row(
        row in numbers(4),
        others in [numbers(LEN), numbers(LEN)],
        scales in [scale(), scale(), scale()],
        bits in 1u8..=8,
    ) {
        // Seen as rows: a sample of one row each.
        const ROWS: [usize; 2] = [LEN / 4, 4];
        let device = &device();
        let scope = ThresholdScope::Row;
        let config = UnsignedBinarizerConfig::new().with_bits(bits);
        let mut unsigned = config.with_scope(scope).init(device);
        unsigned.scale = param(&scales[..1], device);
        assert_alone!(unsigned, row, others, ROWS, device);
        let config = AttentionBinarizerConfig::new().with_bits(bits);
        let mut attention = config.with_scope(scope).init(device);
        attention.scales = param(&scales, device);
        assert_alone!(attention, row, others, ROWS, device);
        let config = ValueBinarizerConfig::new().with_bits(bits);
        let mut value = config.with_scope(scope).init(device);
        value.scales = param(&scales, device);
        assert_alone!(value, row, others, ROWS, device);
        // And the same rows within samples and heads.
        let flat = values(value.forward(tensor(&others[0], ROWS, device)));
        let nested = values(value.forward(tensor(&others[0], SHAPE, device)));
        prop_assert_eq!(flat, nested);
    }

    #[test]
    fn one_sample_is_the_whole_batch(x in numbers(SAMPLE), scales in [scale(), scale(), scale()]) {
        let device = device();
        let run = |scope: ThresholdScope| {
            let x = tensor(&x, [1, 2, 3, 4], &device);
            let mut attention = AttentionBinarizerConfig::new().with_scope(scope).init(&device);
            attention.scales = param(&scales, &device);
            let mut value = ValueBinarizerConfig::new().with_scope(scope).init(&device);
            value.scales = param(&scales, &device);
            (values(attention.forward(x.clone())), values(value.forward(x)))
        };
        prop_assert_eq!(run(ThresholdScope::Sample), run(ThresholdScope::Batch));
    }

    #[test]
    fn layers_see_one_sample(
        sample in numbers(40),
        others in [numbers(120), numbers(120)],
        calibration in numbers(120),
        seed in any::<u64>(),
    ) {
        let device = &device();
        device.seed(seed);
        let batch = tensor(&calibration, TOKENS, device);
        let attention = BinaryAttentionConfig::new(8, 2, 5).init(device).calibrate(&batch);
        assert_alone!(attention, sample, others, TOKENS, device);
        let block = Stage2BlockConfig::new(8, 2, 5, 32).init(device).calibrate(&batch);
        assert_alone!(block, sample, others, TOKENS, device);
    }
}
