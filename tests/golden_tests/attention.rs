//! `c_attention`, and loading the attentions of both stages.

use burn::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::s;
use gsb_core::binarize::{
    AttentionBinarizerConfig, FirstForward, Levels, ThresholdScope, ValueBinarizerConfig,
};
use gsb_core::nn::{
    BinaryAttention, BinaryAttentionConfig, QkvShifts, ShiftedAttention, ShiftedAttentionConfig,
};

use crate::check::Check;
use crate::fixture::Case;
use crate::linear::{binary_entries, compare, compare_in, float_entries, load_binary, load_float};
use crate::module::{Entries, State};
use crate::{Outcome, device};

const VALUE_SCALES: [&str; 3] = ["clip_value", "clip_value2", "clip_value3"];
const ATTENTION_SCALES: [&str; 3] = ["clip_attn", "clip_attn2", "clip_attn3"];

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<3>("x", &device)?.require_grad();
    if !is_binary(&state) {
        let attention = load_shifted(&state)?;
        let y = attention.forward(x.clone());
        return compare(case, x, y, |entries| {
            shifted_entries(&state, &attention, entries);
        });
    }
    let loaded = load_binary_attention(&state)?;
    let (attention, y) = if state.is_first_pass() {
        loaded
            .clone()
            .calibrate_forward(x.clone(), FirstForward::Published)
    } else {
        (loaded.clone(), loaded.forward(x.clone()))
    };
    let mut check = Check::new(case);
    traces(&mut check, case, &loaded)?;
    compare_in(&mut check, case, x, y, |entries| {
        binary_attention_entries(&state, &attention, entries);
    })?;
    check.finish()
}

/// Stage 2: the attention matrix has scales.
pub(crate) fn is_binary(state: &State) -> bool {
    state.has(ATTENTION_SCALES[0])
}

/// What goes into and comes out of each binarizer, each from the stored tensors before it. A
/// calibration leaves scales that are set as they are.
fn traces(check: &mut Check, case: &Case, attention: &BinaryAttention) -> Outcome {
    let stored = |name: &str| case.has(name);
    let device = device();
    let read = |name: &str| case.tensor::<4>(name, &device);
    let (_, joint) = attention
        .qkv
        .clone()
        .calibrate_forward(case.tensor::<3>("x", &device)?);
    let [batch, tokens, width] = joint.dims();
    let [heads, _, channels] = attention.shifts.query.bias.val().dims();
    let joint: Tensor<5> = joint.reshape([batch, tokens, 3, heads, width / 3 / heads]);
    let shifts = &attention.shifts;
    let parts = [
        ("trace.q_in", &shifts.query),
        ("trace.k_in", &shifts.key),
        ("trace.v_in", &shifts.value),
    ];
    for (i, (name, shift)) in parts.into_iter().enumerate() {
        let part: Tensor<4> = joint
            .clone()
            .slice(s![.., .., i..i + 1, .., ..])
            .squeeze_dim(2);
        if stored(name) {
            check.measured(name, shift.forward(part.swap_dims(1, 2)));
        }
    }
    let signed = [
        ("trace.q_in", "trace.q_out", &attention.query),
        ("trace.k_in", "trace.k_out", &attention.key),
    ];
    for (input, output, binarizer) in signed {
        if stored(output) {
            let x = read(input)?;
            check.measured(output, binarizer.clone().calibrate(&x).forward(x));
        }
    }
    if stored("trace.v_out") {
        let first = FirstForward::Published;
        let value = attention.value.clone();
        let (_, y) = value.calibrate_forward(read("trace.v_in")?, first);
        check.measured("trace.v_out", y);
    }
    if stored("trace.attn_in") {
        let scores = read("trace.q_out")?.matmul(read("trace.k_out")?.swap_dims(2, 3));
        let matrix = softmax(scores.div_scalar((channels as f64).sqrt()), 3);
        check.measured("trace.attn_in", attention.attention_shift.forward(matrix));
    }
    if stored("trace.attn_out") {
        let first = FirstForward::Published;
        let binarizer = attention.attention.clone();
        let (_, y) = binarizer.calibrate_forward(read("trace.attn_in")?, first);
        check.measured("trace.attn_out", y);
    }
    Ok(())
}

