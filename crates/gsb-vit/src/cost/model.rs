//! The layers of a model, in the order of its forward pass.

use super::amount::{Amount, FLOAT_BITS};
use super::layer::{Linear, layer_norm, patch_convolution, shift};
use super::layer_cost::LayerCost;
use crate::{Phase, VitConfig};

/// The sizes that the costs depend on.
struct Sizes {
    /// Values of a patch.
    patch: u64,
    patches: u64,
    tokens: u64,
    width: u64,
    hidden: u64,
    /// Elements of the attention matrices of a block.
    attention: u64,
    /// MACs of `q k^T`, and of `A v` without superposition.
    product: u64,
}

impl Sizes {
    fn of(config: &VitConfig) -> Self {
        let (tokens, width) = (config.tokens() as u64, config.width as u64);
        Self {
            patch: (config.channels * config.patch_size * config.patch_size) as u64,
            patches: config.patches() as u64,
            tokens,
            width,
            hidden: config.mlp_width as u64,
            attention: config.heads as u64 * tokens * tokens,
            product: tokens * tokens * width,
        }
    }
}

/// The layers of a valid configuration.
pub(super) fn layers(config: &VitConfig, phase: Phase) -> Vec<LayerCost> {
    let sizes = Sizes::of(config);
    let mut layers = embedding(config, phase, &sizes);
    let block = block(config, phase, &sizes);
    for index in 0..config.depth {
        layers.extend(block.iter().map(|(name, amount)| LayerCost {
            name: format!("blocks.{index}.{name}"),
            amount: amount.clone(),
        }));
    }
    layers.push(LayerCost::new(
        "norm",
        layer_norm(sizes.tokens, sizes.width),
    ));
    let head = match phase {
        Phase::Teacher | Phase::Stage1 => Linear::Float,
        Phase::Stage2 => Linear::Quantized(config.stage2.head_bits),
    };
    let head = head.amount(1, sizes.width, config.classes as u64);
    layers.push(LayerCost::new("class_head", head.clone()));
    if config.distillation_token {
        layers.push(LayerCost::new("distillation_head", head));
    }
    layers
}

/// Up to the tokens that enter the encoder.
fn embedding(config: &VitConfig, phase: Phase, sizes: &Sizes) -> Vec<LayerCost> {
    let convolution = |bits| patch_convolution(sizes.patches, sizes.patch, sizes.width, bits);
    let mut layers = match phase {
        Phase::Teacher => vec![LayerCost::new("patch_embedding", convolution(FLOAT_BITS))],
        Phase::Stage1 => vec![
            LayerCost::new("patch_embedding.convolution", convolution(FLOAT_BITS)),
            LayerCost::new(
                "patch_embedding.norm",
                Amount::default().folded_floats(2 * sizes.width),
            ),
        ],
        Phase::Stage2 => vec![LayerCost::new(
            "patch_embedding",
            convolution(config.stage2.patch_bits),
        )],
    };
    let learned = 1 + u64::from(config.distillation_token);
    let tokens = Amount::default()
        .floats((learned + sizes.tokens) * sizes.width)
        .elements(sizes.tokens * sizes.width); // positions
    layers.push(LayerCost::new("tokens", tokens));
    layers
}

/// The layers of an encoder block.
fn block(config: &VitConfig, phase: Phase, sizes: &Sizes) -> Vec<(&'static str, Amount)> {
    let norm = || layer_norm(sizes.tokens, sizes.width);
    let mut layers = vec![("norm1", norm())];
    layers.extend(attention(config, phase, sizes));
    layers.push(("norm2", norm()));
    layers.extend(mlp(config, phase, sizes));
    layers
}

