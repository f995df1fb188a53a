//! Outputs take allowed levels only, and groups are nested.

use gsb_core::binarize::{
    AttentionBinarizerConfig, ChannelQuantizerConfig, Levels, SCALE_GUARD, SignedBinarizerConfig,
    ThresholdScope, UnsignedBinarizerConfig, ValueBinarizerConfig, WeightBinarizerConfig,
    WeightScale,
};
use proptest::prelude::*;

use crate::inputs::*;

/// Whether `y` is a level of the range times the scale, and which.
fn level(y: f32, scale: f32, (qn, qp): (f32, f32)) -> Option<f32> {
    let level = (y / scale).round();
    (level * scale == y && (qn..=qp).contains(&level)).then_some(level)
}

/// The largest and smallest element of each element's scope.
fn extrema(x: &[f32], scope: ThresholdScope) -> Vec<(f32, f32)> {
    let len = scope_len(scope);
    x.chunks(len)
        .flat_map(|part| {
            let max = part.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let min = part.iter().copied().fold(f32::INFINITY, f32::min);
            vec![(max, min); part.len()]
        })
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn signed(x in extremes(LEN), scale in scale(), bits in 1u8..=8) {
        let device = device();
        let mut binarizer = SignedBinarizerConfig::new().with_bits(bits).init(&device);
        binarizer.scale = param(&[scale], &device);
        for y in values(binarizer.forward(tensor(&x, SHAPE, &device))) {
            prop_assert!(level(y, scale, Levels::signed(bits).range()).is_some(), "{y}");
        }
    }

    #[test]
    fn unsigned(x in numbers(LEN), scale in scale(), bits in 1u8..=8, scope in any_scope()) {
        let device = device();
        let config = UnsignedBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let mut binarizer = config.init(&device);
        binarizer.scale = param(&[scale], &device);
        let (qn, qp) = Levels::unsigned(bits).range();
        let y = values(binarizer.forward(tensor(&x, SHAPE, &device)));
        for (y, (_, min)) in y.into_iter().zip(extrema(&x, scope)) {
            let min = if bits == 1 { 0.0 } else { min };
            let level = ((y - min) / scale).round();
            prop_assert!((qn..=qp).contains(&level) && level * scale + min == y, "{y}");
        }
    }

    #[test]
    fn channels(w in extremes(12), scales in [scale(), scale(), scale()], bits in 1u8..=8) {
        let device = device();
        let mut quantizer = ChannelQuantizerConfig::new(3).with_bits(bits).init(&device);
        quantizer.scale = param(&scales, &device);
        let y = values(quantizer.forward(tensor(&w, [3, 2, 2], &device)));
        for (i, y) in y.into_iter().enumerate() {
            prop_assert!(level(y, scales[i / 4], Levels::signed(bits).range()).is_some(), "{y}");
        }
    }

    #[test]
    fn weight(w in numbers(12), rows in any::<bool>()) {
        let device = device();
        let scale = if rows { WeightScale::Output(0) } else { WeightScale::Tensor };
        let binarizer = WeightBinarizerConfig::new().with_scale(scale).init();
        let y = values(binarizer.forward(tensor(&w, [3, 4], &device)));
        let len = if rows { 4 } else { 12 };
        for (y, w) in y.chunks(len).zip(w.chunks(len)) {
            let mean = w.iter().map(|w| w.abs()).sum::<f32>() / len as f32;
            let magnitudes: Vec<f32> = y.iter().filter(|y| **y != 0.0).map(|y| y.abs()).collect();
            prop_assert!(magnitudes.windows(2).all(|pair| pair[0] == pair[1]), "{y:?}");
            // Twelve terms in any order.
            prop_assert!(magnitudes.iter().all(|s| (s - mean).abs() <= 12.0 * f32::EPSILON * mean));
        }
    }

    #[test]
    fn attention(
        x in extremes(LEN),
        scales in [scale(), scale(), scale()],
        groups in 1usize..=3,
        bits in 1u8..=8,
        scope in any_scope(),
    ) {
        let device = device();
        let config = AttentionBinarizerConfig::new().with_bits(bits).with_groups(groups);
        let mut binarizer = config.with_scope(scope).init(&device);
        binarizer.scales = param(&scales[..groups], &device);
        let top = if bits == 1 { 1 } else { (1u16 << (bits - 1)) - 1 };
        let allowed: Vec<f32> = (0..=top)
            .flat_map(|level| {
                let first = f32::from(level) * scales[0];
                [first, first + scales[1], first + scales[1] + scales[2]].into_iter().take(groups)
            })
            .collect();
        for y in values(binarizer.forward(tensor(&x, SHAPE, &device))) {
            prop_assert!(allowed.contains(&y), "{y} is not one of {allowed:?}");
        }
    }

    #[test]
    fn value(
        x in extremes(LEN),
        scales in [scale(), scale(), scale()],
        groups in 1usize..=3,
        bits in 1u8..=8,
        scope in any_scope(),
    ) {
        let device = device();
        let config = ValueBinarizerConfig::new().with_bits(bits).with_groups(groups);
        let mut binarizer = config.with_scope(scope).init(&device);
        binarizer.scales = param(&scales[..groups], &device);
        let sums = [scales[0], scales[0] + scales[1], scales[0] + scales[1] + scales[2]];
        for y in values(binarizer.forward(tensor(&x, SHAPE, &device))) {
            let allowed = y == 0.0 || sums[..groups].contains(&y.abs());
            prop_assert!(allowed, "{y} is not one of 0, +-{sums:?}");
        }
    }

    /// Scales of 1, 2 and 4 make the groups readable off the output.
    #[test]
    fn attention_groups_are_nested(x in numbers(LEN), scope in any_scope()) {
        let device = device();
        let config = AttentionBinarizerConfig::new().with_scope(scope);
        let mut binarizer = config.init(&device);
        binarizer.scales = param(&[1.0, 2.0, 4.0], &device);
        let y = values(binarizer.forward(tensor(&x, SHAPE, &device)));
        for ((x, y), (max, _)) in x.iter().zip(y).zip(extrema(&x, scope)) {
            let groups = y as u32;
            let (second, third) = (groups & 2 != 0, groups & 4 != 0);
            prop_assert!(second || !third, "{x}: {y}");
            prop_assert_eq!(second, *x > 0.7 * max);
            prop_assert_eq!(third, *x > 0.9 * max);
        }
    }

    #[test]
    fn value_groups_are_nested(x in numbers(LEN), scope in any_scope()) {
        let device = device();
        let config = ValueBinarizerConfig::new().with_scope(scope);
        let mut binarizer = config.init(&device);
        binarizer.scales = param(&[1.0, 2.0, 4.0], &device);
        let y = values(binarizer.forward(tensor(&x, SHAPE, &device)));
        for ((x, y), (max, min)) in x.iter().zip(y).zip(extrema(&x, scope)) {
            let groups = y.abs() as u32;
            let (first, second, third) = (groups & 1 != 0, groups & 2 != 0, groups & 4 != 0);
            prop_assert!((first || !second) && (second || !third), "{x}: {y}");
            // The sign of 0 is 0, whatever groups it is in.
            let beyond = |t: f32| *x != 0.0 && (*x > t * max || *x < t * min);
            prop_assert_eq!(second, beyond(0.7));
            prop_assert_eq!(third, beyond(0.9));
        }
    }

    /// A scale that is not above the guard acts as the guard, and its gradient as that one's.
    #[test]
    fn small_scales_act_as_the_guard(
        x in numbers(LEN),
        g in numbers(LEN),
        small in guarded_scale(),
        bits in 1u8..=8,
    ) {
        let device = device().autodiff();
        let run = |scale: f32| {
            let g = tensor(&g, SHAPE, &device);
            let leaf = || tensor(&x, SHAPE, &device).require_grad();
            let mut outputs = Vec::new();
            macro_rules! run {
                ($config:expr, $scale:ident, $n:expr) => {{
                    let mut binarizer = $config.with_bits(bits).init(&device);
                    binarizer.$scale = param(&[scale; $n], &device);
                    let x = leaf();
                    let y = binarizer.forward(x.clone());
                    let grads = (y.clone() * g.clone()).sum().backward();
                    outputs.push(values(y));
                    outputs.push(x.grad(&grads).map(values).unwrap_or_default());
                    let scale = binarizer.$scale.val();
                    outputs.push(scale.grad(&grads).map(values).unwrap_or_default());
                }};
            }
            run!(SignedBinarizerConfig::new(), scale, 1);
            run!(UnsignedBinarizerConfig::new(), scale, 1);
            run!(AttentionBinarizerConfig::new(), scales, 3);
            run!(ValueBinarizerConfig::new(), scales, 3);
            outputs
        };
        let outputs = run(small);
        prop_assert!(outputs.iter().all(|output| !output.is_empty()));
        prop_assert_eq!(outputs, run(SCALE_GUARD));
    }
}
