//! Nothing infinite and no NaN comes from finite numbers.

use burn::Tensor;
use burn::tensor::{Device, Gradients};
use gsb_core::binarize::{
    AttentionBinarizerConfig, ChannelQuantizerConfig, FirstForward, SignedBinarizerConfig,
    UnsignedBinarizerConfig, ValueBinarizerConfig, WeightBinarizerConfig, WeightScale,
};
use gsb_core::nn::{BinaryAttentionConfig, QuantizedLinearConfig, Stage2BlockConfig};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::inputs::*;

type Outcome = Result<(), TestCaseError>;

fn finite<const D: usize>(what: &str, tensor: Tensor<D>) -> Outcome {
    let values = values(tensor);
    prop_assert!(values.iter().all(|x| x.is_finite()), "{what}: {values:?}");
    Ok(())
}

fn finite_gradient<const D: usize>(what: &str, of: &Tensor<D>, grads: &Gradients) -> Outcome {
    match of.grad(grads) {
        Some(grad) => finite(what, grad),
        None => Err(TestCaseError::fail(format!("{what}: there is none"))),
    }
}

/// Checks the output, and the gradients that the upstream gradient `g` makes. Their product may
/// overflow; its sum is only what the backward pass starts from.
fn finite_passes<const D: usize>(
    what: &str,
    x: &Tensor<D>,
    y: Tensor<D>,
    g: &[f32],
    scales: Option<Tensor<1>>,
) -> Outcome {
    let g = tensor(g, x.dims(), &x.device());
    finite(&format!("{what}: output"), y.clone())?;
    let grads = (y * g).sum().backward();
    finite_gradient(&format!("{what}: gradient"), x, &grads)?;
    match scales {
        Some(scales) => finite_gradient(&format!("{what}: scales' gradient"), &scales, &grads),
        None => Ok(()),
    }
}