/// The attention of a block, with the residual.
fn attention(config: &VitConfig, phase: Phase, sizes: &Sizes) -> Vec<(&'static str, Amount)> {
    let &Sizes { tokens, width, .. } = sizes;
    let linear = match phase {
        Phase::Teacher | Phase::Stage1 => Linear::Float,
        Phase::Stage2 => Linear::Binary,
    };
    let mut layers = vec![("attention.qkv", linear.amount(tokens, width, 3 * width))];
    if phase != Phase::Teacher {
        layers.push(("attention.shifts", shift(tokens, 3 * width)));
    }
    match phase {
        Phase::Stage2 => layers.extend(binary_products(config, sizes)),
        _ => {
            let binary_scores = phase == Phase::Teacher && config.binary_query_key;
            layers.extend(float_products(binary_scores, sizes));
        }
    }
    let output = linear.amount(tokens, width, width);
    layers.push(("attention.output", output.elements(tokens * width)));
    layers
}

/// Division of the scores by the root of the channels, softmax.
fn softmax(sizes: &Sizes) -> Amount {
    Amount::default().elements(2 * sizes.attention)
}

/// From query, key and value to the attended value, where scores alone may be of signs.
fn float_products(binary_scores: bool, sizes: &Sizes) -> [(&'static str, Amount); 2] {
    let scores = if binary_scores {
        // Signs and magnitudes of query and key; two factors of each score.
        let factors = 4 * sizes.tokens * sizes.width + 2 * sizes.attention;
        softmax(sizes).macs_of(sizes.product, 1).elements(factors)
    } else {
        softmax(sizes).macs_of(sizes.product, FLOAT_BITS)
    };
    let attended = Amount::default().macs_of(sizes.product, FLOAT_BITS);
    [
        ("attention.scores", scores),
        ("attention.attended", attended),
    ]
}

/// The same where query and key are binary, attention matrix and value superposed.
fn binary_products(config: &VitConfig, sizes: &Sizes) -> [(&'static str, Amount); 3] {
    let &Sizes {
        tokens,
        width,
        attention,
        product,
        ..
    } = sizes;
    let binarized = 2 * tokens * width; // query and key
    let scores = softmax(sizes).floats(2);
    let scores = scores.macs_of(product, 1).elements(binarized);
    let added = Amount::default().weights(attention, config.stage2.shift_bits);
    let added = added.elements(attention);
    // Eight bits are multiples of a step for each head.
    let added = match config.stage2.shift_bits {
        8 => added.computed_floats(config.heads as u64),
        _ => added,
    };
    let v = config.stage2.value_groups as u64;
    // Nested matrices of the attention, and their scales: a level sum has one for all.
    let (a, scales) = match config.stage2.attention_bits {
        1 => (
            config.stage2.attention_groups as u64,
            config.stage2.attention_groups as u64,
        ),
        bits => ((1 << bits) - 1, 1),
    };
    let superposed = Amount::default()
        .floats(scales + v)
        .macs_of(a * v * product, 1)
        .elements(a * attention + v * tokens * width) // members of each group
        .elements(a * v * tokens * width); // scaled sum of the products
    [
        ("attention.scores", scores),
        ("attention.attention_shift", added),
        ("attention.attended", superposed),
    ]
}

/// The MLP of a block, with the residual.
fn mlp(config: &VitConfig, phase: Phase, sizes: &Sizes) -> [(&'static str, Amount); 2] {
    let &Sizes {
        tokens,
        width,
        hidden,
        ..
    } = sizes;
    let (linear, fc1, fc2, activation) = match phase {
        Phase::Teacher => (Linear::Float, "fc1", "fc2", tokens * hidden),
        Phase::Stage1 => (Linear::WeightBinary, "mlp.fc1", "mlp.fc2", tokens * hidden),
        // GELU, clamp.
        Phase::Stage2 => (Linear::Binary, "mlp.fc1", "mlp.fc2", 2 * tokens * hidden),
    };
    // A copy of each patch is added.
    let copies = match phase {
        Phase::Stage1 | Phase::Stage2 if config.token_shifts => sizes.patches,
        _ => 0,
    };
    let first = linear.amount(tokens, width, hidden);
    let second = linear.amount(tokens, hidden, width);
    [
        (fc1, first.elements(activation + copies * width)),
        (fc2, second.elements(tokens * width + copies * hidden)),
    ]
}
