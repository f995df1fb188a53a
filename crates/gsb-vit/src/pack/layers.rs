//! Layer by layer: the weights as the model's binarizers make them.

use gsb_core::binarize::{Levels, WeightScale};
use gsb_core::nn::{
    BinaryAttention, BinaryLinear, LAYER_NORM_EPSILON, LayerNorm, QuantizedConv2d, QuantizedLinear,
    Stage2Block,
};
use gsb_core::ops::{Superposed, Superposition};
use gsb_numerics::nonzero;
use gsb_packed::{
    Attention, BinaryLinear as PackedLinear, Block, GROUP_THRESHOLDS, Head,
    LayerNorm as PackedNorm, PatchEmbedding, SignMatrix,
};

use super::read::{floats, guarded, guarded_one, parameter, refusal};
use crate::{Error, VitConfig};

pub(super) fn patch_embedding(
    layer: &QuantizedConv2d,
    config: &VitConfig,
) -> Result<PatchEmbedding, Error> {
    let name = "patch_embedding";
    let (patch, channels, width) = (config.patch_size, config.channels, config.width);
    let shape = layer.weight.dims();
    if shape != [width, channels, patch, patch] || layer.stride != [patch; 2] {
        let stride = layer.stride;
        let reason =
            format!("weight {shape:?} and stride {stride:?} do not cut patches of {patch} pixels");
        return Err(refusal(name, reason));
    }
    let quantizer = &layer.weight_quantizer;
    let expected = Levels::signed(config.stage2.patch_bits);
    bits(name, quantizer.levels(), expected)?;
    let scale_name = format!("{name}.weight_quantizer.scale");
    let mut scales = parameter(&scale_name, &quantizer.scale)?;
    for scale in &mut scales {
        *scale = nonzero(*scale);
    }
    let weight_name = format!("{name}.weight");
    parameter(&weight_name, &layer.weight)?;
    let quantized = floats(&weight_name, quantizer.forward(layer.weight.val()))?;
    let of_channel = channels * patch * patch;
    let levels = quantized.chunks_exact(of_channel).zip(&scales);
    Ok(PatchEmbedding {
        weight: levels
            .flat_map(|(values, &scale)| values.iter().map(move |&value| level(value, scale)))
            .collect(),
        bias: match &layer.bias {
            Some(bias) => parameter(&format!("{name}.bias"), bias)?,
            None => vec![0.0; width],
        },
        scales,
    })
}

pub(super) fn norm(name: &str, layer: &LayerNorm) -> Result<PackedNorm, Error> {
    let [width] = layer.gamma.dims();
    if layer.epsilon() != LAYER_NORM_EPSILON {
        return Err(refusal(name, "its epsilon is not 1e-12"));
    }
    Ok(PackedNorm {
        gamma: parameter(&format!("{name}.gamma"), &layer.gamma)?,
        beta: match &layer.beta {
            Some(beta) => parameter(&format!("{name}.beta"), beta)?,
            None => vec![0.0; width],
        },
    })
}

pub(super) fn block(name: &str, layers: &Stage2Block, config: &VitConfig) -> Result<Block, Error> {
    let part = |part: &str| format!("{name}.{part}");
    let one = Levels::signed(1);
    Ok(Block {
        norm1: norm(&part("norm1"), &layers.norm1)?,
        attention: attention(&part("attention"), &layers.attention, config)?,
        norm2: norm(&part("norm2"), &layers.norm2)?,
        fc1: linear(&part("mlp.fc1"), &layers.mlp.fc1, one)?,
        fc2: linear(&part("mlp.fc2"), &layers.mlp.fc2, Levels::unsigned(1))?,
    })
}

fn attention(name: &str, layers: &BinaryAttention, config: &VitConfig) -> Result<Attention, Error> {
    let part = |part: &str| format!("{name}.{part}");
    let one = Levels::signed(1);
    for (part_name, binarizer) in [("query", &layers.query), ("key", &layers.key)] {
        bits(&part(part_name), binarizer.levels(), one)?;
    }
    superposition(
        &part("attention"),
        layers.attention.superposition(),
        Superposed::Attention,
        config,
    )?;
    superposition(
        &part("value"),
        layers.value.superposition(),
        Superposed::Value,
        config,
    )?;
    let shifts = &layers.shifts;
    let signed = |part_name: &str, binarizer: &gsb_core::binarize::SignedBinarizer| {
        let name = part(&format!("{part_name}.scale"));
        guarded_one(&name, &binarizer.scale)
    };
    Ok(Attention {
        qkv: linear(&part("qkv"), &layers.qkv, one)?,
        query_shift: parameter(&part("shifts.query.bias"), &shifts.query.bias)?,
        key_shift: parameter(&part("shifts.key.bias"), &shifts.key.bias)?,
        value_shift: parameter(&part("shifts.value.bias"), &shifts.value.bias)?,
        query_scale: signed("query", &layers.query)?,
        key_scale: signed("key", &layers.key)?,
        value_scales: guarded(&part("value.scales"), &layers.value.scales)?,
        attention_shift: floats(
            &part("attention_shift.bias"),
            layers.attention_shift.value(),
        )?,
        attention_scales: guarded(&part("attention.scales"), &layers.attention.scales)?,
        output: linear(&part("output"), &layers.output, one)?,
    })
}