fn tracking() -> Device {
    device().autodiff()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn binarizers(
        x in extremes(LEN),
        g in numbers(LEN),
        scales in [any_scale(), any_scale(), any_scale()],
        bits in 1u8..=8,
        scope in any_scope(),
    ) {
        let device = tracking();
        let leaf = || tensor(&x, SHAPE, &device).require_grad();

        let mut signed = SignedBinarizerConfig::new().with_bits(bits).init(&device);
        signed.scale = param(&scales[..1], &device);
        let x = leaf();
        let y = signed.forward(x.clone());
        finite_passes("signed", &x, y, &g, Some(signed.scale.val()))?;

        let config = UnsignedBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let mut unsigned = config.init(&device);
        unsigned.scale = param(&scales[..1], &device);
        let x = leaf();
        let y = unsigned.forward(x.clone());
        finite_passes("unsigned", &x, y, &g, Some(unsigned.scale.val()))?;

        let config = AttentionBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let mut attention = config.init(&device);
        attention.scales = param(&scales, &device);
        let x = leaf();
        let y = attention.forward(x.clone());
        finite_passes("attention", &x, y, &g, Some(attention.scales.val()))?;

        let config = ValueBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let mut value = config.init(&device);
        value.scales = param(&scales, &device);
        let x = leaf();
        let y = value.forward(x.clone());
        finite_passes("value", &x, y, &g, Some(value.scales.val()))?;
    }

    #[test]
    fn weights(
        w in extremes(12),
        g in numbers(12),
        scales in [any_scale(), any_scale(), any_scale()],
        bits in 1u8..=8,
    ) {
        let device = tracking();
        for scale in [WeightScale::Tensor, WeightScale::Output(0), WeightScale::Output(1)] {
            let w = tensor(&w, [3, 4], &device).require_grad();
            let y = WeightBinarizerConfig::new().with_scale(scale).init().forward(w.clone());
            finite_passes("weight", &w, y, &g, None)?;
        }
        let mut quantizer = ChannelQuantizerConfig::new(3).with_bits(bits).init(&device);
        quantizer.scale = param(&scales, &device);
        let leaf = tensor(&w, [3, 2, 2], &device).require_grad();
        let y = quantizer.forward(leaf.clone());
        finite_passes("channels", &leaf, y, &g, Some(quantizer.scale.val()))?;
        let quantizer = ChannelQuantizerConfig::new(3).with_bits(bits).init(&device);
        finite("channels: scales", quantizer.calibrate(&leaf).scale.val())?;
    }

    /// Scales set from the data themselves are finite.
    #[test]
    fn calibration(x in extremes(LEN), bits in 1u8..=8, scope in any_scope()) {
        let device = device();
        let x = tensor(&x, SHAPE, &device);
        let signed = SignedBinarizerConfig::new().with_bits(bits).init(&device);
        finite("signed", signed.calibrate(&x).scale.val())?;
        let unsigned = UnsignedBinarizerConfig::new().with_bits(bits).init(&device);
        finite("unsigned", unsigned.calibrate(&x).scale.val())?;
        let config = AttentionBinarizerConfig::new().with_bits(bits).with_scope(scope);
        finite("attention", config.init(&device).calibrate(&x).scales.val())?;
        let config = ValueBinarizerConfig::new().with_bits(bits).with_scope(scope);
        finite("value", config.init(&device).calibrate(&x).scales.val())?;
    }

    /// The pass that calibrates is finite where sums of three scales are representable: a scale
    /// is at most four times the largest input.
    #[test]
    fn calibrating_passes(
        x in extremes(LEN),
        g in numbers(LEN),
        bits in 1u8..=8,
        scope in any_scope(),
        published in any::<bool>(),
    ) {
        let device = tracking();
        let first = if published { FirstForward::Published } else { FirstForward::Stored };
        let x: Vec<f32> = x.iter().map(|x| x.clamp(-1e36, 1e36)).collect();
        let leaf = || tensor(&x, SHAPE, &device).require_grad();

        let config = AttentionBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let x = leaf();
        let (attention, y) = config.init(&device).calibrate_forward(x.clone(), first);
        prop_assert!(attention.is_calibrated());
        finite_passes("attention", &x, y, &g, Some(attention.scales.val()))?;

        let config = ValueBinarizerConfig::new().with_bits(bits).with_scope(scope);
        let x = leaf();
        let (value, y) = config.init(&device).calibrate_forward(x.clone(), first);
        prop_assert!(value.is_calibrated());
        finite_passes("value", &x, y, &g, Some(value.scales.val()))?;
    }

    /// Whole layers on ordinary, constant and all-zero inputs.
    #[test]
    fn layers(
        x in prop_oneof![numbers(80), number().prop_map(|x| vec![x; 80])],
        g in numbers(80),
        published in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let device = tracking();
        device.seed(seed);
        let first = if published { FirstForward::Published } else { FirstForward::Stored };
        let leaf = || tensor(&x, [2, 5, 8], &device).require_grad();

        let x = leaf();
        let attention = BinaryAttentionConfig::new(8, 2, 5).init(&device);
        let (attention, y) = attention.calibrate_forward(x.clone(), first);
        finite_passes("attention", &x, y, &g, Some(attention.attention.scales.val()))?;
        let y = attention.forward(x.clone());
        finite_passes("attention again", &x, y, &g, Some(attention.value.scales.val()))?;

        let x = leaf();
        let block = Stage2BlockConfig::new(8, 2, 5, 32).init(&device);
        let (block, y) = block.calibrate_forward(x.clone(), first);
        finite_passes("block", &x, y, &g, Some(block.mlp.fc2.input.scale().val()))?;
        let y = block.forward(x.clone());
        finite_passes("block again", &x, y, &g, Some(block.attention.value.scales.val()))?;

        let x = leaf();
        let head = QuantizedLinearConfig::new(8, 8).init(&device);
        let (head, y) = head.calibrate_forward(x.clone());
        finite_passes("head", &x, y, &g, Some(head.weight_quantizer.scale.val()))?;
    }
}

/// Above the guard, at it, or below.
fn any_scale() -> impl Strategy<Value = f32> {
    prop_oneof![3 => scale(), 1 => guarded_scale().prop_filter("finite", |a| a.is_finite())]
}