/// Width, heads, from the shifts `[heads, 1, channels]`.
fn widths(state: &State) -> Result<(usize, usize), String> {
    let shift = state.case.values(&state.stored("move_q.bias"))?;
    match shift.shape[..] {
        [heads, 1, channels] => Ok((heads * channels, heads)),
        _ => Err(format!("a query shift of shape {:?}", shift.shape)),
    }
}

fn load_shifts(state: &State, shifts: &mut QkvShifts) -> Outcome {
    shifts.query.bias = state.param("move_q.bias")?;
    shifts.key.bias = state.param("move_k.bias")?;
    shifts.value.bias = state.param("move_v.bias")?;
    Ok(())
}

fn shift_entries(state: &State, shifts: &QkvShifts, entries: &mut Entries) {
    entries.param(state.name("move_q.bias"), &shifts.query.bias);
    entries.param(state.name("move_k.bias"), &shifts.key.bias);
    entries.param(state.name("move_v.bias"), &shifts.value.bias);
}

pub(crate) fn load_shifted(state: &State) -> Result<ShiftedAttention, String> {
    let (width, heads) = widths(state)?;
    let mut attention = ShiftedAttentionConfig::new(width, heads).init(state.device);
    attention.qkv = load_float(&state.part("qkv"))?;
    attention.output = load_float(&state.part("proj"))?;
    load_shifts(state, &mut attention.shifts)?;
    Ok(attention)
}

pub(crate) fn shifted_entries(state: &State, attention: &ShiftedAttention, entries: &mut Entries) {
    float_entries(&state.part("qkv"), &attention.qkv, entries);
    float_entries(&state.part("proj"), &attention.output, entries);
    shift_entries(state, &attention.shifts, entries);
}

pub(crate) fn load_binary_attention(state: &State) -> Result<BinaryAttention, String> {
    let (width, heads) = widths(state)?;
    let shift = state.param::<3>("move_att.bias")?;
    let [_, tokens, _] = shift.val().dims();
    let scope = ThresholdScope::Batch;
    let mut attention = BinaryAttentionConfig::new(width, heads, tokens)
        .with_attention(AttentionBinarizerConfig::new().with_scope(scope))
        .with_value(ValueBinarizerConfig::new().with_scope(scope))
        .init(state.device);
    attention.qkv = load_binary(&state.part("qkv"), Levels::signed(1))?;
    attention.output = load_binary(&state.part("proj"), Levels::signed(1))?;
    load_shifts(state, &mut attention.shifts)?;
    attention.attention_shift.bias = shift;
    let query = &mut attention.query;
    (query.scale, query.calibrated) = state.scales(&["clip_query"])?;
    let key = &mut attention.key;
    (key.scale, key.calibrated) = state.scales(&["clip_key"])?;
    let value = &mut attention.value;
    (value.scales, value.calibrated) = state.scales(&VALUE_SCALES)?;
    let matrix = &mut attention.attention;
    (matrix.scales, matrix.calibrated) = state.scales(&ATTENTION_SCALES)?;
    Ok(attention)
}

pub(crate) fn binary_attention_entries(
    state: &State,
    attention: &BinaryAttention,
    entries: &mut Entries,
) {
    binary_entries(&state.part("qkv"), &attention.qkv, entries);
    binary_entries(&state.part("proj"), &attention.output, entries);
    shift_entries(state, &attention.shifts, entries);
    let bias = &attention.attention_shift.bias;
    entries.param(state.name("move_att.bias"), bias);
    entries.scales(vec![state.name("clip_query")], &attention.query.scale);
    entries.scales(vec![state.name("clip_key")], &attention.key.scale);
    let names = |names: [&str; 3]| names.map(|name| state.name(name)).to_vec();
    entries.scales(names(VALUE_SCALES), &attention.value.scales);
    entries.scales(names(ATTENTION_SCALES), &attention.attention.scales);
}
