//! What each kind of layer costs.

use super::amount::{Amount, FLOAT_BITS};

/// The kinds of linear layers.
#[derive(Clone, Copy)]
pub(super) enum Linear {
    /// `burn::nn::Linear`.
    Float,
    /// `gsb_core::nn::WeightBinaryLinear`.
    WeightBinary,
    /// `gsb_core::nn::BinaryLinear`.
    Binary,
    /// `gsb_core::nn::QuantizedLinear`, bits of its weight and input.
    Quantized(u8),
}

impl Linear {
    /// The layer applied to each of the tokens.
    pub(super) fn amount(self, tokens: u64, inputs: u64, outputs: u64) -> Amount {
        let (weights, macs) = (inputs * outputs, tokens * inputs * outputs);
        let bias = Amount::default().floats(outputs).elements(tokens * outputs);
        // Each product is multiplied by the scales of weight and input, which is one number.
        let scaled = tokens * outputs;
        match self {
            Self::Float => bias.weights(weights, FLOAT_BITS).macs_of(macs, FLOAT_BITS),
            Self::WeightBinary => bias
                .weights(weights, 1)
                .computed_floats(1) // scale of the weight
                .floats(inputs) // shift
                .macs_of(macs, FLOAT_BITS)
                .elements(tokens * inputs + scaled),
            Self::Binary => bias
                .weights(weights, 1)
                .computed_floats(1)
                .floats(inputs + 1) // shift, scale of the input
                .macs_of(macs, 1)
                .elements(2 * tokens * inputs + scaled),
            Self::Quantized(bits) => bias
                .weights(weights, bits)
                .floats(inputs + 2) // shift, scales of weight and input
                .macs_of(macs, bits)
                .elements(2 * tokens * inputs + scaled),
        }
    }
}

/// A convolution that makes `outputs` channels of each patch of `inputs` values, the weight of so
/// many bits, the input float.
pub(super) fn patch_convolution(patches: u64, inputs: u64, outputs: u64, bits: u8) -> Amount {
    let amount = Amount::default()
        .weights(inputs * outputs, bits)
        .floats(outputs) // bias
        .macs_of(patches * inputs * outputs, FLOAT_BITS)
        .elements(patches * outputs);
    if bits == FLOAT_BITS {
        amount
    } else {
        // A scale for each channel.
        amount.floats(outputs).elements(patches * outputs)
    }
}

/// Layer normalization of each token.
pub(super) fn layer_norm(tokens: u64, width: u64) -> Amount {
    Amount::default().floats(2 * width).elements(tokens * width)
}

/// A shift of `width` values, added to each token.
pub(super) fn shift(tokens: u64, width: u64) -> Amount {
    Amount::default().floats(width).elements(tokens * width)
}