fn linear(name: &str, layer: &BinaryLinear, input: Levels) -> Result<PackedLinear, Error> {
    let weight_name = format!("{name}.weight");
    bits(name, layer.input.levels(), input)?;
    let [inputs, outputs] = layer.weight.dims();
    parameter(&weight_name, &layer.weight)?;
    let binary = layer.weight_binarizer.forward(layer.weight.val());
    let binary = floats(&weight_name, binary.transpose())?;
    // Every weight is its sign times the scale: any that is not 0 tells the scale.
    let magnitude = |weights: &[f32]| {
        weights
            .iter()
            .fold(0f32, |most, weight| most.max(weight.abs()))
    };
    let weight_scale = match layer.weight_binarizer.scale {
        WeightScale::Tensor => vec![magnitude(&binary)],
        WeightScale::Output(1) => binary.chunks(inputs.max(1)).map(magnitude).collect(),
        WeightScale::Output(_) => {
            return Err(refusal(
                &weight_name,
                "it has a scale for each input, not each output",
            ));
        }
    };
    Ok(PackedLinear {
        weight: SignMatrix::from_values(outputs, inputs, &binary)?,
        weight_scale,
        input_shift: parameter(&format!("{name}.shift.bias"), &layer.shift.bias)?,
        input_scale: guarded_one(&format!("{name}.input.scale"), layer.input.scale())?,
        bias: match &layer.bias {
            Some(bias) => parameter(&format!("{name}.bias"), bias)?,
            None => vec![0.0; outputs],
        },
    })
}

pub(super) fn head(name: &str, layer: &QuantizedLinear, config: &VitConfig) -> Result<Head, Error> {
    let expected = Levels::signed(config.stage2.head_bits);
    let quantizer = &layer.weight_quantizer;
    bits(&format!("{name}.input"), layer.input.levels(), expected)?;
    bits(
        &format!("{name}.weight_quantizer"),
        quantizer.levels(),
        expected,
    )?;
    let [_, classes] = layer.weight.dims();
    let weight_name = format!("{name}.weight");
    parameter(&weight_name, &layer.weight)?;
    let scale_name = format!("{name}.weight_quantizer.scale");
    let weight_scale = guarded_one(&scale_name, &quantizer.scale)?;
    let quantized = quantizer.forward(layer.weight.val()).transpose();
    let quantized = floats(&weight_name, quantized)?;
    Ok(Head {
        weight: quantized
            .into_iter()
            .map(|value| level(value, weight_scale))
            .collect(),
        weight_scale,
        input_shift: parameter(&format!("{name}.shift.bias"), &layer.shift.bias)?,
        input_scale: guarded_one(&format!("{name}.input.scale"), &layer.input.scale)?,
        bias: match &layer.bias {
            Some(bias) => parameter(&format!("{name}.bias"), bias)?,
            None => vec![0.0; classes],
        },
    })
}

/// The level of a quantized value. Product and quotient are off by at most a rounding each, and a
/// level has 8 bits: the nearest integer is the level.
fn level(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even() as i8
}

fn bits(name: &str, found: Levels, expected: Levels) -> Result<(), Error> {
    match found == expected {
        true => Ok(()),
        false => Err(refusal(
            name,
            format!("its levels are {found:?}, expected {expected:?}"),
        )),
    }
}

fn superposition(
    name: &str,
    found: &Superposition,
    kind: Superposed,
    config: &VitConfig,
) -> Result<(), Error> {
    let stage2 = &config.stage2;
    let (groups, highest, expected) = match kind {
        Superposed::Attention => {
            let levels = (1u8 << stage2.attention_bits) - 1;
            (stage2.attention_groups, found.range.1, f32::from(levels))
        }
        // Whatever its range, a value stays a sign.
        Superposed::Value => (stage2.value_groups, 1.0, 1.0),
    };
    if highest != expected {
        return Err(refusal(
            name,
            format!("its first group has levels up to {highest}, expected {expected}"),
        ));
    }
    if found.thresholds[..] != GROUP_THRESHOLDS[..groups - 1] {
        let reason = format!(
            "thresholds {:?}, expected {:?}",
            found.thresholds,
            &GROUP_THRESHOLDS[..groups - 1]
        );
        return Err(refusal(name, reason));
    }
    let scope = config.stage2.scope;
    if found.scope != scope {
        let reason = format!("scope {:?}, expected {scope:?}", found.scope);
        return Err(refusal(name, reason));
    }
    Ok(())
}
