//! `c_linear_stage1`, `c_linear_stage2`.

use burn::Tensor;
use burn::nn::{Linear, LinearConfig};
use gsb_core::binarize::{Levels, ThresholdScope, WeightScale};
use gsb_core::nn::{
    BinaryLinear, BinaryLinearConfig, QuantizedLinear, QuantizedLinearConfig, Shift, ShiftConfig,
    WeightBinaryLinear, WeightBinaryLinearConfig,
};

use crate::check::Check;
use crate::fixture::{Case, Values, by_rank};
use crate::module::{Entries, State};
use crate::{Outcome, device};

pub(crate) fn stage1(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), weight_binary(case))
}

pub(crate) fn stage2(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), binary(case))
}

fn weight_binary<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<D>("x", &device)?.require_grad();
    if case.bits("weight_bits")? == 32 {
        state.case.ignore("param.weight_clip_val");
        let linear = load_float(&state)?;
        let shift = load_shift(&state)?;
        let y = linear.forward(shift.forward(x.clone()));
        return compare(case, x, y, |entries| {
            float_entries(&state, &linear, entries);
            entries.param(state.name("move.bias"), &shift.bias);
        });
    }
    let layer = load_weight_binary(&state)?;
    let y = layer.forward(x.clone());
    compare(case, x, y, |entries| {
        weight_binary_entries(&state, &layer, entries);
    })
}

fn binary<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<D>("x", &device)?.require_grad();
    match case.text("weight_quant_method") {
        Some("bwn") => {
            let layer = load_binary(&state, input_levels(case)?)?;
            let (layer, y) = if state.is_first_pass() {
                layer.calibrate_forward(x.clone())
            } else {
                let y = layer.forward(x.clone());
                (layer, y)
            };
            compare(case, x, y, |entries| {
                binary_entries(&state, &layer, entries)
            })
        }
        Some("elastic") => {
            let layer = load_quantized(&state)?;
            let (layer, y) = if state.is_first_pass() {
                layer.calibrate_forward(x.clone())
            } else {
                let y = layer.forward(x.clone());
                (layer, y)
            };
            compare(case, x, y, |entries| {
                quantized_entries(&state, &layer, entries);
            })
        }
        other => Err(format!("no layer quantizes weights by {other:?}")),
    }
}

/// Runs the backward pass and compares everything.
pub(crate) fn compare<const D: usize, const R: usize>(
    case: &Case,
    x: Tensor<D>,
    y: Tensor<R>,
    collect: impl FnOnce(&mut Entries),
) -> Outcome {
    let mut check = Check::new(case);
    compare_in(&mut check, case, x, y, collect)?;
    check.finish()
}

/// [`compare`], with comparisons left to make.
pub(crate) fn compare_in<const D: usize, const R: usize>(
    check: &mut Check,
    case: &Case,
    x: Tensor<D>,
    y: Tensor<R>,
    collect: impl FnOnce(&mut Entries),
) -> Outcome {
    let grad_out = case.tensor::<R>("grad_out", &x.device())?;
    let grads = (y.clone() * grad_out).sum().backward();
    check.measured("out", y);
    if let Some(got) = check.gradient("grad.x", x.grad(&grads).map(Values::from)) {
        check.measured("grad.x", got);
    }
    let mut entries = Entries::new(&grads);
    collect(&mut entries);
    entries.compare(check, case);
    Ok(())
}

fn input_levels(case: &Case) -> Result<Levels, String> {
    if case.text("input_quant_method") != Some("elastic") {
        return Err("no layer quantizes its input so".to_string());
    }
    let bits = case.bits("input_bits")?;
    match case.flag("symmetric") {
        Some(true) => Ok(Levels::signed(bits)),
        Some(false) => Ok(Levels::unsigned(bits)),
        None => Err("the configuration has no \"symmetric\"".to_string()),
    }
}

/// A row of the files' weight is an output.
fn weight_scale(case: &Case) -> WeightScale {
    if case.flag("weight_layerwise") == Some(false) {
        WeightScale::Output(1)
    } else {
        WeightScale::Tensor
    }
}

pub(crate) fn load_shift(state: &State) -> Result<Shift<1>, String> {
    let bias = state.param::<1>("move.bias")?;
    let mut shift = ShiftConfig::new(bias.val().dims().to_vec()).init(state.device);
    shift.bias = bias;
    Ok(shift)
}

