//! `c_conv_lsq`: the quantized convolution of the patch embedding.

use burn::nn::conv::Conv2dConfig;
use gsb_core::nn::QuantizedConv2dConfig;

use crate::check::Check;
use crate::fixture::{Case, Values};
use crate::linear::{compare, compare_in};
use crate::module::State;
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<4>("x", &device)?.require_grad();
    let weight = state.param::<4>("weight")?;
    let [ch_out, ch_in, height, width] = weight.val().dims();
    let stride = case.sizes("stride")?;
    let bits = case.bits("nbits")?;
    if bits == 32 {
        // A plain convolution: the scales are there, but have no part in it.
        case.ignore("param.alpha");
        case.ignore("param.init_state");
        let mut conv = Conv2dConfig::new([ch_in, ch_out], [height, width])
            .with_stride(stride)
            .init(&device);
        conv.weight = weight;
        conv.bias = state.bias()?;
        let y = conv.forward(x.clone());
        return compare(case, x, y, |entries| {
            entries.param("weight".to_string(), &conv.weight);
            if let Some(bias) = &conv.bias {
                entries.param("bias".to_string(), bias);
            }
        });
    }
    let mut conv = QuantizedConv2dConfig::new([ch_in, ch_out], [height, width])
        .with_stride(stride)
        .with_bits(bits)
        .init(&device);
    conv.weight = weight;
    conv.bias = state.bias()?;
    conv.weight_quantizer.scale = state.param("alpha")?;
    let initialized = case.scalar("param.init_state")? != 0.0;
    conv.weight_quantizer.calibrated = state.calibrated(&vec![i32::from(initialized); ch_out]);
    // The published layer sets its scales in the first training pass, and never in evaluation.
    let training = case
        .flag("training")
        .ok_or("the configuration has no \"training\"")?;
    if training {
        conv = conv.calibrate();
    }
    let y = conv.forward(x.clone());
    let mut check = Check::new(case);
    compare_in(&mut check, case, x, y, |entries| {
        entries.param("weight".to_string(), &conv.weight);
        if let Some(bias) = &conv.bias {
            entries.param("bias".to_string(), bias);
        }
        entries.param("alpha".to_string(), &conv.weight_quantizer.scale);
    })?;
    if case.has("after.init_state") {
        let flag = f32::from(u8::from(conv.weight_quantizer.is_calibrated()));
        check.equal("after.init_state", Values::scalar(flag));
    }
    check.finish()
}
