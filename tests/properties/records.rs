//! Saving and loading changes no bit of any module, and loses no calibration.

use burn::Tensor;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use gsb_core::binarize::{
    AttentionBinarizerConfig, ChannelQuantizerConfig, Levels, SignedBinarizerConfig,
    UnsignedBinarizerConfig, ValueBinarizerConfig, WeightBinarizerConfig, WeightScale,
};
use gsb_core::nn::{
    BinaryAttentionConfig, BinaryLinearConfig, BinaryMlpConfig, DropPathConfig,
    QuantizedConv2dConfig, QuantizedLinearConfig, Shift, ShiftConfig, ShiftedAttentionConfig,
    Stage1BlockConfig, Stage2BlockConfig, WeightBinaryLinearConfig, WeightBinaryMlpConfig,
    layer_norm,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::inputs::*;

type Outcome = Result<(), TestCaseError>;

/// `fresh` with the state of `module`, which has been bytes in between.
fn reloaded<M: Module>(module: M, fresh: M) -> Result<M, TestCaseError> {
    let fail = |error: burn::store::RecordError| TestCaseError::fail(error.to_string());
    let bytes = module.into_record().into_bytes().map_err(fail)?;
    let record = ModuleRecord::from_bytes(bytes).map_err(fail)?;
    fresh.try_load_record(record).map_err(fail)
}

/// A module, once loaded into a fresh one, gives the same output bit by bit.
fn survives<M: Module + Clone, const D: usize>(
    module: &M,
    fresh: M,
    forward: impl Fn(&M) -> Tensor<D>,
) -> Result<M, TestCaseError> {
    let loaded = reloaded(module.clone(), fresh)?;
    prop_assert_eq!(bits(forward(&loaded)), bits(forward(module)));
    Ok(loaded)
}

/// As [`survives`], for modules with scales: calibrated on `x` before, they do not calibrate again
/// on other data; uncalibrated before, they still do.
macro_rules! survives_calibrated {
    ($init:expr, $x:expr, $other:expr) => {{
        let calibrated = $init.calibrate(&$x);
        let loaded = survives(&calibrated, $init, |module| module.forward($x.clone()))?;
        let again = loaded.calibrate(&$other);
        let outputs = (
            bits(again.forward($other.clone())),
            bits(calibrated.forward($other.clone())),
        );
        prop_assert_eq!(outputs.0, outputs.1);
        let uncalibrated = $init;
        let loaded = survives(&uncalibrated, $init, |module| module.forward($x.clone()))?;
        let outputs = (
            bits(loaded.calibrate(&$x).forward($x.clone())),
            bits(uncalibrated.calibrate(&$x).forward($x.clone())),
        );
        prop_assert_eq!(outputs.0, outputs.1);
    }};
}

fn binarizers(x: &Tensor<4>, other: &Tensor<4>, few: u8, device: &Device) -> Outcome {
    survives_calibrated!(
        SignedBinarizerConfig::new().with_bits(few).init(device),
        x,
        other
    );
    survives_calibrated!(
        UnsignedBinarizerConfig::new().with_bits(few).init(device),
        x,
        other
    );
    survives_calibrated!(
        AttentionBinarizerConfig::new().with_bits(few).init(device),
        x,
        other
    );
    survives_calibrated!(
        ValueBinarizerConfig::new().with_bits(few).init(device),
        x,
        other
    );
    survives_calibrated!(
        ChannelQuantizerConfig::new(3).with_bits(few).init(device),
        x,
        other
    );
    let weight = WeightBinarizerConfig::new()
        .with_scale(WeightScale::Output(0))
        .init();
    survives(&weight, weight.clone(), |module| module.forward(x.clone()))?;
    Ok(())
}

fn layers(x: &Tensor<3>, other: &Tensor<3>, few: u8, device: &Device) -> Outcome {
    for input in [Levels::signed(few), Levels::unsigned(few)] {
        let config = BinaryLinearConfig::new(8, 3).with_input(input);
        survives_calibrated!(config.init(device), x, other);
    }
    survives_calibrated!(QuantizedLinearConfig::new(8, 3).init(device), x, other);
    survives_calibrated!(BinaryMlpConfig::new(8, 16).init(device), x, other);
    let config = BinaryAttentionConfig::new(8, 2, 5);
    survives_calibrated!(config.init(device), x, other);
    survives_calibrated!(Stage2BlockConfig::new(8, 2, 5, 32).init(device), x, other);

    let forward = |module: &gsb_core::nn::WeightBinaryLinear| module.forward(x.clone());
    let config = WeightBinaryLinearConfig::new(8, 3);
    survives(&config.init(device), config.init(device), forward)?;
    let forward = |module: &gsb_core::nn::WeightBinaryMlp| module.forward(x.clone());
    let config = WeightBinaryMlpConfig::new(8, 16);
    survives(&config.init(device), config.init(device), forward)?;
    let forward = |module: &gsb_core::nn::ShiftedAttention| module.forward(x.clone());
    let config = ShiftedAttentionConfig::new(8, 2);
    survives(&config.init(device), config.init(device), forward)?;
    let forward = |module: &gsb_core::nn::Stage1Block| module.forward(x.clone());
    let config = Stage1BlockConfig::new(8, 2, 32);
    survives(&config.init(device), config.init(device), forward)?;

    let init = || ShiftConfig::new(vec![8]).init(device);
    let mut shift: Shift<1> = init();
    shift.bias = param(&values(x.clone())[..8], device);
    survives(&shift, init(), |module| module.forward(x.clone()))?;
    let mut norm = layer_norm(8).init(device);
    norm.gamma = param(&values(x.clone())[..8], device);
    let fresh = layer_norm(8).init(device);
    survives(&norm, fresh, |module| module.forward(x.clone()))?;
    let drop_path = DropPathConfig::new().with_prob(0.5).init();
    survives(&drop_path, drop_path.clone(), |module| {
        module.forward(x.clone())
    })?;
    Ok(())
}

/// Its scales come from the weight: calibrated before, another weight does not change them.
fn convolution(x: &Tensor<4>, device: &Device) -> Outcome {
    let init = || QuantizedConv2dConfig::new([2, 4], [2, 2]).init(device);
    let conv = init().calibrate();
    let mut loaded = survives(&conv, init(), |module| module.forward(x.clone()))?;
    prop_assert!(loaded.weight_quantizer.is_calibrated());
    loaded.weight = init().weight;
    let scale = loaded.calibrate().weight_quantizer.scale;
    prop_assert_eq!(bits(scale.val()), bits(conv.weight_quantizer.scale.val()));
    let fresh = survives(&init(), init(), |module| module.weight.val())?;
    prop_assert!(!fresh.weight_quantizer.is_calibrated());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_module_survives(
        x in numbers(LEN),
        other in numbers(LEN),
        tokens in [numbers(80), numbers(80)],
        few in 1u8..=8,
        seed in any::<u64>(),
    ) {
        let device = device();
        device.seed(seed);
        let (x, other) = (tensor(&x, SHAPE, &device), tensor(&other, SHAPE, &device));
        binarizers(&x, &other, few, &device)?;
        convolution(&x, &device)?;
        let [x, other] = tokens.map(|tokens| tensor(&tokens, [2, 5, 8], &device));
        layers(&x, &other, few, &device)?;
    }

    /// A scale that was set and one that was not are told apart after loading.
    #[test]
    fn every_flag_survives(x in numbers(LEN), flags in [0i32..2, 0i32..2, 0i32..2]) {
        let device = device();
        let init = || AttentionBinarizerConfig::new().init(&device);
        let mut binarizer = init();
        binarizer.calibrated = binarizer
            .calibrated
            .map(|_| Tensor::from_ints(flags.as_slice(), &device));
        let loaded = reloaded(binarizer, init())?;
        let scales = values(loaded.calibrate(&tensor(&x, SHAPE, &device)).scales.val());
        let all = values(init().calibrate(&tensor(&x, SHAPE, &device)).scales.val());
        for k in 0..3 {
            prop_assert_eq!(scales[k], if flags[k] == 1 { 1.0 } else { all[k] });
        }
    }
}