pub(crate) fn load_float(state: &State) -> Result<Linear, String> {
    let weight = state.linear_weight()?;
    let [d_input, d_output] = weight.val().dims();
    let mut linear = LinearConfig::new(d_input, d_output).init(state.device);
    linear.weight = weight;
    linear.bias = state.bias()?;
    Ok(linear)
}

pub(crate) fn float_entries(state: &State, linear: &Linear, entries: &mut Entries) {
    entries.linear_weight(state.name("weight"), &linear.weight);
    if let Some(bias) = &linear.bias {
        entries.param(state.name("bias"), bias);
    }
}

pub(crate) fn load_weight_binary(state: &State) -> Result<WeightBinaryLinear, String> {
    // The published layer keeps a pair of bounds it never uses.
    state.case.ignore(&state.stored("weight_clip_val"));
    let weight = state.linear_weight()?;
    let [d_input, d_output] = weight.val().dims();
    let mut layer = WeightBinaryLinearConfig::new(d_input, d_output)
        .with_weight_scale(weight_scale(state.case))
        .init(state.device);
    layer.weight = weight;
    layer.bias = state.bias()?;
    layer.shift = load_shift(state)?;
    Ok(layer)
}

pub(crate) fn weight_binary_entries(
    state: &State,
    layer: &WeightBinaryLinear,
    entries: &mut Entries,
) {
    entries.linear_weight(state.name("weight"), &layer.weight);
    if let Some(bias) = &layer.bias {
        entries.param(state.name("bias"), bias);
    }
    entries.param(state.name("move.bias"), &layer.shift.bias);
}

pub(crate) fn load_binary(state: &State, input: Levels) -> Result<BinaryLinear, String> {
    use gsb_core::nn::InputBinarizer;
    let weight = state.linear_weight()?;
    let [d_input, d_output] = weight.val().dims();
    let mut layer = BinaryLinearConfig::new(d_input, d_output)
        .with_input(input)
        .with_scope(ThresholdScope::Batch)
        .with_weight_scale(weight_scale(state.case))
        .init(state.device);
    layer.weight = weight;
    layer.bias = state.bias()?;
    layer.shift = load_shift(state)?;
    let scales = state.scales(&["input_clip_val"])?;
    match &mut layer.input {
        InputBinarizer::Signed(binarizer) => (binarizer.scale, binarizer.calibrated) = scales,
        InputBinarizer::Unsigned(binarizer) => (binarizer.scale, binarizer.calibrated) = scales,
    }
    Ok(layer)
}

pub(crate) fn binary_entries(state: &State, layer: &BinaryLinear, entries: &mut Entries) {
    entries.linear_weight(state.name("weight"), &layer.weight);
    if let Some(bias) = &layer.bias {
        entries.param(state.name("bias"), bias);
    }
    entries.param(state.name("move.bias"), &layer.shift.bias);
    entries.scales(vec![state.name("input_clip_val")], layer.input.scale());
}

fn load_quantized(state: &State) -> Result<QuantizedLinear, String> {
    let Levels::Signed(input_bits) = input_levels(state.case)? else {
        return Err("no layer has weights with a learned scale and unsigned inputs".to_string());
    };
    let weight = state.linear_weight()?;
    let [d_input, d_output] = weight.val().dims();
    let mut layer = QuantizedLinearConfig::new(d_input, d_output)
        .with_weight_bits(state.case.bits("weight_bits")?)
        .with_input_bits(input_bits)
        .init(state.device);
    layer.weight = weight;
    layer.bias = state.bias()?;
    layer.shift = load_shift(state)?;
    let scales = state.scales(&["input_clip_val"])?;
    (layer.input.scale, layer.input.calibrated) = scales;
    let scales = state.scales(&["weight_clip_val"])?;
    let quantizer = &mut layer.weight_quantizer;
    (quantizer.scale, quantizer.calibrated) = scales;
    Ok(layer)
}

fn quantized_entries(state: &State, layer: &QuantizedLinear, entries: &mut Entries) {
    entries.linear_weight(state.name("weight"), &layer.weight);
    if let Some(bias) = &layer.bias {
        entries.param(state.name("bias"), bias);
    }
    entries.param(state.name("move.bias"), &layer.shift.bias);
    entries.scales(vec![state.name("input_clip_val")], &layer.input.scale);
    let quantizer = &layer.weight_quantizer;
    entries.scales(vec![state.name("weight_clip_val")], &quantizer.scale);
}
